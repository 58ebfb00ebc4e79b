"""Follows the authority log: fetches what stands behind a head, judges it, folds it.

Before the guard cosigns a head of the authority log, in this order:

1. the records after the last cosigned head are fetched, and lead to the root that the log signed;
2. they keep the charter's size and rate caps (caps.py);
3. no veto or halt that the guard has held for longer than `veto_hold` is missing.

Then records and head are kept in one transaction, and folded before the cosignature leaves. After
a restart the fold goes on from the one kept last (folded.py), with the charters that came from
elsewhere at the places where they came. Hosts' questions are answered from this state, so a guard
never vouches for less than it has cosigned.

Left out: the report log, of which a guard checks consistency alone (witness.py, mirror.py).
"""

import copy
import sqlite3
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from answerable.kernel.charter import Charter
from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.fold import State, fold, succeed
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.witness import caps, folded
from answerable.witness.consistency import root_with
from answerable.witness.log import Log
from answerable.witness.mirror import keep, settle
from answerable.witness.store import Kept, Store
from answerable.witness.wire import Finding, Settings

T = TypeVar("T")
_CHARTER = b'"type":"charter","version":1}'


class Holds(Protocol):
    """Who knows the vetoes that were handed to this guard (post.py)."""

    def overdue(self, law: Charter, seen: Callable[[str], bool], now: int) -> Finding | None:
        """Name one held longer than allowed and not `seen` in the log, by statement id."""


@dataclass
class Step:
    """The records between the state and a head; `counted` once they were judged."""

    start: int
    entries: list[bytes]
    counted: caps.Batch = field(default_factory=caps.Batch)


class Follower:
    """The state of the authority log as this guard has cosigned it."""

    def __init__(self, store: Store, fleet: str, settings: Settings, holds: Holds) -> None:
        """Fold what the store holds."""
        self._store, self._settings, self._holds = store, settings, holds
        self._lock = threading.RLock()
        self._state, self._saved = State(fleet), 0
        self._rebuild()

    def _rebuild(self) -> None:
        with self._store.read() as db:
            self._state = folded.load(db, self._state.fleet) or self._state
            self._saved = self._state.tree.size
            outside = [row for row in outside_charters(db) if row[0] >= self._saved]
            entries = records(db, self._saved)
        for entry in entries:
            while outside and outside[0][0] == self._state.tree.size:
                succeed(self._state, outside.pop(0)[1])
            fold(self._state, [entry])
        for _, data in outside:
            succeed(self._state, data)

    @contextmanager
    def still(self) -> Iterator[None]:
        """Let the state stand still while a head is judged, kept and folded."""
        with self._lock:
            yield

    def look(self, ask: Callable[[State], T]) -> T:
        """Ask the state something while it stands still; what is returned must not share it."""
        with self._lock:
            return ask(self._state)

    def succeed(self, charter: bytes) -> None:
        """Take a charter into force that did not come from the log.

        Raises:
            Refused: if it may not be obeyed.
        """
        with self._lock, self._store.write() as db:
            row = (self._state.tree.size, charter)
            db.execute("INSERT INTO charter(size, data) VALUES (?,?)", row)
            db.execute("DELETE FROM folded")
            succeed(self._state, charter)
            self._saved = 0

    def origin(self) -> str:
        """Give the origin of the authority log in force (`Refused` if no charter is)."""
        return self.look(lambda state: state.law().origin)

    def fetch(self, checkpoint: Checkpoint, log: Log) -> Step:
        """Fetch what is new in a head, without holding anybody up.

        Raises:
            GuardUnavailable: if the log does not give it.
        """
        start, size = self.look(lambda s: s.tree.size), checkpoint.size
        return Step(start, log.entries(start, size, size) if size > start else [])

    def judge(self, checkpoint: Checkpoint, step: Step, last: Kept, now: int) -> Finding | None:
        """Say what keeps the guard from cosigning a head (called within `still`)."""
        tree, leaves = self._state.tree, [leaf_hash(entry) for entry in step.entries]
        here = (step.start, step.start + len(leaves)) == (tree.size, checkpoint.size)
        if not here or root_with(tree, leaves) != checkpoint.root:
            detail = f"the records do not lead to the root of size {checkpoint.size}"
            return Finding("split_view", detail)
        law = self._count(step)
        step.counted.idle = now - last.time
        with self._store.read() as db:
            found = step.counted.over(caps.accepted(db, now), law, self._settings)
        return found or self._overdue(law, step.counted.ids, now)

    def _count(self, step: Step) -> Charter | None:
        state, step.counted = self._state, caps.Batch()
        if state.charter is None or any(map(_is_charter, step.entries)):
            # Rare: the rules change within these records, so they are tried on a copy.
            tree = Tree([bytes(state.tree.levels[0])])
            state = State(state.fleet, copy.deepcopy(state.tables), tree)
        for entry in step.entries:
            if state is not self._state:
                before = state.charter
                good = fold(state, [entry]) == [None]
                if _is_charter(entry) and good:
                    continue
                step.counted.look(entry, before, state.fleet)
            else:
                step.counted.look(entry, state.charter, state.fleet)
        charter: Charter | None = state.charter
        return charter

    def _overdue(self, law: Charter | None, ids: set[str], now: int) -> Finding | None:
        if law is None:
            return None
        return self._holds.overdue(law, lambda name: name in ids or name in self._state.seen, now)

    def overdue(self, now: int) -> Finding | None:
        """Say whether the log, as it was cosigned last, leaves out a veto for too long."""
        return self.look(lambda s: self._overdue(s.charter, set(), now))

    def keep(self, db: sqlite3.Connection, step: Step, note: bytes, now: int) -> None:
        """Keep judged records, within the transaction that keeps their head."""
        origin, size = self.origin(), step.start + len(step.entries)
        _move(db, origin)
        keep(db, origin, step.start, step.entries)
        settle(db, origin, size, note)
        caps.accept(db, step.counted, now)

    def fold(self, entries: Iterable[bytes]) -> None:
        """Fold records that were kept (called within `still`)."""
        fold(self._state, entries)

    def save(self, step: int = folded.STEP) -> None:
        """Keep the fold, if `step` records came since it was kept last."""
        with self._lock:
            if self._state.tree.size - self._saved >= step:
                with self._store.write() as db:
                    folded.save(db, self._state)
                self._saved = self._state.tree.size


_COPIES = (
    "INSERT INTO entry SELECT ?, number, data FROM entry WHERE origin=?",
    "INSERT INTO tile SELECT ?, level, number, data FROM tile WHERE origin=?",
)


def _is_charter(entry: bytes) -> bool:
    return entry.rpartition(b"\n\n")[0].endswith(_CHARTER)


def records(db: sqlite3.Connection, start: int = 0) -> list[bytes]:
    """Give the records kept of the authority log, from `start` on."""
    ask = "SELECT data FROM entry JOIN authority USING (origin) WHERE number>=? ORDER BY number"
    return [data for (data,) in db.execute(ask, (start,))]


def outside_charters(db: sqlite3.Connection) -> list[tuple[int, bytes]]:
    """Give the charters that did not come from the log, with the sizes at which they came."""
    return db.execute("SELECT size, data FROM charter ORDER BY number").fetchall()


def _move(db: sqlite3.Connection, origin: str) -> None:
    row = db.execute("SELECT origin FROM authority").fetchone()
    if row == (origin,):
        return
    if row:
        # A charter that names another authority log starts it with the old one's records.
        for copy_rows in _COPIES:
            db.execute(copy_rows, (origin, *row))
    db.execute("DELETE FROM authority")
    db.execute("INSERT INTO authority VALUES (?)", (origin,))
