"""Folders as trees."""

import os
from pathlib import Path

import pytest

from answerable.inventory.installed import Unreadable
from answerable.inventory.tree import Folder


def test_links_lead_nowhere_but_into_the_tree(tmp_path: Path) -> None:
    """A hostile image whose `status` is a link to the machine's own secrets gets its own file."""
    (tmp_path / "secret").write_text("the machine's")
    root = tmp_path / "root"
    (root / "a/b").mkdir(parents=True)
    (root / "secret").write_text("the tree's")
    (root / "a/absolute").symlink_to("/secret")
    (root / "a/up").symlink_to("../../../secret")
    (root / "a/over").symlink_to("b/../../c/../secret")
    (root / "c").symlink_to("a")
    tree = Folder(root)
    for path in ("secret", "a/absolute", "a/up", "c/absolute", "../../secret", "a/b/../up"):
        assert tree.read(path, 99) == b"the tree's", path
    assert tree.read("a/over", 99) == b"the tree's"
    assert tree.names("c") == tree.names("a") == ["absolute", "b", "over", "up"]


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    """A pipe does not hold the reader up, circles end, and each read has a limit."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "large").write_bytes(b"x" * 100)
    (tmp_path / "folder").mkdir()
    tree = Folder(tmp_path)
    for path in ("pipe", "circle", "folder"):
        with pytest.raises(Unreadable):
            tree.read(path, 99)
    with pytest.raises(Unreadable, match="more than 99 bytes"):
        tree.read("large", 99)
    assert tree.read("nothing", 99) is None
    assert tree.read("large/below", 99) is None
    assert tree.names("nothing") == tree.names("large") == []


def test_environments_lie_in_usual_places(tmp_path: Path) -> None:
    """Environments are found without walking a whole disk."""
    for place in ("opt/a", "srv/b/venv", "usr/local"):
        (tmp_path / place / "lib/python3.11/site-packages/x.dist-info").mkdir(parents=True)
    assert set(Folder(tmp_path).environments()) == {
        "opt/a/lib/python3.11/site-packages", "srv/b/venv/lib/python3.11/site-packages",
        "usr/local/lib/python3.11/site-packages",
    }  # fmt: skip
