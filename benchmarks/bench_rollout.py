"""Hosts through the workflow engine: 100,000 hosts x 5 recorded steps of 5 ms each, on SQLite.

    python benchmarks/bench_rollout.py [hosts]

The same run at a tenth of the size comes first. Seen before: 9.5 s, 95 MB. Then: how long after the
last sign of life of a worker, killed or frozen, another one goes on with its work.
"""

import asyncio
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

from answerable.rollout.batch import Batches, Width, Work
from answerable.rollout.engine import FILE, DbosEngine
from answerable.rollout.port import ENDED, Task
from answerable.rollout.steps import HostSteps

STEP = 0.005
"""What one step at a host takes, seconds."""
STEPS = ("snapshot", "upgrade", "restart", "health", "report")


def clock() -> int:
    """Give POSIX seconds."""
    return int(time.time())


async def do(_rollout: str, _host: str, _step: str) -> None:
    """Stand in for one step at one host."""
    await asyncio.sleep(STEP)


def run(count: int, directory: Path) -> dict[str, float | int]:
    """Roll out to so many hosts and measure."""
    hosts = [f"h{n:07}" for n in range(count)]
    engine = DbosEngine(directory / "engine", clock, time.monotonic)
    notes = HostSteps(directory / "steps.sqlite")
    work = Work(lambda _: hosts, STEPS, do, lambda _: False)
    batches = Batches(engine, notes, work, clock, Width())
    engine.launch()
    # The engine notices new queues once a second; a server that has run before knows them.
    time.sleep(1.5)
    begun, cpu = time.perf_counter(), time.process_time()
    name = batches.start("r")
    while (found := engine.status(name)) is None or found.state not in ENDED:
        time.sleep(0.1)
    took, busy = time.perf_counter() - begun, time.process_time() - cpu
    assert found.state == "succeeded", found
    assert all(notes.count("r", step) == count for step in STEPS)
    engine.close()
    with closing(sqlite3.connect(directory / "engine" / FILE)) as database:
        journal = database.execute("PRAGMA journal_mode").fetchone()[0]
    return {
        "hosts": count, "records": count * len(STEPS), "seconds": round(took, 2),
        "cpu_seconds": round(busy, 2),
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "notes_mb": round((directory / "steps.sqlite").stat().st_size / 1e6, 1),
        "engine_mb": round((directory / "engine" / FILE).stat().st_size / 1e6, 1),
        "journal": journal,
    }  # fmt: skip


def worker(directory: Path) -> None:
    """Be one of two workers: write down every step of some long work."""
    engine = DbosEngine(directory / "engine", clock, time.monotonic)

    def beat(number: int) -> None:
        with (directory / "beats").open("a") as file:
            file.write(f"{os.getpid()} {number} {time.time()}\n")
        time.sleep(0.02)

    async def body(task: Task) -> None:
        for number in range(100_000):
            await task.step("beat", beat, number)

    engine.register("body", body)
    engine.launch()
    engine.start("w", "body")
    signal.pause()


def beats(directory: Path) -> list[tuple[int, int, float]]:
    """Read who did which step when."""
    file = directory / "beats"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(int(p), int(n), float(t)) for p, n, t in (line.split() for line in lines)]


def resumed(how: signal.Signals, directory: Path) -> dict[str, float | int | str]:
    """Kill or freeze the worker that works, and measure until the other one does."""
    command = [sys.executable, __file__, "worker", str(directory)]
    first = subprocess.Popen(command)
    while len(beats(directory)) < 10:
        time.sleep(0.01)
    second = subprocess.Popen(command)
    time.sleep(3)
    last = time.time()
    first.send_signal(how)
    while not (after := [t for pid, _, t in beats(directory) if pid == second.pid]):
        time.sleep(0.01)
    time.sleep(1)
    for process in (first, second):
        process.kill()
        process.wait()
    numbers = Counter(number for _, number, _ in beats(directory))
    twice = sum(1 for times in numbers.values() if times > 1)
    return {
        "signal": how.name, "resumed_seconds": round(after[0] - last, 2), "steps_twice": twice,
        "steps": len(numbers),
    }  # fmt: skip


def main() -> None:
    """Measure at a tenth and at full size, then the two ways to lose a worker."""
    if "worker" in sys.argv:
        worker(Path(sys.argv[-1]))
    full = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    for count in (full // 10, full):
        with tempfile.TemporaryDirectory() as directory:
            print(json.dumps(run(count, Path(directory))), flush=True)
    for how in (signal.SIGKILL, signal.SIGSTOP):
        with tempfile.TemporaryDirectory() as directory:
            print(json.dumps(resumed(how, Path(directory))), flush=True)


if __name__ == "__main__":
    main()
