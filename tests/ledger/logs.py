"""What the ledger's tests share: a log's keys, entries of any size, a log of any size."""

from collections.abc import Sequence
from pathlib import Path

from answerable.kernel.note import ED25519
from answerable.ledger.export import export_store
from answerable.ledger.log import Log, Pace
from answerable.ledger.sqlite import SqliteStore
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
