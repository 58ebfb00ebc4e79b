"""What the ledger's tests share: a log's keys, entries of any size, a log of any size."""

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from answerable.kernel.note import ED25519
from answerable.ledger.export import export_store
from answerable.ledger.log import Log, Pace
from answerable.ledger.sqlite import SqliteStore, cut
from answerable.ledger.store import Store
from tests.simulator.keys import pair, public

ORIGIN = "log.example/authority"
SIGNERS = pair(ORIGIN, ED25519)
KEYS = public(SIGNERS)
TIME = 1_800_000_000


def clock() -> int:
    """Give a time that stands still."""
    return TIME


def entry(number: int) -> bytes:
    """Give an entry that is like no other."""
    return b"entry %d" % number


def open_log(store: Store, pace: Pace | None = None) -> Log:
    """Open the tests' log on a store."""
    return Log(store, ORIGIN, SIGNERS, clock, pace)


def fill(store: Store, size: int, batch: int = 1_000) -> None:
    """Write a log of this size."""
    with open_log(store) as log:
        at = log.head().checkpoint.size
        for first in range(at, size, batch):
            log.append([entry(n) for n in range(first, min(first + batch, size))])


def edited(file: Path, index: int, record: bytes) -> None:
    """Put other bytes in the place of a record of a log's database."""
    with closing(sqlite3.connect(file)) as base, base:
        where = "WHERE id = (SELECT max(id) FROM entries WHERE id <= ?)"
        query = f"SELECT id, sizes, records FROM entries {where}"  # noqa: S608  two words of ours
        ((first, sizes, records),) = base.execute(query, (index,))
        rows = cut(first, sizes, records)
        rows[index - first] = record
        sizes = b"".join(len(row).to_bytes(2, "big") for row in rows)
        change = "UPDATE entries SET sizes = ?, records = ? WHERE id = ?"
        base.execute(change, (sizes, b"".join(rows), first))


def exported(folder: Path, size: int) -> Path:
    """Write a log into `folder`/log.db and export it to `folder`/out."""
    store = SqliteStore(folder / "log.db")
    fill(store, size)
    export_store(store, ORIGIN, KEYS, (), folder / "out")
    store.close()
    return folder / "out"


def splits(sizes: Sequence[int]) -> list[list[bytes]]:
    """Give entries in batches of these sizes."""
    at, batches = 0, []
    for size in sizes:
        batches.append([entry(n) for n in range(at, at + size)])
        at += size
    return batches
