"""Snapshots of a btrfs subvolume: `{"kind":"btrfs","subvolume":"/","into":"/.snapshots"}`.

A snapshot is a read-only subvolume `<into>/<name>`, made at one instant, and shares what has not
changed since. Its own bytes are known only to quotas, so none are counted.

Sources: btrfs-subvolume(8), btrfs-filesystem(8); the number of a subvolume's root is 256 (kernel
documentation, BTRFS_FIRST_FREE_OBJECTID). Left out: subvolumes below the subvolume, which no
snapshot of it holds.
"""

import os
from pathlib import Path

from answerable.host.retention import Kept
from answerable.host.snapshot.port import SnapshotFailed, apart, belonging, checked, tool

_ROOT = 256


class Btrfs:
    """Conforms to `port.Snapshots`.

    Args:
        state: the agent's own directory.
        subvolume: what is snapshotted.
        into: folder on the same file system for the snapshots.
    """

    kind = "btrfs snapshot"

    def __init__(self, state: Path, *, subvolume: str, into: str) -> None:
        self._state, self._subvolume, self._into = state, Path(subvolume), Path(into)
        self._log = state / "snapshot.log"

    def ready(self) -> None:
        """See the port."""
        apart(self._state, self._subvolume)
        if not _is_subvolume(self._subvolume):
            raise SnapshotFailed(f"`{self._subvolume}` is no subvolume of btrfs; name one")
        if not self._into.is_dir():
            raise SnapshotFailed(f"`{self._into}` is no folder; make it, on the same file system")

    def take(self, name: str) -> str:
        """See the port."""
        place = self._into / checked(name)
        if not _is_subvolume(place):
            self.ready()
            subvolume, to = str(self._subvolume), str(place)
            tool(["btrfs", "subvolume", "snapshot", "-r", "--", subvolume, to], self._log)
        # Also after a kill right behind it: it is durable only now.
        tool(["btrfs", "filesystem", "sync", "--", str(self._into)], self._log)
        return f"{self.kind} {place}"

    def kept(self) -> list[Kept]:
        """See the port."""
        if not self._into.is_dir():
            return []
        what = f"{self._subvolume} as it was"
        names = sorted(p.name for p in self._into.iterdir() if _is_subvolume(p))
        return [Kept(name, what, 0, belonging(name)) for name in names]

    def drop(self, name: str) -> None:
        """See the port."""
        place = self._into / checked(name)
        if _is_subvolume(place):
            tool(["btrfs", "subvolume", "delete", "--commit-after", "--", str(place)], self._log)


def _is_subvolume(path: Path) -> bool:
    try:
        found = os.lstat(path)
    except OSError:
        return False
    return path.is_dir() and not path.is_symlink() and found.st_ino == _ROOT
