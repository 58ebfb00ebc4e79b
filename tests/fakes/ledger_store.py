"""A store in memory, with a hand on its commits: the twin of `ledger/store.py`."""

from collections.abc import Callable

from answerable.ledger.store import Commit, LedgerDamaged, LedgerUnavailable, Stored


class MemoryStore:
    """Keeps a log in this process; `before` runs when one is made, and may wait or raise."""

    def __init__(self, before: Callable[[Commit], object] = lambda _: None) -> None:
        """Start empty."""
        self.before = before
        self._head: Stored | None = None
        self._entries: list[bytes] = []
        self._tiles: dict[tuple[int, int], bytes] = {}
        self._published = b""

    def head(self) -> Stored | None:
        """Give the newest head."""
        return self._head

    def commit(self, new: Commit) -> None:
        """Let others see a commit, unless the head is elsewhere."""
        if new.old != len(self._entries):
            raise LedgerUnavailable(f"the head is not at {new.old}")
        assert new.head.size == new.old + len(new.entries)
        entries = list(new.entries)
        self.before(new)
        self._entries += entries
        self._tiles |= {(tile.level, tile.index): tile.hashes for tile in new.tiles}
        self._head = new.head

    def entries(self, start: int, end: int) -> list[bytes]:
        """Give entries."""
        if end > len(self._entries):
            raise LedgerDamaged(max(start, len(self._entries)), "its row is missing")
        return self._entries[start:end]

    def tile(self, level: int, index: int) -> bytes:
        """Give a tile."""
        return self._tiles.get((level, index), b"")

    def publish(self, note: bytes) -> None:
        """Keep the published checkpoint."""
        self._published = note

    def published(self) -> bytes:
        """Give the published checkpoint."""
        return self._published

    def durability(self) -> str:
        """Say that there is none."""
        return "memory, gone with the process"

    def close(self) -> None:
        """Do nothing."""
