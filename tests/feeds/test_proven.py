"""The absence of provenance is a recorded fact, and where it is demanded nothing passes without."""

from dataclasses import dataclass

import pytest

from answerable.feeds.attest import Agreed, Disagreed, attest
from answerable.feeds.candidate import Candidate, propose
from answerable.feeds.facts import Artefact
from answerable.feeds.proven import (
    Evidence,
    Expected,
    Proven,
    ProvenSource,
    Unproven,
    Verdict,
)
from tests.feeds.fakes import MemoryFetch, MemorySource, artefact

GOOD, BAD = artefact("openssl", "2"), artefact("openssl", "1")
EXPECTED = Expected("https://issuer.example", "release@example.org")


@dataclass
class Book:
    """A judge that believes one document."""

    def check(self, document: bytes, sha256: str, expected: Expected) -> Verdict:
        """Believe `good` about the good artefact."""
        if document == b"good" and sha256 == GOOD.sha256:
            return Proven(expected.identity, "", 0)
        return Unproven("refused", "signed by\x1b[2J mallory")


def _evidence(**documents: bytes) -> Evidence:
    found = {f"{GOOD.path}.{suffix}": data for suffix, data in documents.items()}
    return Evidence(Book(), MemoryFetch(found), {"openssl": EXPECTED})


def _source(evidence: Evidence | None, *, demanded: bool, signed: bool = False) -> ProvenSource:
    return ProvenSource(MemorySource((GOOD, BAD), signed=signed), evidence, lambda: demanded)


def _proposed(source: ProvenSource) -> Candidate:
    found = propose("pypi", [source], ["openssl"], 0)
    assert isinstance(found, Candidate)
    return found


def test_what_is_not_proven_is_recorded() -> None:
    """Not demanded: it stays a fact, and everybody who reads the candidate sees the gap."""
    found = _proposed(_source(_evidence(provenance=b"good"), demanded=False))
    assert len(found.artefacts) == 2
    (gap,) = found.gaps
    assert gap.package == "openssl"
    assert gap.reason == f"{BAD.path}: provenance absent: no document beside `{BAD.path}`"


def test_what_is_not_proven_is_no_fact_where_that_is_demanded() -> None:
    """Demanded: it is in no candidate, so in no release, so on no host."""
    found = _proposed(_source(_evidence(provenance=b"good"), demanded=True))
    assert found.artefacts == [GOOD]
    assert len(found.gaps) == 1


def test_a_guard_does_not_follow_a_planner_that_skips_it() -> None:
    """A candidate with an unproven artefact meets guards that find none such."""
    careless = _proposed(_source(_evidence(provenance=b"good"), demanded=False))
    strict = _source(_evidence(provenance=b"good"), demanded=True)
    assert isinstance(attest(careless, [strict], 0), Disagreed)
    assert isinstance(attest(_proposed(strict), [strict], 0), Agreed)


@pytest.mark.parametrize(
    ("evidence", "said"),
    [
        (None, "provenance absent: nothing is configured"),
        (_evidence(), "provenance absent: no document"),
        (_evidence(provenance=b"bad"), "provenance refused: signed by [2J mallory"),
        (Evidence(Book(), MemoryFetch(), {}), "provenance unexpected: no identity"),
    ],
)
def test_each_lack_has_its_word(evidence: Evidence | None, said: str) -> None:
    """Missing, refused, nobody expected, nothing configured; and no control character is shown."""
    collected = _source(evidence, demanded=True).collect(["openssl"], 0)
    assert [fact for fact in collected.facts if isinstance(fact, Artefact)] == []
    reason = collected.gaps[0].reason.removeprefix(f"{GOOD.path}: ")
    assert reason.replace("  ", " ").startswith(said)


def test_nothing_is_asked_where_nobody_asks() -> None:
    """A feed without such settings, under a charter that demands none, is as it was."""
    source = _source(None, demanded=False)
    assert source.collect(["openssl"], 0) == source.source.collect(["openssl"], 0)
    assert source.name == "memory"


def test_a_bundle_has_one_of_three_names() -> None:
    """PEP 740's object first, then a bundle by its newer and its older name."""
    for suffix in ("provenance", "sigstore.json", "sigstore"):
        assert isinstance(_evidence(**{suffix: b"good"}).about(GOOD), Proven)


def test_a_document_that_is_too_large_is_not_read() -> None:
    """It is not absent either."""
    verdict = _evidence(provenance=b"x" * (5 << 20)).about(GOOD)
    assert isinstance(verdict, Unproven)
    assert verdict.reason == "malformed"


@pytest.mark.parametrize(
    ("pattern", "identity", "named"),
    [
        ("a@b.c", "a@b.c", True),
        ("a@b.c", "A@b.c", False),
        ("https://x/w.yml@refs/tags/*", "https://x/w.yml@refs/tags/v1", True),
        ("https://x/w.yml@refs/tags/*", "https://x/w.yml@refs/heads/main", False),
        ("https://x/w.yml@refs/tags/*", "https://x/evil.yml@refs/tags/v1", False),
        ("https://x/*", "https://x/w.yml", False),
        ("*", "anybody", False),
        ("https://x/w.yml@refs/*/v1", "https://x/w.yml@refs/tags/v1", False),
        ("*", "*", True),
    ],
)
def test_an_identity_is_exact_but_for_a_tag(pattern: str, identity: str, *, named: bool) -> None:
    """A star stands for a tag or branch, and for nothing else."""
    assert Expected("i", pattern).names(identity) is named
