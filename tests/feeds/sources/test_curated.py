"""The file of facts that people keep by hand."""

import contextlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import answerable
from answerable.feeds.documents.fetch import Folder
from answerable.feeds.source import Collected, State, Unusable
from answerable.feeds.sources.curated import Curated
from tests.feeds.fakes import MemoryFetch
from tests.feeds.mangle import mangled

FACT = {
    "id": "CVE-2024-49768", "package": "Waitress", "cvss": 9.1, "kev": "2024-11-01",
    "cvss_vector": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:N",
    "affected": ">=2.0.0,<3.0.1", "fixed": "3.0.1", "note": "for people",
}  # fmt: skip
TEXT = json.dumps([FACT]).encode()


def _collect(data: bytes) -> Collected:
    source = Curated(MemoryFetch({"facts.json": data}), "facts.json")
    return source.collect(["waitress"], 0)


def test_a_fact_is_read_with_its_lower_bound() -> None:
    """Score, exploitation, rating and range are taken as written."""
    found = _collect(TEXT)
    (fact,) = found.facts
    assert not found.signed
    assert json.loads(fact.text) == {
        "kind": "advisory", "id": "CVE-2024-49768", "ecosystem": "pypi", "package": "waitress",
        "source": "waitress", "fixed": "3.0.1", "urgency": "critical", "cvss": 91,
        "cves": ["CVE-2024-49768"], "exploited": True, "published": 0,
    }  # fmt: skip
    assert [(b.advisory, b.introduced) for b in found.bounds] == [(fact.text, "2.0.0")]


@pytest.mark.parametrize(
    "change",
    [
        {"cvss": 9.0},
        {"cvss": 9.11},
        {"cvss": "9.1"},
        {"cvss": True},
        {"kev": "yes"},
        {"kev": 1},
        {"fixed": "soon"},
        {"package": ""},
        {"id": None},
    ],
)
def test_one_bad_fact_spoils_the_file(change: dict[str, object]) -> None:
    """A score that its vector does not give, or a field of another kind, is not waved through."""
    with pytest.raises(Unusable) as failure:
        _collect(json.dumps([FACT, {**FACT, **change}]).encode())
    assert failure.value.state is State.MALFORMED


def test_an_empty_list_is_empty() -> None:
    """No fact at all is a state, never "no vulnerabilities"."""
    with pytest.raises(Unusable) as failure:
        _collect(b"[]")
    assert failure.value.state is State.EMPTY


def test_the_demos_own_facts_are_sound() -> None:
    """Every fact that ships with the demo has the score that its vector gives."""
    folder = Path(answerable.__file__).parent / "demo"
    packages = {fact["package"] for fact in json.loads((folder / "facts.json").read_text("utf-8"))}
    found = Curated(Folder(folder), "facts.json").collect(sorted(packages), 0)
    assert {fact.package for fact in found.facts} == packages


@pytest.mark.fuzz
@given(
    st.binary(max_size=300)
    | mangled(TEXT)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(st.sampled_from([*FACT, "x"]), inner, max_size=6)
        ),
        max_leaves=8,
    ).map(lambda value: json.dumps(value).encode())
)
def test_any_bytes_are_facts_or_unusable(data: bytes) -> None:
    """Untrusted files cause `Unusable` and nothing else."""
    with contextlib.suppress(Unusable):
        _collect(data)
