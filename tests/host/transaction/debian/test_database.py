"""dpkg's database says what the packages say, and goes back package by package."""

import pytest

from answerable.host.transaction.debian.database import (
    merge_lines,
    merge_status,
    stanzas,
    status_problems,
    trigger_problems,
)
from tests.host.transaction.debs import NEW_STATUS, STATUS, deb

DEBS = {"tool:amd64": deb()}


def test_named_package_may_change() -> None:
    """A stanza with the fields of the .deb is explained, however its white space is."""
    assert status_problems(STATUS, NEW_STATUS, DEBS) == []
    assert status_problems(STATUS, STATUS, DEBS) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b"Version: 7", b"Version: 8", "other:all: changed, and nobody named it"),
        (b"Version: 2", b"Version: 3", "tool:amd64: `Version` is not that of the package"),
        (b"libtool (= 2)", b"libevil", "tool:amd64: `Depends` is not that of the package"),
        (b"Maintainer: Test <test@example.invalid>\n", b"", "tool:amd64: `Maintainer` is missing"),
        (b"Version: 2\n", b"Version: 2\nEvil: yes\n", "tool:amd64: `Evil` is not that of the"),
        (b"Version: 2\n", b"Version: 2\nConffiles:\n /etc/tool.conf 00\n", "conffile `/etc/tool"),
        (b"install ok installed\nMaintainer", b"install ok unpacked\nMaintainer", "unpacked"),
        (STATUS.partition(b"\n\n")[0] + b"\n\n", b"", "other:all: no longer known"),
    ],
)
def test_what_the_packages_do_not_say_is_named(old: bytes, new: bytes, said: str) -> None:
    """Another package's stanza, another field, another hash: each is a problem."""
    assert old in NEW_STATUS
    problems = status_problems(STATUS, NEW_STATUS.replace(old, new), DEBS)
    assert any(said in problem for problem in problems), problems


def test_undo_of_one_package_keeps_the_others() -> None:
    """A package that changed later stays as it is now."""
    later = NEW_STATUS.replace(b"Version: 7", b"Version: 8")
    merged = merge_status(STATUS, NEW_STATUS, later)
    assert merged
    assert stanzas(merged)["other:all"] == stanzas(later)["other:all"]
    assert stanzas(merged)["tool:amd64"] == stanzas(STATUS)["tool:amd64"]
    assert merge_status(STATUS, NEW_STATUS, merged) == merged, "and again, after a kill"
    assert merge_status(STATUS, NEW_STATUS, NEW_STATUS) == STATUS


def test_undo_of_a_package_that_moved_on_is_refused() -> None:
    """The same package in a third version is drift."""
    assert (
        merge_status(STATUS, NEW_STATUS, NEW_STATUS.replace(b"Version: 2", b"Version: 3")) is None
    )


def test_undo_of_a_new_package_takes_its_stanza_away() -> None:
    """What was not there before is not there afterwards."""
    without = STATUS.partition(b"\n\n")[0] + b"\n\n"
    later = NEW_STATUS.replace(b"Version: 7", b"Version: 8")
    merged = merge_status(without, NEW_STATUS, later)
    assert merged
    assert list(stanzas(merged)) == ["other:all"]


def test_triggers_are_those_that_packages_declare() -> None:
    """Lines may come in any order; one that nobody declared is named."""
    made = deb()
    made.members["triggers"] = b"# why\ninterest-noawait /usr/lib/tool\ninterest /etc/tool.d\n"
    debs = {"tool:amd64": made}
    old = b"/usr/lib other\n/old tool\n"
    good = b"/etc/tool.d tool:amd64\n/usr/lib/tool tool/noawait\n/usr/lib other\n"
    assert trigger_problems(old, good, debs) == []
    for evil in (b"/evil tool\n", b"/usr/lib/tool other/noawait\n"):
        assert len(trigger_problems(old, good + evil, debs)) == 1
    assert trigger_problems(old, b"/old tool\n", debs) == [
        "trigger `/usr/lib other` is not declared"
    ]


def test_lines_go_back_beside_later_ones() -> None:
    """A line of a later change stays, whatever the order."""
    assert merge_lines(b"a\nb\n", b"c\na\n", b"d\nc\na\n") == b"d\na\nb\n"
    assert merge_lines(b"a\n", b"c\n", b"c\n") == b"a\n"
    assert merge_lines(b"a\nb\n", b"c\na\n", b"d\na\nb\n") == b"d\na\nb\n", "and again"
