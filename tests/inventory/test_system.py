"""What is installed in a whole root."""

from pathlib import Path

import pytest

from answerable.inventory.installed import Unreadable
from answerable.inventory.system import read
from answerable.inventory.tree import Folder
from tests.inventory.test_dpkg import STATUS

METADATA = b"Metadata-Version: 2.1\nName: waitress\nVersion: 2.1.2\n\n"


def _put(root: Path, name: str, data: bytes) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    (root / name).write_bytes(data)


def test_a_root_is_read_whole(tmp_path: Path) -> None:
    """The distribution's packages and environments, but not twice what its package tool counts."""
    _put(tmp_path, "etc/os-release", b"ID=debian\nVERSION_ID=12\n")
    _put(tmp_path, "var/lib/dpkg/status", STATUS)
    for place, name in (("srv/app/venv", "own"), ("usr", "distribution")):
        site = f"{place}/lib/python3.11/site-packages"
        data = METADATA.replace(b"waitress", name.encode())
        _put(tmp_path, f"{site}/{name}-2.1.2.dist-info/METADATA", data)
    _put(tmp_path, "srv/app/venv/lib/python3.11/site-packages/x.dist-info/METADATA", b"Name: x\n")
    found = read(Folder(tmp_path))
    assert {row.ecosystem for row in found.packages} == {"debian:12", "pypi"}
    assert {row.package for row in found.packages if row.ecosystem == "pypi"} == {"own"}
    assert len(found.gaps) == 2  # the damaged metadata, and the package of another architecture
    assert {row.ecosystem for row in read(Folder(tmp_path), "debian:11").packages} == {
        "debian:11", "pypi",
    }  # fmt: skip


def test_an_interpreter_without_a_distribution_is_read(tmp_path: Path) -> None:
    """Where no package tool counts `usr/lib`, this does."""
    site = "usr/lib/python3.12/site-packages/waitress-2.1.2.dist-info/METADATA"
    _put(tmp_path, site, METADATA)
    assert [row.package for row in read(Folder(tmp_path)).packages] == ["waitress"]


def test_a_root_without_a_database_is_unreadable(tmp_path: Path) -> None:
    """An empty folder is no host with nothing on it."""
    with pytest.raises(Unreadable, match="no package database"):
        read(Folder(tmp_path))


@pytest.mark.needs("apt")
def test_this_machine_is_read() -> None:
    """Without any setting, the machine that it runs on is read."""
    rows = read(Folder(Path("/"))).packages
    assert len(rows) > 50
    assert {row.ecosystem.partition(":")[0] for row in rows} <= {"debian", "ubuntu", "pypi"}
