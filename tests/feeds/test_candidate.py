"""Candidates: the same facts give the same bytes, and nothing else is one."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.feeds.candidate import Candidate, NoCandidate, propose, read
from answerable.feeds.facts import leaf
from answerable.feeds.source import Bound, Relation, State, Unusable
from answerable.kernel.merkle import EMPTY, node_hash
from tests.feeds.fakes import MemorySource, advisory, artefact
from tests.feeds.mangle import mangled

FACTS = (artefact(), advisory(), artefact("bash", "5.2-1"))
NEEDS = Relation("openssl", "3.0.22-1", ("libssl3 (= 3.0.22-1)",))


def _candidate(*sources: MemorySource) -> Candidate:
    made = propose("debian", sources or (MemorySource(FACTS),), ["openssl", "bash", "bash"], 0)
    assert isinstance(made, Candidate)
    return made


def test_facts_are_sorted_and_rooted() -> None:
    """The root is RFC 6962's over the sorted facts."""
    made = _candidate()
    texts = [fact.text for fact in made.facts]
    assert texts == sorted(texts)
    assert made.packages == ("bash", "openssl")
    a, b, c = (leaf(fact) for fact in made.facts)
    assert made.tree.root() == node_hash(node_hash(a, b), c) != EMPTY
    assert made.index[b.hex()] == 1


@given(st.permutations(FACTS), st.booleans())
def test_normalising_is_deterministic(facts: list[object], split: bool) -> None:  # noqa: FBT001
    """Neither the order of facts nor the number of sources that state them changes a byte."""
    sources = [MemorySource(facts)]  # type: ignore[arg-type]
    sources = [MemorySource(facts[:2]), MemorySource(facts[1:])] if split else sources  # type: ignore[arg-type]
    made = _candidate(*sources)
    assert [f.text for f in made.facts] == [f.text for f in _candidate().facts]
    assert made.tree.root() == _candidate().tree.root()


def test_a_candidate_survives_its_spelling() -> None:
    """What is written is what is read, hints included."""
    bounds = [Bound(advisory().text, "3.0.0")]
    made = _candidate(MemorySource(FACTS, relations=[NEEDS], bounds=bounds))
    assert read(made.text.encode()) == made
    assert made.introduced == {leaf(advisory()).hex(): "3.0.0"}
    assert made.relations == (NEEDS,)


def test_one_unusable_source_is_no_candidate() -> None:
    """Every source that failed is named with its state; the others do not make up for it."""
    stale, gone = MemorySource(failure=State.STALE), MemorySource(failure=State.MISSING)
    made = propose("debian", [MemorySource(FACTS), stale, gone], ["openssl"], 0)
    assert isinstance(made, NoCandidate)
    assert [problem.state for problem in made.problems] == [State.STALE, State.MISSING]


def test_no_fact_is_no_candidate() -> None:
    """A feed that states nothing is empty, never "no vulnerabilities found"."""
    made = propose("debian", [MemorySource(FACTS)], ["nginx"], 0)
    assert isinstance(made, NoCandidate)
    assert [problem.state for problem in made.problems] == [State.EMPTY]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"size":3', '"size":4'),
        ('"root":"', '"root":"0'),
        ('"feed":"debian"', '"feed":"Debian"'),
        ('"3.0.22-1', '"3.0.22-2'),
        ('\\"urgency\\":\\"high\\"', '\\"urgency\\":\\"soon\\"'),
    ],
)
def test_a_candidate_changed_by_hand_is_none(old: str, new: str) -> None:
    """A root that is not that of the facts, or a fact that is none, is refused."""
    text = _candidate().text
    assert old in text
    with pytest.raises(Unusable) as failure:
        read(text.replace(old, new, 1).encode())
    assert failure.value.state is State.MALFORMED


@pytest.mark.fuzz
@given(st.binary(max_size=300) | mangled(_candidate().text.encode()))
def test_any_bytes_are_a_candidate_or_unusable(data: bytes) -> None:
    """Untrusted bytes cause `Unusable` and nothing else."""
    with contextlib.suppress(Unusable):
        assert read(data).text.encode() == data
