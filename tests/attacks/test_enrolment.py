"""Attacks by re-enrolment: a zone is dropped only with that zone's own people."""

import pytest

from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused
from answerable.kernel.verify import replace_record
from tests.attacks.verdict import refused
from tests.simulator import Simulator


def relabel(
    sim: Simulator, host: str, zones: list[str], *by: str, name: str = ""
) -> Refused | None:
    """Enrol a host anew with these zones, and let it take the record or refuse."""
    record: Json = sim.records[host] | {"zones": zones, "host": name or host}
    member = sim.enrol({host: record}, *by)[host]
    try:
        replace_record(sim.members[host].enrolled, member.enrolled, sim.state)
    except Refused as refusal:
        return refusal
    return None


def test_zone_is_dropped_by_its_own_people(sim: Simulator) -> None:
    """Lee and Mo answer for pci; Dana and Lee may sign enrolments."""
    assert relabel(sim, "pci1", ["web"], "dana", "lee", "mo") is None


@pytest.mark.parametrize("by", [("dana", "lee"), ("dana", "lee", "lee:2"), ("dana", "lee", "kim")])
def test_zone_dropped_by_too_few_of_its_people(sim: Simulator, by: tuple[str, ...]) -> None:
    """A pci host is relabelled as a web host by people of the fleet role."""
    refused(relabel(sim, "pci1", ["web"], *by), "zone_dropped")


def test_all_zones_dropped(sim: Simulator) -> None:
    """A record without zones counts as every zone, and drops none."""
    assert relabel(sim, "pci1", [], "dana", "lee") is None


def test_host_without_a_label_is_given_one(sim: Simulator) -> None:
    """No label counted as every zone: naming one drops all the others."""
    refused(relabel(sim, "bare1", ["web"], "dana", "lee"), "zone_dropped")


def test_zone_added(sim: Simulator) -> None:
    """Adding a zone needs nobody but the fleet role."""
    assert relabel(sim, "web1", ["web", "pci"], "dana", "lee") is None


def test_record_of_another_host(sim: Simulator) -> None:
    """A host is handed somebody else's record."""
    refused(relabel(sim, "pci1", ["pci"], "dana", "lee", name="web9"), "not_mine")


@pytest.mark.parametrize("by", [("dana",), ("dana", "dana:2"), ("dana", "kim"), ("planner1",)])
def test_enrolment_by_too_few(sim: Simulator, by: tuple[str, ...]) -> None:
    """Too few people of the fleet role."""
    words = {"size": 1, "root": "ab" * 32}
    refused(sim.append(sim.write("enrolment", words, *by)), "not_enough_people")
