"""Explanations say in words what the records prove, and nothing that they do not."""

from pathlib import Path

import pytest

from answerable.evidence.explain import NoSuchSubject, explain, moment, status
from answerable.evidence.times import NEVER
from answerable.evidence.verify import Evidence
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
    assert "web1 up (upgrade) succeeded: before: allowed by dana, kim" in words(court, "web1/up")
    assert len(words(court, "web1").splitlines()) == 3


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
