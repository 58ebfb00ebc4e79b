"""An exported log is a whole log, and an export never covers up what was exported before."""

from pathlib import Path

import pytest

from answerable.kernel.errors import Refused
from answerable.kernel.note import ED25519
from answerable.ledger.audit import audit
from answerable.ledger.client import FolderSource, fetch_checkpoint
from answerable.ledger.export import export_store, tiles_of
from answerable.ledger.heads import open_head
from answerable.ledger.sqlite import SqliteStore
from answerable.ledger.store import LedgerDamaged
from tests.ledger.logs import KEYS, ORIGIN, edited, entry, fill, open_log
from tests.simulator.keys import pair, public


def test_files_of_an_export(tmp_path: Path) -> None:
    """Checkpoint, keys, and exactly the tiles that the size implies."""
    store = SqliteStore(tmp_path / "log.db")
    fill(store, 300)
    guard = pair("g1.example/witness", 4)[0].key
    assert export_store(store, ORIGIN, KEYS, [guard], tmp_path / "out").size == 300
    files = {
        str(f.relative_to(tmp_path / "out")) for f in (tmp_path / "out").rglob("*") if f.is_file()
    }
    assert files == {"checkpoint", "vkeys", *(name.path() for name in tiles_of(300))}
    assert (tmp_path / "out/vkeys").read_text() == "".join(
        f"{key.vkey()}\n" for key in (*KEYS, guard)
    )
    store.close()


def test_published_checkpoint_goes_before_the_head(tmp_path: Path) -> None:
    """What readers were given is exported, also when the log has grown since."""
    store = SqliteStore(tmp_path / "log.db")
    with open_log(store) as log:
        log.append([entry(n) for n in range(10)])
        log.publish(log.head().note, log.head().checkpoint)
        log.append([b"not published"])
    assert export_store(store, ORIGIN, KEYS, (), tmp_path / "out").size == 10
    source = FolderSource(tmp_path / "out")
    assert audit(source, open_head(fetch_checkpoint(source), ORIGIN, KEYS)).good
    store.close()


def test_exported_again(tmp_path: Path) -> None:
    """A grown log is exported over the older export, from a store that is being written to."""
    store = SqliteStore(tmp_path / "log.db")
    for size in (0, 1, 256, 700):
        fill(store, size)
        reader = SqliteStore(tmp_path / "log.db", readonly=True)
        assert export_store(reader, ORIGIN, KEYS, (), tmp_path / "out").size == size
        reader.close()
        source = FolderSource(tmp_path / "out")
        assert audit(source, open_head(fetch_checkpoint(source), ORIGIN, KEYS)).good
    assert not list((tmp_path / "out").rglob("*.new"))
    store.close()


def test_edited_log_does_not_overwrite_its_export(tmp_path: Path) -> None:
    """After somebody edited the database, the earlier export stays, and says where to look."""
    store = SqliteStore(tmp_path / "log.db")
    fill(store, 600)
    export_store(store, ORIGIN, KEYS, (), tmp_path / "out")
    edited(tmp_path / "log.db", 300, b"\0")
    with pytest.raises(LedgerDamaged) as damaged:
        export_store(store, ORIGIN, KEYS, (), tmp_path / "out")
    assert damaged.value.index == 256
    source = FolderSource(tmp_path / "out")
    assert audit(source, open_head(fetch_checkpoint(source), ORIGIN, KEYS)).good
    export_store(store, ORIGIN, KEYS, (), tmp_path / "new")
    source = FolderSource(tmp_path / "new")
    found = audit(source, open_head(fetch_checkpoint(source), ORIGIN, KEYS)).damage
    assert [damage.index for damage in found] == [300]
    store.close()


def test_only_its_own_log(tmp_path: Path) -> None:
    """A store whose head was signed by other keys is not exported under these."""
    store = SqliteStore(tmp_path / "log.db")
    fill(store, 3)
    with pytest.raises(Refused):
        export_store(store, ORIGIN, public(pair(ORIGIN, ED25519, 2)), (), tmp_path / "out")
    store.close()
