"""Effect-verified transactions of the RPM family: real rpm, packages of our own, undo, kills.

Hosts are minimal trees of the machine's distribution with rpm and without dpkg's database; what is
in rpm's database, and all that changes, are packages built here.
"""

import os
import random
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from answerable.demo import vendor
from answerable.demo.fleet import Fleet
from answerable.host.driver import Package
from tests.host.rpms import File, build
from tests.live import sabotage
from tests.live.test_fleet import SEED, World, answer, laid, until
from tests.live.test_transaction import KILLED, differing, running

pytestmark = [
    pytest.mark.live,
    pytest.mark.needs(
        "mount", "overlay", "stacked", "network", "uids", "mmdebstrap", "apt", "rpmbuild"
    ),
]
KILLS = int(os.environ.get("KILLS", "6"))
PACKAGES = ("python3", "bubblewrap", "rpm")
CAPABLE = "%caps(cap_net_raw=ep)"
DATABASE = "/var/lib/rpm/rpmdb.sqlite"


@dataclass(frozen=True)
class Rocky:
    """What `World` asks of a distribution."""

    ecosystem: str = "rocky:9"


@dataclass
class Hosts:
    """Hosts of the RPM family, and the packages built for them."""

    world: World
    made: dict[str, tuple[Package, Path]]
    served: dict[str, str] = field(default_factory=dict)

    def up(self, *hosts: str) -> None:
        """Start fresh hosts with the base package and the first version of the tool."""
        self.world.up(*hosts)
        for host in hosts:
            self.settle(host)
            for name in ("base-1", "tool-1"):
                self.said(host, "rpm", "--install", self.give(host, self.made[name]))

    def settle(self, host: str) -> None:
        """Make a host one of the RPM family."""
        root = self.world.fleet.root(host)
        shutil.rmtree(root / "var/lib/dpkg")
        (root / "etc/rpm").mkdir(exist_ok=True)
        (root / "etc/rpm/macros").write_text("%_dbpath /var/lib/rpm\n")
        self.said(host, "rpmdb", "--initdb")

    def give(self, host: str, made: tuple[Package, Path]) -> str:
        """Put a package onto a host; give where."""
        package, file = made
        place = f"/tmp/{file.name}"  # noqa: S108  of the host, which is thrown away
        shutil.copy(file, self.world.fleet.root(host) / place[1:])
        self.served[package.sha256] = f"file://{place}"
        return place

    def said(self, host: str, *argv: str) -> str:
        """Run a program in a host, which must succeed; give its output."""
        process = self.world.fleet.start_in(host, argv, stdout=subprocess.PIPE)
        said = process.communicate(timeout=300)[0].decode()
        assert process.returncode == 0, said
        return said

    def start(self, host: str, do: str, *made: tuple[Package, Path], **more: Any) -> Any:  # noqa: ANN401  JSON
        """Start one action in a host."""
        rows = []
        for package, file in made:
            self.give(host, (package, file))
            rows.append([package.name, package.before, package.after, package.sha256])
        job = {"do": do, "packages": rows, "urls": self.served, "undo": False}
        return self.world.send(host, {**job, "transaction": {"allow": []}, **more})

    def back(self, new: str, old: str) -> tuple[Package, Path]:
        """Give the package of an undo from one of the packages to another."""
        (after, _), (before, file) = self.made[new], self.made[old]
        return Package(after.name, after.after, before.after, before.sha256), file

    def drive(self, host: str, do: str, *made: tuple[Package, Path], **more: Any) -> dict[str, Any]:  # noqa: ANN401  JSON
        """Do one action in a host."""
        return answer(self.start(host, do, *made, **more))

    def sweep(self, host: str) -> dict[str, str]:
        """Give a hash of every path of a host."""
        found: dict[str, str] = self.drive(host, "sweep")["sweep"]
        return {p: seen for p, seen in found.items() if p not in ("/etc/hostname", "/etc/hosts")}


def _tool(folder: Path) -> dict[str, tuple[Package, Path]]:
    """Three versions of a tool with everything that a package may ship."""
    first = {
        "/usr/bin/tool": File(b"#!/bin/sh\necho one\n", 0o755),
        "/usr/bin/tool-one": File(twin="/usr/bin/tool", mode=0o755),
        "/usr/bin/old": File(b"old", 0o755),
        "/usr/bin/t": File(link="tool"),
        "/usr/share/tool": File(folder=True, mode=0o755),
        "/usr/share/tool/data": File(b"one"),
        "/etc/tool.conf": File(b"a=1\n", mark="%config(noreplace)"),
        "/etc/tool.rules": File(b"b=1\n", mark="%config"),
        "/etc/tool.same": File(b"c=1\n", mark="%config(noreplace)"),
        "/var/cache/tool.db": File(mark="%ghost"),
    }
    second = {
        **first,
        "/usr/bin/tool": File(b"#!/bin/sh\necho two\n", 0o755),
        "/usr/bin/t": File(link="tool-one"),
        "/usr/share/tool": File(folder=True, mode=0o750),
        "/usr/share/tool/new": File(folder=True, mode=0o755),
        "/usr/share/tool/new/data": File(b"two"),
        "/etc/tool.conf": File(b"a=2\n", mark="%config(noreplace)"),
        "/etc/tool.rules": File(b"b=2\n", mark="%config"),
    }
    del second["/usr/bin/old"]
    scripts = {"%pre": "/usr/sbin/ldconfig -p >/dev/null", "%post": "/usr/sbin/ldconfig"}
    third = {**second, "/usr/share/tool/data": File(b"three")}
    return {
        "tool-1": build(folder, "tool", "1", first, scripts=scripts),
        "tool-2": build(folder, "tool", "2", second, scripts=scripts, before="1-1"),
        "tool-3": build(folder, "tool", "3", third, before="2-1"),
    }


def _hostile(folder: Path) -> dict[str, tuple[Package, Path]]:
    script = "".join(f"({act}) || true\n" for act in vendor.ACTS.values())
    files = {"/usr/share/demo/version": File(b"1")}
    newer = {"/usr/share/demo/version": File(b"2")}
    shipped = {
        "/usr/bin/sensitive": File(b"x", 0o4755),
        "/usr/bin/capable": File(b"x", 0o755, CAPABLE),
        "/usr/lib/systemd/system/sensitive.service": File(b"x"),
        "/etc/yum.repos.d/sensitive.repo": File(b"x"),
    }
    forge = (
        "import sqlite3; d = sqlite3.connect('{}'); d.execute('delete from Packages'); d.commit()"
    )
    return {
        "demo-1": build(folder, "demo-agent", "1", files),
        "demo-2": build(folder, "demo-agent", "2", newer, before="1-1", release="0"),
        "evil": build(folder, "demo-agent", "2", newer, scripts={"%post": script}, before="1-1"),
        "forger": build(
            folder, "demo-agent", "3", newer, before="1-1",
            scripts={"%posttrans": f'python3 -c "{forge.format(DATABASE)}"'},
        ),
        "sensitive": build(folder, "sensitive", "1", shipped),
        "folder": build(folder, "tool", "4", {"/usr/share/tool": File(b"no folder")}, before="1-1"),
        "watcher": build(
            folder, "watcher", "1", {"/usr/share/watcher": File(b"x")},
            scripts={"%triggerin -- tool": "echo triggered >>/etc/triggered"},
        ),
    }  # fmt: skip


@pytest.fixture(scope="module", name="ground")
def _ground(tmp_path_factory: pytest.TempPathFactory) -> Hosts:
    """The tree and the packages; nothing is up yet."""
    tree = laid("rpm", PACKAGES).tree
    folder = tmp_path_factory.mktemp("rpms")
    owned = {f"/usr/bin/{name}": File(name.encode(), 0o755) for name in ("jq", "openssl")}
    made = {"base-1": build(folder, "base", "1", owned, lines=["Provides: /bin/sh"])}
    made |= _tool(folder) | _hostile(folder)
    world = World(None, tree, Rocky(), {})  # type: ignore[arg-type]  # made by each test
    return Hosts(world, made)


@pytest.fixture(name="hosts")
def _hosts(ground: Hosts, tmp_path: Path) -> Iterator[Hosts]:
    """A fleet of its own for each test."""
    with Fleet(tmp_path / "fleet") as fleet:
        yield Hosts(World(fleet, ground.world.tree, Rocky(), {}), ground.made)  # type: ignore[arg-type]


def test_upgrade_has_one_hash_and_comes_out_to_the_byte(hosts: Hosts) -> None:
    """Links, hard links, folders, modes: the same effects on equal hosts, undone offline."""
    hosts.up("a", "b")
    before, tool = hosts.sweep("a"), hosts.made["tool-2"]
    done = [hosts.drive(host, "upgrade", tool) for host in ("a", "b")]
    assert done[0]["installed"] == {"tool": "2-1"}, done
    assert done[0]["said"].startswith("effects ")
    assert done[0]["said"] == done[1]["said"]
    hosts.said("a", "rpm", "--verify", "tool")
    root = hosts.world.fleet.root("a")
    assert (root / "usr/bin/tool").samefile(root / "usr/bin/tool-one")
    assert differing(before, hosts.sweep("a")) == sorted([
        "/usr/bin/tool", "/usr/bin/tool-one", "/usr/bin/old", "/usr/bin/t", "/usr/share/tool",
        "/usr/share/tool/new", "/usr/share/tool/new/data", "/etc/tool.conf", "/etc/tool.rules",
        DATABASE, "/usr/share/tool/data", "/etc/tool.same",
    ])  # fmt: skip
    back = hosts.back("tool-2", "tool-1")
    hosts.drive("a", "preview", back, undo=True)
    hosts.world.fleet.cut("a")
    assert hosts.drive("a", "undo", back, undo=True)["installed"] == {"tool": "1-1"}
    assert differing(before, hosts.sweep("a")) == []
    hosts.said("a", "rpm", "--verify", "tool")


def test_undo_of_the_first_of_two(hosts: Hosts) -> None:
    """A later change of another package does not stand in the way of an undo."""
    hosts.up("a")
    hosts.said("a", "rpm", "--install", hosts.give("a", hosts.made["demo-1"]))
    before = hosts.sweep("a")
    for name in ("tool-2", "demo-2"):
        assert "error" not in hosts.drive("a", "upgrade", hosts.made[name])
    hosts.drive("a", "undo", hosts.back("tool-2", "tool-1"), undo=True)
    assert set(hosts.said("a", "rpm", "--query", "--all").split()) == {
        "base-1-1.noarch", "demo-agent-2-0.noarch", "tool-1-1.noarch"
    }  # fmt: skip
    hosts.said("a", "rpmdb", "--verifydb")
    assert differing(before, hosts.sweep("a")) == ["/usr/share/demo/version", DATABASE]


def test_one_folder_of_programs(hosts: Hosts) -> None:
    """A host whose `/usr/sbin` is a link to `bin`, as newer distributions have it."""
    hosts.up("a")
    root = hosts.world.fleet.root("a") / "usr"
    for program in (root / "sbin").iterdir():
        program.rename(root / "bin" / program.name)
    (root / "sbin").rmdir()
    (root / "sbin").symlink_to("bin")
    before = hosts.sweep("a")
    done = hosts.drive("a", "upgrade", hosts.made["tool-2"])
    assert done["installed"] == {"tool": "2-1"}, done
    hosts.drive("a", "undo", hosts.back("tool-2", "tool-1"), undo=True)
    assert differing(before, hosts.sweep("a")) == []


def test_configuration_of_the_host_is_kept(hosts: Hosts) -> None:
    """What rpm lays aside is explained: the shipped file, or the host's own, byte for byte."""
    hosts.up("a")
    root = hosts.world.fleet.root("a")
    for name in ("tool.conf", "tool.rules", "tool.same"):
        (root / "etc" / name).write_text("mine\n")
    before = hosts.sweep("a")
    done = hosts.drive("a", "upgrade", hosts.made["tool-2"])
    assert done["installed"] == {"tool": "2-1"}, done
    found = {name: (root / "etc" / name).read_text() for name in (
        "tool.conf", "tool.conf.rpmnew", "tool.rules", "tool.rules.rpmsave", "tool.same"
    )}  # fmt: skip
    assert list(found.values()) == ["mine\n", "a=2\n", "b=2\n", "mine\n", "mine\n"]
    hosts.drive("a", "undo", hosts.back("tool-2", "tool-1"), undo=True)
    assert differing(before, hosts.sweep("a")) == []


def test_sabotage_package_is_refused_and_leaves_no_trace(hosts: Hosts) -> None:
    """A validly built package whose script does fifteen hostile things changes not one byte."""
    hosts.up("a")
    hosts.said("a", "rpm", "--install", hosts.give("a", hosts.made["demo-1"]))
    hosts.give("a", hosts.made["evil"])
    kernel = Path("/proc/sys/kernel/panic").read_text()
    processes, before = running(hosts.world, "a"), hosts.sweep("a")
    done = hosts.drive("a", "upgrade", hosts.made["evil"])
    assert done["error"] == "TransactionDiffers", done
    assert differing(before, hosts.sweep("a")) == []
    assert Path("/proc/sys/kernel/panic").read_text() == kernel
    until(lambda: running(hosts.world, "a") == processes, "nothing of the script runs on")
    named = {line.partition(":")[0] for line in done["also"]}
    assert named >= set(sabotage.PATHS), set(sabotage.PATHS) - named
    assert any("/var/lib/evil/data" in line and "live data" in line for line in done["also"])


def test_script_that_forges_the_database_gets_nowhere(hosts: Hosts) -> None:
    """What a script does to rpm's database is thrown away: rpm writes it anew without it."""
    hosts.up("a")
    hosts.said("a", "rpm", "--install", hosts.give("a", hosts.made["demo-1"]))
    packages = hosts.said("a", "rpm", "--query", "--all")
    done = hosts.drive("a", "upgrade", hosts.made["forger"])
    assert done["installed"] == {"demo-agent": "3-1"}, done
    after = packages.replace("demo-agent-1-1", "demo-agent-3-1")
    assert sorted(hosts.said("a", "rpm", "--query", "--all").split()) == sorted(after.split())


def test_sensitive_effects_that_are_shipped_need_their_class(hosts: Hosts) -> None:
    """A setuid program, a capability, a unit, a package source: each needs to be allowed."""
    hosts.up("a")
    made = hosts.made["sensitive"]
    hosts.give("a", made)
    before = hosts.sweep("a")
    refused = hosts.drive("a", "upgrade", made)
    assert refused["error"] == "TransactionDiffers", refused
    classes = {"setuid", "capability", "unit", "package-source"}
    assert {line.rpartition(": ")[2] for line in refused["also"]} == classes
    assert differing(before, hosts.sweep("a")) == []
    done = hosts.drive("a", "upgrade", made, transaction={"allow": sorted(classes)})
    assert done["installed"] == {"sensitive": "1-1"}, done
    root = hosts.world.fleet.root("a")
    assert (root / "usr/bin/sensitive").stat().st_mode & 0o7777 == 0o4755
    assert os.getxattr(root / "usr/bin/capable", "security.capability")
    hosts.said("a", "rpm", "--verify", "sensitive")


def test_what_nobody_ships_or_rpm_cannot_do_is_refused(hosts: Hosts) -> None:
    """A trigger of another package; a file in the place of a folder; a held lock; drift."""
    hosts.up("a")
    hosts.said("a", "rpm", "--install", hosts.give("a", hosts.made["watcher"]))
    before = hosts.sweep("a")
    done = hosts.drive("a", "upgrade", hosts.made["tool-2"])
    triggered = "/etc/triggered: changed, and nobody ships it; 1 lines come, 0 go"
    assert done.get("also") == [triggered], done
    done = hosts.drive("a", "upgrade", hosts.made["folder"])
    assert "/usr/share/tool from install" in done["message"], done
    assert differing(before, hosts.sweep("a")) == []
    hosts.said("a", "rpm", "--erase", "watcher")
    hold = (
        f"import fcntl, signal; f = open('{Path(DATABASE).parent}/.rpm.lock', 'a');"
        "fcntl.lockf(f, fcntl.LOCK_EX); print('held', flush=True); signal.pause()"
    )
    argv = ["python3", "-c", hold]
    holder = hosts.world.fleet.start_in("a", argv, stdout=subprocess.PIPE)
    assert holder.stdout
    assert holder.stdout.readline() == b"held\n"
    assert hosts.drive("a", "upgrade", hosts.made["tool-2"])["error"] == "Locked"
    holder.kill()
    holder.communicate()
    assert hosts.drive("a", "upgrade", hosts.made["tool-2"])["installed"] == {"tool": "2-1"}
    (hosts.world.fleet.root("a") / "usr/bin/tool").write_bytes(b"another")
    changed = hosts.sweep("a")
    done = hosts.drive("a", "undo", hosts.back("tool-2", "tool-1"), undo=True)
    assert done["also"] == ["/usr/bin/tool", "/usr/bin/tool-one"], done
    assert differing(changed, hosts.sweep("a")) == []


def cut(hosts: Hosts, chance: random.Random, *, undo: bool) -> tuple[dict[str, str], int]:
    """Kill a commit or undo on a fresh host; give what the host was, and the step."""
    most, new = 60, hosts.made["tool-2"]
    while True:
        hosts.up("a")
        before = hosts.sweep("a")
        if undo:
            hosts.drive("a", "upgrade", new)
        step = chance.randint(1, most)
        made = hosts.back("tool-2", "tool-1") if undo else new
        what = "undo" if undo else "upgrade"
        process = hosts.start("a", what, made, undo=undo, die_at=step)
        said = process.communicate()[0]
        if process.returncode in KILLED:
            return before, step
        assert process.returncode == 0, (step, what, said)
        most = step - 1
        hosts.world.fleet.stop("a")


@pytest.mark.parametrize("count", range(KILLS))
def test_killed_at_any_step_of_a_commit(hosts: Hosts, count: int) -> None:
    """A kill, or a power cut, in the middle of a commit or undo is mended at the next start."""
    chance = random.Random(SEED + count)
    undo, power = bool(count % 3 == 2), bool(count % 2)
    before, step = cut(hosts, chance, undo=undo)
    where = f"seed {SEED + count}, step {step}, {'undo' if undo else 'upgrade'}"
    if power:
        hosts.world.fleet.stop("a")
        hosts.world.fleet.up(["a"], hosts.world.tree, fresh=False)
    tool = hosts.made["tool-2"]
    assert "error" not in hosts.drive("a", "recover"), where
    found = hosts.drive("a", "recover", tool)["installed"]
    if found != {"tool": "1-1"}:
        assert found == {"tool": "2-1"}, where
        hosts.drive("a", "undo", hosts.back("tool-2", "tool-1"), undo=True)
    assert differing(before, hosts.sweep("a")) == [], where
    hosts.said("a", "rpm", "--verify", "tool")
