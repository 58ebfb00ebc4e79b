"""Files of packages as they lie on a host, and how they differ from what the packages ship.

    {"libssl3":{"usr/lib/x/libssl.so.3":"<sha256>","usr/lib/x/libssl.so":"-> libssl.so.3",..}}

Rules:

1. Which paths a package has is the host's own list (`var/lib/dpkg/info/<package>.list`; rpm's
   database; `RECORD` of a Python environment, PEP 376), and says only where to look: a shipped path
   that the list lacks is `absent`, and differs. What a path should hold never comes from the host.
   A path that rpm's database gives to a package which does not name it differs as well.
2. Nothing is looked at outside the host's root (inside.py).
3. `dpkg-divert` is honoured (`var/lib/dpkg/diversions`): the file is looked for where it was moved
   to. A new diversion is for the posture to find.
4. A configuration file that differs is the host's own version: kept, named, no difference. A
   file of documentation may be left out (`path-exclude`, dpkg(1); `tsflags=nodocs`, dnf.conf(5)). A
   file that the package itself ships unreadable for others is named if whoever looks may not read
   it. Everything else differs. A .rpm says which capabilities each file has; those of a .deb are
   for the posture.

Needs the standard library alone, since the foot on a host reads so too (foot.py). Left out: modes
and owners (the posture has those that matter), folders, devices, byte code made on the host.
"""

import csv
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from answerable.observe.inside import ABSENT, OTHER, UNREAD, Inside
from answerable.observe.look import Unseen, of_project

NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_+.-]{0,127}(:[A-Za-z0-9_-]{1,32})?")
"""What a package's name looks like."""
NAMES = 500
"""Most packages that are looked at in one go."""
LIST = 64 << 20
"""How much of a package's own list, and of the diversions, is read, bytes."""
SHOWN = 8
"""Most paths that are named."""
DOCUMENTS = ("usr/share/doc/", "usr/share/man/", "usr/share/info/", "usr/share/locale/",
             "usr/share/lintian/", "usr/share/help/")  # fmt: skip
_INFO = "var/lib/dpkg/info"

Table = Mapping[str, Mapping[str, str]]
"""Package -> path -> what is there."""


class Shipped(NamedTuple):
    """What a package ships: path -> SHA-256, with capabilities behind it, or `-> target`.

    `conffiles`: which paths are configuration. `private`: which others than the owner may not read.
    `spare`: which may be left out besides documentation. `named`: every path that it names, also
    what it does not bring; None if the hosts' lists may have more.
    """

    files: Mapping[str, str]
    conffiles: Collection[str] = ()
    private: Collection[str] = ()
    spare: Collection[str] = ()
    named: Collection[str] | None = None


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
            spare = path in ships.spare or path.startswith(DOCUMENTS)
            if what == wanted or (what == ABSENT and spare):
                continue
            words = f"`{path}` of {package} {_words(what, wanted)}"
            if path in (ships.private if what == UNREAD else ships.conffiles):
                kept.append(words)
            else:
                differ.append(words)
        for path in sorted(there.keys() - set(there if ships.named is None else ships.named)):
            differ.append(f"`{path}` is not of {package}, as the host says")
    return Compared(count, tuple(differ), tuple(kept))


def _words(what: str, wanted: str) -> str:
    if what.startswith("-> "):
        return f"is a link to `{what[3:]}`"
    if what.partition(" ")[0] == wanted.partition(" ")[0]:
        return "has other capabilities"
    known = {ABSENT: "is not there", UNREAD: "cannot be read", OTHER: "is no plain file"}
    return known.get(what, "has other bytes")


def debian(root: Path, names: Collection[str]) -> dict[str, dict[str, str]]:
    """Look at the files of packages below a Debian root.

    Raises:
        Unseen: if the root, or a package's list, is not there, or too much is asked.
    """
    with Inside(root) as inside:
        moved, lists = _diversions(inside), inside.names(_INFO)
        found = {}
        for name in names:
            places = {path: path for path in _listed(inside, name, lists)}
            # Whoever diverts a path keeps it for itself.
            aside = {old: new for old, (new, by) in moved.items() if by != name.partition(":")[0]}
            places |= {path: aside[path] for path in places if path in aside}
            found[name] = inside.look(places)
        return found


def _listed(inside: Inside, name: str, lists: Collection[str]) -> Iterator[str]:
    # A package that may be there in several architectures has a list for each.
    ours = (each.removesuffix(".list") for each in lists if each.endswith(".list"))
    mine = [f"{each}.list" for each in ours if each == name or each.startswith(f"{name}:")]
    if not mine:
        raise Unseen(f"`{inside.root}` has no list of the files of `{name}`")
    for each in mine:
        data = inside.read(_INFO, each, LIST) or b""
        rows = data.decode(errors="surrogateescape").split("\n")
        yield from (row.lstrip("/") for row in rows if row.strip("/."))


def _diversions(inside: Inside) -> dict[str, tuple[str, str]]:
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
    with Inside(root) as inside:
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
