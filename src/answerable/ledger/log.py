"""One log: group commit, and a signed checkpoint for every commit.

Many callers submit; one thread takes what waits (up to `Pace`) and hashes it, one signs the new
head, one makes both durable, and only then are callers told their index and readers shown the head.
While one batch settles, which costs the disk's time, the next is hashed and signed, which costs the
processor's: ML-DSA alone is longer than an fsync. No more than that is under way, so that what
arrives meanwhile becomes one batch.

1. Nothing leaves before it is durable: no index, no checkpoint.
2. Heads are signed in one thread, each grown from the one before, so no two contradict each other.
   If a write fails, heads signed after it were shown to nobody, and the log stops for good; opened
   again, it goes on from what is durable.
3. On opening, the tiles must give the root of the stored head, which must bear the log's own
   signatures; otherwise `LedgerDamaged`.

Left out: what may enter (admission.py), and telling guards (publish.py).
"""

from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from queue import Queue
from threading import Condition, Thread
from typing import NamedTuple, Self

from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.errors import Refused
from answerable.kernel.note import ENTRY
from answerable.ledger.frontier import Frontier
from answerable.ledger.heads import Signers, open_head, own_keys, sign_head
from answerable.ledger.store import (
    Commit,
    LedgerDamaged,
    LedgerUnavailable,
    Store,
    Stored,
    Tile,
)


class LedgerBusy(LedgerUnavailable):
    """More waits to be written than the log allows; try again shortly."""


@dataclass(frozen=True)
class Pace:
    """How much one commit takes, and how much may wait: entries and bytes."""

    entries: int = 1_024
    size: int = 8 << 20
    waiting: int = 65_536
    waiting_size: int = 64 << 20


class Head(NamedTuple):
    """A durable head: the checkpoint, and the note with the log's two signatures."""

    checkpoint: Checkpoint
    note: bytes


@dataclass(frozen=True)
class _Waiting:
    entries: Sequence[bytes]
    size: int
    index: "Future[int]"


class _Sealed(NamedTuple):
    first: int
    entries: Sequence[bytes]
    tiles: Sequence[Tile]
    head: "Future[Head]"
    waiting: list[_Waiting]


class Log:
    """An open log; `close` it, or use it in a `with`."""

    def __init__(
        self,
        store: Store,
        origin: str,
        signers: Signers,
        clock: Callable[[], int],
        pace: Pace | None = None,
    ) -> None:
        """Open the log that a store keeps, or begin it; `clock` gives POSIX seconds.

        Raises:
            LedgerDamaged: if tiles and head do not belong together, or to this log.
            LedgerUnavailable: if the store cannot be used.
        """
        self.store, self.origin, self._signers, self._clock = store, origin, signers, clock
        self.keys, self._pace = own_keys(origin, signers), pace or Pace()
        self._frontier, self._head = self._load()
        self._published = store.published()
        self._queue, self._count, self._bytes = deque[_Waiting](), 0, 0
        self._changed, self._closing = Condition(), False
        self._failure: LedgerUnavailable | None = None
        self._ready: Queue[_Sealed | None] = Queue(maxsize=1)
        self._signing = ThreadPoolExecutor(1, "sign")
        self._watchers: list[Callable[[], None]] = []
        self._threads = [Thread(target=run, daemon=True) for run in (self._seal, self._settle)]
        for thread in self._threads:
            thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def head(self) -> Head:
        """Give the newest durable head."""
        return self._head

    def submit(self, entries: Sequence[bytes]) -> "Future[int]":
        """Append entries in a row; the future gives the index of the first, once durable.

        Raises:
            LedgerBusy: if too much is waiting.
            LedgerUnavailable: if the log has stopped. The future raises it if writing fails.
        """
        size = sum(map(len, entries))
        assert 0 < len(entries) <= self._pace.entries, f"{len(entries)} entries at once"
        assert max(map(len, entries)) <= ENTRY, "an entry that no bundle can hold"
        waiting = _Waiting(entries, size, Future())
        waiting.index.set_running_or_notify_cancel()
        with self._changed:
            if self._failure or self._closing:
                raise self._failure or LedgerUnavailable("the log is closed")
            full = self._count + len(entries) > self._pace.waiting
            if full or self._bytes + size > self._pace.waiting_size:
                raise LedgerBusy(f"{self._count} entries wait to be written; try again")
            self._queue.append(waiting)
            self._count += len(entries)
            self._bytes += size
            self._changed.notify()
        return waiting.index

    def append(self, entries: Sequence[bytes]) -> int:
        """Append entries in a row and wait until they are durable; give the first one's index."""
        return self.submit(entries).result()

    def published(self) -> bytes:
        """Give the checkpoint that readers are given, empty before the first."""
        return self._published

    def publish(self, note: bytes, checkpoint: Checkpoint) -> None:
        """Give readers this cosigned checkpoint from now on."""
        assert checkpoint.size <= self._head.checkpoint.size, "published before it was durable"
        self.store.publish(note)
        self._published = note

    def watch(self, woken: Callable[[], None]) -> Callable[[], None]:
        """Call `woken` after each commit, in the writing thread; what is given back ends that."""
        self._watchers.append(woken)

        def end() -> None:
            with suppress(ValueError):
                self._watchers.remove(woken)

        return end

    def failure(self) -> LedgerUnavailable | None:
        """Say why the log has stopped, None while it runs."""
        return self._failure

    def close(self) -> None:
        """Write what waits, then stop; the store stays open."""
        with self._changed:
            self._closing = True
            self._changed.notify()
        for thread in self._threads:
            thread.join()
        self._signing.shutdown()

    def _load(self) -> tuple[Frontier, Head]:
        stored, keys = self.store.head(), self.keys
        if stored is None:
            empty = Frontier()
            head = self._sign(Checkpoint(self.origin, empty.size, empty.root()))
            at = Stored(0, head.checkpoint.root, head.note)
            self.store.commit(Commit(0, (), (), at))
            return empty, head
        frontier = Frontier.load(stored.size, self.store.tile)
        try:
            checkpoint = open_head(stored.note, self.origin, keys)
        except Refused as refusal:
            how = f"the head is not this log's: {refusal}; new keys need `answerable log charter`"
            raise LedgerDamaged(stored.size, how) from refusal
        same = (checkpoint.size, checkpoint.root) == (stored.size, stored.root)
        if not same or frontier.root() != stored.root:
            raise LedgerDamaged(stored.size, "the tiles do not give the root of the stored head")
        return frontier, Head(checkpoint, stored.note)

    def _sign(self, checkpoint: Checkpoint) -> Head:
        return Head(checkpoint, sign_head(checkpoint, self._clock(), self._signers))

    def _take(self) -> list[_Waiting]:
        taken, count, size = list[_Waiting](), 0, 0
        with self._changed:
            while not self._queue and not self._closing:
                self._changed.wait()
            while self._queue:
                first = self._queue[0]
                count, size = count + len(first.entries), size + first.size
                if taken and (count > self._pace.entries or size > self._pace.size):
                    break
                taken.append(self._queue.popleft())
                self._count -= len(first.entries)
                self._bytes -= first.size
        return taken

    def _seal(self) -> None:
        taken: list[_Waiting] = []
        try:
            while taken := self._take():
                entries = [entry for waiting in taken for entry in waiting.entries]
                old = self._frontier.size
                leaves = [sha256(b"\x00" + entry).digest() for entry in entries]
                tiles = self._frontier.extend(leaves)
                new = Checkpoint(self.origin, self._frontier.size, self._frontier.root())
                head = self._signing.submit(self._sign, new)
                self._ready.put(_Sealed(old, entries, tiles, head, taken))
        except Exception as error:  # noqa: BLE001  callers must be told, whatever it was
            self._stop(error, taken)
        self._ready.put(None)

    def _settle(self) -> None:
        while sealed := self._ready.get():
            try:
                if self._failure:
                    raise self._failure
                head = sealed.head.result()
                stored = Stored(head.checkpoint.size, head.checkpoint.root, head.note)
                self.store.commit(Commit(sealed.first, sealed.entries, sealed.tiles, stored))
            except Exception as error:  # noqa: BLE001  callers must be told, whatever it was
                self._stop(error, sealed.waiting)
                continue
            self._head, index = head, sealed.first
            for waiting in sealed.waiting:
                waiting.index.set_result(index)
                index += len(waiting.entries)
            for woken in list(self._watchers):
                woken()

    def _stop(self, error: Exception, taken: list[_Waiting]) -> None:
        with self._changed:
            if self._failure is None:
                self._failure = LedgerUnavailable(f"the log `{self.origin}` has stopped: {error}")
                self._failure.__cause__ = error
            self._closing, failed = True, [*taken, *self._queue]
            self._queue.clear()
            self._changed.notify()
        for waiting in failed:
            waiting.index.set_exception(self._failure)
