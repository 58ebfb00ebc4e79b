"""Only a longer tree that begins with the old one is consistent, and a log signs with two keys."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.errors import Refused
from answerable.kernel.merkle import EMPTY, Tree, leaf_hash, verify_inclusion
from answerable.kernel.note import ED25519
from answerable.witness.consistency import (
    inclusion_path,
    log_signed,
    root_with,
    verify_consistency,
)
from tests.conformance import rfc6962
from tests.fakes.tiled_log import TiledLog
from tests.simulator.keys import pair, public

LEAVES = [leaf_hash(b"%d" % n) for n in range(70)]


def consistent(old: int, size: int, path: list[bytes], old_root: bytes, root: bytes) -> bool:
    """Ask the witness."""
    try:
        verify_consistency(old, size, path, old_root, root)
    except Refused as refused:
        return refused.reason != "bad_consistency"
    return True


@given(st.integers(0, 70), st.integers(0, 70))
def test_honest_proofs_pass(old: int, size: int) -> None:
    """Every pair of sizes of one tree is consistent, by RFC 6962's own proof."""
    old, size = sorted((old, size))
    path = rfc6962.proof(old, LEAVES[:size]) if 0 < old < size else []
    assert consistent(old, size, path, rfc6962.mth(LEAVES[:old]), rfc6962.mth(LEAVES[:size]))


@given(st.integers(1, 69), st.integers(1, 70), st.integers(0, 2**32))
def test_mutated_proofs_never_pass(old: int, size: int, seed: int) -> None:
    """A proof that is truncated, extended, bit-flipped or for other sizes is refused."""
    draw = random.Random(seed)
    old, size = min(old, size - 1), max(old + 1, size)
    path = rfc6962.proof(old, LEAVES[:size]) if old else []
    given_ = (old, size, path, rfc6962.mth(LEAVES[:old]), rfc6962.mth(LEAVES[:size]))
    at = draw.randrange(len(path)) if path else 0
    bad: list[list[bytes]] = [path[:-1] if path else [EMPTY], [*path, EMPTY]]
    if path:
        flipped = bytes([path[at][0] ^ 1 << draw.randrange(8)]) + path[at][1:]
        bad += [[*path[:at], flipped, *path[at + 1 :]], [*path[:at], path[at] + b"\0"]]
    assert consistent(*given_)
    assert not any(consistent(old, size, p, *given_[3:]) for p in bad)
    assert not consistent(old, size, path, given_[4], given_[3])


def test_empty_tree_has_one_root_and_leads_anywhere_without_a_proof() -> None:
    """From size 0 no proof is given, and no root but that of the empty tree is size 0."""
    root = rfc6962.mth(LEAVES)
    assert consistent(0, 70, [], EMPTY, root)
    assert not consistent(0, 70, [root], EMPTY, root)
    assert not consistent(0, 0, [], root, root)
    assert not consistent(0, 0, [], EMPTY, root)
    assert not consistent(7, 3, [], EMPTY, root)


@pytest.mark.parametrize("size", range(40))
def test_root_with_more_leaves_is_the_longer_tree_s(size: int) -> None:
    """The root that records would lead to is computed without touching the state's tree."""
    tree = Tree(LEAVES[:size])
    for more in (0, 1, 2, 29):
        assert root_with(tree, LEAVES[size : size + more]) == rfc6962.mth(LEAVES[: size + more])
    assert tree.size == size


@pytest.mark.parametrize("size", [1, 2, 7, 64, 70])
def test_inclusion_paths_verify(size: int) -> None:
    """Each leaf of a freshness tree is proven by the path that its host is given."""
    tree = Tree(LEAVES[:size])
    for index in range(size):
        verify_inclusion(LEAVES[index], index, size, inclusion_path(tree, index), tree.root())


def test_half_a_signature_pair_is_no_log() -> None:
    """A thief with one of a log's two keys signs no head that a guard looks at."""
    log = TiledLog("log.example/x", [b"a"])
    keys = public(pair(log.origin, ED25519))
    assert log_signed(log.head(), log.origin, keys)[0].size == 1
    for note, origin, reason in (
        (log.head(keys=1), log.origin, "bad_signature"),
        (TiledLog("log.example/y").head(), log.origin, "bad_signature"),
        (log.head(), "log.example/y", "wrong_origin"),
        (b"x", log.origin, "malformed"),
    ):
        with pytest.raises(Refused) as refused:
            log_signed(note, origin, keys)
        assert refused.value.reason == reason
