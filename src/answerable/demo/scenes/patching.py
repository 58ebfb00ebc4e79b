"""Scenes 2 to 4: updates arrive, are attested, planned, noticed, and rolled out ring by ring.

What is shown is what commands printed, and what the spectator read in the two logs. Left out: any
decision; the same commands decide it for whoever runs them.
"""

import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from answerable.demo.ground import Pending
from answerable.demo.scenes import sabotage
from answerable.demo.scenes.cast import CONTROL, GUARDS, OBSERVERS, StoryFailed
from answerable.demo.scenes.founding import AUTHORIZATION, FEED
from answerable.demo.scenes.stage import (
    Planned,
    Stage,
    follow,
    make,
    notice,
    reports,
    told,
    upgrades,
)
from answerable.demo.scenes.watch import Record

FIRST, PINNED = ("web1", "api1", "api2", "web3"), "web3"
CANARY = FIRST[0]
CLAUSES = ("urgent", "medium")
URGENT = frozenset({"high", "critical"})
_SHOWN = 14


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
    words = ["--authorization", AUTHORIZATION, "--clause", clause]
    words += [word for host in FIRST for word in ("--canary", host)]
    made = make(stage, f"{clause} security updates", *words)
    lines, first = made.text.splitlines(), f"  {CANARY}"
    kept, inside = [], False
    for line in lines:
        if line.startswith("  ") and not line.startswith("    "):
            inside = line == first
        if (inside or not line.startswith("    ")) and not line.startswith("escalated: "):
            kept.append(line)
    tell.quote("\n".join(kept))
    for spelt in escalated(made.body["escalated"]):
        tell.quote(f"escalated: {spelt}")
    tell.line(f"(the changes of the other hosts: {cast.place(CONTROL) / 'plans' / made.digest})")
    _rehearsed(stage, made)
    return made


def _rehearsed(stage: Stage, made: Planned) -> None:
    tell, found = stage.cast.tell, [c for host in made.hosts for c in upgrades(made, host)]
    named = {change["effects"] for change in found if "effects" in change}
    if not named:
        tell.line("these hosts have no transactions: nothing was rehearsed, orders name no effects")
        return
    folder = stage.cast.place(CONTROL) / "effects"
    many = sum(len((folder / effects).read_text("utf-8").splitlines()) - 1 for effects in named)
    tell.good(f"rehearsed on a clone before anybody is told: {len(named)} lists, {many} effects")


def boot(stage: Stage, made: Planned) -> Pending:
    """Start the hosts' services; one is an appliance that will not run beside a newer library."""
    ground = stage.cast.ground
    fit = [p for p in ground.pending if p.package in made.packages]
    chosen = next((p for p in fit if p.package.startswith("lib")), fit[0])
    ground.pin(PINNED, chosen.package)
    ground.start_services()
    return chosen


def tell_people(stage: Stage, made: Planned) -> Record:
    """Scene 3: notice, deliveries, window; what is not in it is escalated."""
    cast, tell = stage.cast, stage.cast.tell
    tell.scene(3, "Notice: named people are told, and can object, before anything changes")
    said = notice(stage, made, "--authorization", AUTHORIZATION)
    told(stage, said)
    listed = cast.run(CONTROL, "rollout", "list", cast.place(CONTROL))
    tell.quote(listed.out)
    guards = [word for name in GUARDS for word in ("--guard", cast.url(name))]
    page = cast.run("lee", "notice", "show", said["leaf"], *guards, show=False)
    tell.command("lee", ["answerable", "notice", "show", said["leaf"][:16], "--guard .. (4)"])
    tell.quote(page.out)
    tell.line(page.err.strip())
    for spelt in escalated(made.body["escalated"]):
        tell.bad(f"escalated, not in it: {spelt}")
    return said


def escalated(rows: Iterable[dict[str, str]]) -> Iterator[str]:
    """Spell what was escalated, equal reasons and equal hosts together."""
    hosts, same = dict[str, list[str]](), dict[tuple[str, ...], list[str]]()
    for row in rows:
        hosts.setdefault(row["reason"], []).append(row["host"])
    for reason, at in hosts.items():
        what, apart, why = reason.rpartition("`: ")
        same.setdefault((", ".join(at), why), []).append(what + apart.removesuffix(": "))
    for (where, why), named in same.items():
        yield f"{where}: {', '.join(filter(None, named))}{': ' * any(named)}{why}"


def roll(stage: Stage, made: Planned, said: Record) -> None:
    """Scene 4: the window ends, ring follows ring, each host verifies, patches and reports."""
    tell = stage.cast.tell
    tell.scene(4, "Ring by ring: each host verifies for itself, patches, and reports")
    for number, hosts in enumerate(made.rings):
        if number:
            advance(stage, said, number)
        if PINNED in hosts:
            return
        for host in hosts:
            follow(stage, made, said, host)
            _compared(stage, made, said, host)


def _compared(stage: Stage, made: Planned, said: Record, host: str) -> None:
    """Compare what a host says that it did to its files with what was noticed."""
    details = {r["body"]["change"]: r["body"]["detail"] for r in reports(stage, said, host)}
    named = {c["id"]: c["effects"] for c in upgrades(made, host) if "effects" in c}
    for change, effects in named.items():
        if f"effects {effects}" not in details[change]:
            raise StoryFailed(f"{host} did something else in {change}: {details[change]}")
    if named:
        said_so = f"{host}: {len(named)} upgrades had exactly the effects that people were told"
        stage.cast.tell.good(said_so)


def advance(stage: Stage, said: Record, number: int) -> None:
    """Wait until both observers say that a ring may open."""
    what = f"the soak ends, and observers let ring {number + 1} go on"
    for row in stage.watch.wait(what, len(OBSERVERS), "advance", notice=said["leaf"], ring=number):
        body = row["body"]
        took, seen = body["until"] - body["since"], len(body["seen"])
        stage.cast.tell.good(
            f"advance by {row['by'][0]}: ring {number + 1} may open, {took} s after {seen} reports"
        )


def play(stage: Stage) -> tuple[Planned, Record, Pending]:
    """Play scenes 2 to 4."""
    rows = learn(stage)
    made = plan(stage, rows)
    chosen = boot(stage, made)
    sabotage.snapshot(stage)
    said = tell_people(stage, made)
    roll(stage, made, said)
    return made, said, chosen
