"""`answerable exposure` and `answerable explain CVE`, on a machine without any settings."""

import csv
import json
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from answerable.bootstrap import exposure
from answerable.cli.main import main
from tests.bootstrap.folder import CVE, INSTRUCTION, OTHER, feeds, root
from tests.feeds.worlds import NOON

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Run:
    """Give a way to run a command on a machine laid out below `tmp_path`."""
    monkeypatch.setattr(exposure, "clock", lambda: NOON + 3_600)
    root(tmp_path / "root")
    feeds(tmp_path / "feeds")
    here = ("--feeds", tmp_path / "feeds", "--root", tmp_path / "root", "--kept", tmp_path / "kept")

    def command(*words: object) -> tuple[int, str, str]:
        code = main([str(word) for word in (*words, *here)])
        told = capfd.readouterr()
        return code, told.out, told.err

    return command


def test_a_list_needs_no_settings(run: Run) -> None:
    """The most urgent first, one line each; what stands behind it goes to stderr."""
    code, out, err = run("exposure", "list")
    rows = [line.split("\t") for line in out.splitlines()]
    assert (code, len(rows)) == (0, 3)
    assert rows[0][1] == "3DF"
    assert CVE in rows[0]
    assert "3 exposures on 1 hosts; rules alone" in err


def test_json_is_the_whole_explanation(run: Run) -> None:
    """Every reason of every row, for a program."""
    _, out, _ = run("exposure", "list", "--output", "json", "--limit", "2")
    rows = json.loads(out)
    assert (rows[0]["speaks"], len(rows)) == (CVE, 2)
    assert all(sum(r["points"] for r in row["reasons"]) == row["score"] for row in rows)


def test_explain_says_why(run: Run) -> None:
    """`exposure explain` and `explain` give the same letter."""
    code, out, _ = run("exposure", "explain", CVE)
    assert code == 0
    for words in (f"{CVE}: 1 exposures", "decided by the rule: BOD 26-04", "its EPSS percentile",
                  "what would change it:", "not known:"):  # fmt: skip
        assert words in out
    assert json.loads(run("exposure", "explain", CVE, "--output", "json")[1])["flaw"] == CVE


def test_the_short_form_is_for_flaws_and_for_evidence(
    tmp_path: Path, run: Run, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A flaw's name is no directory; anything else is one, and needs a subject."""
    del run
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert main(["explain", OTHER.lower(), "--feeds", str(tmp_path / "feeds")]) in (0, 1)
    capfd.readouterr()
    assert main(["explain", str(tmp_path)]) == 2
    assert "needs a subject" in capfd.readouterr().err


def test_an_unknown_flaw_is_one_line_and_1(run: Run) -> None:
    """Not exposed, as far as is known."""
    code, out, err = run("exposure", "explain", "CVE-1999-0001")
    assert (code, out) == (1, "")
    assert "as far as is known" in err


@pytest.mark.parametrize("form", ["csv", "json", "sarif", "openvex"])
def test_exports_are_whole_documents(tmp_path: Path, run: Run, form: str) -> None:
    """Each form is written to its file, and says nothing that a feed could make it do."""
    place = tmp_path / f"out.{form}"
    code, out, _ = run("exposure", "export", form, "--out", place)
    assert (code, out.strip()) == (0, str(place))
    text = place.read_text()
    assert "\x1b" not in text
    if form == "csv":
        assert len(list(csv.reader(text.splitlines()))) == 4
    else:
        json.loads(text)


@pytest.mark.parametrize("form", ["heatmap", "ranking"])
def test_pictures_are_drawn(tmp_path: Path, run: Run, form: str) -> None:
    """SVG always, PNG where its extra is there, nothing else."""
    place = tmp_path / "out.svg"
    assert run("exposure", "export", form, "--out", place)[0] == 0
    ET.fromstring(place.read_text())  # noqa: S314  our own output
    assert "<script" not in place.read_text()
    pytest.importorskip("PIL", reason="Pillow is absent")
    assert run("exposure", "export", form, "--out", tmp_path / "out.png")[0] == 0
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")
    code, _, err = run("exposure", "export", form, "--out", tmp_path / "out.gif")
    assert code == 2
    assert "neither .svg nor .png" in err


@pytest.mark.parametrize("words", [("list",), ("list", "--output", "json"), ("explain", CVE)])
def test_hidden_instructions_are_printed_as_words(run: Run, words: tuple[str, ...]) -> None:
    """Escapes of a catalogue's text never reach the terminal."""
    assert "\x1b" in INSTRUCTION
    _, out, err = run("exposure", *words)
    for line in (out + err).splitlines():
        assert line.replace("\t", " ").isprintable()


def test_stale_advisories_are_an_error(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder that nobody fills any more is no quiet machine."""
    monkeypatch.setattr(exposure, "clock", lambda: NOON + 90 * 86_400)
    code, out, err = run("exposure", "list")
    assert (code, out) == (1, "")
    assert "is stale" in err
    code, out, _ = run("exposure", "list", "--max-age", "365")
    assert code == 0
    assert out.count("\n") == 3
