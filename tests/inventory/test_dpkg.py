"""Packages of a Debian root."""

import contextlib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.inventory.dpkg import found, installed, present, read
from answerable.inventory.installed import Unreadable
from answerable.inventory.tree import Folder
from tests.feeds.mangle import mangled


def _stanza(package: str, version: str, status: str, arch: str = "amd64", more: str = "") -> str:
    return (
        f"Package: {package}\nStatus: {status}\nArchitecture: {arch}\n{more}Version: {version}\n"
        "Description: text\n continued: with a colon\n"
    )


OK = "install ok installed"
STATUS = "\n".join([
    _stanza("dpkg", "1.21.22", OK),
    _stanza("libssl3", "3.0.20-1~deb12u2", OK, more="Source: openssl (3.0.20-1~deb12u2)\n"),
    _stanza("libssl3", "3.0.20-1~deb12u2", OK, arch="i386"),
    _stanza("tzdata", "2026a-1", "hold ok installed", arch="all"),
    _stanza("exim4", "4.96-15", OK, more="Provides: default-mta, mail-transport-agent (= 1)\n"),
    _stanza("broken", "1", "install reinstreq half-installed"),
    _stanza("gone", "1", "deinstall ok config-files"),
]).encode()  # fmt: skip


def test_what_is_there_is_read() -> None:
    """Installed, held and broken packages are told apart; removed and foreign ones are absent."""
    rows = {row.package: row for row in read(STATUS, "debian:12")}
    assert {name: row.state for name, row in rows.items()} == {
        "broken": "broken", "dpkg": "installed", "exim4": "installed", "libssl3": "installed",
        "tzdata": "held",
    }  # fmt: skip
    assert (rows["libssl3"].source, rows["libssl3"].arch) == ("openssl", "amd64")
    assert rows["exim4"].provides == ("default-mta", "mail-transport-agent")


def test_the_source_package_keeps_its_own_version() -> None:
    """Advisories of sources are matched with the source's version, not with the binary's."""
    more = "Source: gcc-12 (12.2.0-14)\n"
    data = STATUS + b"\n" + _stanza("libgcc-s1", "1:12.2.0-14", OK, more=more).encode()
    rows = {row.package: row for row in read(data, "debian:12")}
    assert (rows["libgcc-s1"].source, rows["libgcc-s1"].source_version) == ("gcc-12", "12.2.0-14")
    assert rows["libssl3"].source_version == ""


def test_a_foreign_package_is_a_gap(tmp_path: Path) -> None:
    """What would stand twice is listed as unmatched, not silently dropped."""
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_bytes(STATUS)
    (gap,) = found(Folder(tmp_path), "debian:12").gaps
    assert gap.name == "libssl3:i386 3.0.20-1~deb12u2"


def test_an_image_without_dpkg_is_read(tmp_path: Path) -> None:
    """Distroless images have one stanza a file, without a state."""
    folder = tmp_path / "var/lib/dpkg/status.d"
    folder.mkdir(parents=True)
    for name in ("libssl3", "tzdata"):
        stanza = _stanza(name, "1.0-1", OK).replace(f"Status: {OK}\n", "")
        (folder / name).write_text(stanza)
    (folder / "libssl3.md5sums").write_text("not a stanza")
    assert present(Folder(tmp_path))
    assert [row.package for row in installed(tmp_path, "debian:12")] == ["libssl3", "tzdata"]


@pytest.mark.parametrize(
    "status",
    [
        b"",
        b"Package: x\nVersion: 1\n",
        _stanza("dpkg", "not a version!", OK).encode(),
        _stanza("dpkg", "", OK).encode(),
        _stanza("../x", "1", OK).encode(),
        _stanza("gone", "1", "deinstall ok config-files").encode(),
    ],
)
def test_a_damaged_file_is_unreadable(status: bytes) -> None:
    """A host whose packages cannot be read is unknown, never empty."""
    with pytest.raises(Unreadable):
        read(status, "debian:12")


def test_a_root_without_dpkg_is_unreadable(tmp_path: Path) -> None:
    """A directory that is no Debian root is said to be none."""
    with pytest.raises(Unreadable):
        installed(tmp_path, "debian:12")
    (tmp_path / "var/lib/dpkg").mkdir(parents=True)
    (tmp_path / "var/lib/dpkg/status").write_bytes(STATUS)
    assert len(installed(tmp_path, "debian:12")) == 5


@pytest.mark.needs("apt")
def test_this_machines_own_packages_are_read() -> None:
    """The real status file of a real machine is read whole."""
    rows = installed(Path("/"), "debian:12")
    assert len(rows) > 50
    assert {"dpkg", "libc6"} <= {row.package for row in rows}


@pytest.mark.fuzz
@given(st.binary(max_size=400) | mangled(STATUS))
def test_any_bytes_are_packages_or_unreadable(data: bytes) -> None:
    """Untrusted bytes cause `Unreadable` and nothing else."""
    with contextlib.suppress(Unreadable):
        assert read(data, "debian:12")
