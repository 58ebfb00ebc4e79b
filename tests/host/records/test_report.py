"""Reports: the same words are the same statement, and nobody can make a host say too much."""

from pathlib import Path

import pytest

from answerable.host.files import HomeUnavailable
from answerable.host.records.report import (
    AN_HOUR,
    REMEMBERED,
    About,
    Ended,
    Refusals,
    body_of,
    report_note,
)
from answerable.ledger.reports import open_report
from tests.simulator import Simulator
from tests.simulator.keys import signer

ABOUT = About("ab" * 32, "cd" * 32, "up", "upgrade")


def test_the_log_opens_what_the_host_signs() -> None:
    """A report is of the shape that the report log takes, and signed with the host's key."""
    sim = Simulator()
    seen = {"libssl3": "3.0.17", "libstdc++6": "12"}
    detail = "two lines\nand a \x1b[31mred one"
    done = Ended("failed", "tool", detail + "\ud800" + "x" * 5000, seen, 1, 2)
    body = body_of("web1", ABOUT, done, 7)
    entry = report_note(body, sim.fleet, sim.state.law(), signer("web1"))
    said = open_report(entry, {signer("web1").key: ("host", "web1")})
    assert said.body["reason"] == "tool"
    assert "\x1b" not in said.body["detail"]
    assert said.body["observed"] == {"libssl3": "3.0.17"}
    assert report_note(body, sim.fleet, sim.state.law(), signer("web1")) == entry


def test_a_refusal_is_remembered_across_restarts(tmp_path: Path) -> None:
    """The same reason for the same change is not said again."""
    path = tmp_path / "refusals.json"
    first = Refusals(path, lambda: 0.0)
    assert first.add(ABOUT, "vetoed", {"seq": 4})
    again = Refusals(path, lambda: 0.0)
    assert again.known(ABOUT, "vetoed")
    assert not again.known(ABOUT, "halted")
    assert again.highest() == 4
    again.sent(4)
    assert Refusals(path, lambda: 0.0).unsent() == []


def test_an_hour_holds_so_many_refusals(tmp_path: Path) -> None:
    """The rest waits for the next hour; memory is bounded."""
    now = [0.0]
    refusals = Refusals(tmp_path / "refusals.json", lambda: now[0])
    taken = 0
    for hour in range(6):
        now[0] = hour * 3600.0
        taken += sum(
            refusals.add(ABOUT._replace(change=f"c{n}"), str(hour), {"seq": n})
            for n in range(AN_HOUR + 5)
        )
    assert taken == 6 * AN_HOUR
    assert len(refusals.unsent()) == REMEMBERED


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    """With the way out."""
    path = tmp_path / "refusals.json"
    path.write_text("{}")
    with pytest.raises(HomeUnavailable, match="remove it"):
        Refusals(path, lambda: 0.0)
