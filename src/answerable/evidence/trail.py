"""The trail of one change: who allowed it, who was told and could object, what happened, when.

Pure. A change is one `report` of a host, not a refusal. Its trail says, in this order:

1. the notice it names stands in the authority log; the report cites it by hash, so it is older
2. its order is in the plan that was noticed, is this host's, and has this change
3. deliveries reached an objector for each of the host's zones, by more than f operators
4. window and grace had passed since a cosigned time that proves 3
5. authority: an authorization older than the notice, signed by enough people and not revoked by
   then; or enough people approved this notice before the change; never its proposers
6. no excluded zone, or that zone's people approved
7. no veto, halt or withdrawal that stood before the change covers it
8. its ring was the first, or more than f observers' operators opened it
9. of an undo instead of 3 to 6 and 8: it was granted, and an observer's failure record names this
   host's own report of a failure
10. observers saw the same

A fault is `unauthorised` (proven against it), `unshown` (the evidence does not prove it; perhaps
some was not collected), `contradicted` (an observer saw otherwise) or `caught` (one saw otherwise
and raised it as a finding: whoever answers for the change was told, and nobody counts it). Order of
records is order in the log or citation by hash; across logs it is cosigned time (times.py) against
the times that the host signed. Where records come so close together that cosigned times cannot
tell (a veto in the very second of a change; an advance that a host was waiting for), the trail says
`unknown`, and 7 to 9 count it as no fault: the host proved the order to itself by those records.

Left out: facts, versions and sizes (checks 5, 9 and 11 of the kernel), whose proofs are in bundles.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal, NamedTuple

from answerable.evidence.times import NEVER, Order, Times
from answerable.kernel.canon import Json
from answerable.kernel.charter import Charter
from answerable.kernel.errors import Refused
from answerable.kernel.fold import State

Kind = Literal["unauthorised", "unshown", "contradicted", "caught"]


class Fault(NamedTuple):
    """What is wrong with a change: how bad, one word, and what was found."""

    kind: Kind
    reason: str
    detail: str


class Reported(NamedTuple):
    """A host's report of a change, opened: index and leaf hash in the report log, and its words."""

    place: int
    leaf: str
    notice: str
    order: str
    change: str
    host: str
    type: str
    result: str
    reason: str
    seq: int
    started: int
    ended: int


class Sight(NamedTuple):
    """What an observer said of a change."""

    observer: str
    change: str
    result: str


class Stop(NamedTuple):
    """A veto or halt that names a change, who it is by, and when it came, as far as is proven.

    `order`: before the change began, after it ended, or nobody can tell. `after`: no quorum had it
    then; `by`: it surely stood then; POSIX seconds, 0 and `NEVER` if nothing proves one. `lifted`:
    people had taken it back before the change.
    """

    kind: str
    who: str
    order: Order
    after: int
    by: int
    lifted: bool


class Ordered(NamedTuple):
    """An order of a noticed plan: its host and ring, and of each of its changes type and object.

    `what`: the packages that a change moves and from which version to which, or its unit or check.
    """

    host: str
    ring: int
    changes: Mapping[str, str]
    artefacts: frozenset[str]
    what: Mapping[str, tuple[str, ...]]


MISSING = Ordered("", 0, {}, frozenset(), {})
"""Stands for an order whose plan is not in the evidence."""


class Noticed(NamedTuple):
    """When a notice was given: no quorum had it at `after`, it surely stood at `by`; POSIX."""

    after: int
    by: int


@dataclass(frozen=True)
class Trail:
    """The trail of one change.

    `what` it was about, as its order says, which the notice binds. `people` allowed it, under
    `authority` (an authorization's name, or `approvals`). `reached` are those told, with through
    whom; `objectors` those of them who could object for this host. `opened`: POSIX second at which
    the window was over, which an `undo` does not wait for. `when`: whether authority and notice
    came before the change. `stops`: vetoes and halts that name it.
    """

    report: Reported
    noticed: Noticed | None = None
    authority: str = ""
    people: tuple[str, ...] = ()
    reached: tuple[str, ...] = ()
    objectors: tuple[str, ...] = ()
    opened: int = 0
    when: Order = "unknown"
    stops: tuple[Stop, ...] = ()
    sights: tuple[Sight, ...] = ()
    faults: tuple[Fault, ...] = ()
    undo: bool = False
    what: tuple[str, ...] = ()


@dataclass
class Authority:
    """The authority log as an audit needs it, beside its fold.

    `laws`: index of the record from which on each charter is in force. `cited`: leaf hash of a
    report to the index of the first record that names it. `failures`: (index, observer, body).
    `advances`: (notice, ring) to index by observer.
    """

    state: State
    laws: list[tuple[int, Charter]] = field(default_factory=list)
    cited: dict[str, int] = field(default_factory=dict)
    failures: dict[str, list[tuple[int, str, Json]]] = field(default_factory=dict)
    advances: dict[tuple[str, int], dict[str, int]] = field(default_factory=dict)

    def law(self, index: int) -> Charter:
        """Give the charter that was in force for a record."""
        found = self.laws[0][1]
        for since, charter in self.laws:
            if since <= index:
                found = charter
        return found


class Case:
    """One notice, and the questions that each of its changes asks of it."""

    def __init__(self, leaf: str, authority: Authority, times: Times) -> None:
        """Take a notice that stands in the log."""
        self.leaf, self.known, self.times = leaf, authority, times
        self.row: Json = authority.state.notices[leaf]
        self.said: Json = self.row["body"]
        self.law = authority.law(self.row["index"])
        urgent = self.law.limits["emergency"] if self.said["emergency"] else {}
        self.rules = self.law.limits | urgent
        self.standing = self.said["basis"] == "authorization"
        self._told: dict[frozenset[str], int] = {}
        self.noticed = Noticed(times.after(self.row["index"]), times.by(self.row["index"]))

    @cached_property
    def grant(self) -> Json:
        """The authorization that the notice relies on, None if it names none that stands."""
        return self.known.state.authorizations.get(self.said["authorization"])

    @cached_property
    def wait(self) -> int:
        """Window and grace, seconds."""
        terms = self.grant["body"]["window"] if self.standing and self.grant else 0
        return int(max(self.rules["window"], self.said["window"], terms) + self.rules["grace"])

    @cached_property
    def reached(self) -> list[tuple[int, str, str]]:
        """Who was told: index of the record, person, through whom (an operator, or in person)."""
        guards, opens = self.law.body["guards"], self.law.limits["opens"]
        told = [
            (index, person, guards[guard]["operator"])
            for guard, person, status, _, index in self.row["deliveries"]
            if guard in guards and opens in ("accepted", status)
        ]
        told += [(index, p, f"{p} in person") for p, index in self.row["seen"].items()]
        return sorted(told)

    def told(self, zones: frozenset[str]) -> int:
        """Give the index of the record with which everybody was told, `NEVER` if nobody was."""
        if zones not in self._told:
            self._told[zones] = max((self._zone(z) for z in zones), default=NEVER)
        return self._told[zones]

    def _zone(self, zone: str) -> int:
        may = set(self.law.zone(zone)["objectors"]) - set(self.row["proposers"])
        via: set[str] = set()
        for index, person, by in self.reached:
            if person in may:
                via.add(by)
            if len(via) > self.law.faults:
                return index
        return NEVER

    def objectors(self, zones: frozenset[str]) -> set[str]:
        """Name those told who may object for these zones."""
        may = {p for zone in zones for p in self.law.zone(zone)["objectors"]}
        return may & {person for _, person, _ in self.reached}

    def approvers(self, part: str) -> dict[str, int]:
        """Name those whose approval counts, with the index of their record."""
        given: dict[str, int] = self.row["approvals"][part]
        able = self.law.with_role(set(given) - set(self.row["proposers"]), "approver")
        return {person: given[person] for person in able}

    def stops(self, zones: frozenset[str], *, undo: bool) -> list[tuple[str, str, str]]:
        """Give what stands against it at any time: kind, who, statement."""
        state = self.known.state
        mine = {zone if zone in self.law.body["zones"] else "*" for zone in zones}
        things = {*self.said["artefacts"], *self.said["targets"], self.leaf}
        things |= {self.said["authorization"] or self.leaf}
        things |= set(self.said["undo_artefacts"]) if undo else set()
        found = [("halt", h["by"], k) for k, h in state.halts.items() if mine & set(h["zones"])]
        for name, veto in state.vetoes.items():
            named = {*veto["artefacts"], *veto["targets"], veto["notice"], veto["authorization"]}
            if things & named and mine & set(veto["zones"]) and (veto["undo"] or not undo):
                found.append(("veto", veto["by"], name))
        return found


def trail(
    report: Reported, case: Case | None, order: Ordered | None, zones: frozenset[str],
    history: "History",
) -> Trail:  # fmt: skip
    """Put the trail of one change together.

    Args:
        case: the notice that it names, None if there is none in the log.
        order: the order that it names, None if it is in no plan of that notice.
        zones: of the host, by its record; a host without a label is in every zone.
        history: what else the report log says.
    """
    if case is None:
        fault = Fault("unauthorised", "no_notice", f"`{report.notice}` is not in the log")
        return Trail(report, faults=(fault,))
    zones = zones or frozenset(case.law.body["zones"])
    inquiry = _Inquiry(report, case, order, zones, history)
    inquiry.ask()
    people, authority = inquiry.people()
    objectors = tuple(sorted(case.objectors(zones)))
    told = tuple(sorted({f"{person} via {by}" for _, person, by in case.reached}))
    return Trail(
        report, case.noticed, authority, people, told, objectors, inquiry.opened, inquiry.when,
        tuple(inquiry.stopped), tuple(inquiry.sights()), tuple(inquiry.faults), inquiry.undo,
        order.what.get(report.change, ()) if order else (),
    )  # fmt: skip


class History(NamedTuple):
    """What the report log says besides: observations of an order, and reports of failures."""

    sights: Mapping[str, Sequence[Sight]]
    failed: frozenset[str]
    """Leaf hashes of reports of failures."""
    raised: Mapping[str, Mapping[str, str]]
    """`<host> <notice> <order>` to what observers raised against its success: observer to kind."""


class _Inquiry:
    """The questions of the module's list, asked of one change."""

    def __init__(
        self, report: Reported, case: Case, order: Ordered | None, zones: frozenset[str],
        history: History,
    ) -> None:  # fmt: skip
        self.report, self.case, self.order, self.zones = report, case, order, zones
        self.history, self.faults = history, list[Fault]()
        self.stopped: list[Stop] = []
        self.opened = 0
        self.when: Order = "unknown"
        # The undo of an order is its undo, and the restarts and checks that follow it.
        self.undo = bool(order and order.changes.get(report.change, "").startswith("undo"))

    def fault(self, kind: Kind, reason: str, detail: str) -> None:
        self.faults.append(Fault(kind, reason, detail))

    def since(self, index: int, wait: int = 0) -> Order:
        """Tell whether a record stood before the change began."""
        at, known = self.report, self.case.known
        if known.cited.get(at.leaf, NEVER) < index:
            return "after"
        return self.case.times.order(index, at.started, at.ended, wait)

    def ask(self) -> None:
        if self._planned():
            if self.undo:
                self._undo()
            else:
                self._told()
                self._authority()
                self._zones()
                self._ring()
        self._stops()
        self._seen()
        kinds = {fault.kind for fault in self.faults}
        late = any(fault.reason.endswith("_after") for fault in self.faults)
        if not kinds & {"unauthorised", "unshown"}:
            self.when = "before"
        elif late:
            self.when = "after"

    def _planned(self) -> bool:
        order, at = self.order, self.report
        if order is MISSING:
            self.fault("unshown", "plan_missing", "the plan that was noticed is not here")
        elif order is None:
            self.fault("unauthorised", "not_in_ring", f"order `{at.order}` was not noticed")
        elif order.host != at.host:
            self.fault("unauthorised", "not_mine", f"the order is of `{order.host}`")
        elif order.changes.get(at.change, "").rpartition(" ")[2] != at.type:
            self.fault("unauthorised", "action_not_allowed", f"no {at.type} `{at.change}` in it")
        return not self.faults

    def _told(self) -> None:
        index = self.case.told(self.zones)
        if index == NEVER:
            zones = ", ".join(sorted(self.zones))
            self.fault("unauthorised", "not_delivered", f"too few told for {zones}")
            return
        by = self.case.times.by(index)
        self.opened = 0 if by == NEVER else by + self.case.wait
        order = self.since(index, self.case.wait)
        if order == "after":
            self.fault("unauthorised", "window_open_after", f"it began at {self.report.started}")
        elif order == "unknown":
            why = f"window over at {self.opened}, begun at {self.report.started}"
            self.fault("unshown", "window_open", why)

    def _authority(self) -> None:
        if not self.case.standing:
            need = self.case.law.body["thresholds"]["approval"]
            self._enough("changes", max(need, self.case.rules.get("people", 0)))
            return
        grant, row = self.case.grant, self.case.row
        if not grant or grant["index"] >= row["index"]:
            self.fault("unauthorised", "no_authority", "no authorization older than the notice")
            return
        try:
            self.case.law.enough(set(grant["by"]), "authorization")
        except Refused as refusal:
            self.fault("unauthorised", refusal.reason, refusal.detail)
        revoked = self.case.known.state.revoked.get(self.case.said["authorization"], NEVER)
        lapsed = self.since(revoked) == "before" if revoked != NEVER else False
        if lapsed or grant["body"]["review_by"] <= self.report.started:
            self.fault("unauthorised", "authorization_lapsed", f"`{grant['body']['name']}`")
        delay = self.case.rules["authorization_delay"]
        if self.since(grant["index"], delay) == "after":
            self.fault("unauthorised", "authorization_too_young", f"`{grant['body']['name']}`")

    def _enough(self, part: str, need: int) -> None:
        given = self.case.approvers(part)
        orders = {person: self.since(index) for person, index in given.items()}
        before = [person for person, order in orders.items() if order == "before"]
        if len(before) >= need:
            return
        maybe = [person for person, order in orders.items() if order != "after"]
        late = f"{', '.join(sorted(given)) or 'nobody'} approved; {len(before)} of {need} before"
        if len(maybe) >= need:
            self.fault("unshown", "approval", f"{late}, as far as cosigned times tell")
        else:
            reason = "approval_after" if len(given) >= need else "not_enough_people"
            self.fault("unauthorised", reason, late)

    def _zones(self) -> None:
        law, given = self.case.law, self.case.approvers("changes")
        before = {p for p, index in given.items() if self.since(index) != "after"}
        guarded = {zone for zone in self.zones if law.zone(zone)["approvers"]}
        grant = self.case.grant
        excluded = set(grant["body"]["excludes"]) if self.case.standing and grant else guarded
        for zone in sorted(self.zones & excluded):
            if not law.zone_agrees(before, zone):
                self.fault("unauthorised", "excluded_zone", f"`{zone}`'s people did not approve")

    def _ring(self) -> None:
        ring = self.order.ring if self.order else 0
        if not ring:
            return
        told = self.case.known.advances.get((self.case.leaf, ring), {})
        watchers = self.case.law.body["observers"]
        before = {o for o, index in told.items() if o in watchers and self.since(index) != "after"}
        if len({watchers[o]["operator"] for o in before}) <= self.case.law.faults:
            late = "_after" if len(told) > len(before) else ""
            self.fault("unauthorised", f"ring_not_open{late}", f"ring {ring}: {sorted(before)}")

    def _undo(self) -> None:
        case, at = self.case, self.report
        share = case.grant["body"]["undo"]["share_permille"] if case.grant else 0
        if not (case.standing and share):
            self._enough("undo", case.law.body["thresholds"]["approval"])
        agreed = [
            (index, observer) for index, observer, body in case.known.failures.get(at.host, ())
            if body["notice"] == case.leaf and body["order"] == at.order
            and body["report"] in self.history.failed and self.since(index) != "after"
        ]  # fmt: skip
        if not agreed:
            why = "no observer's failure record names this host's own report"
            self.fault("unauthorised", "failure_not_corroborated", why)

    def _stops(self) -> None:
        seen, state = self.case.known.state.seen, self.case.known.state
        for kind, by, name in self.case.stops(self.zones, undo=self.undo):
            order, lifted = self.since(seen[name]), state.lifted.get(name, NEVER)
            gone = lifted != NEVER and self.since(lifted) != "after"
            proven = self.case.times.after(seen[name]), self.case.times.by(seen[name])
            self.stopped.append(Stop(kind, by, order, *proven, gone))
            if order == "before" and not gone:
                word = "vetoed" if kind == "veto" else "halted"
                self.fault("unauthorised", word, f"by `{by}` before it began")
        used = self.order.artefacts if self.order else frozenset[str]()
        for thing in sorted(used & state.withdrawn.keys()):
            if self.since(state.withdrawn[thing]) == "before":
                self.fault("unauthorised", "withdrawn", f"`{thing}`")

    def sights(self) -> list[Sight]:
        """Give what observers said of this change, or of the order if of no one change."""
        seen = self.history.sights.get(self.report.order, ())
        return [one for one in seen if one.change == self.report.change]

    def _seen(self) -> None:
        told: dict[str, set[str]] = {}
        for one in self.sights():
            told.setdefault(one.observer, set()).add(one.result)
        at = self.report
        raised = self.history.raised.get(f"{at.host} {at.notice[:16]} {at.order[:16]}", {})
        if at.result == "succeeded":
            # A look at the end of an order is about all that it brought.
            if at.type in ("upgrade", "undo"):
                told |= {by: {"failed"} for by in raised if by not in told}
            for observer, results in sorted(told.items()):
                # One who saw it well first, and ill later, does not call the report a lie.
                if "failed" in results and "succeeded" not in results:
                    known = raised.get(observer)
                    kind: Kind = "caught" if known else "contradicted"
                    self.fault(kind, known or "self_report_false", f"`{observer}` saw otherwise")

    def people(self) -> tuple[tuple[str, ...], str]:
        """Name who allowed it, and under what."""
        case = self.case
        if case.standing and case.grant:
            return tuple(case.grant["by"]), case.grant["body"]["name"]
        part = "undo" if self.undo else "changes"
        return tuple(sorted(case.approvers(part))), "approvals"
