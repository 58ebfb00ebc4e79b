"""Making proofs: inclusion (RFC 6962 2.1.1) and consistency (RFC 6962 2.1.2).

Both are made from one question, the root of a range of leaves that RFC 6962 would cut out. A
kernel `Tree` answers it from memory, `TileTree` from tiles, wherever those are kept. Checking
inclusion is the kernel's, checking consistency the witness's.

Left out: batch proofs. Tiles that were made up give proofs that do not verify, nothing worse.
"""

from collections.abc import Callable

from answerable.kernel.merkle import HASH, Tree, node_hash
from answerable.ledger.frontier import RISE, WIDTH

Subtree = Callable[[int, int], bytes]
"""(start, end) -> MTH(D[start:end]) for a range that RFC 6962 would cut out."""


def _split(start: int, end: int) -> int:
    return start + (1 << (end - start - 1).bit_length() - 1)


def inclusion(subtree: Subtree, index: int, size: int) -> list[bytes]:
    """Prove that leaf `index` is in the tree of `size` leaves, leaf to root."""
    assert 0 <= index < size, f"leaf {index} of {size}"
    path, start, end = [], 0, size
    while end - start > 1:
        split = _split(start, end)
        if index < split:
            path.append(subtree(split, end))
            end = split
        else:
            path.append(subtree(start, split))
            start = split
    return path[::-1]


def consistency(subtree: Subtree, old: int, size: int) -> list[bytes]:
    """Prove that the tree of `old` leaves is the start of that of `size`."""
    assert 0 <= old <= size, f"from {old} to {size}"
    path, start, end, whole = [], 0, size, True
    while 0 < old < end:
        split = _split(start, end)
        if old <= split:
            path.append(subtree(split, end))
            end = split
        else:
            path.append(subtree(start, split))
            start, whole = split, False
    own = [] if whole else [subtree(start, end)]
    return own + path[::-1] if path else []


class TileTree:
    """The tree that a log's tiles say, for any size up to the log's own.

    `tile` gives the hashes of (level, index) so far, as `Store.tile` does.
    """

    def __init__(self, tile: Callable[[int, int], bytes]) -> None:
        """Read tiles with this."""
        self._tile = tile

    def root(self, size: int) -> bytes:
        """Give the root of the first `size` leaves."""
        return self.subtree(0, size)

    def subtree(self, start: int, end: int) -> bytes:
        """Give MTH(D[start:end]) for a range that RFC 6962 would cut out."""
        width = end - start
        if width & (width - 1):
            split = _split(start, end)
            return node_hash(self.subtree(start, split), self.subtree(split, end))
        level = max(0, width.bit_length() - 1) // RISE
        first, count = start >> RISE * level, width >> RISE * level
        tile, at = self._tile(level, first // WIDTH), first % WIDTH * HASH
        part = tile[at : at + count * HASH]
        return Tree([part]).root()
