"""Installing the built agent: what lies where, and that an older one is replaced whole."""

import re
import subprocess
from pathlib import Path

import pytest

from answerable.host.install import HOME, UNITS, USERS, install, main
from scripts.host_artefact import build


@pytest.fixture(scope="module")
def artefact(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The artefact, built once."""
    out = tmp_path_factory.mktemp("artefact") / "agent"
    build(out)
    return out


def test_it_lies_where_its_units_look(artefact: Path, tmp_path: Path) -> None:
    """Each unit starts a command of the artefact that was copied, and the users are there."""
    install(artefact, tmp_path)
    for unit in UNITS:
        text = (tmp_path / "etc/systemd/system" / unit).read_text()
        assert f"ExecStart=/usr/bin/python3 -I -S /{HOME} " in text
    users = (tmp_path / "etc/sysusers.d" / USERS).read_text()
    for unit in UNITS:
        text = (tmp_path / "etc/systemd/system" / unit).read_text()
        named = re.findall(r"(?m)^User=(.+)$", text)
        assert all(f"u {user} " in users for user in named)
    assert (tmp_path / HOME / "SHA256SUMS").read_bytes() == (artefact / "SHA256SUMS").read_bytes()


def test_an_older_one_is_replaced_whole(artefact: Path, tmp_path: Path) -> None:
    """Nothing of it stays, and what a torn copy left is thrown away."""
    install(artefact, tmp_path)
    (tmp_path / HOME / "old.py").write_text("left over")
    (tmp_path / HOME.with_suffix(".new")).mkdir()
    install(artefact, tmp_path)
    assert not (tmp_path / HOME / "old.py").exists()
    assert [p.name for p in (tmp_path / HOME).parent.iterdir()] == [HOME.name]


def test_the_artefact_installs_itself(artefact: Path, tmp_path: Path) -> None:
    """By the command of the page; from a source tree it says what is missing."""
    words = [
        "/usr/bin/env",
        "python3",
        "-I",
        "-S",
        str(artefact),
        "install",
        "--root",
        str(tmp_path),
    ]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "systemctl enable --now" in done.stdout
    assert (tmp_path / HOME / "__main__.py").is_file()
    assert main(["--root", str(tmp_path)]) == 1
