"""A guard's database is durable, private, and changes in whole steps."""

import stat
from pathlib import Path

import pytest

from answerable.witness.store import FINDINGS, Store
from answerable.witness.wire import Finding, GuardUnavailable


def test_database_is_durable_and_private(tmp_path: Path) -> None:
    """WAL with synchronous FULL; nobody else may read it."""
    store = Store(tmp_path / "deep" / "guard.db")
    with store.read() as db:
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert stat.S_IMODE((tmp_path / "deep" / "guard.db").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "deep").stat().st_mode) == 0o700


def insert(store: Store, *rows: str) -> None:
    """Run statements in one transaction."""
    with store.write() as db:
        for row in rows:
            db.execute(row)


def test_failed_step_changes_nothing(tmp_path: Path) -> None:
    """An error in a transaction undoes all of it, and the next one works."""
    store = Store(tmp_path / "guard.db")
    good = "INSERT INTO head VALUES ('x', 1, x'00', x'00', 0)"
    with pytest.raises(GuardUnavailable):
        insert(store, good, "INSERT INTO nowhere VALUES (1)")
    assert store.head("x").size == 0
    insert(store, good)
    assert Store(tmp_path / "guard.db").head("x").size == 1


def test_unusable_files_are_said_to_be_so(tmp_path: Path) -> None:
    """A broken database stops the guard with one line, not with a traceback from inside."""
    (tmp_path / "guard.db").write_bytes(b"not a database" * 100)
    with pytest.raises(GuardUnavailable):
        Store(tmp_path / "guard.db")


def test_findings_are_kept_once_and_bounded(tmp_path: Path) -> None:
    """A peer that repeats itself fills no disk."""
    store = Store(tmp_path / "guard.db")
    for second in range(3):
        store.find(second, Finding("a", "x"))
    store.find(3, Finding("b", "y"))
    assert store.findings() == [(0, Finding("a", "x")), (3, Finding("b", "y"))]
    with store.write() as db:
        db.execute("UPDATE sqlite_sequence SET seq=? WHERE name='finding'", (FINDINGS + 100,))
    store.find(4, Finding("c", "z"))
    assert store.findings() == [(4, Finding("c", "z"))]
