"""The floor of every ranking: CISA's Binding Operational Directive 26-04 as a decision table.

Four questions, sixteen rows (bod2604.json beside this file, with its source): is the flaw in the
catalogue of known exploited vulnerabilities, is the asset publicly exposed, can exploitation be
automated, is the technical impact total. The answer is how long remediation may take.

Rules:

1. What is not known counts as worse: of all rows that fit what is known, the strictest decides, and
   the answer names what was not known.
2. The time runs from when the flaw's listing or publication made the row true; what is dated
   neither way is due as from the second at which it was first seen.
3. `fix on system upgrade` has no date.

Left out: who must follow the directive; here it is a floor, for everybody.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

DAY = 86_400
QUESTIONS = ("in KEV", "publicly exposed", "automatable", "technical impact")
"""In the order of the table's columns."""
ANSWERS = ("NY", "NY", "NY", "PT")
"""What each question may be answered, the worse one last."""
DAYS = {"FSU": 0, "60D": 60, "14D": 14, "3D": 3, "3DF": 3}
"""Timelines in rising strictness, and their days; 0 is no date."""
WORDS = {
    "FSU": "fix on the next system upgrade",
    "60D": "remediate within 60 days",
    "14D": "remediate within 14 days",
    "3D": "remediate within 3 days",
    "3DF": "remediate within 3 days and look for signs of compromise",
}


@dataclass(frozen=True, slots=True)
class Floor:
    """What the table says.

    Args:
        timeline: a key of `DAYS`.
        row: the row that decided: question -> answer.
        unknown: the questions whose answer was not known.
    """

    timeline: str
    row: Mapping[str, str]
    unknown: tuple[str, ...]

    @property
    def strictness(self) -> int:
        """Its place among the timelines; 0 is the mildest."""
        return list(DAYS).index(self.timeline)

    def due(self, since: int) -> int:
        """Give the POSIX second by which to be done, if the time runs from `since`; 0 for none."""
        return since + DAYS[self.timeline] * DAY if DAYS[self.timeline] else 0

    def changes(self) -> Iterator[tuple[str, str, str]]:
        """Give each single answer that would lead elsewhere: question, answer, timeline."""
        for question, letters in zip(QUESTIONS, ANSWERS, strict=True):
            for letter in letters.replace(self.row[question], ""):
                other = _table()[tuple({**self.row, question: letter}.values())]
                if other != self.timeline:
                    yield question, letter, other


@cache
def _table() -> dict[tuple[str, ...], str]:
    rows = json.loads(Path(__file__).with_suffix(".json").read_text("utf-8"))["rows"]
    table = {tuple(row[:-1]): row[-1] for row in rows}
    assert table.keys() == set(product(*ANSWERS)), "a row for every combination"
    return table


def floor(known: Mapping[str, str]) -> Floor:
    """Give the strictest timeline that fits what is known.

    Args:
        known: question -> answer, of `QUESTIONS` and `ANSWERS`; absent if not known.
    """
    open_to = [
        known[question] if known.get(question) in tuple(letters) else letters
        for question, letters in zip(QUESTIONS, ANSWERS, strict=True)
    ]
    # The worse answers come last, so among equals the row with the worst answers decides.
    rows = [(list(DAYS).index(_table()[row]), row) for row in product(*open_to)]
    place, row = max(rows)
    unknown = tuple(q for q, letters in zip(QUESTIONS, open_to, strict=True) if len(letters) > 1)
    return Floor(list(DAYS)[place], dict(zip(QUESTIONS, row, strict=True)), unknown)
