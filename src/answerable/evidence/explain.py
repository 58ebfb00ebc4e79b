"""Trails, notices and hosts in words: what `verify`, `explain` and `status` print.

Each function gives lines or rows of plain text; no rule lives here. Times are UTC.
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from answerable.evidence.times import NEVER, Order
from answerable.evidence.trail import Case, Stop, Trail
from answerable.evidence.verify import Evidence, Verdict
from answerable.kernel.canon import Json
from answerable.kernel.errors import Unavailable

SHOWN = 3
"""Most packages of one change that a line names."""
NO_WINDOW = "no window: an undo waits for none"
_DONE = {"veto": "vetoed", "halt": "halted"}


class NoSuchSubject(Unavailable):
    """Nothing in the evidence has this name."""


def moment(second: int) -> str:
    """Spell a POSIX second."""
    if not 0 < second < NEVER:
        return "unknown"
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def row(trail: Trail) -> dict[str, Any]:
    """Give a trail as one flat row, for JSON and tables."""
    said = trail.report
    noticed = trail.noticed
    return {
        "host": said.host, "change": said.change, "type": said.type, "result": said.result,
        "what": list(trail.what),
        "authorised_by": list(trail.people), "authority": trail.authority,
        "noticed": moment(noticed.by) if noticed else "never", "notice": said.notice,
        "reached": list(trail.reached), "could_object": list(trail.objectors),
        "window_over": NO_WINDOW if trail.undo else moment(trail.opened),
        "began": moment(said.started), "when": trail.when,
        "stops": list(_stops(trail.stops)),
        "observed": [f"{one.result} by {one.observer}" for one in trail.sights],
        "record": said.place,
        "faults": [f"{f.kind}: {f.reason}: {f.detail}" for f in trail.faults],
    }  # fmt: skip


def _stops(stops: Iterable[Stop]) -> Iterator[str]:
    """Say each thing once: who objected before, later, or so close that nothing tells which."""
    alike = dict[tuple[str, str, Order, bool], list[Stop]]()
    for one in stops:
        alike.setdefault((one.kind, one.who, one.order, one.lifted), []).append(one)
    for (kind, who, order, lifted), found in alike.items():
        first = min(found, key=lambda one: one.by)
        when = {
            "before": f"before it began by {who}, in the log by {moment(first.by)}",
            "after": f"later by {who}, in the log by {moment(first.by)}",
            "unknown": f"by {who}, {_between(first)}: whether before or after is not proven",
        }[order]
        often = f" ({len(found)} times)" if len(found) > 1 else ""
        yield f"{_DONE[kind]} {when}{often}{', lifted before it began' if lifted else ''}"


def _between(stop: Stop) -> str:
    since = f"after {moment(stop.after)}" if stop.after else "at a time that nothing proves"
    return since + (f" and by {moment(stop.by)}" if stop.by < NEVER else "")


def lines(trail: Trail) -> Iterator[str]:
    """Give a trail as one line, and one more for each fault."""
    shown = row(trail)
    mark = "ok " if not trail.faults else "!! "
    seen = f"; seen: {', '.join(shown['observed'])}" if shown["observed"] else ""
    stops = f"; {', '.join(shown['stops'])}" if shown["stops"] else ""
    who = ", ".join(trail.people) or "nobody"
    reached = ", ".join(trail.objectors) or "nobody"
    over = NO_WINDOW if trail.undo else f"window over {shown['window_over']}"
    what = "".join(f" {one}," for one in trail.what[:SHOWN]).rstrip(",")
    what += f" and {len(trail.what) - SHOWN} more" if len(trail.what) > SHOWN else ""
    yield (
        f"{mark}{shown['host']} {shown['change']} ({shown['type']}{what}) {shown['result']}: "
        f"{trail.when}: allowed by {who} ({trail.authority or 'nothing'}); "
        f"noticed {shown['noticed']}; could object: {reached}; {over}; "
        f"began {shown['began']}{stops}{seen}"
    )
    yield from (f"     {fault}" for fault in shown["faults"])


def summary(verdict: Verdict) -> Iterator[str]:
    """Say what an audit found, the worst last."""
    for log in verdict.logs:
        at, head = log.checkpoint, log.cosigned
        by = f"cosigned by {', '.join(sorted(head.who))}, {moment(head.present)}" if head else "-"
        yield f"{log.name} log: {at.size} records, root {at.root.hex()}, {by}"
    said = verdict.reports
    refused = ", ".join(f"{reason} {n}" for reason, n in sorted(said.refusals.items()))
    yield f"changes: {verdict.changes} on {verdict.hosts} hosts; refusals: {refused or 'none'}"
    for by, kind, subject, detail in said.findings:
        yield f"finding by {by}: {kind}: {subject}: {detail}"
    for host, notice, changes in verdict.unknown:
        yield f"unknown: {host}: {', '.join(changes)} of notice {notice[:16]}: not reported done"
    for notice, why in verdict.missing.items():
        yield f"not shown: notice {notice[:16]}: {why}"
    yield from (f"damaged: {line}" for line in verdict.damage)
    if verdict.code == 0:
        if caught := verdict.faults.get("caught"):
            yield f"caught: {caught} times an observer saw no success where a host reported one"
        yield "everything verifies: every change had its authority before it was made"
    else:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(verdict.faults.items()))
        yield f"this does not verify: {counts or 'see above'}"


def find_notice(evidence: Evidence, subject: str) -> str:
    """Give the notice whose leaf hash or id begins so.

    Raises:
        NoSuchSubject: if there is none, or more than one.
    """
    notices = evidence.authority.state.notices
    named = [n for n, r in notices.items() if n.startswith(subject) or r["id"].startswith(subject)]
    if len(named) != 1:
        many = "no" if not named else "more than one"
        raise NoSuchSubject(f"{many} notice begins with `{subject}`; see `answerable status`")
    return str(named[0])


def explain(evidence: Evidence, subject: str) -> Iterator[str]:
    """Say why: of a notice (its leaf hash), or of a change (`<host>/<change>` or `<host>`).

    Raises:
        NoSuchSubject: if nothing has this name.
    """
    host, slash, change = subject.partition("/")
    if slash or any(one.host == host for one in evidence.reports.changes):
        found = [
            one for one in evidence.trails()
            if one.report.host == host and change in ("", one.report.change)
        ]  # fmt: skip
        if not found:
            raise NoSuchSubject(f"`{host}` reported no change `{change}`; see `answerable status`")
        for notice, group in groupby(found, key=lambda one: one.report.notice):
            yield from _noticed(evidence, notice, host)
            for one in group:
                yield from lines(one)
        return
    yield from _noticed(evidence, find_notice(evidence, subject))


def _noticed(evidence: Evidence, leaf: str, host: str = "") -> Iterator[str]:
    case = evidence.case(leaf)
    if case is None:
        return
    yield from _notice(evidence, case)
    plan = evidence.plan(leaf)
    for package, flaws, reasons in plan.why(host) if plan and host else ():
        named = ", ".join(flaws) or "no flaw by name"
        yield f"  why {package} on {host}, as the planner says: {named} ({'; '.join(reasons)})"


def _notice(evidence: Evidence, case: Case) -> Iterator[str]:
    said, plan = case.said, evidence.plan(case.leaf)
    yield f"notice {case.leaf}: {plan.title if plan else 'its plan is not here'}"
    yield f"  plan {said['plan']}, by {', '.join(case.row['proposers'])}"
    since, index = moment(case.noticed.by), case.row["index"]
    yield f"  in the log since {since} at the latest; record {index}"
    sizes, zones = [ring["size"] for ring in said["rings"]], ", ".join(said["zones"]) or "-"
    yield f"  rings of {sizes} hosts, soak {said['soak']} s, zones {zones}"
    if case.standing:
        yield from _granted(case)
    else:
        approved = [f"{p} (record {i})" for p, i in sorted(case.approvers("changes").items())]
        yield f"  by approval of people: {', '.join(approved) or 'nobody yet'}"
    for index, person, by in case.reached:
        yield f"  {person} was reached through {by} by {moment(case.times.by(index))}"
    told = case.told(frozenset(said["zones"]) or frozenset(case.law.body["zones"]))
    opened = case.times.by(told) + case.wait if told != NEVER else 0
    yield f"  window and grace of {case.wait} s: over {moment(opened)}"
    for kind, who, name in case.stops(frozenset(case.law.body["zones"]), undo=False):
        lifted = " (lifted)" if name in case.known.state.lifted else ""
        since = moment(case.times.by(case.known.state.seen[name]))
        yield f"  {_DONE[kind]} by {who}, in the log by {since}{lifted}"
    for host, why in plan.escalated if plan else ():
        yield f"  {host} is not in it and was escalated: {why}"
    outcome = evidence.reports.outcomes.get(case.leaf)
    yield f"  outcome: {outcome[0]} {outcome[1]}" if outcome else "  no outcome yet"


def _granted(case: Case) -> Iterator[str]:
    grant: Json = case.grant
    if not grant:
        yield f"  relies on `{case.said['authorization']}`, which is no authorization in the log"
        return
    terms = grant["body"]
    yield f"  under the standing authorization `{terms['name']}`, clause `{case.said['clause']}`"
    signed, review = ", ".join(grant["by"]), moment(terms["review_by"])
    yield f"  signed by {signed}, owner {terms['owner']}, to be reviewed by {review}"


def status(evidence: Evidence) -> list[dict[str, Any]]:
    """Give one row a notice: how far it is, and what its hosts have said."""
    rows, by_notice = [], dict[str, dict[str, str]]()
    for one in evidence.reports.changes:
        of = by_notice.setdefault(one.notice, {})
        of[one.host] = "failed" if of.get(one.host) == "failed" else one.result
    for leaf in evidence.authority.state.notices:
        case, hosts = evidence.case(leaf), by_notice.get(leaf, {})
        assert case is not None, "found in the log"
        outcome = evidence.reports.outcomes.get(leaf)
        total = sum(ring["size"] for ring in case.said["rings"])
        told = {
            state: sorted(h for h, s in hosts.items() if s == state) for state in hosts.values()
        }
        rows.append({
            "notice": leaf, "state": outcome[0] if outcome else _life(evidence, case, bool(hosts)),
            "authority": case.grant["body"]["name"] if case.grant else "approvals",
            "hosts": total, "said": told, "ring": max(_rings(evidence, leaf), default=0),
        })  # fmt: skip
    return rows


def _rings(evidence: Evidence, leaf: str) -> list[int]:
    return [ring for notice, ring in evidence.authority.advances if notice == leaf]


def _life(evidence: Evidence, case: Case, begun: bool) -> str:  # noqa: FBT001
    standing = [
        kind for kind, _, name in case.stops(frozenset(case.law.body["zones"]), undo=False)
        if name not in case.known.state.lifted
    ]  # fmt: skip
    if standing:
        return "vetoed" if "veto" in standing else "halted"
    if begun:
        return "executing"
    head = evidence.logs[0].cosigned
    told = case.told(frozenset(case.said["zones"]) or frozenset(case.law.body["zones"]))
    over = told != NEVER and head and case.times.by(told) + case.wait <= head.present
    return "cleared" if over else "noticed"
