"""Ranked exposures: of this machine without any settings, or of a control plane's fleet.

Here: the packages of the machine itself, and a folder of publications. What one channel says alone
counts in such a list, since nothing but a reader's eye depends on it; what is not said of the
machine (whether it can be reached from public networks) counts as worse.

A fleet: what the released snapshots say of the hosts, weighed as ranking.py says; or everything
that the newest world says of them, released or not (`everything`), one row for each flaw of each
package on the hosts of the same zones: a hundred thousand hosts are seconds, and readable.
"""

import socket
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.metadata import version
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from pyroaring import BitMap

from answerable.bootstrap import carried, feed_folder
from answerable.bootstrap.clock import clock
from answerable.bootstrap.feed_folder import Place
from answerable.config import NotConfigured
from answerable.exposure import beliefs, keys
from answerable.exposure.applies import Ranges
from answerable.exposure.explain import model_of
from answerable.exposure.export import Heading
from answerable.exposure.index import Finding, affected
from answerable.exposure.match import Exposure
from answerable.exposure.rank import ALONE, Context, Ranked, rank
from answerable.feeds import tables
from answerable.feeds.facts import URGENCIES, Advisory
from answerable.feeds.rows import Range
from answerable.feeds.world import World
from answerable.inventory import release, system
from answerable.inventory.fleet import Host
from answerable.inventory.installed import Found, Installed, Unreadable
from answerable.inventory.tree import Folder
from answerable.kernel.errors import Refused

if TYPE_CHECKING:
    from answerable.bootstrap.planning import Planning

HERE = ALONE | {"exploited", "exploit", "kev_added", "kev_due", "kev_ransomware"}
"""What may rest on one channel in a list that nothing depends on."""
Progress = Callable[[str, int], None]


@dataclass(frozen=True)
class Listed:
    """A ranked list, and what it rests on.

    Args:
        rows: the most urgent first.
        hosts: every host that is known; `unknown` are those of which nothing is.
        notes: for people: what was left out, and why.
    """

    rows: tuple[Ranked, ...]
    context: Context
    hosts: tuple[str, ...]
    unknown: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def heading(self) -> Heading:
        """What stands over an export of it."""
        by = model_of(self.context.model, self.context.without)
        return Heading(self.context.now, version("answerable"), by)


def here(
    place: Place,
    progress: Progress,
    *,
    public: bool | None,
    root: Path = Path("/"),
    model: Path | None = None,
) -> Listed:
    """List what this machine (or another root) is exposed to.

    Args:
        place: a folder of publications.
        public: whether the machine can be reached from public networks; None if not known.
        model: folder of a released ranking model (carried.py), if there may be one.

    Raises:
        Unreadable: no package database.
        Unusable, NotConfigured: as `feed_folder.read`.
    """
    now, tree, host = clock(), Folder(root), socket.gethostname()
    progress("packages", 0)
    installed = system.read(tree)
    ecosystem = ""
    with suppress(Unreadable):
        ecosystem = release.of(tree)
    found = feed_folder.read(place, ecosystem, now, progress)
    exposures, notes = _exposures(host, installed, found.world, now, progress)
    flaws = beliefs.believed(
        found.world.folder, {cve for each in exposures for cve in each.advisory.cves}, now
    )
    served = carried.carried(model) if model else carried.Served(None, carried.NONE)
    context = Context(
        now, flaws=flaws, listed=beliefs.listed(found.world.folder), alone=HERE,
        public={} if public is None else {"here": public},
        model=served.model, without=served.why,
    )  # fmt: skip
    if served.model:
        context = replace(context, listings=beliefs.listings(found.world.folder, now))
    gaps = [f"{gap.name}: {gap.reason}" for gap in installed.gaps]
    return Listed(
        tuple(rank(exposures, context)), context, (host,), (), (*found.notes, *gaps, *notes)
    )


def _exposures(
    host: str, installed: Found, world: World, now: int, progress: Progress
) -> tuple[list[Exposure], list[str]]:
    names, unordered = set(), []
    for package in installed.packages:
        with suppress(Refused):
            names |= {place.package for place in keys.places(package)}
    ranges = Ranges(_ranges(world, names, now))
    exposures: list[Exposure] = []
    for at, package in enumerate(installed.packages, 1):
        progress("match", at)
        try:
            rows = ranges.on(package)
        except Refused as refusal:
            unordered.append(f"`{package.package}` {package.version}: {refusal.detail}")
            continue
        exposures += _by_flaw(host, package, rows)
    unordered += [
        f"`{one.row.advisory}` cannot be applied: {one.reason}" for one in ranges.unordered
    ]
    return exposures, unordered


def _ranges(world: World, names: Collection[str], now: int) -> Iterator[Range]:
    """Give what a world says of packages; what is not dated counts from when we first saw it.

    So the time that a flaw may stay open begins once, not anew with every list.
    """
    for one in tables.ranges(world.folder, names, now):
        if isinstance(one.row, Range):
            yield replace(one.row, published=one.row.published or one.seen)


def _by_flaw(
    host: str, package: Installed, rows: Iterable[tuple[Range, tuple[str, ...]]]
) -> Iterator[Exposure]:
    for fact in facts(package, rows):
        yield Exposure(host, frozenset({"here"}), package, fact, "", "", None, None)


def facts(package: Installed, rows: Iterable[tuple[Range, tuple[str, ...]]]) -> Iterator[Advisory]:
    """Give one advisory a flaw, whoever names it; the fix is the latest that anybody names."""
    by_flaw: dict[str, list[Range]] = {}
    for row, flaws in rows:
        for flaw in flaws:
            by_flaw.setdefault(flaw, []).append(row)
    for flaw, mine in sorted(by_flaw.items()):
        fixes = [row for row in mine if row.fixed]
        top = max(fixes or mine, key=lambda row: _order(package, row.fixed))
        urgency = max((row.urgency for row in mine), key=URGENCIES.index)
        published = min((row.published for row in mine if row.published), default=0)
        yield Advisory(
            top.advisory, package.ecosystem, package.package, package.source, top.fixed, urgency,
            (flaw,), -1, exploited=False, published=published,
        )  # fmt: skip


def _order(package: Installed, version: str) -> bytes:
    with suppress(Refused):
        return keys.key(package.ecosystem, version) if version else b""
    return b""


def fleet(planning: "Planning") -> Listed:
    """List what a control plane's fleet is exposed to.

    Raises:
        Unavailable: logs, candidates, worlds or the store cannot be read.
    """
    _, found, _, unknown = planning.matched()
    context, notes = planning.context(found)
    known = tuple(host.host for host in planning.hosts()[0])
    return Listed(tuple(rank(found, context)), context, known, tuple(unknown), notes)


def everything(planning: "Planning", progress: Progress) -> Listed:
    """List what a fleet is exposed to by everything that the newest world says, in groups of hosts.

    A group's row names its first host and how many more there are.

    Raises:
        NotConfigured: if no world was made.
        Unavailable: logs, worlds or the store cannot be read.
    """
    world = planning.lookout.worlds.newest()
    if world is None:
        raise NotConfigured("no world was made: `answerable feed sync` makes one")
    now = clock()
    with planning.fleet() as store:
        hosts = store.hosts(now, planning.silence)
        packages = {number: package for number, package, _ in store.packages()}
        names = {place.package for package in packages.values() for place in _places(package)}
        progress("match", len(packages))
        findings, unordered = affected(store, _ranges(world, names, now))
    known = [one for one in hosts if one.state == "known"]
    found = list(_in_groups(known, packages, findings))
    progress("rank", len(found))
    counts: Counter[Advisory] = Counter()
    for exposure, size in found:
        counts[exposure.advisory] += size
    exposures = [exposure for exposure, _ in found]
    context, notes = planning.context(exposures)
    left = tuple(f"`{o.row.advisory}` cannot be applied: {o.reason}" for o in unordered)
    gone = tuple(one.host for one in hosts if one.state == "unknown")
    ranked = tuple(rank(exposures, context, counts))
    return Listed(ranked, context, tuple(one.host for one in known), gone, (*notes, *left))


def _in_groups(
    hosts: Iterable[Host], packages: Mapping[int, Installed], findings: Iterable[Finding]
) -> Iterator[tuple[Exposure, int]]:
    """Give an exposure, and of how many hosts, for each flaw, package and set of zones."""
    names: dict[int, str] = {}
    groups: dict[frozenset[str], BitMap] = {}
    for one in hosts:
        names[one.id] = one.host
        groups.setdefault(one.zones, BitMap()).add(one.id)
    for number, mine in groupby(findings, key=lambda finding: finding.package):
        hits, package = list(mine), packages[number]
        about = list(facts(package, ((hit.row, hit.flaws) for hit in hits)))
        for zones, members in groups.items():
            there = hits[0].hosts & members
            if not there:
                continue
            name = names[there.min()]
            label = f"{name} and {len(there) - 1} more" if len(there) > 1 else name
            for fact in about:
                yield Exposure(label, zones, package, fact, "", "", None, None), len(there)


def _places(package: Installed) -> Iterable[keys.Place]:
    with suppress(Refused):
        return keys.places(package)
    return ()
