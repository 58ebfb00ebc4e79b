"""A batch of records becomes one signed root, and each host's own proof of its place in it."""

import json
import stat
from hashlib import sha256
from pathlib import Path

import pytest

from answerable.bootstrap import enrol
from answerable.bootstrap.follow import read_hosts
from answerable.host.enrol import make_record, read_proof
from answerable.kernel.errors import Refused
from answerable.kernel.fold import State
from tests.simulator import Simulator

NAMES = ("web1", "web2", "api1", "pci1", "bare1")


def _records(folder: Path, names: tuple[str, ...] = NAMES) -> list[Path]:
    files = []
    for number, name in enumerate(names):
        make_record(folder / name, name, [name[:3]], f"{number:064x}")
        files.append(folder / name / "record.json")
    return files


def _enrolled(sim: Simulator, records: list[str]) -> tuple[str, State]:
    entry = sim.write("enrolment", enrol.body(records), "dana", "lee")
    sim.must(entry)
    return sha256(entry.rpartition(b"\n\n")[0] + b"\n").hexdigest(), sim.state


def test_every_host_is_proven_by_its_row(tmp_path: Path) -> None:
    """Each row and each proof file leads to what people signed."""
    sim, records = Simulator(), enrol.read_records(_records(tmp_path))
    enrolment, state = _enrolled(sim, records)
    enrol.write_rows(tmp_path / "hosts.json", enrol.rows(records, enrolment))
    enrol.write_proofs(tmp_path / "proofs", enrol.rows(records, enrolment))
    rows = read_hosts(tmp_path / "hosts.json")
    assert sorted(row.body["host"] for row in rows) == sorted(NAMES)
    for row in rows:
        assert row.prove(state) == {"dana", "lee"}
        assert read_proof(tmp_path / "proofs" / f"{row.body['host']}.json") == row
    with pytest.raises(Refused):
        rows[0]._replace(record=rows[1].record).prove(state)


def test_the_order_of_files_does_not_matter(tmp_path: Path) -> None:
    """People who list the records otherwise sign the same root."""
    files = _records(tmp_path)
    assert enrol.read_records(files) == enrol.read_records(files[::-1])


def test_a_later_batch_replaces_a_hosts_row_and_keeps_the_others(tmp_path: Path) -> None:
    """hosts.json grows by batches."""
    hosts = tmp_path / "hosts.json"
    one = enrol.read_records(_records(tmp_path))
    enrol.write_rows(hosts, enrol.rows(one, "aa" * 32))
    two = enrol.read_records(_records(tmp_path, ("web1", "new1")))
    enrol.write_rows(hosts, enrol.rows(two, "bb" * 32))
    found = {json.loads(r["record"])["host"]: r["enrolment"] for r in json.loads(hosts.read_text())}
    newer = dict.fromkeys(("web1", "new1"), "bb" * 32)
    assert found == {**dict.fromkeys(NAMES, "aa" * 32), **newer}
    assert stat.S_IMODE(hosts.stat().st_mode) == 0o600


def test_what_is_no_batch_is_refused(tmp_path: Path) -> None:
    """A host that stands twice, a key of another name, no record at all, no JSON."""
    files = _records(tmp_path)
    forged, junk = tmp_path / "forged.json", tmp_path / "junk.json"
    forged.write_text(files[0].read_text().replace('"host":"web1"', '"host":"web9"'))
    junk.write_text("no record")
    for given in ([files[0], files[0]], [forged], [junk], []):
        with pytest.raises(Refused):
            enrol.read_records(given)
