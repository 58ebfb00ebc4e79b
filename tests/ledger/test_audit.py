"""One change anywhere in a log is found, and named by the record that it concerns."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.merkle import EMPTY, Tree, leaf_hash
from answerable.ledger.audit import Audit, audit
from answerable.ledger.client import FolderSource, StoreSource, fetch_checkpoint
from answerable.ledger.heads import open_head
from answerable.ledger.sqlite import SqliteStore
from answerable.ledger.tiles import pack_bundle, read_bundle
from tests.fakes.ledger_store import MemoryStore
from tests.ledger.logs import KEYS, ORIGIN, edited, entry, exported, fill, open_log

SIZE = 66_000
"""Three levels of tiles, each with a partial one."""


@pytest.fixture(scope="module")
def store() -> MemoryStore:
    """A log of three levels."""
    made = MemoryStore()
    fill(made, SIZE)
    return made


def copy_of(store: MemoryStore) -> MemoryStore:
    """Give a copy that may be changed."""
    copy = MemoryStore()
    copy._head, copy._entries, copy._tiles = store._head, [*store._entries], {**store._tiles}
    return copy


def head_of(store: MemoryStore) -> Checkpoint:
    """Open the head of a store."""
    head = store.head()
    assert head is not None
    return open_head(head.note, ORIGIN, KEYS)


def audited(store: MemoryStore, checkpoint: Checkpoint | None = None) -> Audit:
    """Audit a store."""
    head = checkpoint or head_of(store)
    return audit(StoreSource(store, head.size), head)


def flip(data: bytes, at: int) -> bytes:
    """Change one bit."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 600])
def test_good_logs(size: int) -> None:
    """A log of any size is good, and every record is seen once, in order."""
    store, seen = MemoryStore(), list[bytes]()
    fill(store, size)
    head = head_of(store)
    found = audit(
        StoreSource(store, size),
        head,
        lambda at, some: seen.extend(some[: len(some) * (at == len(seen))]),
    )
    assert (found.good, found.damage, found.checkpoint.size) == (True, (), size)
    assert seen == [entry(n) for n in range(size)]


def test_large_log_is_read_whole(store: MemoryStore) -> None:
    """Every bundle and every tile of every level is read."""
    found = audited(store)
    assert found.good
    assert (found.bundles, found.tiles) == (258, 258 + 2 + 1)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(index=st.one_of(st.integers(0, SIZE - 1), st.integers(SIZE - 300, SIZE - 1)))
def test_edited_record(store: MemoryStore, index: int) -> None:
    """An edited record is named by its index, and nothing else is."""
    changed = copy_of(store)
    changed._entries[index] += b"!"
    (damage,) = audited(changed).damage
    assert damage.index == index
    assert "was changed after it was logged" in damage.how
    assert leaf_hash(entry(index)).hex() in damage.how


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(data=st.data())
def test_edited_hash(store: MemoryStore, data: st.DataObject) -> None:
    """An edited hash of any tile is named by the first record it stands for, and only it."""
    level, index = data.draw(st.sampled_from(sorted(store._tiles)))
    tile = store._tiles[level, index]
    at = data.draw(st.integers(0, len(tile) - 1))
    changed = copy_of(store)
    changed._tiles[level, index] = flip(tile, at)
    (damage,) = audited(changed).damage
    assert damage.index == (index * 256 + at // 32) * 256**level
    assert "was changed; what it stands for was not" in damage.how


def test_record_edited_together_with_its_hash(store: MemoryStore) -> None:
    """A thief who also fixes the tile is found: the tile is not under the signed root."""
    for index in (70, SIZE - 1):
        changed = copy_of(store)
        changed._entries[index] = b"forged"
        place, at = (0, index // 256), index % 256 * 32
        tile = changed._tiles[place]
        changed._tiles[place] = tile[:at] + leaf_hash(b"forged") + tile[at + 32 :]
        found = audited(changed)
        assert found.damage[0].index <= index
        assert index - found.damage[0].index < 256 or index == SIZE - 1
        assert "together with its hash" in found.damage[0].how


def test_log_forged_throughout(store: MemoryStore) -> None:
    """Another log, whole in itself, is not the one of the checkpoint."""
    other = MemoryStore()
    with open_log(other) as log:
        log.append([b"forged", *(entry(n) for n in range(1, 300))])
    right = Tree(leaf_hash(entry(n)) for n in range(300)).root()
    assert not audited(other, Checkpoint(ORIGIN, 300, right)).good
    assert not audited(MemoryStore(), Checkpoint(ORIGIN, 1, right)).good
    assert audited(MemoryStore(), Checkpoint(ORIGIN, 0, EMPTY)).good


def rebundled(edit: Callable[[list[bytes]], object]) -> Callable[[Path], None]:
    """Edit the records of the second bundle."""

    def change(folder: Path) -> None:
        file = folder / "tile/entries/001"
        entries = read_bundle(file.read_bytes(), 256)
        edit(entries)
        file.write_bytes(pack_bundle(entries))

    return change


def rewrite(name: str, edit: Callable[[bytes], bytes]) -> Callable[[Path], None]:
    """Edit a file's bytes."""

    def change(folder: Path) -> None:
        (folder / name).write_bytes(edit((folder / name).read_bytes()))

    return change


CHANGES: dict[str, tuple[Callable[[Path], object], list[tuple[int, str]]]] = {
    "record taken out": (rebundled(lambda e: e.pop(7)), [(263, "the record was taken out")]),
    "last record of a bundle taken out": (
        rebundled(lambda e: e.pop()), [(511, "the record is missing")]),
    "record put in": (
        rebundled(lambda e: e.insert(7, b"new")), [(263, "a record was put in before this one")]),
    "record put in at the end": (
        rebundled(lambda e: e.append(b"new")), [(512, "more records than the checkpoint covers")]),
    "two records exchanged": (
        rebundled(lambda e: e.insert(7, e.pop(8))),
        [(263, "the record was taken out"), (265, "a record was put in before this one")]),
    "bundle missing": (
        lambda f: (f / "tile/entries/001").unlink(),
        [(256, "`tile/entries/001` is missing")]),
    "bundle cut short": (
        rewrite("tile/entries/001", lambda data: data[:-5]),
        [(511, "the record was changed after it was logged")]),
    "length of a record changed": (
        rewrite("tile/entries/001", lambda data: flip(data, 1)),
        [(256, "the record was changed after it was logged")]),
    "tile missing": (
        lambda f: (f / "tile/0/001").unlink(), [(256, "`tile/0/001` is missing")]),
    "tile cut short": (
        rewrite("tile/0/001", lambda data: data[:-32]),
        [(511, "`tile/0/001` has 8160 bytes instead of 8192")]),
    "partial tile missing": (
        lambda f: (f / "tile/0/002.p/88").unlink(), [(512, "`tile/0/002.p/88` is missing")]),
    "tile of a higher level missing": (
        lambda f: (f / "tile/1/000.p/2").unlink(), [(0, "`tile/1/000.p/2` is missing")]),
}  # fmt: skip


@pytest.mark.parametrize("change", CHANGES)
def test_changed_export(tmp_path: Path, change: str) -> None:
    """Each change to the exported files is named: which record, and how."""
    folder = exported(tmp_path, 600)
    edit, wanted = CHANGES[change]
    checkpoint = open_head(fetch_checkpoint(FolderSource(folder)), ORIGIN, KEYS)
    assert audit(FolderSource(folder), checkpoint).good
    edit(folder)
    found = audit(FolderSource(folder), checkpoint).damage
    told = [(damage.index, damage.how) for damage in found]
    first = [
        next((t for t in told if t[0] == i and t[1].startswith(how)), None) for i, how in wanted
    ]
    assert None not in first, told


def test_edited_row_in_the_database(tmp_path: Path) -> None:
    """Somebody edits, or deletes, a record in the log's database: the audit says which and how."""
    store = SqliteStore(tmp_path / "log.db")
    fill(store, 300)
    edited(tmp_path / "log.db", 17, b"a kinder record")
    head = store.head()
    assert head is not None
    source, checkpoint = StoreSource(store, 300), open_head(head.note, ORIGIN, KEYS)
    (damage,) = audit(source, checkpoint).damage
    assert damage.index == 17
    assert leaf_hash(b"a kinder record").hex() in damage.how
    with sqlite3.connect(tmp_path / "log.db") as base:
        base.execute("DELETE FROM entries WHERE id=256")
    found = [(damage.index, damage.how) for damage in audit(source, checkpoint).damage]
    assert found[1:] == [(256, "its row is missing")]
    store.close()


def test_much_damage_is_bounded(store: MemoryStore) -> None:
    """A log that is wrong everywhere is reported up to a limit."""
    changed = copy_of(store)
    changed._entries = [one + b"!" for one in changed._entries]
    assert len(audited(changed).damage) == 100
