"""rpm's database is read where it lies, and never believed about more than was named."""

import contextlib
import fcntl
import sqlite3
import tempfile
from pathlib import Path

import pytest
from hypothesis import given

from answerable.host.driver import DriverFailed
from answerable.host.transaction.redhat import rpmdb
from answerable.host.transaction.redhat.rpmdb import Row, also, find, rows
from tests.host.transaction.rpms import database, package
from tests.kernel.near import near_bytes

TOOL, OTHER = Row("tool", "1-1", "x86_64", "aa"), Row("other", "7-1", "noarch", "bb")
NEW = Row("tool", "2-1", "x86_64", "cc")


def _good() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        return database(Path(folder), package(), package("other")).read_bytes()


GOOD = _good()


def test_packages_are_read_and_keys_are_none(tmp_path: Path) -> None:
    """Name, version, architecture and the hash of the header; imported keys are left out."""
    file = database(tmp_path, package(epoch=2), package("gpg-pubkey"))
    (row,) = rows(file)
    assert row[:3] == ("tool", "2:2-1", "noarch")
    assert len(row.header) == 64
    assert find(tmp_path) == "/var/lib/rpm/rpmdb.sqlite"


def test_newer_place_and_linked_place(tmp_path: Path) -> None:
    """The database is found behind the link that old and new hosts have."""
    database(tmp_path, package())
    (tmp_path / "usr/lib/sysimage").mkdir(parents=True)
    (tmp_path / "var/lib/rpm").rename(tmp_path / "usr/lib/sysimage/rpm")
    (tmp_path / "var/lib/rpm").symlink_to("../../usr/lib/sysimage/rpm")
    assert find(tmp_path) == "/usr/lib/sysimage/rpm/rpmdb.sqlite"


@pytest.mark.parametrize(
    "evil",
    [
        "drop table Packages; create view Packages as select 1 hnum, randomblob(9) blob",
        "drop table Packages",
        "delete from Packages; insert into Packages (blob) values ('text')",
        "update Packages set blob = zeroblob(7)",
    ],
)
def test_other_databases_are_refused(tmp_path: Path, evil: str) -> None:
    """A view in the place of the table; no table; no blob; a short one."""
    file = database(tmp_path, package())
    with contextlib.closing(sqlite3.connect(file)) as store:
        store.executescript(evil)
    with pytest.raises(DriverFailed):
        rows(file)


def test_huge_header_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A blob over the limit is refused by SQLite before it is in memory."""
    file = database(tmp_path, package())
    monkeypatch.setattr(rpmdb, "BLOB", 100)
    with pytest.raises(DriverFailed, match="too big"):
        rows(file)


def test_endless_reading_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes more of SQLite's steps than is allowed is not read."""
    file = database(tmp_path, *[package()] * 500)
    assert len(rows(file)) == 500
    monkeypatch.setattr(rpmdb, "STEPS", 0)
    with pytest.raises(DriverFailed, match="interrupted"):
        rows(file)
    monkeypatch.setattr(rpmdb, "STEPS", 9)
    monkeypatch.setattr(rpmdb, "PACKAGES", 9)
    with pytest.raises(DriverFailed, match="more than 9"):
        rows(file)


def test_lock_is_made_only_to_write(tmp_path: Path) -> None:
    """Reading leaves nothing behind; who writes holds a lock that rpm knows."""
    with rpmdb.held(tmp_path, fcntl.LOCK_SH):
        assert list(tmp_path.iterdir()) == []
    with rpmdb.held(tmp_path, fcntl.LOCK_EX):
        assert [file.name for file in tmp_path.iterdir()] == [rpmdb.LOCK]


@pytest.mark.parametrize(
    ("after", "said"),
    [
        ([NEW, OTHER], []),
        ([TOOL, NEW, OTHER], []),
        ([TOOL, OTHER], ["not installed: `tool-2-1.x86_64`"]),
        ([NEW], ["also removed: `other-7-1.noarch`"]),
        ([NEW, OTHER, Row("evil", "1-1", "noarch", "")], ["also installed: `evil-1-1.noarch`"]),
        ([NEW, Row("other", "8-1", "noarch", "")], ["also installed: `other-8-1.noarch`"]),
        ([NEW._replace(header="dd"), OTHER], ["also installed", "not installed"]),
        ([NEW, NEW, OTHER], ["also installed"]),
    ],
)
def test_what_nobody_named_is_told(after: list[Row], said: list[str]) -> None:
    """A change of the database is the named packages in place of their old versions."""
    found = also([TOOL, OTHER], after, [NEW])
    assert len(found) == len(said)
    assert all(problem.startswith(one) for problem, one in zip(found, said, strict=True))


def test_each_named_package_takes_one_place() -> None:
    """Of several versions, or of another architecture's, none goes for one that comes."""
    old = TOOL._replace(version="0-1")
    assert len(also([TOOL, old], [NEW], [NEW])) == 1
    foreign = TOOL._replace(arch="i686")
    assert also([TOOL, foreign], [NEW], [NEW]) == ["also removed: `tool-1-1.i686`"]
    moved = NEW._replace(arch="noarch")
    assert also([TOOL], [moved], [moved]) == [], "a package may become one for all machines"


@pytest.mark.fuzz
@given(near_bytes(GOOD))
def test_damaged_databases_are_refused(data: bytes) -> None:
    """Any damage ends in an answer or in `DriverFailed`."""
    with tempfile.TemporaryDirectory() as folder, contextlib.suppress(DriverFailed):
        file = Path(folder, rpmdb.NAME)
        file.write_bytes(data)
        rows(file)
