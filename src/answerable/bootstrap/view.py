"""What the rollout reads: `rollout.view.View` over the followed logs and the plans on disk.

Everything is derived again from the logs at each call; the answers only spare hosts what they would
refuse, since every host decides for itself.
"""

from collections.abc import Callable, Sequence
from hashlib import sha256
from threading import Lock

from answerable.bootstrap.follow import Logs, Reported
from answerable.changes.plan import Plan
from answerable.kernel.canon import Json
from answerable.rollout.view import (
    Failure,
    NoticeState,
    Observation,
    Order,
    Outcome,
    Report,
    ViewUnavailable,
)

Plans = Callable[[str], Plan]
"""Gives a plan by its digest; raises `Unavailable` if it is not there."""


class LogView:
    """`View` for one control plane; `refresh` follows the logs, all else reads what is known."""

    def __init__(self, logs: Logs, plans: Plans) -> None:
        """Read these logs and plans."""
        self.logs, self._plans, self._lock = logs, plans, Lock()

    def refresh(self) -> None:
        """Follow both logs; raises `Unavailable`."""
        with self._lock:
            self.logs.refresh()

    def notice(self, notice: str) -> Json:
        """Give what the fold knows of a notice."""
        self.refresh()
        found = self.logs.state.notices.get(notice)
        if found is None:
            raise ViewUnavailable(f"notice `{notice}` is not in the log as far as it is cosigned")
        return found

    def notice_state(self, notice: str) -> NoticeState:
        """See `View.notice_state`."""
        row, logs = self.notice(notice), self.logs
        said, law, state = row["body"], logs.law, logs.state
        head = logs.heads["authority"].present
        soaked = {
            int(ring): max(until for _, until in told.values())
            for ring, told in row["advances"].items()
            if len({law.body["observers"][o]["operator"] for o in told}) > law.faults
        }
        things = {*said["artefacts"], *said["targets"], notice, said["authorization"] or notice}
        vetoed = any(
            things & {*v["artefacts"], *v["targets"], v["notice"], v["authorization"]}
            for name, v in state.vetoes.items()
            if name not in state.lifted
        )
        halted = any(
            {*h["zones"]} & {"*", *said["zones"]}
            for name, h in state.halts.items()
            if name not in state.lifted
        )
        return NoticeState(
            head=head, clears=self.clears(row), authorised=self._authorised(row, head),
            not_before=said["not_before"], not_after=said["not_after"], advances=soaked,
            approvals=frozenset(row["approvals"]["changes"]), vetoed=vetoed, halted=halted,
            withdrawn=bool(state.withdrawn.keys() & set(said["artefacts"])),
        )  # fmt: skip

    def clears(self, row: Json) -> int | None:
        """Give when window and grace of a notice are over, None while too few were told."""
        covering = self.logs.covering(told) if (told := self.told(row)) is not None else None
        if covering is None:
            return None
        law, said = self.logs.law, row["body"]
        rules = law.limits | (law.limits["emergency"] if said["emergency"] else {})
        grant = self.logs.state.authorizations.get(said["authorization"], {"body": {"window": 0}})
        window = max(rules["window"], said["window"], grant["body"]["window"])
        return int(covering[1].past + window + rules["grace"])

    def told(self, row: Json) -> int | None:
        """Give the index of the delivery that completed what every zone needs, None before it."""
        law, needed = self.logs.law, 0
        for zone in row["body"]["zones"] or list(law.body["zones"]):
            via: dict[str, int] = {}
            for guard, person, status, _, index in row["deliveries"]:
                good = law.limits["opens"] in ("accepted", status)
                if good and person in law.zone(zone)["objectors"] and guard in law.body["guards"]:
                    via.setdefault(law.body["guards"][guard]["operator"], index)
            for person, index in row["seen"].items():
                if person in law.zone(zone)["objectors"]:
                    via.setdefault(f"{person} in person", index)
            if len(via) <= law.faults:
                return None
            needed = max(needed, sorted(via.values())[law.faults])
        return needed

    def _authorised(self, row: Json, head: int) -> bool:
        said, law, state = row["body"], self.logs.law, self.logs.state
        if said["basis"] == "authorization":
            grant = state.authorizations.get(said["authorization"])
            revoked = said["authorization"] in state.revoked
            return bool(grant) and not revoked and grant["body"]["review_by"] > head
        people = law.with_role(set(row["approvals"]["changes"]) - set(row["proposers"]), "approver")
        zones = [z for z in said["zones"] if law.zone(z)["approvers"]]
        enough = len(people) >= law.body["thresholds"]["approval"]
        return enough and all(law.zone_agrees(people, zone) for zone in zones)

    def rings(self, notice: str) -> Sequence[Sequence[Order]]:
        """See `View.rings`."""
        plan = self._plans(self.notice(notice)["body"]["plan"])
        return [
            [_order(text, plan.orders[ring][at], ring, at) for at, text in enumerate(texts)]
            for ring, texts in enumerate(plan.rings)
        ]

    def _about(self, kind: str, notice: str) -> list[Reported]:
        self.refresh()
        return [
            r
            for r in self.logs.reports
            if r.said and r.said.kind == kind and r.said.body["notice"] == notice
        ]

    def reports(self, notice: str) -> Sequence[Report]:
        """See `View.reports`."""
        found = [r.said for r in self._about("report", notice) if r.said]
        return [
            Report(b["host"], b["change"], b["result"], b["reason"], b["seq"])
            for b in (said.body for said in found if ("host", said.body["host"]) in said.signers)
        ]

    def observations(self, notice: str) -> Sequence[Observation]:
        """See `View.observations`."""
        found = [r.said.body for r in self._about("observation", notice) if r.said]
        return [Observation(b["host"], b["change"], b["result"]) for b in found]

    def failures(self, notice: str) -> Sequence[Failure]:
        """See `View.failures`."""
        hosts = self.notice(notice)["failures"]
        return [Failure(host, change) for host, changes in hosts.items() for change in changes]

    def outcome(self, notice: str) -> Outcome | None:
        """See `View.outcome`."""
        for record in self._about("outcome", notice):
            if record.said and record.said.signers <= {("planner", p) for p in self._planners()}:
                b = record.said.body
                return Outcome(notice, b["state"], b["detail"], b["time"])
        return None

    def _planners(self) -> Sequence[str]:
        return list(self.logs.law.body["planners"])

    def open_notices(self) -> Sequence[str]:
        """See `View.open_notices`."""
        self.refresh()
        ended = {
            r.said.body["notice"]
            for r in self.logs.reports
            if r.said and r.said.kind == "outcome"
        }  # fmt: skip
        rows = sorted(self.logs.state.notices.items(), key=lambda item: item[1]["index"])
        return [notice for notice, _ in rows if notice not in ended]


def _order(text: str, body: Json, ring: int, place: int) -> Order:
    return Order(
        body["host"], sha256(text.encode()).hexdigest(), ring, place,
        tuple(c["id"] for c in body["changes"]), tuple(c["id"] for c in body["undo"]),
    )  # fmt: skip
