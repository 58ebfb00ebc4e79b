"""CVSS base scores, against scores that others published."""

import contextlib
from itertools import product

import pytest
from cvss import CVSS3  # type: ignore[import-untyped]
from hypothesis import given
from hypothesis import strategies as st

from answerable.feeds.cvss import rating, tenths
from tests.feeds.mangle import mangled

VECTORS = (
    b"CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H",
    b"CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N",
    b"AV:N/AC:L/Au:N/C:P/I:P/A:P",
)


def _damaged() -> st.SearchStrategy[bytes]:
    return st.one_of(*map(mangled, VECTORS))


@pytest.mark.parametrize(
    ("vector", "score"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 98),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 100),
        ("CVSS:3.0/AV:N/AC:L/PR:N/UI:R/S:C/C:L/I:L/A:N", 61),
        ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 78),
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:R/S:U/C:H/I:H/A:H", 75),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:R/S:U/C:L/I:L/A:N", 54),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:N", 91),
        ("CVSS:3.1/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 64),
        ("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:N/I:N/A:N", 0),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", 93),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:H/SI:H/SA:H", 100),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N/E:U", 93),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:N/VI:N/VA:N/SC:N/SI:N/SA:N", 0),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:X/VI:H/VA:H/SC:N/SI:N/SA:N", -1),
        ("AV:N/AC:L/Au:N/C:P/I:P/A:P", 75),
        ("AV:L/AC:H/Au:M/C:N/I:N/A:N", 0),
        ("AV:N/AC:L/Au:N/C:C/I:C/A:C/E:U/RL:OF/RC:C", 100),
        ("AV:N/AC:L/Au:N/C:P/I:P", -1),
        ("", -1),
    ],
)
def test_scores_are_those_of_the_standard(vector: str, score: int) -> None:
    """Each vector gives its published score, and one that is not read gives none."""
    assert tenths(vector) == score


def test_every_vector_of_version_3_scores_as_the_library_does() -> None:
    """All base vectors of 3.0 and 3.1, against Red Hat's reading of the same standard."""
    letters = ("NALP", "LH", "NLH", "NR", "UC", "HLN", "HLN", "HLN")
    names = ("AV", "AC", "PR", "UI", "S", "C", "I", "A")
    for version in ("3.0", "3.1"):
        for each in product(*letters):
            words = (f"{name}:{letter}" for name, letter in zip(names, each, strict=True))
            vector = f"CVSS:{version}/{'/'.join(words)}"
            assert tenths(vector) == round(10 * float(CVSS3(vector).base_score)), vector


def test_ratings_follow_the_scale() -> None:
    """The words of the qualitative scale begin where the standard says."""
    words = [rating(score) for score in (-1, 0, 1, 39, 40, 69, 70, 89, 90, 100)]
    assert words == ["unknown", "unknown", "low", "low", "medium", "medium", "high", "high",
                     "critical", "critical"]  # fmt: skip


@pytest.mark.fuzz
@given(st.binary(max_size=300) | _damaged())
def test_any_text_has_a_score_or_none(data: bytes) -> None:
    """Untrusted vectors cause no failure and no score outside the scale."""
    with contextlib.suppress(UnicodeDecodeError):
        assert -1 <= tenths(data.decode()) <= 100
