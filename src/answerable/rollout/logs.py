"""`view.View` on the real logs: the fold of the authority log, statements of the report log, plans.

What is asked here is what hosts will ask (kernel/verify.py, checks 4, 6, 7 and 10), for all zones
of a notice at once, so that bundles go out when hosts can obey them and not before. Where this is
stricter or laxer than a host, the host decides: a veto or halt for one zone of the notice stops all
of it; approvals are counted for the notice's own hosts, not for those of the week; the newest
cosigned head stands for what each host hears from the guards.

Times are those of cosigned checkpoints. Left out: following the logs, which the caller does.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NamedTuple

from answerable.changes.plan import NoPlan, Plan, read
from answerable.kernel.canon import Json
from answerable.kernel.charter import Charter
from answerable.kernel.errors import Refused
from answerable.kernel.fold import State
from answerable.kernel.statement import Statement
from answerable.rollout.view import (
    Failure,
    NoticeState,
    Observation,
    Order,
    Outcome,
    Report,
    ViewUnavailable,
)

PLANS = 64
"""Plans that are kept in memory."""


class Seen(NamedTuple):
    """A checkpoint of the authority log that a quorum cosigned, with the times of `Cosigned`."""

    note: str
    size: int
    past: int
    present: int


@dataclass(frozen=True)
class Authority:
    """What this control plane's follower of the authority log knows.

    Args:
        state: the fold up to the newest cosigned head.
        seen: cosigned checkpoints, oldest first, for each size at least the first one; the last
            is the newest head.
    """

    state: State
    seen: Sequence[Seen]

    def find(self, notice: str) -> Json:
        """Give a notice's row.

        Raises:
            ViewUnavailable: it is not in the log as far as it was followed, or that log holds
                records that this version does not understand.
        """
        if self.state.stopped:
            raise ViewUnavailable(
                f"`{self.state.stopped}` in the log needs a newer version of this"
            )
        if notice not in self.state.notices or not self.seen:
            raise ViewUnavailable(f"the notice `{notice}` is not under a cosigned head yet")
        return self.state.notices[notice]

    def first(self, index: int) -> Seen | None:
        """Give the first cosigned checkpoint that covers an entry."""
        return next((seen for seen in self.seen if seen.size > index), None)

    def noticed(self, notice: str) -> Seen | None:
        """Give the first cosigned checkpoint under which a notice had reached enough people."""
        row = self.find(notice)
        last = [*(d[4] for d in row["deliveries"]), *row["seen"].values()]
        for index in sorted(set(last)):
            seen = self.first(index)
            if seen and _delivered(self.state.law(), row, seen.size):
                return seen
        return None


def _zones(law: Charter, said: Json) -> set[str]:
    # A missing label counts as every zone.
    return set(said["zones"]) or set(law.body["zones"])


def _rules(law: Charter, said: Json) -> Json:
    return law.limits | (law.limits["emergency"] if said["emergency"] else {})


def _delivered(law: Charter, row: Json, size: int) -> bool:
    guards, own, opens = law.body["guards"], row["proposers"], law.limits["opens"]
    told = {(p, f"{p} in person") for p, index in row["seen"].items() if index < size}
    for guard, person, status, _, index in row["deliveries"]:
        if index < size and guard in guards and opens in ("accepted", status):
            told.add((person, guards[guard]["operator"]))
    return all(
        len({by for p, by in told if p in law.zone(zone)["objectors"] and p not in own})
        > law.faults
        for zone in _zones(law, row["body"])
    )


class LogView:
    """`view.View` on what this control plane follows.

    Args:
        authority: gives what is known of the authority log now.
        said: gives the statements of the report log about a notice, in the log's order.
        plan: gives a plan's bytes by digest; both may raise `Unavailable`.
    """

    def __init__(
        self,
        authority: Callable[[], Authority],
        said: Callable[[str], Sequence[Statement]],
        plan: Callable[[str], bytes],
    ) -> None:
        self._authority = authority
        self._said = said
        self._fetch = plan
        self._plans: dict[str, list[list[Order]]] = {}
        self._cited: dict[str, frozenset[str]] = {}

    def notice_state(self, notice: str) -> NoticeState:
        """See `View.notice_state`."""
        known = self._authority()
        row, state, law = known.find(notice), known.state, known.state.law()
        said, rules, noticed = row["body"], _rules(law, row["body"]), known.noticed(notice)
        grant = state.authorizations.get(said["authorization"], {"body": {"window": 0}})
        window = max(rules["window"], said["window"], grant["body"]["window"])
        clears = noticed.past + window + rules["grace"] if noticed else None
        subjects = {*said["artefacts"], *self._subjects(said["plan"])}
        return NoticeState(
            head=known.seen[-1].present, clears=clears, authorised=_authorised(known, notice),
            not_before=said["not_before"], not_after=said["not_after"],
            advances=_advances(law, row, clears),
            approvals=frozenset(row["approvals"]["changes"]), vetoed=_vetoed(state, notice),
            halted=bool(_held(state, state.halts, said)),
            withdrawn=not subjects.isdisjoint(state.withdrawn),
        )  # fmt: skip

    def rings(self, notice: str) -> list[list[Order]]:
        """See `View.rings`."""
        return self._plan(self._authority().find(notice)["body"]["plan"])

    def reports(self, notice: str) -> list[Report]:
        """See `View.reports`."""
        return [
            Report(b["host"], b["change"], b["result"], b["reason"], b["seq"])
            for b in self._about(notice, "report")
        ]

    def observations(self, notice: str) -> list[Observation]:
        """See `View.observations`."""
        return [
            Observation(b["host"], b["change"], b["result"])
            for b in self._about(notice, "observation")
        ]

    def failures(self, notice: str) -> list[Failure]:
        """See `View.failures`; unreachability alone is no failure that causes an undo."""
        known = self._authority()
        row, watchers = known.find(notice), known.state.law().body["observers"]
        orders = {o.host: o.digest for ring in self._plan(row["body"]["plan"]) for o in ring}
        return [
            Failure(host, change)
            for host, changes in row["failures"].items()
            for change, told in changes.items()
            if any(
                who in watchers and order == orders.get(host) and cause != "unreachable"
                for who, (order, cause) in told.items()
            )
        ]

    def outcome(self, notice: str) -> Outcome | None:
        """See `View.outcome`."""
        for one in self._said(notice):
            if one.kind == "outcome":
                return Outcome(notice, one.body["state"], one.body["detail"], one.body["time"])
        return None

    def open_notices(self) -> list[str]:
        """See `View.open_notices`."""
        rows = self._authority().state.notices
        return [n for n in sorted(rows, key=lambda n: rows[n]["index"]) if not self.outcome(n)]

    def _about(self, notice: str, kind: str) -> Iterator[Json]:
        """Give what was said about the very orders of the plan that was noticed."""
        orders = {(o.host, o.digest) for ring in self.rings(notice) for o in ring}
        for one in self._said(notice):
            if one.kind == kind and (one.body["host"], one.body["order"]) in orders:
                yield one.body

    def _plan(self, digest: str) -> list[list[Order]]:
        if digest not in self._plans:
            self._remember(digest)
        return self._plans[digest]

    def _subjects(self, digest: str) -> frozenset[str]:
        self._plan(digest)
        return self._cited[digest]

    def _remember(self, digest: str) -> None:
        try:
            plan = read(self._fetch(digest))
        except NoPlan as error:
            raise ViewUnavailable(f"the plan `{digest}`: {error}") from error
        if plan.digest != digest:
            raise ViewUnavailable(f"a plan `{plan.digest}` in place of `{digest}`")
        if len(self._plans) >= PLANS:
            self._plans.clear()
            self._cited.clear()
        self._plans[digest], self._cited[digest] = orders_of(plan), _cited(plan)


def orders_of(plan: Plan) -> list[list[Order]]:
    """Give the orders of a plan, ring by ring."""
    return [
        [
            Order(
                order["host"], sha256(text.encode()).hexdigest(), ring, place,
                tuple(c["id"] for c in order["changes"]), tuple(c["id"] for c in order["undo"]),
            )
            for place, (text, order) in enumerate(zip(texts, orders, strict=True))
        ]
        for ring, (texts, orders) in enumerate(zip(plan.rings, plan.orders, strict=True))
    ]  # fmt: skip


def _cited(plan: Plan) -> frozenset[str]:
    return frozenset(
        advisory
        for ring in plan.orders
        for order in ring
        for change in order["changes"]
        for package in change.get("packages", ())
        for advisory in package["advisories"]
    )


def _authorised(known: Authority, notice: str) -> bool:
    state, row = known.state, known.find(notice)
    law, said = state.law(), row["body"]
    people = law.with_role(set(row["approvals"]["changes"]) - set(row["proposers"]), "approver")
    hosts = sum(ring["size"] for ring in said["rings"])
    rules = _rules(law, said)
    steps = [step["people"] for step in rules["approvals"] if hosts > step["hosts"]]
    if len(people) < max([rules.get("people", 0), *steps]):
        return False
    try:
        if said["basis"] == "approvals":
            law.enough(people, "approval")
            guarded = {z for z in _zones(law, said) if law.zone(z)["approvers"]}
            return all(law.zone_agrees(people, zone) for zone in guarded)
        grant = state.find("authorizations", said["authorization"])
        law.enough(set(grant["by"]), "authorization")
    except Refused:
        return False
    since, head = known.first(grant["index"]), known.seen[-1]
    old = since is not None and head.present - since.past >= rules["authorization_delay"]
    in_force = said["authorization"] not in state.revoked
    return old and in_force and head.present < grant["body"]["review_by"]


def _held(state: State, table: Json, said: Json) -> list[Json]:
    listed = state.law().body["zones"]
    mine = {zone if zone in listed else "*" for zone in _zones(state.law(), said)}
    return [v for k, v in table.items() if k not in state.lifted and mine & set(v["zones"])]


def _vetoed(state: State, notice: str) -> bool:
    said = state.notices[notice]["body"]
    things = {*said["artefacts"], *said["targets"], notice, said["authorization"] or notice}
    return any(
        things & {*veto["artefacts"], *veto["targets"], veto["notice"], veto["authorization"]}
        for veto in _held(state, state.vetoes, said)
    )


def _advances(law: Charter, row: Json, clears: int | None) -> dict[int, int]:
    soak, watchers = max(row["body"]["soak"], law.limits["soak"]), law.body["observers"]
    found = {}
    for ring, told in row["advances"].items() if clears is not None else ():
        served = {
            watchers[o]["operator"]
            for o, (since, until) in told.items()
            if o in watchers and until - since >= soak
        }
        if len(served) > law.faults:
            found[int(ring)] = (clears or 0) + int(ring) * soak
    return found
