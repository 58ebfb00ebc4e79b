"""The agent and real guards: real databases, consume notes, mirrors and start states."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from answerable.host.enrol import start
from answerable.witness.wire import Answer
from tests.fakes.guards import Town
from tests.fakes.host_world import HostWorld
from tests.host.conftest import Site
from tests.host.test_agent import DONE, MOVED, begun
from tests.simulator.keys import signer


@dataclass
class RealGuards(HostWorld):
    """A world whose guards are real, and cosign the log's head before each question."""

    town: Town | None = field(default=None)

    def _guard(
        self, guard: str, path: str, body: bytes, query: dict[str, list[str]]
    ) -> tuple[int, bytes]:
        assert self.town
        told = len(self.town.authority.entries)
        self.town.say(*self.entries[told:])
        one = self.town.guards[guard]
        offered = self.town.offer(one)
        assert offered.status == 200, offered
        kind, _, rest = path.partition("/")
        if kind == "fresh":
            return _given(one.fresh.answer([body])[0])
        if kind == "start":
            return _given(one.start.answer(query["host"][0], query["nonce"][0]))
        name, _, place = rest.partition("/")
        origin = one.origin(name)
        data = (
            one.mirror.checkpoint(origin)
            if place == "checkpoint"
            else one.mirror.get(origin, place)
        )
        return (200, data) if data is not None else (404, b"")


def _given(answer: Answer) -> tuple[int, bytes]:
    return answer.status, answer.body


@pytest.fixture
def real(site: Site, tmp_path: Path) -> Iterator[RealGuards]:
    """Put real guards into the site's world."""
    folder = tmp_path / "guards"
    folder.mkdir()
    site.world.__class__ = RealGuards
    world = site.world
    assert isinstance(world, RealGuards)
    world.town = Town(folder, world.sim)
    world.town.everybody()
    yield world
    for guard in world.town.guards.values():
        guard.close()


def test_an_order_is_done_with_real_guards(site: Site, real: RealGuards) -> None:
    """Questions, records, consume notes and receipts are what real guards take and give."""
    real.hand_out(real.sim.permitted())
    assert site.outcome() == DONE
    assert sorted(site.driver.applied) == MOVED
    assert len(begun(site)) == 3


def test_a_restored_host_is_found_out_by_real_guards(site: Site, real: RealGuards) -> None:
    """Their databases remember what this host has begun."""
    real.hand_out(real.sim.permitted())
    copy = site.place.with_name("copy")
    shutil.copytree(site.place, copy)
    site.look()
    shutil.rmtree(site.place)
    copy.rename(site.place)
    assert site.outcome() == [("up", "refused", "state_rolled_back")]


def test_real_mirrors_serve_the_log(site: Site, real: RealGuards) -> None:
    """With the log away the host follows what the guards keep."""
    real.hand_out(real.sim.permitted())
    real.dead.add("log")
    assert site.outcome() == DONE


def test_a_real_start_state_is_taken(site: Site, real: RealGuards) -> None:
    """Tables, leaves and a reply to this host's nonce; then the log is followed from there."""
    home = site.home()
    asked = (signer("web1").key, "5a" * 16)
    home.kept.start_from(
        start(home.client, home.follower.guards(), home.charter, home.fleet, asked)
    )
    real.sim.append(b"later")
    assert site.home().follower.follow() == len(real.entries)
    assert site.home().kept.state.digest() == real.sim.state.digest()
