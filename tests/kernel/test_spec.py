"""The documents: examples are the program's own bytes, and every threat has its test."""

import re
from pathlib import Path

import pytest

from tests.kernel.examples import examples

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "docs" / "spec"


@pytest.mark.parametrize("page", sorted(examples()))
def test_examples_are_byte_exact(page: str) -> None:
    """Each example stands on its page as the code writes it (`python -m tests.kernel.examples`)."""
    text = "\n".join(line.removeprefix("    ") for line in (SPEC / page).read_text().split("\n"))
    for example in examples()[page]:
        assert example.rstrip("\n") in text


THREATS = (SPEC.parent / "threats.md").read_text()
ATTACKS = "\n".join(path.read_text() for path in ROOT.glob("tests/attacks/test_*.py"))


@pytest.mark.parametrize("row", [line for line in THREATS.splitlines() if "`test_" in line])
def test_threats_name_tests_that_exist_and_words_that_are_published(row: str) -> None:
    """The list of attacks is the list of tests, each with its reason word."""
    _, _, check, reasons, tests, _ = row.split("|")
    published = (SPEC / "reasons.md").read_text()
    for test in re.findall(r"`(test_\w+)`", tests):
        assert f"def {test}(" in ATTACKS
    for word in re.findall(r"`(\w+)`", reasons):
        assert f"| `{word}` |" in published
        assert f'"{word}"' in ATTACKS
    assert check.strip() in ("-", "each", "7, 8", *map(str, range(1, 13)))
