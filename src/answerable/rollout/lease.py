"""Which workers are alive: the supervision that the workflow engine does not have.

A worker is alive while it holds the lock on `<id>.lock` and its heartbeat row, stamped by the
database's clock, is younger than `SILENT`. A killed process loses its lock at once, so the next
worker to look, also a lone control plane that starts again, takes its work up without waiting; a
frozen one keeps the lock and is given up after `SILENT`. A worker that could not renew for `RENEW`,
or finds its row gone, calls `on_lost` and must stop: its work may already run elsewhere.

All workers share one local disk. Left out: workers on several machines (they come with PostgreSQL);
a worker frozen within a write holds SQLite's own lock, and nobody can go on before it is ended.
"""

import fcntl
import os
import re
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from threading import Event, Thread

from answerable.kernel.errors import Unavailable

BEAT = 1.0
"""Time between heartbeats and between looks at the others, seconds."""
RENEW = 3.0
"""A worker that could not renew for so long stops itself, seconds."""
SILENT = 4.5
"""A worker that was silent for so long is dead to its peers, seconds."""
GUARD = 0.25
"""Time between a worker's looks at its own age, seconds."""
BUSY = 1.0
"""Longest wait for the heartbeat database's lock, seconds."""

_NOW = "CAST((julianday('now') - 2440587.5) * 86400000 AS INTEGER)"
_WORKER = re.compile(r"[0-9a-f]{32}")
_TABLE = "CREATE TABLE IF NOT EXISTS worker (id TEXT PRIMARY KEY, beat INTEGER NOT NULL)"


def _known(worker: object) -> bool:
    return isinstance(worker, str) and _WORKER.fullmatch(worker) is not None


class LeaseLost(Unavailable):
    """A peer has declared this worker dead."""


class Lease:
    """One worker's sign of life, and its view of the others.

    Args:
        directory: shared by all workers of one engine; created 0700.
        worker: id of this worker, unique per boot, 32 hex characters.
    """

    def __init__(self, directory: Path, worker: str) -> None:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.directory = directory
        self.worker = worker
        self._lock = os.open(self._lock_file(worker), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(os.open(directory / "workers.sqlite", os.O_RDWR | os.O_CREAT, 0o600))
        with closing(self._open()) as database:
            database.execute("PRAGMA journal_mode=WAL")
            database.execute(_TABLE)
            database.execute(f"INSERT INTO worker VALUES (?, {_NOW})", (worker,))  # noqa: S608  constant

    def _lock_file(self, worker: str) -> Path:
        assert _known(worker), worker
        return self.directory / f"{worker}.lock"

    def _open(self) -> sqlite3.Connection:
        path = self.directory / "workers.sqlite"
        return sqlite3.connect(path, timeout=BUSY, isolation_level=None)

    def beat(self) -> None:
        """Renew.

        Raises:
            LeaseLost: a peer removed the row.
            sqlite3.Error: the database could not be written.
        """
        with closing(self._open()) as database:
            update = f"UPDATE worker SET beat = {_NOW} WHERE id = ?"  # noqa: S608  constant
            if database.execute(update, (self.worker,)).rowcount == 0:
                raise LeaseLost(
                    f"worker `{self.worker}` was declared dead; start the process again"
                )

    def alive(self) -> frozenset[str]:
        """Give the living workers and remove the rows and locks of all others.

        Raises:
            sqlite3.Error: the database could not be read or written.
        """
        with closing(self._open()) as database:
            database.execute("BEGIN IMMEDIATE")
            fresh = f"SELECT id, beat > {_NOW} - ? FROM worker"  # noqa: S608  constant
            rows = database.execute(fresh, (int(SILENT * 1000),)).fetchall()
            living = {worker for worker, young in rows if young and self._held(worker)}
            for dead in {worker for worker, _ in rows} - living - {self.worker}:
                database.execute("DELETE FROM worker WHERE id = ?", (dead,))
                if _known(dead):
                    self._lock_file(dead).unlink(missing_ok=True)
            database.execute("COMMIT")
        return frozenset(living | {self.worker})

    def _held(self, worker: str) -> bool:
        # A forged row must not name a file elsewhere.
        if not _known(worker):
            return False
        try:
            descriptor = os.open(self._lock_file(worker), os.O_RDWR | os.O_CLOEXEC)
        except OSError:
            return False
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
        finally:
            os.close(descriptor)
        return False

    def release(self) -> None:
        """Give up: peers may take this worker's work at once."""
        os.close(self._lock)
        with closing(self._open()) as database:
            database.execute("DELETE FROM worker WHERE id = ?", (self.worker,))
        self._lock_file(self.worker).unlink(missing_ok=True)


class Keeper:
    """Threads that renew a lease, stop the process when it is lost, and adopt dead workers' work.

    Args:
        lease: the lease.
        elapsed: seconds that also pass while the process is frozen, as CLOCK_BOOTTIME does.
        on_lost: ends the process; may be called from any of the threads.
        adopt: takes the ids of the living workers and takes up everybody else's work; may raise
            `Unavailable`, then it is called again.
    """

    def __init__(
        self,
        lease: Lease,
        elapsed: Callable[[], float],
        on_lost: Callable[[], None],
        adopt: Callable[[frozenset[str]], None],
    ) -> None:
        self._lease = lease
        self._elapsed = elapsed
        self._on_lost = on_lost
        self._adopt = adopt
        self._renewed = elapsed()
        self._stop = Event()
        # Three threads, so that neither a slow disk nor slow adopting hides that the time is over.
        self._threads = [
            Thread(target=self._every, args=(seconds, act), daemon=True)
            for seconds, act in ((BEAT, self._renew), (GUARD, self._guard), (BEAT, self._look))
        ]

    def start(self) -> None:
        """Start the threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop the threads; the lease itself is not released."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _every(self, seconds: float, act: Callable[[], None]) -> None:
        while not self._stop.wait(seconds):
            act()

    def _renew(self) -> None:
        try:
            self._lease.beat()
        except LeaseLost:
            self._on_lost()
        except sqlite3.Error:
            return
        else:
            self._renewed = self._elapsed()

    def _guard(self) -> None:
        if self._elapsed() - self._renewed > RENEW:
            self._on_lost()

    def _look(self) -> None:
        try:
            self._adopt(self._lease.alive())
        except (sqlite3.Error, Unavailable):
            return
