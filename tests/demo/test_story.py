"""The story takes its directory for itself, and no other directory."""

import fcntl
from pathlib import Path

import pytest

from answerable.demo.scenes.cast import StoryFailed
from answerable.demo.story import play


def test_two_stories_do_not_share_a_directory(tmp_path: Path) -> None:
    """A second `make demo` says so, and leaves the directory of the first one as it is."""
    kept = tmp_path / "parties"
    kept.mkdir()
    with (tmp_path / "answerable-demo").open("a") as mark:
        fcntl.flock(mark, fcntl.LOCK_EX)
        with pytest.raises(StoryFailed, match="is being played"):
            play(tmp_path)
    assert kept.exists()


def test_directory_of_somebody_else_is_not_emptied(tmp_path: Path) -> None:
    """A mistyped path costs nobody their files."""
    (tmp_path / "thesis.txt").write_text("mine")
    with pytest.raises(StoryFailed, match="something else than a demo"):
        play(tmp_path)
    assert (tmp_path / "thesis.txt").read_text() == "mine"
