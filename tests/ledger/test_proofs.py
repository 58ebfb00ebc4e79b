"""Proofs that we make convince verifiers that are not ours to bend."""

from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.merkle import Tree, leaf_hash, verify_inclusion
from answerable.ledger.proofs import TileTree, consistency, inclusion
from answerable.witness.consistency import verify_consistency
from tests.fakes.ledger_store import MemoryStore
from tests.ledger.logs import entry, fill

LARGE = 70_000


def tree_of(size: int) -> Tree:
    """Give the kernel's tree of the tests' entries."""
    return Tree(leaf_hash(entry(n)) for n in range(size))


@given(st.integers(1, 600), st.data())
def test_inclusion_from_a_tree(size: int, data: st.DataObject) -> None:
    """Every record of every size has a proof that the kernel accepts."""
    index = data.draw(st.integers(0, size - 1))
    tree = tree_of(size)
    path = inclusion(tree.subtree, index, size)
    verify_inclusion(leaf_hash(entry(index)), index, size, path, tree.root())


@given(st.integers(0, 600), st.data())
def test_consistency_from_a_tree(size: int, data: st.DataObject) -> None:
    """Every older size has a proof that the witness accepts; none is needed from nothing."""
    old = data.draw(st.integers(0, size))
    tree = tree_of(size)
    path = consistency(tree.subtree, old, size)
    if old:
        verify_consistency(old, size, path, tree.root(old), tree.root())
    assert bool(path) == (0 < old < size)


def test_tiles_answer_as_the_tree_does() -> None:
    """Proofs and roots from the tiles of a large log are those from its leaves, at any size."""
    store = MemoryStore()
    fill(store, LARGE)
    tiles, tree = TileTree(store.tile), tree_of(LARGE)
    for size in (1, 2, 255, 256, 257, 4_096, 65_535, 65_536, 65_537, LARGE):
        assert tiles.root(size) == tree.root(size)
        for index in {0, 1, size // 3, size - 1} & set(range(size)):
            path = inclusion(tiles.subtree, index, size)
            assert path == inclusion(tree.subtree, index, size)
            old = consistency(tiles.subtree, index, size)
            assert old == consistency(tree.subtree, index, size)
