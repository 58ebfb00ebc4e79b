"""A host at home: its directory, enrolled in a served world, with fake tools."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from answerable.host.actions.act import Tools
from answerable.host.agent import Agent, Row
from answerable.host.home import Home, World
from answerable.host.services.service import Check
from answerable.kernel.canon import encode
from answerable.kernel.note import ED25519
from tests.fakes.fake_driver import FakeDriver, FakeServices
from tests.fakes.host_world import HostWorld, serving
from tests.simulator.keys import seed, signer


def write_key(path: Path, host: str) -> None:
    """Give a host the key that the simulator enrolled it with."""
    key = signer(host).key
    secret = base64.b64encode(bytes([ED25519]) + seed(f"{host}/{ED25519}/1")).decode()
    path.write_text(f"PRIVATE+KEY+{host}+{key.id.hex()}+{secret}\n")
    path.chmod(0o600)


@dataclass
class Site:
    """One host: its directory, its tools, and the world around it."""

    world: HostWorld
    place: Path
    driver: FakeDriver
    services: FakeServices
    checks: dict[str, Check] = field(default_factory=dict)
    slept: list[float] = field(default_factory=list)

    def enrol(self) -> None:
        """Lay out the directory of an enrolled host."""
        sim, host = self.world.sim, self.world.host
        self.place.mkdir(mode=0o700)
        write_key(self.place / "key", host)
        enrolled = self.world.enrolled()
        proof = {
            "record": enrolled.record, "enrolment": enrolled.enrolment, "index": enrolled.place,
            "path": [step.hex() for step in enrolled.path],
        }  # fmt: skip
        (self.place / "enrolled.json").write_text(json.dumps(proof))
        (self.place / "record.json").write_text(enrolled.record)
        (self.place / "charter.note").write_bytes(sim.history[0][1])
        settings = {"control": f"{self.world.url}/control", "log": f"{self.world.url}/log"}
        (self.place / "settings.json").write_text(encode({**settings, "poll": 1}))
        installed = sim.members[host].installed
        self.driver.install({name.partition("/")[2]: v for name, v in installed.items()})

    def home(self) -> Home:
        """Open the directory, by the simulator's boot-time clock."""
        sim = self.world.sim

        def nonce() -> str:
            sim.nonces += 1
            return f"{sim.nonces:032x}"

        return Home(self.place, World(sim.boot, nonce, self.slept.append))

    def agent(self, patience: int = 1) -> Agent:
        """Start the agent anew, as after a reboot."""
        home = self.home()
        return home.agent(Tools(self.driver, self.services, self.checks, ask=home.ask), patience)

    def look(self, patience: int = 1) -> list[Row]:
        """Let a new agent make one pass."""
        return self.agent(patience).look()

    def outcome(self) -> list[tuple[str, str, str]]:
        """Let a new agent make one pass; give change, state and reason of each row."""
        return [(row.about.change, row.state, row.reason) for row in self.look()]


@pytest.fixture
def world() -> Iterator[HostWorld]:
    """A served world."""
    with serving() as served:
        yield served


@pytest.fixture
def site(world: HostWorld, tmp_path: Path) -> Site:
    """A host of it, enrolled."""
    made = Site(
        world, tmp_path / "agent", FakeDriver(tmp_path / "tool"), FakeServices(tmp_path / "tool"),
        {"nginx": Check("tcp", "127.0.0.1", int(world.url.rpartition(":")[2]), within=1)},
    )  # fmt: skip
    made.enrol()
    return made
