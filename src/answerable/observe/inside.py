"""Below a host's root, and never out of it: folders opened one after the other, files by content.

Rules:

1. Folders' own links (`lib -> usr/lib`) and those on the way are followed inside the root only. The
   last name is never followed: a link is known by its target. A pipe put in a file's place does not
   hold us.
2. A path that is not there is `ABSENT`; one that may not be read `UNREAD`; what is no file and no
   link `OTHER`; a folder nothing at all.
3. A name with a backslash or anything unprintable is spelt with escapes: no two look the same.

Needs the standard library alone, since the foot on a host reads so too (foot.py).
"""

import errno
import os
import stat
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from hashlib import file_digest
from io import BufferedReader
from itertools import groupby
from pathlib import Path
from typing import Self

from answerable.observe.look import Unseen

PATHS = 200_000
"""Most paths of packages that are looked at in one go."""
BYTES = 8 << 30
"""Most that is hashed in one go, bytes."""
LINKS = 40
"""Most links that are followed on the way to one folder; as Linux does (path_resolution(7))."""
ABSENT, UNREAD, OTHER = "absent", "unread", "other"
"""What stands for a path that is not there, that may not be read, that is no file and no link."""


def shown(path: str) -> str:
    """Spell a path so that no two look the same, or one could hide behind the other."""
    if path.isprintable() and "\\" not in path:
        return path
    raw = path.encode(errors="surrogateescape").decode("latin-1")
    return raw.encode("unicode_escape").decode()


class Inside:
    """A host's root, below which folders are opened and never left (rule 2)."""

    def __init__(self, root: Path) -> None:
        self.root, self._bytes, self._paths = root, BYTES, PATHS
        try:
            self._top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise Unseen(f"`{root}`: {error.strerror}; is the host's disk there?") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._top)

    def names(self, folder: str) -> list[str]:
        """Name what is in a folder, sorted; nothing if there is none.

        Raises:
            Unseen: if it cannot be read.
        """
        try:
            with self._folder(folder) as place:
                inner = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=place)
                try:
                    return sorted(os.listdir(inner))  # noqa: PTH208  of a descriptor
                finally:
                    os.close(inner)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise Unseen(f"`{self.root}/{folder}`: {error.strerror}") from error

    def read(self, folder: str, name: str, limit: int) -> bytes | None:
        """Give a file's bytes, None if it is not there or no plain file.

        Raises:
            Unseen: if it has more than so many bytes.
        """
        try:
            with self.file(folder, name) as file:
                data = file.read(limit + 1)
        except OSError:
            return None
        if len(data) > limit:
            raise Unseen(f"`{self.root}/{folder}/{name}` has more than {limit} bytes")
        return data

    @contextmanager
    def file(self, folder: str, name: str) -> Iterator[BufferedReader]:
        """Open a plain file.

        Raises:
            OSError: if it is not there, may not be read, or is something else.
        """
        with self._folder(folder) as place, _opened(name, place) as file:
            yield file

    def look(self, places: Mapping[str, str], *, capable: bool = False) -> dict[str, str]:
        """Look at paths: path as it is to be called -> where it lies; folders are left out.

        Args:
            capable: say a file's capabilities behind its SHA-256, in hex as Linux keeps them.

        Raises:
            Unseen: if they are too many, or too much to read.
        """
        self._paths -= len(places)
        if self._paths < 0:
            raise Unseen(f"`{self.root}`: over {PATHS} paths of packages")
        found: dict[str, str] = {}
        ordered = sorted((*where.rpartition("/")[::2], path) for path, where in places.items())
        for folder, group in groupby(ordered, key=lambda row: row[0]):
            rows = list(group)
            try:
                with self._folder(folder) as place:
                    what = {path: self._what(name, place, capable) for _, name, path in rows}
                found |= {shown(path): seen for path, seen in what.items() if seen}
            except PermissionError:
                found |= {shown(path): UNREAD for _, _, path in rows}
            except (OSError, ValueError):  # the latter of a NUL in a name
                continue  # what is nowhere in the table is absent
        return found

    def _what(self, name: str, place: int, capable: bool) -> str:  # noqa: FBT001
        try:
            about = os.stat(name, dir_fd=place, follow_symlinks=False)
            if stat.S_ISDIR(about.st_mode):
                return ""
            if stat.S_ISLNK(about.st_mode):
                return f"-> {shown(os.readlink(name, dir_fd=place))}"
            with _opened(name, place) as file:
                self._bytes -= about.st_size
                if self._bytes < 0:
                    raise Unseen(f"`{self.root}`: over {BYTES} bytes in packages")
                capabilities = _capabilities(file.fileno()) if capable else ""
                return file_digest(file, "sha256").hexdigest() + capabilities
        except FileNotFoundError:
            return ABSENT
        except PermissionError:
            return UNREAD
        except (OSError, ValueError):
            return OTHER

    @contextmanager
    def _folder(self, path: str) -> Iterator[int]:
        """Open a folder by its own links and those on the way, below the root."""
        steps, links = deque(path.split("/")), 0
        with ExitStack() as open_:
            at = [self._top]
            while steps:
                step = steps.popleft()
                if step in ("", "."):
                    continue
                if step == "..":
                    at = at[:-1] or [self._top]
                    continue
                flags = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                try:
                    at.append(os.open(step, flags, dir_fd=at[-1]))
                    open_.callback(os.close, at[-1])
                except NotADirectoryError:
                    target, links = os.readlink(step, dir_fd=at[-1]), links + 1
                    if links > LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
                    at = [self._top] if target.startswith("/") else at
                    steps.extendleft(reversed(target.split("/")))
            yield at[-1]


def _capabilities(file: int) -> str:
    # As linux/capability.h: what a third revision adds is the root of a user namespace.
    try:
        found = os.getxattr(file, "security.capability")
    except OSError:
        return ""
    number = int.from_bytes(found[:4], "little") & 0xFFFFFF | 2 << 24
    return f" {(number.to_bytes(4, 'little') + found[4:20]).hex()}"


@contextmanager
def _opened(name: str, place: int) -> Iterator[BufferedReader]:
    # O_NONBLOCK: a pipe put in the file's place between stat and open must not hold us.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, dir_fd=place), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no plain file")
        yield file
