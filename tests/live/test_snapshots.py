"""Snapshots on real file systems: taken, kept, brought back by the documented commands, dropped."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from answerable.host.snapshot.btrfs import Btrfs
from answerable.host.snapshot.overlay import Overlay
from answerable.host.snapshot.port import SnapshotFailed

pytestmark = pytest.mark.live
NAME = "0123456789abcdef-fedcba9876543210-snapshot-1"


def do(*words: str | Path) -> None:
    """Run a tool."""
    done = subprocess.run([str(w) for w in words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, (words, done.stderr)


def tree(root: Path) -> dict[str, object]:
    """Give every path with its look and bytes."""
    found: dict[str, object] = {}
    for place, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(place, name)
            seen = path.lstat()
            data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            found[str(path.relative_to(root))] = (seen.st_mode, seen.st_uid, seen.st_gid, data)
    return found


def change(root: Path) -> None:
    """Do what an upgrade does, and what users do meanwhile."""
    (root / "usr/tool").write_text("two")
    (root / "usr/gone").unlink()
    (root / "new").mkdir()
    (root / "new/file").write_text("new")


@pytest.fixture(name="disk")
def _disk(tmp_path: Path) -> Iterator[Path]:
    """A btrfs disk in a file, mounted; the host's root is a subvolume of it."""
    image, top = tmp_path / "disk", tmp_path / "top"
    with image.open("wb") as file:
        file.truncate(256 << 20)
    do("mkfs.btrfs", "--quiet", image)
    top.mkdir()
    do("mount", "-o", "loop", image, top)
    try:
        do("btrfs", "subvolume", "create", top / "root")
        (top / "root/usr").mkdir()
        for name in ("tool", "gone"):
            (top / "root/usr" / name).write_text("one")
        (top / "snapshots").mkdir()
        yield top
    finally:
        do("umount", "--recursive", "--lazy", top)


@pytest.mark.needs("mount", "btrfs")
def test_btrfs(disk: Path, tmp_path: Path) -> None:
    """At one instant, read-only, once; and back by the commands of docs/operate/recovery.md."""
    state = tmp_path / "state"
    state.mkdir()
    driver = Btrfs(state, subvolume=str(disk / "root"), into=str(disk / "snapshots"))
    driver.ready()
    before = tree(disk / "root")
    driver.take(NAME)
    change(disk / "root")
    assert driver.take(NAME).endswith(NAME)
    assert tree(disk / "snapshots" / NAME) == before
    with pytest.raises(OSError, match="Read-only"):
        (disk / "snapshots" / NAME / "usr/tool").write_text("three")
    assert [one.name for one in driver.kept()] == [NAME]
    do("mv", "--no-target-directory", disk / "root", disk / "root-before")
    do("btrfs", "subvolume", "snapshot", disk / "snapshots" / NAME, disk / "root")
    assert tree(disk / "root") == before
    driver.drop(NAME)
    driver.drop(NAME)
    assert driver.kept() == []
    assert tree(disk / "root") == before


@pytest.mark.needs("mount", "btrfs")
def test_btrfs_refuses_what_would_make_the_agent_forget(disk: Path) -> None:
    """The agent's directory in the subvolume, and a folder that is no subvolume."""
    state, into = disk / "root/state", str(disk / "snapshots")
    state.mkdir()
    with pytest.raises(SnapshotFailed, match="of its own"):
        Btrfs(state, subvolume=str(disk / "root"), into=into).ready()
    state.rmdir()
    do("btrfs", "subvolume", "create", state)
    Btrfs(state, subvolume=str(disk / "root"), into=into).ready()
    with pytest.raises(SnapshotFailed, match="no subvolume"):
        Btrfs(state, subvolume=str(disk / "root/usr"), into=into).ready()


@pytest.mark.needs("mount", "overlay")
def test_overlay(tmp_path: Path) -> None:
    """The upper layer with its whiteouts comes back by the commands of docs/operate/recovery.md."""
    rw, root, state = tmp_path / "rw", tmp_path / "root", tmp_path / "state"
    for folder in (rw, root, state, tmp_path / "lower/usr"):
        folder.mkdir(parents=True)
    for name in ("tool", "gone", "kept"):
        (tmp_path / "lower/usr" / name).write_text("one")
    do("mount", "-t", "tmpfs", "none", rw)
    try:
        for name in ("upper", "work", "snapshots"):
            (rw / name).mkdir()
        options = f"lowerdir={tmp_path}/lower,upperdir={rw}/upper,workdir={rw}/work"
        mount = ("mount", "-t", "overlay", "none", "-o", options, root)
        do(*mount)
        (root / "usr/kept").unlink()
        before = tree(root)
        into, upper = str(rw / "snapshots"), str(rw / "upper")
        driver = Overlay(state, upper=upper, into=into, root=str(root))
        driver.take(NAME)
        change(root)
        assert tree(root) != before
        do("umount", root)
        do("mv", "--no-target-directory", rw / "upper", rw / "upper-before")
        do("cp", "--archive", "--no-target-directory", rw / "snapshots" / NAME, rw / "upper")
        do("rm", "-r", rw / "work")
        (rw / "work").mkdir()
        do(*mount)
        assert tree(root) == before
        driver.drop(NAME)
        assert driver.kept() == []
    finally:
        subprocess.run(["umount", str(root)], capture_output=True, check=False)
        do("umount", rw)
