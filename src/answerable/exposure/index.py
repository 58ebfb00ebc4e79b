"""One advisory on all hosts, from the fleet's inverted index: milliseconds, not a scan.

The rules are those of applies.py. A finding's hosts are those that had the package when they were
last heard of; `Fleet.known` says which of them still count, and the others are unknown, not fine.

    findings, unordered = affected(fleet, rows)
    everywhere(findings) & fleet.zone("pci")            # a set of hosts in microseconds
    hosts, unordered = reached(fleet, rows)             # only the set, sooner

Left out: all advisories at once over exports of other systems (fleet.py).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pyroaring import BitMap

from answerable.exposure.applies import Unordered, standing
from answerable.exposure.keys import bounds
from answerable.feeds.rows import Range
from answerable.inventory.fleet import Fleet
from answerable.kernel.errors import Refused

_Span = tuple[Range, bytes, bytes]


@dataclass(frozen=True, slots=True)
class Finding:
    """A row that stands for a package.

    Args:
        flaws: those of the row that stand.
        package: its id in the fleet's store.
        hosts: who has it.
    """

    row: Range
    flaws: tuple[str, ...]
    package: int
    hosts: BitMap


def affected(fleet: Fleet, rows: Iterable[Range]) -> tuple[list[Finding], list[Unordered]]:
    """Apply rows to everything that is on any host.

    Args:
        rows: all that channels say of the flaws in question; a `not_affected` that is not among
            them clears nothing.

    Returns: what stands, by package, and the rows that cannot be applied.

    Raises:
        NoFleet: the store cannot be read.
    """
    hits: dict[int, list[Range]] = {}
    sets: dict[int, BitMap] = {}
    spans, unordered = _spans(rows)
    for row, low, high in spans:
        for package, hosts in fleet.within(row.ecosystem, row.level, row.package, low, high):
            hits.setdefault(package, []).append(row)
            sets[package] = hosts
    found = [
        Finding(row, flaws, package, sets[package])
        for package, mine in sorted(hits.items())
        for row, flaws in standing(mine)
    ]
    return found, unordered


def reached(fleet: Fleet, rows: Sequence[Range]) -> tuple[BitMap, list[Unordered]]:
    """Give every host that `affected` would find, without saying what is affected there.

    Args, raises: as `affected`.

    Returns: those hosts, and the rows that cannot be applied.
    """
    if any(row.status == "not_affected" for row in rows):
        findings, unordered = affected(fleet, rows)
        return everywhere(findings), unordered
    spans, unordered = _spans(rows)
    hosts = [fleet.reached(r.ecosystem, r.level, r.package, low, high) for r, low, high in spans]
    return BitMap.union(BitMap(), *hosts), unordered


def _spans(rows: Iterable[Range]) -> tuple[list[_Span], list[Unordered]]:
    """Give the rows that count, each with its keys, and those that cannot be ordered."""
    spans, unordered = list[_Span](), list[Unordered]()
    for row in rows:
        if row.withdrawn:
            continue
        try:
            spans.append((row, *bounds(row)))
        except Refused as refusal:
            unordered.append(Unordered(row, refusal.detail))
    return spans, unordered


def everywhere(findings: Iterable[Finding]) -> BitMap:
    """Give every host of some findings."""
    return BitMap.union(BitMap(), *(finding.hosts for finding in findings))
