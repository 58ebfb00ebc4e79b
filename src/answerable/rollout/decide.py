"""What to do next in one rollout: facts in, acts out; no clock, no engine, no log.

Rules, in this order:

1. A recorded outcome ends it.
2. A host that says a change failed, and of which an observer's failure record says the same, is
   asked to undo. An observer alone, silence, or an unknown outcome never causes an undo.
3. Ended by itself: every host is final.
4. Stopped by people: a veto, halt or withdrawal. Stopped by failures: so many hosts as
   `Pace.threshold`. Stopped by time: the head is past not-after while bundles are still held back.
   Stopped by refusals: all hosts of the current ring refuse. Then nothing more is handed out,
   bundles that no host has begun are taken back, and what is under way is waited for.
5. Else the next bundles of the current ring are handed out, if its gate is open: enough deliveries,
   authority in force, window and grace over, not-before past; from the second ring on every host
   before it final, the observers' advance in the log, and its soak served.

A host is final when it succeeded and an observer saw so, refused, failed and was undone or waited
for long enough, or was silent for `Pace.patience`. A report alone closes nothing.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from answerable.rollout.view import (
    Failure,
    NoticeState,
    Observation,
    Order,
    Outcome,
    Report,
)

Life = Literal[
    "planned", "noticed", "cleared", "executing", "observing",
    "succeeded", "reboot_required", "failed", "vetoed", "expired", "refused", "outcome_unknown",
]  # fmt: skip
Standing = Literal[
    "held", "running", "observing", "undoing",
    "succeeded", "reboot_required", "refused", "failed", "undone", "outcome_unknown",
]  # fmt: skip

ACTIVE: frozenset[Standing] = frozenset({"running", "observing", "undoing"})
FAILED: frozenset[Standing] = frozenset({"undoing", "failed", "undone"})
PASSING = frozenset(
    {
        "stale_head", "behind", "no_notice", "not_delivered", "window_open", "too_early",
        "outside_window", "authorization_too_young", "ring_not_open", "failure_not_corroborated",
        "unavailable", "not_acknowledged",
    }
)  # fmt: skip
"""Refusals that time alone may cure: the host will ask itself again."""
REBOOT = "reboot_required"
"""Reason word of a report of a change that takes effect after a reboot."""
REBOOTED = "rebooted"
"""Reason word of the report of that reboot."""
NAMED = 5
"""Most hosts that a reason names."""
WORST: tuple[tuple[Life, frozenset[Standing]], ...] = (
    ("failed", FAILED),
    ("outcome_unknown", frozenset({"outcome_unknown"})),
    ("refused", frozenset({"refused"})),
    ("expired", frozenset({"held"})),
    ("reboot_required", frozenset({"reboot_required"})),
)
"""A rollout's outcome is the first of these that any host is in, else `succeeded`."""


@dataclass(frozen=True)
class Pace:
    """How fast and how carefully. Times are seconds.

    `threshold`: failed hosts that halt the rollout. `batch`: most bundles handed out between two
    looks at the log. `patience`: how long a host may be silent, and again how long an observer or
    an undo may be. `busy` and `idle`: longest time between looks without a signal, while hosts are
    under way and while waiting for people.
    """

    threshold: int = 1
    batch: int = 500
    patience: int = 1800
    busy: int = 1
    idle: int = 5


@dataclass(frozen=True)
class Facts:
    """Everything that a decision may depend on.

    `published`, `withdrawn`, `asked` say when a host's bundle was handed out, taken back, its undo
    asked for; they are our own notes, and losing them only repeats acts that are safe to repeat.
    """

    notice: str
    state: NoticeState
    rings: Sequence[Sequence[Order]]
    reports: Sequence[Report] = ()
    observations: Sequence[Observation] = ()
    failures: Sequence[Failure] = ()
    outcome: Outcome | None = None
    published: Mapping[str, int] = field(default_factory=dict)
    withdrawn: Mapping[str, int] = field(default_factory=dict)
    asked: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Publish:
    """Hand these bundles out."""

    orders: tuple[Order, ...]


@dataclass(frozen=True)
class Withdraw:
    """Take these bundles back."""

    orders: tuple[Order, ...]


@dataclass(frozen=True)
class AskUndo:
    """Ask these hosts to undo."""

    orders: tuple[Order, ...]


Act = Publish | Withdraw | AskUndo


@dataclass(frozen=True)
class Decision:
    """What to do now, and how to go on.

    `outcome` is to be recorded after the acts. `done`: nothing is left to do. `busy`: hosts are
    under way. `why` is for people.
    """

    life: Life
    why: str
    acts: tuple[Act, ...] = ()
    outcome: Outcome | None = None
    done: bool = False
    busy: bool = False


@dataclass(frozen=True)
class _Seen:
    """The facts of one rollout, looked up by host."""

    facts: Facts
    now: int
    pace: Pace
    reports: Mapping[str, Mapping[str, Report]]
    sights: Mapping[str, frozenset[str]]
    failures: frozenset[tuple[str, str]]

    def standing(self, order: Order) -> Standing:
        """Tell how far one host is."""
        since = self.facts.published.get(order.host)
        said = self.reports.get(order.host, {})
        mine = [said[c] for c in order.changes if c in said]
        sights = self.sights.get(order.host, frozenset())
        if since is None and not mine:
            return "held"
        # A lost note of when it was handed out starts the wait again.
        age = self.now - (self.now if since is None else since)
        results = {r.result for r in mine}
        if "failed" in results or "failed" in sights:
            return self._after_failure(order, mine, age)
        late = age > self.pace.patience
        if "outcome_unknown" in results:
            return "outcome_unknown"
        refused = [r for r in mine if r.result == "refused"]
        if refused and (late or not all(r.reason in PASSING for r in refused)):
            return "refused"
        if results == {"succeeded"} and len(mine) == len(order.changes):
            return self._after_success(order, mine, age)
        return "outcome_unknown" if late else "running"

    def _after_success(self, order: Order, mine: Sequence[Report], age: int) -> Standing:
        if "succeeded" not in self.sights.get(order.host, ()):
            return "outcome_unknown" if age > 2 * self.pace.patience else "observing"
        said = {r.reason for r in mine}
        return "reboot_required" if REBOOT in said and REBOOTED not in said else "succeeded"

    def _after_failure(self, order: Order, mine: Sequence[Report], age: int) -> Standing:
        said = self.reports.get(order.host, {})
        undone = [said[c] for c in order.undo if c in said]
        if order.undo and [r.result for r in undone] == ["succeeded"] * len(order.undo):
            return "undone"
        lost = any(r.result != "succeeded" and r.reason not in PASSING for r in undone)
        if lost or not order.undo or not any(r.result == "failed" for r in mine):
            return "failed"
        asked = self.facts.asked.get(order.host)
        waited = age - self.pace.patience if asked is None else self.now - asked
        return "failed" if waited > self.pace.patience else "undoing"

    def undo_due(self, order: Order) -> bool:
        """Tell whether host and observer agree that a change failed (rule 2)."""
        said = self.reports.get(order.host, {})
        return bool(order.undo) and any(
            c in said and said[c].result == "failed" and (order.host, c) in self.failures
            for c in order.changes
        )

    def begun(self, order: Order) -> bool:
        """Tell whether the host is known to have changed something, or tried."""
        said = self.reports.get(order.host, {})
        return any(c in said and said[c].result != "refused" for c in order.changes)


def _look(facts: Facts, now: int, pace: Pace) -> _Seen:
    reports: dict[str, dict[str, Report]] = {}
    for report in facts.reports:
        of = reports.setdefault(report.host, {})
        if report.change not in of or of[report.change].seq <= report.seq:
            of[report.change] = report
    sights: dict[str, set[str]] = {}
    for one in facts.observations:
        sights.setdefault(one.host, set()).add(one.result)
    failures = frozenset((f.host, f.change) for f in facts.failures)
    frozen = {host: frozenset(seen) for host, seen in sights.items()}
    return _Seen(facts, now, pace, reports, frozen, failures)


def decide(facts: Facts, now: int, pace: Pace) -> Decision:
    """Decide what to do next.

    Args:
        facts: all of them read just now.
        now: POSIX seconds.
        pace: limits.
    """
    if facts.outcome is not None:
        life: Life = next((w for w in _FINAL if w == facts.outcome.state), "outcome_unknown")
        return Decision(life, facts.outcome.detail, done=True)
    seen = _look(facts, now, pace)
    stands = [[(order, seen.standing(order)) for order in ring] for ring in facts.rings]
    flat = [pair for ring in stands for pair in ring]
    due = tuple(o for o, _ in flat if o.host not in facts.asked and seen.undo_due(o))
    undo: tuple[Act, ...] = (AskUndo(due),) if due else ()
    stop = _stopped(facts, stands, pace)
    if stop:
        return _wind_down(seen, flat, undo, stop)
    return _go_on(facts, stands, pace, undo)


_FINAL: tuple[Life, ...] = (
    "succeeded", "reboot_required", "failed", "vetoed", "expired", "refused", "outcome_unknown",
)  # fmt: skip
_Stands = Sequence[Sequence[tuple[Order, Standing]]]


def _current(stands: _Stands) -> int:
    """Give the first ring that is not all final, or the number of rings."""
    for number, ring in enumerate(stands):
        if any(stand == "held" or stand in ACTIVE for _, stand in ring):
            return number
    return len(stands)


def _stopped(facts: Facts, stands: _Stands, pace: Pace) -> str:
    """Say in a word why nothing more is handed out, empty if more may be (rules 3 and 4)."""
    count = Counter(stand for ring in stands for _, stand in ring)
    if not count["held"] and not any(count[s] for s in ACTIVE):
        return "all hosts are final"
    if facts.state.stopped:
        return facts.state.stopped
    if sum(count[s] for s in FAILED) >= pace.threshold:
        return "too many hosts failed"
    if count["held"] and facts.state.head > facts.state.not_after:
        return "not-after is past"
    current = _current(stands)
    if any(ring and all(stand == "refused" for _, stand in ring) for ring in stands[: current + 1]):
        return "every host of a ring refused"
    return ""


def _wind_down(
    seen: _Seen, flat: Sequence[tuple[Order, Standing]], undo: tuple[Act, ...], why: str
) -> Decision:
    facts = seen.facts
    count = Counter(stand for _, stand in flat)
    life: Life = "vetoed" if facts.state.stopped == why else _verdict(count)
    idle = tuple(order for order, _ in flat if not seen.begun(order))
    active = any(count[s] for s in ACTIVE)
    # At the end all are taken back once more: a frozen worker may have handed some out since.
    back = tuple(o for o in idle if o.host not in facts.withdrawn) if active else idle
    acts: tuple[Act, ...] = (*((Withdraw(back),) if back else ()), *undo)
    if active:
        return Decision(life, why, acts, busy=True)
    detail = ", ".join(f"{stand} {n}" for stand, n in sorted(count.items()))
    outcome = Outcome(facts.notice, life, f"{why}; {detail}", seen.now)
    return Decision(life, why, acts, outcome)


def _verdict(count: Mapping[Standing, int]) -> Life:
    for life, which in WORST:
        if any(count.get(stand, 0) for stand in which):
            return life
    return "succeeded"


def _go_on(facts: Facts, stands: _Stands, pace: Pace, undo: tuple[Act, ...]) -> Decision:
    number = _current(stands)
    held = [order for order, stand in stands[number] if stand == "held"]
    active = [stand for _, stand in stands[number] if stand in ACTIVE]
    shut = _shut(facts.state, number)
    before = [pair for ring in stands[:number] for pair in ring]
    if silent := [order.host for order, stand in before if stand == "outcome_unknown"]:
        shut = f"not heard of since it began: {', '.join(silent[:NAMED])}; {shut}"
    acts = undo
    if held and not shut:
        acts = (*undo, Publish(tuple(held[: pace.batch])))
    busy = bool(active) or acts != ()
    if number == 0 and not active and len(held) == len(stands[0]):
        return Decision("noticed" if shut else "cleared", shut, acts, busy=busy)
    if not held and set(active) == {"observing"}:
        return Decision("observing", "waiting for the observers", acts, busy=True)
    life: Life = "observing" if shut and not active else "executing"
    return Decision(life, shut, acts, busy=busy)


def _shut(state: NoticeState, ring: int) -> str:
    """Say why a ring's gate is shut, empty if it is open (rule 5)."""
    opens = max(state.clears or 0, state.not_before)
    shut = {
        "waiting for deliveries": state.clears is None,
        "waiting for authority": not state.authorised,
        "waiting for the window": state.head < opens,
        "not-after is past": state.head > state.not_after,
        f"waiting for the advance of ring {ring}": ring > 0 and ring not in state.advances,
        f"ring {ring} is soaking": state.head < state.advances.get(ring, 0),
    }
    return next((why for why, holds in shut.items() if holds), "")
