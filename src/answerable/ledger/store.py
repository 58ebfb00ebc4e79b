"""Where a log is kept: the port, its nouns, and how it fails.

Rules for every adapter:

1. `commit` is one transaction: entries, the tiles that they change, and the new head stand together
   or not at all. When it returns, all of it survives a kill and a power cut; before, no reader sees
   any of it.
2. It moves the head from exactly `old` entries; a store whose head is elsewhere refuses, so
   that two writers can never make two histories.
3. Entries and tiles are only added to; a tile that is not full is the start of itself.
4. A store has one writer at a time, and any number of readers, in any thread.

Left out: signatures and what entries mean. A store is not believed: what is read from it is
checked against a checkpoint (audit.py, client.py).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from answerable.kernel.errors import Unavailable


class LedgerUnavailable(Unavailable):
    """A log, its store or its server cannot be used now."""


class LedgerDamaged(LedgerUnavailable):
    """What a log kept is not what it once committed to; `index` is the first record concerned."""

    def __init__(self, index: int, how: str) -> None:
        """Keep the record's index and what was found."""
        super().__init__(f"record {index}: {how}")
        self.index, self.how = index, how


@dataclass(frozen=True)
class Stored:
    """A head as it is kept: number of entries, root hash, the note that the log signed."""

    size: int
    root: bytes
    note: bytes


@dataclass(frozen=True)
class Tile:
    """The hashes of one tile so far: level, index in the level, at most 256 hashes in a row."""

    level: int
    index: int
    hashes: bytes


@dataclass(frozen=True)
class Commit:
    """What one transaction adds: entries from index `old` on, changed tiles, the new head."""

    old: int
    entries: Sequence[bytes]
    tiles: Sequence[Tile]
    head: Stored


class Store(Protocol):
    """Keep one log. Every method raises `LedgerUnavailable` if the store cannot be used."""

    def head(self) -> Stored | None:
        """Give the newest durable head, None before the first commit."""

    def commit(self, new: Commit) -> None:
        """Make a commit durable, or change nothing and raise."""

    def entries(self, start: int, end: int) -> list[bytes]:
        """Give entries `start` to `end - 1`; `LedgerDamaged` names one that is missing."""

    def tile(self, level: int, index: int) -> bytes:
        """Give a tile's hashes so far, empty for a tile that does not exist."""

    def publish(self, note: bytes) -> None:
        """Keep the checkpoint that readers are given, durably."""

    def published(self) -> bytes:
        """Give the checkpoint last published, empty for none."""

    def durability(self) -> str:
        """Say in one line how commits are made durable, for benchmarks and status."""

    def close(self) -> None:
        """Let go of the store."""
