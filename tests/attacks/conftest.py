"""A founded fleet for every attack."""

import pytest

from tests.simulator import Simulator


@pytest.fixture
def sim() -> Simulator:
    """Give a founded fleet with one authorization in force and one snapshot in service."""
    return Simulator()
