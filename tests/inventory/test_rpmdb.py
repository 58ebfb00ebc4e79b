"""The files in which rpm keeps its database."""

import contextlib
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.inventory import rpmdb
from answerable.inventory.installed import Unreadable
from answerable.inventory.rpmdb import bdb_blobs, ndb_blobs, sqlite_blobs
from tests.feeds.mangle import mangled
from tests.inventory.generated import sample
from tests.inventory.rpms import BLOBS, ndb, sqlite

ENDLESS = """create view Packages (hnum, blob) as
with recursive n(x) as (values (1) union all select 1 from n) select x, x from n"""
BDB, NDB = sample("Packages.xz"), ndb(BLOBS)


def test_real_files_hold_the_same(tmp_path: Path) -> None:
    """What rpm put into SQLite and what db_load put into Berkeley DB are the same headers."""
    assert sorted(sqlite_blobs(sample("rpmdb.sqlite.xz"), b""), key=len) == BLOBS
    assert list(sqlite_blobs(sqlite(tmp_path / "x", BLOBS), b"")) == BLOBS
    assert list(ndb_blobs(NDB)) == BLOBS


def test_what_is_still_in_the_write_ahead_log_counts(tmp_path: Path) -> None:
    """A package that rpm installed a moment ago stands in `-wal` alone."""
    file = tmp_path / "rpmdb.sqlite"
    sqlite(file, BLOBS[:1])
    store = sqlite3.connect(file)
    store.execute("pragma journal_mode = wal")
    store.execute("insert into Packages (blob) values (?)", (BLOBS[1],))
    store.commit()
    log = file.with_name("rpmdb.sqlite-wal").read_bytes()
    assert log
    assert list(sqlite_blobs(file.read_bytes(), log)) == BLOBS[:2]
    store.close()


@pytest.mark.parametrize(
    "script",
    [
        "create view Packages as select 1 as hnum, zeroblob(10) as blob",
        "create table Packages (hnum, blob text); insert into Packages values (1, 'text')",
        "create table other (x)",
        ENDLESS,
    ],
)
def test_a_database_of_somebody_elses_making_is_unreadable(tmp_path: Path, script: str) -> None:
    """Views and queries without end are not run."""
    store = sqlite3.connect(tmp_path / "x")
    store.executescript(script)
    store.close()
    with pytest.raises(Unreadable):
        list(sqlite_blobs((tmp_path / "x").read_bytes(), b""))


def test_reading_takes_a_limited_number_of_steps(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A database that is made to be slow ends the reading."""
    data = sqlite(tmp_path / "x", [b"x"] * 1000)
    monkeypatch.setattr(rpmdb, "STEPS", 2)
    with pytest.raises(Unreadable):
        list(sqlite_blobs(data, b""))


def _swap(data: bytes, at: int, new: bytes) -> bytes:
    return data[:at] + new + data[at + len(new) :]


@pytest.mark.parametrize("cut", [0, 1, 71, 4096, 9000, len(BDB) - 4096])
def test_a_chain_that_is_cut_is_unreadable(cut: int) -> None:
    """A package whose pages are missing is not taken for one that is not installed."""
    with pytest.raises(Unreadable):
        list(bdb_blobs(BDB[:cut]))


def test_a_chain_in_a_circle_ends() -> None:
    """An overflow page that follows itself is not followed for ever."""
    size = 4096
    pages = [n for n in range(1, len(BDB) // size) if BDB[n * size + 25] == 7]
    circle = _swap(BDB, pages[0] * size + 16, pages[0].to_bytes(4, "little"))
    with pytest.raises(Unreadable):
        list(bdb_blobs(circle))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        NDB[:-16],
        NDB[:-1],
        _swap(NDB, 0, b"XXXX"),
        _swap(NDB, 12, b"\xff\xff\xff\xff"),
        _swap(NDB, 32, b"Slut"),
        _swap(NDB, 40, b"\xff\xff\xff\xff"),
        _swap(NDB, 4096, b"BlbX"),
        _swap(NDB, 4096 + 12, b"\xff\xff\xff\x7f"),
    ],
)
def test_a_slot_that_leads_astray_is_unreadable(data: bytes) -> None:
    """Lengths and places that do not fit are damage."""
    with pytest.raises(Unreadable):
        list(ndb_blobs(data))


@pytest.mark.fuzz
@given(st.binary(max_size=300) | mangled(BDB))
def test_any_bytes_are_headers_or_unreadable(data: bytes) -> None:
    """Untrusted bytes cause `Unreadable` and nothing else."""
    for read in (bdb_blobs, ndb_blobs):
        with contextlib.suppress(Unreadable):
            list(read(data))
