"""Effect-verified transactions on real hosts: real updates, a sabotage package, undo, kills."""

import json
import os
import random
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.live import pending, sabotage
from tests.live.test_fleet import (  # noqa: F401  fixtures are found by their names here
    KILLS,
    SEED,
    World,
    _ground,
    _world,
    answer,
    until,
)

pytestmark = [
    pytest.mark.live,
    pytest.mark.needs("mount", "overlay", "stacked", "network", "uids", "mmdebstrap", "apt"),
]
PLAIN: dict[str, object] = {"allow": []}


def drive(world: World, host: str, do: str, *names: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
    """Do one action in a host, as a transaction."""
    return answer(start(world, host, do, *names, **more))


KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)
"""How a process ends that was killed, itself or below a program that hands it on."""


def start(
    world: World,
    host: str,
    do: str,
    *names: str,
    **more: Any,  # noqa: ANN401  JSON
) -> "subprocess.Popen[bytes]":
    """Start one action in a host, as a transaction."""
    undo = bool(more.get("undo"))
    urls, rows = {}, []
    for name in names:
        update = world.updates[name]
        ends = (update.new, update.old) if undo else (update.old, update.new)
        rows.append([name, ends[0].version, ends[1].version, ends[1].sha256])
        for each in (update.new, update.old):
            urls[each.sha256] = f"http://mirror:8000/{each.suite}/{each.path}"
    job = {"do": do, "packages": rows, "urls": urls, "undo": undo, "transaction": PLAIN}
    return world.send(host, {**job, **more})


def sweep(world: World, host: str) -> dict[str, str]:
    """Give a hash of every path of a host."""
    found: dict[str, str] = drive(world, host, "sweep")["sweep"]
    # The fleet writes these anew when it starts a host again.
    return {p: seen for p, seen in found.items() if p not in ("/etc/hostname", "/etc/hosts")}


def differing(one: dict[str, str], other: dict[str, str]) -> list[str]:
    """Give the paths that are not the same."""
    return sorted(p for p in one.keys() | other.keys() if one.get(p) != other.get(p))


def running(world: World, host: str) -> list[str]:
    """Give the names of a host's processes."""
    return sorted(world.said(host, "sh", "-c", "cat /proc/[0-9]*/comm").split())


def test_real_update_has_one_hash_and_comes_out_to_the_byte(world: World) -> None:
    """A security update has the same effects on equal hosts, and is undone with the cable cut."""
    world.up("a", "b")
    names = world.group()
    before = sweep(world, "a")
    done = [drive(world, host, "upgrade", *names) for host in ("a", "b")]
    assert done[0]["installed"] == world.versions(names, "new"), done
    assert done[0]["said"].startswith("effects ")
    assert done[0]["said"] == done[1]["said"]
    for name in names:
        assert world.said("a", "dpkg", "--verify", name) == ""
    assert world.said("a", "dpkg", "--audit") == ""
    changed = differing(before, sweep(world, "a"))
    assert changed
    assert not [path for path in changed if path.startswith("/var/log")]
    drive(world, "a", "preview", *names, undo=True)
    world.fleet.cut("a")
    undone = drive(world, "a", "undo", *names, undo=True)
    assert undone["installed"] == world.versions(names, "old"), undone
    assert differing(before, sweep(world, "a")) == []


def test_all_pending_updates_in_one_transaction(world: World) -> None:
    """Everything that is pending goes in at once and out again, to the byte."""
    world.up("a")
    names = sorted(world.updates)
    before = sweep(world, "a")
    done = drive(world, "a", "upgrade", *names)
    assert done["installed"] == world.versions(names, "new"), done
    undone = drive(world, "a", "undo", *names, undo=True)
    assert undone["installed"] == world.versions(names, "old"), undone
    assert differing(before, sweep(world, "a")) == []


def test_undo_of_the_first_of_two(world: World) -> None:
    """A later change of another package does not stand in the way of an undo."""
    names = list(pending.NAMES)
    world.up("a")
    for name in names:
        drive(world, "a", "upgrade", name)
    drive(world, "a", "undo", names[0], undo=True)
    found = drive(world, "a", "recover", *names)["installed"]
    assert found == {
        names[0]: world.updates[names[0]].old.version, names[1]: world.updates[names[1]].new.version
    }  # fmt: skip
    assert world.said("a", "dpkg", "--audit") == ""


def test_undo_is_refused_over_drift(world: World) -> None:
    """What somebody changed after the update is named, and nothing is undone."""
    world.up("a")
    names = world.group()
    drive(world, "a", "upgrade", *names)
    (world.fleet.root("a") / world.file[1:]).write_bytes(b"another")
    before = sweep(world, "a")
    done = drive(world, "a", "undo", *names, undo=True)
    assert done["error"] == "TransactionDiffers"
    assert done["also"] == [world.file]
    assert differing(before, sweep(world, "a")) == []


def test_competing_package_tool_is_named(world: World) -> None:
    """Another program's lock is a plain error, and nothing was changed."""
    world.up("a")
    hold = (
        "import fcntl, signal; f = open('/var/lib/dpkg/lock-frontend', 'a');"
        "fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); signal.pause()"
    )
    holder = world.fleet.start_in("a", ["python3", "-c", hold], stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    before = sweep(world, "a")
    assert drive(world, "a", "upgrade", *world.group())["error"] == "Locked"
    assert differing(before, sweep(world, "a")) == []
    holder.kill()
    holder.communicate()


def test_sabotage_package_is_refused_and_leaves_no_trace(world: World, tmp_path: Path) -> None:
    """A validly built package whose script does fifteen hostile things changes not one byte."""
    world.up("a")
    root = world.fleet.root("a")
    debs = sabotage.build(tmp_path)
    urls = {}
    for package, file in debs.values():
        (root / file.name).write_bytes(file.read_bytes())
        urls[package.sha256] = f"file:///{file.name}"
    world.said("a", "dpkg", "--install", f"/{debs['1.0'][1].name}")

    def upgrade(version: str) -> dict[str, Any]:
        p = debs[version][0]
        row = [p.name, p.before, p.after, p.sha256]
        return drive(world, "a", "upgrade", packages=[row], urls=urls)

    assert upgrade("1.1")["installed"] == {sabotage.NAME: "1.1"}, "the benign version passes"
    kernel = Path("/proc/sys/kernel/panic").read_text()
    processes = running(world, "a")
    before = sweep(world, "a")
    done = upgrade("1.2")
    assert done["error"] == "TransactionDiffers", done
    assert differing(before, sweep(world, "a")) == []
    assert Path("/proc/sys/kernel/panic").read_text() == kernel
    until(lambda: running(world, "a") == processes, "nothing of the script runs on")
    named = {line.partition(":")[0] for line in done["also"]}
    assert named >= set(sabotage.PATHS), set(sabotage.PATHS) - named
    assert any("/var/lib/evil/data" in line and "live data" in line for line in done["also"])


def test_sensitive_effects_that_are_shipped_need_their_class(world: World, tmp_path: Path) -> None:
    """A unit, cron file or setuid program that a package itself ships needs to be allowed."""
    world.up("a")
    root = world.fleet.root("a")
    package, file = sabotage.build_sensitive(tmp_path)
    (root / file.name).write_bytes(file.read_bytes())
    job = {
        "packages": [[package.name, "", package.after, package.sha256]],
        "urls": {package.sha256: f"file:///{file.name}"},
    }
    before = sweep(world, "a")
    refused = drive(world, "a", "upgrade", **job)
    assert refused["error"] == "TransactionDiffers", refused
    assert {line.rpartition(": ")[2] for line in refused["also"]} == {"setuid", "unit", "cron"}
    assert differing(before, sweep(world, "a")) == []
    allowed = {"allow": ["setuid", "unit", "cron"]}
    done = drive(world, "a", "upgrade", **job, transaction=allowed)
    assert done["installed"] == {package.name: package.after}, done
    assert (root / "usr/bin/sensitive").stat().st_mode & 0o7777 == 0o4755


def cut(
    world: World, names: list[str], chance: random.Random, *, undo: bool
) -> tuple[dict[str, str], int]:
    """Kill a commit or undo on a fresh host; give what the host was, and the step."""
    most = int(os.environ.get("KILL_STEPS", "900"))
    while True:
        world.up("a")
        before = sweep(world, "a")
        if undo:
            drive(world, "a", "upgrade", *names)
        step, what = chance.randint(1, most), "undo" if undo else "upgrade"
        process = start(world, "a", what, *names, undo=undo, die_at=step)
        said = process.communicate()[0]
        if process.returncode in KILLED:
            return before, step
        # It has fewer steps than were guessed, and was through before: it tells how many.
        assert process.returncode == 0, (step, what, said)
        most = min(most - 1, json.loads(said.splitlines()[-1])["steps"])
        world.fleet.stop("a")


@pytest.mark.parametrize("count", range(KILLS))
def test_killed_at_any_step_of_a_commit(world: World, count: int) -> None:
    """A kill, or a power cut, in the middle of a commit or undo is mended at the next start."""
    chance = random.Random(SEED + count)
    undo, power = bool(count % 3 == 2), bool(count % 2)
    names = world.group()
    before, step = cut(world, names, chance, undo=undo)
    where = f"seed {SEED + count}, step {step}, {'undo' if undo else 'upgrade'}"
    if power:
        world.fleet.stop("a")
        world.fleet.up(["a"], world.tree, fresh=False)
    assert "error" not in drive(world, "a", "recover"), where
    assert world.said("a", "dpkg", "--audit") == "", where
    found = drive(world, "a", "recover", *names)["installed"]
    if found != world.versions(names, "old"):
        assert found == world.versions(names, "new"), where
        drive(world, "a", "undo", *names, undo=True)
    assert differing(before, sweep(world, "a")) == [], where
