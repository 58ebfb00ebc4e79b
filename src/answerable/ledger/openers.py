"""Worker processes that open reports, so that checking signatures uses every core.

Each worker is this Python running `answerable.ledger.opening`, fed over a pipe in plain bytes. A
batch goes to the worker with the least to do, at most `DEPTH` at a time. A worker that dies takes
its batches' answers with it (the sender is told to come back) and is not used again; without
workers the server opens reports itself.
"""

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from answerable.ledger.opening import MESSAGE, Opened, Owners, Terms, question, read_answer
from answerable.ledger.store import LedgerUnavailable

DEPTH = 2
"""Batches with one worker at once: one that it opens, one that waits for it."""


class _Worker:
    def __init__(self, process: Process) -> None:
        assert process.stdin, "a worker is fed over a pipe"
        assert process.stdout, "a worker answers over a pipe"
        self.process, self._in, self._out = process, process.stdin, process.stdout
        self.waiting, self.dead = deque[asyncio.Future[bytes]](), False
        self.task = asyncio.create_task(self._listen())

    async def ask(self, asked: bytes) -> bytes:
        told: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.waiting.append(told)
        self._in.write(len(asked).to_bytes(4, "big") + asked)
        return await told

    async def _listen(self) -> None:
        with suppress(asyncio.IncompleteReadError, OSError):
            while (size := int.from_bytes(await self._out.readexactly(4), "big")) <= MESSAGE:
                found = await self._out.readexactly(size)
                if not (told := self.waiting.popleft()).done():
                    told.set_result(found)
        self.dead = True
        for told in self.waiting:
            if not told.done():
                told.set_exception(LedgerUnavailable("a worker has died; try again"))


class Openers:
    """A pool of workers; `start` it in the loop that uses it, and `close` it there."""

    def __init__(self, count: int) -> None:
        """Have so many workers."""
        self._count, self._workers = count, list[_Worker]()
        self._turns = asyncio.Semaphore(max(1, count * DEPTH))

    async def start(self) -> None:
        """Start the workers.

        Raises:
            LedgerUnavailable: if this Python cannot be started again.
        """
        command = (sys.executable, "-m", "answerable.ledger.opening")
        try:
            for _ in range(self._count):
                process = await asyncio.create_subprocess_exec(
                    *command, stdin=PIPE, stdout=PIPE, start_new_session=True
                )
                self._workers.append(_Worker(process))
        except OSError as error:
            raise LedgerUnavailable(f"cannot start `{command[0]}`: {error}") from error

    def alive(self) -> int:
        """Count the workers that can be used."""
        return sum(not worker.dead for worker in self._workers)

    async def open(self, entries: Sequence[bytes], terms: Terms, owners: Owners) -> list[Opened]:
        """Open a batch in a worker.

        Raises:
            Refused: why an entry may not enter.
            LedgerUnavailable: if the worker dies, or none is left.
        """
        async with self._turns:
            living = [worker for worker in self._workers if not worker.dead]
            if not living:
                raise LedgerUnavailable("no worker is left")
            worker = min(living, key=lambda one: len(one.waiting))
            told = await worker.ask(question(entries, terms, owners))
        return read_answer(entries, told)

    async def close(self) -> None:
        """Let the workers end."""
        for worker in self._workers:
            with suppress(ProcessLookupError):
                worker.process.terminate()
            await worker.process.wait()
            await worker.task
