"""An authority log in memory, and what guards say about it: checkpoints, fresh replies, releases.

The log is as honest as the test: entries are appended unchecked, checkpoints are cosigned at any
time by any guards over any root. Inclusion paths are made here by RFC 6962 2.1.1, so that the
kernel's verification is held to a second hand.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.note import COSIGNATURE, ED25519
from answerable.keys.sign import cosign
from tests.simulator.keys import pair


def inclusion(tree: Tree, index: int, size: int | None = None) -> list[str]:
    """Prove that leaf `index` is in the tree of `size` leaves; hashes in hex, leaf to root."""
    start, end = 0, tree.size if size is None else size
    path: list[str] = []
    while end - start > 1:
        split = start + (1 << (end - start - 1).bit_length() - 1)
        left = index < split
        other = (split, end) if left else (start, split)
        path.append(Tree(_leaves(tree, *other)).root().hex())
        start, end = (start, split) if left else (split, end)
    return path[::-1]


def _leaves(tree: Tree, start: int, end: int) -> Iterable[bytes]:
    level = tree.levels[0]
    return [bytes(level[i * 32 : i * 32 + 32]) for i in range(start, end)]


def tree_of(texts: Iterable[str]) -> Tree:
    """Make the tree whose leaves are these texts."""
    return Tree(leaf_hash(text.encode()) for text in texts)


def cosigned_note(
    checkpoint: Checkpoint, role: str, times: Mapping[str, int], *, log: str = ""
) -> bytes:
    """Spell a checkpoint with both cosignatures of these guards at their times.

    With `log`, the log of that origin signs first with its own two keys.
    """
    lines = _lines(checkpoint, 0, log, ED25519) if log else ""
    for guard, time in times.items():
        lines += _lines(checkpoint, time, f"{guard}.example/{role}", COSIGNATURE)
    return f"{checkpoint.text()}\n{lines}".encode()


@lru_cache(maxsize=8192)
def _lines(checkpoint: Checkpoint, time: int, party: str, first: int) -> str:
    # ML-DSA signing is hedged: kept, so that the same story has the same bytes, and is quick.
    return cosign(checkpoint, time, *pair(party, first))


def with_lines(note: bytes, other: bytes) -> bytes:
    """Add the signature lines of another note to a note."""
    return note + other.rpartition(b"\n\n")[2]


def fork(tree: Tree, leaves: Sequence[bytes], at: int) -> Tree:
    """Give another history: the first `at` leaves of a tree, then these."""
    return Tree([*_leaves(tree, 0, at), *leaves])
