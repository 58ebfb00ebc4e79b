"""Reasons that a person can judge tell no secrets and no words of an attacker's."""

from pathlib import Path

import pytest

from answerable.host.transaction.details import LIMIT, SHOWN, details
from answerable.host.transaction.effects import Change
from answerable.host.transaction.port import Look


def file(sha256: str) -> Look:
    """A file of some bytes."""
    return Look("file", 0o644, sha256=sha256)


def link(target: str) -> Look:
    """A link."""
    return Look("link", 0o777, target=target)


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        (b"one\ntwo\n", b"two\none\n", "; the same lines in another order"),
        (b"password=x\nsame\n", b"password=y\nsame\nmore\n", "; 2 lines come, 1 go"),
        (b"\0binary\n", b"\0other\n", ""),
        (b"x\n" * LIMIT, b"y\n", ""),
    ],
)
def test_lines_are_counted_and_never_shown(
    tmp_path: Path, before: bytes, after: bytes, told: str
) -> None:
    """A reason says how much of a file changed, without a word of it."""
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/file").write_bytes(before)
    (tmp_path / "source").write_bytes(after)
    change = Change("/etc/file", file("a"), file("b"), tmp_path / "source")
    assert details(change, tmp_path) == told


def test_links_tell_where_they_lead(tmp_path: Path) -> None:
    """What came, what went, and what leads elsewhere now."""

    def told(before: Look | None, after: Look | None) -> str:
        return details(Change("/etc/link", before, after, tmp_path / "none"), tmp_path)

    assert told(None, link("/usr/share/x")) == "; is a link to `/usr/share/x`"
    assert told(link("x"), None) == "; was a link to `x`"
    assert told(link("x"), link("y")) == "; was a link to `x`; is a link to `y`"
    assert told(link("x"), file("a")) == "; was a link to `x`"
    assert told(None, file("a")) == told(file("a"), None) == told(file("a"), file("a")) == ""


def test_rights_tell_what_they_were(tmp_path: Path) -> None:
    """A file whose bytes stay is named with what else changed."""
    before, after = Look("file", 0o640, 5, 6), Look("file", 0o644, 5, 0, attributes=(("a", "00"),))
    told = details(Change("/etc/file", before, after, tmp_path), tmp_path)
    assert told == "; mode 0644, was 0640; owner 5:0, was 5:6; other attributes"


def test_targets_cannot_speak_to_whoever_reads_them(tmp_path: Path) -> None:
    """No control characters, no new lines, no end of the reason far away."""
    target = "x\n\x1b[2Jexplained\u202e" + "y" * 5000
    told = details(Change("/etc/link", None, link(target), tmp_path), tmp_path)
    assert told.isascii()
    assert told.isprintable()
    assert len(told) < SHOWN + 30


def test_what_cannot_be_read_is_left_out(tmp_path: Path) -> None:
    """A file that is gone meanwhile is no trouble."""
    change = Change("/etc/file", file("a"), file("b"), tmp_path / "none")
    assert details(change, tmp_path) == ""
