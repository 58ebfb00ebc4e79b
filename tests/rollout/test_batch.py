"""Every host goes through every step, once, however often the worker dies and wherever it stops."""

from collections import Counter
from pathlib import Path

import pytest

from answerable.rollout.batch import CHILD, PARENT, Batches, Width, Work
from answerable.rollout.steps import HostSteps
from tests.fakes.workflow_engine import FakeEngine, Killed

HOSTS = [f"h{n:02}" for n in range(23)]
STEPS = ("snapshot", "upgrade", "report")
ALL = {(host, step): 1 for host in HOSTS for step in STEPS}


class Rig:
    """Batches over an engine in memory and notes in a file."""

    def __init__(self, path: Path) -> None:
        self.did: Counter[tuple[str, str]] = Counter()
        self.notes = HostSteps(path / "steps.sqlite")
        self.engine = FakeEngine(lambda: 1_000)
        self.stop_after = self.kill_at = 1_000_000
        self.batches = self.boot()

    def boot(self) -> Batches:
        """Start the worker again."""
        self.engine = FakeEngine(lambda: 1_000, self.engine.rows)
        work = Work(lambda _: HOSTS, STEPS, self.do, lambda _: self.total() >= self.stop_after)
        width = Width(batch=10, batches=2, hosts=3)
        return Batches(self.engine, self.notes, work, lambda: 1_000, width)

    def total(self) -> int:
        """Count all steps that were done."""
        return sum(self.did.values())

    async def do(self, rollout: str, host: str, step: str) -> None:
        """Do a step, or die before it."""
        assert rollout == "r"
        if self.total() == self.kill_at:
            raise Killed(host)
        assert step == STEPS[0] or self.did[host, STEPS[STEPS.index(step) - 1]]
        self.did[host, step] += 1

    def run(self) -> None:
        """Run until the work is at rest, over every death."""
        for _ in range(10):
            try:
                self.engine.pump()
            except Killed:
                self.kill_at = 1_000_000
                self.boot()


def test_every_host_goes_through_every_step_in_order(tmp_path: Path) -> None:
    """Batches, hosts side by side, steps one after the other; all of it noted."""
    rig = Rig(tmp_path)
    name = rig.batches.start("r")
    rig.run()
    assert rig.did == ALL
    assert rig.engine.rows[name].answer == len(ALL)
    assert [rig.notes.count("r", step) for step in STEPS] == [len(HOSTS)] * 3
    assert len(rig.engine.find(f"{PARENT}-r.")) == 3


@pytest.mark.parametrize("at", [0, 1, 7, 30, 50, 68])
def test_after_a_kill_finished_steps_are_skipped(tmp_path: Path, at: int) -> None:
    """A worker that dies in the middle of a batch leaves notes of what is done."""
    rig = Rig(tmp_path)
    rig.kill_at = at
    rig.batches.start("r")
    rig.run()
    assert rig.did == ALL


def test_notes_that_were_lost_are_done_again(tmp_path: Path) -> None:
    """At most what was not yet noted is repeated."""
    rig = Rig(tmp_path)
    rig.notes.note("r", "snapshot", HOSTS[:5], 1)
    rig.did.update({(host, "snapshot"): 1 for host in HOSTS[:5]})
    rig.batches.start("r")
    rig.run()
    assert rig.did == ALL


def test_once_stopped_no_further_host_is_begun(tmp_path: Path) -> None:
    """A veto in the middle: batches that were not begun do nothing."""
    rig = Rig(tmp_path)
    rig.stop_after = 1
    name = rig.batches.start("r")
    rig.run()
    begun = {host for host, _ in rig.did}
    assert begun <= set(HOSTS[:10])
    assert rig.engine.rows[name].state == "succeeded"
    assert {w.name for w in rig.engine.find(f"{PARENT}-r.")} == {CHILD}
