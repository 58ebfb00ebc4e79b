"""A host's RPM database as it lies on its disk: what is installed, which paths, which keys.

Rules:

1. `rpmdb.sqlite` below the first of `FOLDERS` that has it is read where it lies, page by page and
   without SQLite (btree.py): nothing is copied, locked or written. If it, or its log, is another
   one when reading ends than when it began, it is being written: `Unseen`, and the next look sees.
2. A package is called `name`, or `name:architecture` if it is of another one than most packages of
   the host; its version is `<epoch>:<version>-<release>`. Several versions at once are spelt
   `1-1|2-1`, which equals no version.
3. What the database says of a package's files are their paths, and no more. Imported keys
   (`gpg-pubkey`) are no packages: they are trusted to sign them, and so are posture.

Needs the standard library alone, since the foot on a host reads so too (foot.py). Left out:
Berkeley DB (RHEL 8 and older) and ndb (SUSE), which are `Unseen`.
"""

import os
from collections import Counter
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from hashlib import sha256
from io import BufferedReader
from pathlib import Path

from answerable.observe.btree import Damaged as FileDamaged
from answerable.observe.btree import Store
from answerable.observe.inside import Inside
from answerable.observe.look import Unseen, add
from answerable.observe.rpmheader import LISTED, Damaged, Header, Tag

NAME = "rpmdb.sqlite"
FOLDERS = ("usr/lib/sysimage/rpm", "var/lib/rpm", "usr/share/rpm")
"""Where the database lies, the newest place first."""
DATABASE = 512 << 20
"""Largest database, bytes."""
PACKAGES = 100_000
"""Most packages."""
_KEYS = "gpg-pubkey"
_COLUMNS = 2


def present(root: Path) -> bool:
    """Tell whether a root has such a database."""
    try:
        with Inside(root) as inside, ExitStack() as stack:
            _find(inside, stack)
    except Unseen:
        return False
    return True


def rpm(root: Path) -> dict[str, str]:
    """Read what is installed below a root of the RPM family.

    Raises:
        Unseen: if it has no such database, or a damaged one, or one that is being written.
    """
    found = dict[str, str]()
    with _reading(root) as inside:
        rows = [(_called(header), header.version) for header in _headers(inside)]
    native = _native([arch for (_, arch), _ in rows])
    for (name, arch), version in rows:
        if name != _KEYS:
            add(found, _spelt(name, arch, native), version)
    if not found:
        raise Unseen(f"`{root}` has no installed package; is it a root of the RPM family?")
    return found


def keys(root: Path) -> dict[str, str]:
    """Give the imported keys, by their version and release: SHA-256 of what rpm says of each.

    Raises:
        Unseen: as `rpm`.
    """
    with _reading(root) as inside:
        return {
            f"{_KEYS} {header.version}": sha256(header.raw(Tag.DESCRIPTION)).hexdigest()
            for header in _headers(inside)
            if header.text(Tag.NAME) == _KEYS
        }


def redhat(root: Path, names: Collection[str]) -> dict[str, dict[str, str]]:
    """Look at the files of packages, with their capabilities.

    Raises:
        Unseen: as `rpm`; or if a package is not there, or too much is asked.
    """
    with _reading(root) as inside:
        known = _listed(inside, {name.partition(":")[0] for name in names})
        if lacks := sorted(set(names) - set(known)):
            raise Unseen(f"`{root}` has no `{lacks[0]}`")
        return {
            name: inside.look({path: path for path in known[name]}, capable=True) for name in names
        }


def _listed(inside: Inside, wanted: Collection[str]) -> dict[str, list[str]]:
    paths, archs, left = dict[tuple[str, str], list[str]](), list[str](), LISTED
    for header in _headers(inside):
        called = _called(header)
        archs.append(called[1])
        if called[0] in wanted:
            mine = list(header.paths(left))
            left -= sum(map(len, mine))
            paths.setdefault(called, []).extend(mine)
    native = _native(archs)
    return {_spelt(*called, native): each for called, each in paths.items()}


@contextmanager
def _reading(root: Path) -> Iterator[Inside]:
    try:
        with Inside(root) as inside:
            yield inside
    except (OSError, FileDamaged, Damaged) as error:
        raise Unseen(f"the rpm database of `{root}` cannot be read: {error}") from error


def _headers(inside: Inside) -> Iterator[Header]:
    with ExitStack() as stack:
        opened = _find(inside, stack)
        before = _marks(opened)
        for number, row in enumerate(Store(*opened).table("Packages")):
            blob = row[1] if len(row) == _COLUMNS else None
            if not isinstance(blob, bytes) or number >= PACKAGES:
                raise Unseen(f"`{inside.root}`: a row without a header, or too many of them")
            yield Header(blob)
        if _marks(opened) != before:
            raise Unseen(f"the rpm database of `{inside.root}` is being written")


def _find(inside: Inside, stack: ExitStack) -> list[BufferedReader]:
    """Open the database, and its log if there is one."""
    for folder in FOLDERS:
        try:
            opened = [stack.enter_context(inside.file(folder, NAME))]
        except FileNotFoundError:
            continue
        except OSError as error:
            raise Unseen(f"`{inside.root}/{folder}/{NAME}`: {error.strerror or error}") from error
        if _length(opened[0]) > DATABASE or inside.read(folder, f"{NAME}-journal", DATABASE):
            raise Unseen(f"`{folder}/{NAME}` is over {DATABASE} bytes, or half written")
        try:
            opened.append(stack.enter_context(inside.file(folder, f"{NAME}-wal")))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise Unseen(f"`{inside.root}/{folder}/{NAME}-wal`: {error.strerror}") from error
        return opened
    raise Unseen(f"`{inside.root}` has no `{NAME}`; is it a root of the RPM family?")


def _length(file: BufferedReader) -> int:
    return os.fstat(file.fileno()).st_size


def _marks(opened: Collection[BufferedReader]) -> list[tuple[int, int]]:
    seen = [os.fstat(file.fileno()) for file in opened]
    return [(about.st_size, about.st_mtime_ns) for about in seen]


def _called(header: Header) -> tuple[str, str]:
    return header.text(Tag.NAME), header.text(Tag.ARCH)


def _native(archs: Collection[str]) -> str:
    """Give the architecture of most packages: a disk says nothing of its machine."""
    counted = Counter(arch for arch in archs if arch not in ("noarch", ""))
    return min(counted, key=lambda arch: (-counted[arch], arch), default="")


def _spelt(name: str, arch: str, native: str) -> str:
    return name if arch in (native, "noarch", "") else f"{name}:{arch}"
