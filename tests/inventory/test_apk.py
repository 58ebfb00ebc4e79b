"""Packages of an Alpine root."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.inventory.apk import found, present, read
from answerable.inventory.installed import Unreadable
from answerable.inventory.tree import Folder
from tests.feeds.mangle import mangled
from tests.inventory.rows import plain

INSTALLED = b"""C:Q1abc=
P:musl
V:1.2.4-r2
A:x86_64
o:musl
F:lib
R:ld-musl-x86_64.so.1

C:Q1def=
P:libssl3
V:3.1.4-r5
A:x86_64
o:openssl
D:so:libc.musl-x86_64.so.1

"""


def test_what_is_there_is_read(tmp_path: Path) -> None:
    """Name, version, architecture and source of each package."""
    assert not present(Folder(tmp_path))
    file = tmp_path / "lib/apk/db/installed"
    file.parent.mkdir(parents=True)
    file.write_bytes(INSTALLED)
    assert present(Folder(tmp_path))
    assert plain(found(Folder(tmp_path), "alpine:3.19").packages) == {
        ("alpine:3.19", "musl", "1.2.4-r2", "x86_64", "musl", ""),
        ("alpine:3.19", "libssl3", "3.1.4-r5", "x86_64", "openssl", ""),
    }


@pytest.mark.parametrize("data", [b"", b"P:x\n", b"V:1\n", b"P:x y\nV:1\n", b"words"])
def test_a_damaged_file_is_unreadable(data: bytes) -> None:
    """A stanza without name or version is damage, and an empty file no host."""
    with pytest.raises(Unreadable):
        read(data, "alpine:3.19")


@pytest.mark.fuzz
@given(st.binary(max_size=300) | mangled(INSTALLED))
def test_any_bytes_are_packages_or_unreadable(data: bytes) -> None:
    """Untrusted bytes cause `Unreadable` and nothing else."""
    with contextlib.suppress(Unreadable):
        assert read(data, "alpine:3.19").packages
