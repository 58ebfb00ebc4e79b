"""What people are told of a notice: what, where, why, who, when, and how to object. One minute.

The same notice and plan give the same text, word for word, at every guard and on every channel, so
that two people can compare what they were told; check words stand at its end. Free text of the
planner (title, causes) is shown as such: nobody vouches for it. Times are UTC.

Left out: other languages, and anything that is not a line of plain text.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from answerable.kernel.canon import Json
from answerable.kernel.charter import Charter
from answerable.notice.check import Checked, moves
from answerable.notice.words import check_words

SHOWN = 6
"""Most lines of a list that are shown; how many are left is said."""
LISTS = 2
"""Most lists of effects that are shown by their hashes."""
ABSENT = "(none)"
"""Stands in an order for the version of a package that is not there (docs/spec/order.md)."""
_CVE = re.compile(r"[A-Z][A-Z0-9]{1,15}-[A-Za-z0-9-]{1,40}")
CLASSES = {
    "account": "users, groups, passwords", "boot": "kernel, boot loader, initial disk",
    "bus": "services of D-Bus", "ca": "certificate authorities that are trusted",
    "capability": "programs with rights of root's", "cron": "jobs by the clock",
    "firewall": "packet filter", "install": "packages that were not there before",
    "kernel-setting": "settings of the kernel",
    "live": "data of services, which a package's script writes on the host itself",
    "loader": "what every program loads", "module": "kernel modules",
    "package-source": "where packages come from, and their keys", "pam": "how people log in",
    "setuid": "programs that run as their owner", "shell": "what every shell reads",
    "ssh": "ssh and who may enter by it", "sudo": "who may become root",
    "timer": "jobs by systemd's clock", "udev": "what happens when a device appears",
    "unit": "services of systemd, init scripts",
}  # fmt: skip
"""Classes of sensitive effects, in words; the host's own list is in docs/spec/effects.md."""
_STEPS = {"restart": "restart", "health": "check"}
_RISKS = ("high", "medium", "low")


def subject(notice: Json, plan: Checked) -> str:
    """Give the one line: how many hosts, what, until when one may object."""
    hosts = sum(ring["size"] for ring in notice["rings"])
    what = _names({package["name"] for _, package in moves(plan.orders, "changes")})
    return _line(f"Change notice: {what or 'no package'} on {_count(hosts, 'host')}")[:200]


def render(
    leaf: str, statement: str, notice: Json, plan: Checked, law: Charter, terms: Json
) -> str:
    """Give the whole text of a notice.

    Args:
        leaf: leaf hash of the notice, which people sign over.
        statement: its statement id, which the check words come from.
        notice: its body.
        plan: the plan that was checked against it.
        law: the charter in force when the herald checked it.
        terms: body of the standing authorization that it rests on, or None.
    """
    parts = [
        subject(notice, plan),
        _line(f'The planner calls it: "{plan.body["title"]}"'),
        "",
        *_what(plan),
        *_new(plan),
        *_reboots(plan, terms),
        *_effects(plan),
        *_where(notice, plan),
        *_why(plan),
        *_who(notice, law, terms),
        *_when(notice, law),
        "",
        "To object, before or while it runs, no reason needed (it is owed within a day):",
        f"    answerable veto {leaf}",
        "To agree, where people are asked:",
        f"    answerable approve {leaf}",
        "The same text stands at:",
        *(f"    {guard['url']}/notices/{leaf}" for _, guard in sorted(law.body["guards"].items())),
        *_weak(law),
        "",
        f"Notice       {leaf}",
        f"Plan         {notice['plan']}",
        f"Check words  {check_words(statement)}",
    ]
    return "\n".join(parts) + "\n"


def _line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)


def _names(packages: Iterable[str]) -> str:
    names = sorted(packages)
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")  # noqa: PLR2004


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")


def _list(head: str, lines: Sequence[str]) -> list[str]:
    shown = [_line(line) for line in lines[:SHOWN]]
    more = [f"... and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else []
    return [f"{head if not n else '':8}{line}" for n, line in enumerate(shown + more)]


def _what(plan: Checked) -> list[str]:
    steps: Counter[tuple[int, str]] = Counter()
    for ring in plan.orders:
        for order in ring:
            for change in order["changes"]:
                for package in change.get("packages", ()):
                    if package["from"] != ABSENT:
                        steps[0, f"{package['name']} {package['from']} to {package['to']}"] += 1
                if change["type"] in _STEPS:
                    subject = change.get("unit") or change.get("check")
                    steps[1, f"{_STEPS[change['type']]} {subject}"] += 1
    lines = [f"{step} ({_count(n, 'host')})" for (_, step), n in sorted(steps.items())]
    risks = {c["risk"] for ring in plan.orders for order in ring for c in order["changes"]}
    worst = next((risk for risk in _RISKS if risk in risks), "low")
    undo = sum(1 for ring in plan.orders for order in ring if order["undo"])
    back = f"highest risk: {worst}; an undo is planned on {_count(undo, 'host')}"
    return [*_list("What", lines), f"{'':8}{back}"]


def _new(plan: Checked) -> list[str]:
    """Name what no host had before: it comes because something that is upgraded needs it."""
    news: Counter[str] = Counter()
    for _, package in moves(plan.orders, "changes"):
        if package["from"] == ABSENT:
            news[f"{package['name']} {package['to']}, needed by {package['for']}"] += 1
    lines = [f"{what} ({_count(n, 'host')})" for what, n in sorted(news.items())]
    return _list(
        "New", [f"newly installed: {_count(len(lines), 'package')}", *lines] if lines else []
    )


def _reboots(plan: Checked, terms: Json) -> list[str]:
    """Count hosts that go down, and say if the authorization is silent about it: no host asks."""
    orders = (order for ring in plan.orders for order in ring)
    hosts = sum(any(c["type"] == "reboot" for c in order["changes"]) for order in orders)
    silent = terms and "reboot" not in terms["effects"]
    against = ", WHICH THE AUTHORIZATION DOES NOT NAME" if silent else ""
    return [f"{'':8}{_count(hosts, 'host')} will be rebooted{against}"] if hosts else []


def _upgrades(plan: Checked) -> Iterator[tuple[str, Json]]:
    for order in (order for ring in plan.orders for order in ring):
        for change in order["changes"]:
            if change["type"] == "upgrade":
                yield order["host"], change


def _effects(plan: Checked) -> list[str]:
    """Count what hosts would do to their files: each refuses any other effects than these."""
    seen: dict[tuple[str, str], set[str]] = {}
    classes, blind = set[str](), set[str]()
    for host, change in _upgrades(plan):
        if "effects" in change:
            names = _names(package["name"] for package in change["packages"])
            seen.setdefault((names, change["effects"]), set()).add(host)
            classes.update(change["classes"])
        else:
            blind.add(host)
    lines = []
    if seen:
        lists = _count(len({found for _, found in seen}), "list")
        named = "; ".join(f"{name} ({CLASSES.get(name, 'unknown')})" for name in sorted(classes))
        lines = [f"{lists} of changed files; hosts refuse any other",
                 f"sensitive: {named or 'nothing'}"]  # fmt: skip
    if blind:
        lines.append(f"not rehearsed on {_count(len(blind), 'host')}")
    rows = [f"{found} {names} ({_count(len(hosts), 'host')})"
            for (names, found), hosts in sorted(seen.items())]  # fmt: skip
    more = [f"... and {len(rows) - LISTS} more"] if len(rows) > LISTS else []
    return _list("Effects", lines + rows[:LISTS] + more)


def _where(notice: Json, plan: Checked) -> list[str]:
    sizes = ", ".join(str(ring["size"]) for ring in notice["rings"])
    total = sum(ring["size"] for ring in notice["rings"])
    zones = ", ".join(notice["zones"]) or "none named, which counts as every zone"
    hosts = sorted(order["host"] for ring in plan.orders for order in ring)
    escalated = sorted({row["host"] for row in plan.body["escalated"]})
    lines = [f"{_count(total, 'host')} in rings of {sizes}; zones: {zones}", ", ".join(hosts[:10])]
    if len(hosts) > 10:  # noqa: PLR2004
        lines[1] += f" and {len(hosts) - 10} more"
    if escalated:
        lines.append(f"left to people, in part or whole: {_count(len(escalated), 'host')}")
    return _list("Where", lines)


def _why(plan: Checked) -> list[str]:
    named = {
        cve
        for row in plan.body["exposures"]
        if isinstance(row, dict) and isinstance(row.get("cves"), list)
        for cve in row["cves"]
        if isinstance(cve, str) and _CVE.fullmatch(cve)
    }
    return _list("Why", sorted(named) or ["the plan names no flaw"])


def _who(notice: Json, law: Charter, terms: Json) -> list[str]:
    need = law.body["thresholds"]["approval"]
    basis = f"nothing yet: {_count(need, 'person')} must approve this very notice"
    if notice["basis"] == "authorization":
        basis = "an authorization that is not in the log, so no host will obey it"
    if notice["basis"] == "authorization" and terms:
        named = f"`{terms['name']}` owned by {terms['owner']}"
        basis = f"the standing authorization {named}, clause `{notice['clause']}`"
    urgent = ["EMERGENCY: a shorter window, more people, few hosts"] if notice["emergency"] else []
    return _list("Who", [f"planned by {notice['author']}", f"rests on {basis}", *urgent])


def _when(notice: Json, law: Charter) -> list[str]:
    least = law.limits["emergency"]["window"] if notice["emergency"] else law.limits["window"]
    window = max(least, notice["window"])
    return _list("When", [
        f"{_span(window)} after people were told, not before {_time(notice['not_before'])}",
        f"not after {_time(notice['not_after'])}; undo until {_time(notice['undo_not_after'])}",
        f"at least {_span(max(notice['soak'], law.limits['soak']))} between rings",
    ])  # fmt: skip


def _weak(law: Charter) -> list[str]:
    mode = law.body["mode"]
    weak = f"This fleet's charter is of mode `{mode}`, which is weaker than `standard`."
    return [] if mode == "standard" else ["", weak]


def _span(seconds: int) -> str:
    for size, noun in ((3600, "hour"), (60, "minute")):
        if seconds >= size and seconds % size == 0:
            return _count(seconds // size, noun)
    return _count(seconds, "second")


def _time(second: int) -> str:
    try:
        return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"second {second}"
