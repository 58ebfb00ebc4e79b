"""Packages that rpm keeps."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.inventory.installed import Unreadable
from answerable.inventory.rpm import found, present, read
from answerable.inventory.tree import Folder
from tests.feeds.mangle import mangled
from tests.inventory.generated import ALMA, sample
from tests.inventory.rows import plain
from tests.inventory.rpms import BLOBS, header, ndb

KERNEL = {"t1000": "kernel", "t1001": "5.14.0", "t1002": "427.el9", "t1022": "x86_64"}


def _root(folder: Path, name: str, data: bytes) -> Folder:
    place = folder / ("usr/lib/sysimage/rpm" if name == "Packages.db" else "var/lib/rpm") / name
    place.parent.mkdir(parents=True)
    place.write_bytes(data)
    return Folder(folder)


@pytest.mark.parametrize("name", ["rpmdb.sqlite", "Packages", "Packages.db"])
def test_a_database_of_each_form_says_the_same(tmp_path: Path, name: str) -> None:
    """The same packages, whichever form rpm of that time kept them in."""
    data = ndb(BLOBS) if name == "Packages.db" else sample(f"{name}.xz")
    tree = _root(tmp_path, name, data)
    assert present(tree)
    assert plain(found(tree, "almalinux:9").packages) == ALMA


def test_several_kernels_stay_several(tmp_path: Path) -> None:
    """The one that is booted may be the old one: each version is listed."""
    blobs = [header(**KERNEL), header(**{**KERNEL, "t1002": "503.el9"}),
             header(t1000="gpg-pubkey", t1001="8483c65d", t1002="5ccc5b19")]  # fmt: skip
    rows = found(_root(tmp_path, "Packages.db", ndb(blobs)), "almalinux:9").packages
    assert [row.version for row in rows] == ["5.14.0-427.el9", "5.14.0-503.el9"]


def test_the_source_package_keeps_its_own_version() -> None:
    """Advisories of sources are matched with the source's version, not with the binary's."""
    blob = header(t1000="perl-libs", t1001="5.32.1", t1002="481.el9", t1003=4,
                  t1022="x86_64", t1044="perl-5.32.2-481.el9.src.rpm")  # fmt: skip
    (row,) = read(blob, "almalinux:9")
    assert (row.version, row.source, row.source_version) == (
        "4:5.32.1-481.el9", "perl", "4:5.32.2-481.el9",
    )  # fmt: skip


@pytest.mark.parametrize(
    "blob",
    [
        b"",
        header(t1000="bash"),
        header(t1000="", t1001="1", t1002="1"),
        header(t1000="ba sh", t1001="1", t1002="1"),
        header(t1000=7, t1001="1", t1002="1"),
        header(**KERNEL)[:-1],
        b"\xff\xff\xff\xff" + header(**KERNEL)[4:],
    ],
)
def test_a_damaged_header_is_unreadable(blob: bytes) -> None:
    """A package without a name or version is damage, never skipped."""
    with pytest.raises(Unreadable):
        list(read(blob, "almalinux:9"))


def test_no_database_is_unreadable(tmp_path: Path) -> None:
    """A root without a database is none of rpm's; one with nothing in it is no empty host."""
    assert not present(Folder(tmp_path))
    with pytest.raises(Unreadable):
        found(Folder(tmp_path), "almalinux:9")
    with pytest.raises(Unreadable):
        found(_root(tmp_path, "Packages.db", ndb([])), "almalinux:9")


@pytest.mark.live
def test_rpm_itself_finds_the_same(tmp_path: Path) -> None:
    """What rpm lists of its database is what is read of it."""
    if shutil.which("rpm") is None:
        pytest.skip("rpm is absent")
    file = tmp_path / "rpmdb.sqlite"
    file.write_bytes(sample("rpmdb.sqlite.xz"))
    words = "%{NAME} %|EPOCH?{%{EPOCH}:}:{}|%{VERSION}-%{RELEASE} %{ARCH} %{SOURCERPM}\n"
    done = subprocess.run(
        ["rpm", "--dbpath", tmp_path, "-qa", "--qf", words],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    listed = {tuple(line.split()) for line in done.stdout.splitlines()}
    rows = {(name, at, arch) for _, name, at, arch, _, _ in ALMA}
    assert {row[:3] for row in listed} == rows


@pytest.mark.fuzz
@given(st.binary(max_size=300) | st.sampled_from(BLOBS).flatmap(mangled))
def test_any_header_is_a_package_or_unreadable(blob: bytes) -> None:
    """Untrusted bytes cause `Unreadable` and nothing else."""
    with contextlib.suppress(Unreadable):
        list(read(blob, "almalinux:9"))
