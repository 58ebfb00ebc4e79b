"""Getting each head cosigned by the guards, and giving readers the newest that a quorum cosigned.

A round takes the log's newest durable head and offers it to every guard at once
(c2sp.org/tlog-witness add-checkpoint: `old <size>`, consistency proof, blank line, checkpoint).

1. As soon as a quorum of lines stands, checked by the kernel's own `cosigned`, the checkpoint with
   all of them is made durable and served; until then readers keep the one they have.
2. A guard that answers 409 is asked again from the size that it names. A guard that names more than
   this log has is a sign that the log went back: it is reported, and never overwritten.
3. A guard that is down, slow or wrong holds up nobody: rounds go on without it, it is asked again
   when it has answered or given up. Nothing here is waited for by whoever appends.
4. When nothing is appended the head is offered again every `renewal` seconds, so that its
   cosignatures stay fresh.

Left out: what guards hold against a head (a swallowed veto, caps); they answer so, and it is shown.
"""

import asyncio
import base64
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import httpx

from answerable.kernel.charter import Charter
from answerable.kernel.checkpoint import CHECKPOINT, Pair, check_cosignature, cosigned
from answerable.kernel.errors import Refused, demand
from answerable.kernel.note import Note
from answerable.keys.sign import signature_line
from answerable.ledger.log import Head, Log
from answerable.ledger.proofs import TileTree, consistency

ANSWER = 65_536
"""Largest answer of a guard that is read, bytes."""
TRIES = 3
"""Requests to one guard in one round."""
_OK, _CONFLICT = 200, 409
_SIZE = re.compile(rb"(?:0|[1-9][0-9]{0,17})\n")


@dataclass(frozen=True)
class Schedule:
    """Seconds: between renewals, for one guard's answer, before a failed round, between rounds."""

    renewal: float = 60
    answer: float = 10
    again: float = 2
    floor: float = 0.05


@dataclass
class GuardView:
    """What is known of one guard: size it cosigned last, when (POSIX seconds), what is wrong."""

    size: int = 0
    time: int = 0
    trouble: str = ""


@dataclass
class _Round:
    number: int
    law: Charter
    head: Head
    lines: dict[str, str] = field(default_factory=dict)
    shown: bool = False

    def quorum(self) -> bool:
        quorum: int = self.law.quorum
        return len(self.lines) >= quorum


class _Unhelpful(Exception):
    """A guard gave no cosignature, and why."""


class Publisher:
    """Keeps one log's published checkpoint new and fresh; `run` it as a task."""

    def __init__(
        self,
        log: Log,
        law: Callable[[], Charter | None],
        client: httpx.AsyncClient,
        clock: Callable[[], int],
        schedule: Schedule | None = None,
    ) -> None:
        """Publish for a log, to the guards of the charter in force; `clock` gives POSIX seconds."""
        self.log, self._law, self._client, self._clock = log, law, client, clock
        self.guards: dict[str, GuardView] = {}
        self._schedule = schedule or Schedule()
        self._busy: dict[str, asyncio.Task[None]] = {}
        self._rounds, self._shown, self._showing = 0, (0, 0), asyncio.Lock()

    async def run(self) -> None:
        """Publish until cancelled."""
        loop, moved = asyncio.get_running_loop(), asyncio.Event()

        def woken() -> None:
            with suppress(RuntimeError):  # the loop is closed: nobody publishes any more
                loop.call_soon_threadsafe(moved.set)

        end = self.log.watch(woken)
        try:
            while True:
                moved.clear()
                good = await self.round()
                wait = self._schedule.renewal if good else self._schedule.again
                with suppress(TimeoutError):
                    await asyncio.wait_for(moved.wait(), wait)
                await asyncio.sleep(self._schedule.floor)
        finally:
            end()
            for task in self._busy.values():
                task.cancel()
            await asyncio.gather(*self._busy.values(), return_exceptions=True)

    async def round(self) -> bool:
        """Offer the newest head to every guard that is not busy; tell whether it is published."""
        law = self._law()
        if law is None:
            return False
        self._rounds += 1
        at, guards = _Round(self._rounds, law, self.log.head()), law.guards["witness"]
        pending = set[asyncio.Task[None]]()
        for guard in guards.keys() - self._busy.keys():
            self._busy[guard] = task = asyncio.create_task(self._ask(guard, at))
            task.add_done_callback(partial(self._free, guard))
            pending.add(task)
        while pending and not at.shown:
            _, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
        return at.shown

    def _free(self, guard: str, _: object) -> None:
        self._busy.pop(guard, None)

    async def _ask(self, guard: str, at: _Round) -> None:
        view = self.guards.setdefault(guard, GuardView())
        try:
            async with asyncio.timeout(self._schedule.answer):
                at.lines[guard] = await self._cosigned(guard, at, view)
            view.size, view.time, view.trouble = at.head.checkpoint.size, self._clock(), ""
            await self._show(at)
        except Refused as refusal:
            view.trouble = f"a bad cosignature: {refusal.reason} {refusal.detail}"
        except Exception as error:  # noqa: BLE001  whatever one guard does, the rounds go on
            view.trouble = str(error) or type(error).__name__

    async def _cosigned(self, guard: str, at: _Round, view: GuardView) -> str:
        url = at.law.body["guards"][guard]["url"].rstrip("/") + "/witness/add-checkpoint"
        size, old = at.head.checkpoint.size, min(view.size, at.head.checkpoint.size)
        for _ in range(TRIES):
            status, answer = await self._post(url, self._body(at.head, old))
            if status == _OK:
                return good_lines(at.head.note, answer, at.law.guards["witness"][guard])
            if status != _CONFLICT:
                raise _Unhelpful(f"answered {status}: {answer[:200].decode(errors='replace')}")
            if not _SIZE.fullmatch(answer):
                raise _Unhelpful("answered 409 without a size")
            old = int(answer)
            if old > size:
                raise _Unhelpful(f"holds size {old}, this log is at {size}: did it go back?")
        raise _Unhelpful("answered 409 again and again")

    async def _post(self, url: str, body: bytes) -> tuple[int, bytes]:
        answer = b""
        async with self._client.stream("POST", url, content=body) as response:
            async for part in response.aiter_bytes():
                answer += part
                if len(answer) > ANSWER:
                    raise _Unhelpful(f"answered more than {ANSWER} bytes")
        return response.status_code, answer

    def _body(self, head: Head, old: int) -> bytes:
        tree = TileTree(self.log.store.tile)
        proof = consistency(tree.subtree, old, head.checkpoint.size)
        lines = "".join(base64.b64encode(step).decode() + "\n" for step in proof)
        return f"old {old}\n{lines}\n".encode() + head.note

    async def _show(self, at: _Round) -> None:
        async with self._showing:
            rank = (at.number, len(at.lines))
            if not at.quorum() or rank <= self._shown:
                return
            note = at.head.note + "".join(at.lines[g] for g in sorted(at.lines)).encode()
            cosigned(note, self.log.origin, at.law.guards["witness"], at.law.quorum)
            await asyncio.to_thread(self.log.publish, note, at.head.checkpoint)
            self._shown, at.shown = rank, True


def good_lines(note: bytes, answer: bytes, pair: Pair) -> str:
    """Give a guard's two cosignature lines, checked against the checkpoint they are for.

    Raises:
        Refused: `malformed`, `too_large`, `bad_signature` or `no_quorum`.
    """
    whole = Note(note + answer, CHECKPOINT)
    _, good = whole.open(pair, check_cosignature)
    demand(len(good) == len(pair), "no_quorum", "a guard cosigns with types 4 and 6")
    ids = {(key.name, key.id): key for key in pair}
    lines = {(n, i): signature_line(ids[n, i], p) for n, i, p in whole.lines if (n, i) in ids}
    return "".join(lines.values())
