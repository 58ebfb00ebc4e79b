"""The story's time is what processes below it were seen at."""

from pathlib import Path

import pytest

from answerable.demo.spent import Spent, look

ROWS = {
    1: ("init", "S", 0), 10: ("answerable", "R", 1), 11: ("hub (of) it", "S", 10),
    12: ("sleep", "S", 11), 13: ("python3", "S", 12),
}  # fmt: skip


def proc(place: Path, **more: tuple[str, str, int]) -> Path:
    """Write a folder as proc_pid_stat(5) has it."""
    rows = ROWS | {int(pid[1:]): row for pid, row in more.items()}
    for pid, (name, state, parent) in rows.items():
        (place / str(pid)).mkdir()
        (place / str(pid) / "stat").write_text(f"{pid} ({name}) {state} {parent} 0 0\n")
    (place / "99").mkdir()
    return place


@pytest.mark.parametrize(("kind", "more"), [
    ("waiting", {}), ("own", {"p14": ("python3", "R", 13)}), ("own", {"p14": ("a", "D", 10)}),
    ("packages", {"p14": ("dpkg-deb", "S", 13), "p15": ("a", "R", 10)}),
    ("waiting", {"p14": ("apt-get", "R", 1)}),
])  # fmt: skip
def test_a_look(tmp_path: Path, kind: str, more: dict[str, tuple[str, str, int]]) -> None:
    """Package tools first, then whoever runs; what is not below us, and we, do not count."""
    assert look(proc(tmp_path, **more), 10) == kind


def test_looks_end_with_the_block() -> None:
    """What was counted is no more than the time that went by."""
    with Spent() as spent:
        while not spent.seconds:
            pass
    assert set(spent.seconds) <= {"packages", "own", "waiting"}
