"""Check 6: no veto and no halt covers the change, however it is noticed again."""

from collections.abc import Callable

import pytest

from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused
from answerable.kernel.verify import Permit
from tests.attacks.verdict import allowed, refused
from tests.simulator import NEW, OLD, Order, Simulator
from tests.simulator.constitution import DEBIAN, approval, blob, by_people, veto

Verdict = Permit | Refused
Words = Callable[[Simulator, Order], Json]
VETOES: dict[str, Words] = {
    "notice": lambda _, order: veto(notice=order.notice),
    "artefact": lambda *_: veto(artefacts=[blob("libssl3", NEW)]),
    "target": lambda *_: veto(targets=[f"{DEBIAN}/libssl3@{NEW}"]),
    "authorization": lambda sim, _: veto(authorization=sim.authorization),
    "without a reason": lambda _, order: veto(notice=order.notice, reason=""),
}


@pytest.mark.parametrize("what", VETOES)
def test_one_veto_stops_it(sim: Simulator, what: str) -> None:
    """One objector says no: to the notice, the bytes, the version, the authorization."""
    order = sim.permitted()
    sim.tell("veto", VETOES[what](sim, order), "lee")
    refused(sim.ask(order), "vetoed")


def test_veto_in_the_middle_of_a_rollout(sim: Simulator) -> None:
    """The first ring is done; no host of the next begins."""
    order = sim.permitted()
    sim.act(order)
    sim.advance(order, 1)
    sim.tell("veto", veto(notice=order.notice), "lee")
    refused(sim.ask(order, "restart"), "vetoed")
    refused(sim.ask(sim.order(order.notice, "web2", order.checkpoint)), "vetoed")


def laundered(sim: Simulator, veto_words: Json, notice: Callable[[Json], object]) -> Verdict:
    """Veto a first notice, then notice the plan again with something changed, and ask."""
    first = sim.permitted()
    sim.tell("veto", veto_words | {"notice": first.notice}, "lee")
    return sim.ask(sim.play(notice=notice))


def test_vetoed_plan_noticed_again_with_one_byte_changed(sim: Simulator) -> None:
    """The same artefacts under another notice are under the same veto."""
    refused(laundered(sim, veto(), lambda n: n.update(soak=n["soak"] + 1)), "vetoed")


def test_vetoed_plan_noticed_again_with_other_bytes(sim: Simulator) -> None:
    """The same version, built again: the target is under the same veto."""

    def rebuilt(notice: Json) -> None:
        notice["artefacts"] = ["ab" * 32]

    refused(laundered(sim, veto(), rebuilt), "vetoed")


def test_vetoed_plan_noticed_again_under_other_names(sim: Simulator) -> None:
    """The same bytes under target names that nobody vetoed."""

    def renamed(notice: Json) -> None:
        notice["targets"] = [target + "+again" for target in notice["targets"]]

    refused(laundered(sim, veto(), renamed), "vetoed")


def test_vetoed_plan_noticed_again_by_people(sim: Simulator) -> None:
    """Approvals do not outweigh a veto."""
    first = sim.permitted()
    sim.tell("veto", veto(notice=first.notice), "lee")
    order = sim.play(notice=by_people)
    for person in ("dana", "kim", "mo", "fay"):
        sim.tell("approval", approval(order.notice), person)
    refused(sim.ask(order), "vetoed")


def test_veto_ahead_of_the_notice(sim: Simulator) -> None:
    """A version is vetoed before anybody plans it."""
    sim.permitted()
    twin = Simulator()
    twin.tell("veto", veto(targets=[f"{DEBIAN}/libssl3@{NEW}"]), "lee")
    refused(twin.ask(twin.play()), "vetoed")


def test_veto_signed_under_the_last_charter(sim: Simulator) -> None:
    """A swallowed veto that comes into the log after the charter has changed still holds."""
    order = sim.permitted()
    entry = sim.write("veto", veto(notice=order.notice), "lee")
    sim.succeed(lambda body: body.update(name="renamed"), "dana", "lee")
    order.checkpoint = sim.authorized = sim.checkpoint()
    sim.now += 4_000
    allowed(sim.ask(order))
    sim.must(entry)
    refused(sim.ask(order), "vetoed")


@pytest.mark.parametrize("by", [("kim",), ("kim", "kim:2"), ("kim", "ava"), ("kim", "planner1")])
def test_veto_lifted_by_too_few(sim: Simulator, by: tuple[str, ...]) -> None:
    """Lifting needs the charter's threshold of persons who may approve."""
    order = sim.permitted()
    held = sim.tell("veto", veto(notice=order.notice), "lee")
    lift = {"lifts": [held], "reason": "go on"}
    refused(sim.append(sim.write("lift", lift, *by)), "not_enough_people")
    refused(sim.ask(order), "vetoed")
    sim.tell("lift", lift, "kim", "mo")
    allowed(sim.ask(order))


def test_halt_of_the_zone(sim: Simulator) -> None:
    """An objector halts a zone: nothing in it moves, whatever was noticed."""
    order = sim.permitted()
    sim.tell("halt", {"zones": ["web"], "reason": "incident"}, "lee")
    refused(sim.ask(order), "halted")


def test_halt_reaches_a_host_with_that_zone_among_others(sim: Simulator) -> None:
    """A zone that the host added itself counts as much as the enrolled one."""
    order = sim.permitted()
    sim.tell("halt", {"zones": ["api"], "reason": "incident"}, "kim")
    allowed(sim.ask(order))
    refused(sim.ask(order, zones=frozenset({"api"})), "halted")


def test_halt_of_every_other_zone_reaches_an_unknown_one(sim: Simulator) -> None:
    """A zone that the charter does not list belongs to the zone `*`."""
    order = sim.permitted()
    sim.tell("halt", {"zones": ["*"], "reason": "incident"}, "dana")
    allowed(sim.ask(order))
    refused(sim.ask(order, zones=frozenset({"lab"})), "halted")


def test_objector_stops_their_own_zones_only(sim: Simulator) -> None:
    """Kim objects for `api`: a veto of hers holds there and nowhere else."""
    order = sim.permitted()
    sim.tell("veto", veto(notice=order.notice), "kim")
    allowed(sim.ask(order))
    refused(sim.ask(order, zones=frozenset({"api"})), "vetoed")


def ready_to_undo(sim: Simulator) -> Order:
    """Let a host do its changes and fail; show that its undo is permitted."""
    order = sim.permitted()
    for change in ("up", "restart", "health"):
        sim.act(order, change)
    sim.fail(order)
    allowed(sim.ask(order, "undo-up"))
    return order


def test_veto_that_names_undo(sim: Simulator) -> None:
    """A plain veto leaves the way back open; one that names undo closes it."""
    order = ready_to_undo(sim)
    sim.tell("veto", veto(notice=order.notice), "lee")
    allowed(sim.ask(order, "undo-up"))
    sim.tell("veto", veto(artefacts=[blob("libssl3", OLD)], undo=True), "lee")
    refused(sim.ask(order, "undo-up"), "vetoed")


def test_halt_stops_an_undo(sim: Simulator) -> None:
    """Nothing moves in a halted zone, backwards neither."""
    order = ready_to_undo(sim)
    sim.tell("halt", {"zones": ["web"], "reason": "incident"}, "lee")
    refused(sim.ask(order, "undo-up"), "halted")
