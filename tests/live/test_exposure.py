"""What systemd says that the units leave open, beside what docs/operate/privileges.md says."""

import re
import subprocess
from pathlib import Path

import pytest

from answerable.host import install
from tests.structure.source import ROOT

pytestmark = [pytest.mark.live, pytest.mark.needs("systemd-analyze")]
FOLDER = Path(install.__file__).with_name("units")
MEASURED_BY = 252
"""The version of systemd whose scores are written down; other versions ask other questions."""


def run(*words: str) -> str:
    """Run systemd-analyze; give what it says."""
    done = subprocess.run(["systemd-analyze", *words], capture_output=True, text=True, check=False)
    return done.stdout


@pytest.mark.parametrize("unit", install.UNITS)
def test_the_table_says_what_systemd_says(unit: str) -> None:
    """A unit that is widened changes the table, or this fails."""
    text = (ROOT / "docs/operate/privileges.md").read_text("utf-8")
    row = re.search(rf"\| `{unit.removesuffix('.service')}` \|.*\| ([0-9.]+) \|", text)
    said = run("security", "--offline=true", "--no-pager", str(FOLDER / unit))
    score = re.search(r"Overall exposure level for \S+: ([0-9.]+)", said)
    assert row, unit
    assert score, said
    version = re.search(r"systemd (\d+)", run("--version"))
    assert version
    near = 0.0 if int(version[1]) == MEASURED_BY else 0.5
    assert abs(float(score[1]) - float(row[1])) <= near, said


@pytest.mark.parametrize("unit", install.UNITS)
def test_every_line_of_a_unit_is_known(unit: str, tmp_path: Path) -> None:
    """A misspelt wall would be no wall: systemd warns of words that it does not know."""
    for each in install.UNITS:
        (tmp_path / each).write_text((FOLDER / each).read_text())
    words = ["systemd-analyze", "verify", "--man=no", str(tmp_path / unit)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    bad = ("nknown", "nvalid", "ailed to parse")
    assert not [line for line in done.stderr.splitlines() if any(word in line for word in bad)]
