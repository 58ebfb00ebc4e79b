"""Bring paths from what they are to what they shall be, so that a stop at any point can be mended.

Order: new folders; new bytes beside their places, synced; each put in its place by one rename; what
shall be gone; folders' looks; every folder that was touched is synced. Whoever calls this has
written down before, durably, what is needed to bring the same paths back.

Left out: making all of it appear at one instant, which no file system of Linux can do.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from answerable.host.transaction.port import Files, Look


@dataclass(frozen=True)
class Want:
    """One path: what it is now, what it shall be, and how to read the bytes it shall have.

    Args:
        twin: another path of the same list that shall be the same file (a hard link).
    """

    path: str
    now: Look | None
    look: Look | None
    twin: str
    read: Callable[[], Iterable[bytes]]


def bring(files: Files, wants: Sequence[Want], tag: str) -> list[str]:
    """Bring every path to its look; give those folders that could not go, since others use them.

    Args:
        tag: starts the names of files that are written beside; the same tag clears them up.
    """
    todo = [w for w in wants if w.now != w.look]
    beside = {w.path: name for w, name in zip(wants, _names(wants, tag), strict=True)}
    _make_folders(files, todo)
    put = [w for w in todo if w.look and w.look.kind in ("file", "link")]
    _write(files, put, beside)
    over = [w for w in put if w.now and w.now.kind == "dir"]
    for want in put:
        if want not in over:
            files.rename(beside[want.path], want.path)
    left = _remove(files, todo)
    for want in over:
        if want.path not in left:
            files.rename(beside[want.path], want.path)
    _settle_folders(files, todo)
    return left


def clear(files: Files, wants: Sequence[Want], tag: str) -> None:
    """Remove what a stopped `bring` of the same paths and tag may have left beside them."""
    found = [name for name in _names(wants, tag) if files.look(name)]
    for name in found:
        files.unlink(name)
    files.sync(*sorted({parent(name) for name in found}))


def parent(path: str) -> str:
    """Give the folder that holds a path."""
    return path.rpartition("/")[0] or "/"


def _names(wants: Sequence[Want], tag: str) -> list[str]:
    return [f"{parent(w.path).rstrip('/')}/.{tag}-{n}" for n, w in enumerate(wants)]


def _make_folders(files: Files, todo: Sequence[Want]) -> None:
    for want in sorted(todo, key=lambda w: w.path):
        if want.look and want.look.kind == "dir" and not (want.now and want.now.kind == "dir"):
            files.unlink(want.path)
            files.mkdir(want.path)


def _settle_folders(files: Files, todo: Sequence[Want]) -> None:
    for want in sorted(todo, key=lambda w: w.path, reverse=True):
        if want.look and want.look.kind == "dir":
            files.dress(want.path, want.look)
    dressed = {w.path for w in todo if w.look and w.look.kind == "dir"}
    touched = dressed | {parent(w.path) for w in todo}
    files.sync(*(folder for folder in sorted(touched) if files.look(folder)))


def _write(files: Files, put: Sequence[Want], beside: dict[str, str]) -> None:
    fresh = []
    written = {w.path for w in put}
    # Twins last: the file that they are another name of is written by then.
    for want in sorted(put, key=lambda w: bool(w.twin)):
        name, look = beside[want.path], want.look
        assert look, want.path
        if look.kind == "link":
            files.link(name, look.target)
        elif want.twin:
            files.twin(name, beside[want.twin] if want.twin in written else want.twin)
            continue
        else:
            files.write(name, want.read())
            fresh.append(name)
        files.dress(name, look)
    files.sync(*fresh)


def _remove(files: Files, todo: Sequence[Want]) -> list[str]:
    left = []
    for want in sorted(todo, key=lambda w: w.path, reverse=True):
        goes = want.now and (want.look is None or want.look.kind != "dir")
        if goes and want.now and want.now.kind == "dir":
            if not files.rmdir(want.path):
                left.append(want.path)
        elif want.look is None and want.now:
            files.unlink(want.path)
    return left
