"""A rollout ends the same however often its control plane dies and whatever its engine is told."""

from collections import Counter
from pathlib import Path

import pytest

from answerable.kernel.errors import Unavailable
from answerable.rollout.decide import Pace
from answerable.rollout.port import Json
from answerable.rollout.steps import HostSteps
from answerable.rollout.view import Order
from answerable.rollout.workflow import NAME, REVIVE, TOPIC, Ports, Rollouts
from tests.fakes.fleet import NOTICE, Book, BookRecorder, BookView, FakeExecutor, Fleet, plan
from tests.fakes.reaper import Mortal, Reaper
from tests.fakes.workflow_engine import FakeEngine, Killed

PACE = Pace(threshold=1, batch=2, patience=60, busy=1, idle=1)
RUN = f"{NAME}-{NOTICE}.1"


def die(moment: str) -> None:
    """End the control plane of a story."""
    raise Killed(moment)


class Story:
    """One rollout from notice to outcome, with everything that outlives the control plane."""

    def __init__(self, path: Path, rings: list[list[Order]], **fleet: Json) -> None:
        self.now = 1_000
        self.book = Book()
        self.executor = FakeExecutor()
        self.fleet = Fleet(self.book, lambda host: host in self.executor.listed, soak=3, **fleet)
        self.steps = HostSteps(path / "steps.sqlite")
        self.reaper = Reaper(die)
        self.engine = FakeEngine(self.clock)
        self.rollouts = self.boot()
        self.book.open(rings, clears=1_005, not_after=2_000)

    def clock(self) -> int:
        """Give the story's time."""
        return self.now

    def boot(self) -> Rollouts:
        """Start the control plane again over what outlived it."""
        self.engine = FakeEngine(self.clock, self.engine.rows)
        ports = {
            "view": BookView(self.book), "executor": self.executor,
            "recorder": BookRecorder(self.book), "steps": self.steps,
        }  # fmt: skip
        mortal: Json = {name: Mortal(port, self.reaper) for name, port in ports.items()}
        self.rollouts = Rollouts(self.engine, Ports(**mortal), self.clock, PACE)
        return self.rollouts

    def tick(self) -> None:
        """Let a second pass: a cosigned head, the control plane (which may die), the fleet."""
        self.now += 1
        self.book.add("head", time=self.now)
        try:
            self.rollouts.resume()
            self.engine.pump()
        except Killed:
            self.boot()
        self.fleet.step()

    def play(self, until: int = 300) -> "Story":
        """Let time pass until the outcome stands in the log and the engine is at rest."""
        for _ in range(until):
            if self.book.all("outcome") and not self.running():
                return self
            self.tick()
        raise AssertionError(f"no outcome by {self.now}: {self.rollouts.look(NOTICE)}")

    def running(self) -> bool:
        """Tell whether the engine still has work."""
        return any(row.state in ("queued", "running") for row in self.engine.rows.values())

    def ending(self) -> Json:
        """Give what must be the same in every telling."""
        outcomes = [(o["state"], o["detail"]) for o in self.book.all("outcome")]
        return outcomes, dict(self.fleet.done), sorted(self.executor.listed)


def test_rings_open_one_after_the_other_and_all_succeed(tmp_path: Path) -> None:
    """The plain story: three rings, each after soak and advance, every change once."""
    story = Story(tmp_path, plan(1, 2, 3)).play()
    outcomes, done, _ = story.ending()
    assert outcomes == [("succeeded", "all hosts are final; succeeded 6")]
    assert done == {c: 1 for ring in plan(1, 2, 3) for o in ring for c in o.changes}
    refused = [r for r in story.book.all("report") if r["result"] == "refused"]
    assert refused == []


def moments(path: Path, rings: list[list[Order]], **fleet: Json) -> tuple[int, Json]:
    """Play a story without a kill: how many moments it has, and how it ends."""
    story = Story(path, rings, **fleet).play()
    return story.reaper.calls, story.ending()


@pytest.mark.parametrize(
    "fleet",
    [{}, {"failing": frozenset({"h1"})}, {"lying": frozenset({"h0"})}],
    ids=["succeeds", "fails and is undone", "lies"],
)
def test_killed_at_any_moment_the_story_ends_the_same(tmp_path: Path, fleet: Json) -> None:
    """Kill the control plane before and after every single call that it makes, one by one."""
    count, ending = moments(tmp_path / "plain", plan(1, 2), **fleet)
    assert count > 50
    for at in range(1, count + 1):
        story = Story(tmp_path / str(at), plan(1, 2), **fleet)
        story.reaper.at = at
        story.play()
        assert story.ending() == ending, story.reaper.names[at - 1]


def test_killed_again_and_again_the_story_ends_the_same(tmp_path: Path) -> None:
    """A control plane that dies every few calls still gets there."""
    _, ending = moments(tmp_path / "plain", plan(1, 2))
    for often in (29, 31, 37, 41):
        story = Story(tmp_path / str(often), plan(1, 2))
        for _ in range(300):
            story.reaper.at = story.reaper.calls + often
            story.tick()
            if story.book.all("outcome"):
                break
        assert story.ending() == ending


def test_a_failed_host_is_undone_once_and_the_next_ring_never_starts(tmp_path: Path) -> None:
    """First failure halts; the undo is the host's own, asked for once."""
    story = Story(tmp_path, plan(1, 2, 3), failing=frozenset({"h1"})).play()
    assert story.executor.asked == ["h1"]
    assert story.fleet.done["h1.undo"] == 1
    assert [h for h in ("h3", "h4", "h5") if story.fleet.done[f"{h}.up"]] == []
    assert story.ending()[0] == [
        ("failed", "too many hosts failed; held 3, succeeded 2, undone 1")
    ]  # fmt: skip


def test_a_silent_host_is_unknown_and_nothing_is_undone(tmp_path: Path) -> None:
    """A host that changed itself and never said so."""
    story = Story(tmp_path, plan(1), silent=frozenset({"h0"})).play()
    assert story.ending()[0] == [("outcome_unknown", "all hosts are final; outcome_unknown 1")]
    assert story.executor.asked == []


def test_a_veto_in_the_window_means_no_host_changes(tmp_path: Path) -> None:
    """One no, before the first host."""
    story = Story(tmp_path, plan(1, 2))
    story.tick()
    story.book.add("veto")
    story.play()
    assert story.ending() == ([("vetoed", "vetoed; held 3")], {}, [])


def test_a_veto_in_the_middle_stops_every_further_host(tmp_path: Path) -> None:
    """One no, after the first ring: whoever has begun finishes, nobody else starts."""
    story = Story(tmp_path, plan(1, 4))
    while not story.fleet.done["h1.up"]:
        story.tick()
    story.book.add("veto")
    begun = Counter(story.fleet.done)
    story.play()
    assert story.fleet.done == begun
    ((state, _),) = story.ending()[0]
    assert state == "vetoed"
    assert "h4" not in story.executor.listed


def test_a_repeated_or_forged_signal_changes_nothing(tmp_path: Path) -> None:
    """A signal says only `look`; whatever it claims, the log decides."""
    _, ending = moments(tmp_path / "plain", plan(1, 2))
    story = Story(tmp_path / "forged", plan(1, 2))
    story.tick()
    for number in range(20):
        story.engine.signal(RUN, TOPIC, {"veto": True, "advance": 1, "done": True}, str(number))
        story.rollouts.wake(NOTICE, "same news")
    story.play()
    assert story.ending() == ending


@pytest.mark.parametrize(
    "forged",
    [
        {"done": True, "life": "succeeded", "wait": 0, "why": ""},
        {"done": False, "life": "executing", "wait": 0, "why": "ring 2 is open"},
    ],
    ids=["done", "open"],
)
def test_a_forged_engine_row_changes_nothing(tmp_path: Path, forged: Json) -> None:
    """Rewriting what the engine remembers neither opens a ring nor hides a missing outcome."""
    _, ending = moments(tmp_path / "plain", plan(1, 2))
    story = Story(tmp_path / "forged", plan(1, 2))
    for _ in range(8):
        story.tick()
        row = story.engine.rows[RUN]
        row.steps = [type(s)(s.name, forged) if s.name == "turn" else s for s in row.steps]
    story.play()
    assert story.ending() == ending


def test_without_the_engines_tables_the_story_ends_the_same(tmp_path: Path) -> None:
    """The engine's state is disposable: empty it in the middle and go on."""
    _, ending = moments(tmp_path / "plain", plan(1, 2))
    story = Story(tmp_path / "emptied", plan(1, 2))
    while not story.fleet.done["h0.up"]:
        story.tick()
    story.engine.rows.clear()
    story.play()
    assert story.ending() == ending


def test_an_unreadable_log_hands_nothing_out(tmp_path: Path) -> None:
    """Half the truth is no truth: without the log the rollout waits."""
    story = Story(tmp_path, plan(1))
    story.rollouts.resume()
    story.now = 1_010
    story.book.add("head", time=story.now)
    story.book.unreadable = True
    for _ in range(3):
        story.now += 1
        story.engine.pump()
    assert story.executor.listed == set()
    story.book.unreadable = False
    story.play()
    assert story.ending()[0] == [("succeeded", "all hosts are final; succeeded 1")]


def test_an_outcome_is_recorded_again_if_the_log_was_away(tmp_path: Path) -> None:
    """A rollout is not over before its outcome is in the log."""

    class Away(BookRecorder):
        tries = 0

        def record(self, outcome: Json) -> None:
            self.tries += 1
            if self.tries < 3:
                raise Unavailable("the log is away")
            super().record(outcome)

    story = Story(tmp_path, plan(1))
    away = Away(story.book)
    story.engine = FakeEngine(story.clock)
    ports = Ports(BookView(story.book), story.executor, away, story.steps)
    story.rollouts = Rollouts(story.engine, ports, story.clock, PACE)
    story.play()
    assert len(story.book.all("outcome")) == 1
    assert away.tries == 3


def test_cancelled_work_is_not_started_again_and_failed_work_only_later(tmp_path: Path) -> None:
    """An operator's cancel stays; work that broke is taken up after a while."""
    story = Story(tmp_path, plan(1))
    assert story.rollouts.resume() == [NOTICE]
    assert story.rollouts.resume() == []
    row = story.engine.rows[RUN]
    row.state, row.ended = "dead", story.now
    assert story.rollouts.resume() == []
    story.now += REVIVE
    assert story.rollouts.resume() == [NOTICE]
    story.engine.cancel_tree(f"{NAME}-{NOTICE}.2")
    story.now += REVIVE
    assert story.rollouts.resume() == []


def test_a_look_does_nothing(tmp_path: Path) -> None:
    """Asking how far a rollout is moves nothing."""
    story = Story(tmp_path, plan(1))
    story.book.add("head", time=1_010)
    assert story.rollouts.look(NOTICE).life == "cleared"
    assert story.executor.listed == set()
