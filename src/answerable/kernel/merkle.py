"""Merkle trees of RFC 6962 section 2.1 with SHA-256: roots, and inclusion.

A leaf hash is SHA-256(0x00 || entry), a node SHA-256(0x01 || left || right), the empty tree's root
SHA-256(""). Inclusion is verified as RFC 9162 section 2.1.3.2 says. Every hash that comes in must
be 32 bytes long: anything else is refused, never truncated.

`Tree` keeps the hash of every complete subtree (64 bytes a leaf), so a host can recompute the root
of each earlier size. Left out: making proofs (ledger) and consistency proofs (witness, ledger),
which a host that follows every record does not need.
"""

from collections.abc import Iterable
from hashlib import sha256

from answerable.kernel.errors import demand

HASH, EMPTY = 32, sha256().digest()


def leaf_hash(entry: bytes) -> bytes:
    """Hash one leaf."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """Hash two subtrees."""
    return sha256(b"\x01" + left + right).digest()


class Tree:
    """An append-only tree of leaf hashes; `levels[k]` holds the roots of 2**k leaves each."""

    def __init__(self, leaves: Iterable[bytes] = ()) -> None:
        """Start with these leaf hashes."""
        self.levels: list[bytearray] = [bytearray()]
        self.extend(leaves)

    @property
    def size(self) -> int:
        """Number of leaves."""
        return len(self.levels[0]) // HASH

    def extend(self, leaves: Iterable[bytes]) -> None:
        """Append leaf hashes and every node they complete."""
        self.levels[0] += b"".join(leaves)
        for height, level in enumerate(self.levels):
            if len(level) < 2 * HASH:
                return
            if height + 1 == len(self.levels):
                self.levels.append(bytearray())
            above = self.levels[height + 1]
            for at in range(2 * len(above), len(level) - 2 * HASH + 1, 2 * HASH):
                above += sha256(b"\x01" + level[at : at + 2 * HASH]).digest()

    def root(self, size: int | None = None) -> bytes:
        """Give the root of the first `size` leaves (all by default)."""
        size = self.size if size is None else size
        assert 0 <= size <= self.size
        return self.subtree(0, size)

    def subtree(self, start: int, end: int) -> bytes:
        """Give MTH(D[start:end]) for a range that RFC 6962 would cut out."""
        width = end - start
        if width & (width - 1) == 0 and width:
            at = start // width * HASH
            return bytes(self.levels[width.bit_length() - 1][at : at + HASH])
        split = start + (1 << (width - 1).bit_length() - 1) if width else 0
        return node_hash(self.subtree(start, split), self.subtree(split, end)) if width else EMPTY


def verify_inclusion(
    leaf: bytes, index: int, size: int, path: list[bytes], root: bytes, why: str = "bad_inclusion"
) -> None:
    """Check an inclusion proof (RFC 9162 2.1.3.2, in the form of transparency-dev/merkle).

    The path has one step a level up to where the leaf's way meets the right border of the tree,
    then one for each subtree left of it.

    Raises:
        Refused: for this reason.
    """
    inner = (index ^ (size - 1)).bit_length()
    good = 0 <= index < size and len(path) == inner + (index >> inner).bit_count()
    for height, step in enumerate(path if good else ()):
        left = height >= inner or index >> height & 1
        leaf = node_hash(step, leaf) if left else node_hash(leaf, step)
        good = good and len(step) == HASH
    demand(good and leaf == root, why, f"leaf {index} of {size}")
