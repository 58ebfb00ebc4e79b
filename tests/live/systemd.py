"""Hosts that boot real systemd, for live tests. Not a test.

The tree has what is patched and what notices: nginx and sshd map OpenSSL, needrestart is somebody
else's word for who runs old files. It is built once and kept in `.cache/systemd`; the mirror is the
other live tests'. Each test has hosts of its own.
"""

import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from answerable.demo import appliance, basetree, mirror
from answerable.demo.distribution import this_machine
from answerable.demo.fleet import Fleet
from answerable.demo.probe import BOOTED_HOSTS
from answerable.demo.scenes.hosts import build_artefact
from tests.live.test_fleet import World, served
from tests.live.test_transaction import drive
from tests.structure.source import ROOT

NEEDS = pytest.mark.needs("stacked", *BOOTED_HOSTS)
PACKAGES = (
    "python3", "bubblewrap", "openssl", "jq", "systemd-sysv", "dbus", "nginx-light",
    "openssh-server", "needrestart",
)  # fmt: skip
UNITS = ("nginx", "ssh")
INIT = "/sbin/init"
# What a host does by itself at some time of the day must not be in the middle of a test; what waits
# for a console takes two inotify instances a host, and the kernel has 128 for all of root's.
_MASKED = (
    "dpkg-db-backup.timer", "e2scrub_all.timer", "systemd-tmpfiles-clean.timer",
    "systemd-ask-password-console.path", "systemd-ask-password-wall.path",
)  # fmt: skip


def patiently(holds: Any, what: str) -> None:  # noqa: ANN401  any callable
    """Wait for what takes many steps on a busy machine; give up after some five minutes."""
    for _ in range(3000):
        if holds():
            return
        time.sleep(0.1)
    pytest.fail(f"never came true: {what}")


@dataclass
class Booted(World):
    """A fleet whose hosts boot."""

    def up(self, *hosts: str) -> None:
        """Start fresh hosts, and wait until they run."""
        super().up(*hosts)
        self.ready(*hosts)

    def equip(self, host: str) -> None:
        """Put the whole agent and what it needs on a host, beside the drivers."""
        artefact = build_artefact(self.tree.parent)
        shutil.copytree(artefact, self.fleet.root(host) / "opt", dirs_exist_ok=True)

    def ready(self, *hosts: str) -> None:
        """Wait until hosts have booted and every unit of theirs is well."""
        for host in hosts:
            patiently(lambda host=host: self._state(host) == "running", f"`{host}` runs")

    def reboot(self, host: str) -> None:
        """Wait until a host that was asked for it has rebooted."""
        patiently(lambda: self.fleet.rebooted(host), f"`{host}` comes back")
        self.ready(host)

    def boot(self, host: str) -> str:
        """Give the id of a host's boot."""
        return self.said(host, "cat", "/proc/sys/kernel/random/boot_id").strip()

    def pid(self, host: str, unit: str) -> int:
        """Give a unit's main process."""
        words = ("systemctl", "show", "--property=MainPID", "--value", unit)
        return int(self.said(host, *words))

    def in_need(self, host: str) -> set[str]:
        """Give the units of a host that run replaced files."""
        found: dict[str, Any] = drive(self, host, "need")["need"]
        return set(found)

    @property
    def mapped(self) -> bool:
        """Whether what is pending today is mapped by `UNITS`: OpenSSL is, on most days."""
        return "libssl3" in self.updates

    def _state(self, host: str) -> str:
        state = self.said(host, "systemctl", "is-system-running").strip()
        if state == "degraded":
            pytest.fail(self.said(host, "systemctl", "--failed", "--plain", "--no-legend"))
        return state


@pytest.fixture(scope="module", name="ground")
def _ground() -> Booted:
    """The tree and the mirror; nothing is up yet."""
    cache, shared = ROOT / ".cache/systemd", ROOT / ".cache/fleet/mirror"
    cache.mkdir(parents=True, exist_ok=True)
    distribution = this_machine()
    release = mirror.fetch_release(shared, distribution.main)
    mirror.fetch_release(shared, distribution.security)
    deb = appliance.build_deb(cache)
    tree = basetree.base_tree(cache, distribution, release, deb, print, PACKAGES)
    for unit in _MASKED:
        if not (tree / "etc/systemd/system" / unit).is_symlink():
            (tree / "etc/systemd/system" / unit).symlink_to("/dev/null")
    made = mirror.make_mirror(shared, distribution, basetree.installed(tree), int(time.time()))
    updates = {u.new.package: u for u in made.updates}
    return Booted(None, tree, distribution, updates)  # type: ignore[arg-type]  # made by each test


@pytest.fixture(name="world")
def _world(ground: Booted, tmp_path: Path) -> Iterator[Booted]:
    """A fleet of its own for each test, its mirror served."""
    shared = ROOT / ".cache/fleet"
    with Fleet(tmp_path / "fleet", [shared], INIT) as fleet:
        served(fleet, shared / "mirror")
        yield Booted(fleet, ground.tree, ground.distribution, ground.updates)
    shutil.rmtree(tmp_path / "fleet")  # twenty patched hosts are two gigabytes
