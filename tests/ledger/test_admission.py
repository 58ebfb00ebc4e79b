"""What a flooder, a stranger or a thief sends does not enter the logs, and each is told why."""

from collections.abc import Callable, Iterator
from copy import deepcopy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused
from answerable.ledger import admission
from answerable.ledger.admission import AuthorityGate, ReportGate
from answerable.ledger.store import LedgerUnavailable
from tests.ledger.fleet import Fleet, founded
from tests.simulator.constitution import GUARDS, T0, veto
from tests.simulator.world import Simulator


def caps(body: Json) -> None:
    """Cap vetoes and reports at two an hour, and findings at few bytes."""
    body["caps"] = {
        "veto": {"bytes": 2_048, "per_hour": 2},
        "report": {"bytes": 60_000, "per_hour": 2},
        "finding": {"bytes": 800, "per_hour": 1_000},
    }


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """A founded fleet with tight caps and one enrolled host."""
    made = founded(tmp_path, caps)
    made.enrol("web1")
    yield made
    made.close()


def size(gate: AuthorityGate | ReportGate) -> int:
    """Give what is durable."""
    return gate.log.head().checkpoint.size


def refused(gate: AuthorityGate | ReportGate, *entries: bytes) -> str:
    """Give the word by which a batch is refused; nothing of it is in the log."""
    before = gate.log.append([b"before"])
    with pytest.raises(Refused) as found:
        gate.submit(entries)
    assert gate.log.append([b"after"]) == before + 1
    return found.value.reason


def vetoed(sim: Simulator, who: str = "lee", reason: str = "no", **envelope: Json) -> bytes:
    """Give a veto."""
    return sim.write("veto", veto(reason=reason), who, **envelope)


# --- authority log ------------------------------------------------------------------------------


def test_honest_statement_enters(fleet: Fleet) -> None:
    """A veto of an objector is durable when its index is given, and folded."""
    entry, at = vetoed(fleet.sim), size(fleet.authority)
    admitted = fleet.authority.submit([entry])
    assert (admitted.index.result(), admitted.void) == (at, [])
    assert len(fleet.authority.state.vetoes) == 1
    assert fleet.authority.log.store.entries(at, at + 1) == [entry]


def test_first_charter_founds_an_empty_log(tmp_path: Path) -> None:
    """An empty log takes its own fleet's charter and what follows in one batch, nothing else."""
    fleet = founded(tmp_path)
    entries = [entry for _, entry in fleet.sim.history]
    other = Simulator(charter=lambda body: body.update(name="another"))
    (tmp_path / "new").mkdir()
    empty = founded(tmp_path / "new", history=lambda sim: sim.history.clear())
    stranger = [entry for _, entry in other.history]
    for batch, word in ((stranger, "bad_charter"), (entries[1:], "malformed")):
        with pytest.raises(Refused) as found:
            empty.authority.submit(batch)
        assert found.value.reason == word
    admitted = empty.authority.submit(entries)
    assert (admitted.index.result(), admitted.void) == (0, [])
    assert empty.authority.state.digest() == fleet.authority.state.digest()
    fleet.close()
    empty.close()


ATTACKS: dict[str, tuple[str, Callable[[Simulator], bytes]]] = {
    "nobody signed": ("malformed", lambda sim: vetoed(sim).rpartition(b"\xe2\x80\x94")[0]),
    "a stranger signed": ("bad_signature", lambda sim: sim.write("veto", veto(), "mallory")),
    "signed for another type": (
        "bad_signature",
        lambda sim: vetoed(sim).replace(b'"type":"veto"', b'"type":"seen"'),
    ),
    "a bit flipped": ("bad_signature", lambda sim: vetoed(sim).replace(b'"no"', b'"on"')),
    "another fleet": ("wrong_fleet", lambda sim: vetoed(sim, fleet="cd" * 32)),
    "another log": ("wrong_origin", lambda sim: vetoed(sim, origin="log.example/report")),
    "an old charter": (
        "stale_charter",
        lambda sim: sim.write("seen", {"notice": "ab" * 32}, "lee", charter=0),
    ),
    "above the cap in bytes": ("too_large", lambda sim: vetoed(sim, reason="x" * 2_000)),
    "larger than a bundle holds": ("too_large", lambda _: b"x" * 65_536),
    "another shape": ("malformed", lambda sim: sim.write("veto", {}, "lee")),
    "no text at all": ("malformed", lambda _: b""),
    "an unknown type that would stop every host": (
        "unknown_record",
        lambda sim: sim.write("stopper", {}, "planner1"),
    ),
    "a newer format": ("unknown_record", lambda sim: sim.write("veto", veto(), "lee", version=2)),
    "a statement of the report log": (
        "unknown_record",
        lambda sim: sim.write("finding", {}, "o1"),
    ),
    "a charter of one person": (
        "not_enough_people",
        lambda sim: sim.next_charter(lambda _: None, "dana"),
    ),
    "a charter of another number": (
        "stale_charter",
        lambda sim: sim.next_charter(lambda body: body.update(number=7), "dana", "lee"),
    ),
    "a charter that breaks its own rules": (
        "bad_charter",
        lambda sim: sim.next_charter(lambda body: body.update(faults=2), "dana", "lee"),
    ),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_attack_on_the_authority_log(fleet: Fleet, attack: str) -> None:
    """Each is refused with the kernel's word, and an honest veto beside it is not written."""
    word, make = ATTACKS[attack]
    assert refused(fleet.authority, vetoed(fleet.sim), make(fleet.sim)) == word
    assert fleet.authority.submit([vetoed(fleet.sim)]).void == []


def test_repeated_statement(fleet: Fleet) -> None:
    """The same words enter once: not again, not signed anew, not twice in a batch."""
    entry, twice = vetoed(fleet.sim), vetoed(fleet.sim)
    fleet.authority.submit([entry]).index.result()
    assert refused(fleet.authority, entry) == "duplicate"
    assert refused(fleet.authority, twice, twice) == "duplicate"


def test_flood_of_one_signer(fleet: Fleet) -> None:
    """Past its hour's cap a signer is refused; others and later hours are not."""
    sim, gate = fleet.sim, fleet.authority
    assert refused(gate, *(vetoed(sim) for _ in range(3))) == "not_admissible"
    gate.submit([vetoed(sim), vetoed(sim)])
    assert refused(gate, vetoed(sim)) == "not_admissible"
    gate.submit([vetoed(sim, "kim"), vetoed(sim, "kim")])
    fleet.clock.now += 3_600
    assert refused(gate, vetoed(sim)) == "not_admissible"
    fleet.clock.now += 1_801
    gate.submit([vetoed(sim)])
    assert refused(gate, vetoed(sim)) == "not_admissible"
    fleet.clock.now += 7_200
    assert gate.submit([vetoed(sim), vetoed(sim)]).void == []


def test_refused_batches_spend_nothing(fleet: Fleet) -> None:
    """A thief of nobody's key cannot spend another's hour."""
    sim, gate = fleet.sim, fleet.authority
    for _ in range(5):
        refused(gate, vetoed(sim), b"junk")
    assert gate.submit([vetoed(sim), vetoed(sim)]).void == []


def test_entry_without_effect_is_named(fleet: Fleet) -> None:
    """What the fold makes nothing of is in the log, and its sender learns why it is void."""
    seen = fleet.sim.write("seen", {"notice": "ab" * 32}, "lee")
    admitted = fleet.authority.submit([vetoed(fleet.sim), seen])
    assert [(one.entry, one.reason) for one in admitted.void] == [(1, "unknown_subject")]


def test_new_charter_is_law_for_what_follows(fleet: Fleet) -> None:
    """In one batch, a charter that removes a person is law for that person's next statement."""

    def without_mo(body: Json) -> None:
        body["people"] = {k: v for k, v in body["people"].items() if k != "mo"}
        body["zones"] = deepcopy(body["zones"])
        for zone in body["zones"].values():
            zone["objectors"] = [p for p in zone["objectors"] if p != "mo"]
            zone["approvers"] = [p for p in zone["approvers"] if p != "mo"]

    entry = fleet.sim.next_charter(without_mo, "dana", "lee")
    mo = vetoed(fleet.sim, "mo")
    assert refused(fleet.authority, entry, mo) == "bad_signature"
    law = fleet.authority.law()
    assert law is not None
    assert law.body["number"] == 1
    assert fleet.authority.submit([entry]).void == []
    assert refused(fleet.authority, mo) == "bad_signature"
    assert refused(fleet.authority, entry) == "stale_charter"


def test_state_is_folded_again_on_opening(tmp_path: Path) -> None:
    """A log server that is started again admits by the same state."""
    fleet = founded(tmp_path, caps)
    fleet.authority.submit([vetoed(fleet.sim)]).index.result()
    digest = fleet.authority.state.digest()
    fleet.close()
    again = founded(tmp_path, caps)
    assert again.authority.state.digest() == digest
    again.close()


def test_gate_of_a_stopped_log(fleet: Fleet) -> None:
    """When the log has stopped, nothing is admitted."""
    fleet.authority.log.close()
    with pytest.raises(LedgerUnavailable):
        fleet.authority.submit([vetoed(fleet.sim)])


# --- report log ---------------------------------------------------------------------------------


def test_honest_reports_enter(fleet: Fleet) -> None:
    """Hosts, observers, planners and people each say what is theirs to say."""
    entries = [
        fleet.report_entry("report", "host"),
        fleet.report_entry("observation", "observer"),
        fleet.report_entry("outcome", "planner"),
        fleet.report_entry("decision", "person"),
    ]
    assert fleet.report.submit(entries).index.result() == 0
    assert fleet.report.log.store.entries(0, 4) == entries


REPORTS: dict[str, tuple[str, Callable[[Fleet], bytes]]] = {
    "of a host that is not enrolled": (
        "bad_signature",
        lambda f: f.report_entry("report", "host", host="web2", by=lambda _: "web2"),
    ),
    "about another host": (
        "not_admissible",
        lambda f: f.report_entry("report", "host", host="web2"),
    ),
    "by the control plane in a host's name": (
        "not_admissible",
        lambda f: f.report_entry("report", "planner"),
    ),
    "of another fleet": (
        "wrong_fleet",
        lambda f: f.report_entry("report", "host", envelope={"fleet": "cd" * 32}),
    ),
    "for the other log": (
        "wrong_origin",
        lambda f: f.report_entry("report", "host", envelope={"origin": f.sim.origin}),
    ),
    "under a charter to come": (
        "stale_charter",
        lambda f: f.report_entry("report", "host", envelope={"charter": 2}),
    ),
    "above the cap in bytes": (
        "too_large",
        lambda f: f.report_entry("finding", "observer", detail="x" * 700),
    ),
    "an authority statement": ("unknown_record", lambda f: vetoed(f.sim)),
    "junk": ("malformed", lambda _: b"\xff" * 100),
}


@pytest.mark.parametrize("attack", REPORTS)
def test_attack_on_the_report_log(fleet: Fleet, attack: str) -> None:
    """Each is refused with the kernel's word, and an honest report beside it is not written."""
    word, make = REPORTS[attack]
    assert refused(fleet.report, fleet.report_entry("report", "host"), make(fleet)) == word


def test_replayed_report_also_after_a_restart(tmp_path: Path) -> None:
    """A public record that is sent again cannot spend the host's hour."""
    fleet = founded(tmp_path, caps)
    fleet.enrol("web1")
    entry = fleet.report_entry("report", "host")
    fleet.report.submit([entry]).index.result()
    assert refused(fleet.report, entry) == "duplicate"
    other = fleet.report_entry("report", "host")
    assert refused(fleet.report, other, other) == "duplicate"
    fleet.close()
    again = founded(tmp_path, caps)
    assert refused(again.report, entry) == "duplicate"
    again.close()


def test_remembered_replays_are_bounded(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory for replays does not grow without end; the newest are always known."""
    monkeypatch.setattr(admission, "REMEMBERED", 4)
    entries = [fleet.report_entry("finding", "observer") for _ in range(30)]
    for entry in entries:
        fleet.report.submit([entry])
    assert len(fleet.report._said | fleet.report._said_before) <= 2 * 5
    assert refused(fleet.report, entries[-1]) == "duplicate"


def test_flood_of_one_host(fleet: Fleet) -> None:
    """One host's flood is its own: others report on."""
    fleet.enrol("web2")
    fleet.report.submit([fleet.report_entry("report", "host") for _ in range(2)])
    assert refused(fleet.report, fleet.report_entry("report", "host")) == "not_admissible"
    other = fleet.report_entry("report", "host", host="web2", by=lambda _: "web2")
    fleet.report.submit([other]).index.result()


def test_no_report_before_the_charter(tmp_path: Path) -> None:
    """Without a charter nobody is known."""
    empty = founded(tmp_path, history=lambda sim: sim.history.clear())
    assert refused(empty.report, empty.report_entry("finding", "observer")) == "bad_charter"
    empty.close()


@pytest.mark.fuzz
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.binary(max_size=400), cut=st.integers(0, 600), flip=st.integers(0, 600))
def test_any_bytes_are_refused(fleet: Fleet, data: bytes, cut: int, flip: int) -> None:
    """Bytes of any kind, and a true record cut or with a changed byte, raise `Refused` only."""
    entry = fleet.report_entry("finding", "observer")
    changed = bytearray(entry)
    changed[flip % len(entry)] ^= 1 + flip % 7
    for one in (data, entry[: cut % len(entry)], bytes(changed)):
        for gate in (fleet.report, fleet.authority):
            with pytest.raises(Refused):
                gate.submit([one])


def test_rates_are_counted_by_clock_hour() -> None:
    """The constants of the story above are those of the code."""
    assert (admission.HOUR, T0 % admission.HOUR, len(GUARDS)) == (3_600, 0, 4)
