"""Untrusted bytes into every parser of the table: an answer or a declared failure, nothing else."""

import contextlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.fuzz.targets import TABLE, Target
from tests.kernel.near import near_bytes

EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "4000"))
MANY = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz"
DAMAGES = 4
"""Times that valid bytes are cut, flipped, spliced one after the other."""


def _examples(target: Target) -> int:
    if MANY:
        return max(EXAMPLES // (20 if target.costly else 1), 20)
    return 4 if target.costly else 25


def _try(target: Target, data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(*target.may):
        target.run(data, Path(folder))


@pytest.mark.parametrize("target", TABLE, ids=lambda target: target.name)
def test_seeds_are_read(target: Target) -> None:
    """The bytes that the others come from are valid ones, so damage reaches the depths."""
    for seed in target.seeds:
        with tempfile.TemporaryDirectory() as folder:
            target.run(seed, Path(folder))


@pytest.mark.fuzz
@pytest.mark.parametrize("target", TABLE, ids=lambda target: target.name)
def test_nothing_but_declared_failures(target: Target) -> None:
    """Damaged, spliced and random bytes end in an answer or a declared failure."""

    @settings(max_examples=_examples(target), database=None)
    @given(near_bytes(*target.seeds) | st.binary(max_size=300))
    def attack(data: bytes) -> None:
        _try(target, data)

    attack()


def test_names_differ() -> None:
    """A failure names its parser."""
    assert len({target.name for target in TABLE}) == len(TABLE)
