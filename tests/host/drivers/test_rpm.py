"""The rpm driver refuses every change but the one that was named; real rpm, no root.

Nothing is installed here: `tests/live/test_rpm.py` does that on hosts of its own.
"""

import fcntl
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from answerable.host.driver import (
    ArtefactDiffers,
    DriverFailed,
    Locked,
    Package,
    Staged,
    TransactionDiffers,
)
from answerable.host.drivers import rpm
from answerable.host.drivers.rpm import RpmDriver
from answerable.host.transaction.redhat import rpmdb
from answerable.host.versions import ABSENT
from tests.host.rpms import File, build, install

pytestmark = pytest.mark.needs("rpmbuild")
FILES = {"/usr/bin/tool": File(b"one", 0o755)}


@pytest.fixture(scope="module", name="installed")
def _installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The root of a host on which `tool` 1-1 and `other` 2:7-1 are."""
    folder = tmp_path_factory.mktemp("rpm")
    tool = build(folder, "tool", "1", FILES)[1]
    other = build(folder, "other", "7", {"/usr/bin/other": File(b"7", 0o755)}, lines=["Epoch: 2"])
    install(folder / "root", tool, other[1])
    return folder / "root"


@pytest.fixture(name="driver")
def _driver(installed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RpmDriver:
    shutil.copytree(installed, tmp_path / "root")
    monkeypatch.setattr(rpm, "ROOT", tmp_path / "root")
    return RpmDriver(
        tmp_path / "state", "rocky:9", {"allow": []}, sleep=lambda _: None, lock_seconds=1
    )  # fmt: skip


def _stage(driver: RpmDriver, *made: tuple[Package, Path]) -> Staged:
    files = {package.sha256: path for package, path in made}
    return driver.stage([package for package, _ in made], lambda sha256: files[sha256].open("rb"))


def test_what_is_installed_is_read_and_nothing_is_written(
    driver: RpmDriver, tmp_path: Path
) -> None:
    """Versions have their epoch, and reading leaves no byte of the database changed."""
    folder = tmp_path / "root/var/lib/rpm"
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    assert driver.installed() == {"tool": "1-1", "other": "2:7-1"}
    rows = {row.package: row for row in driver.census()}
    assert rows["other"][:6] == ("rocky:9", "other", "2:7-1", "noarch", "other", "")
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def test_same_names_as_the_package_tool(driver: RpmDriver, tmp_path: Path) -> None:
    """The package tool's own list of the same database."""
    folder = tmp_path / "root/var/lib/rpm"
    form = "%{NAME} %{EPOCHNUM}:%{VERSION}-%{RELEASE}\\n"
    argv = ["rpm", f"--dbpath={folder}", "--query", "--all", "--queryformat", form]
    said = subprocess.run(argv, capture_output=True, text=True, check=True).stdout.splitlines()
    own = {f"{n} {v if ':' in v else f'0:{v}'}" for n, v in driver.installed().items()}
    assert own == set(said)


def test_package_that_is_there_is_nothing_to_do(driver: RpmDriver, tmp_path: Path) -> None:
    """A package that is there already is left alone, so the action can be run again."""
    made = build(tmp_path, "tool", "1", FILES, before="0-1")
    staged = _stage(driver, made)
    assert driver.preview(staged) is None
    assert driver.upgrade(staged) == ""


def test_missing_dependency_is_refused(driver: RpmDriver, tmp_path: Path) -> None:
    """A dependency that nobody named is not brought along."""
    made = build(tmp_path, "tool", "2", FILES, before="1-1", lines=["Requires: answerable-none"])
    with pytest.raises(TransactionDiffers, match="answerable-none") as caught:
        driver.preview(_stage(driver, made))
    assert any("answerable-none" in line for line in caught.value.also)


def test_package_that_pushes_out_another_is_refused(driver: RpmDriver, tmp_path: Path) -> None:
    """The tool itself removes what a package obsoletes, and says nothing: the database says it."""
    made = build(tmp_path, "tool", "2", FILES, before="1-1", lines=["Obsoletes: other"])
    with pytest.raises(TransactionDiffers) as caught:
        driver.preview(_stage(driver, made))
    assert caught.value.also == ("also removed: `other-2:7-1.noarch`",)


def test_conflict_is_refused(driver: RpmDriver, tmp_path: Path) -> None:
    """Two packages that cannot be there together, or that ship one file, are refused."""
    said = build(tmp_path / "a", "tool", "2", FILES, before="1-1", lines=["Conflicts: other"])
    file = {"/usr/bin/other": File(b"mine")}
    for made in (said, build(tmp_path / "b", "tool", "2", file, before="1-1")):
        with pytest.raises(TransactionDiffers, match="other"):
            driver.preview(_stage(driver, made))


def test_version_that_moved_is_refused(driver: RpmDriver, tmp_path: Path) -> None:
    """A host that is no longer at the noticed version is left alone."""
    made = build(tmp_path, "tool", "3", FILES, before="2-1")
    with pytest.raises(TransactionDiffers, match="is at `1-1`"):
        driver.upgrade(_stage(driver, made))


def test_downgrade_dressed_as_a_patch_is_refused(driver: RpmDriver, tmp_path: Path) -> None:
    """Only an undo goes down; an upgrade to an older version is refused by rpm itself."""
    made = build(tmp_path, "tool", "0.1", FILES, before="1-1")
    with pytest.raises(TransactionDiffers, match="newer than"):
        driver.preview(_stage(driver, made))


def test_one_of_many_versions_is_refused(driver: RpmDriver, tmp_path: Path) -> None:
    """A package of which several versions are kept (kernels) is not one that rpm may clear up."""
    folder, kept = tmp_path / "root/var/lib/rpm", build(tmp_path, "tool", "2", {})[1]
    argv = ["rpm", f"--dbpath={folder}", "--install", "--justdb", str(kept)]
    subprocess.run(argv, check=True, capture_output=True)
    assert driver.installed()["tool"] == "2-1"
    made = build(tmp_path, "tool", "3", {}, before="2-1")
    with pytest.raises(TransactionDiffers, match="also removed: `tool-"):
        driver.preview(_stage(driver, made))


def test_other_package_under_the_named_hash_is_refused(driver: RpmDriver, tmp_path: Path) -> None:
    """The file's own header must be that of the order; an architecture is part of the name."""
    package, path = build(tmp_path, "trial", "1")
    foreign = build(tmp_path / "f", "trial", "1", arch="i686")
    for named, file in (
        (Package("other", "", "1-1", package.sha256), path),
        (Package(package.name, "", "2-1", package.sha256), path),
        foreign,
    ):
        with pytest.raises(ArtefactDiffers, match="holds"):
            _stage(driver, (named, file))


def test_lock_of_another_tool_is_named(driver: RpmDriver, tmp_path: Path) -> None:
    """While rpm works its database is not read: what it says may be half of the truth."""
    lock = tmp_path / "root/var/lib/rpm" / rpmdb.LOCK
    hold = (
        "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.lockf(f, fcntl.LOCK_EX);"
        "print('held', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", hold, str(lock)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as holder:
        assert holder.stdout
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(Locked, match="another package tool"):
            driver.installed()
        with pytest.raises(Locked), rpmdb.held(lock.parent, fcntl.LOCK_EX):
            pass
    assert driver.installed()


def test_torn_database_is_not_read(driver: RpmDriver, tmp_path: Path) -> None:
    """A write-ahead log that was not finished is no state to judge by."""
    (tmp_path / "root/var/lib/rpm" / rpmdb.SIDES[1]).write_bytes(b"x")
    with pytest.raises(DriverFailed, match="not finished"):
        driver.installed()


def test_other_databases_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A host with rpm's older database is told how to convert it."""
    monkeypatch.setattr(rpm, "ROOT", tmp_path)
    with pytest.raises(DriverFailed, match="rebuilddb"):
        RpmDriver(tmp_path, "rocky:8", {"allow": []}).installed()


def test_setting_of_transactions_is_needed(tmp_path: Path) -> None:
    """There is no other way: a kill would leave two versions at once."""
    with pytest.raises(TypeError):
        RpmDriver(tmp_path, "rocky:9")  # type: ignore[call-arg]
    with pytest.raises(TypeError, match="allow"):
        RpmDriver(tmp_path, "rocky:9", {"allow": ["everything"]})


def test_what_comes_new_is_needed_or_refused(driver: RpmDriver, tmp_path: Path) -> None:
    """A library that an upgraded package requires may come; what nobody requires may not."""
    library = {"/usr/lib/libsplit": File(b"1")}
    lib = build(tmp_path, "libsplit", "1", library, before=ABSENT, lines=["Requires: libdeep"])
    deep = build(tmp_path, "libdeep", "1", {}, before=ABSENT, lines=["Provides: libdeep = 1"])
    odd = build(tmp_path, "odd", "1", {}, before=ABSENT, lines=["Provides: other"])
    for number, needed in enumerate(("libsplit", "/usr/lib/libsplit"), 2):
        lines = [f"Requires: {needed}", "Requires: other"]
        tool = build(tmp_path, "tool", str(number), FILES, before="1-1", lines=lines)
        with pytest.raises(TransactionDiffers, match="nothing that is upgraded needs `odd`"):
            driver.preview(_stage(driver, tool, lib, deep, odd))
        driver._may_come(_stage(driver, tool, lib, deep), undo=False)
    with pytest.raises(TransactionDiffers, match="needs `libdeep`, `libsplit`"):
        driver.preview(_stage(driver, build(tmp_path, "tool", "4", FILES, before="1-1"), lib, deep))


def test_what_came_by_no_transaction_does_not_go(driver: RpmDriver, tmp_path: Path) -> None:
    """Only a journal takes a package away; rpm is never asked to remove one."""
    package, file = build(tmp_path, "tool", "1", FILES)
    gone = Package(package.name, package.after, ABSENT, package.sha256)
    staged = _stage(driver, (gone, file))
    with pytest.raises(TransactionDiffers, match="a person must do it"):
        driver.preview(staged, undo=True)
    absent = Package("libnone", "1-1", ABSENT, package.sha256)
    assert driver.preview(Staged((absent,), (file,)), undo=True) is None
