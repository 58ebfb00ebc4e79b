"""The demo chooses its kind of hosts by what the machine did, not by what it says it is."""

import pytest

from answerable.demo import probe as room
from answerable.demo.probe import Ability, probe


def test_missing_program_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without the program lacks the ability, and the reason says which program."""
    monkeypatch.setitem(room.TRIALS, "mount", ("no-such-program",))
    assert probe("mount") == Ability("mount", works=False, why="`no-such-program` is not installed")


def test_failing_trial_gives_its_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    """A trial that fails is an absence, with the program's own reason."""
    monkeypatch.setitem(room.TRIALS, "mount", ("sh", "-c", "echo denied >&2; exit 1"))
    assert probe("mount") == Ability("mount", works=False, why="denied")


def test_trial_that_hangs_is_an_absence(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that hangs on mount does not hang the demo."""
    monkeypatch.setitem(room.TRIALS, "mount", ("tail", "-f", "/dev/null"))
    monkeypatch.setattr(room, "SECONDS", 0.2)
    assert not probe("mount").works


@pytest.mark.live
@pytest.mark.needs("mount", "overlay")
def test_trials_leave_nothing_behind() -> None:
    """A probe's mounts end with its namespace."""
    with open("/proc/self/mounts", encoding="utf-8") as file:  # noqa: PTH123  /proc has no size
        before = file.read()
    assert probe("overlay").works
    with open("/proc/self/mounts", encoding="utf-8") as file:  # noqa: PTH123  /proc has no size
        assert file.read() == before
