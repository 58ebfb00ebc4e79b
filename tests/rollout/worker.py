"""A real control plane process for the kill tests: real engine, real files, logs in a book.

    python -m tests.rollout.worker <directory> <moment at which to kill itself, -1 for never> [stay]

It says `ready` when it has taken up a rollout, follows the book, wakes its rollouts, and leaves
when the outcome is in the log and the engine is at rest, unless it is told to stay.
"""

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

from answerable.rollout.decide import Pace
from answerable.rollout.engine import DbosEngine
from answerable.rollout.port import ENDED
from answerable.rollout.pull import PullExecutor
from answerable.rollout.steps import HostSteps
from answerable.rollout.view import Order
from answerable.rollout.workflow import NAME, Ports, Rollouts
from tests.fakes.fleet import NOTICE, Book, BookRecorder, BookView
from tests.fakes.reaper import Mortal, Reaper

PACE = Pace(threshold=1, batch=2, patience=600, busy=1, idle=1)
FOLLOW = 0.02
"""Time between looks at the book, seconds."""


def build(notice: str, order: Order) -> bytes:
    """Make a stand-in for a bundle."""
    return f"{notice} {order.host}".encode()


def rollouts(directory: Path, at: int) -> tuple[DbosEngine, Rollouts]:
    """Put a control plane together whose every call may be its last."""
    book = Book(directory / "book.jsonl")
    reaper = Reaper(lambda _: os.kill(os.getpid(), signal.SIGKILL), at)
    ports: dict[str, Any] = {
        "view": BookView(book), "executor": PullExecutor(directory / "out", build),
        "recorder": BookRecorder(book), "steps": HostSteps(directory / "steps.sqlite"),
    }  # fmt: skip
    mortal: dict[str, Any] = {name: Mortal(port, reaper) for name, port in ports.items()}
    engine = DbosEngine(directory / "engine", clock, time.monotonic)
    return engine, Rollouts(engine, Ports(**mortal), clock, PACE)


def clock() -> int:
    """Give POSIX seconds."""
    return int(time.time())


def main(directory: Path, at: int, *, stay: bool) -> None:
    """Be a control plane until the story is over."""
    book = Book(directory / "book.jsonl")
    engine, works = rollouts(directory, at)
    engine.launch()
    seen, ready = -1, False
    while stay or not (book.all("outcome") and all(w.state in ENDED for w in engine.find(NAME))):
        size = (directory / "book.jsonl").stat().st_size
        if size != seen:
            works.resume()
            works.wake(NOTICE, str(size))
            seen = size
        if not ready and any(w.worker == engine.worker for w in engine.find(NAME)):
            ready = True
            sys.stdout.write("ready\n")
            sys.stdout.flush()
        time.sleep(FOLLOW)
    engine.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), stay="stay" in sys.argv)
