"""However entries come, in whatever batches, the tree that grows is RFC 6962's."""

from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.merkle import EMPTY, HASH, Tree, leaf_hash
from answerable.ledger.frontier import WIDTH, Frontier
from answerable.ledger.tiles import levels, row
from tests.ledger.logs import entry

Tiles = dict[tuple[int, int], bytes]


def grown(sizes: list[int], tiles: Tiles) -> tuple[Frontier, Tree]:
    """Grow a frontier by batches, and the kernel's tree by its leaves."""
    frontier, tree = Frontier(), Tree()
    for size in sizes:
        leaves = [leaf_hash(entry(n)) for n in range(tree.size, tree.size + size)]
        tree.extend(leaves)
        for tile in frontier.extend(leaves):
            tiles[tile.level, tile.index] = tile.hashes
        assert frontier.root() == tree.root()
    return frontier, tree


def test_empty_tree() -> None:
    """The empty tree has the root that RFC 6962 gives it."""
    assert (Frontier().root(), Frontier().size) == (EMPTY, 0)


@given(st.lists(st.integers(1, 400), max_size=8))
def test_roots_equal_the_kernels(sizes: list[int]) -> None:
    """The root after each batch is that of the kernel's own tree."""
    frontier, tree = grown(sizes, {})
    assert frontier.size == tree.size == sum(sizes)


@given(st.lists(st.integers(1, 400), max_size=8))
def test_tiles_are_exactly_those_of_the_size(sizes: list[int]) -> None:
    """Every tile that the size implies was given out last as it is now, and none else."""
    tiles: Tiles = {}
    _, tree = grown(sizes, tiles)
    wanted = {}
    for level in levels(tree.size):
        hashes = bytes(tree.levels[8 * level]) if len(tree.levels) > 8 * level else b""
        for name in row(level, tree.size):
            at = name.index * WIDTH * HASH
            wanted[level, name.index] = hashes[at : at + name.width * HASH]
    assert tiles == wanted


@given(st.lists(st.integers(1, 400), max_size=6), st.integers(1, 700))
def test_a_loaded_frontier_goes_on_as_if_it_had_never_stopped(sizes: list[int], more: int) -> None:
    """A log that is opened again grows the same tree."""
    tiles: Tiles = {}
    frontier, tree = grown(sizes, tiles)
    again = Frontier.load(frontier.size, lambda level, index: tiles.get((level, index), b""))
    assert again.root() == frontier.root()
    leaves = [leaf_hash(entry(n)) for n in range(tree.size, tree.size + more)]
    assert again.extend(leaves) == frontier.extend(leaves)
    tree.extend(leaves)
    assert again.root() == frontier.root() == tree.root()


def test_third_level_of_tiles() -> None:
    """Level 2 begins at 65,536 leaves."""
    tiles: Tiles = {}
    grown([65_000, 536, 1], tiles)
    assert [len(tiles[2, 0]), len(tiles[1, 0]), len(tiles[0, 256])] == [HASH, WIDTH * HASH, HASH]
