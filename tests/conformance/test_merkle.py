"""Merkle trees: kernel, RFC 6962 word for word, and two Go libraries agree on every small tree."""

import random
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from answerable.kernel.errors import Refused
from answerable.kernel.merkle import EMPTY, Tree, leaf_hash, verify_inclusion
from answerable.ledger.proofs import consistency, inclusion
from answerable.witness.consistency import verify_consistency
from tests.conformance import rfc6962
from tests.conformance.foreign import ask, b64, unb64
from tests.conformance.make_vectors import LEAVES

KNOWN_ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
"""Roots of the first 0..8 leaves, as in Certificate Transparency's own tests."""
KNOWN_PATHS = {
    (0, 8): ["96a296d224f285c6", "5f083f0a1a33ca07", "6b47aaf29ee3c2af"],
    (5, 8): ["bc1a0643b12e4d2d", "ca854ea128ed050b", "d37ee418976dd957"],
    (2, 3): ["fac54203e7cc696c"],
    (1, 5): ["6e340b9cffb37a98", "5f083f0a1a33ca07", "bc1a0643b12e4d2d"],
}
"""Audit paths for (leaf, size) from the same tests, first eight bytes of each hash."""
MOST = 33


def entries(size: int) -> list[bytes]:
    """Give some entries, all different."""
    return [b"entry %d" % n for n in range(size)]


def accepted(leaf: bytes, index: int, size: int, path: list[bytes], root: bytes) -> bool:
    """Ask the kernel about an inclusion proof."""
    try:
        verify_inclusion(leaf, index, size, path, root)
    except Refused:
        return False
    return True


def test_known_roots() -> None:
    """The roots of the eight standard leaves are those of Certificate Transparency."""
    tree = Tree()
    roots = [EMPTY.hex()]
    for leaf in LEAVES:
        tree.extend([leaf_hash(leaf)])
        roots.append(tree.root().hex())
    assert roots == KNOWN_ROOTS


@pytest.mark.parametrize(("index", "size"), KNOWN_PATHS)
def test_known_audit_paths(index: int, size: int) -> None:
    """The audit paths of Certificate Transparency's tests are what we compute, and convince."""
    leaves = [leaf_hash(leaf) for leaf in LEAVES[:size]]
    path = rfc6962.path(index, leaves)
    assert [step.hex()[:16] for step in path] == KNOWN_PATHS[index, size]
    assert accepted(leaves[index], index, size, path, bytes.fromhex(KNOWN_ROOTS[size]))


def test_roots_agree_with_go_and_the_rfc(verifier: Path) -> None:
    """Roots and audit paths of every small tree are the same in kernel, RFC text and Go."""
    jobs = [
        {"op": "tree", "entries": [b64(e) for e in entries(size)], "index": size // 2, "old": size}
        for size in range(MOST)
    ]
    for size, answer in enumerate(ask(verifier, *jobs)):
        leaves = [leaf_hash(entry) for entry in entries(size)]
        assert Tree(leaves).root() == rfc6962.mth(leaves)
        if size:
            path = rfc6962.path(size // 2, leaves)
            assert unb64(answer["root"]) == Tree(leaves).root()
            assert [unb64(step) for step in answer.get("inclusion", [])] == path
            assert inclusion(Tree(leaves).subtree, size // 2, size) == path


def test_root_of_each_earlier_size() -> None:
    """One tree gives the root of each size it has had."""
    leaves = [leaf_hash(entry) for entry in entries(300)]
    tree = Tree()
    for start in range(0, 300, 7):
        tree.extend(leaves[start : start + 7])
    for size in range(301):
        assert tree.root(size) == rfc6962.mth(leaves[:size])


def spoilt(case: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """Change one thing of an inclusion proof."""
    path = list(case["path"])
    what = dice.choice(["flip", "drop", "add", "swap", "index", "size", "leaf", "short"])
    if what == "flip" and path:
        at = dice.randrange(len(path))
        path[at] = sha256(path[at]).digest()
    elif what == "drop" and path:
        path.pop(dice.randrange(len(path)))
    elif what == "swap" and len(path) > 1:
        path[0], path[-1] = path[-1], path[0]
    elif what == "short" and path:
        path[0] = path[0][:31]
    elif what == "index":
        return {**case, "index": dice.randrange(case["size"] + 2)}
    elif what == "size":
        return {**case, "size": dice.randrange(1, 2 * case["size"] + 2)}
    elif what == "leaf":
        return {**case, "leaf": sha256(case["leaf"]).digest()}
    else:
        path.append(sha256(b"more").digest())
    return {**case, "path": path}


def test_verdicts_on_proofs_agree_with_go(verifier: Path) -> None:
    """On good and spoilt inclusion proofs the kernel says what two Go libraries say."""
    dice = random.Random(6962)
    cases = []
    for size in range(1, MOST):
        leaves = [leaf_hash(entry) for entry in entries(size)]
        for index in range(size):
            path, root = rfc6962.path(index, leaves), rfc6962.mth(leaves)
            good = {"leaf": leaves[index], "index": index, "size": size, "path": path, "root": root}
            cases += [good, spoilt(good, dice)]
    jobs = [
        {
            "op": "included", "leaf": b64(case["leaf"]), "root": b64(case["root"]),
            "index": case["index"], "size": case["size"], "proof": [b64(p) for p in case["path"]],
        }
        for case in cases
    ]  # fmt: skip
    verdicts = [accepted(**case) for case in cases]
    assert verdicts == [answer["ok"] for answer in ask(verifier, *jobs)]
    assert all(verdicts[::2])
    assert verdicts[1::2].count(False) > len(cases) // 3


def grown(old: int, size: int, path: list[bytes], old_root: bytes, root: bytes) -> bool:
    """Ask a guard about a consistency proof."""
    try:
        verify_consistency(old, size, path, old_root, root)
    except Refused:
        return False
    return True


def bent(case: dict[str, Any], dice: random.Random) -> dict[str, Any]:
    """Change one thing of a consistency proof."""
    path, what = list(case["path"]), dice.randrange(5)
    if what == 0 and path:
        path[dice.randrange(len(path))] = sha256(b"other").digest()
    elif what == 1 and path:
        path.pop()
    elif what == 2:
        return {**case, "old": dice.randrange(1, case["size"] + 1)}
    elif what == 3:
        return {**case, "old_root": sha256(case["old_root"]).digest()}
    else:
        path.append(sha256(b"more").digest())
    return {**case, "path": path}


def test_consistency_proofs_agree_with_go(verifier: Path) -> None:
    """The log makes RFC 6962's proofs; on good and bent ones guards say what Go says."""
    dice = random.Random(9162)
    leaves = [leaf_hash(entry) for entry in entries(MOST)]
    tree, cases = Tree(leaves), []
    for size in range(1, MOST + 1):
        for old in range(1, size + 1):
            path = consistency(tree.subtree, old, size)
            assert path == rfc6962.proof(old, leaves[:size])
            roots = {"old_root": tree.root(old), "root": tree.root(size)}
            good = {"old": old, "size": size, "path": path, **roots}
            cases += [good, bent(good, dice)]
    jobs = [
        {
            "op": "consistent", "old": case["old"], "size": case["size"],
            "old_root": b64(case["old_root"]), "root": b64(case["root"]),
            "proof": [b64(step) for step in case["path"]],
        }
        for case in cases
    ]  # fmt: skip
    verdicts = [grown(**case) for case in cases]
    assert verdicts == [answer["ok"] for answer in ask(verifier, *jobs)]
    assert all(verdicts[::2])
    assert verdicts[1::2].count(False) > len(cases) // 3
