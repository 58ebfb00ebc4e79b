"""From ranked exposures to a plan.

For each host: what it is exposed to, what its authority lets it close (the `Judge`, given by the
caller), and the discrete changes that close it, in this order: one snapshot; one upgrade for each
source package, closed under what its packages need (needs.py); a restart of each unit; a reboot, if
one is said (reboots.py); each health check. Beside them stands the undo of it all: one for each
upgrade, backwards, restarts, checks.

Rules:

1. A host that may not be changed is escalated with the reason, never skipped and never changed: it
   stands in an excluded zone, no authorization covers it, it is unknown, a package is held.
2. What cannot be undone, because the old version's bytes are gone, is escalated.
3. An advisory without an artefact to go to is escalated: there is no fix yet.
4. What a clone of the host's kind finds unfit in a rehearsal is escalated: effects that nothing
   explains, or of a class that the authorization does not name (rehearse.py). An upgrade by which
   a package comes new is planned only if a clone has rehearsed it.
5. Rings are filled in the order of the hosts' names, canaries first, up to the sizes allowed; the
   last size counts for all further rings. Hosts beyond the authorised number are escalated.

Left out: maintenance hours, spreading rings over racks.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from answerable.changes import reboots
from answerable.changes.needs import Blocked, Closure, Move, Needs
from answerable.changes.plan import RINGS, NoPlan, Plan
from answerable.changes.rehearse import (
    Asked,
    Rehearse,
    Rehearsed,
    Unfit,
    Upgrade,
    no_clone,
)
from answerable.changes.rehearse import (
    Move as Moved,
)
from answerable.exposure.match import Exposure, Known, Place
from answerable.exposure.rank import Ranked
from answerable.feeds.facts import FACT, URGENCIES
from answerable.host.versions import ABSENT
from answerable.inventory.installed import Installed, Inventory
from answerable.kernel import canon
from answerable.kernel.canon import Json

CITED = 4
"""Most advisories that one package cites: of those that its authority covers, the gravest."""
CORE = frozenset({
    "apt", "base-files", "dpkg", "init-system-helpers", "libc-bin", "libc6", "libpam-modules",
    "login", "openssh-server", "passwd", "pip", "python3", "setuptools",
    "sudo", "systemd", "systemd-sysv", "udev",
    "dnf", "filesystem", "glibc", "glibc-common", "pam", "rpm", "rpm-libs", "setup",
    "shadow-utils", "systemd-libs", "systemd-udev",
})  # fmt: skip
"""Packages without which a host may not boot, be reached or be repaired: risk `high`."""
_INNER = ("back", "ecosystem")
"""What stands elsewhere in an order."""


@dataclass(frozen=True)
class Judgement:
    """What authority says of one host.

    Args:
        covered: leaf hashes of the advisories that may be closed.
        reason: why the host must not be changed at all; empty if it may.
        classes: of sensitive effects that changes may have; None where people approve the plan.
    """

    covered: frozenset[str]
    reason: str = ""
    classes: frozenset[str] | None = None


Judge = Callable[[str, frozenset[str], Mapping[str, Json]], Judgement]
"""(host, its zones, leaf hash -> advisory as a value) -> what may be done."""


@dataclass(frozen=True)
class Services:
    """What runs on a host: units to restart, and health checks to pass, by their ids there.

    `reboot`: when it may be rebooted, one of `reboots.WHEN`.
    """

    units: tuple[str, ...] = ()
    checks: tuple[str, ...] = ()
    reboot: str = "never"


@dataclass(frozen=True)
class Mandate:
    """On whose word the plan stands, and how far it may go.

    Args:
        rings: largest sizes, one a ring; the last counts for all further ones.
        hosts: most hosts in all.
        canaries: hosts that go first.
    """

    fleet: str
    author: str
    title: str
    basis: str
    clause: str
    rings: tuple[int, ...]
    hosts: int
    canaries: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fleet:
    """The hosts that are planned for: what is on them, what runs there, what is not known.

    `waiting`: those whose last report about it says that they need a reboot.
    """

    inventories: Sequence[Inventory]
    services: Mapping[str, Services] = field(default_factory=dict)
    unknown: Sequence[str] = ()
    waiting: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Group:
    """Packages that move at once, and what the host is exposed to by them.

    `seen`: effects and classes, as the order shall say them.
    """

    packages: list[Json]
    exposures: list[Json]
    seen: Mapping[str, Json] = field(default_factory=dict)

    @property
    def upgrade(self) -> Upgrade:
        """Give it as it is rehearsed."""
        moves = (Moved(p["name"], p["from"], p["to"], p["sha256"]) for p in self.packages)
        return Upgrade(self.packages[0]["ecosystem"], tuple(moves))


@dataclass(frozen=True)
class _Part:
    """One host's part, before its ring is known."""

    inventory: Inventory
    groups: list[_Group]
    classes: frozenset[str] | None


def needs_of(known: Known) -> Needs:
    """Gather what the feeds say that versions need."""
    return {
        (relation.package, relation.version): relation.needs
        for snapshot in known.snapshots
        for relation in snapshot.candidate.relations
    }


def build(
    mandate: Mandate,
    fleet: Fleet,
    ranked: Iterable[Ranked],
    known: Known,
    judge: Judge,
    rehearse: Rehearse = no_clone,
) -> Plan:
    """Make the plan.

    Args:
        ranked: exposures in the order of their urgency.
        known: the released facts that the exposures come from.
        rehearse: asks clones what the upgrades would do.

    Raises:
        NoPlan: if no host is left to be changed; the reasons stand in its message.
        Unavailable: a clone does not answer.
    """
    assert mandate.rings, "a mandate says how large rings may be"
    assert min(mandate.rings) > 0, "a ring has room for one host"
    mine: dict[str, list[Ranked]] = {}
    for each in ranked:
        mine.setdefault(each.exposure.host, []).append(each)
    work = _Work(known, judge, fleet)
    for inventory in sorted(fleet.inventories, key=lambda i: i.host):
        work.host(inventory, mine.get(inventory.host, []))
    work.rehearse(rehearse)
    for host in fleet.unknown:
        work.escalate(host, "not heard of for too long, so nothing is known about it")
    rings = _rings(mandate, work)
    work.escalated.sort(key=lambda row: (row["host"], row["reason"]))
    if not rings:
        reasons = "; ".join(f"{row['host']}: {row['reason']}" for row in work.escalated[:20])
        raise NoPlan(f"no host is left to be changed ({reasons or 'nothing is exposed'})")
    text = canon.encode({
        "author": mandate.author,
        "basis": mandate.basis,
        "clause": mandate.clause,
        "escalated": work.escalated,
        "exposures": work.exposures,
        "fleet": mandate.fleet,
        "releases": sorted({snapshot.release for snapshot in known.snapshots}),
        "rings": rings,
        "title": mandate.title,
    })  # fmt: skip
    return Plan(text)


def _rings(mandate: Mandate, work: "_Work") -> list[list[str]]:
    first = {host: place for place, host in enumerate(mandate.canaries)}
    hosts = sorted(work.parts, key=lambda host: (first.get(host, len(first)), host))
    rings: list[list[str]] = []
    for number, host in enumerate(hosts):
        if number >= mandate.hosts or (
            rings and len(rings) == RINGS and len(rings[-1]) == _limit(mandate, RINGS - 1)
        ):
            work.escalate(host, "beyond the number of hosts that may be changed at once")
            continue
        if not rings or len(rings[-1]) >= _limit(mandate, len(rings) - 1):
            rings.append([])
        rings[-1].append(_order(mandate.fleet, len(rings) - 1, work, host))
    return rings


def _limit(mandate: Mandate, ring: int) -> int:
    return mandate.rings[min(ring, len(mandate.rings) - 1)]


def _order(fleet: str, ring: int, work: "_Work", host: str) -> str:
    part = work.parts[host]
    changes, undo = _changes(part.groups, work.services(host), reboot=work.reboots(host))
    return canon.encode({
        "changes": changes,
        "fleet": fleet,
        "host": part.inventory.host,
        "instance": part.inventory.instance,
        "ring": ring,
        "undo": undo,
    })  # fmt: skip


class _Work:
    """What is gathered host by host."""

    def __init__(self, known: Known, judge: Judge, fleet: Fleet) -> None:
        self.known, self.judge, self.fleet = known, judge, fleet
        self.needs = needs_of(known)
        self.parts: dict[str, _Part] = {}
        self.escalated: list[Json] = []

    @property
    def exposures(self) -> list[Json]:
        """What the planned upgrades close."""
        return [e for part in self.parts.values() for group in part.groups for e in group.exposures]

    def escalate(self, host: str, reason: str) -> None:
        self.escalated.append({"host": host, "reason": reason})

    def services(self, host: str) -> Services:
        return self.fleet.services.get(host, Services())

    def reboots(self, host: str) -> bool:
        """Tell whether a host is rebooted; escalate it if it needs that and is not."""
        part = self.parts[host]
        found, reason = reboots.ordered(
            self.services(host).reboot,
            (package for group in part.groups for package in group.packages),
            waits=host in self.fleet.waiting,
            allowed=part.classes is None or reboots.WORD in part.classes,
        )
        if reason:
            self.escalate(host, reason)
        return found

    def host(self, inventory: Inventory, ranked: Sequence[Ranked]) -> None:
        if not ranked:
            return
        facts = {r.exposure.fact: canon.decode(_fact(r), FACT) for r in ranked}
        judged = self.judge(inventory.host, inventory.zones, facts)
        if judged.reason:
            self.escalate(inventory.host, judged.reason)
            return
        groups = self._groups(inventory, ranked, judged.covered)
        if groups:
            self.parts[inventory.host] = _Part(inventory, groups, judged.classes)

    def rehearse(self, rehearse: Rehearse) -> None:
        asked = [
            Asked(host, tuple(group.upgrade for group in part.groups), part.classes)
            for host, part in self.parts.items()
        ]
        for host, outcomes in rehearse(asked).items():
            kept = []
            for group, outcome in zip(self.parts[host].groups, outcomes, strict=True):
                if isinstance(outcome, Unfit):
                    self.escalate(host, f"`{group.packages[0]['name']}`: {outcome.reason}")
                elif isinstance(outcome, Rehearsed):
                    seen = {"effects": outcome.effects, "classes": list(outcome.classes)}
                    kept.append(replace(group, seen=seen))
                elif new := [p["name"] for p in group.packages if p["from"] == ABSENT]:
                    self.escalate(host, f"`{new[0]}` would come new, and no clone has rehearsed it")
                else:
                    kept.append(group)
            self.parts[host] = replace(self.parts[host], groups=kept)
        self.parts = {host: part for host, part in self.parts.items() if part.groups}

    def _groups(
        self, inventory: Inventory, ranked: Sequence[Ranked], covered: frozenset[str]
    ) -> list[_Group]:
        by_package: dict[Place, list[Ranked]] = {}
        for each in ranked:
            by_package.setdefault(_place(each.exposure.installed), []).append(each)
        closure = Closure(inventory.packages, self.known, self.needs)
        groups = []
        for (_, package), rows in by_package.items():
            if not any(row.exposure.fact in covered for row in rows):
                self.escalate(inventory.host, f"`{package}`: no authorization covers it")
                continue
            moves = self._moves(closure, rows[0].exposure)
            if isinstance(moves, Blocked):
                self.escalate(inventory.host, f"`{package}`: {moves.reason}")
            elif moves:
                moved = [self._package(m, by_package, covered) for m in moves]
                pairs = [(by_package.get((p["ecosystem"], p["name"]), []), p) for p in moved]
                shown = [_exposure(found, package) for found, package in pairs if found]
                groups.append(_Group(moved, shown))
        return groups

    def _moves(self, closure: Closure, exposure: Exposure) -> list[Move] | Blocked | None:
        name = exposure.installed.package
        if exposure.fix is None:
            return Blocked(name, "no artefact with the fix is released")
        before = dict(closure.now)
        moves = closure.upgrade(exposure.installed)
        for move in moves if isinstance(moves, list) else ():
            if move.installed.version != ABSENT and self.known.same(move.installed) is None:
                closure.now = before
                gone = f"`{move.installed.package}` `{move.installed.version}`"
                return Blocked(name, f"{gone} is kept nowhere, so it could not be undone")
        return moves

    def _package(
        self, move: Move, by_package: Mapping[Place, list[Ranked]], covered: frozenset[str]
    ) -> Json:
        rows = by_package.get(_place(move.installed), [])
        # What comes new goes again: its undo names the very bytes that came.
        new = move.installed.version == ABSENT
        back = move.to if new else self.known.same(move.installed)
        assert back is not None, "checked before"
        cited = _cited(rows, covered)
        return {
            "ecosystem": move.to.ecosystem,
            "name": move.to.package,
            "from": move.installed.version,
            "to": move.to.version,
            "sha256": move.to.sha256,
            "back": back.sha256,
            "advisories": cited,
            "for": "" if cited else move.cause,
        }


def _place(installed: Installed) -> Place:
    return (installed.ecosystem, installed.package)


def _fact(ranked: Ranked) -> bytes:
    return ranked.exposure.advisory.text.encode()


def _cited(rows: Sequence[Ranked], covered: frozenset[str]) -> list[str]:
    def gravity(row: Ranked) -> tuple[bool, int, int, str]:
        fact = row.exposure.advisory
        return (fact.exploited, URGENCIES.index(fact.urgency), fact.cvss, row.exposure.fact)

    ours = [row for row in rows if row.exposure.fact in covered]
    grave = sorted(ours, key=gravity, reverse=True)[:CITED]
    return sorted({row.exposure.fact for row in grave})


def _exposure(rows: Sequence[Ranked], moved: Json) -> Json:
    top = max(rows, key=lambda row: row.score)
    exposure = top.exposure
    return {
        "host": exposure.host,
        "zones": sorted(exposure.zones),
        "ecosystem": moved["ecosystem"],
        "package": moved["name"],
        "from": moved["from"],
        "to": moved["to"],
        "advisories": sorted({row.exposure.fact for row in rows}),
        "cves": sorted({cve for row in rows for cve in row.exposure.advisory.cves}),
        "score": top.score,
        "reasons": [f"{reason.points}: {reason.because}" for reason in top.reasons],
    }


def _changes(
    groups: Sequence[_Group], services: Services, *, reboot: bool
) -> tuple[list[Json], list[Json]]:
    """Number the changes of one host: `<type>-<number>`, counted through changes and undo."""
    upgrades = [f"upgrade-{number}" for number in range(2, len(groups) + 2)]
    changes = [_change("snapshot-1", "snapshot", upgrades[0], "low")]
    for name, group in zip(upgrades, groups, strict=True):
        rows = [{k: v for k, v in p.items() if k not in _INNER} for p in group.packages]
        body = {"ecosystem": group.packages[0]["ecosystem"], "packages": rows, **group.seen}
        changes.append({**_change(name, "upgrade", "", _risk(group.packages)), **body})
    pairs = zip(upgrades, groups, strict=True)
    needing = (name for name, group in pairs if any(map(reboots.needs, group.packages)))
    cause = next(needing, upgrades[-1]) if reboot else ""
    changes += _after(services, len(changes) + 1, upgrades[-1], cause)
    undo: list[Json] = []
    for name, group in reversed(list(zip(upgrades, groups, strict=True))):
        rows = [
            {"name": p["name"], "from": p["to"], "to": p["from"], "sha256": p["back"]}
            for p in group.packages
        ]  # fmt: skip
        number, ecosystem = len(changes) + len(undo) + 1, group.packages[0]["ecosystem"]
        body = {"undoes": name, "ecosystem": ecosystem, "packages": rows, **group.seen}
        undo.append({**_change(f"undo-{number}", "undo", name, _risk(group.packages)), **body})
    return changes, undo + _after(services, len(changes) + len(undo) + 1, undo[-1]["id"])


def _after(services: Services, number: int, cause: str, reboot: str = "") -> list[Json]:
    """Number what follows upgrades; `reboot` names the one that a reboot is because of."""
    steps = []
    for unit in services.units:
        steps.append({**_change(f"restart-{number}", "restart", cause, "medium"), "unit": unit})
        number += 1
    if reboot:
        steps.append(_change(f"reboot-{number}", "reboot", reboot, "high"))
        number += 1
    cause = steps[-1]["id"] if steps else cause
    for check in services.checks:
        steps.append({**_change(f"health-{number}", "health", cause, "low"), "check": check})
        number += 1
    return steps


def _change(name: str, kind: str, cause: str, risk: str) -> Json:
    return {"id": name, "type": kind, "caused_by": cause, "risk": risk}


def _risk(group: Sequence[Json]) -> str:
    grave = any(package["name"] in CORE or reboots.needs(package) for package in group)
    return "high" if grave else "medium"
