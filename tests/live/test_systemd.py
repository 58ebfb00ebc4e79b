"""Hosts with real systemd as their first process: all pending updates, restarts, repair."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from answerable.demo.hub import CGROUP, cgroup_folders
from answerable.host.services.stale import MANAGER
from tests.live import sabotage
from tests.live.systemd import (  # noqa: F401  fixtures are found by their names here
    NEEDS,
    UNITS,
    Booted,
    _ground,
    _world,
    patiently,
)
from tests.live.test_transaction import KILLED, differing, drive, start, sweep

pytestmark = [pytest.mark.live, NEEDS]
FLEET = tuple(f"h{n:02}" for n in range(20))
WRITTEN = ("/var/log/", "/var/tmp/")  # noqa: S108  of the host
"""Where a host writes whenever it boots."""
AT_ONCE = 3
"""Hosts that are patched at the same time; two cores have no use for more."""


def test_twenty_hosts_take_all_that_is_pending(world: Booted) -> None:
    """Each host rehearses, explains and commits it all; services run on, and their need is told."""
    world.up(*FLEET)
    boots = {host: world.boot(host) for host in FLEET}
    assert len(set(boots.values())) == len(FLEET)
    names = sorted(world.updates)
    pids = {host: [world.pid(host, unit) for unit in UNITS] for host in FLEET}

    def patch(host: str) -> dict[str, Any]:
        return drive(world, host, "upgrade", *names)

    with ThreadPoolExecutor(AT_ONCE) as pool:
        done = dict(zip(FLEET, pool.map(patch, FLEET), strict=True))
    for host, answer in done.items():
        assert answer["installed"] == world.versions(names, "new"), (host, answer)
        assert answer["said"].partition(",")[0] == done["h00"]["said"].partition(",")[0], host
        assert world.said(host, "dpkg", "--audit") == "", host
        assert [world.pid(host, unit) for unit in UNITS] == pids[host], host
        assert world.boot(host) == boots[host]
        world.ready(host)
    if world.mapped:
        assert world.in_need("h00") >= {*UNITS, MANAGER}


def test_a_restart_ends_what_an_update_left(world: Booted) -> None:
    """Services map the old library until they are restarted; needrestart says the same."""
    world.up("a")
    world.equip("a")
    assert world.in_need("a") == set()
    before = {unit: world.pid("a", unit) for unit in UNITS}
    restart = {"result": "succeeded", "reason": "not_needed"}
    assert drive(world, "a", "restart", unit="nginx").items() >= restart.items()
    names = world.group()
    done = drive(world, "a", "upgrade", *names)
    assert done["installed"] == world.versions(names, "new"), done
    if not world.mapped:
        world.said("a", "sh", "-c", AS_IF)
    assert world.in_need("a") >= {*UNITS, MANAGER}
    assert needrestart(world, "a") == world.in_need("a")
    said = drive(world, "a", "restart", unit="nginx.service")
    assert (said["result"], said["reason"]) == ("succeeded", ""), said
    assert "installed, not effective in " in said["detail"]
    assert "ssh" in said["detail"]
    assert world.pid("a", "nginx") != before["nginx"]
    assert world.pid("a", "ssh") == before["ssh"], "nobody ordered it"
    assert "nginx" not in world.in_need("a")
    for unit in sorted(world.in_need("a")):
        assert drive(world, "a", "restart", unit=unit)["result"] == "succeeded", unit
    assert world.in_need("a") == needrestart(world, "a") == set()
    assert drive(world, "a", "restart", unit="no-such-unit")["error"] == "ServiceFailed"
    world.ready("a")


AS_IF = 'for l in /usr/lib/*/libcrypto.so.3; do cp -a "$l" "$l.new" && mv "$l.new" "$l"; done'
"""What an update of OpenSSL does to whoever maps it, on a day on which `group` is our own."""


def needrestart(world: Booted, host: str) -> set[str]:
    """Give what needrestart finds, in its own process."""
    said = world.said(host, "needrestart", "-b", "-r", "l").splitlines()
    rows = [line.removeprefix("NEEDRESTART-SVC: ") for line in said if "-SVC: " in line]
    return {row.removesuffix(".service") for row in rows}


def test_sabotage_undo_and_repair_on_a_booted_host(world: Booted, tmp_path: Path) -> None:
    """A hostile package leaves no trace; an undo is to the byte; a torn commit ends with a boot."""
    world.up("a")
    package, debs = sabotage.hostile(tmp_path)
    root = world.fleet.root("a")
    for deb in debs:
        (root / deb.name).write_bytes(deb.read_bytes())
    world.said("a", "dpkg", "--install", f"/{debs[0].name}")
    before = sweep(world, "a")
    row = [package.name, package.before, package.after, package.sha256]
    urls = {package.sha256: f"file:///{debs[1].name}"}
    refused = drive(world, "a", "upgrade", packages=[row], urls=urls)
    assert refused["error"] == "TransactionDiffers", refused
    assert {line.partition(":")[0] for line in refused["also"]} >= set(sabotage.PATHS)
    assert differing(before, sweep(world, "a")) == []
    names = world.group()
    assert drive(world, "a", "upgrade", *names)["installed"] == world.versions(names, "new")
    assert drive(world, "a", "undo", *names, undo=True)["installed"] == world.versions(names, "old")
    assert differing(before, sweep(world, "a")) == []
    torn = start(world, "a", "upgrade", *names, die_at=100)
    torn.communicate()
    assert torn.returncode in KILLED
    world.fleet.stop("a")
    world.fleet.up(["a"], world.tree, fresh=False)
    world.ready("a")
    assert "error" not in drive(world, "a", "recover")
    changed = differing(before, sweep(world, "a"))
    assert [path for path in changed if not path.startswith(WRITTEN)] == []


def test_a_reboot_is_real_and_clears_run(world: Booted) -> None:
    """Another boot id, the same machine and disk, /run empty; a host that is held stays down."""
    world.up("a")
    run, disk = (f"/{folder}/of-this-boot" for folder in ("run", "var/lib"))
    world.said("a", "touch", run, disk)
    boot, machine = world.boot("a"), world.said("a", "cat", "/etc/machine-id")
    world.said("a", "systemctl", "reboot")
    world.reboot("a")
    assert world.boot("a") != boot
    assert world.said("a", "cat", "/etc/machine-id") == machine
    assert world.said("a", "sh", "-c", f"ls {run} {disk} 2>/dev/null").split() == [disk]
    world.fleet.hold("a")
    world.said("a", "systemctl", "reboot")
    patiently(lambda: world.fleet.rebooted("a"), "it goes down")
    assert world.fleet.names == []


def test_a_late_unit_gets_another_chance_and_a_broken_one_none(world: Booted) -> None:
    """A busy machine fails no test by a unit's timeout; what fails by itself is named at once."""
    world.up("a")
    units = world.fleet.root("a") / "etc/systemd/system"
    for name, act in (("late", "mkdir /var/lib/late || exit 0; sleep 600"), ("broken", "exit 1")):
        text = f"[Service]\nType=oneshot\nTimeoutStartSec=1\nExecStart=/bin/sh -c '{act}'\n"
        (units / f"{name}.service").write_text(text)
    world.said("a", "systemctl", "daemon-reload")
    world.said("a", "systemctl", "start", "late")
    assert world.said("a", "systemctl", "is-failed", "late").strip() == "failed"
    world.ready("a")
    assert world.late == {("a", "late.service"): 1}
    world.said("a", "systemctl", "start", "broken")
    with pytest.raises(pytest.fail.Exception, match=r"broken\.service"):
        world.ready("a")


def test_a_killed_test_leaves_no_cgroup(ground: Booted, tmp_path: Path) -> None:
    """Whoever holds the fleet is killed, and its hosts' cgroups are gone."""
    text = (
        "import sys; from pathlib import Path; from answerable.demo.fleet import Fleet;"
        f"f = Fleet(Path({str(tmp_path / 'f')!r}), [], '/sbin/init');"
        f"f.up(['a'], Path({str(ground.tree)!r})); print(f._pid, flush=True); sys.stdin.read()"
    )
    words, pipe = [sys.executable, "-c", text], subprocess.PIPE
    process = subprocess.Popen(words, stdin=pipe, stdout=pipe)
    assert process.stdout
    hub = process.stdout.readline().decode().strip()

    def cgroups() -> list[Path]:
        return [p for f in cgroup_folders() for p in f.glob(f"{CGROUP}{hub}-*")]

    assert cgroups()
    process.kill()
    process.communicate()
    patiently(lambda: not cgroups(), "its cgroups are removed")
