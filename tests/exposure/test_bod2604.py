"""The directive's table: our sixteen rows are the published ones, and ignorance is never milder."""

import json
from itertools import product
from pathlib import Path

import pytest

from answerable.exposure.bod2604 import ANSWERS, DAY, DAYS, QUESTIONS, WORDS, floor

PUBLISHED = (
    Path(__file__).parents[2].parent / "shared" / "data" / "ssvc" / "cisa_bod_26_04_1_0_0.json"
)
KEYS = ("cisa:KEV:1.0.0", "cisa:PE:1.0.0", "ssvc:A:2.0.0", "ssvc:TI:1.0.0")


@pytest.mark.skipif(not PUBLISHED.is_file(), reason="shared/data is absent")
def test_every_row_is_the_published_one() -> None:
    """Our file says what CERT/CC's says, row for row."""
    rows = json.loads(PUBLISHED.read_text())["mapping"]
    assert len(rows) == 16
    for row in rows:
        known = {question: row[key] for question, key in zip(QUESTIONS, KEYS, strict=True)}
        found = floor(known)
        assert (found.timeline, found.unknown) == (row["cisa:BOD2604:1.0.0"], ())


@pytest.mark.parametrize("hidden", range(16))
def test_what_is_not_known_counts_as_worse(hidden: int) -> None:
    """Hiding any answers never gives a milder timeline than the truth, and names what is hidden."""
    names = [q for at, q in enumerate(QUESTIONS) if hidden >> at & 1]
    for row in product(*ANSWERS):
        truth = dict(zip(QUESTIONS, row, strict=True))
        known = {q: answer for q, answer in truth.items() if q not in names}
        found = floor(known)
        assert found.strictness >= floor(truth).strictness
        assert list(found.unknown) == names
        assert floor(found.row).timeline == found.timeline


def test_an_answer_that_is_none_is_not_known() -> None:
    """A word that the table does not have is no answer."""
    assert floor({"in KEV": "maybe"}).unknown == QUESTIONS
    assert floor({}).timeline == "3DF"


def test_dates_follow_the_timeline() -> None:
    """Three days are three days; a system upgrade has no date."""
    mild = floor(dict(zip(QUESTIONS, "NNNP", strict=True)))
    hard = floor(dict(zip(QUESTIONS, "NYYT", strict=True)))
    assert (mild.timeline, mild.due(7)) == ("FSU", 0)
    assert (hard.timeline, hard.due(7)) == ("3D", 7 + 3 * DAY)
    assert DAYS.keys() == WORDS.keys()


def test_each_change_leads_where_the_table_says() -> None:
    """A counterfactual is a row of the table."""
    found = floor(dict(zip(QUESTIONS, "NYYT", strict=True)))
    changes = {(question, letter): timeline for question, letter, timeline in found.changes()}
    assert changes == {
        ("in KEV", "Y"): "3DF", ("publicly exposed", "N"): "60D", ("automatable", "N"): "14D",
        ("technical impact", "P"): "14D",
    }  # fmt: skip
