"""Writing a log out as static files that any web server can serve (c2sp.org/tlog-tiles).

The folder holds `checkpoint`, `tile/...` for exactly the checkpoint's size, and `vkeys`, one C2SP
verifier key a line, the log's own two first. The checkpoint is the newest published one and is
written last, by rename: a folder that is served while it is exported to again is always whole. A
tile never changes, so one that is there with other bytes is never written over: the store or the
folder was changed by somebody.

Left out: checking. An export says what the store says; whoever reads it audits it (audit.py).
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

from answerable.kernel.checkpoint import Checkpoint, Pair
from answerable.kernel.note import Key
from answerable.ledger.client import BUNDLE, Source, StoreSource
from answerable.ledger.frontier import WIDTH
from answerable.ledger.heads import open_head
from answerable.ledger.store import LedgerDamaged, LedgerUnavailable, Store
from answerable.ledger.tiles import ENTRIES, TileName, levels, row

VKEYS = "vkeys"


def tiles_of(size: int) -> Iterator[TileName]:
    """Name every bundle and tile that a log of this size consists of."""
    yield from row(ENTRIES, size)
    for level in levels(size):
        yield from row(level, size)


def export(
    source: Source, note: bytes, checkpoint: Checkpoint, keys: Sequence[Key], folder: Path
) -> int:
    """Write the log of an opened checkpoint into a folder; give the number of files.

    Raises:
        LedgerDamaged: if the store misses a record that the checkpoint covers, or says another
            thing than was exported before.
        LedgerUnavailable: if the log cannot be read or the folder not written.
    """
    count = 2
    try:
        for name in tiles_of(checkpoint.size):
            _keep(folder / name.path(), source.read(name.path(), BUNDLE), name)
            count += 1
        _write(folder / VKEYS, "".join(key.vkey() + "\n" for key in keys).encode())
        _write(folder / "checkpoint", note)
    except OSError as error:
        raise LedgerUnavailable(f"cannot write to `{folder}`: {error}") from error
    return count


def export_store(
    store: Store, origin: str, own: Pair, guards: Sequence[Key], folder: Path
) -> Checkpoint:
    """Export a store at its published checkpoint, or at the log's own head if there is none yet.

    Raises:
        Refused: if its checkpoint is not signed with the log's `own` keys.
        LedgerDamaged, LedgerUnavailable: as `export` does.
    """
    head = store.head()
    note = store.published() or (head.note if head else b"")
    checkpoint = open_head(note, origin, own)
    source = StoreSource(store, checkpoint.size)
    export(source, note, checkpoint, [*own, *guards], folder)
    return checkpoint


def _keep(file: Path, data: bytes, name: TileName) -> None:
    if not file.exists():
        _write(file, data)
    elif file.read_bytes() != data:
        first = name.index * WIDTH ** (max(name.level, 0) + 1)
        how = (
            f"`{file}` says another thing than the log does now; export to a new folder, audit both"
        )
        raise LedgerDamaged(first, how)


def _write(file: Path, data: bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_name(file.name + ".new")
    fresh.write_bytes(data)
    fresh.replace(file)
