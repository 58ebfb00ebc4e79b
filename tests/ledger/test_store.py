"""Every store keeps the port's rules: all or nothing, one history, nothing lost."""

import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from answerable.ledger import sqlite
from answerable.ledger.sqlite import SqliteStore
from answerable.ledger.store import (
    Commit,
    LedgerDamaged,
    LedgerUnavailable,
    Store,
    Stored,
    Tile,
)
from tests.fakes.ledger_store import MemoryStore


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    """Each adapter in turn, empty."""
    made: Store = MemoryStore() if request.param == "memory" else SqliteStore(tmp_path / "log.db")
    yield made
    made.close()


def more(old: int, *entries: bytes, tiles: tuple[Tile, ...] = ()) -> Commit:
    """Add entries from `old` on."""
    size = old + len(entries)
    return Commit(old, entries, tiles, Stored(size, bytes([size % 256]) * 32, b"head %d" % size))


def test_begins_empty(store: Store) -> None:
    """A new store has no head, no tile, and nothing published."""
    assert (store.head(), store.tile(0, 0), store.published()) == (None, b"", b"")


def test_what_is_committed_is_given_back(store: Store) -> None:
    """Entries, tiles and head are read as they were committed, a grown tile as it last was."""
    store.commit(more(0))
    store.commit(more(0, b"a", b"", tiles=(Tile(0, 0, b"x" * 64),)))
    grown = (Tile(0, 0, b"y" * 96), Tile(3, 1 << 40, b"z" * 32))
    store.commit(more(2, b"c" * 65_535, tiles=grown))
    assert store.head() == Stored(3, b"\3" * 32, b"head 3")
    assert store.entries(0, 3) == [b"a", b"", b"c" * 65_535]
    assert store.entries(1, 2) == [b""]
    assert (store.tile(0, 0), store.tile(3, 1 << 40), store.tile(0, 1)) == (
        b"y" * 96,
        b"z" * 32,
        b"",
    )


def test_many_entries_in_one_commit(store: Store) -> None:
    """A batch of any length keeps its order."""
    entries = [b"%d" % n for n in range(1_000)]
    store.commit(more(0, *entries[:130]))
    store.commit(more(130, *entries[130:]))
    assert store.entries(0, 1_000) == entries


@pytest.mark.parametrize("old", [0, 1, 3])
def test_second_history_is_refused(store: Store, old: int) -> None:
    """A commit from another size than the head's changes nothing."""
    store.commit(more(0, b"a", b"b"))
    with pytest.raises(LedgerUnavailable):
        store.commit(more(old, b"other", tiles=(Tile(0, 0, b"x" * 32),)))
    assert (store.head(), store.tile(0, 0)) == (Stored(2, b"\2" * 32, b"head 2"), b"")
    assert store.entries(0, 2) == [b"a", b"b"]


class Watched(list[bytes]):
    """Entries that call `seen` when a store reads them."""

    def __init__(self, entries: Iterable[bytes], seen: Callable[[], None]) -> None:
        super().__init__(entries)
        self.seen = seen

    def __iter__(self) -> Iterator[bytes]:
        self.seen()
        return super().__iter__()


def test_nothing_is_seen_before_it_is_durable(store: Store) -> None:
    """Readers see entries, tiles and head of a commit together, when it is durable."""
    store.commit(more(0, b"a"))
    looked = list[bool]()

    def before() -> None:
        looked.append((store.head(), store.tile(0, 0)) == (Stored(1, b"\1" * 32, b"head 1"), b""))
        with pytest.raises(LedgerDamaged):
            store.entries(0, 2)

    new = more(1, b"b", tiles=(Tile(0, 0, b"x" * 64),))
    store.commit(replace(new, entries=Watched(new.entries, before)))
    assert looked == [True]
    assert (store.entries(0, 2), store.tile(0, 0)) == ([b"a", b"b"], b"x" * 64)


@given(st.lists(st.integers(1, 200), min_size=1, max_size=6), st.data())
@settings(max_examples=30, deadline=None)
def test_every_slice_is_what_was_appended(sizes: list[int], data: st.DataObject) -> None:
    """However records came in, any run of them comes back, also empty and largest ones."""
    with TemporaryDirectory() as folder:
        store, entries = SqliteStore(Path(folder, "log.db")), list[bytes]()
        for size in sizes:
            new = [b"%d" % n * (n % 3) for n in range(len(entries), len(entries) + size)]
            store.commit(more(len(entries), *new))
            entries += new
        begin = data.draw(st.integers(0, len(entries)))
        end = data.draw(st.integers(begin, len(entries)))
        assert store.entries(begin, end) == entries[begin:end]
        with pytest.raises(LedgerDamaged):
            store.entries(begin, len(entries) + 1)
        store.close()


def test_other_format_is_not_opened(tmp_path: Path) -> None:
    """A store of another version is left alone, and the error says which it is."""
    SqliteStore(tmp_path / "log.db").close()
    with closing(sqlite3.connect(tmp_path / "log.db")) as base:
        base.execute("PRAGMA user_version=1")
    with pytest.raises(LedgerUnavailable, match="has format 1, not 2"):
        SqliteStore(tmp_path / "log.db")


def test_missing_entry_is_named(store: Store) -> None:
    """A record that is not there is named by its index."""
    store.commit(more(0, b"a", b"b"))
    with pytest.raises(LedgerDamaged) as damaged:
        store.entries(1, 5)
    assert damaged.value.index == 2


def test_published_is_replaced(store: Store) -> None:
    """The last published checkpoint is the one that counts."""
    store.publish(b"one")
    store.publish(b"two")
    assert store.published() == b"two"


def test_sqlite_keeps_all_of_it_on_disk(tmp_path: Path) -> None:
    """What was committed is there after the store is opened again."""
    with_all = SqliteStore(tmp_path / "log.db")
    with_all.commit(more(0, b"a", tiles=(Tile(0, 0, b"x" * 32),)))
    with_all.publish(b"note")
    with_all.close()
    again = SqliteStore(tmp_path / "log.db")
    assert again.head() == Stored(1, b"\1" * 32, b"head 1")
    assert (again.entries(0, 1), again.tile(0, 0), again.published()) == (
        [b"a"],
        b"x" * 32,
        b"note",
    )
    again.close()


def test_deleted_row_in_the_middle_is_named(tmp_path: Path) -> None:
    """Deleting a record from the database is found, and which."""
    store = SqliteStore(tmp_path / "log.db")
    store.commit(more(0, *(b"%d" % n for n in range(150))))
    with sqlite3.connect(tmp_path / "log.db") as base:
        base.execute("DELETE FROM entries WHERE id=64")
    with pytest.raises(LedgerDamaged) as damaged:
        store.entries(2, 140)
    assert damaged.value.index == 64
    store.close()


def test_two_log_servers_on_one_file(tmp_path: Path) -> None:
    """A second writer is kept out, so that it cannot sign another history; readers are not."""
    store = SqliteStore(tmp_path / "log.db")
    with pytest.raises(LedgerUnavailable, match="another log server"):
        SqliteStore(tmp_path / "log.db")
    store.commit(more(0, b"a"))
    reader = SqliteStore(tmp_path / "log.db", readonly=True)
    assert reader.entries(0, 1) == [b"a"]
    reader.close()
    store.close()
    SqliteStore(tmp_path / "log.db").close()


def test_files_are_for_their_owner_only(tmp_path: Path) -> None:
    """Nobody else on the machine reads or writes the log's files."""
    store = SqliteStore(tmp_path / "made" / "log.db")
    store.commit(more(0, b"a"))
    for file in (tmp_path / "made").iterdir():
        assert file.stat().st_mode & 0o077 == 0, file
    assert (tmp_path / "made").stat().st_mode & 0o077 == 0
    store.close()


def test_durability_is_read_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store says how it is durable, and one that would not be is not opened."""
    store = SqliteStore(tmp_path / "log.db")
    assert store.durability().endswith("journal wal, synchronous 2")
    store.close()
    monkeypatch.setattr(sqlite, "_FULL", 3)
    with pytest.raises(LedgerUnavailable, match="synchronous"):
        SqliteStore(tmp_path / "log.db")


def test_broken_world_is_unavailable(tmp_path: Path) -> None:
    """A file that is no database, or is not there, is named and nothing else happens."""
    (tmp_path / "log.db").write_bytes(b"this is no database " * 1_000)
    with pytest.raises(LedgerUnavailable):
        SqliteStore(tmp_path / "log.db")
    with pytest.raises(LedgerUnavailable, match="no log at"):
        SqliteStore(tmp_path / "other.db", readonly=True)
    if os.geteuid():
        (tmp_path / "shut").mkdir(mode=0o500)
        with pytest.raises(LedgerUnavailable):
            SqliteStore(tmp_path / "shut" / "deep" / "log.db")
