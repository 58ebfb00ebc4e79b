"""A package that comes new with an upgrade: named, released and noticed, or it does not come.

The kernel's part. That a package which comes new is needed, and does nothing that nobody explains,
each host finds by itself (`tests/host/drivers`, `tests/live/test_new_packages.py`).
"""

import pytest

from answerable.host.versions import ABSENT
from answerable.kernel.canon import Json, decode, encode
from answerable.kernel.order import ORDER
from tests.attacks.verdict import allowed, refused
from tests.simulator import NEW, OLD, Order, Simulator
from tests.simulator.constitution import (
    DEBIAN,
    FACTS,
    artefact,
    blob,
    effects,
    fix,
    move,
)

LIB, FIRST = "libnew1", "1.0-1"
PLACE = f"{DEBIAN}/{LIB}"
STEPS = ("up", "restart", "health")


def coming(order: Json) -> None:
    """Let the upgrade bring a library that is not there, and its undo take it away again."""
    order["changes"][0]["packages"].append(fix(LIB, ABSENT, FIRST, dependency_of="libssl3"))
    gone = {**move(LIB, FIRST, ABSENT), "sha256": blob(LIB, FIRST)}
    order["undo"][0]["packages"].append(gone)


def fleet(*facts: str, terms: Json = None) -> Simulator:
    """Found a fleet in whose snapshot these facts stand too; its hosts lack the library."""
    every = sorted({*FACTS, artefact(LIB, FIRST), *facts}, key=str.encode)
    made = Simulator(facts=every, authorization=lambda body: body.update(terms or {}))
    for member in made.members.values():
        member.installed[PLACE] = ABSENT
    return made


def played(sim: Simulator, edit: Json = coming) -> Order:
    """Notice an order that cites the library's artefact."""
    order = sim.play(edit=edit)
    if artefact(LIB, FIRST) not in order.facts:
        order.facts.append(artefact(LIB, FIRST))
    return order


def failed(edit: Json = coming) -> tuple[Simulator, Order]:
    """Let a host do its changes and fail."""
    sim = fleet()
    order = played(sim, edit)
    for change in STEPS:
        sim.act(order, change)
    assert sim.members["web1"].installed[PLACE] == FIRST
    sim.fail(order)
    return sim, order


def test_what_is_named_comes_and_goes_again() -> None:
    """Everything else here fails although this holds."""
    sim, order = failed()
    allowed(sim.ask(order, "undo-up"))
    sim.act(order, "undo-up")
    assert sim.members["web1"].installed[PLACE] == ABSENT


def test_package_smuggled_in_after_the_notice() -> None:
    """One more "dependency", put into an order that people were told of: another leaf."""
    sim = fleet()
    order = sim.play()
    body = decode(order.text.encode(), ORDER)
    coming(body)
    order.text = encode(body)
    order.facts.append(artefact(LIB, FIRST))
    refused(sim.ask(order), "not_in_ring")


def test_package_that_the_notice_does_not_name() -> None:
    """It stands in the order and not among the notice's bytes, so that no veto of it would hold."""
    sim = fleet()

    def hidden(notice: Json) -> None:
        notice["artefacts"].remove(blob(LIB, FIRST))

    order = sim.play(edit=coming, notice=hidden)
    order.facts.append(artefact(LIB, FIRST))
    refused(sim.ask(order), "artefact_swapped")


def test_package_from_an_origin_that_no_snapshot_attests() -> None:
    """Bytes of the thief's own under a name that is not there: no feed has ever seen them."""
    sim = Simulator()
    sim.members["web1"].installed[PLACE] = ABSENT
    refused(sim.ask(sim.play(edit=coming)), "fact_not_proven")


def test_package_that_is_for_nothing() -> None:
    """It is no dependency of a fix, and no fix itself."""

    def alone(order: Json) -> None:
        coming(order)
        order["changes"][0]["packages"][-1]["for"] = ""

    refused((sim := fleet()).ask(played(sim, alone)), "fact_not_proven")


def test_package_for_a_package_that_is_for_another() -> None:
    """A chain of dependencies that ends in no fix."""

    def chained(order: Json) -> None:
        coming(order)
        order["changes"][0]["packages"][-1]["for"] = "openssl"

    refused((sim := fleet()).ask(played(sim, chained)), "not_a_fix")


def test_package_that_is_there_after_all() -> None:
    """A host that has the package was told of something else."""
    sim = fleet()
    order = played(sim)
    allowed(sim.ask(order))
    sim.members["web1"].installed[PLACE] = "0.9-1"
    refused(sim.ask(order), "drift")


def test_removal_dressed_as_an_upgrade() -> None:
    """Nothing is taken away but by the undo of what brought it."""

    def removal(order: Json) -> None:
        for end, rows in (("to", order["changes"]), ("from", order["undo"])):
            rows[0]["packages"][1] |= {end: ABSENT, "sha256": blob("openssl", OLD)}

    sim = fleet()
    refused(sim.ask(sim.play(edit=removal)), "fact_not_proven")


def test_undo_that_leaves_it_there_or_takes_another() -> None:
    """An undo is exactly its upgrade's way back, also where that is away."""
    for end, value in (("to", "0.9-1"), ("name", "openssl"), ("from", NEW)):

        def other(order: Json, end: str = end, value: str = value) -> None:
            coming(order)
            order["undo"][0]["packages"][-1][end] = value

        sim = fleet()
        with pytest.raises(AssertionError, match="action_not_allowed"):
            allowed(sim.ask(played(sim, other)))


def test_undo_that_names_other_bytes() -> None:
    """What goes is named by the bytes that came: else a veto or withdrawal of them misses it."""

    def own(order: Json) -> None:
        coming(order)
        order["undo"][0]["packages"][-1]["sha256"] = blob(LIB, "evil")

    sim, order = failed(own)
    refused(sim.ask(order, "undo-up"), "fact_not_proven")


def test_authorization_that_does_not_name_it() -> None:
    """Every package that comes new is of the class `install`: people sign for it or are asked."""

    def classed(order: Json) -> None:
        coming(order)
        effects("install")(order)

    named = fleet(terms={"effects": ["install"]})
    allowed(named.ask(played(named, classed)))
    sim = fleet()
    order = played(sim, classed)
    refused(sim.ask(order), "not_covered")


def test_host_that_finds_the_class_where_the_order_hides_it() -> None:
    """The host's own rehearsal says `install`; an order without it is another one."""

    def unclassed(order: Json) -> None:
        coming(order)
        effects()(order)

    sim = fleet()
    order = played(sim, unclassed)
    told = decode(order.text.encode(), ORDER)["changes"][0]["effects"]
    refused(sim.ask(order, rehearsed={"up": (told, ["install"])}), "effects_differ")
