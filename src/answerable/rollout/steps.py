"""What was done for which host: one small row a host and step, beside the engine.

An engine row a host and step would cost milliseconds each; a hundred thousand hosts are a few
seconds here. The rows are our own notes, not evidence: losing the file repeats acts that are safe
to repeat. The first note of a step counts, so that a repeated act keeps its time.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from answerable.kernel.errors import Unavailable

BUSY = 30.0
"""Longest wait for another worker's write, seconds."""

_ROLLOUT = "CREATE TABLE IF NOT EXISTS rollout (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE)"
_STEP = (
    "CREATE TABLE IF NOT EXISTS host_step (rollout INTEGER, host TEXT, step TEXT,"
    " at INTEGER NOT NULL, PRIMARY KEY (rollout, host, step)) WITHOUT ROWID"
)
_ID = "(SELECT id FROM rollout WHERE name = ?)"


class StepsUnavailable(Unavailable):
    """The notes cannot be read or written now."""


class HostSteps:
    """The table `host_step`; safe to use from several threads and processes.

    Args:
        path: the SQLite file; created 0600.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        self._path = path
        with self._open() as database:
            database.execute("PRAGMA journal_mode=WAL")
            for table in (_ROLLOUT, _STEP):
                database.execute(table)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            with closing(sqlite3.connect(self._path, timeout=BUSY)) as database, database:
                database.execute("PRAGMA synchronous=NORMAL")
                yield database
        except sqlite3.Error as error:
            raise StepsUnavailable(f"`{self._path}`: {error}") from error

    def note(self, rollout: str, step: str, hosts: Iterable[str], at: int) -> None:
        """Note that a step was done for hosts at a POSIX time."""
        self.note_all(rollout, ((host, step) for host in hosts), at)

    def note_all(self, rollout: str, done: Iterable[tuple[str, str]], at: int) -> None:
        """Note several steps, given as pairs of host and step."""
        with self._open() as database:
            database.execute("INSERT OR IGNORE INTO rollout (name) VALUES (?)", (rollout,))
            (key,) = database.execute(f"SELECT {_ID}", (rollout,)).fetchone()
            rows = ((key, host, step, at) for host, step in done)
            database.executemany("INSERT OR IGNORE INTO host_step VALUES (?, ?, ?, ?)", rows)

    def notes(self, rollout: str) -> dict[str, dict[str, int]]:
        """Give, for each step, the hosts for which it was done, and when first."""
        notes: dict[str, dict[str, int]] = {}
        with self._open() as database:
            query = f"SELECT step, host, at FROM host_step WHERE rollout = {_ID}"  # noqa: S608  constant
            for step, host, at in database.execute(query, (rollout,)):
                notes.setdefault(step, {})[host] = at
        return notes

    def done(self, rollout: str, hosts: Sequence[str]) -> set[tuple[str, str]]:
        """Give the pairs of host and step that are done for these hosts."""
        if not hosts:
            return set()
        wanted = set(hosts)
        with self._open() as database:
            query = (
                f"SELECT host, step FROM host_step WHERE rollout = {_ID}"  # noqa: S608  constant
                " AND host BETWEEN ? AND ?"
            )
            found = database.execute(query, (rollout, min(wanted), max(wanted)))
            return {(host, step) for host, step in found if host in wanted}

    def count(self, rollout: str, step: str) -> int:
        """Count the hosts for which a step was done."""
        with self._open() as database:
            query = f"SELECT COUNT(*) FROM host_step WHERE rollout = {_ID} AND step = ?"  # noqa: S608  constant
            return int(database.execute(query, (rollout, step)).fetchone()[0])
