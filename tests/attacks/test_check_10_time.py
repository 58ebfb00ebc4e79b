"""Check 10: not before, not after, inside the maintenance hours, and my ring is open."""

import pytest

from answerable.kernel.canon import Json
from tests.attacks.verdict import allowed, refused
from tests.simulator import HOUR, Order, Simulator
from tests.simulator.keys import signer

NEXT = "web2"


def second_ring(sim: Simulator) -> Order:
    """Play a plan and give the order of a host in its second ring."""
    sim.permitted()
    return sim.play(NEXT)


def test_too_early(sim: Simulator) -> None:
    """The window is over, and the time that the notice names has not come."""
    sim.permitted()
    refused(sim.mutant(notice=lambda n: n.update(not_before=n["not_before"] + HOUR)), "too_early")


def test_too_late(sim: Simulator) -> None:
    """A permit that was never used is not for ever."""
    order = sim.permitted()
    sim.now += 12 * HOUR
    refused(sim.ask(order), "too_late")


def test_too_late_by_the_time_since_the_guards_answered(sim: Simulator) -> None:
    """Replies from just before the end are not kept for after it."""
    order = sim.permitted()
    sim.now += 10 * HOUR + 5_100
    fresh = sim.fresh("web1")
    allowed(sim.ask(order, freshness=fresh, now=sim.boot() + 100))
    refused(sim.ask(order, freshness=fresh, now=sim.boot() + 101), "too_late")


def test_liar_in_the_past_does_not_prolong(sim: Simulator) -> None:
    """One guard's clock stands still."""
    order = sim.permitted()
    sim.now += 12 * HOUR
    slow = sim.fresh("web1", times={"g4": sim.now - 12 * HOUR})
    refused(sim.ask(order, freshness=slow), "too_late")


def test_validity_longer_than_the_charter_allows(sim: Simulator) -> None:
    """A notice that stays usable for weeks."""
    patient = Simulator(authorization=lambda a: a["clauses"][0].update(validity=1 << 40))
    patient.permitted()

    def long(notice: Json) -> None:
        notice["not_after"] = notice["not_before"] + 24 * HOUR + 1

    refused(patient.mutant(notice=long), "too_late")


def weekly(start: int, end: int) -> Simulator:
    """Found the fleet with maintenance hours, seconds of the week, around when it will ask."""
    now = (Simulator().now + 2_000 - 345_600) % 604_800
    hours = [{"from": now + start, "to": now + end}]
    return Simulator(authorization=lambda a: a.update(hours=hours))


def test_outside_the_maintenance_hours(sim: Simulator) -> None:
    """A minute too early in the week, and a minute too late."""
    weekly(0, 1).permitted()
    for start, end in ((60, 120), (-120, 0)):
        twin = weekly(start, end)
        refused(twin.ask(twin.play()), "outside_window")


def test_maintenance_hours_that_end_while_the_host_waits(sim: Simulator) -> None:
    """Fresh replies from inside the hours, used after them."""
    twin = weekly(0, 60)
    order = twin.permitted()
    fresh = twin.fresh("web1")
    allowed(twin.ask(order, freshness=fresh, now=twin.boot() + 59))
    refused(twin.ask(order, freshness=fresh, now=twin.boot() + 60), "outside_window")


def test_rings_opened_at_once(sim: Simulator) -> None:
    """The second ring starts with the first."""
    order = second_ring(sim)
    refused(sim.ask(order), "ring_not_open")
    sim.advance(order, 1)
    allowed(sim.ask(order))


def test_advance_of_another_ring(sim: Simulator) -> None:
    """An advance of the third ring opens the second no more than none."""
    order = second_ring(sim)
    sim.advance(order, 2)
    refused(sim.ask(order), "ring_not_open")
    sim.advance(order, 1)
    allowed(sim.ask(order))


def test_advance_of_another_notice(sim: Simulator) -> None:
    """The soak of another plan."""
    order = second_ring(sim)
    sim.advance(sim.play(NEXT), 1)
    refused(sim.ask(order), "ring_not_open")
    sim.advance(order, 1)
    allowed(sim.ask(order))


def test_soak_faked_by_one_observer(sim: Simulator) -> None:
    """One observer alone opens nothing, however often it says so."""
    order = second_ring(sim)
    sim.advance(order, 1, observers=("o1",))
    sim.advance(order, 1, observers=("o1",))
    refused(sim.ask(order), "ring_not_open")
    sim.advance(order, 1, observers=("o2",))
    allowed(sim.ask(order))


def test_soak_faked_by_two_observers_of_one_operator(sim: Simulator) -> None:
    """Two observers that one company runs are one voice."""

    def three(charter: Json) -> None:
        charter["observers"]["o3"] = {"operator": "o1", "key": signer("o3").key.vkey()}

    twin = Simulator(charter=three)
    order = twin.play(NEXT)
    twin.advance(order, 1, observers=("o1", "o3"))
    refused(twin.ask(order), "ring_not_open")
    twin.advance(order, 1, observers=("o2",))
    allowed(twin.ask(order))


@pytest.mark.parametrize("liar", ["planner1", "g1", "dana"])
def test_advance_by_anybody_else(sim: Simulator, liar: str) -> None:
    """Neither the planner, nor a guard, nor a person opens a ring."""
    order = second_ring(sim)
    sim.advance(order, 1, observers=("o1",))
    body = {"notice": order.notice, "ring": 1, "since": 0, "until": sim.now, "seen": ["ab" * 32]}
    refused(sim.append(sim.write("advance", body, liar)), "not_admissible")
    refused(sim.ask(order), "ring_not_open")
    sim.advance(order, 1)
    allowed(sim.ask(order))


def test_soak_too_short(sim: Simulator) -> None:
    """A second less than the charter's soak was observed."""
    order = second_ring(sim)
    sim.now += HOUR
    sim.advance(order, 1, soak=599)
    refused(sim.ask(order), "ring_not_open")
    sim.advance(order, 1, soak=600)
    allowed(sim.ask(order))


def test_soak_shorter_than_the_notice_says(sim: Simulator) -> None:
    """The longer of the charter's and the notice's soak is served."""
    sim.permitted()
    order = sim.play(NEXT, notice=lambda n: n.update(soak=1_200))
    sim.now += HOUR
    sim.advance(order, 1, soak=1_199)
    refused(sim.ask(order), "ring_not_open")
    sim.advance(order, 1, soak=1_200)
    allowed(sim.ask(order))


def test_soak_claimed_before_it_was_served(sim: Simulator) -> None:
    """Observers that lie about the times do not outrun the guards' clocks."""
    order = second_ring(sim)
    body = {"notice": order.notice, "ring": 1, "since": 0, "until": sim.now + HOUR, "seen": []}
    for observer in ("o1", "o2"):
        sim.tell("advance", body, observer)
    sim.now -= 140 - 1  # the window took 1,860 seconds, and 2,000 were waited
    refused(sim.ask(order), "ring_not_open")
    sim.now += 1_000
    allowed(sim.ask(order))
