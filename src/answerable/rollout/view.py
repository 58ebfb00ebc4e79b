"""What the two logs say about one notice: the only thing a rollout believes.

A rollout keeps no truth of its own. Before it does anything it reads everything here again, so a
forged or lost signal, a forged row of the engine and a restart change nothing. The adapter reads
records whose signatures hold, up to the newest cosigned head, and raises `Unavailable` rather than
answer from half of them.

Left out: deciding whether a host may act. Each host does that for itself (kernel/verify.py); what
is asked here only avoids sending hosts what they would refuse.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from answerable.kernel.errors import Unavailable

Result = Literal["succeeded", "failed", "refused", "outcome_unknown"]
Sight = Literal["succeeded", "failed", "unreachable"]


class ViewUnavailable(Unavailable):
    """A log, or the plan that a notice names, cannot be read now."""


@dataclass(frozen=True)
class NoticeState:
    """One notice as the authority log has it. Times are POSIX seconds, of cosigned heads.

    `head` is the time that the newest head proves to be over. `clears` is when window and grace are
    over, None while too few deliveries are logged. `authorised`: the authorization it relies on is
    in force, or enough people approved. `advances`: ring (from 1) to when its soak is served.
    """

    head: int
    clears: int | None
    authorised: bool
    not_before: int
    not_after: int
    advances: Mapping[int, int]
    approvals: frozenset[str] = frozenset()
    vetoed: bool = False
    halted: bool = False
    withdrawn: bool = False

    @property
    def delivered(self) -> bool:
        """Whether the notice reached enough people."""
        return self.clears is not None

    @property
    def stopped(self) -> str:
        """Name what stops every further host, empty for nothing."""
        found = {"vetoed": self.vetoed, "halted": self.halted, "withdrawn": self.withdrawn}
        return next((word for word, holds in found.items() if holds), "")


@dataclass(frozen=True)
class Order:
    """One host's part of the plan that was noticed.

    `digest`: SHA-256 of the order's text, hex. `ring` and `place` in it count from 0.
    """

    host: str
    digest: str
    ring: int
    place: int
    changes: tuple[str, ...]
    undo: tuple[str, ...]


@dataclass(frozen=True)
class Report:
    """What a host said about one change; of two about the same the higher `seq` counts."""

    host: str
    change: str
    result: Result
    reason: str
    seq: int


@dataclass(frozen=True)
class Observation:
    """What an observer saw of one host after one change."""

    host: str
    change: str
    result: Sight


@dataclass(frozen=True)
class Failure:
    """An observer's `failure` record in the authority log, citing the host's own report."""

    host: str
    change: str


@dataclass(frozen=True)
class Outcome:
    """How a rollout ended. `state` is a final state of a change's life."""

    notice: str
    state: str
    detail: str
    time: int


class View(Protocol):
    """Read the logs. Every method raises `Unavailable` if it cannot be read in full."""

    def notice_state(self, notice: str) -> NoticeState:
        """Give what the authority log says about a notice, by its leaf hash."""

    def rings(self, notice: str) -> Sequence[Sequence[Order]]:
        """Give the orders of the plan whose digest the notice names."""

    def reports(self, notice: str) -> Sequence[Report]:
        """Give the hosts' reports, in the log's order."""

    def observations(self, notice: str) -> Sequence[Observation]:
        """Give the observers' observations, in the log's order."""

    def failures(self, notice: str) -> Sequence[Failure]:
        """Give the observers' failure records."""

    def outcome(self, notice: str) -> Outcome | None:
        """Give the first outcome recorded for a notice; later ones do not count."""

    def open_notices(self) -> Sequence[str]:
        """Give the notices that have no outcome yet, oldest first."""
