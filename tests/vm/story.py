"""The machine and the world around it, as its tests find them one after another. Not a test."""

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from answerable.host.install import UNITS as AGENTS
from answerable.kernel.canon import encode
from tests.simulator import Order
from tests.vm.disk import Disk
from tests.vm.machine import Machine
from tests.vm.orders import Move, Plans, Real

HOME, AGENTD = "var/lib/answerable", "/run/answerable-agentd/socket"
ROOM = 512 << 20
"""Room of a snapshot of the root, bytes."""
ANSWERABLE = ("/usr/bin/python3", "-I", "-S", "/usr/local/lib/answerable")


def settings(path: Path) -> None:
    """Complete a host's settings: its own apt, systemd, and snapshots of its root."""
    given = json.loads(path.read_text()) | {
        "agentd": {"socket": AGENTD, "user": "answerable-agentd"},
        "services": {"kind": "systemd"},
        "checks": {"nginx": {"url": "http://127.0.0.1:80/", "within": 300}},
        "driver": {"kind": "apt", "ecosystem": "debian:12"},
        "snapshots": {"kind": "lvm", "volume": "vg/root", "bytes": ROOM},
    }
    path.write_text(encode(given))


@dataclass
class Story:
    """What the tests go through together."""

    disk: Disk
    plans: Plans
    world: Real
    machine: Machine
    disks: Sequence[Path]
    place: Path

    def order(self, move: Move) -> Order:
        """Let the control plane hand out the order of a move."""
        order = self.world.sim.play(self.world.host, edit=move.edit)
        self.world.hand_out(order)
        return order

    def boot(self, name: str) -> Machine:
        """Switch the machine on again, by its own boot sector."""
        self.machine = Machine(self.place / name, self.disks)
        self.machine.up()
        return self.machine

    def start(self) -> None:
        """Start the agent."""
        self.machine.do("systemctl", "enable", "--now", *AGENTS[:2])

    def status(self) -> dict[str, Any]:
        """Give what the host's own status says."""
        said = self.machine.do(*ANSWERABLE, "status", "--dir", f"/{HOME}", "--output", "json")
        found: dict[str, Any] = json.loads(said)
        return found

    def snapshots(self) -> list[str]:
        """Give the names of the snapshots that the host's status shows."""
        rows = self.status()["kept"].get("rows", [])
        return [row["name"] for row in rows if row["kind"] == "lvm snapshot"]

    def heard(self, since: int, last: str) -> list[tuple[str, str, str]]:
        """Wait until the host has reported a change since, or failed; give what it said since."""
        patiently(
            lambda: any(row[0] == last or row[1] == "failed" for row in self._since(since)),
            f"`{last}` is reported",
        )
        return self._since(since)

    def _since(self, since: int) -> list[tuple[str, str, str]]:
        return [row for row in self.world.said()[since:] if row[1] != "refused"]


def patiently(holds: Callable[[], object], what: str) -> None:
    """Wait for what an emulated machine takes many minutes for; give up after some two hours."""
    for _ in range(36_000):
        if holds():
            return
        time.sleep(0.2)
    pytest.fail(f"never came true: {what}")
