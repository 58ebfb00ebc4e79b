"""What a run has changed is found by walking what scripts have made, however strange that is."""

from pathlib import Path

import pytest

from answerable.host.confine.sandbox import Layer
from answerable.host.driver import TransactionDiffers
from answerable.host.transaction.effects import changes
from answerable.host.transaction.port import LENGTH, LEVELS, odd_path


def test_new_files_are_found_by_path(tmp_path: Path) -> None:
    """The folder comes before what is in it."""
    upper, root = tmp_path / "upper", tmp_path / "root"
    root.mkdir()
    (upper / "srv").mkdir(parents=True)
    (upper / "srv/x").write_text("new")
    found = changes([Layer("/", upper)], root)
    assert [(change.path, change.before) for change in found] == [("/srv", None), ("/srv/x", None)]


@pytest.mark.parametrize("name", ["d", "d" * 200])
def test_folders_that_nobody_can_follow_are_refused(tmp_path: Path, name: str) -> None:
    """A script that makes folders in folders stops no agent: not by depth, not by length."""
    upper, root = tmp_path / "upper", tmp_path / "root"
    root.mkdir()
    count = LEVELS + 1 if len(name) == 1 else LENGTH // len(name) + 1
    upper.joinpath(*[name] * count).mkdir(parents=True)
    with pytest.raises(TransactionDiffers, match="goes deeper"):
        changes([Layer("/", upper)], root)


def test_paths_are_measured_in_bytes() -> None:
    """Also those that are no text."""
    assert not odd_path("/" + "\udcff" * (LENGTH - 1))
    assert odd_path("/" + "\u00e9" * (LENGTH // 2))
    assert not odd_path("/d" * LEVELS)
    assert odd_path("/d" * (LEVELS + 1))
