"""The agent's program: exit codes, one agent a directory, keys that nobody else can read."""

import fcntl
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from answerable.host.__main__ import boot_time, main
from answerable.host.files import HomeUnavailable
from answerable.host.services.stale import Need
from tests.host.conftest import Site


def said(capsys: pytest.CaptureFixture[str], *words: str | Path) -> tuple[int, str, str]:
    """Run a command in this process; give exit code, stdout and stderr."""
    code = main([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def until(true: Callable[[], bool]) -> None:
    """Wait for a condition."""
    while not true():
        time.sleep(0.01)


def test_apply_prints_what_became_of_each_change(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Waiting is exit code 3, nothing to do 0; the status says the same again."""
    code, out, _ = said(capsys, "apply", "--dir", site.place, "--output", "json")
    assert (code, json.loads(out)["changes"]) == (0, [])
    order = site.world.sim.play(wait=10)
    site.world.hand_out(order)
    code, out, _ = said(capsys, "apply", "--dir", site.place)
    assert code == 3
    assert out.splitlines()[1].split()[1:5] == ["up", "upgrade", "waiting", "window_open"]
    code, out, _ = said(capsys, "status", "--dir", site.place, "--output", "json")
    status = json.loads(out)
    assert code == 0
    assert status["changes"][0]["reason"] == "window_open"
    assert status["changes"][0]["order"] == order.hash
    assert status["host"] == "web1"
    assert status["charter"] == {"mode": "standard", "number": 1}


def test_a_world_that_is_away_is_exit_code_1(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """Nothing refused, nothing failed, and still not well."""
    site.world.dead.add("control")
    code, out, _ = said(capsys, "apply", "--dir", site.place)
    assert code == 1
    assert "trouble: " in out


def test_wrong_usage_is_exit_code_2() -> None:
    """As argparse has it."""
    with pytest.raises(SystemExit) as stopped:
        main(["apply"])
    assert stopped.value.code == 2


def test_a_charter_file_is_taken_or_refused(
    site: Site, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """In force and pinned; one that does not follow is exit code 3, and changes nothing."""
    said(capsys, "apply", "--dir", site.place)
    site.home().follower.follow()
    note = site.world.sim.succeed(lambda _: None, "dana", "lee", logged=False)
    (tmp_path / "two").write_bytes(note)
    code, _, err = said(capsys, "charter", "--dir", site.place, tmp_path / "two")
    assert (code, err) == (0, "charter 2 is in force\n")
    assert (site.place / "charter.note").read_bytes() == note
    code, _, err = said(capsys, "charter", "--dir", site.place, tmp_path / "two")
    assert code == 3
    assert err.startswith("refused: stale_charter")


def test_only_one_agent_runs_on_a_directory(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """The second says so; asking for the status needs no lock."""
    said(capsys, "apply", "--dir", site.place)
    with (site.place / "lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        code, _, err = said(capsys, "apply", "--dir", site.place)
        assert code == 1
        assert "another agent runs" in err
        assert said(capsys, "status", "--dir", site.place)[0] == 0


@pytest.mark.parametrize(("name", "mode"), [("key", 0o640), ("key", 0o604), ("", 0o750)])
def test_what_others_can_read_is_refused(
    site: Site, capsys: pytest.CaptureFixture[str], name: str, mode: int
) -> None:
    """A key that was open may have been copied: the message says what to do, and to ask."""
    (site.place / name).chmod(mode)
    code, _, err = said(capsys, "apply", "--dir", site.place)
    assert code == 1
    assert "run `chmod" in err
    assert not (site.place / "status.json").exists()


def test_a_host_that_is_not_enrolled_says_how(
    site: Site, capsys: pytest.CaptureFixture[str]
) -> None:
    """The next step is in the message."""
    (site.place / "enrolled.json").unlink()
    code, _, err = said(capsys, "apply", "--dir", site.place)
    assert code == 1
    assert "--proof" in err


def test_a_directory_that_is_not_there_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """For each command, and nothing is made."""
    for words in (("apply",), ("run",), ("status",), ("charter", tmp_path / "x")):
        code, _, err = said(capsys, words[0], "--dir", tmp_path / "none", *words[1:])
        assert code == 1
        assert err.startswith("error: cannot")
    assert list(tmp_path.iterdir()) == []


def test_a_broken_key_is_said(site: Site, capsys: pytest.CaptureFixture[str]) -> None:
    """No trace, one line."""
    (site.place / "key").write_text("PRIVATE+KEY+web1+00000000+AAAA\n")
    code, _, err = said(capsys, "apply", "--dir", site.place)
    assert code == 1
    assert len(err.splitlines()) == 1


def test_run_goes_on_until_it_is_told_to_stop(site: Site) -> None:
    """It looks by itself, keeps its status, and ends well on SIGTERM."""
    order = site.world.sim.play(wait=10)
    site.world.hand_out(order)
    words = [sys.executable, "-m", "answerable.host", "run", "--dir", str(site.place)]
    with subprocess.Popen(words, stderr=subprocess.PIPE, text=True) as agent:
        until((site.place / "status.json").exists)
        until(lambda: bool(site.world.said()))
        assert site.world.said() == [("up", "refused", "window_open")]
        site.world.sim.now += 2_000
        # No driver is set up: what is installed is unknown, and the kernel says so.
        until(lambda: len(site.world.said()) == 2)
        agent.send_signal(signal.SIGTERM)
        _, err = agent.communicate()
    assert agent.returncode == 0
    assert site.world.said()[1] == ("up", "refused", "drift")
    assert err.splitlines()[0] == "up waiting window_open"


def test_the_clock_counts_from_boot() -> None:
    """Not from 1970: nobody can set it."""
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    assert abs(boot_time() - uptime) < 3600
    assert boot_time() <= boot_time()


def test_a_disk_that_is_full_is_one_line(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trouble, not a trace."""

    def full(*_: object) -> None:
        raise HomeUnavailable("cannot write: No space left on device")

    monkeypatch.setattr("answerable.host.program.write_file", full)
    code, _, err = said(capsys, "apply", "--dir", site.place)
    assert code == 1
    assert err == "error: cannot write: No space left on device\n"


def test_status_shows_what_is_installed_and_not_effective(
    site: Site, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as a process maps what was replaced, whenever it is asked."""
    said(capsys, "apply", "--dir", site.place)
    old = {"nginx": "/usr/lib/libssl.so.3", "": "/usr/bin/tool"}
    monkeypatch.setattr("answerable.host.program.find_need", lambda: Need(old))
    lines = said(capsys, "status", "--dir", site.place)[1].splitlines()
    assert "installed, not effective: nginx runs the old /usr/lib/libssl.so.3" in lines
    assert "installed, not effective: no unit runs the old /usr/bin/tool" in lines
    monkeypatch.setattr("answerable.host.program.find_need", lambda: Need({}))
    out = said(capsys, "status", "--dir", site.place, "--output", "json")[1]
    assert json.loads(out)["not_effective"] == {}


def test_status_shows_words_of_others_on_one_line(
    site: Site, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A user maps a file with an odd name; a taken-over agentd adds a line and moves the cursor."""
    assert said(capsys, "apply", "--dir", site.place)[0] == 0
    kept = site.place / "status.json"
    trouble = ["away\nagentd: confined", "\x1b[2J"]
    kept.write_text(json.dumps(json.loads(kept.read_text()) | {"trouble": trouble}))
    need = Need({"user@1000": "/home/u/\udcff\x1b[2J"})
    monkeypatch.setattr("answerable.host.program.find_need", lambda: need)
    code, out, _ = said(capsys, "status", "--dir", site.place)
    assert code == 0
    assert "installed, not effective: user@1000 runs the old /home/u/??[2J" in out.splitlines()
    assert "trouble: away?agentd: confined" in out.splitlines()
    assert "\x1b" not in out
