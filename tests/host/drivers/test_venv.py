"""The venv driver installs exactly the named wheels, by real pip in a real environment."""

import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import zipfile
from contextlib import suppress
from pathlib import Path

import pytest

from answerable.host.driver import ArtefactDiffers, Package, Staged, TransactionDiffers
from answerable.host.drivers.venv import VenvDriver, wheel_name

Made = tuple[Package, Path]


def _wheel(
    folder: Path,
    name: str,
    version: str,
    *requires: str,
    before: str = "",
    tag: str = "py3-none-any",
) -> Made:
    """Make a small wheel of many files; give it as an order names it, and its file."""
    info = f"{name}-{version}.dist-info"
    files = {f"{name}/part{n}.py": f"VERSION = {version!r}\n" * n for n in range(60)}
    files[f"{name}/__init__.py"] = ""
    needs = "".join(f"Requires-Dist: {r}\n" for r in requires)
    files[f"{info}/METADATA"] = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{needs}"
    files[f"{info}/WHEEL"] = f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tag}\n"
    rows = "".join(f"{path},,{len(text)}\n" for path, text in files.items())
    path = folder / f"{name}-{version}.bytes"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in {**files, f"{info}/RECORD": f"{rows}{info}/RECORD,,\n"}.items():
            archive.writestr(zipfile.ZipInfo(file), text)
    return Package(name, before, version, hashlib.sha256(path.read_bytes()).hexdigest()), path


@pytest.fixture(scope="module", name="template")
def _template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment in which `alpha` 1 and `beta` 1, which wants alpha below 3, are installed."""
    folder = tmp_path_factory.mktemp("template")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    driver = VenvDriver(folder / "venv", folder / "state")
    _install(driver, _wheel(folder, "alpha", "1"), _wheel(folder, "beta", "1", "alpha<3"))
    return folder / "venv"


@pytest.fixture(name="driver")
def _driver(template: Path, tmp_path: Path) -> VenvDriver:
    shutil.copytree(template, tmp_path / "venv", symlinks=True)
    return VenvDriver(tmp_path / "venv", tmp_path / "state")


def _stage(driver: VenvDriver, *made: Made) -> Staged:
    files = {package.sha256: path for package, path in made}
    return driver.stage([package for package, _ in made], lambda sha256: files[sha256].open("rb"))


def _install(driver: VenvDriver, *made: Made) -> None:
    driver.upgrade(_stage(driver, *made))


def _versions(driver: VenvDriver) -> tuple[str | None, str | None]:
    installed = driver.installed()
    return installed.get("alpha"), installed.get("beta")


def test_upgrade_again_and_undo(driver: VenvDriver, tmp_path: Path) -> None:
    """The named version is installed, once, and the undo brings the old one back."""
    new = _wheel(tmp_path, "alpha", "2", before="1")
    _install(driver, new)
    assert _versions(driver) == ("2", "1")
    driver._pip = None  # type: ignore[assignment,method-assign]  # nothing is left to be done
    _install(driver, new)
    old = VenvDriver(tmp_path / "venv", tmp_path / "state")
    back = tmp_path / "back"
    back.mkdir()
    old.undo(_stage(old, _wheel(back, "alpha", "1", before="2")))
    assert _versions(old) == ("1", "1")


def test_what_would_no_longer_fit_is_refused(driver: VenvDriver, tmp_path: Path) -> None:
    """An upgrade that breaks another installed package is refused before anything is touched."""
    staged = _stage(driver, _wheel(tmp_path, "alpha", "3", before="1"))
    with pytest.raises(TransactionDiffers):
        driver.upgrade(staged)
    assert _versions(driver) == ("1", "1")


def test_dependency_that_nobody_named_is_refused(driver: VenvDriver, tmp_path: Path) -> None:
    """Nothing is fetched from an index, and nothing comes along."""
    staged = _stage(driver, _wheel(tmp_path, "alpha", "2", "gamma", before="1"))
    with pytest.raises(TransactionDiffers, match="gamma"):
        driver.upgrade(staged)


def test_both_together_fit(driver: VenvDriver, tmp_path: Path) -> None:
    """What breaks alone passes when the plan names both."""
    alpha = _wheel(tmp_path, "alpha", "3", before="1")
    _install(driver, alpha, _wheel(tmp_path, "beta", "2", "alpha<4", before="1"))
    assert _versions(driver) == ("3", "2")


def test_downgrade_dressed_as_a_patch_is_refused(driver: VenvDriver, tmp_path: Path) -> None:
    """Only an undo goes down."""
    with pytest.raises(TransactionDiffers, match="would go down"):
        _install(driver, _wheel(tmp_path, "alpha", "0.9", before="1"))


def test_version_that_moved_is_refused(driver: VenvDriver, tmp_path: Path) -> None:
    """A host that is no longer at the noticed version is left alone."""
    with pytest.raises(TransactionDiffers, match=r"not at `0\.5`"):
        _install(driver, _wheel(tmp_path, "alpha", "2", before="0.5"))


def test_swapped_wheel_is_refused(driver: VenvDriver, tmp_path: Path) -> None:
    """Bytes that change between staging and installing are not installed."""
    staged = _stage(driver, _wheel(tmp_path, "alpha", "2", before="1"))
    staged.files[0].write_bytes(_wheel(tmp_path, "alpha", "2", "evil")[1].read_bytes())
    with pytest.raises((ArtefactDiffers, TransactionDiffers)):
        driver.upgrade(staged)
    assert _versions(driver) == ("1", "1")


@pytest.mark.parametrize("named", [("other", "2"), ("alpha", "9")])
def test_other_package_under_the_named_hash_is_refused(
    driver: VenvDriver, tmp_path: Path, named: tuple[str, str]
) -> None:
    """The wheel's own METADATA must be that of the order."""
    package, path = _wheel(tmp_path, "alpha", "2")
    with pytest.raises(ArtefactDiffers):
        _stage(driver, (Package(named[0], "", named[1], package.sha256), path))


@pytest.mark.parametrize("tag", ["../../../x-none-any", "py3-none", "", "py3-none-any-x"])
def test_wheel_cannot_choose_a_path(tmp_path: Path, tag: str) -> None:
    """The file name that pip reads is spelled from tags and from nothing else."""
    with pytest.raises(ArtefactDiffers):
        wheel_name(_wheel(tmp_path, "alpha", "2", tag=tag)[1])


def test_bytes_that_are_no_wheel_are_refused(tmp_path: Path) -> None:
    """Any other bytes are refused."""
    (tmp_path / "x").write_bytes(b"PK\x05\x06 no wheel")
    with pytest.raises(ArtefactDiffers):
        wheel_name(tmp_path / "x")


def test_package_that_lacks_a_file_is_not_installed(driver: VenvDriver, tmp_path: Path) -> None:
    """A half-installed package is never reported as patched."""
    next((tmp_path / "venv").glob("lib/*/site-packages/alpha/part7.py")).unlink()
    assert _versions(driver) == (None, "1")


def test_leftovers_of_pip_are_not_installed(driver: VenvDriver, tmp_path: Path) -> None:
    """What pip was about to remove does not count as there, whatever it says of itself."""
    site = next((tmp_path / "venv").glob("lib/*/site-packages"))
    (site / "alpha-1.dist-info").rename(site / "~lpha-1.dist-info")
    assert _versions(driver) == (None, "1")


def test_name_that_is_there_twice_is_not_installed(driver: VenvDriver, tmp_path: Path) -> None:
    """Two versions of one name are no version."""
    site = next((tmp_path / "venv").glob("lib/*/site-packages"))
    shutil.copytree(site / "alpha-1.dist-info", site / "alpha-2.dist-info")
    assert _versions(driver) == (None, "1")


_AGENT = """
import json, sys
from pathlib import Path
from answerable.host.driver import Package
from answerable.host.drivers.venv import VenvDriver
row, file, folder = json.loads(sys.argv[1])
driver = VenvDriver(Path(folder, "venv"), Path(folder, "state"))
staged = driver.stage([Package(*row)], lambda _: Path(file).open("rb"))
print("staged", flush=True)
driver.upgrade(staged)
"""


@pytest.mark.parametrize("seed", range(5))
def test_killed_in_the_middle(driver: VenvDriver, tmp_path: Path, seed: int) -> None:
    """Agent and pip killed at a random moment: the next agent ends at one whole version."""
    wait = random.Random(seed).uniform(0.0, 1.0)
    package, path = _wheel(tmp_path, "alpha", "2", before="1")
    row = [package.name, package.before, package.after, package.sha256]
    job = json.dumps([row, str(path), str(tmp_path)])
    agent = subprocess.Popen([sys.executable, "-c", _AGENT, job], stdout=subprocess.PIPE)
    assert agent.stdout
    assert agent.stdout.readline() == b"staged\n"
    try:
        agent.wait(wait)
    except subprocess.TimeoutExpired:
        pip = _children(agent.pid)
        agent.kill()
        for pid in pip:
            with suppress(ProcessLookupError):  # pip had just finished
                os.kill(pid, 9)
    agent.stdout.close()
    agent.wait()
    finished = driver.recover()
    assert _versions(driver) == (("2" if finished else _versions(driver)[0]), "1")
    assert _versions(driver)[0] in {"1", "2"}, f"seed {seed}, killed after {wait} s"
    _install(driver, (package, path))
    assert _versions(driver) == ("2", "1"), f"seed {seed}, killed after {wait} s"
    assert driver.recover() == ()


def _children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
