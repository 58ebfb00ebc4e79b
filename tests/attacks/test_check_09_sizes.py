"""Check 9: rings, authorization and fleet keep their sizes; more hosts need more people."""

from collections.abc import Callable
from functools import partial

import pytest

from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused
from answerable.kernel.verify import Permit
from tests.attacks.verdict import allowed, refused
from tests.simulator import DAY, HOUR, RINGS, WEEK, Simulator
from tests.simulator.constitution import approval

ALL = [host for ring in RINGS for host in ring]


def limits(**changes: Json) -> Callable[[Json], None]:
    """Change the charter's limits."""

    def edit(charter: Json) -> None:
        charter["limits"] |= changes

    return edit


def fillers(number: int, prefix: str = "x") -> list[str]:
    """Name hosts that only fill a ring."""
    return [f"{prefix}{n}" for n in range(number)]


def rebuilt(*words: str) -> Callable[[Json], None]:
    """Let a notice name other bytes and versions, as another plan would."""

    def edit(notice: Json) -> None:
        notice["artefacts"] = [f"{ord(word[0]):064x}" for word in words]
        notice["targets"] = [f"debian:12/{word}@1" for word in words]

    return edit


def test_everyone_in_the_first_ring(sim: Simulator) -> None:
    """All hosts at once: the first ring may hold one."""
    sim.permitted()
    refused(sim.mutant(rings=[ALL]), "ring_too_large")


def test_ring_sizes_grown(sim: Simulator) -> None:
    """A later ring with one host more than the clause allows."""
    sim.permitted()
    grown = (RINGS[0], (*RINGS[1], "x1"), RINGS[2])
    refused(sim.mutant(rings=grown), "ring_too_large")


def test_rings_past_the_last_that_the_clause_names(sim: Simulator) -> None:
    """The last size holds for every further ring."""
    sim.permitted()
    refused(sim.mutant(rings=(*RINGS, fillers(10))), "ring_too_large")


def test_more_hosts_than_the_authorization_allows(sim: Simulator) -> None:
    """Rings of lawful sizes whose sum is too large."""
    sim.permitted()
    refused(sim.mutant(rings=(*RINGS, fillers(6), fillers(5, "y"))), "fleet_limit")


def many(sim: Simulator, plans: int, step: int) -> Permit | Refused:
    """Notice several small plans for other packages, one every `step` seconds; ask for the last."""
    verdict: Permit | Refused | None = None
    for number in range(plans):
        sim.release()
        words = rebuilt(chr(ord("a") + number)) if number < plans - 1 else lambda _: None
        order = sim.play(notice=words)
        sim.now += 1
        verdict = sim.ask(order)
        sim.now += step
    assert verdict is not None
    return verdict


def test_rollout_cut_into_many_small_plans(sim: Simulator) -> None:
    """Four plans of five hosts fill the day; the fifth is refused."""
    allowed(many(Simulator(), 4, 0))
    refused(many(Simulator(), 5, 0), "fleet_limit")


def test_rollout_cut_into_days(sim: Simulator) -> None:
    """One plan a day fills the week."""
    week = limits(hosts_day=10, hosts_week=20, hosts_artefact=1_000)
    allowed(many(Simulator(charter=week), 4, DAY))
    refused(many(Simulator(charter=week), 5, DAY), "fleet_limit")


def test_rollout_cut_into_weeks(sim: Simulator) -> None:
    """The same bytes count together, however long ago they were noticed."""
    for plans, ends in ((2, None), (3, "fleet_limit")):
        twin = Simulator(charter=limits(hosts_artefact=14))
        for _ in range(plans - 1):
            twin.play()
            twin.now += 2 * WEEK
        twin.release()
        verdict = twin.ask(twin.play())
        refused(verdict, ends) if ends else allowed(verdict)


def test_rollout_cut_into_authorizations(sim: Simulator) -> None:
    """Each plan relies on another authorization: the fleet's limits hold over all of them."""
    for plans, ends in ((4, None), (5, "fleet_limit")):
        twin = Simulator()
        for number in range(plans):
            if number:
                terms = dict(
                    twin.state.authorizations[twin.authorization]["body"], name=f"n{number}"
                )
                twin.authorization = twin.tell("authorization", terms, "dana", "kim")
                twin.authorized = twin.checkpoint()
                twin.now += 2 * HOUR
            last = number == plans - 1
            order = twin.play(notice=rebuilt("abcdefg"[number]) if not last else lambda _: None)
        verdict = twin.ask(order)
        refused(verdict, ends) if ends else allowed(verdict)


def test_plans_told_in_another_order_than_noticed(sim: Simulator) -> None:
    """Four plans are noticed first and told last: each counts what was told before it."""
    twin = Simulator()
    late = [twin.notice(_other(twin, word)) for word in "abcd"]
    order = twin.play()
    allowed(twin.ask(order))
    twin = Simulator()
    late = [twin.notice(_other(twin, word)) for word in "abcd"]
    for leaf in late:
        twin.deliver(leaf)
    refused(twin.ask(twin.play()), "fleet_limit")


def _other(sim: Simulator, word: str) -> Json:
    body = sim.notice_body(sim.orders(RINGS))
    rebuilt(word)(body)
    return body


@pytest.mark.parametrize("said", [0, (1 << 53) - 1])
def test_liar_about_delivery_times_changes_no_limit(sim: Simulator, said: int) -> None:
    """A herald dates its deliveries to 1970 or to the end of time."""
    for plans, ends in ((4, None), (5, "fleet_limit")):
        twin = Simulator()
        for number in range(plans):
            last = number == plans - 1
            words = rebuilt("abcdefg"[number]) if not last else lambda _: None
            told: Json = [] if number else [("g1", "lee"), ("g2", "lee")]
            order = twin.play(
                notice=words,
                told=told,
                before=partial(_lie, twin, said) if number else lambda _: None,
            )
        verdict = twin.ask(order)
        refused(verdict, ends) if ends else allowed(verdict)


def _lie(sim: Simulator, time: int, leaf: str) -> None:
    sim.deliver(leaf, [("g4", "lee")], time=time)
    sim.tell("seen", {"notice": leaf}, "lee")


@pytest.mark.parametrize("who", [(), ("kim",), ("kim", "kim:2"), ("kim", "ava")])
def test_more_hosts_need_more_people(sim: Simulator, who: tuple[str, ...]) -> None:
    """Above the charter's step the authorization alone is not enough."""
    twin = Simulator(charter=limits(approvals=[{"hosts": 12, "people": 2}]))
    order = twin.play(rings=(*RINGS, fillers(8)))
    for person in who:
        twin.tell("approval", approval(order.notice), person)
    refused(twin.ask(order), "not_enough_people")
    for person in ("kim", "mo"):
        twin.tell("approval", approval(order.notice), person)
    allowed(twin.ask(order))


def urgent(notice: Json) -> None:
    """Turn a notice into an emergency of one hour."""
    notice |= {"emergency": True, "not_after": notice["not_before"] + HOUR}


@pytest.mark.parametrize("who", [(), ("kim", "mo"), ("kim", "mo", "mo:2")])
def test_emergency_with_too_few_people(sim: Simulator, who: tuple[str, ...]) -> None:
    """An emergency needs more people than anything else."""
    order = sim.play(notice=urgent)
    for person in who:
        sim.tell("approval", approval(order.notice), person)
    refused(sim.ask(order), "not_enough_people")
    for person in ("kim", "mo", "fay"):
        sim.tell("approval", approval(order.notice), person)
    allowed(sim.ask(order))


def test_emergency_with_too_many_hosts(sim: Simulator) -> None:
    """An emergency reaches few hosts."""
    for more, ends in ((1, None), (2, "fleet_limit")):
        twin = Simulator()
        order = twin.play(notice=urgent, rings=(*RINGS, fillers(more)))
        for person in ("kim", "mo", "fay"):
            twin.tell("approval", approval(order.notice), person)
        verdict = twin.ask(order)
        refused(verdict, ends) if ends else allowed(verdict)
