"""Conditions: what is unknown never opens anything."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.canon import Json
from answerable.kernel.condition import holds
from answerable.kernel.errors import Refused
from tests.kernel.near import JSON, near_value

FACTS: Json = {"urgency": "high", "cvss": 75, "exploited": False, "zones": ["web", "api"]}
LEAVES: list[tuple[Json, bool]] = [
    ({"fact": "urgency", "in": ["high", "critical"]}, True),
    ({"fact": "urgency", "in": ["low"]}, False),
    ({"fact": "urgency", "in": []}, False),
    ({"fact": "zones", "in": ["api"]}, True),
    ({"fact": "zones", "in": ["pci"]}, False),
    ({"fact": "cvss", "at_least": 75}, True),
    ({"fact": "cvss", "at_least": 76}, False),
    ({"fact": "exploited", "is": False}, True),
    ({"fact": "exploited", "is": True}, False),
]
UNKNOWN: list[Json] = [
    {"fact": "epss", "at_least": 1},
    {"fact": "epss", "in": ["x"]},
    {"fact": "epss", "is": False},
    {"fact": "urgency", "at_least": 1},
    {"fact": "cvss", "in": ["75"]},
    {"fact": "cvss", "is": True},
    {"fact": "exploited", "at_least": 0},
    {"fact": "exploited", "in": ["false"]},
    {"fact": "urgency", "in": ["high"], "more": 1},
    {"fact": "urgency"},
    {"all": []},
    {"any": []},
    {"all": [], "any": []},
    {"not": []},
    {},
    [],
    None,
    True,
    "all",
]


@pytest.mark.parametrize(("condition", "expected"), LEAVES)
def test_matchers(condition: Json, *, expected: bool) -> None:
    """Each matcher over a fact that is there, and its negation."""
    assert holds(condition, FACTS) is expected
    assert holds({"not": condition}, FACTS) is not expected


@pytest.mark.parametrize("unknown", UNKNOWN)
def test_unknown_blocks_everywhere(unknown: Json) -> None:
    """Alone, in `not`, in `any` beside what holds, in `all` beside what does not."""
    yes, no = LEAVES[0][0], LEAVES[1][0]
    for whole in (
        unknown, {"not": unknown}, {"any": [yes, unknown]}, {"any": [unknown, yes]},
        {"all": [no, unknown]}, {"not": {"not": unknown}}, {"all": [{"any": [yes, unknown]}]},
    ):  # fmt: skip
        with pytest.raises(Refused, match="not_covered"):
            holds(whole, FACTS)


KNOWN = st.sampled_from(LEAVES)


@given(st.lists(KNOWN, min_size=1, max_size=5))
def test_all_and_any(parts: list[tuple[Json, bool]]) -> None:
    """They mean what Python's mean."""
    conditions = [condition for condition, _ in parts]
    assert holds({"all": conditions}, FACTS) is all(truth for _, truth in parts)
    assert holds({"any": conditions}, FACTS) is any(truth for _, truth in parts)


def test_depth_is_bounded() -> None:
    """A condition nests eight levels deep."""
    condition: Json = LEAVES[0][0]
    for _ in range(8):
        condition = {"all": [condition]}
    assert holds(condition, FACTS)
    with pytest.raises(Refused, match="not_covered"):
        holds({"all": [condition]}, FACTS)


TREE: Json = {"all": [LEAVES[0][0], {"any": [LEAVES[5][0], {"not": LEAVES[8][0]}]}]}


@pytest.mark.fuzz
@given(near_value(TREE) | JSON, near_value(FACTS) | st.just(FACTS))
def test_any_condition_is_refused_or_answers(condition: Json, facts: Json) -> None:
    """A condition over any facts is true, false or `Refused`."""
    with suppress(Refused):
        assert holds(condition, facts) in (True, False)


@given(st.data())
def test_taking_a_fact_away_never_opens(data: st.DataObject) -> None:
    """Whoever hides a fact from the host gains nothing."""
    condition = data.draw(near_value(TREE))
    fewer = dict(FACTS)
    del fewer[data.draw(st.sampled_from(sorted(fewer)))]
    try:
        opened = holds(condition, fewer)
    except Refused:
        return
    assert opened == holds(condition, FACTS)
