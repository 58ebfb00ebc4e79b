"""`answerable verify`: everything in an evidence directory, offline, from logs and public keys.

1. The authority log leads to its cosigned checkpoint, begins with the fleet's charter, is folded.
2. The report log leads to its cosigned checkpoint; every record's signature is checked.
3. For every change that any host reported: its trail (trail.py).
4. What was planned and begun, and then never reported, is listed as unknown. A report that an
   observer cites in the authority log must be in the report log: it cannot be cut short.

Exit code: 1 if anything is damaged or not believed, since a damaged log proves nothing; else 3 if a
change happened without authority; else 1 if a trail is not shown, or contradicted and nobody raised
it; else 0. What was caught is shown and counted, and is no fault of the evidence.

Left out: as in trail.py. Reading twice: each log is read once.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from answerable.evidence.authority import read_authority
from answerable.evidence.folder import Folder
from answerable.evidence.heads import Log
from answerable.evidence.plans import Plan, read_plan
from answerable.evidence.reports import Reports, enrolled_hosts, read_reports
from answerable.evidence.trail import (
    MISSING,
    Case,
    History,
    Ordered,
    Reported,
    Trail,
    trail,
)
from answerable.kernel.errors import Refused

GOOD, DAMAGED, UNAUTHORISED = 0, 1, 3


@dataclass
class Verdict:
    """What an audit found.

    `logs`: both logs. `faults`: number by kind. `unknown`: (host, notice, changes) of orders that
    were begun and whose end nobody reported. `missing`: notices whose plans are not there, or are
    not what was noticed. `cited`: reports that observers cite and the report log does not have.
    """

    logs: tuple[Log, Log]
    reports: Reports
    hosts: int = 0
    changes: int = 0
    faults: dict[str, int] = field(default_factory=dict)
    unknown: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    missing: dict[str, str] = field(default_factory=dict)
    cited: dict[str, int] = field(default_factory=dict)

    @property
    def damage(self) -> list[str]:
        """Say what is damaged or does not count, one line each, naming the record."""
        lines = [f"{log.name} log: {note}" for log in self.logs for note in log.notes]
        lines += [
            f"{log.name} log, record {one.index}: {one.how}"
            for log in self.logs
            for one in log.damage
        ]
        bad, cited = self.reports.bad, sorted(self.cited.items(), key=lambda one: one[1])
        lines += [f"report log, record {index}: not believed: {why}" for index, why in bad]
        return lines + [
            f"report log: the report `{leaf}` is missing, which authority record {index} cites"
            for leaf, index in cited
        ]

    @property
    def code(self) -> int:
        """Give the exit code."""
        if self.damage:
            return DAMAGED
        if "unauthorised" in self.faults:
            return UNAUTHORISED
        return DAMAGED if self.faults.keys() - {"caught"} or self.missing else GOOD


class Evidence:
    """An evidence directory that was read: both logs, audited and opened."""

    def __init__(self, path: Path, fleet: str = "", workers: int | None = None) -> None:
        """Read it.

        Raises:
            NoEvidence: if it is none.
        """
        self.folder = Folder(path)
        self.authority, authority = read_authority(self.folder, fleet)
        enrolled = enrolled_hosts(self.authority, self.folder.hosts())
        self.reports, report = read_reports(self.folder, self.authority, enrolled, workers)
        self.logs = (authority, report)
        self.zones = {one.host: one.zones for one in enrolled}
        failed = (one.leaf for one in self.reports.changes if one.result == "failed")
        self._history = History(self.reports.sights, frozenset(failed), self.reports.raised)
        self.missing: dict[str, str] = {}
        self.unknown: list[tuple[str, str, tuple[str, ...]]] = []

    def case(self, notice: str) -> Case | None:
        """Give a notice, None if it does not stand in the log."""
        if notice not in self.authority.state.notices:
            return None
        return Case(notice, self.authority, self.logs[0].times)

    def plan(self, notice: str) -> Plan | None:
        """Give the plan behind a notice, if it is there and is what was noticed."""
        state = self.authority.state
        body = state.notices[notice]["body"]
        data = self.folder.plan(body["plan"])
        try:
            if data is not None:
                return read_plan(body, state.fleet, data)
            self.missing[notice] = "its plan is not in the directory"
        except Refused as refusal:
            self.missing[notice] = refusal.detail
        return None

    def trails(self) -> Iterator[Trail]:
        """Give the trail of every change, notice by notice and host by host."""
        rank = {leaf: row["index"] for leaf, row in self.authority.state.notices.items()}
        rows = self.reports.changes
        rows.sort(key=lambda r: (rank.get(r.notice, -1), r.notice, r.host, r.place))
        for notice, group in groupby(rows, key=lambda r: r.notice):
            yield from self._noticed(notice, list(group))

    def _noticed(self, notice: str, reports: list[Reported]) -> Iterator[Trail]:
        case = self.case(notice)
        plan = self.plan(notice) if case else None
        orders = {o: plan.order(o) if plan else MISSING for o in {r.order for r in reports}}
        if plan:
            self._unreported(notice, reports, orders)
        for one in reports:
            zones = self.zones.get(one.host, frozenset())
            yield trail(one, case, orders[one.order], zones, self._history)

    def _unreported(
        self, notice: str, reports: list[Reported], orders: dict[str, Ordered | None]
    ) -> None:
        """List what was begun and did not fail, and has no end."""
        told: dict[str, dict[str, str]] = {}
        for one in reports:
            told.setdefault(one.order, {})[one.change] = one.result
        for digest, results in told.items():
            order = orders.get(digest)
            if order and "failed" not in results.values():
                due = (c for c, kind in order.changes.items() if kind.startswith("changes"))
                open_ = tuple(c for c in due if results.get(c, "outcome_unknown") != "succeeded")
                if open_:
                    self.unknown.append((order.host, notice, open_))


def verify(
    path: Path, fleet: str = "", tell: Callable[[Trail], None] = lambda _: None,
    workers: int | None = None,
) -> Verdict:  # fmt: skip
    """Verify an evidence directory; `tell` is given every trail as it is found.

    Args:
        fleet: id of charter 1, if the directory's own `charter.note` is not to be trusted.
        workers: processes that check signatures (see `read_reports`).

    Raises:
        NoEvidence: if the directory is no evidence directory.
    """
    evidence = Evidence(path, fleet, workers)
    verdict, hosts = Verdict(evidence.logs, evidence.reports), set[str]()
    for one in evidence.trails():
        tell(one)
        verdict.changes += 1
        hosts.add(one.report.host)
        for fault in one.faults:
            verdict.faults[fault.kind] = verdict.faults.get(fault.kind, 0) + 1
    verdict.hosts, verdict.missing = len(hosts), evidence.missing
    verdict.unknown = evidence.unknown
    there = {one.leaf for one in evidence.reports.changes}
    cited = evidence.authority.cited
    verdict.cited = {leaf: index for leaf, index in cited.items() if leaf not in there}
    return verdict
