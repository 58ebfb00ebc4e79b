"""A party's directory is what its operator wrote, private, and never half written."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from answerable.config import (
    FILE,
    KINDS,
    NotConfigured,
    Party,
    read_bytes,
    read_party,
    write_party,
    write_private,
)


def party(directory: Path, kind: str = "guard", listen: str = "127.0.0.1:8411") -> Party:
    """Give a guard's settings."""
    url, settings = "https://g1.example", {"log": "https://log.example"}
    return Party(directory.resolve(), kind, "g1", "team1", url, listen, settings)


@pytest.mark.parametrize("kind", KINDS)
def test_a_party_reads_back_as_it_was_written(tmp_path: Path, kind: str) -> None:
    """A restarted party has the settings it was given."""
    write_party(party(tmp_path / "p", kind))
    assert read_party(tmp_path / "p", kind) == party(tmp_path / "p", kind)


def test_a_party_of_another_kind_is_not_run(tmp_path: Path) -> None:
    """A guard's directory, with its keys, is not run as an observer's by mistake."""
    write_party(party(tmp_path, "guard"))
    with pytest.raises(NotConfigured, match="no directory of a observer"):
        read_party(tmp_path, "observer")


def test_other_users_cannot_read_a_party(tmp_path: Path) -> None:
    """Settings may hold a mail login: mode 0600 in a directory of mode 0700."""
    write_party(party(tmp_path / "p"))
    assert stat.S_IMODE((tmp_path / "p").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "p" / "party.json").stat().st_mode) == 0o600


def _changed(**members: Any) -> bytes:  # noqa: ANN401  JSON
    body = {"kind": "guard", "listen": "", "name": "g1", "operator": "o", "settings": {}, "url": ""}
    return json.dumps({k: v for k, v in {**body, **members}.items() if v is not None}).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"", b"{", b"[]", b"7", b"\xff\xfe", _changed(name=None), _changed(more=1),
        _changed(kind="control"), _changed(listen="8411"), _changed(listen=":8411"),
        _changed(listen="127.0.0.1:http"),
    ],
    ids=["empty", "cut", "list", "number", "not text", "no name", "misspelt", "another kind",
         "port alone", "no host", "port in words"],
)  # fmt: skip
def test_what_is_no_settings_is_named(tmp_path: Path, data: bytes) -> None:
    """A damaged or misspelt file stops the party and names the file or directory."""
    (tmp_path / "party.json").write_bytes(data)
    with pytest.raises(NotConfigured, match=str(tmp_path)):
        read_party(tmp_path, "guard")


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    """Nothing is made where nothing was."""
    with pytest.raises(NotConfigured, match="cannot read"):
        read_party(tmp_path / "none", "guard")
    assert not (tmp_path / "none").exists()


def test_where_to_listen_is_read(tmp_path: Path) -> None:
    """An address is a host and a port, also of IPv6."""
    assert party(tmp_path).address == ("127.0.0.1", 8411)
    assert party(tmp_path, listen="[::1]:8411").address == ("[::1]", 8411)


def test_a_party_that_was_given_no_charter_says_so(tmp_path: Path) -> None:
    """Without the charter that somebody trusted there is nothing to follow."""
    with pytest.raises(NotConfigured, match=r"charter\.note"):
        party(tmp_path).charter()


def test_a_large_file_is_not_read(tmp_path: Path) -> None:
    """A file that grew without bound is named, not loaded."""
    (tmp_path / "party.json").write_bytes(b" " * (FILE + 1))
    with pytest.raises(NotConfigured, match="larger than"):
        read_bytes(tmp_path / "party.json")


def test_writing_replaces_at_once(tmp_path: Path) -> None:
    """A reader sees the old file or the new one, and nothing is left beside it."""
    write_private(tmp_path / "f", b"old")
    with (tmp_path / "f").open("rb") as reader:
        write_private(tmp_path / "f", b"new")
        assert reader.read() == b"old"
    assert ((tmp_path / "f").read_bytes(), [p.name for p in tmp_path.iterdir()]) == (b"new", ["f"])
