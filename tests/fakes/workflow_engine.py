"""A workflow engine in memory that keeps the rules of `rollout.port` and runs when it is told to.

`pump` runs all work as far as it goes, each time from the beginning with its recorded steps played
back, so every pump is also a recovery. `Killed`, raised by whatever a step touches, ends the worker
as a kill would: nothing of that step is recorded.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from inspect import iscoroutinefunction

from answerable.rollout.port import (
    ENDED,
    Body,
    EngineUnavailable,
    Json,
    State,
    Step,
    StepFailed,
    Work,
)


class Killed(BaseException):
    """The worker died here."""


class _Suspended(BaseException):
    """The body waits."""


@dataclass
class _Row:
    """One piece of work, as its table would have it."""

    id: str
    name: str
    args: tuple[Json, ...]
    created: int
    parent: str = ""
    state: State = "queued"
    ended: int = 0
    answer: Json = None
    error: str = ""
    steps: list[Step] = field(default_factory=list)
    until: dict[int, int] = field(default_factory=dict)
    signals: dict[str, list[Json]] = field(default_factory=dict)
    keys: set[tuple[str, str]] = field(default_factory=set)


class _Task:
    """One run of one piece of work."""

    def __init__(self, engine: "FakeEngine", row: _Row) -> None:
        self.id = row.id
        self._engine = engine
        self._row = row
        self._at = 0

    def _recorded(self) -> Step | None:
        self._at += 1
        return self._row.steps[self._at - 1] if self._at <= len(self._row.steps) else None

    async def step(self, name: str, act: Callable[..., Json], *args: Json) -> Json:
        found = self._recorded()
        if found is None:
            try:
                answer = await act(*args) if iscoroutinefunction(act) else act(*args)
                found = Step(name, answer)
            except Exception as error:  # noqa: BLE001  whatever a step raises is recorded
                found = Step(name, [type(error).__name__, str(error)], "failed")
            self._row.steps.append(found)
        if found.error:
            raise StepFailed(*found.output)
        return found.output

    async def wait_signal(self, topic: str, until: int) -> Json:
        found = self._recorded()
        if found is not None:
            return found.output
        until = self._row.until.setdefault(self._at, until)
        waiting = self._row.signals.get(topic, [])
        if not waiting and self._engine.clock() < until:
            raise _Suspended
        payload = waiting.pop(0) if waiting else None
        self._row.steps.append(Step("wait", payload))
        return payload

    async def sleep_until(self, until: int) -> None:
        await self.wait_signal("", until)

    async def enqueue(self, queue: str, work: str, name: str, *args: Json) -> None:
        del queue
        if self._recorded() is None:
            self._engine.add(work, name, args, parent=self.id)
            self._row.steps.append(Step("enqueue", work))

    async def result(self, work: str) -> Json:
        row = self._engine.rows[work]
        if row.state not in ENDED:
            raise _Suspended
        if row.state != "succeeded":
            raise StepFailed(row.state, row.error)
        return row.answer


class FakeEngine:
    """`port.Engine` in memory; the rows outlive `close` and can be given to the next one."""

    def __init__(self, clock: Callable[[], int], rows: dict[str, _Row] | None = None) -> None:
        self.clock = clock
        self.rows: dict[str, _Row] = {} if rows is None else rows
        self._bodies: dict[str, Body] = {}

    def register(self, name: str, body: Body) -> None:
        """See the port."""
        assert name not in self._bodies
        self._bodies[name] = body

    def queue(self, name: str, at_once: int) -> None:
        """See the port."""

    def launch(self) -> None:
        """See the port."""

    def close(self) -> None:
        """See the port."""

    def add(self, work: str, name: str, args: tuple[Json, ...], parent: str = "") -> None:
        """See the port."""
        assert name in self._bodies
        self.rows.setdefault(work, _Row(work, name, args, self.clock(), parent))

    def start(self, work: str, name: str, *args: Json) -> None:
        """See the port."""
        self.add(work, name, args)

    def enqueue(self, queue: str, work: str, name: str, *args: Json, priority: int = 1) -> None:
        """See the port."""
        self.add(work, name, args)

    def signal(self, work: str, topic: str, payload: Json, key: str) -> None:
        """See the port."""
        if work not in self.rows:
            raise EngineUnavailable(f"no work `{work}`")
        row = self.rows[work]
        if (topic, key) not in row.keys:
            row.keys.add((topic, key))
            row.signals.setdefault(topic, []).append(payload)

    def cancel_tree(self, work: str) -> None:
        """See the port."""
        row = self.rows[work]
        if row.state not in ENDED:
            row.state, row.ended = "cancelled", self.clock()
        for child in [r.id for r in self.rows.values() if r.parent == work]:
            self.cancel_tree(child)

    def find(self, prefix: str) -> list[Work]:
        """See the port."""
        return [self._work(row) for row in self.rows.values() if row.id.startswith(prefix)]

    def status(self, work: str) -> Work | None:
        """See the port."""
        return self._work(self.rows[work]) if work in self.rows else None

    def steps(self, work: str) -> list[Step]:
        """See the port."""
        return list(self.rows[work].steps)

    @staticmethod
    def _work(row: _Row) -> Work:
        return Work(row.id, row.name, row.state, "fake", row.created, row.ended, row.error)

    def pump(self) -> None:
        """Run all work as far as it goes now.

        Raises:
            Killed: the worker died on the way.
        """
        for row in list(self.rows.values()):
            if row.state not in ENDED:
                asyncio.run(self._run(row))

    async def _run(self, row: _Row) -> None:
        row.state = "running"
        try:
            row.answer = await self._bodies[row.name](_Task(self, row), *row.args)
        except _Suspended:
            return
        except Exception as error:  # noqa: BLE001  whatever a body raises is its end
            row.error = str(error)
        # It may have been cancelled by what it did itself.
        if row.state == "running":
            row.state, row.ended = ("failed" if row.error else "succeeded"), self.clock()
