"""An undo in rpm's database leaves alone what later changes did to it; rpm itself is asked."""

import contextlib
import sqlite3
import subprocess
from pathlib import Path

import pytest

from answerable.host.transaction.redhat.rpmundo import merge
from tests.host.rpms import build

pytestmark = pytest.mark.needs("rpmbuild")


def rpm(folder: Path, *words: str) -> str:
    """Let rpm work on the database in a folder; give its output."""
    argv = ["rpm", f"--dbpath={folder}", *words]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


@pytest.fixture(scope="module", name="states")
def _states(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The database before, after an upgrade of `a`, and after a later one of `b`, by rpm."""
    folder = tmp_path_factory.mktemp("db")
    made = {f"{n}{v}": str(build(folder / "m", n, v)[1]) for n in "ab" for v in "123"}
    found, db = {}, folder / "rpmdb.sqlite"
    for name, packages in (
        ("old", ("a1", "b1")), ("new", ("a2",)), ("later", ("b2",)), ("over", ("a3",)),
    ):  # fmt: skip
        for package in packages:
            rpm(folder, "--upgrade", "--justdb", made[package])
        found[name] = db.read_bytes()
    return found


def packages(folder: Path, data: bytes) -> list[str]:
    """Give the packages of a database, after rpm has found it sound."""
    (folder / "rpmdb.sqlite").write_bytes(data)
    subprocess.run(["rpmdb", f"--dbpath={folder}", "--verifydb"], check=True, capture_output=True)
    names = rpm(folder, "--query", "--all", "--queryformat", "%{NAME}%{VERSION}\\n").split()
    for name in names:
        assert rpm(folder, "--query", "--whatprovides", name[0]).count(f"{name[0]}-") == 1
    return sorted(names)


def test_nothing_came_in_between(states: dict[str, bytes]) -> None:
    """The very bytes that were there before."""
    assert merge(states["old"], states["new"], states["new"]) == states["old"]


def test_later_change_of_another_package_stays(states: dict[str, bytes], tmp_path: Path) -> None:
    """`a` goes back and `b` stays; once more, as after a kill, changes no package."""
    merged = merge(states["old"], states["new"], states["later"])
    assert merged
    assert packages(tmp_path, merged) == ["a1", "b2"]
    again = merge(states["old"], states["new"], merged)
    assert again
    assert packages(tmp_path, again) == ["a1", "b2"]
    both = merge(states["new"], states["later"], merged)
    assert both
    assert packages(tmp_path, both) == ["a1", "b1"]


def test_package_that_moved_on_is_drift(states: dict[str, bytes]) -> None:
    """The same package in a third version, or anything that is no such database, is drift."""
    assert merge(states["old"], states["new"], states["over"]) is None
    assert merge(states["old"], states["new"], b"no database") is None
    assert merge(states["old"], states["new"], b"") is None


def test_number_that_means_something_else_is_drift(
    states: dict[str, bytes], tmp_path: Path
) -> None:
    """Another blob under a number of the transaction: somebody rebuilt the database."""
    file = tmp_path / "rpmdb.sqlite"
    file.write_bytes(states["later"])
    with contextlib.closing(sqlite3.connect(file)) as store:
        store.execute("update Packages set blob = blob || x'00' where hnum = 3")
        store.commit()
    assert merge(states["old"], states["new"], file.read_bytes()) is None
    file.write_bytes(states["later"])
    with contextlib.closing(sqlite3.connect(file)) as store:
        store.execute("create trigger evil after delete on Name begin delete from Packages; end")
        store.commit()
    assert merge(states["old"], states["new"], file.read_bytes()) is None
