"""Real hosts, real packages: what the drivers promise holds under real apt, dpkg and kills.

The base tree is built once, by whichever process comes first, and kept in `.cache/live`, as is the
mirror of all live tests; each test has hosts of its own. Besides what is really pending today there
are updates of our own (pending.py), so that there are some on any day.
"""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import answerable
from answerable.demo import appliance, basetree, mirror
from answerable.demo.distribution import Distribution, this_machine
from answerable.demo.fleet import Fleet
from tests.host.debs import build
from tests.live import pending
from tests.structure.source import ROOT

pytestmark = [
    pytest.mark.live,
    pytest.mark.needs("mount", "overlay", "network", "uids", "mmdebstrap", "apt"),
]

CACHE = ROOT / ".cache/live"
MIRROR = CACHE / "mirror"
SEED = int(os.environ.get("KILL_SEED", "7"))
KILLS = int(os.environ.get("KILLS", "6"))
STATE = "var/lib/answerable-test"
ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "PYTHONPATH": "/opt"}


@dataclass
class World:
    """A tree, its mirror, and a fleet that serves it."""

    fleet: Fleet
    tree: Path
    distribution: Distribution
    updates: dict[str, mirror.Update]
    extra: dict[str, str] = field(default_factory=dict)

    def up(self, *hosts: str) -> None:
        """Start fresh hosts that have the drivers."""
        self.fleet.up(hosts, self.tree)
        source = Path(answerable.__file__).parent
        for host in hosts:
            root = self.fleet.root(host) / "opt"
            for room in ("kernel", "host"):
                shutil.copytree(source / room, root / "answerable" / room)
            shutil.copy(source / "__init__.py", root / "answerable")
            shutil.copy(Path(__file__).with_name("drive.py"), root)

    def group(self) -> list[str]:
        """Give the packages of one source that are pending: openssl's, or else one of our own."""
        first = ("openssl", pending.NAMES[0])
        sources = {u.new.source for u in self.updates.values()}
        source = min(sources, key=lambda source: (*(source != each for each in first), source))
        return [name for name, u in self.updates.items() if u.new.source == source]

    @property
    def file(self) -> str:
        """Give a file that `group` changes."""
        own = self.group() == [pending.NAMES[0]]
        return f"/usr/share/{pending.NAMES[0]}/0" if own else "/usr/bin/openssl"

    def start(
        self, host: str, do: str, *names: str, undo: bool = False
    ) -> "subprocess.Popen[bytes]":
        """Start one action of a host's driver."""
        urls = dict(self.extra)
        for update in self.updates.values():
            for each in (update.new, update.old):
                urls[each.sha256] = f"http://mirror:8000/{each.suite}/{each.path}"
        rows = []
        for name in names:
            ends = (self.updates[name].old, self.updates[name].new)
            old, new = reversed(ends) if undo else ends
            rows.append([name, old.version, new.version, new.sha256])
        return self.send(host, {"do": do, "packages": rows, "urls": urls, "undo": undo})

    def send(self, host: str, job: dict[str, object]) -> "subprocess.Popen[bytes]":
        """Send one job as it is."""
        job["ecosystem"] = self.distribution.ecosystem
        argv = ["/usr/bin/python3", "/opt/drive.py", json.dumps(job)]
        return self.fleet.start_in(host, argv, ENV, subprocess.PIPE)

    def drive(self, host: str, do: str, *names: str, undo: bool = False) -> dict[str, Any]:
        """Do one action and give its answer."""
        return answer(self.start(host, do, *names, undo=undo))

    def versions(self, names: list[str], end: str) -> dict[str, str]:
        """Give the versions before (`old`) or after (`new`) the update."""
        return {name: getattr(self.updates[name], end).version for name in names}

    def said(self, host: str, *argv: str) -> str:
        """Run a program in a host and give its output."""
        process = self.fleet.start_in(host, argv, stdout=subprocess.PIPE)
        return process.communicate(timeout=300)[0].decode()


def answer(process: "subprocess.Popen[bytes]") -> dict[str, Any]:
    """Give the one JSON line of a driver's process."""
    said = process.communicate(timeout=600)[0].decode()
    assert process.returncode == 0, said
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def until(holds: Any, what: str) -> None:  # noqa: ANN401  any callable
    """Wait for a condition; give up after some five minutes: machines may be busy."""
    for _ in range(6000):
        if holds():
            return
        time.sleep(0.05)
    pytest.fail(f"never came true: {what}")


@cache
def laid(name: str, packages: tuple[str, ...]) -> World:
    """Give a tree of these packages, made once, and what is pending on it; nothing is up yet."""
    distribution = this_machine()
    release = mirror.fetch_release(MIRROR, distribution.main)
    mirror.fetch_release(MIRROR, distribution.security)
    own = pending.pending(MIRROR)
    debs = tuple(MIRROR / update.old.suite / update.old.path for update in own)
    deb = appliance.build_deb(CACHE)
    tree = basetree.base_tree(CACHE / name, distribution, release, deb, print, packages, debs)
    made = mirror.make_mirror(MIRROR, distribution, basetree.installed(tree), int(time.time()))
    updates = {u.new.package: u for u in (*made.updates, *own)}
    return World(None, tree, distribution, updates)  # type: ignore[arg-type]  # made by each test


@pytest.fixture(scope="module", name="ground")
def _ground() -> World:
    """The tree and the mirror; nothing is up yet."""
    return laid("plain", basetree.PACKAGES)


def served(fleet: Fleet) -> None:
    """Serve the mirror to the hosts of a fleet, and wait until it answers."""
    argv = mirror.Mirror(MIRROR, (), ()).serve(sys.executable, fleet.hub_address, 8000)
    fleet.run_in_hub(argv, 60_100)
    call = f"import socket; socket.create_connection(('{fleet.hub_address}', 8000))"
    probe = [sys.executable, "-c", call]
    until(lambda: fleet.run_in_hub(probe).wait() == 0, "the mirror answers")


@pytest.fixture(name="world")
def _world(ground: World, tmp_path: Path) -> Iterator[World]:
    """A fleet of its own for each test, its mirror served."""
    with Fleet(tmp_path / "fleet", [CACHE]) as fleet:
        served(fleet)
        yield World(fleet, ground.tree, ground.distribution, ground.updates)


def test_twenty_hosts_and_nothing_left(ground: World, tmp_path: Path) -> None:
    """Twenty hosts with roots of their own are up, reach each other, and leave no mount behind."""
    mounts = Path("/proc/self/mounts").read_bytes()
    names = [f"h{n}" for n in range(20)]
    with Fleet(tmp_path / "fleet") as fleet:
        fleet.up(names, ground.tree)
        said = fleet.start_in("h0", ["hostname"], stdout=subprocess.PIPE).communicate()[0]
        assert said == b"h0\n"
        probe = "import socket; socket.create_server(('', 99)).accept()"
        waits = fleet.start_in("h19", ["python3", "-c", probe])
        call = "import socket; socket.create_connection(('h19', 99), 5)"
        until(lambda: fleet.start_in("h0", ["python3", "-c", call]).wait() == 0, "h0 reaches h19")
        assert waits.wait(30) == 0
        (fleet.root("h3") / "marker").touch()
        assert not (fleet.root("h4") / "marker").exists()
    assert not (ground.tree / "marker").exists()
    assert Path("/proc/self/mounts").read_bytes() == mounts


def test_killed_demo_leaves_nothing(ground: World, tmp_path: Path) -> None:
    """A kill of the process that holds the fleet ends every process of it."""
    text = (
        "import sys; from pathlib import Path; from answerable.demo.fleet import Fleet;"
        f"f = Fleet(Path({str(tmp_path / 'f')!r})); f.up(['a'], Path({str(ground.tree)!r}));"
        "argv = ['sleep', 'infinity']; p = f.start_in('a', argv); q = f.run_in_hub(argv, 60123);"
        "print(p.pid, q.pid, flush=True); sys.stdin.read()"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", text], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert process.stdout
    pids = process.stdout.readline().split()
    assert len(pids) == 2
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for pid in pids:
        until(lambda pid=pid: not Path(f"/proc/{int(pid)}/root/").exists(), f"{pid!r} ended")


def test_no_way_out_and_no_way_in(world: World) -> None:
    """No traffic of the fleet can leave, and a party's uid cannot read another party's key."""
    world.up("a")
    fleet = world.fleet
    call = "import socket; socket.create_connection(('192.0.2.1', 80), 5)"
    assert fleet.start_in("a", ["python3", "-c", call]).wait() != 0
    out = fleet.run_in_hub(["ip", "route"], stdout=subprocess.PIPE).communicate()[0]
    assert b"default" not in out
    secret = fleet.directory / "secret"
    secret.write_text("key")
    secret.chmod(0o600)
    os.chown(secret, 60_001, 60_001)
    assert fleet.run_in_hub(["cat", str(secret)], 60_001).wait() == 0
    assert fleet.run_in_hub(["cat", str(secret)], 60_002).wait() != 0
    said = fleet.run_in_hub(["id"], 60_002, stdout=subprocess.PIPE).communicate()[0]
    assert said.split()[:2] == [b"uid=60002", b"gid=60002"]
    assert b"0(root)" not in said
    status = fleet.root_in_hub("a") / "var/lib/dpkg/status"
    assert fleet.run_in_hub(["grep", "-q", "^Package: openssl", str(status)], 60_002).wait() == 0


def test_cable_is_cut_and_joined(world: World) -> None:
    """A host without its cable reaches nobody, and does again with it."""
    world.up("a")
    call = ["python3", "-c", "import socket; socket.create_connection(('mirror', 8000), 2)"]
    assert world.fleet.start_in("a", call).wait() == 0
    world.fleet.cut("a")
    assert world.fleet.start_in("a", call).wait() != 0
    world.fleet.join("a")
    until(lambda: world.fleet.start_in("a", call).wait() == 0, "the host is back")


def test_upgrade_again_and_undo(world: World) -> None:
    """A real security update goes in once, keeps its marks, and comes out again."""
    world.up("a")
    names = world.group()
    marks = world.said("a", "apt-mark", "showauto")
    done = world.drive("a", "upgrade", *names)
    assert done["installed"] == world.versions(names, "new"), done
    log = (world.fleet.root("a") / "var/log/dpkg.log").read_text()
    assert world.drive("a", "upgrade", *names)["installed"] == done["installed"]
    assert (world.fleet.root("a") / "var/log/dpkg.log").read_text() == log
    assert world.said("a", "apt-mark", "showauto") == marks
    for name in names:
        assert world.said("a", "dpkg", "--verify", name) == ""
    world.fleet.cut("a")
    undone = world.drive("a", "recover", *names)
    assert undone["recovered"] == []


def test_undo_needs_no_server(world: World) -> None:
    """The old packages were fetched beforehand, so an undo works with the cable cut."""
    world.up("a")
    names = world.group()
    world.drive("a", "preview", *names)
    world.drive("a", "upgrade", *names)
    world.drive("a", "preview", *names, undo=True)
    world.fleet.cut("a")
    assert world.drive("a", "undo", *names, undo=True)["installed"] == world.versions(names, "old")


def test_pinned_service_ran_before_and_refuses_now(world: World) -> None:
    """The appliance starts beside the old library, not the new one, and again after the undo."""
    world.up("a")
    names = world.group()
    name = names[0]
    file = world.fleet.root("a") / appliance.CONFIG
    appliance.configure(file, pinned={name: world.updates[name].old.version})

    def healthy() -> str:
        world.said("a", "/usr/sbin/service", appliance.UNIT, "restart")
        return str(answer(world.send("a", {"do": "health", "within": 5}))["health"])

    assert healthy() == ""
    world.drive("a", "upgrade", *names)
    assert "no answer" in healthy()
    said = (world.fleet.root("a") / "var/log/appliance.log").read_text()
    assert f"built for {name} {world.updates[name].old.version}" in said
    world.drive("a", "undo", *names, undo=True)
    assert healthy() == ""


@pytest.mark.parametrize("line", ["Conflicts: jq", "Depends: answerable-none", "Breaks: python3"])
def test_transaction_that_touches_more_is_refused(world: World, tmp_path: Path, line: str) -> None:
    """Real apt would remove or lack something that nobody named: the host stays as it was."""
    world.up("a")
    before = world.said("a", "dpkg-query", "--show")
    package, deb = build(tmp_path, appliance.NAME, "2.0", line, before="1.0")
    shutil.copy(deb, world.fleet.root("a") / "evil.deb")
    row = [package.name, package.before, package.after, package.sha256]
    urls = {package.sha256: "file:///evil.deb"}
    done = answer(world.send("a", {"do": "upgrade", "packages": [row], "urls": urls}))
    assert done["error"] == "TransactionDiffers", done
    assert world.said("a", "dpkg-query", "--show") == before


def test_competing_package_tool_is_named(world: World) -> None:
    """Another program's lock is a plain error, and nothing was changed."""
    world.up("a")
    hold = (
        "import fcntl, signal; f = open('/var/lib/dpkg/lock-frontend', 'a');"
        "fcntl.lockf(f, fcntl.LOCK_EX); open('/held', 'w'); signal.pause()"
    )
    holder = world.fleet.start_in("a", ["python3", "-c", hold])
    until((world.fleet.root("a") / "held").exists, "the lock is held")
    names = world.group()
    done = world.drive("a", "upgrade", *names)
    assert done["error"] == "Locked", done
    holder.kill()
    holder.wait()
    done = world.drive("a", "upgrade", *names)
    assert done["installed"] == world.versions(names, "new")


@pytest.mark.parametrize("count", range(KILLS))
def test_killed_in_the_middle(world: World, count: int) -> None:
    """Power cut, or agent killed, at a random moment of a real transaction: it converges."""
    chance = random.Random(SEED + count)
    power, undo = bool(count % 2), bool(count // 2 % 2)
    wait = chance.uniform(0.1, 1.8)
    where = f"seed {SEED + count}, {'host' if power else 'agent'} killed after {wait:.3f} s"
    world.up("a")
    names = world.group() + [n for n in ("zip", "jq", "libjq1") if n in world.updates]
    if undo:
        world.drive("a", "upgrade", *names)
    do, end = ("undo", "old") if undo else ("upgrade", "new")
    agent = world.start("a", do, *names, undo=undo)
    try:
        agent.wait(wait)
    except subprocess.TimeoutExpired:
        if power:
            world.fleet.stop("a")
            world.fleet.up(["a"], world.tree, fresh=False)
        else:
            agent.kill()
    agent.communicate()
    assert "error" not in world.drive("a", "recover"), where
    assert _broken(world, "a") == [], where
    done = world.drive("a", do, *names, undo=undo)
    assert done["installed"] == world.versions(names, end), where
    assert _broken(world, "a") == [], where


def _broken(world: World, host: str) -> list[str]:
    lines = world.said(host, "dpkg-query", "--show", "--showformat=${db:Status-Abbrev}${Package}\n")
    return [line for line in lines.splitlines() if not line.startswith("ii ")]
