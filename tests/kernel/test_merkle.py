"""Merkle trees: the same root as RFC 6962's recursion, and no proof but the true one."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.errors import Refused
from answerable.kernel.merkle import EMPTY, Tree, leaf_hash, verify_inclusion
from tests.conformance import rfc6962

SIZES = st.integers(1, 200)
NAMES = [leaf_hash(bytes([n % 256, n // 256])) for n in range(1_100)]


@given(st.lists(st.integers(0, 40), max_size=12))
def test_root_is_rfc_6962s_for_every_earlier_size(batches: list[int]) -> None:
    """However a tree is extended, it gives the recursive root of each size it ever had."""
    tree, size = Tree(), 0
    for batch in batches:
        tree.extend(NAMES[size : size + batch])
        size += batch
    assert tree.size == size
    for earlier in {0, 1, 2, size // 2, max(0, size - 1), size} & set(range(size + 1)):
        assert tree.root(earlier) == rfc6962.mth(NAMES[:earlier])


def test_every_size_up_to_a_thousand() -> None:
    """No size is special."""
    tree = Tree()
    for size, leaf in enumerate(NAMES[:1_000], 1):
        tree.extend([leaf])
        if size < 130 or size % 37 == 0:
            assert tree.root() == rfc6962.mth(NAMES[:size])
    assert tree.root(0) == EMPTY


@given(SIZES, st.data())
def test_inclusion_of_every_leaf(size: int, data: st.DataObject) -> None:
    """The path of RFC 6962 2.1.1 proves its leaf, at its place, in its tree, and no other."""
    at = data.draw(st.integers(0, size - 1))
    leaves, root = NAMES[:size], rfc6962.mth(NAMES[:size])
    path = rfc6962.path(at, leaves)
    verify_inclusion(leaves[at], at, size, path, root)
    for leaf, index, length, steps in (
        (NAMES[size], at, size, path),
        (leaves[at], at + 1, size, path),
        (leaves[at], at, size, [*path, path[0]] if path else [root]),
        (leaves[at], at, size, path[:-1] if path else [root]),
        (leaves[at], at + size, size, path),
        (leaves[at], -1, size, path),
        (leaves[at], at, 0, path),
    ):
        refuse(leaf, index, length, steps, root)


def refuse(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> None:
    """Demand that a proof does not pass."""
    with pytest.raises(Refused, match="bad_inclusion"):
        verify_inclusion(leaf, index, size, path, root)


@given(st.integers(2, 200), st.data())
def test_changed_proof_never_passes(size: int, data: st.DataObject) -> None:
    """A flipped bit, a swapped, a shortened or a lengthened step."""
    at = data.draw(st.integers(0, size - 1))
    leaves, root = NAMES[:size], rfc6962.mth(NAMES[:size])
    path = rfc6962.path(at, leaves)
    step = data.draw(st.integers(0, len(path) - 1))
    bit = data.draw(st.integers(0, 255))
    flipped = (int.from_bytes(path[step], "big") ^ (1 << bit)).to_bytes(32, "big")
    for other in (flipped, path[step][:-1], path[step] + b"\0", b"", leaves[at] * 2):
        refuse(leaves[at], at, size, [*path[:step], other, *path[step + 1 :]], root)
    if len(path) > 1 and path[0] != path[-1]:
        refuse(leaves[at], at, size, path[::-1], root)


@pytest.mark.fuzz
@given(
    st.binary(max_size=40), st.integers(-5, 1 << 54), st.integers(-5, 1 << 54),
    st.lists(st.binary(max_size=40), max_size=70), st.binary(max_size=40),
)  # fmt: skip
def test_any_proof_is_refused_or_true(
    leaf: bytes, index: int, size: int, path: list[bytes], root: bytes
) -> None:
    """Untrusted proofs cause `Refused` and nothing else."""
    with suppress(Refused):
        verify_inclusion(leaf, index, size, path, root)
        assert size == 1
        assert leaf == root


def test_inner_node_is_no_leaf() -> None:
    """The hash of two leaves, offered as a leaf of a smaller tree, has another prefix."""
    leaves = NAMES[:4]
    node = rfc6962.mth(leaves[:2])
    refuse(leaf_hash(leaves[0] + leaves[1]), 0, 2, [rfc6962.mth(leaves[2:])], rfc6962.mth(leaves))
    # An inner node given as if it were a leaf *hash* fits; that is why callers hash the leaf.
    verify_inclusion(node, 0, 2, [rfc6962.mth(leaves[2:])], rfc6962.mth(leaves))
