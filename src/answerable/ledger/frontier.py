"""The right edge of a growing tree (RFC 6962 section 2.1), fast for many leaves at once.

A frontier keeps one complete subtree for every bit of the size that is set, and the tiles of the
right edge. `extend` hashes a whole batch level by level and says which tiles changed; the hashes
that come out at every eighth height are those of the tiles above (c2sp.org/tlog-tiles).
"""

from collections.abc import Callable, Sequence
from hashlib import sha256

from answerable.kernel.merkle import EMPTY, HASH, node_hash
from answerable.ledger.store import Tile

WIDTH = 256
"""Hashes in a full tile."""
RISE = 8
"""Heights from one level of tiles to the next."""
FULL = WIDTH * HASH


def hashes(data: bytes) -> list[bytes]:
    """Cut a tile into its hashes."""
    return [data[i : i + HASH] for i in range(0, len(data), HASH)]


class Frontier:
    """What must be known of a tree to go on appending to it."""

    def __init__(self) -> None:
        """Start with the empty tree."""
        self.size = 0
        self._left: list[bytes] = []
        self._edge: list[bytes] = []

    @classmethod
    def load(cls, size: int, tile: Callable[[int, int], bytes]) -> "Frontier":
        """Start from the tiles of a tree of this size; whether they are its own, the root tells."""
        self = cls()
        for level in range((size.bit_length() + RISE - 1) // RISE):
            count = size >> RISE * level
            edge = tile(level, count // WIDTH)[: count % WIDTH * HASH] if count % WIDTH else b""
            self._edge.append(edge)
            self._add(RISE * level, hashes(edge), {})
        self.size = size
        return self

    def extend(self, leaves: Sequence[bytes]) -> list[Tile]:
        """Append leaf hashes; give every tile that changed, as it now is."""
        rows: dict[int, list[bytes]] = {}
        self._add(0, leaves, rows)
        changed = []
        for level, fresh in rows.items():
            while level >= len(self._edge):
                self._edge.append(b"")
            full, row = (self.size >> RISE * level) // WIDTH, self._edge[level] + b"".join(fresh)
            tiles = [
                Tile(level, full + i // FULL, row[i : i + FULL]) for i in range(0, len(row), FULL)
            ]
            self._edge[level] = row[len(row) // FULL * FULL :]
            changed += tiles
        self.size += len(leaves)
        return changed

    def root(self) -> bytes:
        """Give the root of the tree so far."""
        parts = [node for node in self._left if node]
        if not parts:
            return EMPTY
        right = parts[0]
        for left in parts[1:]:
            right = node_hash(left, right)
        return right

    def _add(self, height: int, nodes: Sequence[bytes], rows: dict[int, list[bytes]]) -> None:
        """Add complete subtrees of one height; those that pair up rise by one, again and again."""
        while nodes:
            if height % RISE == 0:
                rows[height // RISE] = list(nodes)
            while height >= len(self._left):
                self._left.append(b"")
            row = [self._left[height], *nodes] if self._left[height] else nodes
            self._left[height] = row[-1] if len(row) % 2 else b""
            pairs = zip(row[::2], row[1::2], strict=False)
            nodes = [sha256(b"\x01" + left + right).digest() for left, right in pairs]
            height += 1
