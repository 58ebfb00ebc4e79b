"""The apt driver refuses every transaction but the one that was named; real apt and dpkg, no root.

Nothing is installed here: `tests/live/test_fleet.py` does that on hosts of its own.
"""

import hashlib
from pathlib import Path

import pytest

from answerable.host.driver import ArtefactDiffers, Package, Staged, TransactionDiffers
from answerable.host.drivers.apt import WHOLE, AptDriver, parse_database, unnamed, unneeded
from answerable.host.versions import ABSENT
from tests.host.debs import build

pytestmark = pytest.mark.needs("apt")

SHA = "0" * 64
SIMULATION = """\
Inst libssl3 [3.0.20-1] (3.0.22-1 local-deb [amd64])
Inst openssl [3.0.20-1] (3.0.22-1 local-deb [amd64])
Conf libssl3 (3.0.22-1 local-deb [amd64])
Conf openssl (3.0.22-1 local-deb [amd64])
"""
SSL, LIB = (Package(n, "3.0.20-1", "3.0.22-1", SHA) for n in ("openssl", "libssl3"))


@pytest.fixture(name="driver")
def _driver(tmp_path: Path) -> AptDriver:
    return AptDriver(tmp_path, "debian:12")


def _stage(driver: AptDriver, *made: tuple[Package, Path]) -> Staged:
    files = {package.sha256: path for package, path in made}
    return driver.stage([package for package, _ in made], lambda sha256: files[sha256].open("rb"))


def test_named_transaction_has_nothing_unnamed() -> None:
    """Exactly the named packages in exactly the named versions pass."""
    assert unnamed(SIMULATION, [SSL, LIB], "amd64") == []


@pytest.mark.parametrize(
    ("line", "also"),
    [
        ("Inst evil (1 local-deb [amd64])", True),
        ("Inst evil [0] (1 local-deb [amd64])", True),
        ("Remv jq [1.6]", True),
        ("Purg jq [1.6]", True),
        ("Conf jq (1.6 local-deb [amd64])", True),
        ("Inst openssl [3.0.20-1] (9 local-deb [amd64])", True),
        ("Inst openssl:i386 [3.0.20-1] (3.0.22-1 local-deb [i386])", True),
        ("Inst openssl:amd64 [3.0.20-1] (3.0.22-1 local-deb [amd64])", False),
        ("The following packages will be upgraded:", False),
    ],
)
def test_unnamed_line_is_found(line: str, also: bool) -> None:  # noqa: FBT001  a column of the table
    """One more package, version, architecture or removal is a refusal."""
    found = unnamed(f"{SIMULATION}{line}\n", [SSL, LIB], "amd64")
    assert found == ([line] if also else [])


def test_named_package_that_apt_would_skip_is_found() -> None:
    """A plan that would be carried out in part is refused as a whole."""
    third = Package("curl", "1", "2", SHA)
    assert unnamed(SIMULATION, [SSL, LIB, third], "amd64") == ["not: curl"]


def test_half_installed_packages_do_not_count_as_installed() -> None:
    """A torn package is never reported as patched."""
    lines = ["ii \ta\tamd64\t1", "iU \tb\tall\t1", "iHR\tc\tamd64\t1", "rc \td\tamd64\t1",
             "hi \te\tamd64\t1", "ii \tf\ti386\t1", "it \tg\tamd64\t1"]  # fmt: skip
    found = parse_database("\n".join(lines), "amd64")
    assert [name for name, row in found.items() if row == (WHOLE, "1")] == ["a", "e", "f:i386"]
    assert "d" not in found


def test_installed_agrees_with_dpkg(driver: AptDriver) -> None:
    """The driver says what dpkg says."""
    assert driver.installed()["dpkg"]


def test_new_package_passes_the_preview(driver: AptDriver, tmp_path: Path) -> None:
    """The transaction that was named is the one that apt would make."""
    driver.preview(_stage(driver, build(tmp_path, "answerable-trial", "1")))


def test_nothing_is_previewed_twice_for_nothing(driver: AptDriver, tmp_path: Path) -> None:
    """A package that is there already is left alone, so the action can be run again."""
    version = driver.installed()["dpkg"]
    staged = _stage(driver, build(tmp_path, "dpkg", version, before="0"))
    driver.preview(staged)
    driver.upgrade(staged)


def test_missing_dependency_is_refused(driver: AptDriver, tmp_path: Path) -> None:
    """A dependency that nobody named is not brought along."""
    staged = _stage(driver, build(tmp_path, "answerable-trial", "1", "Depends: answerable-none"))
    with pytest.raises(TransactionDiffers) as caught:
        driver.preview(staged)
    assert any("answerable-none" in line for line in caught.value.also)


def test_removal_is_refused(driver: AptDriver, tmp_path: Path) -> None:
    """A package that would push out another one is refused before anything is touched."""
    staged = _stage(driver, build(tmp_path, "answerable-trial", "1", "Conflicts: apt"))
    with pytest.raises(TransactionDiffers):
        driver.preview(staged)


def test_version_that_moved_is_refused(driver: AptDriver, tmp_path: Path) -> None:
    """A host that is no longer at the noticed version is left alone."""
    staged = _stage(driver, build(tmp_path, "dpkg", "999", before="0.0.1"))
    with pytest.raises(TransactionDiffers, match="is at"):
        driver.upgrade(staged)


def test_downgrade_dressed_as_a_patch_is_refused(driver: AptDriver, tmp_path: Path) -> None:
    """Only an undo goes down; an upgrade to an older version is refused by apt itself."""
    before = driver.installed()["coreutils"]
    staged = _stage(driver, build(tmp_path, "coreutils", "0.1", before=before))
    with pytest.raises(TransactionDiffers, match=r"allow-downgrades|unmet"):
        driver.preview(staged)


def test_other_package_under_the_named_hash_is_refused(driver: AptDriver, tmp_path: Path) -> None:
    """The file's own control fields must be those of the order."""
    package, path = build(tmp_path, "answerable-trial", "1")
    for named in (
        Package("other", "", "1", package.sha256),
        Package(package.name, "", "2", package.sha256),
    ):
        with pytest.raises(ArtefactDiffers):
            _stage(driver, (named, path))


def test_bytes_that_are_no_package_are_refused(driver: AptDriver, tmp_path: Path) -> None:
    """Bytes with the right hash that are no .deb are refused."""
    package, path = build(tmp_path, "answerable-trial", "1")
    path.write_bytes(b"not a package")
    sha256 = "e948b2079b482fd6391d51c959f1ecfe54b266caf42ca42f70b726fc5e270043"
    with pytest.raises(ArtefactDiffers):
        _stage(driver, (Package(package.name, "", "1", sha256), path))


def test_nothing_to_recover(driver: AptDriver) -> None:
    """An agent that starts on a host where nothing was begun touches nothing."""
    assert driver.recover() == ()


@pytest.mark.parametrize(
    ("needs", "wrong"),
    [
        ({"meta": "image-2 (= 2), ", "image-2": "modules-2"}, []),
        ({"meta": "image-2:any [amd64] | other", "image-2": "", "modules-2": ""}, ["modules-2"]),
        ({"meta": "present | image-2", "image-2": "modules-2"}, ["image-2", "modules-2"]),
        ({"meta": "", "image-2": "modules-2", "modules-2": "image-2"}, ["image-2", "modules-2"]),
    ],
)
def test_only_what_is_needed_comes_new(needs: dict[str, str], wrong: list[str]) -> None:
    """A chain from what is upgraded; not by itself, not in a circle, not where another would do."""
    fields = {"modules-2": "", **needs}
    assert unneeded(fields, {"meta"}, {"meta", "present"}) == wrong


def test_smuggled_package_is_refused(tmp_path: Path) -> None:
    """Named, released and noticed as a new dependency, and no package needs it."""
    driver = AptDriver(tmp_path, "debian:12", transaction={"allow": ["install"]})
    have = driver.installed()["dpkg"]
    moved = build(tmp_path, "dpkg", f"{have}+1", "Depends: answerable-lib", before=have)
    lib, evil = (build(tmp_path, f"answerable-{n}", "1", before=ABSENT) for n in ("lib", "evil"))
    with pytest.raises(TransactionDiffers, match="nothing that is upgraded needs") as caught:
        driver.preview(_stage(driver, moved, lib, evil))
    assert caught.value.also == ("answerable-evil",)


def test_package_comes_and_goes_in_transactions_only(driver: AptDriver, tmp_path: Path) -> None:
    """A host whose scripts run unseen takes nothing new; what no journal brought is not removed."""
    new, file = build(tmp_path, "answerable-trial", "1", before=ABSENT)
    with pytest.raises(TransactionDiffers, match="a person must do it"):
        driver.preview(_stage(driver, (new, file)))
    apart = AptDriver(tmp_path / "apart", "debian:12", transaction={"allow": ["install"]})
    have = driver.installed()["dpkg"]
    there = build(tmp_path / "old", "dpkg", have)[1]
    back = Package("dpkg", have, ABSENT, hashlib.sha256(there.read_bytes()).hexdigest())
    for each in (driver, apart):
        with pytest.raises(TransactionDiffers, match="a person must do it"):
            each.undo(_stage(each, (back, there)))


def test_package_that_is_there_does_not_come_new(driver: AptDriver, tmp_path: Path) -> None:
    """The host is otherwise than people were told."""
    staged = _stage(driver, build(tmp_path, "dpkg", "999", before=ABSENT))
    with pytest.raises(TransactionDiffers, match=r"not at `\(none\)`"):
        driver.preview(staged)
