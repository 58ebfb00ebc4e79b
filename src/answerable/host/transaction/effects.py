"""What a run in the copy has changed: every path that is not as the host has it.

Rules:
* the upper layers are walked; a whiteout, or a folder that hides the one below, is every path below
  it gone, each named;
* a path that was copied up and is the same as before is no change; times alone are no change;
* files of one inode are twins of the first of them, before and after.

Sources: overlayfs (kernel documentation, whiteouts and opaque directories). Left out: contents of
devices, sockets and pipes; they are of kind `other`, which nothing explains.
"""

import os
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from answerable.host.confine.sandbox import Layer
from answerable.host.driver import DriverFailed, TransactionDiffers
from answerable.host.transaction.disk import Disk
from answerable.host.transaction.port import Look, odd_path

CHANGES = 200_000
"""Most paths that one transaction may touch."""
_OPAQUE = "trusted.overlay.opaque"


@dataclass(frozen=True)
class Change:
    """One path before and after; `twin` and `was` as in `journal.Row`.

    Args:
        source: where the bytes after lie.
    """

    path: str
    before: Look | None
    after: Look | None
    source: Path
    twin: str = ""
    was: str = ""


def changes(layers: Sequence[Layer], root: Path, *, times: bool = False) -> list[Change]:
    """Give what differs from the host below `root`, sorted by path.

    Args:
        times: give files of which only the time differs, too.

    Raises:
        DriverFailed: more paths changed than `CHANGES`.
        TransactionDiffers: a path is deeper or longer than can be followed.
    """
    found = list[Change]()
    for layer in layers:
        with Disk(layer.upper) as upper, Disk(root) as host:
            for inner, gone in _walk(layer.upper, "", host, layer.mount.rstrip("/")):
                path = f"{layer.mount.rstrip('/')}{inner}"
                if why := odd_path(path):
                    raise TransactionDiffers(f"`{path[:80]}`.. {why}; a person must look at it")
                before, after = host.look(path), None if gone else upper.look(inner)
                if not _equal(before, after, times=times):
                    found.append(Change(path, before, after, layer.upper / inner.lstrip("/")))
                if len(found) > CHANGES:
                    raise DriverFailed(f"more than {CHANGES} paths would change; split the change")
    found.sort(key=lambda change: change.path)
    return _twins(found, root)


def keep(layer: Layer, kept: set[str], root: Path) -> None:
    """Throw everything out of an upper layer that is not of these paths; it is not mounted now.

    Copies that are the same as the host's go too: they may have other times, and what is computed
    from them would hold those.
    """
    mount = layer.mount.rstrip("/")
    for folder, _, files in os.walk(layer.upper, topdown=False):
        inside = Path(folder).relative_to(layer.upper)
        path = f"{mount}/{inside}" if str(inside) != "." else mount or "/"
        for name in files:
            if f"{path.rstrip('/')}/{name}" not in kept:
                Path(folder, name).unlink()
        if _hides(Path(folder)):
            os.removexattr(folder, _OPAQUE)
        there = (root / path.lstrip("/")).is_dir()
        if path not in kept and not there and not any(os.scandir(folder)):
            Path(folder).rmdir()


def _walk(upper: Path, inner: str, host: Disk, mount: str) -> Iterator[tuple[str, bool]]:
    """Give (path below the mount, whether it is gone) of all that the upper layer says."""
    with os.scandir(upper / inner.lstrip("/")) as scan:
        entries = sorted(scan, key=lambda entry: entry.name)
    for entry in entries:
        path, found = f"{inner}/{entry.name}", entry.stat(follow_symlinks=False)
        if stat.S_ISCHR(found.st_mode) and found.st_rdev == 0:
            yield from _gone(host, mount, path, set())
            continue
        yield path, False
        if stat.S_ISDIR(found.st_mode):
            yield from _walk(upper, path, host, mount)
        if not stat.S_ISDIR(found.st_mode) or _hides(Path(entry.path)):
            kept = {e.name for e in os.scandir(entry.path)} if entry.is_dir() else set[str]()
            below = host.look(f"{mount}{path}")
            if below and below.kind == "dir":
                yield from _inside(host, mount, path, kept)


def _gone(host: Disk, mount: str, path: str, kept: set[str]) -> Iterator[tuple[str, bool]]:
    yield path, True
    look = host.look(f"{mount}{path}")
    if look and look.kind == "dir":
        yield from _inside(host, mount, path, kept)


def _inside(host: Disk, mount: str, path: str, kept: set[str]) -> Iterator[tuple[str, bool]]:
    for name in host.names(f"{mount}{path}"):
        if name not in kept:
            yield from _gone(host, mount, f"{path}/{name}", set())


def _hides(folder: Path) -> bool:
    try:
        return os.getxattr(folder, _OPAQUE, follow_symlinks=False) == b"y"
    except OSError:
        return False


def _twins(found: Sequence[Change], root: Path) -> list[Change]:
    news, olds = dict[tuple[int, int], str](), dict[tuple[int, int], str]()
    linked = []
    for change in found:
        twin = was = ""
        if change.after and change.after.kind == "file":
            twin = _first(change.source, change.path, news)
        if change.before and change.before.kind == "file":
            was = _first(root / change.path.lstrip("/"), change.path, olds)
        linked.append(replace(change, twin=twin, was=was))
    return linked


def _equal(before: Look | None, after: Look | None, *, times: bool) -> bool:
    if before is None or after is None:
        return before is after
    return before.same(after) and not (times and before.mtime != after.mtime)


def _first(file: Path, path: str, known: dict[tuple[int, int], str]) -> str:
    try:
        found = file.lstat()
    except OSError:
        return ""
    if found.st_nlink == 1:
        return ""
    first = known.setdefault((found.st_dev, found.st_ino), path)
    return "" if first == path else first
