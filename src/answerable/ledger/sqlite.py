"""A log in one SQLite file: WAL, synchronous FULL, one transaction a commit.

Tables: `entries(id, sizes, records)`, one row for up to 64 records of one commit: the index of the
first, their lengths as u16 big-endian, their bytes one after another (a row a record takes a third
longer); `tiles(id, hashes)`, one row a tile, `id` = level << 48 | index, the last tile of a level
shorter than 8,192 bytes; `head` and `published`, one row each.

WAL with synchronous FULL syncs the log file before a commit returns
(sqlite.org/pragma.html#pragma_synchronous); the settings are read back and anything less is
refused. A lock file beside it keeps a second process out; the head row is compared and swapped all
the same.

Left out: repair. A file that SQLite cannot read is replaced from an export or a guard's mirror.
"""

import fcntl
import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from itertools import accumulate, chain, pairwise
from pathlib import Path
from struct import pack, unpack
from typing import Any

from answerable.ledger.store import Commit, LedgerDamaged, LedgerUnavailable, Stored

FORMAT = 2
PAGE = 8192
"""SQLite page, bytes; a dozen records each, the fastest of those measured."""
BUSY = 5.0
"""Longest wait for another connection's lock, seconds."""
RECORDS = 64
"""Records in one row."""
ROWS = 16
"""Rows that one statement adds."""
_FULL = 2
_INSERT_ONE = "INSERT INTO entries VALUES(?, ?, ?)"
_INSERT_MANY = "INSERT INTO entries VALUES" + ", ".join(["(?, ?, ?)"] * ROWS)
_SELECT = """
SELECT id, sizes, records FROM entries
WHERE id < ? AND id >= coalesce((SELECT max(id) FROM entries WHERE id <= ?), 0) ORDER BY id"""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS entries(
  id INTEGER PRIMARY KEY, sizes BLOB NOT NULL, records BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS tiles(id INTEGER PRIMARY KEY, hashes BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS head(
  id INTEGER PRIMARY KEY CHECK (id = 0),
  size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS published(
  id INTEGER PRIMARY KEY CHECK (id = 0), note BLOB NOT NULL) STRICT;
INSERT OR IGNORE INTO head VALUES(0, 0, x'', x'');
INSERT OR IGNORE INTO published VALUES(0, x'');
"""


@contextmanager
def failing(path: Path) -> Iterator[None]:
    """Turn SQLite's failures into ours."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise LedgerUnavailable(
            f"the store `{path}` failed: {error}; see disk and rights"
        ) from error


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """Open a file with our settings, and make sure that they hold.

    Raises:
        LedgerUnavailable: if the file system or SQLite cannot give WAL with synchronous FULL.
    """
    with failing(path):
        base = sqlite3.connect(path, timeout=BUSY, isolation_level=None, check_same_thread=False)
        base.execute(f"PRAGMA page_size={PAGE}")
        (mode,) = base.execute("PRAGMA journal_mode=WAL").fetchone()
        base.execute("PRAGMA synchronous=FULL")
        (level,) = base.execute("PRAGMA synchronous").fetchone()
        base.execute(f"PRAGMA query_only={int(readonly)}")
    if (mode, level) != ("wal", _FULL):
        raise LedgerUnavailable(f"`{path}` gives journal `{mode}`, synchronous `{level}`")
    return base


@contextmanager
def transaction(base: sqlite3.Connection) -> Iterator[sqlite3.Connection]:
    """Do all of it or nothing; durable when it is left."""
    base.execute("BEGIN IMMEDIATE")
    try:
        yield base
        base.execute("COMMIT")
    except BaseException:
        with suppress(sqlite3.Error):
            base.execute("ROLLBACK")
        raise


class SqliteStore:
    """The adapter of `Store`."""

    def __init__(self, path: Path, *, readonly: bool = False) -> None:
        """Open or make a store; read-only it takes no lock and can stand beside the writer.

        Raises:
            LedgerUnavailable: if it cannot be opened durably, or another process writes to it.
        """
        self.path = path
        self._lock: int | None = None
        self._readers, self._writing = threading.local(), threading.Lock()
        self._opened: list[sqlite3.Connection] = []
        if readonly:
            if not path.is_file():
                raise LedgerUnavailable(f"no log at `{path}`; give the folder of the log server")
            return
        try:
            self._begin()
        except LedgerUnavailable:
            self.close()
            raise

    def _begin(self) -> None:
        with failing(self.path):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._lock = _exclusive(self.path.with_suffix(".lock"))
            os.close(os.open(self.path, os.O_RDWR | os.O_CREAT, 0o600))
        self._writer = connect(self.path)
        self._opened.append(self._writer)
        with failing(self.path):
            (found,) = self._writer.execute("PRAGMA user_version").fetchone()
            if found not in {0, FORMAT}:
                how = f"`{self.path}` has format {found}, not {FORMAT}; export it where it was made"
                raise LedgerUnavailable(how)
            self._writer.executescript(_SCHEMA)
            self._writer.execute(f"PRAGMA user_version={FORMAT}")

    def head(self) -> Stored | None:
        """Give the newest durable head, None before the first commit."""
        ((size, root, note),) = self._read("SELECT size, root, note FROM head")
        return Stored(size, root, note) if note else None

    def commit(self, new: Commit) -> None:
        """Make a commit durable, or change nothing and raise."""
        head, tiles = new.head, [(t.level << 48 | t.index, t.hashes) for t in new.tiles]
        swap, where = "UPDATE head SET size=?, root=?, note=? WHERE size=?", new.old
        with failing(self.path), self._writing, transaction(self._writer) as base:
            if not base.execute(swap, (head.size, head.root, head.note, where)).rowcount:
                raise LedgerUnavailable(f"the head of `{self.path}` is not at {where}")
            _insert(base, where, new.entries)
            base.executemany("INSERT OR REPLACE INTO tiles VALUES(?, ?)", tiles)

    def entries(self, start: int, end: int) -> list[bytes]:
        """Give entries `start` to `end - 1`; `LedgerDamaged` names one that is missing."""
        entries, at = list[bytes](), start
        for first, sizes, records in self._read(_SELECT, end, start):
            if first > at:
                break
            row = cut(first, sizes, records)
            entries += row[at - first :]
            at = max(at, first + len(row))
        if at < end:
            raise LedgerDamaged(at, "its row is missing")
        return entries[: end - start]

    def tile(self, level: int, index: int) -> bytes:
        """Give a tile's hashes so far, empty for a tile that does not exist."""
        rows = self._read("SELECT hashes FROM tiles WHERE id=?", level << 48 | index)
        return bytes(rows[0][0]) if rows else b""

    def publish(self, note: bytes) -> None:
        """Keep the checkpoint that readers are given, durably."""
        with failing(self.path), self._writing, transaction(self._writer) as base:
            base.execute("UPDATE published SET note=?", (note,))

    def published(self) -> bytes:
        """Give the checkpoint last published, empty for none."""
        return bytes(self._read("SELECT note FROM published")[0][0])

    def durability(self) -> str:
        """Read the settings back from SQLite."""
        base = self._reader()
        words = [base.execute(f"PRAGMA {w}").fetchone()[0] for w in ("journal_mode", "synchronous")]
        return f"sqlite {sqlite3.sqlite_version}, journal {words[0]}, synchronous {words[1]}"

    def close(self) -> None:
        """Let go of the store."""
        for base in self._opened:
            base.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _reader(self) -> sqlite3.Connection:
        if not hasattr(self._readers, "base"):
            self._readers.base = connect(self.path, readonly=True)
            self._opened.append(self._readers.base)
        base: sqlite3.Connection = self._readers.base
        return base

    def _read(self, query: str, *values: int) -> list[tuple[Any, ...]]:
        with failing(self.path):
            return self._reader().execute(query, values).fetchall()


def _insert(base: sqlite3.Connection, first: int, entries: Sequence[bytes]) -> None:
    """Add rows, most of them `ROWS` at a time: each statement costs a turn of Python's lock."""
    entries, rows = list(entries), list[tuple[int, bytes, bytes]]()
    for at in range(0, len(entries), RECORDS):
        some = entries[at : at + RECORDS]
        rows.append((first + at, pack(f">{len(some)}H", *map(len, some)), b"".join(some)))
    many = len(rows) // ROWS * ROWS
    groups = (rows[i : i + ROWS] for i in range(0, many, ROWS))
    base.executemany(_INSERT_MANY, (list(chain.from_iterable(group)) for group in groups))
    base.executemany(_INSERT_ONE, rows[many:])


def cut(first: int, sizes: bytes, records: bytes) -> list[bytes]:
    """Cut a row of `entries` into its records.

    Raises:
        LedgerDamaged: if their lengths are not those of the bytes.
    """
    ends = list(accumulate(unpack(f">{len(sizes) // 2}H", sizes[: len(sizes) // 2 * 2]), initial=0))
    if len(sizes) % 2 or ends[-1] != len(records):
        raise LedgerDamaged(first, f"its row holds {len(records)} bytes, not those of its records")
    return [records[begin:end] for begin, end in pairwise(ends)]


def _exclusive(path: Path) -> int:
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(file)
        raise LedgerUnavailable(f"`{path}` is locked: another log server runs there") from error
    return file
