"""A model carried to one machine: loaded only if people released exactly this file."""

from pathlib import Path

import pytest

from answerable.bootstrap.carried import NONE, Served, carried
from tests.bootstrap.carry import carry
from tests.exposure.models import MODEL
from tests.simulator.world import Simulator


@pytest.fixture(scope="module")
def town() -> Simulator:
    """A fleet whose people sign."""
    return Simulator()


def test_a_released_model_is_loaded_without_logs(town: Simulator, tmp_path: Path) -> None:
    """Charter, release and file fit each other."""
    assert carried(carry(town, tmp_path / "m", "dana", "fay")) == Served(MODEL)


def test_no_folder_is_no_model(tmp_path: Path) -> None:
    """And that is said."""
    assert carried(tmp_path / "none") == Served(None, NONE)


def test_a_folder_that_cannot_be_looked_into_is_no_model(tmp_path: Path) -> None:
    """As a host's own directory to a user who is not root; here a name that no file can have."""
    found = carried(tmp_path / ("x" * 300))
    assert found.model is None
    assert "cannot be read" in found.why


@pytest.mark.parametrize("name", ["charter.note", "release", "model"])
def test_what_is_missing_or_damaged_is_no_model(name: str, town: Simulator, tmp_path: Path) -> None:
    """Each file counts; rules rank alone, and the reason is told."""
    file = carry(town, tmp_path / "m", "dana", "fay") / name
    file.write_bytes(file.read_bytes().replace(b"1", b"2"))
    found = carried(tmp_path / "m")
    assert found.model is None
    assert found.why
    file.unlink()
    assert carried(tmp_path / "m").model is None


def test_too_few_people_release_nothing(town: Simulator, tmp_path: Path) -> None:
    """One signature under a release for which the charter asks two."""
    found = carried(carry(town, tmp_path / "m", "dana"))
    assert found.model is None
    assert found.why.startswith("not_enough_people")


def test_a_release_of_another_feed_is_none_of_a_model(town: Simulator, tmp_path: Path) -> None:
    """A snapshot of advisories puts no model into service."""
    found = carried(carry(town, tmp_path / "m", "dana", "fay", feed="debian"))
    assert found.model is None
