"""What an initial disk that was made in the copy lacks: such a disk might not boot the host.

The tool that makes it looks for disks, swap and keys where the host has them; a copy has no device,
so it may find less and only warn. Rules:

* a disk made anew must hold every path that the host's own has: the one in its place, or else the
  one that the host made last
* kernel modules and firmware do not count: each kernel has its own
* a host without any has nothing to compare with

Sources: mkinitramfs(8), lsinitramfs(8). Left out: what stands in the files.
"""

import re
from collections.abc import Callable, Iterable
from pathlib import Path

from answerable.host.driver import TransactionDiffers

DISK = re.compile(r"/boot/initrd\.img-[^/]+")
_OWN = re.compile(r"(usr/)?lib/(modules|firmware)(/.*)?")
_NAMED = 20
List = Callable[[str], Iterable[str]]
"""A disk's path -> the paths in it."""


class Disks:
    """The disks that a change makes anew, beside those that the host made.

    Args:
        paths: of all that is computed anew.
        listed: lists a disk in the copy; asked before anything is made in it.
        root: the host's.
    """

    def __init__(self, paths: Iterable[str], listed: List, root: Path) -> None:
        self._listed = listed
        self._before = dict[str, set[str]]()
        for path in filter(DISK.fullmatch, paths):
            if own := path if (root / path.lstrip("/")).is_file() else _last(root):
                self._before[path] = _counted(listed(own))

    def demand(self) -> None:
        """Raise `TransactionDiffers` if one of them lacks what the host's has."""
        lines = [
            f"{path}: lacks `{name}`, which this host's has"
            for path, before in sorted(self._before.items())
            for name in sorted(before - _counted(self._listed(path)))
        ]
        if lines:
            raise TransactionDiffers(
                f"an initial disk made in the copy might not boot: {'; '.join(lines[:_NAMED])}; "
                "a person must do this change",
                lines,
            )


def _last(root: Path) -> str:
    found = [p for p in (root / "boot").glob("initrd.img-*") if p.is_file()]
    last = max(found, key=lambda p: p.stat().st_mtime_ns, default=None)
    return f"/boot/{last.name}" if last else ""


def _counted(names: Iterable[str]) -> set[str]:
    return {name for name in names if name and not _OWN.fullmatch(name)}
