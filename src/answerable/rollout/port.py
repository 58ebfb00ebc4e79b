"""The workflow engine as the rest of the house sees it.

Rules, which every adapter keeps and `tests/rollout/test_engine.py` runs against each:

1. The caller names the work. Starting or enqueueing a name again does nothing.
2. A finished step is never run again. A step that was under way when its worker died is run again,
   so whatever a step does must be safe to do twice.
3. A signal wakes work at most once for one key, also when its worker is dead while it is sent.
4. Cancelling cancels the children too, and cancelled work is never taken up again.
5. Nothing that the engine hands back is evidence: whoever can write its tables can forge signals,
   outputs and states. What may happen to a host is read from the logs.

Left out: resuming cancelled work (a vetoed rollout must stay dead), cron schedules, versions of
workflow code (pinned to one), and retention.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from answerable.kernel.errors import Unavailable

Json = Any

State = Literal["queued", "running", "succeeded", "failed", "cancelled", "dead"]
"""`dead`: recovered too often without getting any further; nobody runs it again by itself."""

ENDED: frozenset[State] = frozenset({"succeeded", "failed", "cancelled", "dead"})


class EngineUnavailable(Unavailable):
    """The engine or its database cannot do this now, or does not know this work."""


class StepFailed(Exception):
    """A step raised; the same on the first run and when it is replayed from the database.

    Args:
        name: class name of what was raised.
        message: its text.
    """

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name = name
        self.message = message


@dataclass(frozen=True)
class Work:
    """One piece of durable work as the engine's tables describe it; not evidence.

    Times are POSIX seconds, 0 for not yet.
    """

    id: str
    name: str
    state: State
    worker: str
    created: int
    ended: int
    error: str = ""


@dataclass(frozen=True)
class Step:
    """One recorded step of some work; not evidence."""

    name: str
    output: Json
    error: str = ""


class Task(Protocol):
    """What durable work may do; given to its body as the first argument."""

    id: str

    async def step(self, name: str, act: Callable[..., Json], *args: Json) -> Json:
        """Do something once (rule 2) and remember the answer; `act` may be a coroutine function.

        Raises:
            StepFailed: it raised.
        """

    async def wait_signal(self, topic: str, until: int) -> Json:
        """Wait for the next signal until a POSIX time; give its payload, None if none came."""

    async def sleep_until(self, until: int) -> None:
        """Sleep until a POSIX time, across restarts."""

    async def enqueue(self, queue: str, work: str, name: str, *args: Json) -> None:
        """Enqueue a child, which `cancel_tree` of this work cancels too."""

    async def result(self, work: str) -> Json:
        """Wait for other work and give its answer.

        Raises:
            StepFailed: it failed, was cancelled or is dead.
        """


Body = Callable[..., Awaitable[Json]]
"""A coroutine function of a `Task` and JSON arguments; it must call its steps in the same order."""


class Engine(Protocol):
    """Durable work. Every method but `register` and `queue` raises `EngineUnavailable`."""

    def register(self, name: str, body: Body) -> None:
        """Name a body; before `launch`, the same names in every worker."""

    def queue(self, name: str, at_once: int) -> None:
        """Name a queue of which all workers together run so many at once; before `launch`."""

    def launch(self) -> None:
        """Become a worker: take up what dead workers left, then new work."""

    def close(self) -> None:
        """Stop being a worker; whatever is under way is left to the next one."""

    def start(self, work: str, name: str, *args: Json) -> None:
        """Start work; any worker may run it."""

    def enqueue(self, queue: str, work: str, name: str, *args: Json, priority: int = 1) -> None:
        """Leave work for any worker; lower priority numbers run first."""

    def signal(self, work: str, topic: str, payload: Json, key: str) -> None:
        """Wake work that waits or will wait on a topic (rule 3)."""

    def cancel_tree(self, work: str) -> None:
        """Cancel work and its children (rule 4)."""

    def find(self, prefix: str) -> list[Work]:
        """List the work whose name begins so, oldest first."""

    def status(self, work: str) -> Work | None:
        """Describe one piece of work."""

    def steps(self, work: str) -> list[Step]:
        """List the recorded steps of one piece of work, in order."""
