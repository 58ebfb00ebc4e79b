"""How commands end: one line, one of four exit codes, and nothing changed by bad input."""

import json
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from answerable.cli.main import main
from tests.host.network.test_client import http, server

ANSWERABLE = [sys.executable, "-m", "answerable.cli.main"]


def _run(capfd: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in words])
    captured = capfd.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["frobnicate"], "no such command 'frobnicate'"),
        (["init"], "missing argument 'kind'. Choose from: log, guard, observer, control"),
        (["init", "king", "there", "--name", "k"], "'king' is not one of"),
        (["init", "guard", "there"], "missing option '--name'"),
        (["veto", "ab", "--crown"], "no such option: --crown"),
        (["charter", "show", "nowhere"], "file 'nowhere' does not exist"),
        (["guard", "run", "."], "cannot read"),
        (["log", "export", "--log", "third", "--dir", ".", "out"], "'third' is not one of"),
        (["host", "enrol", "--record", "nowhere", "--charter", "nowhere"], "does not exist"),
    ],
)
def test_wrong_usage_is_one_line_and_2(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
    said: str,
) -> None:
    """Whatever is misspelt is named; no traceback, nothing on stdout, no file made."""
    monkeypatch.chdir(tmp_path)
    code, out, err = _run(capfd, *words)
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert err.startswith("answerable: ")
    assert said in err
    assert list(tmp_path.iterdir()) == []


def test_bad_evidence_is_refused_with_3(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A file that is no charter is refused in the kernel's own word."""
    (tmp_path / "charter.note").write_text("trust me\n")
    code, out, err = _run(capfd, "charter", "show", tmp_path / "charter.note")
    assert (code, out) == (3, "")
    assert err.startswith("answerable: refused: malformed: ")
    assert err.count("\n") == 1


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        ("mode: [", "is not YAML"), ("- a\n- b\n", "holds no mapping"),
        ("mode: demo\n", "lack 'expires'"),
        ("expires: soon\nlimits: {}\nfeeds: {}\n", "`soon` is no date"),
    ],
)  # fmt: skip
def test_what_a_person_wrote_wrongly_is_2(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], rules: str, said: str
) -> None:
    """Rules in YAML that cannot be meant are named, and nothing is drafted."""
    _run(capfd, "init", "log", tmp_path / "log", "--name", "log.example")
    (tmp_path / "rules.yaml").write_text(rules)
    code, card, _ = _run(capfd, "init", "log", tmp_path / "log", "--name", "log.example")
    assert code == 0
    (tmp_path / "log.card").write_text(card)
    given = ["--rules", tmp_path / "rules.yaml", "--card", tmp_path / "log.card"]
    code, out, err = _run(capfd, "charter", "draft", *given, "--out", tmp_path / "text")
    assert (code, out, err.count("\n")) == (2, "", 1), err
    assert said in err
    assert not (tmp_path / "text").exists()


def test_bad_world_is_1(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A guard that does not answer is a failure, said in one line."""
    code, out, err = _run(capfd, "notice", "show", "ab" * 32, "--guard", "http://127.0.0.1:9")
    assert (code, out) == (1, "")
    assert "answerable: cannot reach `http://127.0.0.1:9/notices/" in err
    assert tmp_path.exists()


def test_guards_page_steers_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    """One lying guard cannot blank the notice that a person reads, nor turn its text round."""
    with server(http("Change notice: a\n\x1b[2J\u202eb\n".encode())) as url:
        code, out, _ = _run(capfd, "notice", "show", "ab" * 32, "--guard", url)
    assert (code, out) == (0, "Change notice: a\n\\x1b[2J\\u202eb\n")


@pytest.mark.parametrize("kind", ["log", "guard", "observer", "control"])
def test_init_makes_private_keys_once(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], kind: str
) -> None:
    """Keys are the owner's alone; founding again gives the same card."""
    words = ["init", kind, tmp_path / "it", "--name", "one", "--operator", "team"]
    code, card, err = _run(capfd, *words)
    assert (code, err) == (0, "")
    assert json.loads(card)["party"] == kind
    assert stat.S_IMODE((tmp_path / "it").stat().st_mode) == 0o700
    for key in (tmp_path / "it" / "keys").iterdir():
        assert stat.S_IMODE(key.stat().st_mode) == 0o600
        assert key.read_text().split("+", 4)[-1].strip() not in card
    assert _run(capfd, *words) == (0, card, "")


def test_the_program_itself_starts_and_helps() -> None:
    """Every command is listed by the real program, which does not load what it does not need."""
    done = subprocess.run([*ANSWERABLE, "--help"], capture_output=True, text=True, check=True)
    for name in ("init", "charter", "veto", "guard", "verify", "demo"):
        assert f" {name} " in done.stdout
    ask = "import sys, answerable.cli.main; print({'httpx', 'dbos', 'starlette'} & {*sys.modules})"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_a_reader_that_has_read_enough_is_no_traceback() -> None:
    """`answerable ... | head` ends quietly."""
    words = f"{' '.join(ANSWERABLE)} --help | true"
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
