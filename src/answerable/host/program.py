"""The agent's commands: `python -m answerable.host COMMAND --dir DIRECTORY`.

    enrol     make key and record and print the record; with --proof, keep the fleet's proof of it
    run       look, do what may be done, wait, and look again, until SIGTERM
    apply     look once, and print what became of each change
    status    print what the last look found, and what this host's files and processes show now
    charter   take a charter into force that did not come from the log
    own-updates   mask the units of every other program that updates this host by itself

Exit codes: 0 ok, 1 failed or unavailable, 2 wrong usage, 3 refused by policy, or waiting. Data goes
to stdout, everything else to stderr. Clock, randomness and waiting are given (`home.World`).
"""

import argparse
import json
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from time import gmtime, strftime
from typing import Any

from answerable.host import competing
from answerable.host.agent import Agent, Row
from answerable.host.enrol import make_record, read_charter, start, take_proof
from answerable.host.files import make_private, only_one, read_file, read_json, write_file
from answerable.host.home import Home, World, opened
from answerable.host.retention import TABLE, Retention
from answerable.host.services.stale import find_need
from answerable.kernel.errors import Refused, Unavailable

PATIENCE = 3
"""Looks that a wait may last before `run` reports it; `apply` reports it at once."""
OK, FAILED, REFUSED = 0, 1, 3
STATUS = 1 << 22
"""Largest status that is read, bytes."""
_STATES = {"succeeded": OK, "failed": FAILED, "outcome_unknown": FAILED}


def main(argv: Sequence[str] | None, world: World) -> int:
    """Run one command (of the process's own arguments if None); give its exit code."""
    given = _parser().parse_args(argv)
    try:
        if given.command == "status":
            return _status(given)
        if given.command == "own-updates":
            return _own_updates(given)
        if given.command == "enrol":
            make_private(given.dir)
        with only_one(given.dir):
            return _COMMANDS[given.command](given, world)
    except Refused as refused:
        _say(f"refused: {refused.reason}: {refused.detail}")
        return REFUSED
    except Unavailable as error:
        _say(f"error: {error}")
        return FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="answerable-host", description="The agent of one host.")
    commands = parser.add_subparsers(dest="command", required=True)
    made = {}
    for name, what in (
        ("enrol", "make key and record, or keep the fleet's proof of it"),
        ("run", "do what may be done until SIGTERM"),
        ("apply", "look once, do what may be done"),
        ("status", "print what the last look found"),
        ("charter", "take a charter that did not come from the log"),
        ("own-updates", "mask every other program that updates this host by itself"),
    ):
        made[name] = commands.add_parser(name, help=what, description=what)
        made[name].add_argument("--dir", type=Path, required=True, help="the agent's own directory")
    for name in ("apply", "status"):
        made[name].add_argument("--output", choices=("table", "json"), default="table")
    enrol = made["enrol"]
    enrol.add_argument("--name", help="the host's id")
    enrol.add_argument("--zone", action="append", default=[], help="as people shall enrol it")
    enrol.add_argument("--charter", type=Path, help="the fleet's charter, from a person you trust")
    enrol.add_argument("--settings", type=Path, help="the host's settings, a JSON file")
    enrol.add_argument("--proof", type=Path, help="the proof that the record was enrolled")
    enrol.add_argument("--start", choices=("log", "guards"), default="log")
    made["charter"].add_argument("file", type=Path)
    return parser


def _enrol(given: argparse.Namespace, world: World) -> int:
    place = given.dir
    if given.settings:
        write_file(place / "settings.json", read_file(given.settings))
    if given.charter:
        note = read_file(given.charter)
        read_charter(note)
        write_file(place / "charter.note", note)
    if given.name:
        _tell(make_record(place, given.name, given.zone, world.nonce() + world.nonce()))
    if not given.proof:
        return OK
    home = opened(place, world)
    if given.start == "guards" and not home.kept.state.tree.size:
        urls, asked = home.follower.guards(), (home.signer.key, world.nonce())
        home.kept.start_from(start(home.client, urls, home.charter, home.fleet, asked))
    home.follower.follow()
    take_proof(place, given.proof, home.kept.state)
    size = home.kept.state.tree.size
    _say(f"enrolled; the log is followed to record {size}")
    return OK


def _charter(given: argparse.Namespace, world: World) -> int:
    home, note = opened(given.dir, world), read_file(given.file)
    law = home.follower.take(note)
    write_file(given.dir / "charter.note", note)
    _say(f"charter {law.body['number']} is in force")
    return OK


def _apply(given: argparse.Namespace, world: World) -> int:
    home = opened(given.dir, world)
    tools = home.tools()
    agent = home.agent(tools, patience=1)
    rows = agent.look()
    home.census().tell(tools.driver, agent, world.clock)
    _tidy(home, agent, home.retention())
    status = write_status(given.dir, home, agent, rows)
    _print(status, given.output)
    codes = {_STATES.get(row.state, REFUSED) for row in rows}
    if FAILED in codes:
        return FAILED
    return REFUSED if REFUSED in codes else FAILED if agent.trouble else OK


def _run(given: argparse.Namespace, world: World) -> int:
    home, stop = opened(given.dir, world), threading.Event()
    tools, census = home.tools(), home.census()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    agent = home.agent(tools, PATIENCE)
    retention = home.retention()

    def after() -> None:
        census.tell(tools.driver, agent, world.clock)
        _tidy(home, agent, retention)

    return go_on(home, agent, stop, after)


def _tidy(home: Home, agent: Agent, retention: Retention) -> None:
    told = agent.counts()
    notices = {leaf: noticed["body"] for leaf, noticed in home.kept.state.notices.items()}
    try:
        retention.tidy(told["time"], notices, told["consumed"])
    except Unavailable as error:
        _say(f"retention: {error}")


def go_on(
    home: Home, agent: Agent, stop: threading.Event, after: Callable[[], object] = lambda: None
) -> int:
    """Look again and again until told to stop; an action that has begun is finished first.

    `after` is done after each look.
    """
    said: list[str] = []
    agent.stopping = stop.is_set
    while not stop.is_set():
        rows = agent.look()
        write_status(home.directory, home, agent, rows)
        after()
        lines = [" ".join(filter(None, (r.about.change, r.state, r.reason))) for r in rows]
        if said != (said := lines + agent.trouble):
            _say("\n".join(said) or "nothing to do")
        stop.wait(home.settings.poll)
    return OK


def write_status(directory: Path, home: Home, agent: Agent, rows: list[Row]) -> dict[str, object]:
    """Keep and give what a look found."""
    law = home.follower.law
    status = {
        "charter": {"number": law.body["number"], "mode": law.body["mode"]},
        "fleet": home.fleet, "host": home.signer.key.name, "size": home.kept.state.tree.size,
        "changes": [{**r.about._asdict(), **r._asdict() | {"about": ""}} for r in rows],
        "trouble": agent.trouble, "agentd": home.confinement(), **agent.counts(),
    }  # fmt: skip
    write_file(directory / "status.json", json.dumps(status).encode())
    return status


def _status(given: argparse.Namespace) -> int:
    status = read_json(given.dir / "status.json", STATUS)
    others = [one._asdict() for one in competing.find(Path("/"))]
    kept = given.dir / "retention.json"
    held = {"kept": read_json(kept, TABLE) if kept.exists() else {}}
    old = {unit or "no unit": file for unit, file in find_need().sure.items()}
    _print({**status, **held, "competing": others, "not_effective": old}, given.output)
    return OK


def _own_updates(given: argparse.Namespace) -> int:
    for unit in competing.own_updates(Path("/"), given.dir / "service.log"):
        _tell(unit)
    return OK


def _print(status: dict[str, object], output: str) -> None:
    if output == "json":
        _tell(json.dumps(status, indent=1, sort_keys=True))
        return
    changes = status["changes"]
    assert isinstance(changes, list)
    columns = ("order", "change", "type", "state", "reason", "detail")
    rows = [[str(c[name])[: 12 if name == "order" else 60] for name in columns] for c in changes]
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]
    for row in [list(columns), *rows]:
        words = [word.ljust(width) for word, width in zip(row, widths, strict=True)]
        _show("  ".join(words).rstrip())
    _tell(f"log: {status['size']} records; reports to send: {status['unsent']}")
    old = status.get("not_effective", {})
    for unit, file in old.items() if isinstance(old, dict) else ():
        _show(f"installed, not effective: {unit} runs the old {file}")
    for one in _rows(status.get("kept"), "rows"):
        _show(f"kept: {_kept(one)}")
    for other in _rows(status, "competing"):
        _show(f"updater: {other['name']} {other['state']}: {other['why']}")
    _show(f"agentd: {status.get('agentd', 'unknown')}")
    for trouble in status["trouble"] if isinstance(status["trouble"], list) else ():
        _show(f"trouble: {trouble}")


def _rows(status: object, name: str) -> list[dict[str, Any]]:
    found = status.get(name) if isinstance(status, dict) else None
    return found if isinstance(found, list) else []


def _kept(one: dict[str, Any]) -> str:
    until, name = strftime("%Y-%m-%d", gmtime(one["until"])), str(one["name"])[:12]
    return f"{one['kind']} {name} until {until}, {one['bytes']} bytes: {one['what'][:60]}"


def _tell(data: str) -> None:
    sys.stdout.write(data + "\n")


def _show(line: str) -> None:
    # Names of files and words of servers are others': they move no cursor and add no line.
    _tell("".join(c if c.isprintable() else "?" for c in line))


def _say(words: str) -> None:
    sys.stderr.write(words + "\n")
    sys.stderr.flush()


_COMMANDS = {"enrol": _enrol, "run": _run, "apply": _apply, "charter": _charter}
