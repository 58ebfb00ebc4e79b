"""What a witness checks of a log: that its two keys signed a head, and that it only appended.

Consistency proofs are those of RFC 6962 section 2.1.2, verified as RFC 9162 section 2.1.4.2 says.
Every hash that comes in must be 32 bytes long: anything else is refused, never truncated. A log
signs its checkpoints with two keys, types 0x01 and 0x06, and a checkpoint counts only with both.

Left out: making consistency proofs (ledger); who follows every record needs none.
"""

from collections.abc import Sequence

from answerable.kernel.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    Pair,
    check_cosignature,
    parse_checkpoint,
)
from answerable.kernel.errors import demand
from answerable.kernel.merkle import EMPTY, HASH, Tree, node_hash
from answerable.kernel.note import ED25519, Key, Note, plain
from answerable.keys.sign import signature_line

PROOF = 63
"""Most hashes of a consistency proof."""


def log_signed(data: bytes, origin: str, pair: Pair) -> tuple[Checkpoint, str]:
    """Open a checkpoint that a log signed with both its keys (0x01 and 0x06).

    Returns: the checkpoint, and the log's own signature lines.

    Raises:
        Refused: `too_large`, `malformed`, `bad_signature` or `wrong_origin`.
    """
    text, good = Note(data, CHECKPOINT).open(pair, _check)
    demand(set(good) == set(pair), "bad_signature", f"`{origin}` must sign with both its keys")
    checkpoint = parse_checkpoint(text)
    demand(checkpoint.origin == origin, "wrong_origin", f"`{checkpoint.origin}`, not `{origin}`")
    lines = (signature_line(key, payload) for key, found in good.items() for payload in found)
    return checkpoint, "".join(lines)


def _check(key: Key, text: bytes, payload: bytes) -> bool:
    check = plain if key.kind == ED25519 else check_cosignature
    return check(key, text, payload)


def verify_consistency(
    old: int, size: int, path: Sequence[bytes], old_root: bytes, root: bytes
) -> None:
    """Check that the tree of `old` leaves is a prefix of the tree of `size`.

    Raises:
        Refused: `bad_consistency`.
    """
    detail = f"from {old} to {size}"
    short = len(path) <= PROOF and all(len(h) == HASH for h in (*path, old_root, root))
    demand(short and 0 <= old <= size, "bad_consistency", detail)
    if old in (0, size):
        same = old_root == (root if old else EMPTY) and not path
        demand(same and (size or root == EMPTY), "bad_consistency", detail)
        return
    demand(path, "bad_consistency", detail)
    steps = [old_root, *path] if old & (old - 1) == 0 else path
    demand(_fold(old, size, steps) == (old_root, root), "bad_consistency", detail)


def _fold(old: int, size: int, steps: Sequence[bytes]) -> tuple[bytes, bytes] | None:
    node, last = old - 1, size - 1
    while node & 1:
        node, last = node >> 1, last >> 1
    first = second = steps[0]
    for step in steps[1:]:
        if last == 0:
            return None
        if node & 1 or node == last:
            first, second = node_hash(step, first), node_hash(step, second)
            while node & 1 == 0 and node:
                node, last = node >> 1, last >> 1
        else:
            second = node_hash(second, step)
        node, last = node >> 1, last >> 1
    return None if last else (first, second)


def root_with(tree: Tree, leaves: Sequence[bytes]) -> bytes:
    """Give the root that a tree would have with more leaf hashes, leaving it as it is."""
    peaks, size = [], tree.size
    for height in reversed(range(size.bit_length())):
        if size >> height & 1:
            start = size >> height + 1 << height + 1
            peaks.append(tree.subtree(start, start + (1 << height)))
    for leaf in leaves:
        peak, at = leaf, size
        while at & 1:
            peak, at = node_hash(peaks.pop(), peak), at >> 1
        peaks.append(peak)
        size += 1
    if not peaks:
        return EMPTY
    root = peaks.pop()
    while peaks:
        root = node_hash(peaks.pop(), root)
    return root


def inclusion_path(tree: Tree, index: int) -> list[bytes]:
    """Prove that leaf `index` is in the tree (RFC 6962 section 2.1.1)."""
    assert 0 <= index < tree.size, "the leaf is in the tree"
    path, start, end = [], 0, tree.size
    while end - start > 1:
        split = start + (1 << (end - start - 1).bit_length() - 1)
        left = index < split
        path.append(tree.subtree(split, end) if left else tree.subtree(start, split))
        start, end = (start, split) if left else (split, end)
    return path[::-1]
