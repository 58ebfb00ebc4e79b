"""Kill -9 of log, guards, control plane, agents, observers at random: the story ends the same.

`KILLS=50` kills each kind of process 50 times (5 otherwise); `KILLS_SEED` repeats a run.
"""

import base64
import json
import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from answerable.demo import ground
from answerable.demo.apphosts import RELEASES
from answerable.demo.scenes import founding, patching, verdict
from answerable.demo.scenes.cast import CONTROL, LOG, READER, Cast
from answerable.demo.scenes.hosts import Agents
from answerable.demo.scenes.stage import Planned, Stage, make, notice, order_of
from answerable.demo.scenes.tell import Teller
from answerable.demo.scenes.watch import Record, Watch
from answerable.inventory import python
from answerable.kernel.checkpoint import Checkpoint
from answerable.ledger.audit import audit
from answerable.ledger.client import FolderSource, Reader
from tests.live.kills import KINDS, Killer
from tests.live.wheels import emptied

pytestmark = [pytest.mark.live, pytest.mark.needs("ssh-keygen")]

HOSTS = ("web1", "web2", "api1", "api2")
EACH = int(os.environ.get("KILLS", "5"))
SEED = int(os.environ.get("KILLS_SEED", "0")) or secrets.randbelow(1 << 31)
ROUNDS = len(RELEASES) if EACH > 5 else 2
"""Rollouts, each of some of the packages."""
ROUND_SECONDS = 40.0
"""About how long one rollout takes when nobody is killed."""
LONGEST = 900.0
"""A rollout that has not ended by then never will."""
Key = tuple[str, str, str]
"""One action: host, notice, change; a host has one order under a notice."""


@pytest.fixture
def stage() -> Iterator[Stage]:
    """A founded fleet of application hosts, a release in its log."""
    tell, directory = Teller(), emptied("kills")
    laid = ground.lay_application(directory, HOSTS, "a test asks for them", tell.line)
    try:
        cast = Cast(directory, laid, tell)
        agents = Agents(cast)
        cast.prepare()
        founding.play(cast, agents, directory / "cache")
        _be_patient(cast)
        stage = Stage(cast, agents, _watch(cast))
        patching.learn(stage)
        laid.start_services()
        yield stage
    finally:
        laid.hosts.down()


def _be_patient(cast: Cast) -> None:
    """Let the control plane wait longer than any series of kills lasts: silence is no outcome."""
    file = cast.place(CONTROL) / "party.json"
    party = json.loads(file.read_text("utf-8"))
    party["settings"]["pace"]["patience"] = 3600
    cast.stop(CONTROL)
    file.write_text(json.dumps(party), "utf-8")
    cast.start(CONTROL, "serve")


def _watch(cast: Cast) -> Watch:
    place = cast.place(READER)
    words = [sys.executable, "-m", "answerable.demo.scenes.spectate", cast.url(LOG)]
    words += [str(place / "charter.note"), str(place / "hosts.json")]
    process = cast.ground.hosts.run_in_hub(
        words, cast.uid(READER), None, subprocess.PIPE, subprocess.DEVNULL
    )
    assert process.stdout
    return Watch(cast, process.stdout)


def test_the_story_ends_the_same(
    stage: Stage, record_property: Callable[[str, object], None]
) -> None:
    """Each action is done and reported once, each version explained, both logs whole."""
    record_property("told", f"seed {SEED}, {EACH} kills of each kind")
    total = EACH * len(KINDS)
    share = -(-total // ROUNDS)
    gap = min(max(ROUND_SECONDS / share, 1), 5)
    watch = stage.watch
    killer = Killer(stage.cast, stage.agents, lambda: _step(watch), SEED, EACH, gap)
    plans = []
    for number in range(ROUNDS):
        packages = [release.package for release in RELEASES[number::ROUNDS]]
        made, said = _noticed(stage, packages)
        plans.append((made, said))

        def over(said: Record = said) -> bool:
            return bool(watch.all("outcome", notice=said["leaf"]))

        killer.until(f"{packages} are rolled out", over, share, LONGEST)
    killer.spend()
    wanted = {key for made, said in plans for key in _actions(made, said["leaf"])}
    _sent(stage, wanted)
    reports = _reports(stage)
    _once(stage, wanted, reports)
    _explained(stage, reports)
    _verified(stage)
    states = {row["body"]["state"] for row in watch.all("outcome")}
    assert states == {"succeeded"}, states
    told = f"step {_step(watch)}, kills {dict(killer.done)}: {len(wanted)} actions"
    record_property("told", f"{told} on {len(HOSTS)} hosts, each done and reported once")
    assert dict(killer.done) == dict.fromkeys(KINDS, EACH)


def _step(watch: Watch) -> int:
    return len(watch._records)


def _noticed(stage: Stage, packages: list[str]) -> tuple[Planned, Record]:
    stage.cast.run(CONTROL, "inventory", "import", stage.cast.place(CONTROL), show=False)
    words = ["--authorization", founding.AUTHORIZATION]
    more = ["--clause", "medium", "--canary", patching.CANARY]
    more += [word for package in packages for word in ("--package", package)]
    made = make(stage, f"security updates of {', '.join(packages)}", *words, *more)
    assert sorted(host for ring in made.rings for host in ring) == sorted(HOSTS)
    return made, notice(stage, made, *words)


def _actions(made: Planned, leaf: str) -> Iterator[Key]:
    for host in HOSTS:
        order = order_of(made, host)
        for change in order["changes"]:
            yield host, leaf, change["id"]


def _sent(stage: Stage, wanted: set[Key]) -> None:
    def all_there() -> bool:
        found = {(b["host"], b["notice"], b["change"])
                 for b in (row["body"] for row in stage.watch.all("report"))
                 if b["result"] != "refused"}  # fmt: skip
        return wanted <= found

    stage.watch.until("every report stands in the log", all_there)


def _reports(stage: Stage) -> list[dict[str, Any]]:
    """Read the reports from the log's own export, in the log's order."""
    folder = _export(stage, "report")
    source = FolderSource(folder)
    head = _head(folder)
    bodies = []
    for entry in Reader(source, head).entries(0, head.size):
        said = json.loads(entry.rpartition(b"\n\n")[0])
        if said["type"] == "report" and said["body"]["result"] != "refused":
            bodies.append(said["body"])
    return bodies


def _head(folder: Path) -> Checkpoint:
    origin, size, root = (folder / "checkpoint").read_text("utf-8").splitlines()[:3]
    return Checkpoint(origin, int(size), base64.b64decode(root))


def _export(stage: Stage, log: str) -> Path:
    folder = stage.cast.directory / "export" / log
    words = ("log", "export", folder, "--log", log, "--dir", stage.cast.place(LOG))
    if not folder.exists():
        stage.cast.run(LOG, *words)
    return folder


def _once(stage: Stage, wanted: set[Key], reports: list[dict[str, Any]]) -> None:
    """Each action once in its host's journal, and once, equally, in the log."""
    said = Counter((b["host"], b["notice"], b["change"]) for b in reports)
    assert set(said) == wanted
    assert set(said.values()) == {1}, [key for key, count in said.items() if count > 1]
    assert {b["result"] for b in reports} == {"succeeded"}, reports
    for host in HOSTS:
        lines = (stage.agents.home(host) / "journal").read_bytes().splitlines()
        events = [json.loads(line) for line in lines]
        begun = [e["action"] for e in events if e["is"] == "begun"]
        ended = {e["action"]: e["body"] for e in events if e["is"] == "ended"}
        assert len(begun) == len(set(begun)), f"{host} began an action twice"
        assert sorted(begun) == sorted(ended), f"{host} began what it never reported"
        assert sum(e["is"] == "ended" for e in events) == len(ended)
        mine = [b for b in reports if b["host"] == host]
        by_seq = {b["seq"]: b for b in ended.values()}
        assert by_seq == {b["seq"]: b for b in mine}, f"{host} and the log tell two stories"


def _explained(stage: Stage, reports: list[dict[str, Any]]) -> None:
    """Each version that is installed is an old one, or the last that a report named."""
    template = stage.cast.directory / "cache/template"
    before = {p.package: p.version for p in python.installed(template)}
    for host in HOSTS:
        expected = dict(before)
        for body in sorted((b for b in reports if b["host"] == host), key=lambda b: b["seq"]):
            expected |= body["observed"]
        found = {
            p.package: p.version for p in python.installed(stage.agents.hosts.root(host) / "venv")
        }
        assert found == expected, f"{host} has versions that no report explains"
        assert all(found[release.package] == release.new for release in RELEASES)


def _verified(stage: Stage) -> None:
    """Every record leads to the cosigned roots, and the evidence verifies."""
    cast = stage.cast
    for log in ("authority", "report"):
        folder = _export(stage, log)
        checked = audit(FolderSource(folder), _head(folder))
        assert checked.good, checked.damage
    cast.run(LOG, "log", "verify", cast.place(LOG))
    done = cast.run(READER, "verify", verdict.collect(cast))
    cast.tell.quote(done.out[-2000:])
