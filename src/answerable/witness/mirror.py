"""Keeps and serves what stands behind the heads that the guard cosigned (C2SP tlog-tiles).

Rules:

1. The mirror pulls: records are fetched from the log as tiles, and are served only when they led
   to a root that the log signed and this guard cosigned (docs/adr/0010-mirror-pulls.md).
2. The authority log's records are kept with the head, in one transaction (follower.py). The report
   log's are fetched in the background; a log that gives others than it signed is a finding.
3. Tiles are rows that only grow, so a partial tile is a prefix of its row.

`GET /mirror/<hex sha256(origin)>/checkpoint` is the newest checkpoint whose records are all here.

Left out: deletion; a mirror keeps everything from record 0.
"""

import sqlite3
from dataclasses import dataclass
from hashlib import sha256
from struct import pack

from answerable.kernel.merkle import EMPTY, HASH, Tree, leaf_hash, node_hash
from answerable.witness.log import Log
from answerable.witness.store import Store, head_of
from answerable.witness.tiles import SPAN, read_path
from answerable.witness.wire import Finding

PULL = 4096
"""Records that are fetched and kept in one transaction, so that nobody waits long for it."""
_BITS = 8


def log_name(origin: str) -> str:
    """Give the name of a log in paths: the SHA-256 of its origin, in hex."""
    return sha256(origin.encode()).hexdigest()


@dataclass(frozen=True)
class Extent:
    """How much of a log is here: `size` records kept, `verified` of them led to a signed root."""

    size: int
    verified: int
    note: bytes


def extent(db: sqlite3.Connection, origin: str) -> Extent:
    """Say how much of a log is kept."""
    ask = "SELECT size, verified, note FROM mirrored WHERE origin=?"
    row = db.execute(ask, (origin,)).fetchone()
    return Extent(*row) if row else Extent(0, 0, b"")


def keep(db: sqlite3.Connection, origin: str, start: int, entries: list[bytes]) -> None:
    """Append records and the tile hashes that they complete, within a transaction."""
    rows = [(origin, start + n, entry) for n, entry in enumerate(entries)]
    db.executemany("INSERT INTO entry VALUES (?,?,?)", rows)
    level, at, hashes = 0, start, [leaf_hash(entry) for entry in entries]
    while hashes:
        above = []
        for number in range(at // SPAN, (at + len(hashes) - 1) // SPAN + 1):
            first = max(number * SPAN, at)
            part = hashes[first - at : number * SPAN + SPAN - at]
            data = _row(db, origin, level, number)[: (first - number * SPAN) * HASH]
            data += b"".join(part)
            db.execute("REPLACE INTO tile VALUES (?,?,?,?)", (origin, level, number, data))
            if len(data) == SPAN * HASH:
                above.append(Tree([data]).root())
        level, at, hashes = level + 1, at // SPAN, above


def settle(db: sqlite3.Connection, origin: str, size: int, note: bytes) -> None:
    """Say that all `size` records led to the root of this checkpoint note."""
    db.execute("REPLACE INTO mirrored VALUES (?,?,?,?)", (origin, size, size, note))


def _row(db: sqlite3.Connection, origin: str, level: int, number: int) -> bytes:
    ask = "SELECT data FROM tile WHERE origin=? AND level=? AND number=?"
    row = db.execute(ask, (origin, level, number)).fetchone()
    return bytes(row[0]) if row else b""


def root_of(db: sqlite3.Connection, origin: str, size: int) -> bytes:
    """Compute the root of the first `size` records from the tiles."""
    root, end = b"", size
    for height in range(size.bit_length()):
        if not size >> height & 1:
            continue
        end -= 1 << height
        level, inner = divmod(height, _BITS)
        number, at = divmod(end >> _BITS * level, SPAN)
        data = _row(db, origin, level, number)[at * HASH : (at + (1 << inner)) * HASH]
        peak = Tree([data]).root()
        root = node_hash(peak, root) if root else peak
    return root or EMPTY


def _cut(db: sqlite3.Connection, origin: str, size: int) -> None:
    db.execute("DELETE FROM entry WHERE origin=? AND number>=?", (origin, size))
    ask = "SELECT level, number, data FROM tile WHERE origin=? AND (number+1)*? > ? >> (8*level)"
    for level, number, data in db.execute(ask, (origin, SPAN, size)).fetchall():
        left = max((size >> _BITS * level) - number * SPAN, 0)
        row = (data[: left * HASH], origin, level, number)
        db.execute("UPDATE tile SET data=? WHERE origin=? AND level=? AND number=?", row)


class Mirror:
    """Serves the records of the logs, and fetches those that no head brought along."""

    def __init__(self, store: Store) -> None:
        """Serve from a guard's store."""
        self._store = store

    def pull(self, origin: str, log: Log) -> Finding | None:
        """Fetch the next records of a log, up to the head that the guard cosigned last.

        Returns: None, or a finding if the records are not those that the log signed.

        Raises:
            GuardUnavailable: if the log does not give them.
        """
        with self._store.read() as db:
            have, head = extent(db, origin), head_of(db, origin)
        end = min(head.size, have.size + PULL)
        entries = log.entries(have.size, end, head.size) if end > have.size else []
        with self._store.write() as db:
            if extent(db, origin).size != have.size or (not entries and have.note == head.note):
                return None
            keep(db, origin, have.size, entries)
            if end < head.size:
                row = (origin, end, have.verified, have.note)
                db.execute("REPLACE INTO mirrored VALUES (?,?,?,?)", row)
            elif root_of(db, origin, end) == head.root:
                settle(db, origin, end, head.note)
            else:
                _cut(db, origin, have.verified)
                row = (origin, have.verified, have.verified, have.note)
                db.execute("REPLACE INTO mirrored VALUES (?,?,?,?)", row)
                detail = f"the records of `{origin}` do not lead to its root of size {end}"
                return Finding("split_view", detail)
        return None

    def behind(self, origin: str) -> int:
        """Say how many records of the head that the guard cosigned last are not here yet."""
        with self._store.read() as db:
            return head_of(db, origin).size - extent(db, origin).size

    def origins(self) -> list[str]:
        """Name the logs of which something is here."""
        with self._store.read() as db:
            return [origin for (origin,) in db.execute("SELECT origin FROM mirrored")]

    def checkpoint(self, origin: str) -> bytes | None:
        """Give the newest checkpoint note whose records are all here."""
        with self._store.read() as db:
            have, head = extent(db, origin), head_of(db, origin)
        return (head.note if head.size == have.verified else have.note) or None

    def get(self, origin: str, path: str) -> bytes | None:
        """Give a tile or bundle, or None."""
        wanted = read_path(path)
        if wanted is None:
            return None
        level, number, width = wanted
        with self._store.read() as db:
            have = extent(db, origin).verified >> _BITS * max(level, 0)
            if number * SPAN + width > have:
                return None
            if level >= 0:
                return _row(db, origin, level, number)[: width * HASH]
            first = number * SPAN
            ask = "SELECT data FROM entry WHERE origin=? AND number>=? AND number<? ORDER BY number"
            rows = db.execute(ask, (origin, first, first + width)).fetchall()
        return b"".join(pack(">H", len(data)) + data for (data,) in rows)

    def entries(self, origin: str) -> list[bytes]:
        """Give every record kept of a log, in order."""
        ask = "SELECT data FROM entry WHERE origin=? ORDER BY number"
        with self._store.read() as db:
            return [data for (data,) in db.execute(ask, (origin,))]
