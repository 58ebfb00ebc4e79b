"""Facts: one spelling each, and nothing outside their shape."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.feeds.facts import CVES, FACT, Advisory, Artefact, Fact, leaf, read
from answerable.kernel import canon
from answerable.kernel.errors import Refused
from answerable.kernel.merkle import leaf_hash
from tests.feeds.fakes import advisory, artefact
from tests.feeds.mangle import mangled


@pytest.mark.parametrize("fact", [advisory(), artefact(), advisory(cvss=98, exploited=True)])
def test_a_fact_survives_its_spelling(fact: Fact) -> None:
    """What is written is what is read."""
    assert read(fact.text) == fact
    assert leaf(fact) == leaf_hash(fact.text.encode())


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "rumour"},
        {"cvss": 101},
        {"cvss": -2},
        {"cvss": True},
        {"urgency": "soon"},
        {"fixed": "not a version!"},
        {"ecosystem": "windows"},
        {"extra": 1},
        {"package": "two words"},
        {"exploited": 1},
        {"cves": [f"CVE-2026-{n:04}" for n in range(CVES + 1)]},
    ],
)
def test_a_fact_outside_the_shape_is_refused(change: dict[str, object]) -> None:
    """No field more, none less, none of another kind."""
    value = canon.decode(advisory().text.encode(), FACT)
    with pytest.raises(Refused):
        read(canon.encode({**value, **change}))


def test_the_longest_fact_fits_a_bundle() -> None:
    """An advisory with as many flaws as are kept can still be carried to a host."""
    cves = tuple(f"CVE-2026-{n:07}" for n in range(CVES))
    word = "n" * 128
    fact = Advisory(word, "debian:12", word, word, "1" * 60, "unknown", cves, -1, exploited=True,
                    published=1 << 40)  # fmt: skip
    assert read(fact.text) == fact
    assert canon.conforms(fact.text, "text")


@pytest.mark.fuzz
@given(
    st.binary(max_size=500) | mangled(advisory().text.encode()) | mangled(artefact().text.encode())
)
def test_any_text_is_a_fact_or_refused(data: bytes) -> None:
    """Untrusted text causes `Refused` and nothing else."""
    with contextlib.suppress(Refused):
        fact = read(data.decode("utf-8", "surrogateescape"))
        assert isinstance(fact, Advisory | Artefact)
        assert fact.text.encode() == data
