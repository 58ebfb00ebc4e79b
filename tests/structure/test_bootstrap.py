"""A new user's machine ends up with the locked packages, or is told in one line what is missing."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.structure.source import ROOT


def _tree(folder: Path) -> Path:
    locks = ("requirements.lock", "requirements-dev.lock")
    for name in ("pyproject.toml", *locks, "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder / name)
    shutil.copytree(ROOT / "scripts", folder / "scripts")
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
    return folder


def _bootstrap(tree: Path, path: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [tree / "scripts" / "bootstrap"],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


def _links(folder: Path, *programs: str) -> str:
    folder.mkdir()
    for program in programs:
        found = shutil.which(program)
        assert found, program
        (folder / program).symlink_to(found)
    (folder / "python3").symlink_to(Path(sys.executable).resolve())
    return str(folder)


def test_missing_program_is_named_in_one_line(tmp_path: Path) -> None:
    """Without a package manager to ask, each missing program is one line and the exit code is 2."""
    path = _links(tmp_path / "bin", "sh", "dirname", "id", "env")
    done = _bootstrap(_tree(tmp_path), path)
    assert done.returncode == 2, done.stderr
    named = [line.split(";")[0] for line in done.stderr.splitlines()]
    assert named == ["bootstrap: missing: make", "bootstrap: missing: openssh-client"]


@pytest.mark.live
def test_fresh_clone_gets_the_locked_packages_once(tmp_path: Path) -> None:
    """The first run makes an environment that imports the package; the second changes nothing."""
    tree = _tree(tmp_path)
    first = _bootstrap(tree, os.environ["PATH"])
    assert first.returncode == 0, first.stderr
    subprocess.run([tree / ".venv/bin/python", "-c", "import answerable.kernel"], check=True)
    second = _bootstrap(tree, os.environ["PATH"])
    assert (second.returncode, second.stderr) == (0, "")
