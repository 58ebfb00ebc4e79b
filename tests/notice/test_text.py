"""What people read says what, where, why, who, when and how to object, within a minute."""

from pathlib import Path

import pytest

from answerable.kernel.canon import Json
from tests.notice.parish import Parish

WORDS_A_MINUTE = 240


@pytest.fixture
def parish(tmp_path: Path) -> Parish:
    """A fleet and its herald."""
    return Parish(tmp_path)


def page(parish: Parish, plan: Json | None = None, **said: Json) -> str:
    """Give the text of one notice."""
    leaf = parish.notice(plan, edit=lambda body: body.update(said))
    herald = parish.herald()
    herald.tick()
    text = herald.page(leaf) or ""
    assert "NOT DELIVERED" not in text, text
    return text


def test_everything_a_person_needs_is_there(parish: Parish) -> None:
    """Packages and versions, hosts and rings, causes, authority, times, and the way to say no."""
    text = page(parish)
    for part in (
        "libssl3 3.0.11-1~deb12u1 to 3.0.17-1~deb12u2 (5 hosts)", "5 hosts in rings of 1, 2, 2",
        "zones: api, web", "web1", "CVE-2026-0001", "`urgent-security` owned by dana",
        "clause `urgent`",
        "30 minutes after people were told", "restart nginx.service", "answerable veto ",
        "answerable approve ", "https://g1.example/notices/", "Check words", "1 host",
        "an undo is planned on 5 hosts", "UTC",
    ):  # fmt: skip
        assert part in text, part


def test_it_is_read_in_a_minute(parish: Parish) -> None:
    """A plan of any size stays short: lists are cut, and say by how much."""
    rings = [[f"h{n}" for n in range(300)]]
    parish.sim.records |= {f"h{n}": {"zones": ["web"], "instance": "00" * 32} for n in range(300)}

    def many(order: Json) -> None:
        first = order["changes"][0]["packages"][0]
        order["changes"][0]["packages"] = [{**first, "name": f"p{n}"} for n in range(40)]
        order["undo"] = []

    text = page(parish, parish.plan(rings=rings, order=many))
    spoken = [word for word in text.split() if not any(len(p) > 20 for p in word.split("/"))]
    assert len(spoken) <= WORDS_A_MINUTE
    assert "... and 30 more" in text
    assert "and 280 more" in text


def test_planner_s_words_cannot_pose_as_the_herald_s(parish: Parish) -> None:
    """A title with line ends, or causes that are no flaw's names, add no line of their own."""

    def pose(plan: Json) -> None:
        plan["title"] = "x\nCheck words  acid acid acid"
        plan["exposures"].append({"host": "zz", "zones": [], "cves": ["a\nTo object: call me"]})

    text = page(parish, parish.plan(plan=pose))
    assert "\nCheck words  acid acid acid" not in text
    assert "call me" not in text


def test_emergency_and_approvals_are_said(parish: Parish) -> None:
    """What is unusual about a notice stands in it."""
    plan = parish.plan(plan=lambda body: body.update(basis="approvals", clause=""))
    text = page(parish, plan, basis="approvals", clause="", authorization="", emergency=True)
    assert "EMERGENCY" in text
    assert "2 persons must approve" in text


def test_odd_times_do_not_break_it(parish: Parish) -> None:
    """A time beyond the calendar is shown as the number it is."""
    assert "second 9007199254740991" in page(parish, undo_not_after=(1 << 53) - 1)
