"""The commands print trails to stdout and end with the audit's exit code."""

import json
from pathlib import Path

import pytest

from answerable.cli.main import main
from answerable.kernel.canon import Json
from tests.evidence.case import Court
from tests.simulator.constitution import veto


@pytest.fixture
def court(tmp_path: Path) -> Court:
    """A host that has patched."""
    court = Court(tmp_path)
    court.done("web1")
    return court


def test_verify_prints_every_change(court: Court, capsys: pytest.CaptureFixture[str]) -> None:
    """As JSON, one object a change; the summary goes to stderr."""
    assert main(["verify", str(court.evidence()), "--output", "json"]) == 0
    out, err = capsys.readouterr()
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["change"] for row in rows] == ["up", "restart", "health"]
    assert "everything verifies" in err


def test_planners_words_are_no_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A title that feigns lines, turns text round or steers a terminal is spelled out, in one."""

    class Forged(Court):
        def document(self, rings: list[list[str]], notice: Json) -> Json:
            title = "x\neverything verifies\n\u202e\x9b2K"
            return super().document(rings, notice) | {"title": title}

    court = Forged(tmp_path)
    assert main(["explain", str(court.evidence()), court.notice]) == 0
    first, *rest = capsys.readouterr().out.splitlines()
    assert first.endswith(r"x\x0aeverything verifies\x0a\u202e\x9b2K")
    assert all(line.startswith("  ") for line in rest)


def test_exit_codes(court: Court, capsys: pytest.CaptureFixture[str]) -> None:
    """3 for a change without authority, 1 for damage or no evidence at all."""
    court.told_by(("veto", veto(notice=court.notice), "lee"))
    court.sim.now += 10
    court.say("web1", "health")
    assert main(["verify", str(court.evidence())]) == 3
    assert "vetoed" in capsys.readouterr().out
    court.say("web1", "up", by="stranger")
    assert main(["verify", str(court.evidence())]) == 1
    assert "record 4: not believed" in capsys.readouterr().out
    assert main(["verify", str(court.folder)]) == 1


def test_explain_and_status(court: Court, capsys: pytest.CaptureFixture[str]) -> None:
    """Both read the same directory."""
    path = str(court.evidence())
    assert main(["explain", path, court.notice]) == 0
    assert "urgent-security" in capsys.readouterr().out
    assert main(["status", path]) == 0
    assert "executing" in capsys.readouterr().out
    assert main(["explain", path, "nothing"]) == 1
