"""The story takes its directory for itself, and no other directory."""

import fcntl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from answerable.demo import apphosts
from answerable.demo.scenes.cast import StoryFailed
from answerable.demo.story import _clear, play
from answerable.host.services.service import process_start


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


def test_what_a_killed_story_left_is_ended_before_it_is_forgotten(tmp_path: Path) -> None:
    """The record of its processes is read before the directory is emptied; the cache stays."""
    left = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    record = tmp_path / apphosts.RECORD
    record.write_text(f"{left.pid} {process_start(left.pid)}\n{left.pid} 1\nx\n")
    (tmp_path / "cache").mkdir()
    (tmp_path / "hosts" / "web1").mkdir(parents=True)
    _clear(tmp_path)
    assert left.wait(10) == -9
    left.communicate()
    assert not {"hosts", record.name} & {place.name for place in tmp_path.iterdir()}
    assert (tmp_path / "cache").exists()
    for thread in threading.enumerate():
        if thread.name == ".old-":
            thread.join(10)
    assert not list(tmp_path.glob(".old-*"))
