"""What people read says what, where, why, who, when and how to object, within a minute."""

from collections.abc import Callable
from hashlib import sha256
from itertools import cycle
from pathlib import Path

import pytest

from answerable.host.transaction import sensitive
from answerable.kernel.canon import Json
from answerable.notice.text import CLASSES
from tests.notice.parish import Parish
from tests.simulator import Simulator

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
        order["changes"][0].update(effects=sha256(order["host"].encode()).hexdigest(),
                                   classes=["cron", "setuid", "unit"])  # fmt: skip

    text = page(parish, parish.plan(rings=rings, order=many))
    assert "Effects 300 lists of changed files; hosts refuse any other" in text
    assert "... and 298 more" in text
    spoken = [word for word in text.split() if not any(len(p) > 20 for p in word.split("/"))]
    assert len(spoken) <= WORDS_A_MINUTE
    assert "... and 36 more" in text
    assert "and 290 more" in text


def seen(classes: list[str], *hashes: str) -> Callable[[Json], None]:
    """Let every order name effects, in turn one of these hashes."""
    turn = cycle(hashes)

    def name(order: Json) -> None:
        said = {"effects": next(turn) * 32, "classes": classes}
        for change in order["changes"] + order["undo"]:
            if change["type"] in ("upgrade", "undo"):
                change.update(said)

    return name


def test_effects_are_counted_and_their_classes_said_in_words(parish: Parish) -> None:
    """How many different lists hosts would commit, each by its hash, and what is sensitive."""
    text = page(parish, parish.plan(order=seen(["setuid", "unit"], "ab", "cd")))
    assert "Effects 2 lists of changed files" in text
    assert "setuid (programs that run as their owner); unit (services of systemd" in text
    assert f"{'ab' * 32} libssl3, openssl (3 hosts)" in text
    assert f"{'cd' * 32} libssl3, openssl (2 hosts)" in text
    assert "not rehearsed" not in text


def reboot(order: Json) -> None:
    """Let every order end in a reboot, but that of one host."""
    if order["host"] != "web1":
        last = {"id": "boot", "type": "reboot", "caused_by": "up", "risk": "high"}
        order["changes"].append(last)


def test_hosts_that_go_down_are_counted(tmp_path: Path) -> None:
    """How many, beside the list that may be cut; and that the authorization is silent about it."""

    def name(terms: Json) -> None:
        terms["effects"] = []

    for sim, silent in ((Simulator(authorization=name), True), (Simulator(), False)):
        folder = tmp_path / str(silent)
        folder.mkdir()
        asked = Parish(folder, sim)
        text = page(asked, asked.plan(order=reboot))
        assert "4 hosts will be rebooted" in text
        assert ("WHICH THE AUTHORIZATION DOES NOT NAME" in text) == silent
        assert "highest risk: high" in text
        assert "rebooted" not in page(asked)


def new(order: Json) -> None:
    """Let every upgrade bring a package that was not there."""
    image = {"name": "linux-image-6.1.0-56-amd64", "from": "(none)", "to": "6.1.192-2"}
    sha = {"sha256": "ab" * 32}
    order["changes"][0]["packages"].append({**image, **sha, "advisories": [], "for": "libssl3"})
    back = {"from": image["to"], "to": image["from"]}
    order["undo"][0]["packages"].append({**image, **sha, **back})


def test_what_comes_new_is_named_as_such(parish: Parish) -> None:
    """Apart from what is upgraded, with its cause."""
    text = page(parish, parish.plan(order=new))
    assert "New     newly installed: 1 package" in text
    assert "linux-image-6.1.0-56-amd64 6.1.192-2, needed by libssl3 (5 hosts)" in text
    assert "(none)" not in text
    assert "newly installed" not in page(parish)


def test_what_was_not_rehearsed_is_said(parish: Parish) -> None:
    """A host that compares no files is never taken for one that does."""
    assert "not rehearsed on 5 hosts" in page(parish)
    assert "Effects 1 list" not in page(parish)


def test_each_class_has_words() -> None:
    """People read what a class is; the table is the host's own."""
    assert set(sensitive.CLASSES) <= CLASSES.keys()


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
