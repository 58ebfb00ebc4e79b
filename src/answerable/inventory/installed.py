"""The port of this room: what is installed on a host, and who read it there.

An adapter reads one kind of package database below a root directory and gives `Installed` rows, or
`Unreadable`: a host whose packages cannot be read is unknown, never empty. All bytes are untrusted.

Left out: how rows come from a host to the fleet's store (`fleet.Fleet.record` takes them from
anywhere; who signed them is the caller's question).
"""

from dataclasses import dataclass
from typing import Literal

from answerable.kernel.errors import Unavailable

State = Literal["installed", "held", "broken"]
"""Whole; held back by whoever runs the host; half installed or half configured."""


class Unreadable(Unavailable):
    """A package database that is missing, damaged or too large."""


@dataclass(frozen=True, slots=True)
class Installed:
    """One package on a host.

    Args:
        ecosystem: `debian:12` or `pypi`.
        package: binary package, or normalised project.
        version: as its package tool spells it.
        arch: of the package (`amd64`, `all`); for Python the interpreter (`cp311`).
        source: source package or project.
        state: see `State`.
        provides: names that it stands for besides its own.
    """

    ecosystem: str
    package: str
    version: str
    arch: str
    source: str
    state: State = "installed"
    provides: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Inventory:
    """Everything known to be on one host.

    Args:
        host: its id.
        instance: its instance identity, hex.
        zones: as enrolled.
        packages: one row a package and ecosystem.
    """

    host: str
    instance: str
    zones: frozenset[str]
    packages: tuple[Installed, ...]
