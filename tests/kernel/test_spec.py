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
TESTS = "\n".join(path.read_text() for path in ROOT.glob("tests/**/test_*.py"))
NUMBERS = set(map(str, range(1, 13)))


@pytest.mark.parametrize("row", [line for line in THREATS.splitlines() if "`test_" in line])
def test_threats_name_tests_that_exist_and_words_that_are_published(row: str) -> None:
    """The list of attacks is the list of tests, each with its reason word.

    What the kernel checks is attacked in tests/attacks, with a published word; the rest anywhere,
    with a word that a test waits for.
    """
    _, _, check, reasons, tests, _ = row.split("|")
    published = (SPEC / "reasons.md").read_text()
    elsewhere = check.strip() == "-"
    for test in re.findall(r"`(test_\w+)`", tests):
        assert f"def {test}(" in (TESTS if elsewhere else ATTACKS)
    for word in re.findall(r"`(\w+)`", reasons):
        assert elsewhere or f"| `{word}` |" in published
        assert re.search(rf"\b{word}\b", TESTS if elsewhere else ATTACKS)
    assert check.strip() in ("-", "each") or set(check.strip().split(", ")) <= NUMBERS
