"""The demo's service ran before and refuses after, because it asks and not because it is told."""

import json
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from answerable.demo import appliance
from answerable.demo.ports import free_port
from answerable.host.services.service import Check, health


def _start(folder: Path, **words: object) -> tuple["subprocess.Popen[str]", int]:
    port = free_port()
    appliance.configure(folder / "c.json", "127.0.0.1", port, **words)  # type: ignore[arg-type]
    argv = [sys.executable, str(appliance.PROGRAM), str(folder / "c.json")]
    return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True), port


def test_it_answers_with_what_it_runs_on(tmp_path: Path) -> None:
    """/health and /version are real answers of a real process."""
    process, port = _start(tmp_path, imports=["pytest", "pytest:raises"])
    with process:
        assert health(Check("http", "127.0.0.1", port, "/health")) == ""
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/version", timeout=5) as answer:
            assert json.load(answer)["python"] == {"pytest": pytest.__version__}
        process.terminate()


@pytest.mark.parametrize("name", ["no_such_module", "pytest:no_such_name"])
def test_it_refuses_where_a_name_is_gone(tmp_path: Path, name: str) -> None:
    """A removed API is a refusal to start, with the reason."""
    process, _ = _start(tmp_path, imports=[name])
    said = process.communicate(timeout=30)[1]
    assert process.returncode == 3
    assert "no_such" in said


@pytest.mark.needs("apt")
def test_it_refuses_beside_a_newer_library(tmp_path: Path) -> None:
    """The package database decides, by dpkg's own comparison."""
    process, _ = _start(tmp_path, pinned={"dpkg": "0.0.1"})
    assert "built for dpkg 0.0.1, found " in process.communicate(timeout=30)[1]
    assert process.returncode == 3


@pytest.mark.needs("apt")
def test_package_is_the_same_each_time(tmp_path: Path) -> None:
    """The base tree is rebuilt only when something in it changed."""
    first = appliance.build_deb(tmp_path).read_bytes()
    assert appliance.build_deb(tmp_path).read_bytes() == first


def test_start_script_is_a_script() -> None:
    """The shell can read what the host's service tool will run."""
    script = Path(appliance.__file__).with_name("init")
    subprocess.run(["sh", "-n", str(script)], check=True)
