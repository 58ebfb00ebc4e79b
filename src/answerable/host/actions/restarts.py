"""The restart of one unit as a change of its own, only where it is of use.

Rules:
* a unit is restarted if an order names it, which the kernel has found, and it is in need of it
  (stale.py); one that is not in need is left running, and that is said: `not_needed`;
* a unit that runs no more after its restart, or still runs what was replaced, is a failure;
* the agent's own unit is restarted without waiting for it (`Restarting`): the action stays begun,
  and the agent that starts then finds itself in no need any more;
* what is in need and named by no order is told in the report (`ineffective`) and left alone.

Whether a service answers is a change of its own, `health`. Left out: an order of restarts by their
dependencies, which is the order's; service tools that cannot tell who is in need (init scripts, pid
files), which restart what is ordered.
"""

from answerable.host.records.report import Ended
from answerable.host.services.service import Services
from answerable.host.services.stale import Need
from answerable.kernel.errors import Unavailable

TOLD = 20
"""Most units that a report names."""


class Restarting(Unavailable):
    """This agent is being restarted; the one that starts then goes on with the action."""


def restart_in_need(services: Services, unit: str) -> Ended:
    """Restart a unit that is in need of it; give the result, with what is left in need.

    Raises:
        ServiceFailed: it is unknown, or did not restart.
        Restarting: it is this agent's own.
    """
    name, need = unit.removesuffix(".service"), services.in_need()
    if need is None:
        services.restart(unit)
        return Ended("succeeded")
    if not need.may(name):
        services.running(unit)
        return Ended("succeeded", "not_needed", f"`{unit}` runs nothing that was replaced")
    services.restart(unit)
    if name == need.own:
        raise Restarting(f"`{unit}` is this agent and is being restarted")
    if not services.running(unit):
        return Ended("failed", "service", f"`{unit}` does not run after its restart")
    need = services.in_need() or Need({})
    if name in need.sure:
        return Ended("failed", "service", f"`{unit}` still runs the old `{need.sure[name]}`")
    return Ended("succeeded", "", ineffective(need))


def ineffective(need: Need | None) -> str:
    """Spell which units run what was replaced, for a report; nothing if none does."""
    names = [unit or "processes of no unit" for unit in (need.sure if need else ())]
    more = f" and {len(names) - TOLD} more" if len(names) > TOLD else ""
    return f"installed, not effective in {', '.join(names[:TOLD])}{more}" if names else ""
