"""What a host checks before every action: `verify(bundle, change, state, host, now)`.

Bounds and shapes first (order.py), and the notice and authorization that it names must stand in the
log I follow. Then, in this order; the first failure is the reason:

 1. fresh head: a quorum of guards answered my nonce, and my state includes their heads
 2. charter in force; my own state is not older than what I told the guards last
 3. the order is mine, in its ring's tree; the change is not consumed, nor before its turn
 4. notice and enough deliveries were cosigned, and window and grace have passed since
 5. facts and artefacts stand in released snapshots; each upgrade is the fix of an advisory
 6. no veto and no halt covers it
 7. authority: a standing authorization covers it, or enough named people approved this notice
 8. no excluded zone, or that zone's people approved
 9. sizes: rings, authorization, fleet limits; more approvals for more hosts, or in an emergency
10. time: not before, not after, maintenance hours; my ring is open and its soak served
11. typed action, never down; the bytes about to be used, and every file effect, are those noticed
12. an undo: granted, my own failed change, corroborated by an observer, not a storm

An undo passes 1-3, 6, 9, 11 and 12. Everything is pure: the clock is an argument, the host's
knowledge of itself is `Host`. Left out: passkeys.
"""

from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from typing import Any, NamedTuple

from answerable.kernel.canon import Json, read, shape, unhex
from answerable.kernel.charter import Charter
from answerable.kernel.checkpoint import Cosigned, cosigned
from answerable.kernel.condition import holds
from answerable.kernel.errors import Refused, demand
from answerable.kernel.fold import State
from answerable.kernel.fresh import Freshness, Head, read_head
from answerable.kernel.merkle import leaf_hash, verify_inclusion
from answerable.kernel.note import ENTRY, parse_vkey
from answerable.kernel.order import Bundle, read_bundle

RECORD = shape("host:id instance:hex key:vkey", zones=["id"])
# Seconds; the third is the first Monday, 00:00 UTC, of POSIX time; MANY is no limit.
DAY, WEEK, MONDAY, MANY = 86_400, 604_800, 345_600, 1 << 53
_RELEASED = ("ecosystem", "package", "version", "sha256")
_BY_PEOPLE = {"window": 0, "max_hosts": MANY, "hours": [], "undo": {"share_permille": 0},
              "clauses": [{"name": "", "rings": [MANY], "validity": MANY}]}  # fmt: skip


class Enrolled(NamedTuple):
    """A host's record as it was enrolled: text, the enrolment's id, its place and path there."""

    record: str
    enrolment: str
    place: int
    path: list[bytes]

    @property
    def body(self) -> Json:
        """The record as a value (`Refused` if it has another shape)."""
        return read(self.record.encode(), ENTRY, RECORD)

    def prove(self, state: State) -> set[str]:
        """Give the people who enrolled this record (`Refused` if the fleet's people did not)."""
        batch = state.find("enrolments", self.enrolment)
        state.law().enough(set(batch["by"]), "enrolment")
        leaf, root = leaf_hash(self.record.encode()), bytes.fromhex(batch["root"])
        verify_inclusion(leaf, self.place, batch["size"], self.path, root, "not_enrolled")
        return set(batch["by"])


class Host(NamedTuple):
    """What a host knows of itself.

    `order`: sort key of (ecosystem, version), as its package driver compares, `Refused` for none.
    `installed`: `<ecosystem>/<package>` to version; `(none)`, which `order` puts below every
    version, of what an order names and is not there. `consumed`: every action begun, in turn (see
    `consumption`). `staged`: package to SHA-256 of the bytes about to be used. `failed`: the
    actions that it reported as failed. `resumed`: the last of `consumed`, if the host has looked
    and found that it was never acted on, as after a kill. `zones`: added by the host itself.
    `rehearsed`: a change's id to its effects and sorted classes, as the host found them without
    doing it (of an undo: those of what it reverses).
    """

    enrolled: Enrolled
    freshness: Freshness
    order: Callable[[str, str], Any]
    installed: Mapping[str, str]
    consumed: tuple[str, ...] = ()
    staged: Mapping[str, str] = {}
    failed: frozenset[str] = frozenset()
    resumed: str = ""
    zones: frozenset[str] = frozenset()
    rehearsed: Mapping[str, tuple[str, list[str]]] = {}


class Permit(NamedTuple):
    """The host may do exactly this change now, once; `consumed` is to be synced before acting."""

    change: Json
    consumed: str


def consumption(notice: str, order: str, change: str) -> str:
    """Name one action of one order under one notice."""
    return f"{notice}/{order}/{change}"


def replace_record(old: Enrolled, new: Enrolled, state: State) -> Enrolled:
    """Take a newer enrolment record in place of the old one.

    Raises:
        Refused: `zone_dropped` unless each dropped zone's threshold signed the enrolment; or
            because it is another host's, or not enrolled.
    """
    signers = new.prove(state)
    demand(new.body["host"] == old.body["host"], "not_mine", f"`{new.body['host']}`")
    every = list(state.law().body["zones"])  # no label counts as every zone
    for zone in set(old.body["zones"] or every) - set(new.body["zones"] or every):
        demand(state.law().zone_agrees(signers, zone), "zone_dropped", f"`{zone}`")
    return new


@lru_cache(maxsize=8)  # a host asks about one order's two checkpoints again and again
def _cosigned(note: str, law: Charter) -> Cosigned:
    return cosigned(note.encode(), law.origin, law.guards["witness"], law.quorum)


class _Case:
    """One question to the kernel, and what several checks need of its answers."""

    def __init__(self, bundle: Bundle, change: str, state: State, host: Host, now: float) -> None:
        self.bundle, self.state, self.host, self.law = bundle, state, host, state.law()
        self.change, self.part = bundle.find(change)
        self.me, self.leaf = host.enrolled.body, bundle.body["notice"]
        demand(self.leaf in state.notices, "no_notice", f"`{self.leaf}` is not in my log")
        self.notice = state.notices[self.leaf]
        self.said: Json = self.notice["body"]
        urgent = self.law.limits["emergency"] if self.said["emergency"] else {}
        self.rules, self.ring = self.law.limits | urgent, bundle.order["ring"]
        self.upgrades = [(c, p) for c in bundle.order["changes"] for p in c.get("packages", ())]
        self.hosts = sum(ring["size"] for ring in self.said["rings"])
        # No label counts as every zone.
        self.zones = frozenset(self.me["zones"]) | host.zones or frozenset(self.law.body["zones"])
        own, given = set(self.notice["proposers"]), self.notice["approvals"].values()
        self.people, self.undoers = (self.law.with_role(set(p) - own, "approver") for p in given)
        self.standing = self.said["basis"] == "authorization"
        named_one = state.authorizations.get(self.said["authorization"])
        self.grant: Json = named_one if self.standing else {"index": -1, "body": _BY_PEOPLE}
        older = self.grant and self.grant["index"] < self.notice["index"]
        demand(older, "no_authority", "no authorization older than the notice")
        self.terms: Json = self.grant["body"]
        clauses = [c for c in self.terms["clauses"] if c["name"] == self.said["clause"]]
        demand(clauses, "not_covered", f"no clause `{self.said['clause']}`")
        self.clause, self.now = clauses[0], now

    @cached_property
    def head(self) -> Head:
        return read_head(self.host.freshness, self.state, parse_vkey(self.me["key"]), self.now)

    @cached_property
    def noticed(self) -> Cosigned:
        return self.past(self.bundle.body["checkpoint"])

    def past(self, note: str) -> Cosigned:
        seen, tree = _cosigned(note, self.law), self.state.tree
        _, size, root = seen.checkpoint
        demand(size <= tree.size and tree.root(size) == root, "split_view", f"of size {size}")
        return seen

    @cached_property
    def opened(self) -> int:
        window = max(self.rules["window"], self.said["window"], self.terms["window"])
        return int(self.noticed.past + window + self.rules["grace"])

    @cached_property
    def facts(self) -> dict[str, Json]:
        proven = {}
        for given, (leaf, fact) in zip(self.bundle.body["facts"], self.bundle.facts, strict=True):
            demand(given["release"] in self.said["releases"], "fact_not_proven", "of no release")
            release, path = self.state.find("releases", given["release"]), unhex(given["path"])
            index, size, root = given["index"], release["size"], bytes.fromhex(release["root"])
            verify_inclusion(leaf, index, size, path, root, "fact_not_proven")
            proven[leaf.hex()] = fact
        return proven

    @cached_property
    def artefacts(self) -> set[tuple[Json, ...]]:
        return {tuple(map(fact.get, _RELEASED)) for fact in self.facts.values()}

    def released(self, ecosystem: str, package: Json, end: str = "to") -> None:
        want = (ecosystem, package["name"], package[end], package["sha256"])
        demand(want in self.artefacts, "fact_not_proven", f"no released artefact of `{want[1]}`")
        gone = self.facts.keys() & (w := self.state.withdrawn.keys()) | w & {package["sha256"]}
        demand(not gone, "withdrawn", f"{sorted(gone)}")


def _1_fresh_head(c: _Case) -> None:
    demand(not c.state.stopped, "unknown_record", f"`{c.state.stopped}` needs a newer kernel")
    demand(0 <= c.now - c.host.freshness.sent <= c.rules["freshness"] and c.head, "stale_head")


def _2_own_state(c: _Case) -> None:
    demand(c.head.latest < c.law.body["expires"], "charter_expired", f"at {c.law.body['expires']}")
    for guard, (seq, consumed) in c.head.acks.items():
        mine = seq <= len(c.host.consumed) and consumed == ("", *c.host.consumed)[seq]
        demand(mine, "state_rolled_back", f"`{guard}` holds my action {seq}, which I do not know")


def _3_mine(c: _Case) -> None:
    order, body, rings = c.bundle.order, c.bundle.body, c.said["rings"]
    c.host.enrolled.prove(c.state)
    mine = [order["fleet"], order["host"], order["instance"]]
    demand(mine == [c.state.fleet, c.me["host"], c.me["instance"]], "not_mine", order["host"])
    ring = (*rings[c.ring : c.ring + 1], {"size": 0, "root": ""})[0]
    size, root = ring["size"], bytes.fromhex(ring["root"])
    leaf, path = leaf_hash(body["order"].encode()), unhex(body["path"])
    verify_inclusion(leaf, body["index"], size, path, root, "not_in_ring")
    names = [consumption(c.leaf, c.bundle.hash, one["id"]) for one in order[c.part]]
    turn, begun, last = order[c.part].index(c.change), set(c.host.consumed), c.host.consumed[-1:]
    demand(names[turn] not in begun - ({c.host.resumed} & {*last}), "consumed", c.change["id"])
    demand(begun.issuperset(names[:turn]), "out_of_order", f"before `{c.change['id']}`")


def _4_noticed(c: _Case) -> None:
    size, guards, own = c.noticed.checkpoint.size, c.law.body["guards"], c.notice["proposers"]
    told = {(p, f"{p} in person") for p, index in c.notice["seen"].items() if index < size}
    for guard, person, status, _, index in c.notice["deliveries"]:
        if index < size and guard in guards and c.rules["opens"] in ("accepted", status):
            told.add((person, guards[guard]["operator"]))
    for zone in c.zones:
        via = {by for p, by in told if p in c.law.zone(zone)["objectors"] and p not in own}
        demand(len(via) > c.law.faults, "not_delivered", f"{len(via)} operators reached `{zone}`")
    demand(c.head.present >= c.opened, "window_open", f"until {c.opened}, it is {c.head.present}")


def _5_facts(c: _Case) -> None:
    for name in c.said["releases"]:
        release = c.state.find("releases", name)
        most = c.law.body["feeds"].get(release["feed"], {"max_age": -1})["max_age"]
        young = c.notice["newest"] and c.noticed.past - release["time"] <= most
        demand(young, "stale_snapshot", f"`{name}` at notice time")
    for change, package in c.upgrades:
        c.released(change["ecosystem"], package)
        causes = ["", *(p["name"] for p in change["packages"] if not p["for"])]
        demand(package["for"] in causes, "not_a_fix", f"`{package['name']}` is for no fix named")
        for cited in () if package["for"] else package["advisories"] or [""]:
            _fix(c, change["ecosystem"], package, c.facts.get(cited, {}))


def _fix(c: _Case, ecosystem: str, package: Json, fact: Json) -> None:
    name, order = package["name"], c.host.order
    demand(fact.get("kind") == "advisory", "fact_not_proven", f"`{name}` cites no advisory")
    demand([fact["ecosystem"], fact["package"]] == [ecosystem, name], "not_a_fix", f"of `{name}`")
    old, fixed, new = (order(ecosystem, v) for v in (package["from"], fact["fixed"], package["to"]))
    demand(old < fixed <= new, "not_a_fix", f"`{fact['id']}` is fixed in `{fact['fixed']}`")


def _6_no_veto(c: _Case) -> None:
    things = {*c.said["artefacts"], *c.said["targets"], c.leaf, c.said["authorization"] or c.leaf}
    things |= set(c.said["undo_artefacts"]) if c.part == "undo" else set()
    for veto in _held(c, c.state.vetoes):
        said = {*veto["artefacts"], *veto["targets"], veto["notice"], veto["authorization"]}
        spared = c.part == "undo" and not veto["undo"]
        demand(spared or not things & said, "vetoed", f"by `{veto['by']}`")
    demand(not _held(c, c.state.halts), "halted", "until the halt is lifted")


def _held(c: _Case, table: Json) -> list[Json]:
    mine = {zone if zone in c.law.body["zones"] else "*" for zone in c.zones}
    return [v for k, v in table.items() if k not in c.state.lifted and mine & set(v["zones"])]


def _7_authority(c: _Case) -> None:
    terms, body, said = c.terms, c.bundle.body, c.said
    if not c.standing:
        c.law.enough(c.people, "approval")
        return
    lapsed = said["authorization"] in c.state.revoked or terms["review_by"] <= c.head.latest
    demand(not lapsed, "authorization_lapsed", f"`{terms['name']}`")
    c.law.enough(set(c.grant["by"]), "authorization")
    since = c.past(body["authorization_checkpoint"] or body["checkpoint"])
    old = c.head.present - since.past >= c.rules["authorization_delay"]
    demand(old and since.checkpoint.size > c.grant["index"], "authorization_too_young", "its delay")
    brief = said["not_after"] - said["not_before"] <= c.clause["validity"]
    demand(brief and c.upgrades, "not_covered", "no upgrade, or valid for too long")
    when, zones = c.clause["when"], {"zones": sorted(c.zones)}
    # A reboot is a word of its own: else a stolen planner could add one to any fix.
    words = {w for one in c.bundle.order["changes"] for w in (*one.get("classes", ()), one["type"])}
    odd = sorted(words - {*terms["effects"], "snapshot", "upgrade", "restart", "health"})
    for _, p in c.upgrades:
        covered = p["for"] or any(holds(when, c.facts[a] | zones) for a in p["advisories"])
        demand(covered and not odd, "not_covered", f"`{p['name']}` {odd} by `{terms['name']}`")


def _8_zones(c: _Case) -> None:
    guarded = {zone for zone in c.zones if c.law.zone(zone)["approvers"]}
    for zone in c.zones & set(c.terms["excludes"]) if c.standing else guarded:
        demand(c.law.zone_agrees(c.people, zone), "excluded_zone", f"`{zone}`")


def _9_sizes(c: _Case) -> None:
    sizes, cap, at = [r["size"] for r in c.said["rings"]], c.clause["rings"] or [0], c.head.present
    fits = all(size <= cap[min(k, len(cap) - 1)] for k, size in enumerate(sizes))
    demand(fits, "ring_too_large", f"rings of {sizes} hosts")
    demand(c.hosts <= min(c.rules.get("hosts", MANY), c.terms["max_hosts"]), "fleet_limit", "hosts")
    (mine, *_, arts), day, week, same = c.state.weights()[c.leaf], *[c.hosts] * 3
    for leaf, (told, since, n, things) in c.state.weights().items():
        shared, age = not arts.isdisjoint(things), at - since
        if leaf != c.leaf and (shared or age < WEEK) and told <= mine:
            day, week, same = day + n * (age < DAY), week + n * (age < WEEK), same + n * shared
    for limit, total in (("hosts_day", day), ("hosts_week", week), ("hosts_artefact", same)):
        demand(total <= c.rules[limit], "fleet_limit", f"{total} hosts, {limit} {c.rules[limit]}")
    steps = [s["people"] for s in c.rules["approvals"] if max(week, same) > s["hosts"]]
    enough = len(c.people) >= max([c.rules.get("people", 0), *steps])
    demand(enough, "not_enough_people", f"{len(c.people)} persons approved")


def _10_time(c: _Case) -> None:
    said, present = c.said, c.head.present
    demand(present >= said["not_before"], "too_early", f"not before {said['not_before']}")
    brief = said["not_after"] - said["not_before"] <= c.rules["validity"]
    demand(brief and c.head.latest <= said["not_after"], "too_late", f"{said['not_after']}")
    for second in {(t - MONDAY) % WEEK for t in (present, c.head.latest) if c.terms["hours"]}:
        inside = any(hour["from"] <= second < hour["to"] for hour in c.terms["hours"])
        demand(inside, "outside_window", f"second {second} of the week")
    soak, watchers = max(said["soak"], c.rules["soak"]), c.law.body["observers"]
    told = c.notice["advances"].get(str(c.ring), {}).items()
    served = {watchers[o]["operator"] for o, (s, u) in told if o in watchers and u - s >= soak}
    soaked = present >= c.opened + c.ring * soak and len(served) > c.law.faults
    demand(soaked or not c.ring, "ring_not_open", f"{len(served)} operators say ring {c.ring} may")


def _11_bytes(c: _Case) -> None:
    undo, ecosystem = c.part == "undo", c.change.get("ecosystem", "")
    noticed = c.said["undo_artefacts" if undo else "artefacts"]
    for package in c.change.get("packages", ()):
        name, old, new = package["name"], package["from"], package["to"]
        have = c.host.installed.get(f"{ecosystem}/{name}")
        demand(have == old, "drift", f"`{name}` is `{have}`, not `{old}`")
        up = undo or c.host.order(ecosystem, old) < c.host.order(ecosystem, new)
        up = undo or (up and f"{ecosystem}/{name}@{new}" in c.said["targets"])
        demand(up, "downgrade", f"`{name}` to `{new}` was noticed as no upgrade")
        same = package["sha256"] in noticed and c.host.staged.get(name) == package["sha256"]
        demand(same, "artefact_swapped", f"the bytes of `{name}` are not those noticed")
        said = (c.change.get("effects"), c.change.get("classes"))
        demand(said[0] or undo or "effects" not in c.rules, "effects_not_named", f"for `{name}`")
        same = not said[0] or c.host.rehearsed.get(c.change["id"]) == said
        demand(same, "effects_differ", f"what `{c.change['id']}` does here was not noticed")


def _12_undo(c: _Case) -> None:
    people = len(c.undoers) >= c.law.body["thresholds"]["approval"]
    share, failed = c.terms["undo"]["share_permille"], c.notice["failures"]
    demand(share or people, "undo_not_granted", "neither the authorization nor people grant it")
    last = min(c.said["undo_not_after"], c.said["not_after"] + c.rules["undo_validity"])
    demand(c.head.latest <= last, "too_late", f"undo not after {last}")
    seen, watchers = failed.get(c.me["host"], {}), c.law.body["observers"]
    mine = [x for x in seen if consumption(c.leaf, c.bundle.hash, x) in c.host.failed]
    told = [(who, *what) for change in mine for who, what in seen[change].items()]
    causes = {why for who, order, why in told if who in watchers and order == c.bundle.hash}
    demand(causes, "failure_not_corroborated", "my report and an observer's must agree")
    undone = consumption(c.leaf, c.bundle.hash, c.change.get("undoes", ""))
    for package in c.change.get("packages", ()):
        demand(undone in c.host.consumed, "undo_not_granted", "it reverses nothing done here")
        # What came new goes again: its undo names the bytes that go, released as they came.
        c.released(c.change["ecosystem"], package, ("to", "from")[package["to"] == "(none)"])
    cited = {advisory for _, package in c.upgrades for advisory in package["advisories"]}
    demand(cited <= c.facts.keys(), "fact_not_proven", "an undo shows what it would reopen")
    plain = causes != {"unreachable"} and not any(f.get("exploited") for f in c.facts.values())
    demand(plain or people, "undo_needs_people", "an exploited version, or nothing but silence")
    demand(people or len(failed) <= max(1, share * c.hosts // 1000), "undo_storm", f"{len(failed)}")


CHECKS: tuple[Callable[[_Case], None], ...] = (
    _1_fresh_head, _2_own_state, _3_mine, _4_noticed, _5_facts, _6_no_veto, _7_authority,
    _8_zones, _9_sizes, _10_time, _11_bytes, _12_undo)  # fmt: skip


def verify(bundle: bytes, change: str, state: State, host: Host, now: float) -> Permit | Refused:
    """Decide whether this host may do one change of its order now.

    Args:
        bundle: the bytes the host downloaded (order.py).
        change: id of the change that is next.
        state: the fold of the authority log as far as the host follows it.
        host: what the host knows of itself.
        now: boot-time clock, seconds; the same clock as `host.freshness.sent`.

    Returns: a permit for this one change, or the first reason against it. Never raises on bytes.
    """
    try:
        case = _Case(read_bundle(bundle), change, state, host, now)
        for number, check in enumerate(CHECKS, 1):
            if number in ((1, 2, 3, 6, 9, 11, 12) if case.part == "undo" else range(12)):
                check(case)
    except Refused as refusal:
        return refusal
    return Permit(case.change, consumption(case.leaf, case.bundle.hash, change))
