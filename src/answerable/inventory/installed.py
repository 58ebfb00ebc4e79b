"""The port of this room: what is installed on a host, and who read it there.

An adapter reads one kind of package database or document and gives `Installed` rows, or
`Unreadable`: a host whose packages cannot be read is unknown, never empty. What is there and cannot
be matched with any advisory is a `Gap`, which is listed and counted: it is not known to be fine.
All bytes are untrusted.

Left out: how rows come to the fleet's store (it takes them from anywhere; who signed them is the
caller's question).
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from answerable.kernel.errors import Unavailable

State = Literal["installed", "held", "broken"]
"""Whole; held back by whoever runs the host; half installed or half configured."""
EVERYWHERE = frozenset({"*"})
"""The zones of something without a label: it counts as every zone."""


class Unreadable(Unavailable):
    """A package database or document that is missing, damaged or too large."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One package on a host.

    Args:
        ecosystem: `debian:12`, `almalinux:9`, `pypi`, `npm`, ..., as in feeds/rows.py.
        package: binary package, or normalised project.
        version: as its package tool spells it.
        arch: of the package (`amd64`, `all`); for Python the interpreter (`cp311`).
        source: source package or project.
        state: see `State`.
        provides: names that it stands for besides its own.
        source_version: of the source package, where it differs from `version`; else empty.
    """

    ecosystem: str
    package: str
    version: str
    arch: str
    source: str
    state: State = "installed"
    provides: tuple[str, ...] = ()
    source_version: str = ""


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that is there and cannot be matched: its name as found (untrusted), and why."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Found:
    """What an adapter read: each package once (ecosystem, name, version, architecture), sorted."""

    packages: tuple[Installed, ...]
    gaps: tuple[Gap, ...] = ()


def gathered(rows: Iterable[Installed | Gap]) -> Found:
    """Put rows in order, each package once; the first of two that say the same wins."""
    packages: dict[tuple[str, str, str, str], Installed] = {}
    gaps: dict[Gap, None] = {}
    for row in rows:
        if isinstance(row, Gap):
            gaps[row] = None
        else:
            packages.setdefault((row.ecosystem, row.package, row.version, row.arch), row)
    # Joined they compare as one string each: twice as fast, and sorted as parts are.
    return Found(tuple([packages[key] for key in sorted(packages, key="\0".join)]), tuple(gaps))


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything known to be on one host; also of an image or of a document that lists packages.

    Args:
        host: its id.
        instance: its instance identity, hex; an image's or document's SHA-256.
        zones: as enrolled; `EVERYWHERE` where nobody said.
        packages: sorted; a host's own package tool gives one row a package and ecosystem, while
            images and documents may have several versions of one.
        owner: whom its findings go to; empty if nobody said.
    """

    host: str
    instance: str
    zones: frozenset[str]
    packages: tuple[Installed, ...]
    owner: str = ""
