"""Only enrolled hosts report, with the key that the fleet's people enrolled last."""

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import pytest

from answerable.kernel.canon import encode
from answerable.kernel.errors import Refused
from answerable.kernel.verify import Enrolled
from answerable.ledger.enrolments import Enrolments
from tests.simulator.keys import signer
from tests.simulator.world import Simulator


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Enrolments]:
    """An empty book."""
    made = Enrolments(tmp_path / "enrolled.db")
    yield made
    made.close()


def refusal(book: Enrolments, enrolled: Enrolled, sim: Simulator) -> str:
    """Give the word by which a record is refused."""
    with pytest.raises(Refused) as found:
        book.enrol(enrolled, sim.state)
    return found.value.reason


def test_enrolled_host_is_known(book: Enrolments, tmp_path: Path) -> None:
    """A proven record is kept over a restart, and gives the host's key."""
    sim = Simulator()
    enrolled = sim.members["web1"].enrolled
    assert book.key("web1", sim.state) is None
    assert book.enrol(enrolled, sim.state) == "web1"
    again = Enrolments(tmp_path / "enrolled.db")
    assert again.find("web1") == enrolled
    assert again.key("web1", sim.state) == book.key("web1", sim.state) == signer("web1").key
    again.close()


def test_unproven_records(book: Enrolments) -> None:
    """A record that was changed, moved, or stands in no enrolment is refused."""
    sim = Simulator()
    good = sim.members["web1"].enrolled
    other = sim.members["web2"].enrolled
    assert refusal(book, good._replace(enrolment="ab" * 32), sim) == "unknown_subject"
    assert refusal(book, good._replace(path=other.path), sim) == "not_enrolled"
    assert refusal(book, good._replace(place=good.place + 1), sim) == "not_enrolled"
    zones = good.record.replace('"web"', '"dev"')
    assert refusal(book, good._replace(record=zones), sim) == "not_enrolled"
    assert refusal(book, good._replace(record=good.record + " "), sim) == "malformed"
    assert book.find("web1") is None


def test_key_of_another_name(book: Enrolments) -> None:
    """An enrolled record cannot make one host speak under the name of another."""
    sim = Simulator()
    records = {"web9": {**sim.records["web1"], "host": "web9"}}
    members = sim.enrol(records)
    assert refusal(book, members["web9"].enrolled, sim) == "bad_key"


def renewed(sim: Simulator, generation: int, zones: list[str]) -> Enrolled:
    """Enrol web1 again with another key."""
    record = {**sim.records["web1"], "zones": zones}
    record["key"] = signer("web1", generation=generation).key.vkey()
    return sim.enrol({"web1": record})["web1"].enrolled


def test_rotated_key_does_not_come_back(book: Enrolments) -> None:
    """After a re-enrolment the older record, whose key may be stolen, is refused."""
    sim = Simulator()
    old = sim.members["web1"].enrolled
    book.enrol(old, sim.state)
    book.enrol(renewed(sim, 2, ["web"]), sim.state)
    assert book.key("web1", sim.state) == signer("web1", generation=2).key
    assert refusal(book, old, sim) == "not_enrolled"
    assert book.key("web1", sim.state) == signer("web1", generation=2).key


def test_zone_dropped(book: Enrolments) -> None:
    """A record that drops a zone without that zone's people does not replace the old one."""
    sim = Simulator()
    book.enrol(sim.members["pci1"].enrolled, sim.state)
    records = {"pci1": {**sim.records["pci1"], "zones": ["web"]}}
    assert refusal(book, sim.enrol(records)["pci1"].enrolled, sim) == "zone_dropped"


def test_removed_people_stop_counting(book: Enrolments) -> None:
    """When the people who enrolled a host are gone from the charter, so is its key."""
    sim = Simulator()
    book.enrol(sim.members["web1"].enrolled, sim.state)
    assert book.key("web1", sim.state)

    def edit(body: dict[str, dict[str, dict[str, list[str]]]]) -> None:
        body["people"] = deepcopy(body["people"])
        body["people"]["dana"]["roles"] = ["approver"]
        body["people"]["kim"]["roles"] = ["approver", "fleet"]

    sim.succeed(edit, "dana", "lee", "kim")
    assert book.key("web1", sim.state) is None


@pytest.mark.parametrize("key", ["", "web1", "x+00000000+AAAA"])
def test_record_with_a_bad_key(book: Enrolments, key: str) -> None:
    """A record whose key is none is refused before anything is kept."""
    sim = Simulator()
    record = {**sim.records["web1"], "key": key}
    enrolled = Enrolled(encode(record), "ab" * 32, 0, [])
    assert refusal(book, enrolled, sim) in {"malformed", "bad_key"}
