"""A root of files as the readers of package databases see it: a folder, or an image's layers.

Rules: every path is taken as below that root, also where links in the tree say otherwise: a link to
`/etc/shadow` leads to the tree's own. Only regular files are read, each up to its reader's limit;
what is not there is `None`, what is there and cannot be read is `Unreadable`.

Left out: anything about a file but its name and bytes.
"""

import errno
import os
import re
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import BinaryIO, Protocol

from answerable.inventory.installed import Unreadable

HOPS = 40
"""Most links that one path may lead through."""
DEEP = 256
"""Most folders that one path may lead through."""
NAMES = 100_000
"""Most names in one folder."""
_PLACES = (
    "usr",
    "usr/local",
    "opt",
    "opt/*",
    "opt/*/*",
    "srv/*",
    "srv/*/*",
    "app",
    "venv",
    ".venv",
)
_LIB = re.compile(r"python3(\.\d{1,3})?")


class Tree(Protocol):
    """A root of files."""

    def read(self, path: str, limit: int) -> bytes | None:
        """Give a file's bytes, or nothing if there is no such file.

        Raises:
            Unreadable: it has more than `limit` bytes, or cannot be read.
        """

    def names(self, folder: str) -> list[str]:
        """Give the names in a folder, sorted; none if there is no such folder."""

    def environments(self) -> Iterable[str]:
        """Give the folders named `site-packages` that are known or usual."""


class Folder:
    """A folder of this machine's as a tree."""

    def __init__(self, root: Path) -> None:
        """Take a folder; whether it is there shows when it is read."""
        self.root = root

    def __str__(self) -> str:
        """Name the folder."""
        return str(self.root)

    def open(self, path: str) -> int | None:
        """Open a file or folder below the root; give its descriptor, or None if there is none.

        Raises:
            Unreadable: links lead in circles, or something is in the way.
        """
        todo, hops = _parts(path), 0
        try:
            with _closed([os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)]) as at:
                while todo:
                    name = todo.pop()
                    if name == "..":
                        if len(at) > 1:
                            os.close(at.pop())
                        continue
                    target = _link(name, at[-1])
                    if target is None:
                        at.append(_enter(name, at[-1], last=not todo))
                        continue
                    hops += 1
                    if hops > HOPS:
                        raise Unreadable(f"`{path}` below `{self}`: links lead in circles")
                    while target.startswith("/") and len(at) > 1:
                        os.close(at.pop())
                    todo += _parts(target)
                if len(at) > DEEP:
                    raise Unreadable(f"`{path}` below `{self}` lies too deep")
                return os.dup(at[-1])
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise Unreadable(f"`{path}` below `{self}`: {error.strerror}") from error

    def file(self, path: str) -> BinaryIO | None:
        """Open a regular file, or give nothing if there is none.

        Raises:
            Unreadable: it is something else.
        """
        descriptor = self.open(path)
        if descriptor is None:
            return None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Unreadable(f"`{path}` below `{self}` is no file")
        return os.fdopen(descriptor, "rb")

    def read(self, path: str, limit: int) -> bytes | None:
        """As `Tree.read`."""
        file = self.file(path)
        if file is None:
            return None
        try:
            with file:
                data = file.read(limit + 1)
        except OSError as error:
            raise Unreadable(f"`{path}` below `{self}`: {error.strerror}") from error
        if len(data) > limit:
            raise Unreadable(f"`{path}` below `{self}` has more than {limit} bytes")
        return data

    def names(self, folder: str) -> list[str]:
        """As `Tree.names`."""
        descriptor = self.open(folder)
        if descriptor is None:
            return []
        try:
            with os.scandir(descriptor) as entries:
                found = [entry.name for entry in islice(entries, NAMES + 1)]
        except NotADirectoryError:
            return []
        except OSError as error:
            raise Unreadable(f"`{folder}` below `{self}`: {error.strerror}") from error
        finally:
            os.close(descriptor)
        if len(found) > NAMES:
            raise Unreadable(f"`{folder}` below `{self}` holds more than {NAMES} names")
        return sorted(found)

    def environments(self) -> Iterator[str]:
        """Give what lies in the usual places: the system's, `/opt`, `/srv`, `/app`, `/venv`."""
        for place in ("", *_PLACES):
            for folder in self._spread(place):
                for lib in self.names(f"{folder}/lib"):
                    site = f"{folder}/lib/{lib}/site-packages"
                    if _LIB.fullmatch(lib) and self.names(site):
                        yield site.lstrip("/")

    def _spread(self, place: str) -> list[str]:
        head, star, tail = place.partition("/*")
        if not star:
            return [place]
        return [f for name in self.names(head) for f in self._spread(f"{head}/{name}{tail}")]


@contextmanager
def _closed(opened: list[int]) -> Iterator[list[int]]:
    try:
        yield opened
    finally:
        for descriptor in opened:
            os.close(descriptor)


def _parts(path: str) -> list[str]:
    return [part for part in reversed(path.split("/")) if part not in ("", ".")]


def _link(name: str, folder: int) -> str | None:
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    return None


def _enter(name: str, folder: int, *, last: bool) -> int:
    # O_NOFOLLOW: what became a link since it was looked at; O_NONBLOCK: a pipe that nobody fills.
    how = os.O_RDONLY | os.O_NONBLOCK if last else os.O_PATH | os.O_DIRECTORY
    return os.open(name, how | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
