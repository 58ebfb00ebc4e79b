"""The agent's own units on a booted host: one real order, from the upgrade through the reboot.

The world around it is the simulator's, served in the fleet's network; packages, services and the
reboot are real. Left out: what each wall of the units holds back (test_units.py).
"""

import json
import re
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.demo.mirror import Update
from answerable.host.install import UNITS as AGENTS
from answerable.kernel.canon import Json, encode
from scripts.host_artefact import build
from tests.fakes.fake_driver import FakeDriver, FakeServices
from tests.fakes.host_world import Answer, HostWorld, serving
from tests.host.conftest import Site
from tests.live.systemd import (  # noqa: F401  fixtures are found by their names here
    NEEDS,
    Booted,
    _ground,
    _world,
    patiently,
)
from tests.live.test_fleet import MIRROR
from tests.simulator import constitution as law

pytestmark = [pytest.mark.live, NEEDS, pytest.mark.needs("landlock", "host-python")]
HOST, HOME = "web1", "var/lib/answerable"
AGENTD = "/run/answerable-agentd/socket"


@dataclass
class Real(HostWorld):
    """A world whose control plane has the mirror's packages too."""

    files: dict[str, Path] = field(default_factory=dict)

    def _control(self, path: str) -> Answer:
        name = path.rpartition("/")[2]
        if name in self.files:
            return 200, self.files[name].read_bytes()
        return super()._control(path)


class Plan:
    """What a real update is as facts, and as an order; each package goes with the first."""

    def __init__(self, world: Booted) -> None:
        self.updates = [world.updates[name] for name in world.group()]
        self.ecosystem = world.distribution.ecosystem
        first = self.updates[0].new
        given = {"ecosystem": self.ecosystem, "source": first.source}
        self.fix = law.advisory("CVE-2026-0001", first.package, first.version, **given)

    def facts(self) -> list[str]:
        """Give the advisory, and every artefact."""
        rows = [self.fix]
        for one in (each for update in self.updates for each in (update.new, update.old)):
            spelled = json.loads(law.artefact(one.package, one.version))
            more = {"ecosystem": self.ecosystem, "sha256": one.sha256, "source": one.source}
            rows.append(encode({**spelled, **more}))
        return sorted(rows, key=str.encode)

    def edit(self, order: Json) -> None:
        """Plan the update, restarts of three units, a reboot, and a health check."""
        up, _, health = order["changes"]
        up |= {"ecosystem": self.ecosystem, "packages": list(map(self._move, self.updates))}
        after = {"caused_by": "up", "risk": "low"}
        units = {"web": "nginx.service", "bus": "dbus", "manager": "systemd-manager",
                 "carrier": AGENTS[0], "agent": AGENTS[1]}  # fmt: skip
        rows = [{"id": i, "type": "restart", "unit": u, **after} for i, u in units.items()]
        boot = {"id": "boot", "type": "reboot", **after}
        order["changes"] = [up, *rows, boot, health]
        back = order["undo"][0]
        back |= {"ecosystem": self.ecosystem, "packages": [
            {"name": u.new.package, "from": u.new.version, "to": u.old.version,
             "sha256": u.old.sha256} for u in self.updates
        ]}  # fmt: skip

    def _move(self, update: Update) -> Json:
        first = update is self.updates[0]
        cited = (self.fix,) if first else ()
        of = "" if first else self.updates[0].new.package
        old, new = update.old.version, update.new.version
        made = law.fix(update.new.package, old, new, *cited, dependency_of=of)
        return {**made, "sha256": update.new.sha256}


@pytest.fixture
def plan(world: Booted) -> Plan:
    """The update of one source that is really pending."""
    return Plan(world)


@pytest.fixture
def around(world: Booted, plan: Plan) -> Iterator[Real]:
    """Log, guards and control plane, where the fleet's hosts reach them."""
    with ExitStack() as stack:
        with world.fleet.in_network():
            served = serving(HOST, world.fleet.hub_address, Real, facts=plan.facts())
            found = stack.enter_context(served)
        assert isinstance(found, Real)
        for one in (each for u in plan.updates for each in (u.new, u.old)):
            found.files[one.sha256] = MIRROR / one.suite / one.path
            assert sha256(found.files[one.sha256].read_bytes()).hexdigest() == one.sha256
        yield found


def installed(world: Booted, around: Real, folder: Path) -> Path:
    """Boot a host with the agent's units enabled and its record enrolled; give its home."""
    world.up(HOST)
    root = world.fleet.root(HOST)
    build(folder / "agent")
    words = ["/usr/bin/python3", "-I", "-S", str(folder / "agent"), "install", "--root", str(root)]
    subprocess.run(words, check=True, capture_output=True)
    world.said(HOST, "systemd-sysusers")
    site = Site(around, folder / "site", FakeDriver(folder), FakeServices(folder))
    site.enrol()
    given = json.loads((site.place / "settings.json").read_text()) | {
        "agentd": {"socket": AGENTD, "user": "answerable-agentd"},
        "services": {"kind": "systemd"},
        "checks": {"nginx": {"url": "http://127.0.0.1:80/"}},
        "driver": {"kind": "apt", "ecosystem": world.distribution.ecosystem,
                   "transaction": {"allow": list[str]()}},
    }  # fmt: skip
    (site.place / "settings.json").write_text(encode(given))
    (root / HOME).mkdir(mode=0o700)
    for file in site.place.iterdir():
        (root / HOME / file.name).write_bytes(file.read_bytes())
        (root / HOME / file.name).chmod(0o600)
    (root / "etc/answerable").mkdir()
    peers = [around.url, "http://127.0.0.1:80"]
    (root / "etc/answerable/agentd.json").write_text(encode({"peers": peers, "socket": AGENTD}))
    world.said(HOST, "systemctl", "daemon-reload")
    world.said(HOST, "systemctl", "enable", *AGENTS[:2])
    return root / HOME


def done(around: Real) -> list[tuple[str, str, str]]:
    """Give what the host said; while agentd starts anew it may also say that it waits."""
    return [row for row in around.said() if row[1] != "refused"]


def test_an_order_is_done_through_a_reboot(
    world: Booted, plan: Plan, around: Real, tmp_path: Path
) -> None:
    """Upgrade, restarts by need, one reboot, health: each reported once, by three agents in turn.

    The host stays away at first: nobody hears of it until somebody starts it again.
    """
    home = installed(world, around, tmp_path)
    boot = world.boot(HOST)
    around.hand_out(around.sim.play(HOST, edit=plan.edit))
    world.said(HOST, "systemctl", "start", *AGENTS[:2])
    world.fleet.hold(HOST)
    patiently(lambda: world.fleet.rebooted(HOST), "it goes down")
    assert HOST not in world.fleet.names
    away = done(around)
    world.fleet.up([HOST], world.tree, fresh=False)
    patiently(lambda: around.said("health"), "it reports after the reboot")
    assert done(around)[: len(away)] == away
    # agentd is an interpreter, older than any change of packages: it may be in need on any day.
    why = "" if world.mapped else "not_needed"
    assert done(around) == [
        ("up", "succeeded", ""), ("web", "succeeded", why), ("bus", "succeeded", "not_needed"),
        ("manager", "succeeded", why), ("carrier", "succeeded", ""),
        ("agent", "succeeded", "not_needed"), ("boot", "succeeded", "rebooted"),
        ("health", "succeeded", ""),
    ]  # fmt: skip
    bodies = {b["change"]: b for b in around.reports.values() if b["result"] != "refused"}
    if world.mapped:
        assert "installed, not effective in " in bodies["up"]["detail"]
        assert {"nginx", "ssh"} <= set(bodies["up"]["detail"].replace(",", "").split())
        assert "nginx" not in bodies["web"]["detail"]
    assert "boot" not in {change for change, _, _ in away}
    left = bodies["agent"]["detail"]
    assert left == f"`{AGENTS[1]}` runs nothing that was replaced"
    assert world.boot(HOST) != boot
    assert re.match("boot `([^`]+)` after `(?!\\1`)", bodies["boot"]["detail"]), bodies["boot"]
    begun = [line for line in (home / "journal").read_text().splitlines() if '"begun"' in line]
    assert len(begun) == len(bodies)
    world.ready(HOST)
    assert not world.fleet.rebooted(HOST)
    assert world.in_need(HOST) == set()
