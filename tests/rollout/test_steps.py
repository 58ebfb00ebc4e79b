"""Notes a host and step are kept, once, and belong to one rollout."""

from pathlib import Path

import pytest

from answerable.rollout.steps import HostSteps, StepsUnavailable


def test_the_first_note_of_a_step_counts(tmp_path: Path) -> None:
    """A repeated act keeps the time of the first; another rollout has its own notes."""
    steps = HostSteps(tmp_path / "steps.sqlite")
    steps.note("r1", "publish", ["h1", "h2"], 10)
    steps.note("r1", "publish", ["h2", "h3"], 20)
    steps.note("r2", "publish", ["h1"], 30)
    assert HostSteps(tmp_path / "steps.sqlite").notes("r1") == {
        "publish": {"h1": 10, "h2": 10, "h3": 20}
    }
    assert steps.notes("r3") == {}


def test_notes_of_several_steps_are_found_by_host(tmp_path: Path) -> None:
    """A batch asks only for its own hosts."""
    steps = HostSteps(tmp_path / "steps.sqlite")
    steps.note_all("r1", [("h1", "a"), ("h1", "b"), ("h2", "a"), ("h9", "a")], 10)
    assert steps.done("r1", ["h1", "h3", "h9"]) == {("h1", "a"), ("h1", "b"), ("h9", "a")}
    assert steps.done("r1", []) == set()
    assert steps.count("r1", "a") == 3


def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    """Broken notes are a state of the world, said as such."""
    (tmp_path / "steps.sqlite").write_bytes(b"not a database" * 100)
    with pytest.raises(StepsUnavailable):
        HostSteps(tmp_path / "steps.sqlite")
