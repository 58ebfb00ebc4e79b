"""Kill -9 at random moments, while a fleet of real processes patches real hosts. Not a test.

Rules:
* everything that is random comes from one seed, which is printed; the moment of a kill is told as a
  step: how many records the logs held just then;
* a party is killed alone (what it started lives on as an orphan) or with all that it started, as
  by a power cut; it is started again within a second;
* nobody is killed while a person's command runs: a command that fails is that person's to repeat.
"""

import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from answerable.demo.scenes.cast import CONTROL, GUARDS, LOG, OBSERVERS, Cast, StoryFailed
from answerable.demo.scenes.hosts import Agents

WORDS = {
    LOG: ("log", "serve"),
    CONTROL: ("serve",),
    **dict.fromkeys(GUARDS, ("guard", "run")),
    **dict.fromkeys(OBSERVERS, ("observe", "run")),
}
KINDS = ("log", "guard", "control", "host", "observer")
LOOK = 0.05
"""Seconds between two looks at what has become of everything."""


@dataclass
class Killer:
    """Kills and revives the parties of one fleet.

    Args:
        cast: who plays, `agents` on which hosts.
        step: gives how many records the logs hold.
        seed: of everything random here.
        each: kills of each kind of process.
        gap: mean seconds between two kills.
    """

    cast: Cast
    agents: Agents
    step: Callable[[], int]
    seed: int
    each: int
    gap: float
    done: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        """Draw whom to kill, in which turn."""
        self.chance = random.Random(self.seed)
        hosts = list(self.agents.hosts.names)
        parties = {"log": [LOG], "guard": [*GUARDS], "control": [CONTROL], "host": hosts,
                   "observer": [*OBSERVERS]}  # fmt: skip
        self.due = [
            (kind, self.chance.choice(parties[kind])) for kind in KINDS for _ in range(self.each)
        ]
        self.chance.shuffle(self.due)
        self._down: dict[str, float] = {}

    def until(self, what: str, ready: Callable[[], bool], share: int, seconds: float) -> None:
        """Kill up to `share` times while something comes about, and until it has.

        Raises:
            StoryFailed: a process ended by itself, or it takes longer.
        """
        end, left = time.monotonic() + seconds, share
        then = self._next()
        while not ready():
            now = time.monotonic()
            if now > end:
                raise StoryFailed(f"waited {seconds:.0f} s and more for this: {what}")
            if left and self.due and now >= then:
                left -= self._kill()
                then = self._next()
            self._raise_the_dead(now)
            self.cast.check()
            time.sleep(LOOK)
        self.revive()

    def spend(self) -> None:
        """Do the kills that are left, on parties that only wait."""
        while self.due:
            then = self._next()
            while time.monotonic() < then:
                self._raise_the_dead(time.monotonic())
                self.cast.check()
                time.sleep(LOOK)
            self._kill()
        self.revive()

    def revive(self) -> None:
        """Start whatever is down."""
        for name in list(self._down):
            self._start(name)

    def _next(self) -> float:
        return time.monotonic() + self.chance.uniform(0, 2 * self.gap)

    def _kill(self) -> int:
        kind, name = self.due[-1]
        if name in self._down:
            self._start(name)
            return 0
        self.due.pop()
        process, whole = self.cast.running.pop(name), self.chance.random() < 1 / 3
        if process.poll() is not None:
            self.cast.running[name] = process
            self.cast.check()
        if whole:
            os.killpg(process.pid, signal.SIGKILL)
        else:
            process.kill()
        process.wait()
        self.done[kind] += 1
        self._down[name] = time.monotonic() + self.chance.uniform(0, 1)
        how = "and all it started" if whole else "alone"
        self.cast.tell.line(
            f"seed {self.seed}, kill {self.done.total()}, step {self.step()}: {name} {how}"
        )
        return 1

    def _raise_the_dead(self, now: float) -> None:
        for name in [n for n, when in self._down.items() if now >= when]:
            self._start(name)

    def _start(self, name: str) -> None:
        self._down.pop(name)
        if name in WORDS:
            self.cast.start(name, *WORDS[name])
        else:
            self.agents.start(name)
