"""Records are opened in two ways, a quick one and the kernel's; they never disagree."""

import io
import json
import random
from struct import pack

import pytest

from answerable.evidence.checker import Checker, frame, work
from answerable.evidence.swift import swift
from answerable.kernel.canon import Json
from answerable.kernel.charter import Signatory
from answerable.kernel.errors import Refused
from answerable.kernel.note import Key
from answerable.keys.sign import sign_note
from answerable.ledger.reports import open_report
from answerable.ledger.tiles import pack_bundle
from tests.simulator import Simulator
from tests.simulator.keys import signer

ORIGIN = "log.example/report"
ABOUT = {"notice": "ab" * 32, "order": "cd" * 32, "change": "up", "host": "web1"}
REPORT = {**ABOUT, "type": "upgrade", "result": "succeeded", "reason": "", "detail": "",
          "caused_by": "", "observed": {}, "seq": 7, "started": 11, "ended": 12}  # fmt: skip
SAW = {**ABOUT, "result": "failed", "saw": {"detail": "gone"}, "time": 5}
DECISION = {"owner": "dana", "reason": "later", "state": "deferred", "subject": "CVE-1",
            "time": 1, "until": 9}  # fmt: skip
RECORDS: dict[str, tuple[str, Json, str]] = {
    "report": ("report", REPORT, "web1"),
    "with versions": ("report", {**REPORT, "observed": {"libssl3": "3.0", "zlib": "1"}}, "web1"),
    "not ASCII": ("report", {**REPORT, "detail": "é \u2028"}, "web1"),
    "escapes": ("report", {**REPORT, "detail": 'a "quoted" \\ line\nmore'}, "web1"),
    "braces": ("report", {**REPORT, "observed": {"a": "}{"}, "detail": '},"charter":2,'}, "web1"),
    "observation": ("observation", SAW, "o1"),
    "nested": ("observation", {**SAW, "saw": {"a": [{"b": {}}]}}, "o2"),
    "decision": ("decision", DECISION, "planner1"),
    "by a person": ("decision", DECISION, "dana"),
    "finding": ("finding", {"kind": "k", "subject": "s", "detail": "", "time": 1}, "o1"),
    "outcome": ("outcome", {"notice": "ab" * 32, "state": "s", "detail": "", "time": 1},
                "planner1"),
    "of another host": ("report", REPORT, "web2"),
    "by an observer": ("report", REPORT, "o1"),
    "by a host": ("decision", DECISION, "web1"),
    "other result": ("report", {**REPORT, "result": "perhaps"}, "web1"),
    "number too large": ("report", {**REPORT, "seq": 1 << 53}, "web1"),
    "zero first": ("report", {**REPORT, "seq": 0}, "web1"),
    "capital key": ("report", {**REPORT, "observed": {"b": "1", "B": "2"}}, "web1"),
    "no shape": ("report", {**REPORT, "more": 1}, "web1"),
}  # fmt: skip
SIM = Simulator()


def owners() -> dict[Key, Signatory]:
    """Give whose keys count."""
    hosts = {signer(h).key: ("host", h) for h in ("web1", "web2")}
    return {**SIM.state.law().owners, **hosts}


def named(entry: bytes) -> dict[Key, Signatory]:
    """Give the keys that bear the name under an entry."""
    name = entry.rpartition(b"\n\n")[2].split(b" ")[1].decode()
    return {key: who for key, who in owners().items() if key.name == name}


def record(name: str, **envelope: Json) -> bytes:
    """Sign one of the records."""
    kind, body, by = RECORDS[name]
    return SIM.write(kind, body, by, **{"origin": ORIGIN, **envelope})


def checker() -> Checker:
    """Make a checker of the simulated fleet."""
    law = SIM.state.law()
    hosts = [[signer(h).key.vkey(), h] for h in ("web1", "web2")]
    charters = [[law.body, law.id]]
    return Checker({"charters": charters, "fleet": SIM.fleet, "hosts": hosts})


def agree(entry: bytes) -> bool:
    """Demand that the quick way says no more than the slow one; tell whether it said anything."""
    quick = swift(entry, named(entry))
    if quick is None:
        return False
    said = open_report(entry, owners())
    told = said.envelope
    assert (quick.charter, quick.fleet) == (told["charter"], told["fleet"])
    assert (quick.kind, quick.origin) == (said.kind, told["origin"])
    assert said.signers == {quick.signer}
    for name, value in quick.body.items():
        spelt = value if isinstance(said.body[name], str) else json.loads(value)
        assert said.body[name] == spelt, name
    return True


@pytest.mark.parametrize("name", RECORDS)
def test_both_ways_agree(name: str) -> None:
    """Whatever the quick way takes, the kernel takes, with the same fields."""
    agree(record(name))


def test_common_records_are_read_quickly() -> None:
    """Plain reports, observations and decisions need no second way."""
    quick = [name for name in RECORDS if agree(record(name))]
    assert quick == ["report", "with versions", "observation", "decision", "zero first"]


@pytest.mark.parametrize("seed", range(20))
def test_mutated_records_never_pass_the_quick_way_alone(seed: int) -> None:
    """Attack: bytes changed, removed or doubled before signing; only what is canonical passes."""
    rng = random.Random(seed)
    name = rng.choice(list(RECORDS))
    text = record(name).rpartition(b"\n\n")[0]
    who = signer("web1") if RECORDS[name][2] == "web1" else signer("o1")
    for _ in range(40):
        data = bytearray(text)
        at = rng.randrange(len(data))
        some = bytes(rng.choices(b'"{}[],:\\ 09azu\x7f', k=rng.randrange(3)))
        data[at : at + rng.randrange(3)] = some
        entry = _signed(bytes(data), who)
        if entry:
            agree(entry)


def _signed(text: bytes, who: Json) -> bytes:
    try:
        return sign_note(text.decode() + "\n", who)
    except UnicodeDecodeError:
        return b""


def test_every_record_has_a_verdict() -> None:
    """What holds is counted or told, what does not is named with its reason; nothing is lost."""
    entries = [record(name) for name in RECORDS]
    entries += [record("report", fleet="00" * 32), record("report", charter=9)]
    entries += [record("report", origin="log.example/other"), b"junk"]
    one = checker()
    rows = list(one.rows(100, entries))
    bad = {row[0] - 100: row[3] for row in rows if row[2] == "bad"}
    assert sum(one.counts.values()) == len(entries)
    names = list(RECORDS)
    assert {names[at] for at in bad if at < len(names)} == {
        "of another host", "by an observer", "by a host", "other result", "number too large",
        "no shape", "capital key",
    }  # fmt: skip
    assert [bad[len(names) + at] for at in range(4)] == [
        "wrong_fleet", "stale_charter", "wrong_origin", "stale_charter",
    ]  # fmt: skip


def test_worker_answers_like_a_checker() -> None:
    """The same records through pipes give the same rows."""
    entries = [record("report"), record("observation"), b"junk", record("decision")]
    law = SIM.state.law()
    given = {"charters": [[law.body, law.id]], "fleet": SIM.fleet,
             "hosts": [[signer("web1").key.vkey(), "web1"]]}  # fmt: skip
    data = json.dumps(given).encode()
    asked = pack(">I", len(data)) + data + frame(5, pack_bundle(entries), len(entries))
    out = io.BytesIO()
    work(io.BytesIO(asked), out)
    rows = [json.loads(line) for line in out.getvalue().splitlines()]
    alone = Checker(given)
    assert rows[:-1] == list(alone.rows(5, entries))
    assert rows[-1][3] == dict(alone.counts)


def test_signature_is_never_cut_short() -> None:
    """Attack: a record whose signature is another's, in the common spelling."""
    entry, other = record("report"), record("with versions")
    forged = entry.rpartition(b"\n\n")[0] + b"\n\n" + other.rpartition(b"\n\n")[2]
    assert swift(forged, named(forged)) is None
    with pytest.raises(Refused, match="bad_signature"):
        open_report(forged, owners())
