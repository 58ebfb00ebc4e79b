"""Hosts that boot real systemd, for live tests. Not a test.

The tree has what is patched and what notices: nginx and sshd map OpenSSL, needrestart is somebody
else's word for who runs old files. It is built once and kept; the mirror is the other live
tests'. Each test has hosts of its own.
"""

import shutil
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from answerable.demo.alone import alone
from answerable.demo.fleet import Fleet
from answerable.demo.probe import BOOTED_HOSTS
from answerable.demo.scenes.hosts import build_artefact
from tests.live import pending
from tests.live.test_fleet import CACHE, World, laid, served
from tests.live.test_transaction import drive

NEEDS = pytest.mark.needs("stacked", *BOOTED_HOSTS)
PACKAGES = (
    "python3", "bubblewrap", "openssl", "jq", "systemd-sysv", "dbus", "nginx-light",
    "openssh-server", "needrestart",
)  # fmt: skip
UNITS = ("nginx", "ssh")
INIT = "/sbin/init"
RETRIES = 3
"""How often a unit that was late is started again."""
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
    """A fleet whose hosts boot; `late` counts how often a unit was not up in time."""

    late: Counter[tuple[str, str]] = field(default_factory=Counter)

    def up(self, *hosts: str) -> None:
        """Start fresh hosts; wait until they run."""
        super().up(*hosts)
        self.ready(*hosts)

    def equip(self, host: str) -> None:
        """Put the whole agent and what it needs on a host, beside the drivers."""
        artefact = build_artefact(self.fleet.directory)
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
        """Whether `group` is mapped by `UNITS` and the manager: OpenSSL is."""
        return not set(self.group()) & set(pending.NAMES)

    def _state(self, host: str) -> str:
        state = self.said(host, "systemctl", "is-system-running").strip()
        if state == "degraded":
            told = self.said(host, "systemctl", "--failed", "--plain", "--no-legend")
            for unit in [line.split()[0] for line in told.splitlines()]:
                show = ("systemctl", "show", "--property=Result", "--value", unit)
                late = self.said(host, *show).strip() == "timeout"
                self.late[host, unit] += 1
                # A busy machine makes a unit late, and nothing else of what can fail it.
                if not late or self.late[host, unit] > RETRIES:
                    pytest.fail(f"`{host}`: {told}")
                self.said(host, "systemctl", "reset-failed", unit)
                self.said(host, "systemctl", "start", unit)
        return state


@pytest.fixture(scope="module", name="ground")
def _ground() -> Booted:
    """The tree and the mirror; nothing is up yet."""
    made = laid("systemd", PACKAGES)
    with alone(made.tree.parent):
        for unit in _MASKED:
            if not (made.tree / "etc/systemd/system" / unit).is_symlink():
                (made.tree / "etc/systemd/system" / unit).symlink_to("/dev/null")
    return Booted(made.fleet, made.tree, made.distribution, made.updates)


@pytest.fixture(name="world")
def _world(ground: Booted, tmp_path: Path) -> Iterator[Booted]:
    """A fleet of its own for each test, its mirror served."""
    with Fleet(tmp_path / "fleet", [CACHE], INIT) as fleet:
        served(fleet)
        yield Booted(fleet, ground.tree, ground.distribution, ground.updates)
    shutil.rmtree(tmp_path / "fleet")  # twenty patched hosts are two gigabytes
