"""Explanations say in words what the records prove, and nothing that they do not."""

from pathlib import Path

import pytest

from answerable.evidence.explain import NoSuchSubject, explain, moment, status
from answerable.evidence.times import NEVER
from answerable.evidence.verify import Evidence
from answerable.kernel.canon import Json
from tests.evidence.case import Court
from tests.simulator.constitution import by_people, veto


@pytest.fixture
def court(tmp_path: Path) -> Court:
    """A plan whose window is over."""
    return Court(tmp_path)


def words(court: Court, subject: str) -> str:
    """Explain something."""
    return "\n".join(explain(Evidence(court.evidence()), subject))


def test_notice_is_explained(court: Court) -> None:
    """Who allowed it, who was told through whom, when it was over, who was escalated."""
    told = words(court, court.notice[:12])
    assert "fix libssl3" in told
    assert "`urgent-security`, clause `urgent`" in told
    assert "signed by dana, kim, owner dana" in told
    assert "lee was reached through g1-operator" in told
    assert "legacy1 is not in it and was escalated: excluded zone" in told
    assert "no outcome yet" in told


def test_approved_notice_names_its_people(tmp_path: Path) -> None:
    """Without a standing authorization the approvers are named, or that there are none."""
    court = Court(tmp_path, rings=(("pci1",),), notice=by_people)
    assert "by approval of people: nobody yet" in words(court, court.notice)


def test_change_is_explained(court: Court) -> None:
    """A host's change by name, or all of its changes."""
    court.done("web1")
    told = words(court, "web1/up")
    assert "web1 up (upgrade libssl3 " in told
    assert ") succeeded: before: allowed by dana, kim" in told
    assert "lee was reached through g1-operator" in told
    rows = words(court, "web1").splitlines()
    assert sum(row.startswith("ok web1 ") for row in rows) == 3


def test_change_says_why_as_its_planner_does(tmp_path: Path) -> None:
    """Flaws and reasons of the plan stand beside the change, marked as its author's word."""

    class Reasoned(Court):
        def document(self, rings: list[list[str]], notice: Json) -> Json:
            why = {"package": "libssl3", "cves": ["CVE-2026-1"], "reasons": ["300: urgent"]}
            rows = [why | {"host": "web1"}, why | {"host": "web2", "cves": ["CVE-2026-2"]}, "junk"]
            return super().document(rings, notice) | {"exposures": rows}

    court = Reasoned(tmp_path)
    court.done("web1")
    told = words(court, "web1")
    assert "why libssl3 on web1, as the planner says: CVE-2026-1 (300: urgent)" in told
    assert "CVE-2026-2" not in told


def test_each_objection_is_said_once_with_what_is_proven(court: Court) -> None:
    """Two later vetoes of one person are one fact, with the time by which the log has it."""
    court.done("web1")
    court.sim.now += 10
    court.keep()
    court.told_by(("veto", veto(notice=court.notice), "lee"))
    court.told_by(("veto", veto(targets=court.sim.state.notices[court.notice]["body"]["targets"]),
                   "lee"))  # fmt: skip
    line = words(court, "web1/up").splitlines()[-1]
    assert line.count("veto") == 1
    assert "vetoed later by lee, in the log by 20" in line
    assert line.endswith("(2 times)")


def test_objection_that_no_time_separates_says_so(court: Court) -> None:
    """A veto in the very moment of a change: the two times that are proven, and no verdict."""
    court.done("web1")
    court.sim.now += 5
    court.told_by(("veto", veto(notice=court.notice), "lee"))
    assert "whether before or after is not proven" in words(court, "web1/up")


def test_lifted_objection_says_so(court: Court) -> None:
    """A veto that was lifted before the change is shown as both."""
    name = court.sim.tell("veto", veto(notice=court.notice), "lee")
    court.told_by(("lift", {"lifts": [name], "reason": "cleared up"}, "dana", "lee"))
    court.sim.now += 10
    court.done("web1")
    line = words(court, "web1/up")
    assert "vetoed before it began by lee, in the log by 20" in line
    assert line.endswith(", lifted before it began")


def test_undo_waits_for_no_window(court: Court) -> None:
    """An undo named in a noticed plan needs no second window, and none is invented for it."""
    for change, result in (("up", "succeeded"), ("health", "failed"), ("undo-up", "succeeded")):
        court.say("web1", change, result)
    (line,) = (x for x in words(court, "web1/undo-up").splitlines() if x.startswith("!! web1"))
    assert "; no window: an undo waits for none; began 20" in line
    assert "window over" not in line


@pytest.mark.parametrize("subject", ["ff", "", "web1/nothing"])
def test_unknown_subject_is_said(court: Court, subject: str) -> None:
    """What the evidence does not know, or not for sure, is no explanation."""
    court.play()
    with pytest.raises(NoSuchSubject):
        words(court, subject)


def test_status_follows_a_notice(court: Court) -> None:
    """Cleared, executing, vetoed; and what its hosts said."""
    (row,) = status(Evidence(court.evidence()))
    assert (row["state"], row["hosts"], row["said"]) == ("cleared", 5, {})
    court.done("web1")
    court.say("web2", "up", "failed")
    (row,) = status(Evidence(court.evidence()))
    said = {"succeeded": ["web1"], "failed": ["web2"]}
    assert (row["state"], row["said"]) == ("executing", said)
    court.told_by(("veto", veto(notice=court.notice), "lee"))
    (row,) = status(Evidence(court.evidence()))
    assert row["state"] == "vetoed"


def test_moments() -> None:
    """Times are UTC; what nobody knows is said to be unknown."""
    assert moment(1_800_000_000) == "2027-01-15 08:00:00Z"
    assert moment(0) == moment(NEVER) == "unknown"
