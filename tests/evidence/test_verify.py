"""An auditor with the directory and nothing else says for every change who allowed it, and when."""

from collections.abc import Callable
from pathlib import Path

import pytest

from answerable.evidence.explain import lines, row, summary
from answerable.evidence.folder import NoEvidence
from answerable.evidence.trail import Trail
from answerable.evidence.verify import DAMAGED, GOOD, UNAUTHORISED, Verdict, verify
from answerable.kernel.canon import Json
from tests.evidence.case import SOAK, Court, edit_record, entries_of, rewrite, write_log
from tests.simulator import NEW, OLD
from tests.simulator.constitution import approval, by_people, veto


@pytest.fixture
def court(tmp_path: Path) -> Court:
    """A plan of three rings whose window is over; nobody has acted yet."""
    return Court(tmp_path)


def audit(court: Court, **more: Json) -> tuple[Verdict, list[Trail]]:
    """Write the evidence and verify it."""
    trails: list[Trail] = []
    return verify(court.evidence(), tell=trails.append, **more), trails


def reasons(trails: list[Trail]) -> set[tuple[str, str]]:
    """Give the kinds and words of all faults."""
    return {(fault.kind, fault.reason) for one in trails for fault in one.faults}


def test_honest_run_verifies(court: Court) -> None:
    """Every change of every host: authorised by named people, noticed, told, seen, before."""
    court.play_out()
    verdict, trails = audit(court)
    assert (verdict.code, verdict.changes, verdict.hosts, verdict.damage) == (GOOD, 9, 3, [])
    assert {one.when for one in trails} == {"before"}
    shown = row(trails[0])
    assert (shown["host"], shown["change"]) == ("api1", "up")
    assert shown["authorised_by"] == ["dana", "kim"]
    assert shown["could_object"] == ["kim", "lee"]
    assert shown["noticed"] < shown["window_over"] < shown["began"]
    assert trails[2].sights[0][1:] == ("health", "succeeded")
    assert "everything verifies" in list(summary(verdict))[-1]


def test_workers_find_the_same(court: Court) -> None:
    """Two worker processes give the same trails as one process."""
    court.play_out()
    court.say("web3", "up", by="stranger")
    alone, one = audit(court)
    together, two = audit(court, workers=2)
    assert one == two
    assert (alone.code, alone.damage) == (together.code, together.damage)
    assert alone.reports.counts == together.reports.counts


def test_fleet_may_be_given_by_hand(court: Court) -> None:
    """Attack: the whole directory, charter and all, is of another fleet."""
    court.play_out()
    assert audit(court, fleet=court.sim.fleet)[0].code == GOOD
    verdict, _ = audit(court, fleet="ab" * 32)
    assert verdict.code == DAMAGED
    assert "not the charter of this fleet" in verdict.damage[0]


# --- damage: 1, naming the record ------------------------------------------------


def _edit(log: str) -> Callable[[Path], None]:
    return lambda path: edit_record(path / log, 2, b'"nonce":"0', b'"nonce":"1')


def _remove(path: Path) -> None:
    file, entries = entries_of(path / "report")
    rewrite(path / "report", [*entries[:2], *entries[3:], entries[2]])
    assert file.exists()


def _swap(path: Path) -> None:
    file, entries = entries_of(path / "report")
    entries[2], entries[3] = entries[3], entries[2]
    rewrite(path / "report", entries)
    assert file.exists()


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (_edit("report"), "report log, record 2: the record was changed after it was logged"),
        (_edit("authority"), "authority log, record 2: the record was changed"),
        (_remove, "report log, record 0: the tiles do not give the checkpoint's root"),
        (_swap, "report log, record 0: the tiles do not give the checkpoint's root"),
    ],
    ids=["edited report", "edited authority", "moved", "reordered"],
)
def test_changed_record_is_named(court: Court, attack: Callable[[Path], None], words: str) -> None:
    """Attack: somebody with the disk edits, removes or reorders records, with hashes or without."""
    court.play_out()
    path = court.evidence()
    attack(path)
    verdict = verify(path)
    assert verdict.code == DAMAGED
    assert any(line.startswith(words) for line in verdict.damage), verdict.damage


def test_log_rewritten_by_its_own_keys_is_not_cosigned(court: Court) -> None:
    """Attack: the log's keys sign a shorter history; without a quorum it is nothing."""
    court.play_out()
    path = court.evidence()
    for log in (court.authority, court.report):
        log.guards = ("g1",)
        write_log(log, path / log.origin.rpartition("/")[2])
    verdict = verify(path)
    assert verdict.code == DAMAGED
    assert sum("no_quorum" in line for line in verdict.damage) == 2


def test_two_histories_are_damage(court: Court) -> None:
    """Attack: guards were made to cosign a fork; a kept checkpoint proves the other history."""
    court.play_out()
    real = list(court.report.entries)
    court.report.entries[0] = b"other"
    court.witnessed["fork"] = court.report.checkpoint()
    court.report.entries = real
    verdict, _ = audit(court)
    assert verdict.code == DAMAGED
    assert "another history" in verdict.damage[0]


def test_report_of_a_stranger_is_not_believed(court: Court) -> None:
    """Attack: a key that nobody enrolled reports for a host; the record is named."""
    court.play_out()
    court.say("web3", "up", by="stranger")
    verdict, trails = audit(court)
    assert verdict.code == DAMAGED
    assert verdict.damage[0].startswith("report log, record 15: not believed: bad_signature")
    assert "web3" not in {one.report.host for one in trails}


def test_report_log_that_was_cut_short(court: Court) -> None:
    """Attack: an older head of the report log, truly cosigned, hides reports that were cited."""
    court.done("web1")
    both, old = [court.observer("o1"), court.observer("o2")], list(court.report.entries[:1])
    court.watch(*both)
    court.sim.now += SOAK
    court.watch(*both)
    court.report.entries = old
    verdict, _ = audit(court)
    assert verdict.code == DAMAGED
    assert "is missing, which authority record 14 cites" in verdict.damage[0]


def test_directory_without_logs_is_no_evidence(tmp_path: Path) -> None:
    """An empty directory says what is missing."""
    with pytest.raises(NoEvidence, match="authority log is missing"):
        verify(tmp_path)


# --- changes without authority: 3 -----------------------------------------------------------


def test_change_without_notice(court: Court) -> None:
    """Attack: a host was changed under a notice that stands in no log."""
    court.say("web1", "up", notice="ab" * 32)
    verdict, trails = audit(court)
    assert verdict.code == UNAUTHORISED
    assert reasons(trails) == {("unauthorised", "no_notice")}


def test_change_that_was_not_in_the_plan(court: Court) -> None:
    """Attack: another order, another host's order, or an action that the order does not name."""
    court.say("web1", "up", order="cd" * 32)
    court.say("web2", "up", order=court.orders["web1"][0])
    court.say("web1", "up", type="reboot")
    verdict, trails = audit(court)
    assert verdict.code == UNAUTHORISED
    words = {"not_in_ring", "not_mine", "action_not_allowed"}
    assert reasons(trails) == {("unauthorised", word) for word in words}


def test_change_before_its_window_was_over(court: Court) -> None:
    """Attack: the window was skipped; cosigned times show that it was still open."""
    early = court.sim.now - 1_000
    court.say("web1", "up", started=early, ended=early + 1)
    verdict, trails = audit(court)
    assert verdict.code == DAMAGED
    assert reasons(trails) == {("unshown", "window_open")}


def test_notice_told_to_nobody(tmp_path: Path) -> None:
    """Attack: a notice that one operator alone delivered, or nobody."""
    court = Court(tmp_path, told=[("g1", "lee")])
    court.done("web1")
    verdict, trails = audit(court)
    assert verdict.code == UNAUTHORISED
    assert ("unauthorised", "not_delivered") in reasons(trails)


def test_all_rings_at_once(court: Court) -> None:
    """Attack: hosts of ring 1 and 2 change although no observer opened their rings."""
    court.done("web1", "web2", "web3")
    verdict, trails = audit(court)
    assert verdict.code == UNAUTHORISED
    assert reasons([t for t in trails if t.report.host != "web1"]) == {
        ("unauthorised", "ring_not_open")
    }
    assert reasons([t for t in trails if t.report.host == "web1"]) == set()


def test_advance_after_the_fact(court: Court) -> None:
    """Attack: the ring was opened by observers only after a host of it had changed."""
    both = [court.observer("o1"), court.observer("o2")]
    court.done("web1", "web2")
    court.watch(*both)
    court.keep()
    court.sim.now += SOAK
    court.watch(*both)
    verdict, trails = audit(court)
    assert verdict.code == UNAUTHORISED
    late = [t for t in trails if t.report.host == "web2"]
    assert reasons(late) == {("unauthorised", "ring_not_open_after")}
    assert {t.when for t in late} == {"after"}


def _people(tmp_path: Path) -> Court:
    court = Court(tmp_path, rings=(("pci1",),), notice=by_people)
    court.keep()
    return court


def test_approved_change_names_its_approvers(tmp_path: Path) -> None:
    """Two people approve the pci plan by name, then the host patches: before, by them."""
    court = _people(tmp_path)
    court.told_by(*(("approval", approval(court.notice), who) for who in ("lee", "mo")))
    court.sim.now += 10
    court.done("pci1")
    verdict, trails = audit(court)
    assert verdict.code == GOOD
    assert {(t.authority, t.people, t.when) for t in trails} == {
        ("approvals", ("lee", "mo"), "before")
    }


def test_approval_after_the_fact_is_shown_as_after(tmp_path: Path) -> None:
    """Attack: people were made to approve when the host had changed already."""
    court = _people(tmp_path)
    court.done("pci1")
    court.sim.now += 10
    court.keep()
    court.told_by(*(("approval", approval(court.notice), who) for who in ("lee", "mo")))
    verdict, trails = audit(court)
    assert verdict.code == UNAUTHORISED
    assert {("unauthorised", "approval_after"), ("unauthorised", "excluded_zone")} == reasons(
        trails
    )
    assert {t.when for t in trails} == {"after"}
    assert "after: allowed by lee, mo" in next(lines(trails[0]))


def test_citation_orders_records_across_logs(tmp_path: Path) -> None:
    """An approval that follows a record which cites the report is after it, whatever clocks say."""
    court = _people(tmp_path)
    court.say("pci1", "up", "failed", started=court.sim.now + 9_000, ended=court.sim.now + 9_001)
    court.watch(court.observer())
    court.told_by(*(("approval", approval(court.notice), who) for who in ("lee", "mo")))
    _, trails = audit(court)
    assert ("unauthorised", "approval_after") in reasons(trails)


def test_missing_checkpoints_are_no_proof(tmp_path: Path) -> None:
    """Without kept checkpoints an approval may have come late: not shown, which is not good."""
    court = _people(tmp_path)
    court.sim.tell("approval", approval(court.notice), "lee")
    court.sim.tell("approval", approval(court.notice), "mo")
    court.settle()
    court.done("pci1")
    court.sim.now += 60
    verdict, trails = audit(court)
    assert verdict.code == DAMAGED
    assert reasons(trails) == {("unshown", "approval")}


def test_one_approval_is_not_enough(tmp_path: Path) -> None:
    """Attack: one person, or the proposer twice, approves alone."""
    court = _people(tmp_path)
    court.told_by(("approval", approval(court.notice), "lee"))
    court.sim.now += 10
    court.done("pci1")
    verdict, trails = audit(court)
    assert verdict.code == UNAUTHORISED
    assert ("unauthorised", "not_enough_people") in reasons(trails)


def test_excluded_zone_under_a_standing_authorization(tmp_path: Path) -> None:
    """Attack: a pci host stands in a plan that an authorization without pci allows."""
    court = Court(tmp_path, rings=(("pci1",),))
    court.done("pci1")
    verdict, trails = audit(court)
    assert verdict.code == UNAUTHORISED
    assert reasons(trails) == {("unauthorised", "excluded_zone")}


def test_ignored_veto(court: Court) -> None:
    """Attack: a host changed although a veto stood in the log before."""
    court.told_by(("veto", veto(notice=court.notice), "lee"))
    court.sim.now += 10
    court.done("web1")
    verdict, trails = audit(court)
    assert verdict.code == UNAUTHORISED
    assert reasons(trails) == {("unauthorised", "vetoed")}
    assert [stop[:3] for stop in trails[0].stops] == [("veto", "lee", "before")]


def test_veto_in_the_middle_of_a_rollout(court: Court) -> None:
    """A change that came before the veto stays authorised, and the veto is shown."""
    court.done("web1")
    court.sim.now += 10
    court.keep()
    court.told_by(("veto", veto(notice=court.notice), "lee"))
    verdict, trails = audit(court)
    assert verdict.code == GOOD
    assert [stop[:3] for stop in trails[0].stops] == [("veto", "lee", "after")]


def test_lifted_veto_stops_nothing(court: Court) -> None:
    """A veto that people lifted before the change is no fault."""
    name = court.sim.tell("veto", veto(notice=court.notice), "lee")
    court.told_by(("lift", {"lifts": [name], "reason": "cleared up"}, "dana", "lee"))
    court.sim.now += 10
    court.done("web1")
    assert audit(court)[0].code == GOOD


def test_halt_covers_its_zones_only(court: Court) -> None:
    """Attack: a halt of a host's zone was ignored; another zone's halt is nothing to it."""
    court.told_by(("halt", {"zones": ["pci"], "reason": "no"}, "mo"))
    court.sim.now += 10
    court.done("web1")
    assert audit(court)[0].code == GOOD
    court.told_by(("halt", {"zones": ["web"], "reason": "no"}, "lee"))
    court.sim.now += 10
    court.say("web1", "health")
    verdict, trails = audit(court)
    assert verdict.code == UNAUTHORISED
    assert reasons(trails[-1:]) == {("unauthorised", "halted")}


# --- undo, and reports against observations -------------------------------------------------------


def _failed(court: Court) -> None:
    court.install("web1", NEW)
    court.say("web1", "up")
    court.say("web1", "restart")
    court.say("web1", "health", "failed")
    court.sick["web1"] = "connection refused"


def _undone(court: Court) -> None:
    court.sim.now += 10
    court.sick.clear()
    court.install("web1", OLD)
    court.say("web1", "undo-up")
    court.say("web1", "undo-restart")


def test_corroborated_undo_has_its_own_authority(court: Court) -> None:
    """Host and observer agree on the failure; the undo runs as the authorization grants it."""
    _failed(court)
    observer = court.observer()
    court.watch(observer)
    court.keep()
    _undone(court)
    court.watch(observer)
    verdict, trails = audit(court)
    assert verdict.code == GOOD
    assert [t.report.type for t in trails][-2:] == ["undo", "restart"]
    assert trails[-1].people == ("dana", "kim")


def test_undo_that_nobody_corroborated(court: Court) -> None:
    """Attack: a host rolled back on its own word."""
    _failed(court)
    _undone(court)
    verdict, trails = audit(court)
    assert verdict.code == UNAUTHORISED
    assert reasons(trails) == {("unauthorised", "failure_not_corroborated")}


def test_false_success_report_is_caught(court: Court) -> None:
    """Attack: a host reports success and did nothing; observers say so, and nothing is good."""
    for change in ("up", "restart", "health"):
        court.say("web1", change)
    court.watch(court.observer(), times=5)
    verdict, trails = audit(court)
    assert verdict.code == GOOD
    assert reasons(trails) == {("caught", "self_report_false")}
    assert [t.report.change for t in trails if t.faults] == ["up", "health"]
    lines = list(summary(verdict))
    assert any("finding by o1: self_report_false: web1" in line for line in lines)
    assert "caught: 2 times an observer saw no success where a host reported one" in lines


def test_contradiction_that_nobody_raised_is_a_fault(court: Court) -> None:
    """Attack: the finding is gone; an observation that contradicts a success does not verify."""
    for change in ("up", "restart", "health"):
        court.say("web1", change)
    court.watch(court.observer(), times=5)
    court.report.entries = [e for e in court.report.entries if b'"type":"finding"' not in e]
    verdict, trails = audit(court)
    assert verdict.code == DAMAGED
    assert reasons(trails) == {("contradicted", "self_report_false")}


def test_weaker_host_is_caught(court: Court) -> None:
    """A host that did what it says and became weaker by it is shown, and is no fault."""
    observer = court.observer()
    court.watch(observer, times=1)
    program = court.folder / "web1/opt/own"
    program.parent.mkdir()
    program.touch()
    program.chmod(0o4755)
    court.done("web1")
    court.watch(observer)
    verdict, trails = audit(court)
    assert verdict.code == GOOD
    assert reasons(trails) == {("caught", "posture_weakened")}


def test_begun_and_never_reported_is_unknown(court: Court) -> None:
    """An order whose last changes nobody reported is listed, and is neither good nor bad."""
    court.install("web1", NEW)
    court.say("web1", "up")
    verdict, _ = audit(court)
    assert verdict.unknown == [("web1", court.notice, ("restart", "health"))]
    assert any(line.startswith("unknown: web1: restart, health") for line in summary(verdict))


def test_refusals_are_counted_and_are_no_changes(court: Court) -> None:
    """A host that refused changed nothing; its signed refusals are counted by reason."""
    court.say("web2", "up", "refused", reason="ring_not_open")
    verdict, trails = audit(court)
    assert (verdict.code, trails) == (GOOD, [])
    assert verdict.reports.refusals == {"ring_not_open": 1}


def test_missing_or_other_plan_shows_nothing(court: Court) -> None:
    """Attack: the plan is withheld from the auditor, or another one is put in its place."""
    court.done("web1")
    path = court.evidence()
    plan = next((path / "plans").iterdir())
    data = plan.read_bytes()
    for other in (data.replace(b"libssl3", b"libssl4"), b""):
        plan.write_bytes(other)
        trails: list[Trail] = []
        verdict = verify(path, tell=trails.append)
        assert verdict.code == DAMAGED
        assert reasons(trails) == {("unshown", "plan_missing")}
        assert list(verdict.missing) == [court.notice]
