"""Takes a charter that names another authority log, and whatever else the log cannot bring itself.

A charter that stays in its log is handed to that log, and followed from there. One that names
another log says in `start` exactly where the old one ends: the digest of size, root and tables
there. So it vouches for every record up to that place, wherever those come from:

1. the records are this guard's own, or `given` ones, of which its own are a beginning, or which are
   a beginning of its own; anything else is `split_view`
2. folded, they must lead to the charter itself (it stands in them) or to its `start` (`bad_start`)
3. a guard that cosigned up to `BACK` records beyond that end, which too few others have, leaves
   them behind; a held veto that stood there is handed to the new log like any other

From then on the old log gets no cosignature, and stays here as it was, to be read. All of it is one
transaction. Left out: the report log, which begins anew under its new name.
"""

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple

from answerable.kernel.errors import Refused, demand
from answerable.kernel.fold import State, fold, succeed
from answerable.kernel.statement import open_charter
from answerable.witness.follower import outside_charters, records
from answerable.witness.mirror import keep
from answerable.witness.store import Store

BACK = 64
"""Most records that may be left behind."""


class Reached(NamedTuple):
    """Where a charter begins: the state there; `inside`: it stands in the records itself."""

    state: State
    inside: bool


def reach(
    entries: Sequence[bytes], note: bytes, fleet: str, outside: Sequence[tuple[int, bytes]] = ()
) -> Reached:
    """Fold records to where a charter is in force, or takes over.

    Args:
        entries: from record 0 on.
        note: the charter.
        fleet: its fleet's id.
        outside: (size, note) of charters that came from elsewhere.

    Raises:
        Refused: `bad_start`, `stale_charter`, `not_enough_people`, or what else the kernel says.
    """
    new, state = open_charter(note)[0], _folded(entries, fleet, outside)
    if state.law().id == new.id:
        return Reached(state, inside=True)
    stays = new.origin == state.law().origin
    demand(not stays, "stale_charter", "the log stays: hand it in with `answerable log submit`")
    try:
        succeed(state, note)
        return Reached(state, inside=False)
    except Refused as refusal:
        if refusal.reason != "bad_start":
            raise
    first = max(0, len(entries) - BACK)
    state = _folded(entries[:first], fleet, outside)
    for entry in entries[first:]:
        if state.charter and state.digest() == new.body["start"]:
            break
        fold(state, [entry])
    succeed(state, note)
    return Reached(state, inside=False)


def _folded(entries: Sequence[bytes], fleet: str, outside: Sequence[tuple[int, bytes]]) -> State:
    state, waiting = State(fleet), list(outside)
    for entry in entries:
        while waiting and waiting[0][0] == state.tree.size:
            succeed(state, waiting.pop(0)[1])
        fold(state, [entry])
    for size, charter in waiting:
        if size == state.tree.size:
            succeed(state, charter)
    return state


def adopt(
    store: Store, fleet: str, first: bytes, note: bytes, given: Sequence[bytes] | None
) -> tuple[int, int]:
    """Take a charter into a guard that is not running; doing it again changes nothing.

    Args:
        store: the guard's.
        fleet: its fleet's id.
        first: the fleet's first charter.
        note: the charter to take.
        given: the records of a log that has them; None for the guard's own.

    Returns: how many records the guard stands on now, and how many of its own it left behind.

    Raises:
        Refused: `split_view`, or why it may not be obeyed; nothing is changed then.
    """
    with store.write() as db:
        if not outside_charters(db):
            db.execute("INSERT INTO charter(size, data) VALUES (0,?)", (first,))
        own, outside = records(db), outside_charters(db)
        entries = own if given is None or len(given) < len(own) else given
        other = given if entries is own else own
        same = list(entries[: len(other or ())]) == list(other or ())
        demand(same, "split_view", "these records are not those that this guard has followed")
        state, inside = reach(entries, note, fleet, outside)
        size = state.tree.size
        if not inside:
            db.execute("INSERT INTO charter(size, data) VALUES (?,?)", (size, note))
        _rest(db, state.law().origin, entries[:size], min(len(own), size))
        _reopen(db, state, size)
    return size, max(0, len(own) - size)


def _rest(db: sqlite3.Connection, origin: str, entries: Sequence[bytes], own: int) -> None:
    row = db.execute("SELECT origin FROM authority").fetchone()
    if row != (origin,):
        own = 0
        db.execute("DELETE FROM entry WHERE origin=?", (origin,))
        db.execute("DELETE FROM tile WHERE origin=?", (origin,))
    keep(db, origin, own, list(entries[own:]))
    db.execute("DELETE FROM authority")
    db.execute("INSERT INTO authority VALUES (?)", (origin,))


def _reopen(db: sqlite3.Connection, state: State, size: int) -> None:
    # What was said beyond the end was not said.
    db.execute("DELETE FROM folded")
    db.execute("DELETE FROM host WHERE since>=?", (size,))
    for (held,) in db.execute("SELECT id FROM held").fetchall():
        if held not in state.seen:
            db.execute("DELETE FROM sent WHERE id=? AND peer='log'", (held,))
