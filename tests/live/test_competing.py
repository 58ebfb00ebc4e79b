"""Updaters of a real Debian host with real systemd: seen as they are, and masked for good."""

import json
from pathlib import Path

import pytest

from tests.live.systemd import (  # noqa: F401  fixtures are found by their names here
    NEEDS,
    Booted,
    _ground,
    _world,
)

pytestmark = [pytest.mark.live, NEEDS]
DAILY = ("apt-daily.timer", "apt-daily.service", "apt-daily-upgrade.timer",
         "apt-daily-upgrade.service")  # fmt: skip
FIND = """
import json, pathlib, sys
sys.path.insert(0, '/opt')
from answerable.host import competing
root = pathlib.Path('/')
if sys.argv[1:]:
    competing.own_updates(root, root / 'run/own.log')
print(json.dumps({one.name: one.state for one in competing.find(root)}))
"""


def found(world: Booted, *words: str) -> dict[str, str]:
    """Give each updater's state, as the agent on the host finds it."""
    states: dict[str, str] = json.loads(world.said("a", "python3", "-c", FIND, *words))
    return states


def timers(world: Booted) -> set[str]:
    """Give the timers that systemd waits for."""
    said = world.said("a", "systemctl", "list-units", "--type=timer", "--state=active", "--plain")
    return {line.split()[0] for line in said.splitlines() if line.startswith("apt-")}


def test_updaters_are_found_and_masked_for_good(world: Booted) -> None:
    """The fleet masks them; unmasked they run, and `own_updates` ends that also for systemd."""
    world.up("a")
    assert set(found(world).values()) == {"masked"}
    root: Path = world.fleet.root("a")
    world.said("a", "systemctl", "unmask", *DAILY)
    world.said("a", "systemctl", "enable", "--now", "apt-daily.timer", "apt-daily-upgrade.timer")
    assert timers(world) == {"apt-daily.timer", "apt-daily-upgrade.timer"}
    assert found(world)["apt-daily"] == "disabled", "the fleet switches it off by apt's settings"
    (root / "etc/apt/apt.conf.d/99fleet").unlink()
    both = {"apt-daily": "idle", "apt-daily-upgrade": "idle"}
    assert found(world).items() >= both.items(), found(world)
    periodic = 'APT::Periodic::Unattended-Upgrade "1";\n'
    (root / "etc/apt/apt.conf.d/20auto-upgrades").write_text(periodic)
    (root / "usr/bin/unattended-upgrade").write_text("#!/bin/sh\n")
    assert found(world)["apt-daily-upgrade"] == "active"
    assert set(found(world, "own").values()) == {"masked"}
    assert timers(world) == set()
    assert "masked" in world.said("a", "systemctl", "is-enabled", "apt-daily-upgrade.timer")
