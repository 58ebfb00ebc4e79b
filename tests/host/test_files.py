"""Files of the agent: whole or not there, private, and read up to a limit."""

from pathlib import Path

import pytest

from answerable.host.files import (
    HomeUnavailable,
    append_synced,
    check_private,
    make_private,
    read_file,
    read_json,
    write_file,
)


def test_what_is_written_is_private_and_whole(tmp_path: Path) -> None:
    """Mode 0600, and nothing is left beside it."""
    write_file(tmp_path / "a", b"one")
    write_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"two"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_a_failed_write_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A power cut or a full disk shows the old one or the new one, never half."""
    write_file(tmp_path / "a", b"one")

    def fail(_: int) -> None:
        raise OSError(28, "full")

    monkeypatch.setattr("os.fsync", fail)
    with pytest.raises(HomeUnavailable):
        write_file(tmp_path / "a", b"two")
    assert (tmp_path / "a").read_bytes() == b"one"


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    """Who could lay a link must not choose what the agent writes."""
    (tmp_path / "target").write_bytes(b"mine")
    (tmp_path / "journal").symlink_to(tmp_path / "target")
    with pytest.raises(HomeUnavailable):
        append_synced(tmp_path / "journal", b"x", 0)
    (tmp_path / ".a.part").symlink_to(tmp_path / "target")
    with pytest.raises(HomeUnavailable):
        write_file(tmp_path / "a", b"x")
    assert (tmp_path / "target").read_bytes() == b"mine"


def test_appending_cuts_off_what_was_behind(tmp_path: Path) -> None:
    """An unfinished line of an earlier time is written over."""
    append_synced(tmp_path / "j", b"12345", 0)
    append_synced(tmp_path / "j", b"ab", 3)
    assert (tmp_path / "j").read_bytes() == b"123ab"


def test_reads_have_a_limit(tmp_path: Path) -> None:
    """One byte more is an error."""
    (tmp_path / "a").write_bytes(b"12345")
    assert read_file(tmp_path / "a", 5) == b"12345"
    with pytest.raises(HomeUnavailable, match="over 4 bytes"):
        read_file(tmp_path / "a", 4)
    with pytest.raises(HomeUnavailable, match="cannot read"):
        read_file(tmp_path / "b")


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_said(tmp_path: Path, data: bytes) -> None:
    """Also nested too deep."""
    (tmp_path / "a").write_bytes(data)
    with pytest.raises(HomeUnavailable, match="is no JSON"):
        read_json(tmp_path / "a")


def test_directories_are_private(tmp_path: Path) -> None:
    """Made so; and refused if somebody opened them."""
    make_private(tmp_path / "a" / "b")
    check_private(tmp_path / "a" / "b", "700")
    (tmp_path / "a" / "b").chmod(0o711)
    with pytest.raises(HomeUnavailable, match="chmod 700"):
        make_private(tmp_path / "a" / "b")
    with pytest.raises(HomeUnavailable, match="cannot use"):
        check_private(tmp_path / "none", "600")
