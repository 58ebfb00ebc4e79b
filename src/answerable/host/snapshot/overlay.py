"""Snapshots of a root that is an overlay: `{"kind":"overlay","upper":"/rw/upper","into":"/rw/s"}`.

A snapshot is a copy of the overlay's upper layer, with its whiteouts and attributes; where the disk
can share bytes (reflinks), it does. It is whole once it bears its name.

Sources: overlayfs (kernel documentation), cp(1). Left out: one instant for all files, which a copy
of a layer in use cannot have: services write on while it is made.
"""

import os
import shutil
from contextlib import suppress
from pathlib import Path

from answerable.host.driver import sync_directory
from answerable.host.retention import Kept
from answerable.host.snapshot.port import SnapshotFailed, apart, belonging, checked, tool

LIMIT = 8 << 30
"""Largest upper layer that is copied, bytes."""
_PART = ".part-"


class Overlay:
    """Conforms to `port.Snapshots`.

    Args:
        state: the agent's own directory.
        upper: the upper layer, as the host sees it where its disk is mounted.
        into: folder for the snapshots, not below `upper`.
        root: what the overlay is mounted as.
    """

    kind = "overlay copy"

    def __init__(self, state: Path, *, upper: str, into: str, root: str = "/") -> None:
        self._state, self._upper, self._into = state, Path(upper), Path(into)
        self._root, self._log = Path(root), state / "snapshot.log"

    def ready(self) -> None:
        """See the port."""
        apart(self._state, self._root)
        for folder in (self._upper, self._into):
            if not folder.is_dir() or folder.is_symlink():
                raise SnapshotFailed(f"`{folder}` is no folder; correct the settings")
        upper = self._upper.resolve()
        for inside in (self._into.resolve(), self._state.resolve()):
            if inside.is_relative_to(upper):
                raise SnapshotFailed(f"`{inside}` lies in `{upper}`, which would be snapshotted")
        if (size := _size(self._upper)) > LIMIT:
            raise SnapshotFailed(f"`{upper}` holds {size} bytes, and {LIMIT} are copied at most")

    def take(self, name: str) -> str:
        """See the port."""
        place, part = self._into / checked(name), self._into / f"{_PART}{name}"
        if not place.is_dir():
            self.ready()
            shutil.rmtree(part, ignore_errors=True)
            words = ["cp", "--archive", "--reflink=auto", "--no-target-directory", "--"]
            tool([*words, str(self._upper), str(part)], self._log)
            tool(["sync", "--file-system", "--", str(self._into)], self._log)
            part.rename(place)
        sync_directory(self._into)
        return f"{self.kind} {place}"

    def kept(self) -> list[Kept]:
        """See the port."""
        if not self._into.is_dir():
            return []
        found = sorted(p for p in self._into.iterdir() if p.is_dir() and not p.is_symlink())
        what = f"{self._upper} as it was"
        whole = [p for p in found if not p.name.startswith(".")]
        return [Kept(p.name, what, _size(p), belonging(p.name)) for p in whole]

    def drop(self, name: str) -> None:
        """See the port; under its name it is whole, so it loses that first."""
        place, part = self._into / checked(name), self._into / f"{_PART}{name}"
        shutil.rmtree(part, ignore_errors=True)
        if place.is_dir():
            place.rename(part)
            sync_directory(self._into)
            shutil.rmtree(part)


def _size(folder: Path) -> int:
    size = 0
    for place, _, names in os.walk(folder):
        for name in names:
            # The host goes on: a file may be gone by now.
            with suppress(FileNotFoundError):
                size += os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118  of a walk
    return size
