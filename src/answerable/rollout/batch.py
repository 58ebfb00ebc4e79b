"""Many hosts through the engine: one engine row a batch of hosts, one small row a host and step.

For executors that go to their hosts (the pull executor needs none of this): a ring is cut into
batches, which all workers share through a queue; within a batch hosts go side by side, each
through its steps in order, and every finished step is noted in `steps.HostSteps`. After a kill a
batch is run again and skips what is noted, so at most the hosts that were under way and one flush
are repeated: a step must be safe to repeat, as `port` demands.

`stopped` is asked all the time; once it says yes no further host is begun, and hosts that have
begun finish the step they are in.

Left out: intent rows for executors whose steps are not safe to repeat.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass

from answerable.rollout.port import Engine, Json, Task
from answerable.rollout.steps import HostSteps

PARENT, CHILD, QUEUE = "hosts", "batch", "batches"
FLUSH = 0.2
"""Time between writes of notes and looks at `stopped`, seconds."""


@dataclass(frozen=True)
class Work:
    """What is done for the hosts of a rollout.

    `hosts` gives them in an order that never changes; `steps` are the steps' names; `do` takes
    rollout, host and step; `stopped` takes a rollout.
    """

    hosts: Callable[[str], Sequence[str]]
    steps: Sequence[str]
    do: Callable[[str, str, str], Awaitable[None]]
    stopped: Callable[[str], bool]


@dataclass(frozen=True)
class Width:
    """How much at once: hosts a batch, batches over all workers, hosts side by side in a batch."""

    batch: int = 500
    batches: int = 16
    hosts: int = 50


class Batches:
    """Runs `Work` for whole rollouts.

    Args:
        engine: not yet launched.
        notes: where finished steps are noted.
        work: what to do.
        clock: POSIX seconds.
        width: how much at once.
    """

    def __init__(
        self, engine: Engine, notes: HostSteps, work: Work, clock: Callable[[], int], width: Width
    ) -> None:
        self._engine = engine
        self._notes = notes
        self._work = work
        self._clock = clock
        self._width = width
        engine.register(PARENT, self._parent)
        engine.register(CHILD, self._child)
        engine.queue(QUEUE, width.batches)

    def start(self, rollout: str) -> str:
        """Start a rollout's hosts; gives the name of the work.

        Raises:
            Unavailable: the engine cannot be reached.
        """
        self._engine.start(f"{PARENT}-{rollout}", PARENT, rollout)
        return f"{PARENT}-{rollout}"

    async def _parent(self, task: Task, rollout: Json) -> Json:
        count = await task.step("count", self._count, rollout)
        children = [f"{task.id}.{start}" for start in range(0, count, self._width.batch)]
        for start, child in zip(range(0, count, self._width.batch), children, strict=True):
            await task.enqueue(QUEUE, child, CHILD, rollout, start)
        return sum([await task.result(child) for child in children])

    def _count(self, rollout: str) -> int:
        return len(self._work.hosts(rollout))

    async def _child(self, task: Task, rollout: Json, start: Json) -> Json:
        return await task.step("batch", self.run, rollout, start)

    async def run(self, rollout: str, start: int) -> int:
        """Do one batch, from its place in the rollout's hosts; gives the steps done now."""
        hosts = self._work.hosts(rollout)[start : start + self._width.batch]
        done = await asyncio.to_thread(self._notes.done, rollout, hosts)
        run = _Run(self._work, rollout, iter(hosts), done)
        flusher = asyncio.create_task(self._flush(run))
        try:
            await asyncio.gather(*(run.walk() for _ in range(min(self._width.hosts, len(hosts)))))
        finally:
            flusher.cancel()
            # Also when cancelled: what is done is noted.
            self._note(run)
        return run.count

    async def _flush(self, run: "_Run") -> None:
        while True:
            await asyncio.sleep(FLUSH)
            run.stopped = run.stopped or await asyncio.to_thread(self._work.stopped, run.rollout)
            await asyncio.to_thread(self._note, run)

    def _note(self, run: "_Run") -> None:
        fresh, run.fresh = run.fresh, []
        if fresh:
            self._notes.note_all(run.rollout, fresh, self._clock())


class _Run:
    """One run of one batch."""

    def __init__(
        self, work: Work, rollout: str, hosts: Iterator[str], done: set[tuple[str, str]]
    ) -> None:
        self.rollout = rollout
        self.fresh: list[tuple[str, str]] = []
        self.count = 0
        self.stopped = work.stopped(rollout)
        self._work = work
        self._hosts = hosts
        self._done = done

    async def walk(self) -> None:
        """Take hosts until none is left, each through its steps."""
        for host in self._hosts:
            for step in self._work.steps:
                if self.stopped:
                    return
                if (host, step) not in self._done:
                    await self._work.do(self.rollout, host, step)
                    self.fresh.append((host, step))
                    self.count += 1
