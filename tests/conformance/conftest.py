"""Fixtures of the conformance tests."""

from pathlib import Path

import pytest

from tests.conformance.foreign import build


@pytest.fixture(scope="session")
def verifier() -> Path:
    """The foreign verifier, built."""
    return build()
