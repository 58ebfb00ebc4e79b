"""Check 12: an undo is granted, of my own failed change, corroborated, and no storm."""

from copy import deepcopy

import pytest

from answerable.kernel.canon import Json
from answerable.kernel.verify import consumption
from tests.attacks.verdict import allowed, refused
from tests.simulator import DAY, FACTS, NEW, OLD, WEEK, Order, Simulator
from tests.simulator.constitution import (
    SSL_FIX,
    advisory,
    approval,
    blob,
    by_people,
    fact_id,
    withdrawal,
)

STEPS = ("up", "restart", "health")


def done(sim: Simulator, **knobs: Json) -> Order:
    """Let a host do its changes."""
    order = sim.permitted(**knobs)
    for change in STEPS:
        sim.act(order, change)
    return order


def failed(sim: Simulator, **knobs: Json) -> Order:
    """Let a host do its changes and fail; show that its undo is permitted."""
    order = done(sim, **knobs)
    sim.fail(order)
    allowed(sim.ask(order, "undo-up"))
    return order


def test_undo_without_any_failure(sim: Simulator) -> None:
    """Nothing failed."""
    order = done(sim)
    refused(sim.ask(order, "undo-up"), "failure_not_corroborated")
    sim.fail(order)
    allowed(sim.ask(order, "undo-up"))


def test_undo_on_the_hosts_word_alone(sim: Simulator) -> None:
    """The host says that it failed, and no observer does."""
    order = done(sim)
    own = consumption(order.notice, order.hash, "health")
    refused(sim.ask(order, "undo-up", failed=frozenset({own})), "failure_not_corroborated")
    sim.fail(order)
    allowed(sim.ask(order, "undo-up"))


def test_undo_on_forged_failure_signals(sim: Simulator) -> None:
    """Observers say that it failed, and the host itself knows nothing of it."""
    order = failed(sim)
    sim.members["web1"].failed.clear()
    refused(sim.ask(order, "undo-up"), "failure_not_corroborated")


@pytest.mark.parametrize("liar", ["planner1", "g1", "dana"])
def test_failure_by_anybody_else(sim: Simulator, liar: str) -> None:
    """Only an observer corroborates."""
    order = done(sim)
    with pytest.raises(AssertionError, match="not_admissible"):
        sim.fail(order, by=liar)
    refused(sim.ask(order, "undo-up"), "failure_not_corroborated")
    sim.fail(order)
    allowed(sim.ask(order, "undo-up"))


def test_failure_of_another_host(sim: Simulator) -> None:
    """Two hosts of one plan: the one that works is not undone for the other."""
    order = done(sim)
    other = deepcopy(order)
    other.host = "web2"
    sim.fail(other)
    own = consumption(order.notice, order.hash, "health")
    refused(sim.ask(order, "undo-up", failed=frozenset({own})), "failure_not_corroborated")
    sim.fail(order)
    allowed(sim.ask(order, "undo-up"))


def test_failure_of_another_order(sim: Simulator) -> None:
    """An observer's word about an earlier order of the same host."""
    order = done(sim)
    own = consumption(order.notice, order.hash, "health")
    sim.members["web1"].failed.add(own)
    body = {"notice": order.notice, "order": "ab" * 32, "change": "health", "host": "web1",
            "report": "cd" * 32, "cause": "health"}  # fmt: skip
    sim.tell("failure", body, "o1")
    refused(sim.ask(order, "undo-up"), "failure_not_corroborated")
    sim.fail(order)
    allowed(sim.ask(order, "undo-up"))


def test_failure_seen_by_an_observer_since_removed(sim: Simulator) -> None:
    """A dropped observer's word no longer counts."""
    order = failed(sim)

    def without_o1(body: Json) -> None:
        body["observers"]["o3"] = body["observers"].pop("o1")

    sim.succeed(without_o1, "dana", "lee")
    refused(sim.ask(order, "undo-up"), "failure_not_corroborated")
    sim.fail(order, by="o2")
    allowed(sim.ask(order, "undo-up"))


def test_undo_that_nobody_granted(sim: Simulator) -> None:
    """The authorization includes no undo."""
    failed(sim)
    twin = Simulator(authorization=lambda a: a.update(undo={"share_permille": 0}))
    order = done(twin)
    twin.fail(order)
    refused(twin.ask(order, "undo-up"), "undo_not_granted")
    for person in ("kim", "mo"):
        twin.tell("approval", approval(order.notice, undo=True), person)
    allowed(twin.ask(order, "undo-up"))


def test_undo_granted_by_approvals_of_the_change(sim: Simulator) -> None:
    """Who allowed the change has not yet allowed its undo."""
    twin = Simulator()
    order = twin.play(notice=by_people)
    for person in ("kim", "mo"):
        twin.tell("approval", approval(order.notice), person)
    for change in STEPS:
        twin.act(order, change)
    twin.fail(order)
    refused(twin.ask(order, "undo-up"), "undo_not_granted")
    for person in ("kim", "mo"):
        twin.tell("approval", approval(order.notice, undo=True), person)
    allowed(twin.ask(order, "undo-up"))


def test_undo_after_its_not_after(sim: Simulator) -> None:
    """Undo stays ready for weeks, and not for ever."""
    order = failed(sim)
    sim.now += 2 * WEEK
    refused(sim.ask(order, "undo-up"), "too_late")


def test_undo_after_what_the_charter_allows(sim: Simulator) -> None:
    """A notice that keeps its undo for a year."""

    def year(notice: Json) -> None:
        notice["undo_not_after"] = notice["not_after"] + 52 * WEEK

    order = failed(sim, notice=year)
    sim.now += 4 * WEEK + DAY
    refused(sim.ask(order, "undo-up"), "too_late")


def test_undo_on_silence_alone(sim: Simulator) -> None:
    """A host that nobody reaches is not known to be broken: that is for people."""
    order = done(sim)
    sim.fail(order, cause="unreachable")
    refused(sim.ask(order, "undo-up"), "undo_needs_people")
    for person in ("kim", "mo"):
        sim.tell("approval", approval(order.notice, undo=True), person)
    allowed(sim.ask(order, "undo-up"))


EXPLOITED = advisory("CVE-2026-0009", "libssl3", NEW, exploited=True)


def exploited() -> Simulator:
    """Found a fleet whose snapshot knows that the old version is exploited."""
    return Simulator(facts=sorted([*FACTS, EXPLOITED], key=str.encode))


def citing_both(order: Json) -> None:
    """Cite the plain and the exploited flaw."""
    order["changes"][0]["packages"][0]["advisories"] = [fact_id(SSL_FIX), fact_id(EXPLOITED)]


def test_undo_to_an_exploited_version(sim: Simulator) -> None:
    """Going back to a hole that is being used is for people to decide."""
    failed(sim)
    twin = exploited()
    order = done(twin, edit=citing_both)
    twin.fail(order)
    refused(twin.ask(order, "undo-up"), "undo_needs_people")
    for person in ("kim", "mo"):
        twin.tell("approval", approval(order.notice, undo=True), person)
    allowed(twin.ask(order, "undo-up"))


def test_undo_that_hides_what_it_would_reopen(sim: Simulator) -> None:
    """The bundle of the undo leaves the exploited flaw out."""
    twin = exploited()
    order = done(twin, edit=citing_both)
    twin.fail(order)
    order.facts.remove(EXPLOITED)
    refused(twin.ask(order, "undo-up"), "fact_not_proven")


def test_undo_storm(sim: Simulator) -> None:
    """More hosts fail than the authorization includes: it stops and escalates."""
    order = failed(sim)
    for host in ("web2", "api1"):
        body = {"notice": order.notice, "order": "ab" * 32, "change": "health", "host": host,
                "report": "cd" * 32, "cause": "health"}  # fmt: skip
        sim.tell("failure", body, "o2")
    refused(sim.ask(order, "undo-up"), "undo_storm")
    for person in ("kim", "mo"):
        sim.tell("approval", approval(order.notice, undo=True), person)
    allowed(sim.ask(order, "undo-up"))


def test_own_package_dressed_as_an_undo(sim: Simulator) -> None:
    """A failure is provoked, and the undo brings bytes of the thief's own."""
    failed(sim)

    def own(order: Json) -> None:
        order["undo"][0]["packages"][0]["sha256"] = blob("libssl3", "evil")

    twin = Simulator()
    order = done(twin, edit=own)
    twin.fail(order)
    refused(twin.ask(order, "undo-up"), "fact_not_proven")


def test_undo_to_a_withdrawn_artefact(sim: Simulator) -> None:
    """The old version was withdrawn since: it does not come back."""
    order = failed(sim)
    sim.tell("withdrawal", withdrawal(artefacts=(blob("libssl3", OLD),)), "g1")
    refused(sim.ask(order, "undo-up"), "withdrawn")


def test_undo_of_what_was_never_done(sim: Simulator) -> None:
    """A downgrade dressed as the undo of an upgrade that this host never made."""
    failed(sim)
    twin = Simulator()

    def first_the_check(order: Json) -> None:
        up, restart, health = order["changes"]
        order["changes"] = [health, restart, up]

    order = twin.play(edit=first_the_check)
    member = twin.members["web1"]
    twin.act(order, "health")
    member.installed |= {"debian:12/libssl3": NEW, "debian:12/openssl": NEW}
    twin.fail(order)
    refused(twin.ask(order, "undo-up"), "undo_not_granted")
