"""Data folders that a script may write on the host itself: kept before it runs, brought back after.

    <transaction>/data/..    the folders as they were right before the run
    <transaction>/live       {"folders":[..],"others":[..]}: written when `data` is durable
    <transaction>/since/..   the folders as they were right before an undo; for people

Rules:
* without `live` the script has not run, and nothing is brought back;
* bringing back gives every path its bytes, mode, owner, attributes and time, and removes what came
  since; paths that are the same are not touched;
* a file that changes while it is copied is named, and nothing goes on: nobody knows what it is.

Left out: hard links within the folders, which become files of their own; sockets and pipes, which
are named in `others` and stay as they are; a moment at which all files were as they are kept, which
only a service that is stopped, or a snapshot of the file system, can give.
"""

import json
from collections.abc import Iterable, Iterator, Sequence

from answerable.host.transaction.bring import Want, bring, clear, parent
from answerable.host.transaction.port import Drifted, Files, FilesFailed, Look, odd_path
from answerable.host.transaction.sensitive import classes

LIMIT = 1 << 30
"""Most bytes in the data folders of one transaction."""
PATHS = 200_000
"""Most paths in them."""
MARK_LIMIT = 64 << 20
"""Largest `live` that is read, bytes."""


def measure(files: Files, paths: Iterable[str]) -> str:
    """Tell why folders cannot be a script's to write and be kept; nothing if they can.

    A setuid file that is there already would keep its bits while root writes other bytes into it.
    """
    size = count = 0
    for folder in paths:
        for path, look in walk(files, folder):
            if {"setuid", "capability"} & set(odd(path, None, look)):
                return f"`{path}` has rights of its own"
            size, count = size + look.size, count + 1
            if size > LIMIT or count > PATHS:
                return f"`{folder}` holds more than {LIMIT} bytes or {PATHS} paths"
    return ""


def keep(files: Files, place: str, paths: Sequence[str]) -> None:
    """Keep data folders in a transaction's folder, durably.

    Raises:
        Drifted: a file changed while it was copied.
        FilesFailed: something could not be read or written.
    """
    others = _copy(files, paths, f"{place}/data")
    # In ASCII: names of files need not be text.
    mark = json.dumps({"folders": sorted(paths), "others": others})
    files.write(f"{place}/live.part", [mark.encode()])
    files.sync(f"{place}/live.part")
    files.rename(f"{place}/live.part", f"{place}/live")
    files.sync(place)


def folders(files: Files, place: str) -> list[str]:
    """Give the data folders of a transaction whose script may have run."""
    return _mark(files, place)[0]


def keep_since(files: Files, place: str) -> None:
    """Keep what an undo is about to take back, if the script of this transaction ran."""
    if paths := folders(files, place):
        _copy(files, paths, f"{place}/since")


def back(files: Files, place: str, tag: str) -> list[str]:
    """Bring the folders back to what was kept; give what others keep from it.

    Args:
        tag: as in `bring.bring`.
    """
    paths, others = _mark(files, place)
    wants = [want for folder in paths for want in _wants(files, place, folder, others)]
    clear(files, wants, tag)
    return bring(files, wants, tag)


def grown(files: Files, place: str) -> list[str]:
    """Give what no data is and was not there: pipes, sockets, paths of a sensitive class."""
    paths, others = _mark(files, place)
    found = list[str]()
    for folder in paths:
        for path, look in walk(files, folder):
            was = files.look(f"{place}/data{path}")
            strange = look.kind == "other" and path not in others
            if strange or (not look.same(was) and odd(path, was, look)):
                found.append(path)
    return found


def odd(path: str, before: Look | None, after: Look | None) -> list[str]:
    """Give the sensitive classes of a change, which data has none of.

    Attributes that stay as they were (access lists of a service's data) make none.
    """
    same = before and after and before.attributes == after.attributes
    found = classes(path, before, after)
    return [name for name in found if not (same and name == "capability")]


def walk(files: Files, path: str) -> Iterator[tuple[str, Look]]:
    """Give a path with its look, and all below it; a folder comes before what is in it."""
    if why := odd_path(path):
        raise FilesFailed(f"`{path[:80]}`.. {why}; look at it")
    look = files.look(path)
    if look:
        yield path, look
        if look.kind == "dir":
            for name in files.names(path):
                yield from walk(files, f"{path}/{name}")


def _mark(files: Files, place: str) -> tuple[list[str], frozenset[str]]:
    if files.look(f"{place}/live") is None:
        return [], frozenset()
    try:
        told = json.loads(b"".join(files.read(f"{place}/live", 0, MARK_LIMIT)))
        return list(told["folders"]), frozenset(told["others"])
    except (ValueError, KeyError, TypeError) as error:
        raise FilesFailed(f"`{place}/live` is damaged: {error}; look at its `data`") from error


def _copy(files: Files, paths: Sequence[str], into: str) -> list[str]:
    """Copy folders below another one, durably; give what cannot be copied."""
    above = sorted({up for folder in paths for up in _above(folder)}, key=len)
    others, made, dressed = list[str](), [into, *(into + up for up in above)], dict[str, Look]()
    for path in made:
        if files.look(path) is None:
            files.mkdir(path)
    for folder in paths:
        for path, look in walk(files, folder):
            if look.kind == "other":
                others.append(path)
                continue
            _copy_one(files, path, look, into + path)
            if look.kind != "link":
                made.append(into + path)
            if look.kind == "dir":
                dressed[into + path] = look
    for copy, look in reversed(dressed.items()):
        files.dress(copy, look)
    files.sync(*reversed(made), parent(into))
    return others


def _copy_one(files: Files, path: str, look: Look, copy: str) -> None:
    if look.kind == "dir":
        if files.look(copy) is None:
            files.mkdir(copy)
        return
    if look.kind == "link":
        files.link(copy, look.target)
    else:
        files.write(copy, files.read(path))
    files.dress(copy, look)
    if not look.same(files.look(copy)):
        raise Drifted(f"`{path}` changes while it is kept; stop its service", [path])


def _above(folder: str) -> list[str]:
    parts = folder.split("/")[1:-1]
    return ["/" + "/".join(parts[: n + 1]) for n in range(len(parts))]


def _wants(files: Files, place: str, folder: str, others: frozenset[str]) -> Iterator[Want]:
    saved = f"{place}/data"
    now = dict(walk(files, folder))
    then = {path.removeprefix(saved): look for path, look in walk(files, saved + folder)}
    for path in sorted(now.keys() | then.keys()):
        have, was = now.get(path), then.get(path)
        if path in others or (have and have.same(was)):
            continue
        yield Want(path, have, was, "", lambda path=path: files.read(saved + path))  # type: ignore[misc]
