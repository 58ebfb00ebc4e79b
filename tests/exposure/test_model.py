"""A model's file: one spelling, exact sums, nothing that is not in its tables."""

import json
import math
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.exposure.model import KIND, MILLIONTHS, SHARES, Axis, Model, probability, read
from answerable.kernel.canon import encode
from answerable.kernel.errors import Refused
from tests.exposure.models import BANDS, CVSS, MODEL

VALUES = st.none() | st.integers(-5, 150) | st.sampled_from(["acme", "mitre", "zeta", ""])
SAID = st.fixed_dictionaries({}, optional=dict.fromkeys(
    ("cvss", "cna", "says_rce", "says_edge", "other"), VALUES))  # fmt: skip


def test_a_file_is_read_as_it_was_written() -> None:
    """The bytes are the model; its hash names it."""
    again = read(MODEL.text.encode())
    assert again == MODEL
    assert again.sha256 == MODEL.sha256
    assert json.loads(MODEL.text)["kind"] == KIND


@given(SAID)
def test_parts_add_up_exactly(said: dict[str, int | str | None]) -> None:
    """An explanation is the score: no rest, to the last millionth."""
    parts = MODEL.parts(said)
    assert MODEL.intercept + sum(part.millionths for part in parts) == MODEL.score(said)
    assert {part.name for part in parts} == {"cvss", "cna", "says_rce x says_edge"}


def test_places_are_found_as_the_file_says() -> None:
    """Not said, below, on and above a cut, known and unknown words."""
    axis = CVSS.axes[0]
    assert [axis.place(v) for v in (None, 39, 40, 89, 90, 500, "x")] == [0, 1, 2, 3, 4, 4, 5]
    words = Axis("cna", (), ("acme", "mitre"))
    assert [words.place(v) for v in (None, "acme", "mitre", "zeta", 7)] == [0, 1, 2, 3, 3]
    assert [axis.spelled(p) for p in range(axis.places)] == [
        "not said", "below 40", "40 to 69", "70 to 89", "90 or more", "another",
    ]  # fmt: skip
    assert [words.spelled(p) for p in range(4)] == ["not said", "acme", "mitre", "another"]
    assert Axis("any").spelled(1) == "any"


def test_a_pair_is_read_row_by_row() -> None:
    """Both features decide together, and only together."""
    both = MODEL.score({"says_rce": 1, "says_edge": 1})
    assert both - MODEL.score({"says_rce": 1, "says_edge": 0}) == 900_000 - 20
    assert MODEL.score({"says_rce": 0, "says_edge": 1}) - MODEL.score({}) == 7


@given(SAID)
def test_each_change_changes_the_band_as_it_says(said: dict[str, int | str | None]) -> None:
    """A counterfactual is an answer of the same tables."""
    now = MODEL.band(MODEL.score(said))
    for change in MODEL.changes(said):
        assert change.band != now
        assert MODEL.band(change.score) == change.band


def test_bands_are_reached_from_their_lower_end() -> None:
    """A score on the line is in the band."""
    assert [MODEL.band(end) for end in BANDS] == list(range(1, len(SHARES) + 1))
    assert MODEL.band(BANDS[0] - 1) == 0


def test_a_probability_is_the_logistic_of_the_score() -> None:
    """Also for scores that no exponential could hold."""
    assert math.isclose(probability(0), 0.5)
    assert probability(10**15) > 0.999
    assert probability(-(10**15)) < 0.001
    assert math.isclose(probability(MILLIONTHS), 1 / (1 + math.exp(-1)))


@pytest.mark.parametrize(
    "change",
    [
        {"terms": []},
        {"bands": [1, 2]},
        {"bands": list(reversed(BANDS))},
        {"bands": [True, *BANDS[1:]]},
        {"intercept": "1"},
        {"kind": "answerable/ranking-model/v2"},
        {"more": 1},
        {"terms": [{"axes": [], "scores": [1]}]},
        {"terms": [{"axes": [{"feature": "a", "cuts": [2, 1], "words": []}], "scores": [0] * 5}]},
        {"terms": [{"axes": [{"feature": "a", "cuts": [1], "words": ["b"]}], "scores": [0] * 4}]},
        {"terms": [{"axes": [{"feature": "a", "cuts": [], "words": ["b", "b"]}],
                    "scores": [0] * 4}]},
        {"terms": [{"axes": [{"feature": "a", "cuts": [1], "words": []}], "scores": [0] * 3}]},
    ],
)  # fmt: skip
def test_another_shape_is_refused(change: dict[str, object]) -> None:
    """A file that is not exactly a model is none."""
    value = {**json.loads(MODEL.text), **change}
    with pytest.raises(Refused) as refused:
        read(encode(value).encode())
    assert refused.value.reason == "malformed"


def test_the_example_of_the_page_is_a_model() -> None:
    """What docs/spec/model.md shows is read, and written again byte for byte."""
    page = Path(__file__).parents[2] / "docs" / "spec" / "model.md"
    (shown,) = re.findall(r"```json\n(.*?)\n```", page.read_text("utf-8"), re.DOTALL)
    assert read(shown.encode()).text == shown


def test_a_changed_digit_is_another_model() -> None:
    """A swapped score has another hash, so it is not the released one."""
    swapped = Model(MODEL.features, MODEL.manifest, MODEL.intercept + 1, MODEL.terms, MODEL.bands)
    assert swapped.sha256 != MODEL.sha256
