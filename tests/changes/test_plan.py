"""Plan documents: one spelling, one digest, and everything that follows from them."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.changes.plan import NoPlan, Noticed, Plan, Terms, bundle, read
from answerable.feeds.facts import leaf
from answerable.kernel import canon
from answerable.kernel.merkle import leaf_hash, verify_inclusion
from answerable.kernel.order import read_bundle
from answerable.kernel.statement import AUTHORITY
from tests.changes.planning import plan, urgent
from tests.exposure.fleet import FACTS, NEW, OLD, host, known
from tests.feeds.fakes import advisory, artefact
from tests.feeds.mangle import mangled

HOSTS = [host(f"web{n}") for n in range(5)]
TERMS = Terms("aa" * 32, 1800, 600, 100, 200, 300)
NOTICED = Noticed("bb" * 32, "checkpoint", "older checkpoint")


def test_a_plan_survives_its_spelling() -> None:
    """The same inputs give the same bytes, and the bytes give the same plan."""
    made = plan(HOSTS)
    assert plan(HOSTS).text == made.text
    again = read(made.text.encode())
    assert again.digest == made.digest
    assert again.sizes == made.sizes


def test_the_notice_says_what_the_plan_does() -> None:
    """Sizes, roots, artefacts, targets and zones follow from the plan alone."""
    made = plan(HOSTS)
    body = made.notice(TERMS)
    assert canon.conforms(body, AUTHORITY["notice"])
    assert [ring["size"] for ring in body["rings"]] == [1, 2, 2]
    assert body["plan"] == made.digest
    ssl = ("libssl3", "openssl")
    assert body["targets"] == [
        "debian:12/bash@5.2-2", *(f"debian:12/{name}@{NEW}" for name in ssl)
    ]  # fmt: skip
    new = {artefact(n, NEW).sha256 for n in ssl} | {artefact("bash", "5.2-2").sha256}
    old = {artefact(n, OLD).sha256 for n in ssl} | {artefact("bash", "5.2-1").sha256}
    assert set(body["artefacts"]) == new
    assert set(body["undo_artefacts"]) == old
    assert body["zones"] == ["web"]


def test_a_bundle_carries_every_proof() -> None:
    """Order and facts verify against the roots in notice and release; each citation is there."""
    facts = known()
    made = plan(HOSTS, facts)
    (snapshot,) = facts.snapshots
    for number, ring in enumerate(made.rings):
        for place in range(len(ring)):
            data = bundle(made, number, place, NOTICED, facts.snapshots).encode()
            given_ = read_bundle(data)
            root = bytes.fromhex(made.sizes[number]["root"])
            path = canon.unhex(given_.body["path"])
            verify_inclusion(leaf_hash(ring[place].encode()), place, len(ring), path, root)
            names = set()
            for fact in given_.body["facts"]:
                leaf = leaf_hash(fact["fact"].encode())
                names.add(leaf.hex())
                tree = snapshot.candidate.tree
                path = canon.unhex(fact["path"])
                verify_inclusion(leaf, fact["index"], tree.size, path, tree.root())
            cited = {a for c in given_.order["changes"] for p in c.get("packages", ())
                     for a in p["advisories"]}  # fmt: skip
            assert cited < names


def test_a_bundle_shows_what_undoing_would_reopen() -> None:
    """A flaw known to be exploited is carried along, also where another fact gave the authority."""
    hot = advisory("bash", "5.2-2", name="hot", urgency="low", exploited=True)
    facts = known(*FACTS, hot, advisory("bash", "5.2-2", name="mild", urgency="high"))
    made = plan(HOSTS, facts, judged=urgent)
    cited = {a for c in made.orders[0][0]["changes"] for p in c.get("packages", ())
             for a in p["advisories"]}  # fmt: skip
    assert leaf(hot).hex() not in cited
    given_ = read_bundle(bundle(made, 0, 0, NOTICED, facts.snapshots).encode())
    assert hot.text in [fact["fact"] for fact in given_.body["facts"]]


def test_a_bundle_without_its_facts_is_not_made() -> None:
    """A fact that left the snapshot cannot be proven, so nothing is handed out."""
    made = plan(HOSTS)
    others = known(artefact("bash", "5.2-1"))
    with pytest.raises(NoPlan):
        bundle(made, 0, 0, NOTICED, others.snapshots)


def test_a_host_is_found_in_its_ring() -> None:
    """Each host has one place, and others have none."""
    made = plan(HOSTS)
    assert [made.find(h.host) for h in HOSTS] == [(0, 0), (1, 0), (1, 1), (2, 0), (2, 1)]
    assert made.find("pci1") is None


def _edited(**change: object) -> str:
    body = json.loads(plan(HOSTS).text)
    return canon.encode({**body, **change})


def test_a_plan_of_another_shape_is_none() -> None:
    """Orders outside the schema, in the wrong ring, twice, or nowhere, are no plan."""
    rings = json.loads(plan(HOSTS).text)["rings"]
    shell = rings[0][0].replace('"type":"snapshot"', '"type":"shell"')
    for wrong in (
        [],
        [[], *rings],
        [rings[0], rings[0]],
        rings[::-1],
        [[shell]],
        [[rings[0][0], rings[0][0]]],
        [[7]],
    ):
        with pytest.raises(NoPlan):
            read(_edited(rings=wrong).encode())
    with pytest.raises(NoPlan):
        read(_edited(extra=1).encode())


@pytest.mark.fuzz
@given(st.binary(max_size=300) | mangled(plan(HOSTS[:2]).text.encode()))
def test_any_bytes_are_a_plan_or_none(data: bytes) -> None:
    """Untrusted bytes cause `NoPlan` and nothing else."""
    with contextlib.suppress(NoPlan):
        made = read(data)
        assert isinstance(made, Plan)
        assert made.text.encode() == data
