"""The durable rollout of one noticed plan.

The work is a loop of two engine calls: one step, the turn, that reads the logs, decides
(decide.py), acts and records an outcome; and one wait for a signal or the next look. Nothing that
the engine remembers is used to decide, so

* killing the process anywhere repeats at most one turn, whose acts are safe to repeat;
* a forged, lost, late or repeated signal, and a forged row of the engine, change nothing;
* deleting the engine's tables and calling `resume` ends the story the same way.

If a log, the engine or the executor is unavailable, a turn does nothing and is tried again: nothing
is handed out on half the truth. One worker acts on a rollout at a time; one that was frozen while
another took over may finish its turn, which hands out at most `Pace.batch` bundles too many, and
every host still decides for itself.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import count, takewhile

from answerable.kernel.errors import Unavailable
from answerable.rollout.decide import (
    Act,
    AskUndo,
    Decision,
    Facts,
    Pace,
    Publish,
    Withdraw,
    decide,
)
from answerable.rollout.executor import Executor
from answerable.rollout.port import ENDED, Engine, Json, Task, Work
from answerable.rollout.record import Recorder
from answerable.rollout.steps import HostSteps
from answerable.rollout.view import Order, View

NAME = "rollout"
TOPIC = "wake"
REVIVE = 600
"""After so long a rollout that the engine gave up on is started anew, seconds."""


@dataclass(frozen=True)
class Ports:
    """What a rollout reads and moves."""

    view: View
    executor: Executor
    recorder: Recorder
    steps: HostSteps


class Rollouts:
    """All rollouts of one control plane.

    Args:
        engine: not yet launched.
        ports: what rollouts read and move.
        clock: POSIX seconds.
        pace: limits.
    """

    def __init__(
        self, engine: Engine, ports: Ports, clock: Callable[[], int], pace: Pace | None = None
    ) -> None:
        self._engine = engine
        self._ports = ports
        self._clock = clock
        self._pace = pace or Pace()
        engine.register(NAME, self._run)

    def resume(self) -> list[str]:
        """Start what should be under way: every notice without an outcome. Safe to call often.

        Returns: the notices that were started now.

        Raises:
            Unavailable: the log or the engine cannot be read.
        """
        return [notice for notice in self._ports.view.open_notices() if self.start(notice)]

    def start(self, notice: str) -> bool:
        """Start the rollout of a notice, given by its leaf hash, unless it is under way.

        Work that ended although the log has no outcome is started anew: at once if it claims to
        have succeeded, after `REVIVE` if it failed. Cancelled work stays so.

        Raises:
            Unavailable: the engine cannot be reached.
        """
        runs = self._runs(notice)
        last = runs[-1] if runs else None
        if last is not None and not self._may_follow(last):
            return False
        self._engine.start(f"{_prefix(notice)}{len(runs) + 1}", NAME, notice)
        return True

    def _may_follow(self, last: Work) -> bool:
        if last.state not in ENDED or last.state == "cancelled":
            return False
        return last.state == "succeeded" or self._clock() - last.ended >= REVIVE

    def _runs(self, notice: str) -> list[Work]:
        found = {work.id: work for work in self._engine.find(_prefix(notice))}
        # Counted up, so that a forged row of another name is not ours.
        runs = takewhile(lambda name: name in found, map(f"{_prefix(notice)}{{}}".format, count(1)))
        return [found[name] for name in runs]

    def wake(self, notice: str, key: str) -> bool:
        """Hint that the logs have news of a notice; tells whether there was a rollout to wake.

        Args:
            notice: leaf hash.
            key: names the news, such as the logs' sizes; the same news wakes once.

        Raises:
            Unavailable: the engine cannot be reached.
        """
        runs = self._runs(notice)
        if not runs or runs[-1].state in ENDED:
            return False
        self._engine.signal(runs[-1].id, TOPIC, None, key)
        return True

    def look(self, notice: str) -> Decision:
        """Tell from the logs how far a rollout is and what it does next, and do nothing.

        Raises:
            Unavailable: they cannot be read.
        """
        return decide(self._facts(notice), self._clock(), self._pace)

    async def _run(self, task: Task, notice: Json) -> Json:
        while True:
            turn = await task.step("turn", self.turn, notice)
            if turn["done"]:
                return turn["life"]
            await task.wait_signal(TOPIC, self._clock() + int(turn["wait"]))

    def turn(self, notice: str) -> Json:
        """Read, decide, act, record: once. Safe to repeat at any moment."""
        try:
            decision = self.look(notice)
            for act in decision.acts:
                self._act(notice, act)
            if decision.outcome is not None:
                self._ports.recorder.record(decision.outcome)
        except Unavailable as error:
            return {"done": False, "life": "", "wait": self._pace.idle, "why": str(error)}
        done = decision.done or decision.outcome is not None
        wait = self._pace.busy if decision.busy else self._pace.idle
        return {"done": done, "life": decision.life, "wait": wait, "why": decision.why}

    def _facts(self, notice: str) -> Facts:
        view, notes = self._ports.view, self._ports.steps.notes(notice)
        return Facts(
            notice, outcome=view.outcome(notice), state=view.notice_state(notice),
            rings=view.rings(notice), reports=view.reports(notice),
            observations=view.observations(notice), failures=view.failures(notice),
            published=notes.get("publish", {}), withdrawn=notes.get("withdraw", {}),
            asked=notes.get("undo", {}),
        )  # fmt: skip

    def _act(self, notice: str, act: Act) -> None:
        executor = self._ports.executor
        match act:
            case Publish(orders):
                executor.publish(notice, orders)
                self._note(notice, "publish", orders)
            case Withdraw(orders):
                executor.withdraw(notice, orders)
                self._note(notice, "withdraw", orders)
            case AskUndo(orders):
                executor.ask_undo(notice, orders)
                self._note(notice, "undo", orders)

    def _note(self, notice: str, step: str, orders: Sequence[Order]) -> None:
        hosts = [order.host for order in orders]
        self._ports.steps.note(notice, step, hosts, self._clock())


def _prefix(notice: str) -> str:
    return f"{NAME}-{notice}."
