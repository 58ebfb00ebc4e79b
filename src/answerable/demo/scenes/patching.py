"""Scenes 2 to 5: updates arrive, are attested, planned, noticed, rolled out; one fails, is undone.

What is shown is what commands printed, and what the spectator read in the two logs. Left out: any
decision; the same commands decide it for whoever runs them.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from answerable.demo.ground import Pending
from answerable.demo.scenes.cast import CONTROL, GUARDS, LOG, PEOPLE, Cast, StoryFailed
from answerable.demo.scenes.founding import AUTHORIZATION, FEED
from answerable.demo.scenes.hosts import Agents
from answerable.demo.scenes.watch import Record, Watch

CANARY, PINNED = "web1", "web3"
CLAUSES = ("urgent", "medium")
URGENT = frozenset({"high", "critical"})
_SHOWN = 14


@dataclass(frozen=True)
class Stage:
    """Who plays, on which hosts, and what the logs say."""

    cast: Cast
    agents: Agents
    watch: Watch


@dataclass(frozen=True)
class Planned:
    """A plan: its digest, its document, and the text of its dry run."""

    digest: str
    body: dict[str, Any]
    text: str

    @property
    def rings(self) -> list[list[str]]:
        """Hosts, ring by ring."""
        return [[json.loads(order)["host"] for order in ring] for ring in self.body["rings"]]

    @property
    def packages(self) -> set[str]:
        """Packages that it would upgrade."""
        orders = [json.loads(order) for ring in self.body["rings"] for order in ring]
        return {p["name"] for o in orders for c in o["changes"] for p in c.get("packages", ())}


def learn(stage: Stage) -> list[dict[str, Any]]:
    """Scene 2, first half: look at hosts, have the feed attested, match; give the exposures."""
    cast, tell = stage.cast, stage.cast.tell
    tell.scene(2, "Updates arrive; the guards check them by themselves; a plan is made")
    place = cast.place(CONTROL)
    done = cast.run(CONTROL, "inventory", "import", place)
    tell.line("packages found: " + ", ".join(done.out.split("\n")).rstrip(", "))
    done = cast.run(CONTROL, "feed", "sync", place, FEED)
    for line in done.err.strip().splitlines()[:_SHOWN]:
        tell.line(line)
    (release,) = stage.watch.wait("the release stands in the log", 1, "release")
    note = release["body"]["checkpoint"]
    who = [line.split()[1] for line in note.splitlines() if "/attester" in line]
    tell.good(f"release {release['id'][:16]}: attested by {', '.join(sorted(set(who)))}")
    done = cast.run(CONTROL, "exposure", "list", place, "--output", "json")
    rows: list[dict[str, Any]] = json.loads(done.out)
    _exposed(stage, rows)
    return rows


def _exposed(stage: Stage, rows: Sequence[dict[str, Any]]) -> None:
    seen: dict[tuple[str, ...], set[str]] = {}
    for row in rows:
        key = tuple(
            str(row.get(n, "")) for n in ("package", "installed", "fixed", "urgency", "advisory")
        )
        seen.setdefault(key, set()).add(str(row["host"]))
    head = ("package", "installed", "fixed", "urgency", "advisory", "hosts")
    table = [(*key, str(len(hosts))) for key, hosts in seen.items()]
    stage.cast.tell.table(head, table[:_SHOWN])
    if len(table) > _SHOWN:
        stage.cast.tell.line(f"and {len(table) - _SHOWN} more")


def plan(stage: Stage, rows: Sequence[dict[str, Any]]) -> Planned:
    """Scene 2, second half: make the plan and show its dry run."""
    cast, tell = stage.cast, stage.cast.tell
    clause = CLAUSES[0]
    if not any(row.get("urgency") in URGENT or row.get("exploited") for row in rows):
        clause = CLAUSES[1]
        tell.bad("no pending update meets the clause `urgent` today; the clause `medium` is used")
    words = ["--authorization", AUTHORIZATION, "--clause", clause, "--canary", CANARY]
    made = make(stage, f"{clause} security updates", *words)
    lines, first = made.text.splitlines(), f"  {CANARY}"
    kept, inside = [], False
    for line in lines:
        if line.startswith("  ") and not line.startswith("    "):
            inside = line == first
        if inside or not line.startswith("    "):
            kept.append(line)
    tell.quote("\n".join(kept))
    tell.line(f"(the changes of the other hosts: {cast.place(CONTROL) / 'plans' / made.digest})")
    return made


def make(stage: Stage, title: str, *words: str) -> Planned:
    """Let the control plane make a plan; give it."""
    place = stage.cast.place(CONTROL)
    done = stage.cast.run(CONTROL, "plan", "make", place, "--title", title, *words)
    digest = done.out.splitlines()[-1].removeprefix("digest: ")
    body = json.loads((place / "plans" / digest).read_text("utf-8"))
    return Planned(digest, body, done.out)


def boot(stage: Stage, made: Planned) -> Pending:
    """Start the hosts' services; one is an appliance that will not run beside a newer library."""
    ground = stage.cast.ground
    fit = [p for p in ground.pending if p.package in made.packages]
    chosen = fit[0]
    ground.pin(PINNED, chosen.package)
    ground.start_services()
    return chosen


def notice(stage: Stage, made: Planned, *words: str) -> Record:
    """Log the notice of a plan; give its record."""
    done = stage.cast.run(CONTROL, "plan", "apply", stage.cast.place(CONTROL), made.digest, *words)
    leaf = done.out.strip()
    stage.watch.until("the notice stands in the log", lambda: bool(_notice(stage, leaf)))
    return _notice(stage, leaf)[0]


def _notice(stage: Stage, leaf: str) -> list[Record]:
    return [row for row in stage.watch.all("notice") if row["leaf"] == leaf]


def told(stage: Stage, said: Record) -> None:
    """Wait until every guard has told everybody, and show it."""
    rows = stage.watch.wait(
        "the guards fetch the plan, check it and tell people",
        len(GUARDS) * len(PEOPLE), "delivery", notice=said["leaf"],
    )  # fmt: skip
    for person in PEOPLE:
        mine = [row for row in rows if row["body"]["person"] == person]
        by = ", ".join(sorted(row["by"][0] for row in mine))
        stage.cast.tell.good(f"told {person}: {mine[0]['body']['status']}, say {by}")


def tell_people(stage: Stage, made: Planned) -> Record:
    """Scene 3: notice, deliveries, window; what is not in it is escalated."""
    cast, tell = stage.cast, stage.cast.tell
    tell.scene(3, "Notice: named people are told, and can object, before anything changes")
    said = notice(stage, made, "--authorization", AUTHORIZATION)
    told(stage, said)
    guards = [word for name in GUARDS for word in ("--guard", cast.url(name))]
    page = cast.run("lee", "notice", "show", said["leaf"], *guards, show=False)
    tell.command("lee", ["answerable", "notice", "show", said["leaf"][:16], "--guard .. (4)"])
    tell.quote(page.out)
    tell.line(page.err.strip())
    for row in made.body["escalated"]:
        tell.bad(f"escalated, not in it: {row['host']}: {row['reason']}")
    status = _wait_status(stage, CANARY)
    tell.line(f"{CANARY} says meanwhile: {status}")
    return said


def _wait_status(stage: Stage, host: str) -> str:
    found: list[str] = []

    def look() -> bool:
        status = json.loads(stage.agents.run(host, "status", "--output", "json"))
        found[:] = [f"{c['state']}: {c['reason']}: {c['detail']}" for c in status["changes"]]
        return bool(found)

    stage.watch.until(f"{host} has looked at its bundle", look)
    return found[0]


def roll(stage: Stage, made: Planned, said: Record) -> None:
    """Scene 4: the window ends, ring follows ring, each host verifies, patches and reports."""
    tell = stage.cast.tell
    tell.scene(4, "Ring by ring: each host verifies for itself, patches, and reports")
    for number, hosts in enumerate(made.rings):
        if number:
            what = f"the soak ends, and observers let ring {number + 1} go on"
            rows = stage.watch.wait(what, 2, "advance", notice=said["leaf"], ring=number)
            for row in rows:
                body = row["body"]
                tell.good(f"advance by {row['by'][0]}: ring {number + 1} may open, after "
                          f"{body['until'] - body['since']} s and {len(body['seen'])} reports")  # fmt: skip
        for host in hosts:
            if host != PINNED:
                follow(stage, made, said, host)


def order_of(made: Planned, host: str) -> dict[str, Any]:
    """Give a host's order."""
    for ring in made.body["rings"]:
        for text in ring:
            order: dict[str, Any] = json.loads(text)
            if order["host"] == host:
                return order
    raise StoryFailed(f"{host} is not in the plan {made.digest}")


def follow(stage: Stage, made: Planned, said: Record, host: str) -> None:
    """Wait for all reports of a host, and show them."""
    wanted = {change["id"] for change in order_of(made, host)["changes"]}

    def ready() -> bool:
        rows = reports(stage, said, host)
        bad = [r for r in rows if r["body"]["result"] != "succeeded"]
        if bad:
            body = bad[0]["body"]
            why = f"{body['change']} {body['result']}: {body['reason']}: {body['detail']}"
            raise StoryFailed(f"{host} reports {why}")
        return wanted <= {row["body"]["change"] for row in rows}

    stage.watch.until(f"{host} patches and reports", ready, 240)
    for row in reports(stage, said, host):
        stage.cast.tell.good(spell(row))


def reports(stage: Stage, said: Record, host: str) -> list[Record]:
    """Give what a host reported of a notice, except that it waited."""
    rows = stage.watch.all("report", notice=said["leaf"], host=host)
    rows = [row for row in rows if row["body"]["result"] != "refused"]
    return sorted(rows, key=lambda row: row["body"]["seq"])


def spell(row: Record) -> str:
    """Spell one report."""
    body = row["body"]
    seen = ", ".join(f"{name} {version}" for name, version in body["observed"].items())
    took = f"{body['ended'] - body['started']} s" if body["ended"] else ""
    parts = [f"{body['host']}: {body['change']}", body["result"], body["reason"], seen, took]
    return "  ".join(part for part in parts if part)


def play(stage: Stage) -> tuple[Planned, Record]:
    """Play scenes 2 to 4."""
    rows = learn(stage)
    made = plan(stage, rows)
    boot(stage, made)
    said = tell_people(stage, made)
    roll(stage, made, said)
    return made, said
