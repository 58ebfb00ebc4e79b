"""Check 2: my charter is in force, and my own state is not older than what I told the guards."""

from tests.attacks.verdict import allowed, refused
from tests.simulator import WEEK, Simulator


def test_expired_charter(sim: Simulator) -> None:
    """A charter past its date lets nothing move."""
    sim.permitted()
    twin = Simulator(charter=lambda body: body.update(expires=twin_start(body)))
    refused(twin.ask(twin.play()), "charter_expired")


def twin_start(body: dict[str, int]) -> int:
    """Give a second that comes while the window runs."""
    return body["expires"] - 52 * WEEK + 2 * 3_600 + 1_000


def test_host_restored_from_a_snapshot(sim: Simulator) -> None:
    """The disk is put back to before an action: the guards hold the host's own word for it."""
    order = sim.permitted()
    sim.act(order)
    allowed(sim.ask(order, "restart"))
    refused(sim.ask(order, consumed=()), "state_rolled_back")


def test_host_restored_and_told_another_past(sim: Simulator) -> None:
    """A restored host whose list was filled with another action of the same number."""
    order = sim.permitted()
    sim.act(order)
    sim.act(order, "restart")
    other = ("x/y/z", sim.members["web1"].consumed[0])
    refused(sim.ask(order, consumed=other), "state_rolled_back")


def test_one_guard_that_remembers_is_enough(sim: Simulator) -> None:
    """Laggards and liars have forgotten what a restored host did; one guard has not."""
    order = sim.permitted()
    forgetful = dict.fromkeys(("g1", "g2", "g3"), b"")
    sim.act(order)
    fresh = sim.fresh("web1", lasts=forgetful)
    refused(sim.ask(order, consumed=(), freshness=fresh), "state_rolled_back")
