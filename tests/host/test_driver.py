"""What every package driver stands on: artefacts by hash, a journal, tools that are not torn."""

import hashlib
import io
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from answerable.host import driver
from answerable.host.driver import (
    ArtefactDiffers,
    DriverFailed,
    Journal,
    Locked,
    Package,
    Staged,
    Store,
    hear,
    run,
    wait_until_free,
)

GOOD = b"the artefact"
SHA = hashlib.sha256(GOOD).hexdigest()
PACKAGE = Package("zlib", "1", "2", SHA)
ENV = {"PATH": "/usr/bin:/bin"}
FLOOD = (
    "import os; os.write(1, b'x' * 1000 + b'\\n')\n"
    "while os.fstat(1).st_size: os.sched_yield()\n"
    "print(end='')"
)
"""Says much, and waits until it was taken away."""


def _gives(data: bytes) -> Callable[[str], BinaryIO]:
    return lambda _sha256: io.BytesIO(data)


def _fails(_sha256: str) -> BinaryIO:
    raise AssertionError("fetched what is here already")


def test_artefact_is_kept_and_fetched_once(tmp_path: Path) -> None:
    """An undo weeks later needs no server."""
    path = Store(tmp_path / "a", ".deb").bring(SHA, _gives(GOOD))
    assert Store(tmp_path / "a", ".deb").bring(SHA, _fails) == path
    assert path.read_bytes() == GOOD
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o700


def test_other_bytes_are_refused_and_not_kept(tmp_path: Path) -> None:
    """A server that gives other bytes than were noticed changes nothing."""
    store = Store(tmp_path / "a", ".deb")
    with pytest.raises(ArtefactDiffers):
        store.bring(SHA, _gives(b"own package"))
    assert list((tmp_path / "a").iterdir()) == []


def test_endless_artefact_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server cannot fill the disk."""
    monkeypatch.setattr(driver, "ARTEFACT_LIMIT", 4)
    with pytest.raises(ArtefactDiffers):
        Store(tmp_path / "a", ".deb").bring(SHA, _gives(GOOD))
    assert list((tmp_path / "a").iterdir()) == []


def test_artefact_swapped_after_staging_is_refused(tmp_path: Path) -> None:
    """The bytes are hashed again right before the tool reads them."""
    store = Store(tmp_path / "a", ".deb")
    staged = Staged((PACKAGE,), (store.bring(SHA, _gives(GOOD)),))
    store.check(staged)
    staged.files[0].write_bytes(b"swapped")
    with pytest.raises(ArtefactDiffers):
        store.check(staged)


def test_rotten_copy_is_fetched_anew(tmp_path: Path) -> None:
    """A copy that rotted on disk is neither used nor in the way."""
    store = Store(tmp_path / "a", ".deb")
    store.bring(SHA, _gives(GOOD)).write_bytes(b"rot")
    assert store.bring(SHA, _gives(GOOD)).read_bytes() == GOOD


def test_journal_remembers_what_was_begun(tmp_path: Path) -> None:
    """A transaction that was begun is known after a kill, and forgotten once it ended."""
    Journal(tmp_path / "j.json").begin([PACKAGE], undo=True)
    assert Journal(tmp_path / "j.json").read() == ((PACKAGE,), {"undo": True})
    Journal(tmp_path / "j.json").end()
    assert Journal(tmp_path / "j.json").read() == ((), {})


def test_program_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    """A tool that hangs does not hang the agent, and leaves no process behind."""
    argv = [sys.executable, "-c", "import signal; signal.pause()"]
    with pytest.raises(DriverFailed, match="was ended after 1 seconds"):
        run(argv, tmp_path / "log", ENV, 1)


def test_missing_program_is_named(tmp_path: Path) -> None:
    """A host without the tool says which is missing."""
    with pytest.raises(DriverFailed, match="cannot run `no-such-tool`"):
        run(["no-such-tool"], tmp_path / "log", ENV)


def test_flood_of_output_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tool that never stops talking cannot fill the agent's memory; the end is what is kept."""
    monkeypatch.setattr(driver, "OUTPUT_LIMIT", 8)
    done = run([sys.executable, "-c", "print('x' * 100, 'end')"], tmp_path / "log", ENV)
    assert (done.cut, done.output) == (True, "xxx end\n")
    assert (tmp_path / "log").read_bytes() == b"xxx end\n"


def test_a_tool_fills_no_disk_by_talking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While it is waited for, the file of its output is emptied, and the last of it is kept."""
    monkeypatch.setattr(driver, "OUTPUT_LIMIT", 8)
    log = tmp_path / "log"
    done = run([sys.executable, "-c", f"{FLOOD}; print('end')"], log, ENV, 60)
    assert (done.cut, done.output) == (True, "xxx\nend\n")
    assert log.read_bytes() == b"xxx\nend\n"


def test_a_script_fills_no_disk_by_talking(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its output is no file that it could fill, stretch or read; the end of it is what is kept."""
    monkeypatch.setattr(driver, "OUTPUT_LIMIT", 8)
    log = tmp_path / "log"
    flood = (
        "import os\nfor _ in range(200): os.write(1, b'x' * 10000)\n"
        "try: os.ftruncate(1, 1 << 40)\nexcept OSError: os.write(2, b'no file')"
    )
    done = hear([sys.executable, "-c", flood], log, ENV, 60)
    assert (done.code, done.cut, done.output) == (0, True, "xno file")
    assert log.read_bytes() == b"xno file"
    short = hear([sys.executable, "-c", "print('end'); exit(3)"], log, ENV, 60)
    assert (short.code, short.cut, short.output) == (3, False, "end\n")


def test_what_a_script_leaves_behind_holds_nobody_up(tmp_path: Path) -> None:
    """Its own end counts, though a child of it has the output open; a pipe that it closes is none.

    What takes too long is ended, and what it said is kept for people.
    """
    os.mkfifo(tmp_path / "go")
    leaves = (
        "import os\nif os.fork() == 0: open('go').read(); os._exit(0)\n"
        "print('left', flush=True); os._exit(0)"
    ).replace("'go'", repr(str(tmp_path / "go")))
    done = hear([sys.executable, "-c", leaves], tmp_path / "log", ENV, 60)
    (tmp_path / "go").write_text("")
    assert (done.code, done.output) == (0, "left\n")
    closes = "import os, sys; os.write(1, b'bye'); os.close(1); os.close(2); os._exit(4)"
    assert hear([sys.executable, "-c", closes], tmp_path / "log", ENV, 60).code == 4
    hangs = "import signal; print('here', flush=True); signal.pause()"
    with pytest.raises(DriverFailed, match="was ended after 1 seconds"):
        hear([sys.executable, "-c", hangs], tmp_path / "log", ENV, 1)
    with pytest.raises(DriverFailed, match="cannot run `no-such-tool`"):
        hear(["no-such-tool"], tmp_path / "log", ENV, 1)


def test_a_program_gets_the_descriptors_that_it_is_given(tmp_path: Path) -> None:
    """Under their numbers; no other."""
    with (tmp_path / "given").open("w+b") as given, (tmp_path / "not").open("w+b") as other:
        os.set_inheritable(other.fileno(), True)  # noqa: FBT003  as the library names it
        tells = "import os; print(sorted(map(int, os.listdir('/proc/self/fd')))[3:])"
        done = hear([sys.executable, "-c", tells], tmp_path / "l", ENV, 60, [given.fileno()])
        assert str(given.fileno()) in done.output
        assert f", {other.fileno()}," not in done.output.replace("]", ",")


def test_no_environment_is_inherited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody steers the tool through the agent's environment."""
    monkeypatch.setenv("LD_PRELOAD_TRIAL", "1")
    done = run([sys.executable, "-c", "import os; print(sorted(os.environ))"], tmp_path / "l", ENV)
    assert "LD_PRELOAD_TRIAL" not in done.output


def test_tool_outlives_a_killed_agent_and_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A killed agent does not tear its tool's work; its successor waits and keeps the log small."""
    ready, go, ended = (tmp_path / name for name in ("ready", "go", "ended"))
    for fifo in (ready, go):
        os.mkfifo(fifo)
    tool = (
        f"open({str(ready)!r}, 'w').close(); open({str(go)!r}).read(); {FLOOD}\n"
        f"open({str(ended)!r}, 'w').close()"
    )
    agent = (
        "import sys; from pathlib import Path; from answerable.host.driver import run;"
        f"run([sys.executable, '-c', {tool!r}], Path({str(tmp_path / 'log')!r}), {{}}, 60,"
        f" Path({str(tmp_path / 'lock')!r}))"
    )
    process = subprocess.Popen([sys.executable, "-c", agent])
    ready.read_bytes()
    process.send_signal(signal.SIGKILL)
    process.wait()
    with pytest.raises(Locked):
        run(["true"], tmp_path / "log2", ENV, 60, tmp_path / "lock")
    waited: list[float] = []

    def sleep(seconds: float) -> None:
        if not waited:
            go.write_text("")
        waited.append(seconds)
        signal.sigtimedwait([], seconds)

    monkeypatch.setattr(driver, "OUTPUT_LIMIT", 8)
    wait_until_free(tmp_path / "lock", tmp_path / "log", sleep)
    assert waited
    assert ended.exists()
