"""The committed evidence of a real run verifies, by the command that its page names."""

import re
import shutil
from pathlib import Path

import pytest

from answerable.cli.main import main
from tests.structure.source import ROOT

PLACE = ROOT / "examples" / "application-fleet"
FLEET = next(iter(re.findall(r"--fleet ([0-9a-f]{64})", (ROOT / "examples/README.md").read_text())))


def test_the_example_verifies(capsys: pytest.CaptureFixture[str]) -> None:
    """A new reader can check a real rollout: veto, approval, failure and undo are in it."""
    assert main(["verify", str(PLACE), "--fleet", FLEET]) == 0
    said = capsys.readouterr().out
    undone = ("undo-8 (undo certifi 2024.8.30 -> 2022.12.7) succeeded", "health-6 (health ")
    for word in (*undone, "(approvals)", "vetoed later by"):
        assert word in said
    assert said.rstrip().endswith("every change had its authority before it was made")


def test_a_changed_byte_is_found(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Whoever edits a report of the example is found out."""
    place = tmp_path / "edited"
    shutil.copytree(PLACE, place)
    entries = (place / "report" / "tile" / "entries").rglob("*")
    (tile,) = (path for path in entries if path.is_file())
    data = tile.read_bytes()
    assert data.count(b'"succeeded"') > 1
    tile.write_bytes(data.replace(b'"succeeded"', b'"succeedeD"', 1))
    assert main(["verify", str(place), "--fleet", FLEET]) != 0
    assert "report" in capsys.readouterr().out


def test_another_fleet_is_not_believed() -> None:
    """Evidence of a fleet that nobody named to the reader proves nothing."""
    assert main(["verify", str(PLACE), "--fleet", "ab" * 32]) != 0
