"""RFC 6962 section 2.1 word for word: slow, recursive, and written without the project's trees."""

from hashlib import sha256

Hashes = list[bytes]


def leaf(entry: bytes) -> bytes:
    """Hash one entry (2.1)."""
    return sha256(b"\x00" + entry).digest()


def split(size: int) -> int:
    """Give the largest power of two smaller than `size`."""
    k = 1
    while 2 * k < size:
        k *= 2
    return k


def mth(leaves: Hashes) -> bytes:
    """Give the Merkle Tree Hash of leaf hashes (2.1)."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else sha256().digest()
    k = split(len(leaves))
    return sha256(b"\x01" + mth(leaves[:k]) + mth(leaves[k:])).digest()


def path(m: int, leaves: Hashes) -> Hashes:
    """Give the audit path of leaf `m` (2.1.1)."""
    if len(leaves) == 1:
        return []
    k = split(len(leaves))
    if m < k:
        return [*path(m, leaves[:k]), mth(leaves[k:])]
    return [*path(m - k, leaves[k:]), mth(leaves[:k])]


def proof(m: int, leaves: Hashes) -> Hashes:
    """Give the consistency proof from the first `m` leaves, 0 < m <= n (2.1.2)."""
    return _subproof(m, leaves, whole=True)


def _subproof(m: int, leaves: Hashes, *, whole: bool) -> Hashes:
    if m == len(leaves):
        return [] if whole else [mth(leaves)]
    k = split(len(leaves))
    if m <= k:
        return [*_subproof(m, leaves[:k], whole=whole), mth(leaves[k:])]
    return [*_subproof(m - k, leaves[k:], whole=False), mth(leaves[:k])]
