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
 9. sizes: rings, authorization, fleet limits; more approvals for more hosts
10. time: not before, not after, maintenance hours; my ring is open and its soak served
11. typed action, never down; the bytes about to be used are the bytes that were noticed
12. an undo: granted, my own failed change, corroborated by an observer, not a storm

An undo passes 1-3, 6, 9, 11 and 12. Everything is pure: the clock is an argument, the host's
knowledge of itself is `Host`. Left out: file effects (part of check 11) and passkeys.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from answerable.kernel.canon import Json, read, shape, unhex
from answerable.kernel.checkpoint import Cosigned, cosigned
from answerable.kernel.condition import holds
from answerable.kernel.errors import Refused, demand
from answerable.kernel.fold import State
from answerable.kernel.fresh import Freshness, read_head
from answerable.kernel.merkle import leaf_hash, verify_inclusion
from answerable.kernel.note import ENTRY, Key, parse_vkey
from answerable.kernel.order import Bundle, read_bundle
from answerable.kernel.statement import open_statement

RECORD = shape("host:id instance:hex key:vkey", zones=["id"])
_ABOUT = "ecosystem:name package:name source:name kind:id "
_ARTEFACT = shape(_ABOUT + "version:name arch:name sha256:hex size:int path:text")
_ADVISORY = shape(_ABOUT + "id:name fixed:name urgency:id cvss:any exploited:bool published:int",
                  cves=["name"])  # fmt: skip
DAY, WEEK, MONDAY = 86_400, 604_800, 345_600
"""Seconds; the last is the first Monday, 00:00 UTC, of POSIX time."""
MANY = 1 << 53
_BY_PEOPLE = {"window": 0, "max_hosts": MANY, "hours": [], "undo": {"share_permille": 0},
              "clauses": [{"name": "", "rings": [MANY], "validity": MANY}]}  # fmt: skip


@dataclass(frozen=True)
class Enrolled:
    """A host's record as it was enrolled: text, the enrolment's id, and the path to its root."""

    record: str
    enrolment: str
    index: int
    path: tuple[bytes, ...]

    @cached_property
    def body(self) -> Json:
        """The record as a value (`Refused` if it has another shape)."""
        return read(self.record.encode(), ENTRY, RECORD)

    @cached_property
    def key(self) -> Key:
        """The host's own verifier key (`Refused` if it is none)."""
        return parse_vkey(self.body["key"])

    def prove(self, state: State) -> set[str]:
        """Give the people who enrolled this record (`Refused` if the fleet's people did not)."""
        batch, law = state.find("enrolments", self.enrolment), state.law()
        fleet, leaf = law.with_role(set(batch["by"]), "fleet"), leaf_hash(self.record.encode())
        demand(len(fleet) >= law.body["thresholds"]["enrolment"], "not_enrolled", self.enrolment)
        verify_inclusion(leaf, self.index, batch["size"], self.path, bytes.fromhex(batch["root"]))
        return set(batch["by"])


@dataclass(frozen=True)
class Host:
    """What a host knows of itself.

    `order`: sort key of (ecosystem, version), as its package driver compares, `Refused` for none.
    `installed`: `<ecosystem>/<package>` to version. `consumed`: every action begun, in turn (see
    `consumption`). `staged`: package to SHA-256 of the bytes about to be used. `reports`: own
    report notes, for an undo. `zones`: added by the host itself.
    """

    enrolled: Enrolled
    freshness: Freshness
    order: Callable[[str, str], Any]
    installed: Mapping[str, str] = field(default_factory=dict)
    consumed: tuple[str, ...] = ()
    staged: Mapping[str, str] = field(default_factory=dict)
    reports: tuple[bytes, ...] = ()
    zones: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Permit:
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
    for zone in set(old.body["zones"]) - set(new.body["zones"]):
        demand(state.law().zone_agrees(signers, zone), "zone_dropped", f"`{zone}`")
    return new


class _Case:
    """One question to the kernel, and what several checks need of its answers."""

    def __init__(self, bundle: Bundle, change: str, state: State, host: Host, now: float) -> None:
        self.bundle, self.state, self.host, self.law = bundle, state, host, state.law()
        self.change, self.part = bundle.find(change)
        self.limits, self.me, leaf = self.law.limits, host.enrolled.body, bundle.body["notice"]
        demand(leaf in state.notices, "no_notice", f"`{leaf}` is not in the log I follow")
        self.leaf, self.notice, self.ring = leaf, state.notices[leaf], bundle.order["ring"]
        self.said: Json = self.notice["body"]
        self.hosts = sum(ring["size"] for ring in self.said["rings"])
        self.people = self.law.with_role(set(self.notice["approvals"]), "approver")
        self.people -= set(self.notice["proposers"])
        named = frozenset(self.me["zones"]) | host.zones
        self.zones = named or frozenset(self.law.body["zones"])  # no label counts as every zone
        self.standing = self.said["basis"] == "authorization"
        self.grant: Json = {"body": _BY_PEOPLE, "index": -1, "by": []}
        if self.standing:
            self.grant = state.authorizations.get(self.said["authorization"])
            older = self.grant and self.grant["index"] < self.notice["index"]
            demand(older, "no_authority", "no authorization older than the notice")
        self.terms = self.grant["body"]
        clauses = [c for c in self.terms["clauses"] if c["name"] == self.said["clause"]]
        demand(clauses, "not_covered", f"no clause `{self.said['clause']}`")
        self.clause = clauses[0]
        self.age = now - host.freshness.sent

    @cached_property
    def head(self) -> Any:  # noqa: ANN401
        return read_head(self.host.freshness, self.state, self.host.enrolled.key)

    @cached_property
    def latest(self) -> int:
        return int(self.head.latest + self.age)

    @cached_property
    def noticed(self) -> Cosigned:
        return self.past(self.bundle.body["checkpoint"])

    def past(self, note: str) -> Cosigned:
        law, tree = self.law, self.state.tree
        origin = law.body["logs"]["authority"]["origin"]
        seen = cosigned(note.encode(), origin, law.guards["witness"], law.quorum)
        size, root = seen.checkpoint.size, seen.checkpoint.root
        demand(size <= tree.size and tree.root(size) == root, "split_view", f"of size {size}")
        return seen

    @cached_property
    def opened(self) -> int:
        limits, said = self.limits, self.said
        if said["emergency"]:
            return self.noticed.past + max(limits["emergency"]["window"], said["window"])
        window = max(limits["window"], said["window"], self.terms["window"])
        return int(self.noticed.past + window + limits["grace"])

    @cached_property
    def facts(self) -> dict[str, Json]:
        proven = {}
        for given in self.bundle.body["facts"]:
            demand(given["release"] in self.said["releases"], "fact_not_proven", "of no release")
            release, text = self.state.find("releases", given["release"]), given["fact"].encode()
            leaf, root = leaf_hash(text), bytes.fromhex(release["root"])
            verify_inclusion(leaf, given["index"], release["size"], unhex(given["path"]), root)
            form = _ADVISORY if b'"kind":"advisory"' in text else _ARTEFACT
            proven[leaf.hex()] = read(text, ENTRY, form)
        return proven

    def upgrades(self) -> list[tuple[str, Json, Json]]:
        changes = [c for c in self.bundle.order["changes"] if c["type"] == "upgrade"]
        return [(c["ecosystem"], p, c) for c in changes for p in c["packages"]]

    def need(self, count: int) -> None:
        detail = f"{len(self.people)} approvals where {count} are needed"
        demand(len(self.people) >= count, "not_enough_people", detail)


def _1_fresh_head(c: _Case) -> None:
    demand(not c.state.stopped, "unknown_record", f"`{c.state.stopped}` needs a newer kernel")
    demand(0 <= c.age <= c.limits["freshness"], "stale_head", f"asked {c.age:.0f} s ago")
    assert c.head


def _2_own_state(c: _Case) -> None:
    demand(c.latest < c.law.body["expires"], "charter_expired", f"at {c.law.body['expires']}")
    for guard, (seq, consumed) in c.head.acks.items():
        mine = seq <= len(c.host.consumed) and consumed == ("", *c.host.consumed)[seq]
        demand(mine, "state_rolled_back", f"`{guard}` holds my action {seq}, which I do not know")


def _3_mine(c: _Case) -> None:
    order, body, rings = c.bundle.order, c.bundle.body, c.said["rings"]
    c.host.enrolled.prove(c.state)
    mine = [c.state.fleet, c.me["host"], c.me["instance"]]
    demand([order["fleet"], order["host"], order["instance"]] == mine, "not_mine", order["host"])
    demand(c.ring < len(rings), "not_in_ring", f"the notice has no ring {c.ring}")
    ring, leaf = rings[c.ring], leaf_hash(body["order"].encode())
    try:
        root = bytes.fromhex(ring["root"])
        verify_inclusion(leaf, body["index"], ring["size"], unhex(body["path"]), root)
    except Refused as refusal:
        raise Refused("not_in_ring", refusal.detail) from refusal
    names = [consumption(c.leaf, c.bundle.hash, one["id"]) for one in order[c.part]]
    turn, begun = order[c.part].index(c.change), set(c.host.consumed)
    demand(names[turn] not in begun, "consumed", f"`{c.change['id']}` was begun before")
    demand(begun.issuperset(names[:turn]), "out_of_order", f"before `{c.change['id']}`")


def _4_noticed(c: _Case) -> None:
    size, guards, zones = c.noticed.checkpoint.size, c.law.body["guards"], c.law.zone
    demand(c.notice["index"] < size, "not_delivered", "the checkpoint is older than the notice")
    told = {(p, f"{p} in person") for p, index in c.notice["seen"].items() if index < size}
    for guard, person, status, _, index in c.notice["deliveries"]:
        if index < size and guard in guards and c.limits["opens"] in ("accepted", status):
            told.add((person, guards[guard]["operator"]))
    for zone in c.zones:
        via = {operator for person, operator in told if person in zones(zone)["objectors"]}
        demand(len(via) > c.law.faults, "not_delivered", f"{len(via)} operators reached `{zone}`")
    demand(c.head.present >= c.opened, "window_open", f"until {c.opened}, it is {c.head.present}")


def _5_facts(c: _Case) -> None:
    feeds, moving = c.law.body["feeds"], c.change["type"] == "upgrade"
    for name in c.said["releases"]:
        release = c.state.find("releases", name)
        young = c.noticed.past - release["time"] <= feeds.get(release["feed"], {"max_age": -1})["max_age"]
        demand(c.notice["newest"] and young, "stale_snapshot", f"`{name}` at notice time")
    gone = c.state.withdrawn.keys() & {*c.said["artefacts"], *c.facts}
    demand(not gone, "withdrawn", f"{sorted(gone)}")
    known = {(f["ecosystem"], f["package"], f.get("version"), f.get("sha256")) for f in c.facts.values()}
    for ecosystem, package, change in c.upgrades():
        name, causes = package["name"], [p["name"] for p in change["packages"] if not p["for"]]
        bytes_known = (ecosystem, name, package["to"], package["sha256"]) in known
        demand(bytes_known, "fact_not_proven", f"no released artefact of `{name}`")
        demand(package["for"] in ("", *causes), "not_a_fix", f"`{name}` is for no fix named here")
        for cited in () if package["for"] else package["advisories"] or [""]:
            _fix(c, ecosystem, package, c.facts.get(cited, {}))
        have = c.host.installed.get(f"{ecosystem}/{name}")
        still = not moving or change != c.change or have == package["from"]
        demand(still, "drift", f"`{name}` is `{have}`, not `{package['from']}`")


def _fix(c: _Case, ecosystem: str, package: Json, fact: Json) -> None:
    name, order = package["name"], c.host.order
    demand(fact.get("kind") == "advisory", "fact_not_proven", f"`{name}` cites no advisory")
    demand([fact["ecosystem"], fact["package"]] == [ecosystem, name], "not_a_fix", f"of `{name}`")
    old, fixed, new = (order(ecosystem, v) for v in (package["from"], fact["fixed"], package["to"]))
    demand(old < fixed <= new, "not_a_fix", f"`{fact['id']}` is fixed in `{fact['fixed']}`")


def _6_no_veto(c: _Case) -> None:
    things = {*c.said["artefacts"], *c.said["targets"]}
    for name, veto in c.state.vetoes.items():
        covers = veto["notice"] == c.leaf or things & {*veto["artefacts"], *veto["targets"]}
        covers = covers or veto["authorization"] == (c.said["authorization"] or "-")
        names_it = veto["undo"] or c.part == "changes"
        _not_held(c, name, veto if covers and names_it else {"zones": []}, "vetoed")
    for name, halt in c.state.halts.items():
        _not_held(c, name, halt, "halted")


def _not_held(c: _Case, name: str, held: Json, reason: Any) -> None:  # noqa: ANN401
    listed, scope = c.law.body["zones"], held["zones"]
    reaches = any(z in scope or (z not in listed and "*" in scope) for z in c.zones)
    demand(not reaches or name in c.state.lifted, reason, f"by `{held.get('by')}`")


def _7_authority(c: _Case) -> None:
    terms, law, body = c.terms, c.law, c.bundle.body
    c.need(c.limits["emergency"]["people"] if c.said["emergency"] else 0)
    if not c.standing:
        c.need(law.body["thresholds"]["approval"])
        return
    lapsed = c.said["authorization"] in c.state.revoked or terms["review_by"] <= c.latest
    demand(not lapsed, "authorization_lapsed", f"`{terms['name']}`")
    signed = len(law.with_role(set(c.grant["by"]), "approver"))
    demand(signed >= law.body["thresholds"]["authorization"], "not_enough_people", terms["name"])
    since = c.past(body["authorization_checkpoint"] or body["checkpoint"])
    old = since.checkpoint.size > c.grant["index"]
    old = old and c.head.present - since.past >= c.limits["authorization_delay"]
    demand(old, "authorization_too_young", f"`{terms['name']}`")
    brief = c.said["not_after"] - c.said["not_before"] <= c.clause["validity"]
    demand(brief, "not_covered", f"valid for longer than `{c.clause['name']}` allows")
    for _, package, _ in c.upgrades():
        facts = [{**c.facts[a], "zones": sorted(c.zones)} for a in package["advisories"]]
        covered = package["for"] or any(holds(c.clause["when"], fact) for fact in facts)
        demand(covered, "not_covered", f"`{package['name']}` by `{c.clause['name']}`")


def _8_zones(c: _Case) -> None:
    shut = c.zones & set(c.terms["excludes"]) if c.standing else c.zones
    for zone in sorted(shut):
        open_ = c.law.zone_agrees(c.people, zone) or not (c.standing or c.law.zone(zone)["approvers"])
        demand(open_, "excluded_zone", f"`{zone}`")


def _9_sizes(c: _Case) -> None:
    sizes, caps = [ring["size"] for ring in c.said["rings"]], c.clause["rings"]
    fits = all(size <= caps[min(at, len(caps) - 1)] for at, size in enumerate(sizes))
    demand(fits, "ring_too_large", f"rings of {sizes} hosts")
    most = c.limits["emergency"]["hosts"] if c.said["emergency"] else MANY
    demand(c.hosts <= min(most, c.terms["max_hosts"]), "fleet_limit", f"{c.hosts} hosts")
    totals = {limit: c.hosts for limit in ("hosts_day", "hosts_week", "hosts_artefact")}
    for leaf, other in c.state.notices.items():
        if leaf == c.leaf or other["index"] > c.notice["index"]:
            continue
        age = c.head.present - max((d[3] for d in other["deliveries"]), default=c.head.present)
        size = sum(ring["size"] for ring in other["body"]["rings"])
        shared = set(c.said["artefacts"]) & set(other["body"]["artefacts"])
        totals["hosts_day"] += size * (age < DAY)
        totals["hosts_week"] += size * (age < WEEK)
        totals["hosts_artefact"] += size * bool(shared)
    for limit, total in totals.items():
        demand(total <= c.limits[limit], "fleet_limit", f"{total} hosts, `{limit}` {c.limits[limit]}")
    c.need(max([n for hosts, n in c.limits["approvals"] if max(totals.values()) > hosts], default=0))


def _10_time(c: _Case) -> None:
    said, present, limits = c.said, c.head.present, c.limits
    longest = limits["emergency" if said["emergency"] else "validity"]
    longest = longest["validity"] if said["emergency"] else longest
    demand(present >= said["not_before"], "too_early", f"not before {said['not_before']}")
    brief = said["not_after"] - said["not_before"] <= longest
    demand(brief and c.latest <= said["not_after"], "too_late", f"not after {said['not_after']}")
    for second in {(t - MONDAY) % WEEK for t in (present, c.latest) if c.terms["hours"]}:
        inside = any(start <= second < end for start, end in c.terms["hours"])
        demand(inside, "outside_window", f"second {second} of the week")
    soak, served, observers = max(said["soak"], limits["soak"]), set(), c.law.body["observers"]
    for observer, (since, until) in c.notice["advances"].get(str(c.ring), {}).items():
        if observer in observers and until - since >= soak:
            served.add(observers[observer]["operator"])
    soaked = present >= c.opened + c.ring * soak and len(served) > c.law.faults
    demand(soaked or not c.ring, "ring_not_open", f"{len(served)} operators say ring {c.ring} may")


def _11_bytes(c: _Case) -> None:
    noticed = c.said["artefacts" if c.part == "changes" else "undo_artefacts"]
    for package in c.change.get("packages", ()):
        ecosystem, name, to = c.change["ecosystem"], package["name"], package["to"]
        up = c.host.order(ecosystem, package["from"]) < c.host.order(ecosystem, to)
        up = up and f"{ecosystem}/{name}@{to}" in c.said["targets"]
        demand(up or c.part == "undo", "downgrade", f"`{name}` to `{to}` was noticed as no upgrade")
        same = package["sha256"] in noticed and c.host.staged.get(name) == package["sha256"]
        demand(same, "artefact_swapped", f"the bytes of `{name}` are not those noticed")


def _12_undo(c: _Case) -> None:
    if c.part == "changes":
        return
    agree = len([p for p in c.people if c.notice["approvals"][p]])
    people = agree >= c.law.body["thresholds"]["approval"]
    share, failed = c.terms["undo"]["share_permille"], len(c.notice["failures"])
    demand(share or people, "undo_not_granted", "neither the authorization nor people grant it")
    last = min(c.said["undo_not_after"], c.said["not_after"] + c.limits["undo_validity"])
    demand(c.latest <= last, "too_late", f"undo not after {last}")
    causes, known_bad = _failures(c), any(f.get("exploited") for f in c.facts.values())
    demand(causes, "failure_not_corroborated", "my report and an observer's must agree")
    plain = not known_bad and causes != {"unreachable"}
    demand(plain or people, "undo_needs_people", "an exploited version, or nothing but silence")
    few = failed <= max(1, share * c.hosts // 1000)
    demand(few or people, "undo_storm", f"{failed} hosts of {c.hosts} failed")


def _failures(c: _Case) -> set[str]:
    mine, owner = set(), {c.host.enrolled.key: ("host", c.me["host"])}
    for note in c.host.reports:
        said = open_statement(note, "report", owner).body
        if [said["notice"], said["order"], said["result"]] == [c.leaf, c.bundle.hash, "failed"]:
            mine.add(said["change"])
    seen = c.notice["failures"].get(c.me["host"], {})
    told = [(who, *what) for change in mine & seen.keys() for who, what in seen[change].items()]
    watchers = c.law.body["observers"]
    return {cause for who, order, cause in told if who in watchers and order == c.bundle.hash}


CHECKS: tuple[Callable[[_Case], None], ...] = (
    _1_fresh_head, _2_own_state, _3_mine, _4_noticed, _5_facts, _6_no_veto, _7_authority, _8_zones,
    _9_sizes, _10_time, _11_bytes, _12_undo,
)  # fmt: skip
UNDO_CHECKS = frozenset({1, 2, 3, 6, 9, 11, 12})


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
            if case.part == "changes" or number in UNDO_CHECKS:
                check(case)
    except Refused as refusal:
        return refusal
    return Permit(case.change, consumption(case.leaf, case.bundle.hash, change))
