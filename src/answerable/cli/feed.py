"""`answerable feed`: fetch what the world says, and put what is agreed of it into service.

`sync` makes a world of the publications and has the guards release a candidate. Where they do not
agree, or a shock stops them, people sign: `release draft`, `release assemble`, `log submit`. What
should no longer be used is withdrawn with `quarantine`.
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from answerable.cli.control import Directory, planning_in
from answerable.cli.given import CharterFile, LogUrl, Out, Reason, follow, write
from answerable.cli.people import speak
from answerable.cli.show import Output, say, table
from answerable.cli.sign import Signatures, assemble, sign_next
from answerable.config import read_party

if TYPE_CHECKING:
    from answerable.bootstrap.planning import Planning
    from answerable.feeds.candidate import Candidate

app = typer.Typer(
    help="Fetch advisories, judge them, and have the guards (or people) release snapshots.",
    no_args_is_help=True,
)
Feed = Annotated[str, typer.Argument(help="a feed of the settings")]
SHOWN = 20
"""How many differences a draft shows."""


@contextmanager
def progress() -> Iterator[Callable[[str, str, int, int], None]]:
    """Draw how far a sync is, at a terminal; elsewhere nothing."""
    if not sys.stderr.isatty():
        yield lambda _doing, _what, _done, _total: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as drawn:
        tasks = {}

        def heard(doing: str, what: str, done: int, total: int) -> None:
            key = f"{doing} {what}"
            if key not in tasks:
                tasks[key] = drawn.add_task(key.replace("[", "("), total=total or None)
            drawn.update(tasks[key], completed=done, total=total or None)

        yield heard


def _look(planning: "Planning") -> None:
    with progress() as heard:
        world = planning.look(heard)
    if world:
        say(f"world {world.root}: {len(world.documents)} documents, {world.size} leaves")


@app.command("sync")
def feed_sync(
    directory: Directory,
    name: Annotated[str, typer.Argument(help="a feed to release; none only fetches")] = "",
) -> None:
    """Fetch publications, propose a feed's candidate, have the guards release it; prints the id."""
    planning = planning_in(directory)
    _look(planning)
    if not name:
        if not planning.lookout.looks:
            raise typer.BadParameter("no publications in the settings: name a feed instead")
        return
    proposed = planning.candidate(name)
    say(f"{name}: {len(proposed.facts)} facts, root {proposed.tree.root().hex()}")
    for gap in proposed.gaps:
        say(f"{name}: {gap.package}: {gap.reason}")
    _stop(planning, name)
    typer.echo(planning.release(proposed))


def _stop(planning: "Planning", name: str) -> None:
    """End here if the world moved in a way that people should look at first."""
    found = planning.shocks(name)
    for shock in found:
        say(f"{name}: {shock.kind} of {shock.what} in {shock.channel}: {shock.detail}")
    if found:
        say(f"{name}: automation stops; people decide: answerable feed diff, feed release draft")
        raise typer.Exit(1)


@app.command("status")
def feed_status(directory: Directory, output: Output = "table") -> None:
    """List the newest release of each feed, every document's state, and what stops automation."""
    from answerable.bootstrap.serve import clock

    planning = planning_in(directory)
    state = planning.logs.state
    rows = [
        {"feed": f, "release": r, **state.releases[r], "state": "released", "detail": ""}
        for f, r in state.newest.items()
    ]
    rows += [
        {"feed": f"{kept.publication}/{kept.path}", "release": kept.sha256, "size": kept.size,
         "time": kept.dated, "state": kept.state, "detail": kept.detail}
        for kept in planning.lookout.documents(clock())
    ]  # fmt: skip
    world = planning.lookout.worlds.newest() if planning.lookout.looks else None
    if world:
        rows.append({"feed": "world", "release": world.root, "size": world.size,
                     "time": world.time, "state": "newest", "detail": ""})  # fmt: skip
        rows += [
            {"feed": name, "release": world.root, "size": world.size, "time": world.time,
             "state": shock.kind.value, "detail": f"{shock.channel} {shock.what}: {shock.detail}"}
            for name in planning.party.settings.get("feeds", {})
            for shock in planning.shocks(name)
        ]  # fmt: skip
    table(rows, ("feed", "release", "size", "time", "state", "detail"), output)


@app.command("diff")
def feed_diff(
    directory: Directory,
    name: Annotated[str, typer.Argument(help="a feed; none lists what waits for people")] = "",
    output: Output = "table",
) -> None:
    """List what a feed's candidate would change; or what waits for people, and the world's flow."""
    planning = planning_in(directory)
    if name:
        from answerable.feeds.difference import differences

        found = differences(planning.standing(name), planning.candidate(name))
        rows = [asdict(one) for one in found]
        table(rows, ("change", "package", "detail", "fact", "hash"), output)
        return
    rows = _flows(planning) + _waiting(planning)
    table(rows, ("what", "name", "state", "detail"), output)


def _flows(planning: "Planning") -> list[dict[str, object]]:
    from answerable.feeds.tables import flows

    worlds = planning.lookout.worlds
    newest = planning.lookout.newest()
    roots = [worlds.accepted(name) for name in planning.party.settings.get("feeds", {})]
    before = next((world for world in roots if world and world.root != newest.root), None)
    if before is None and newest.previous:
        before = worlds.get(newest.previous)
    found = flows(before.folder, newest.folder) if before else []
    return [
        {"what": flow.table, "name": flow.channel, "state": "flow",
         "detail": f"{flow.before} before, {flow.lost} lost, {flow.fresh} new"}
        for flow in found
    ]  # fmt: skip


def _waiting(planning: "Planning") -> list[dict[str, object]]:
    from answerable.feeds.agree import known
    from answerable.feeds.difference import waiting

    newest = planning.lookout.newest()
    return [
        {"what": one.field, "name": one.flaw, "state": one.state.value,
         "detail": f"counts as {one.level}, claimed {one.claimed} by {', '.join(one.channels)}"}
        for one in waiting(known(newest.folder, None, newest.time))
    ]  # fmt: skip


release = typer.Typer(
    help="Release a snapshot by people's signatures, where the guards do not.",
    no_args_is_help=True,
)
app.add_typer(release, name="release")


@release.command("draft")
def release_draft(
    directory: Directory,
    name: Feed,
    settle: Annotated[
        bool, typer.Option("--settle", help="what is no longer said counts no longer")
    ] = False,
    alone: Annotated[bool, typer.Option("--alone", help="one channel's word is enough")] = False,
    about: Annotated[
        list[str] | None, typer.Option(help="--settle and --alone for this flaw only; repeat")
    ] = None,
    out: Out = None,
) -> None:
    """Propose a candidate for people to release; prints the text to sign."""
    from answerable.authority import draft
    from answerable.bootstrap.people import nonce
    from answerable.bootstrap.serve import clock
    from answerable.feeds.agree import Ruling
    from answerable.feeds.release import by_people

    planning = planning_in(directory)
    now = clock()
    proposed = planning.candidate(name, Ruling(settle, alone, frozenset(about or ())))
    _tell(planning, proposed)
    planning.show(proposed)
    law, fleet = planning.logs.law, planning.logs.state.fleet
    body = by_people(proposed, law, fleet, now)
    write(out, draft.text("release", body, law, fleet, nonce()).encode())
    sign_next("release", out)


def _tell(planning: "Planning", proposed: "Candidate") -> None:
    from answerable.feeds.difference import differences

    found = list(differences(planning.standing(proposed.feed), proposed))
    for one in found[:SHOWN]:
        say(f"{one.change} {one.package}: {one.detail}")
    if len(found) > SHOWN:
        say(f"and {len(found) - SHOWN} more: answerable feed diff")
    say(f"{len(proposed.facts)} facts, root {proposed.tree.root().hex()}, "
        f"candidate {proposed.sha256}")  # fmt: skip


@release.command("assemble")
def release_assemble(
    text: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="as drafted")],
    signature: Signatures,
    charter: CharterFile,
    out: Out = None,
) -> None:
    """Put people's signatures under a release; prints the record to submit."""
    assemble("release", text, signature, charter, out)


@app.command("quarantine")
def quarantine(  # noqa: PLR0917  one option each
    charter: CharterFile,
    log: LogUrl,
    artefact: Annotated[list[str] | None, typer.Option(help="SHA-256 of its bytes")] = None,
    fact: Annotated[list[str] | None, typer.Option(help="leaf hash of a fact")] = None,
    person: Annotated[str, typer.Option(help="an approver of the charter")] = "",
    key: Annotated[Path | None, typer.Option(help="their SSH key")] = None,
    guard: Annotated[Path | None, typer.Option(help="instead: a guard's own directory")] = None,
    reason: Reason = "",
) -> None:
    """Withdraw artefacts or facts: no host uses them until people lift it."""
    if not (artefact or fact):
        raise typer.BadParameter("name an artefact or a fact; feed diff shows their hashes")
    if (guard is None) is (person == "" or key is None):
        raise typer.BadParameter("sign as a person with a key, or as a guard")
    body = {"reason": reason, "artefacts": artefact or [], "facts": fact or []}
    state = follow(log, charter).state
    if guard is None:
        assert key is not None
        speak("withdrawal", body, (person, key), state, log)
        return
    from answerable.bootstrap.withdraw import withdraw
    from answerable.cli.given import client

    typer.echo(withdraw(read_party(guard, "guard"), body, state, client(), log.rstrip("/")))
