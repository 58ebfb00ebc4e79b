"""Models in service: only the file that two people released is loaded; else rules rank alone."""

from collections.abc import Iterator
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.bootstrap import models
from answerable.bootstrap.follow import Logs
from answerable.bootstrap.models import FEED, Served, checked, demand_people, release_body
from answerable.config import Party, write_private
from answerable.exposure.golden import shadow
from answerable.kernel.charter import Charter
from answerable.kernel.errors import Refused
from answerable.kernel.merkle import leaf_hash
from tests.bootstrap.village import LOG, Village, village
from tests.exposure.models import MODEL, golden

DATA = MODEL.text.encode()
OTHER = replace(MODEL, intercept=MODEL.intercept + 1).text.encode()


class Ground:
    """A village with a control plane's directory."""

    def __init__(self, town: Village) -> None:
        """Follow its logs."""
        folder = town.folder / "control"
        self.town = town
        self.party = Party(folder, "control", "planner1", "infra", "", "", {"log": LOG})
        self.client = town.client()
        self.logs = Logs(self.client, LOG, town.charter)

    def release(self, data: bytes, *people: str, **change: object) -> None:
        """Have people release a model's file."""
        self.logs.refresh()
        body = release_body(data, self.logs.law, self.logs.state.fleet, self.town.sim.now)
        self.town.follow("release", {**body, **change}, *people)

    def keep(self, data: bytes, name: str = "") -> None:
        """Put a file where models are kept."""
        write_private(self.party.directory / "models" / (name or sha256(data).hexdigest()), data)

    def served(self) -> Served:
        """Ask which model is in service."""
        self.logs.refresh()
        return models.served(self.party, self.logs, self.client)


@pytest.fixture
def ground(tmp_path: Path) -> Iterator[Ground]:
    """Found a village and a control plane."""
    with village(tmp_path) as town:
        yield Ground(town)


def test_the_released_model_is_loaded(ground: Ground) -> None:
    """Two people signed its hash, the file has it."""
    ground.release(DATA, "dana", "fay")
    ground.keep(DATA)
    assert ground.served() == Served(MODEL)


def test_without_a_release_there_is_no_model(ground: Ground) -> None:
    """A file alone is nothing."""
    ground.keep(DATA)
    assert ground.served() == Served(None, "no model was released")


def test_a_swapped_file_is_no_model(ground: Ground) -> None:
    """Whoever changes a digit on disk gets rules instead, and everybody reads why."""
    ground.release(DATA, "dana", "fay")
    ground.keep(OTHER, MODEL.sha256)
    found = ground.served()
    assert found.model is None
    assert "is not the released model" in found.why


def test_a_missing_file_is_no_model(ground: Ground) -> None:
    """What was released and is not here cannot rank."""
    ground.release(DATA, "dana", "fay")
    assert "cannot read" in ground.served().why


def test_a_log_that_cannot_be_asked_gives_no_model(ground: Ground) -> None:
    """Without the record nobody knows which file people released; rules go on ranking."""
    ground.release(DATA, "dana", "fay")
    ground.keep(DATA)
    ground.logs.refresh()
    ground.town.away.add("log")
    found = models.served(ground.party, ground.logs, ground.client)
    assert found.model is None
    assert found.why


def test_one_person_releases_no_model(ground: Ground) -> None:
    """The charter's threshold holds for models, whoever asks."""
    with pytest.raises(AssertionError, match="not_enough_people"):
        ground.release(DATA, "dana")


def test_a_quorum_of_guards_releases_no_model(ground: Ground) -> None:
    """Attesters vouch for feeds; under a model's name their release loads nothing."""
    sim = ground.town.sim
    note = sim.snapshot([DATA.decode()], feed=FEED)
    body = {"feed": FEED, "checkpoint": note, "model": "", "time": sim.now}
    ground.town.follow("release", body, "planner1")
    ground.keep(DATA)
    found = ground.served()
    assert found.model is None
    assert "names no model that people signed" in found.why


def test_a_release_that_names_another_file_than_its_root_loads_nothing(ground: Ground) -> None:
    """Name and root must be of the same bytes."""
    ground.release(DATA, "dana", "fay", model=sha256(OTHER).hexdigest())
    ground.keep(OTHER)
    assert "is not the released model" in ground.served().why


def test_a_later_release_replaces_the_model(ground: Ground) -> None:
    """The newest one serves."""
    ground.release(DATA, "dana", "fay")
    ground.release(OTHER, "dana", "fay")
    for data in (DATA, OTHER):
        ground.keep(data)
    assert ground.served().model != MODEL


def test_a_file_that_is_no_model_cannot_be_released(ground: Ground) -> None:
    """A draft is refused before anybody signs."""
    with pytest.raises(Refused):
        ground.release(b"{}", "dana", "fay")


def test_bytes_must_be_name_and_root() -> None:
    """Each of the two is demanded."""
    name, root = sha256(DATA).hexdigest(), leaf_hash(DATA)
    assert checked(DATA, name, root) == MODEL
    for bad in ((OTHER, name, root), (DATA, "ab" * 32, root), (DATA, name, bytes(32))):
        with pytest.raises(Refused):
            checked(*bad)


def test_the_gate_is_not_passed_by_one_person(ground: Ground) -> None:
    """Where a charter lets one person release, a model that the gate stops gets no draft."""
    found = shadow(None, MODEL, golden())
    assert found.reasons
    ground.logs.refresh()
    law = ground.logs.law
    demand_people(found, law)
    weak: Charter = Charter(
        {**law.body, "mode": "demo", "thresholds": {**law.body["thresholds"], "release": 1}}, law.id
    )
    with pytest.raises(Refused) as refused:
        demand_people(found, weak)
    assert refused.value.reason == "not_enough_people"
    demand_people(shadow(MODEL, MODEL, golden()), weak)
