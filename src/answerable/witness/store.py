"""What a guard must not forget, in one SQLite database (WAL, synchronous FULL).

Rules:

1. A transaction is durable when it is committed, and nothing that depends on it is said before.
2. Writers take the database's own write lock first (BEGIN IMMEDIATE), so that checking a row and
   changing it is one step, also between processes.
3. Records, tiles, heads, held vetoes and hosts' consume notes lie in one file, so that a head and
   the records behind it are kept together or not at all.

Left out: what the rows mean (mirror.py, witness.py, post.py, fresh.py).
"""

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from answerable.witness.wire import Finding, GuardUnavailable

BUSY = 10.0
"""How long another writer is waited for, seconds."""
FINDINGS = 10_000
"""Most findings that are kept; the oldest go first."""

_SCHEMA = """
BEGIN IMMEDIATE;
CREATE TABLE IF NOT EXISTS head(
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, root BLOB NOT NULL, note BLOB NOT NULL,
    time INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS entry(
    origin TEXT, number INTEGER, data BLOB NOT NULL, PRIMARY KEY(origin, number)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS tile(
    origin TEXT, level INTEGER, number INTEGER, data BLOB NOT NULL,
    PRIMARY KEY(origin, level, number));
CREATE TABLE IF NOT EXISTS mirrored(
    origin TEXT PRIMARY KEY, size INTEGER NOT NULL, verified INTEGER NOT NULL, note BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS authority(origin TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS charter(number INTEGER PRIMARY KEY, size INTEGER, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS folded(
    id INTEGER PRIMARY KEY, size INTEGER, root BLOB, tables BLOB, hash BLOB);
CREATE TABLE IF NOT EXISTS accepted(kind TEXT, signer TEXT, time INTEGER, count INTEGER);
CREATE INDEX IF NOT EXISTS accepted_time ON accepted(time);
CREATE TABLE IF NOT EXISTS held(
    id TEXT PRIMARY KEY, data BLOB NOT NULL, person TEXT NOT NULL, time INTEGER NOT NULL,
    receipt BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS sent(id TEXT, peer TEXT, PRIMARY KEY(id, peer));
CREATE TABLE IF NOT EXISTS host(
    host TEXT PRIMARY KEY, key TEXT NOT NULL, since INTEGER NOT NULL, record TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS consumed(
    host TEXT, key TEXT, seq INTEGER NOT NULL, note BLOB NOT NULL, PRIMARY KEY(host, key));
CREATE TABLE IF NOT EXISTS finding(
    number INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER, reason TEXT, detail TEXT);
COMMIT;
"""


@dataclass(frozen=True)
class Kept:
    """A head as it was last cosigned: size 0 and no note if it never was.

    `time` is when the log last asked for it, the guard's own clock.
    """

    size: int
    root: bytes
    note: bytes
    time: int


class Store:
    """The database of one guard; threads and processes may share it."""

    def __init__(self, path: Path) -> None:
        """Open it, or make it with mode 0600.

        Raises:
            GuardUnavailable: if it is not usable, or not durable.
        """
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        self._lock = threading.RLock()
        try:
            self._db = sqlite3.connect(
                path, timeout=BUSY, isolation_level=None, check_same_thread=False
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            mode = [self._db.execute(f"PRAGMA {p}").fetchone()[0] for p in _DURABLE]
        except sqlite3.Error as error:
            raise GuardUnavailable(f"`{path}` is not a usable database: {error}") from error
        if mode != list(_DURABLE.values()):
            raise GuardUnavailable(f"`{path}` cannot be durable here: {mode}")

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """Run one transaction: committed at the end, undone by an exception.

        Raises:
            GuardUnavailable: if the database fails; nothing was then changed.
        """
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
            except sqlite3.Error as error:
                raise GuardUnavailable(f"the database is busy: {error}") from error
            try:
                yield self._db
                self._db.execute("COMMIT")
            except BaseException as error:
                self._db.execute("ROLLBACK")
                if isinstance(error, sqlite3.Error):
                    raise GuardUnavailable(f"the database fails: {error}") from error
                raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """Read several rows as of one moment."""
        with self._lock:
            yield self._db

    def head(self, origin: str) -> Kept:
        """Give the head last cosigned of a log."""
        with self.read() as db:
            return head_of(db, origin)

    def find(self, time: int, finding: Finding) -> None:
        """Keep a finding, unless it is the last one again."""
        with self.write() as db:
            last = db.execute("SELECT reason, detail FROM finding ORDER BY number DESC").fetchone()
            if last == (finding.reason, finding.detail):
                return
            row = (time, finding.reason, finding.detail)
            db.execute("INSERT INTO finding(time, reason, detail) VALUES (?,?,?)", row)
            old = "DELETE FROM finding WHERE number <= (SELECT max(number) FROM finding) - ?"
            db.execute(old, (FINDINGS,))

    def findings(self) -> list[tuple[int, Finding]]:
        """Give the findings with their POSIX seconds, oldest first."""
        with self.read() as db:
            rows = db.execute("SELECT time, reason, detail FROM finding ORDER BY number").fetchall()
        return [(time, Finding(reason, detail)) for time, reason, detail in rows]

    def close(self) -> None:
        """Close the database."""
        with self._lock:
            self._db.close()


_DURABLE = {"journal_mode": "wal", "synchronous": 2}


def head_of(db: sqlite3.Connection, origin: str) -> Kept:
    """Give the head last cosigned of a log, within a transaction."""
    row = db.execute("SELECT size, root, note, time FROM head WHERE origin=?", (origin,)).fetchone()
    return Kept(*row) if row else Kept(0, b"", b"", 0)
