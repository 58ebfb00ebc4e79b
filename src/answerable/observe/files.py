"""Files of packages as they lie on a host, and how they differ from what the packages ship.

    {"libssl3":{"usr/lib/x/libssl.so.3":"<sha256>","usr/lib/x/libssl.so":"-> libssl.so.3",..}}

Rules:

1. Which paths a package has is the host's own list (`var/lib/dpkg/info/<package>.list`; `RECORD` of
   a Python environment, PEP 376), and says only where to look: a shipped path that the list lacks
   is `absent`, and differs. What a path should hold never comes from the host.
2. Folders are opened one after the other below the root; their links (`lib -> usr/lib`) are
   followed inside the root only. The last name is never followed: a link is known by its target. A
   pipe put in a file's place does not hold us.
3. `dpkg-divert` is honoured (`var/lib/dpkg/diversions`): the file is looked for where it was moved
   to. A new diversion is for the posture to find.
4. A configuration file that differs is the host's own version: kept, named, no difference. A
   file of documentation may be left out (`path-exclude`, dpkg(1)). A file that the package itself
   ships unreadable for others is named if whoever looks may not read it. Everything else differs.

Needs the standard library alone, since the foot on a host reads so too (foot.py). Left out: modes
and owners (the posture has those that matter), folders, devices, byte code made on the host.
"""

import csv
import errno
import os
import re
import stat
from collections import deque
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from hashlib import file_digest
from io import BufferedReader
from itertools import groupby
from pathlib import Path
from typing import NamedTuple, Self

from answerable.observe.look import Unseen, of_project
from answerable.observe.posture import shown

NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{0,127}(:[a-z0-9-]{1,32})?")
"""What a package's name looks like."""
NAMES = 500
"""Most packages that are looked at in one go."""
PATHS = 200_000
"""Most paths of them."""
LIST = 64 << 20
"""How much of a package's own list, and of the diversions, is read, bytes."""
BYTES = 8 << 30
"""Most that is hashed in one go, bytes."""
LINKS = 40
"""Most links that are followed on the way to one folder; as Linux does (path_resolution(7))."""
SHOWN = 8
"""Most paths that are named."""
DOCUMENTS = ("usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/",
             "usr/share/lintian/", "usr/share/help/")  # fmt: skip
ABSENT, UNREAD, OTHER = "absent", "unread", "other"
"""What stands for a path that is not there, that may not be read, that is no file and no link."""

_INFO = "var/lib/dpkg/info"

Table = Mapping[str, Mapping[str, str]]
"""Package -> path -> what is there."""


class Shipped(NamedTuple):
    """What a package ships: path -> SHA-256 or `-> target`.

    `conffiles`: which paths are configuration. `private`: which others than the owner may not read.
    """

    files: Mapping[str, str]
    conffiles: Collection[str] = ()
    private: Collection[str] = ()


class Compared(NamedTuple):
    """How many paths were compared; which differ, and which are the host's own, in words."""

    paths: int
    differ: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


def compare(shipped: Mapping[str, Shipped], found: Table) -> Compared:
    """Compare what packages ship with what was found."""
    differ, kept, count = list[str](), list[str](), 0
    for package, ships in sorted(shipped.items()):
        there = found.get(package, {})
        for path, wanted in sorted(ships.files.items()):
            count += 1
            what = there.get(path, ABSENT)
            if what == wanted or (what == ABSENT and path.startswith(DOCUMENTS)):
                continue
            words = f"`{path}` of {package} {_words(what)}"
            if path in (ships.private if what == UNREAD else ships.conffiles):
                kept.append(words)
            else:
                differ.append(words)
    return Compared(count, tuple(differ), tuple(kept))


def _words(what: str) -> str:
    if what.startswith("-> "):
        return f"is a link to `{what[3:]}`"
    known = {ABSENT: "is not there", UNREAD: "cannot be read", OTHER: "is no plain file"}
    return known.get(what, "has other bytes")


def debian(root: Path, names: Collection[str]) -> dict[str, dict[str, str]]:
    """Look at the files of packages below a Debian root.

    Raises:
        Unseen: if the root, or a package's list, is not there, or too much is asked.
    """
    with _Inside(root) as inside:
        moved, lists = _diversions(inside), inside.names(_INFO)
        found = {}
        for name in names:
            places = {path: path for path in _listed(inside, name, lists)}
            # Whoever diverts a path keeps it for itself.
            aside = {old: new for old, (new, by) in moved.items() if by != name.partition(":")[0]}
            places |= {path: aside[path] for path in places if path in aside}
            found[name] = inside.look(places)
        return found


def _listed(inside: "_Inside", name: str, lists: Collection[str]) -> Iterator[str]:
    # A package that may be there in several architectures has a list for each.
    ours = (each.removesuffix(".list") for each in lists if each.endswith(".list"))
    mine = [f"{each}.list" for each in ours if each == name or each.startswith(f"{name}:")]
    if not mine:
        raise Unseen(f"`{inside.root}` has no list of the files of `{name}`")
    for each in mine:
        data = inside.read(_INFO, each, LIST) or b""
        rows = data.decode(errors="surrogateescape").split("\n")
        yield from (row.lstrip("/") for row in rows if row.strip("/."))


def _diversions(inside: "_Inside") -> dict[str, tuple[str, str]]:
    # dpkg-divert(1): from, to, by whom (`:` for the host itself), each on a line of its own.
    data = inside.read("var/lib/dpkg", "diversions", LIST) or b""
    rows = data.decode(errors="surrogateescape").split("\n")
    each = zip(rows[::3], rows[1::3], rows[2::3], strict=False)
    return {old.lstrip("/"): (new.lstrip("/"), by) for old, new, by in each}


def environment(root: Path, names: Collection[str]) -> dict[str, dict[str, str]]:
    """Look at the files of projects in a Python environment, named below its `site-packages`.

    Raises:
        Unseen: if a project is not there, or has no list.
    """
    found = {}
    with _Inside(root) as inside:
        for name in names:
            place = of_project(root, name).relative_to(root)
            site, data = place.parent, inside.read(place.as_posix(), "RECORD", LIST)
            if data is None:
                raise Unseen(f"`{root / place}` has no RECORD")
            try:
                rows = list(csv.reader(data.decode(errors="surrogateescape").splitlines()))
            except csv.Error as error:
                raise Unseen(f"`{root / place}/RECORD`: {error}") from error
            listed = [row[0] for row in rows if row and row[0] and row[0][0] not in "./"]
            found[name] = inside.look({path: f"{site}/{path}" for path in listed})
    return found


class _Inside:
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
        """Name what is in a folder, sorted.

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
        except OSError as error:
            raise Unseen(f"`{self.root}/{folder}`: {error.strerror}") from error

    def read(self, folder: str, name: str, limit: int) -> bytes | None:
        """Give a file's bytes, None if it is not there or no plain file.

        Raises:
            Unseen: if it has more than so many bytes.
        """
        try:
            with self._folder(folder) as place, _opened(name, place) as file:
                data = file.read(limit + 1)
        except OSError:
            return None
        if len(data) > limit:
            raise Unseen(f"`{self.root}/{folder}/{name}` has more than {limit} bytes")
        return data

    def look(self, places: Mapping[str, str]) -> dict[str, str]:
        """Look at paths: path as it is to be called -> where it lies; folders are left out.

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
                    seen = {shown(path): self._what(name, place) for _, name, path in rows}
                found |= {path: what for path, what in seen.items() if what}
            except PermissionError:
                found |= {shown(path): UNREAD for _, _, path in rows}
            except (OSError, ValueError):  # the latter of a NUL in a name
                continue  # what is nowhere in the table is absent
        return found

    def _what(self, name: str, place: int) -> str:
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
                return file_digest(file, "sha256").hexdigest()
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


@contextmanager
def _opened(name: str, place: int) -> Iterator[BufferedReader]:
    # O_NONBLOCK: a pipe put in the file's place between stat and open must not hold us.
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    with os.fdopen(os.open(name, flags, dir_fd=place), "rb") as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "no plain file")
        yield file
