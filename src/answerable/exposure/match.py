"""Which advisories apply to which packages on which hosts.

Rules:

1. An advisory applies if it is about that package of that ecosystem and its fixed version is above
   the installed one; and, where the feed says from when on the flaw exists, not before that.
2. The way out is the newest artefact of a released snapshot that fits the host; the way back is the
   artefact of the installed version. Either may be missing: that is said, not skipped.
3. A host that is `unknown` has no exposures, and is listed as unknown.

Versions are compared once for each distinct version, not for each host; over a fleet's store each
distinct package is looked at once (`across`), and only those of names that an advisory has. Left
out: what to do about an exposure (changes/), how bad it is (rank.py).
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache

from pyroaring import BitMap

from answerable.exposure.applies import Spans
from answerable.exposure.keys import Name, key, read, span
from answerable.feeds.candidate import Candidate
from answerable.feeds.facts import Advisory, Artefact, leaf
from answerable.host.versions import ABSENT
from answerable.inventory.fleet import Fleet, Host
from answerable.inventory.installed import Installed, Inventory
from answerable.kernel.errors import Refused


@dataclass(frozen=True)
class Snapshot:
    """A candidate that was released.

    Args:
        release: id of the release statement, hex.
        candidate: what was released.
    """

    release: str
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class Exposure:
    """An advisory that applies to a package on a host.

    Args:
        installed: the package as it is.
        fact: leaf hash of the advisory, hex.
        release: the release whose snapshot holds it.
        fix: the bytes to go to, or nothing.
        back: the bytes of the installed version, or nothing.
    """

    host: str
    zones: frozenset[str]
    installed: Installed
    advisory: Advisory
    fact: str
    release: str
    fix: Artefact | None
    back: Artefact | None


@dataclass(frozen=True, slots=True)
class Matched:
    """Every exposure of the hosts that are known, and the names of those that are not."""

    exposures: tuple[Exposure, ...]
    unknown: tuple[str, ...]


@lru_cache(maxsize=100_000)
def order_of(ecosystem: str, version: str) -> bytes:
    """Give a version's key; each distinct version is taken apart once."""
    return key(ecosystem, version)


Place = tuple[str, str]
"""Ecosystem and package."""
Applying = tuple[Advisory, str, str]
"""An advisory, its leaf hash and its release."""


class Known:
    """Released facts, ready to be asked."""

    def __init__(self, snapshots: Sequence[Snapshot]) -> None:
        """Take the facts of these snapshots."""
        self.snapshots = tuple(snapshots)

    @cached_property
    def _advisories(self) -> Spans[Applying]:
        rows = [
            (advisory, leaf(advisory).hex(), snapshot)
            for snapshot in self.snapshots
            for advisory in snapshot.candidate.advisories
        ]
        return Spans(
            (
                (advisory.ecosystem, "binary", advisory.package),
                *span(advisory.ecosystem, snapshot.candidate.introduced.get(name, ""),
                      advisory.fixed, ""),
                (advisory, name, snapshot.release),
            )
            for advisory, name, snapshot in sorted(rows, key=lambda row: row[1])
        )  # fmt: skip

    def reach(self) -> Iterator[tuple[Name, bytes, bytes]]:
        """Give each name that an advisory has, and between which keys it may be exposed."""
        found: dict[Name, tuple[bytes, bytes]] = {}
        for snapshot in self.snapshots:
            for one in snapshot.candidate.advisories:
                name: Name = (one.ecosystem, "binary", one.package)
                top = key(one.ecosystem, one.fixed)
                found[name] = b"", max(found.get(name, (b"", b""))[1], top)
        return ((name, *ends) for name, ends in found.items())

    @cached_property
    def _artefacts(self) -> dict[Place, list[Artefact]]:
        found: dict[Place, list[Artefact]] = {}
        for snapshot in self.snapshots:
            for artefact in snapshot.candidate.artefacts:
                found.setdefault((artefact.ecosystem, artefact.package), []).append(artefact)
        for rows in found.values():
            rows.sort(key=lambda a: (order_of(a.ecosystem, a.version), a.text), reverse=True)
        return found

    def applying(self, installed: Installed) -> list[Applying]:
        """Give each that applies to a package as it is.

        None does to a version without an order; the fleet lists those (`Fleet.gaps`).
        """
        name: Name = (installed.ecosystem, "binary", installed.package)
        try:
            return self._advisories.at(name, read(installed.ecosystem, installed.version))
        except Refused:
            return []

    def newest(self, installed: Installed) -> Artefact | None:
        """Give the newest artefact that fits where a package is installed, if it is newer.

        Any is, than a package that is not there (`ABSENT`).
        """
        found = self._fitting(installed)
        absent = installed.version == ABSENT
        have = b"" if absent else order_of(installed.ecosystem, installed.version)
        newer = found and order_of(found[0].ecosystem, found[0].version) > have
        return found[0] if newer else None

    def same(self, installed: Installed) -> Artefact | None:
        """Give the artefact of the very version that is installed."""
        found = self._fitting(installed)
        return next((a for a in found if a.version == installed.version), None)

    def _fitting(self, installed: Installed) -> list[Artefact]:
        rows = self._artefacts.get((installed.ecosystem, installed.package), [])
        return [artefact for artefact in rows if fits(artefact, installed)]


ANYWHERE = frozenset({"all", "noarch"})
"""How dpkg and rpm name the architecture of what runs on any."""


def fits(artefact: Artefact, installed: Installed) -> bool:
    """Tell whether an artefact can be installed where this package is.

    A wheel fits by interpreter and stable interface (PEP 425); its platform was chosen by the feed.
    """
    if artefact.ecosystem != "pypi":
        anywhere = not ANYWHERE.isdisjoint((artefact.arch, installed.arch))
        return anywhere or artefact.arch == installed.arch
    pythons, interface, _ = artefact.arch.split("-")
    mine = int(re.sub(r"\D", "", installed.arch) or 0)
    for python in pythons.split("."):
        number = int(re.sub(r"\D", "", python) or 0)
        if python in ("py3", installed.arch):
            return True
        if interface == "abi3" and python.startswith("cp") and 30 < number <= mine:  # noqa: PLR2004
            return True
    return False


def match(known: Known, inventories: Iterable[Inventory], unknown: Iterable[str]) -> Matched:
    """Match released facts with what is installed.

    Args:
        inventories: of the hosts that are known.
        unknown: names of those that are not.
    """
    found = []
    for inventory in inventories:
        for installed in inventory.packages:
            applying = known.applying(installed)
            if not applying:
                continue
            fix, back = known.newest(installed), known.same(installed)
            found += [
                Exposure(
                    inventory.host, inventory.zones, installed, advisory, name, release, fix, back
                )
                for advisory, name, release in applying
            ]  # fmt: skip
    return Matched(tuple(found), tuple(sorted(unknown)))


Exposed = tuple[int, Installed, list[Applying], Artefact | None, Artefact | None]
"""A package by its id, what applies to it, the bytes to go to and those to go back to."""


def across(known: Known, fleet: Fleet, hosts: Sequence[Host]) -> list[Exposure]:
    """Match released facts with what a fleet's store has: what `match` gives, in the same order.

    Args:
        hosts: those that are known.

    Raises:
        NoFleet: the store cannot be read.
    """
    mine, among = defaultdict[int, list[Exposed]](list), BitMap([host.id for host in hosts])
    for exposed, having in _exposed(known, fleet):
        for host in having & among:
            mine[host].append(exposed)
    states, found = fleet.states(mine), list[Exposure]()
    for each in hosts:
        for number, package, applying, fix, back in sorted(mine.get(each.id, ()), key=_order):
            state = states.get((each.id, number))
            installed = replace(package, state=state) if state else package
            found += [
                Exposure(each.host, each.zones, installed, advisory, name, release, fix, back)
                for advisory, name, release in applying
            ]
    return found


def _exposed(known: Known, fleet: Fleet) -> Iterator[tuple[Exposed, BitMap]]:
    ids = BitMap()
    for name, low, high in known.reach():
        ids.update(number for number, _ in fleet.within(*name, low, high))
    for number, package, hosts in fleet.packages(ids):
        applying = known.applying(package)
        if applying:
            fix, back = known.newest(package), known.same(package)
            yield (number, package, applying, fix, back), hosts


def _order(exposed: Exposed) -> tuple[str, str, str, str, int]:
    number, package = exposed[:2]
    return package.ecosystem, package.package, package.version, package.arch, number
