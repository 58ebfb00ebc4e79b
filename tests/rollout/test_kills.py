"""Real processes, killed and frozen: the rollout ends the same, and only one worker acts."""

import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from answerable.rollout.engine import FILE
from answerable.rollout.port import Json
from answerable.rollout.pull import PullExecutor
from answerable.rollout.view import Order
from tests.fakes.fleet import Book, Fleet, plan
from tests.rollout.worker import build

ROOT = Path(__file__).parents[2]
DEADLINE = 60
"""Longest wait for a condition, seconds."""
KILLS = int(os.environ.get("KILLS", "5"))
SEED = int(os.environ.get("SEED", str(random.SystemRandom().randrange(1 << 32))))
RINGS = {"short": plan(1, 2), "long": plan(1, *(2 for _ in range(2 + KILLS // 4)))}
STOPPED = 75
"""Exit code of a worker that lost its lease (EX_TEMPFAIL)."""


class World:
    """Everything that outlives the control plane: logs, hosts, observers, in this process."""

    def __init__(self, directory: Path, rings: list[list[Order]]) -> None:
        self.directory = directory
        self.orders = [order for ring in rings for order in ring]
        self.book = Book(directory / "book.jsonl")
        self.out = PullExecutor(directory / "out", build)
        self.fleet = Fleet(self.book, self._listed, soak=2)
        self.book.open(rings, clears=1_002, not_after=1_000_000)
        self.now = 1_000
        self.workers: list[subprocess.Popen[str]] = []

    def close(self) -> None:
        """Leave no process behind."""
        for worker in self.workers:
            worker.kill()
            worker.communicate()

    def _listed(self, host: str) -> bool:
        return bool(json.loads(self.out.listed(host)))

    def worker(self, at: int = -1, stay: str = "") -> subprocess.Popen[str]:
        """Start a control plane that kills itself at a moment."""
        where = ["tests.rollout.worker", str(self.directory)]
        command = [sys.executable, "-m", *where, str(at), stay]
        worker = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        self.workers.append(worker)
        return worker

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the world go on until a condition holds."""
        end = time.monotonic() + DEADLINE
        while not condition():
            assert time.monotonic() < end, self.book.path
            self.now += 1
            self.book.add("head", time=self.now)
            self.fleet.step()
            time.sleep(0.05)

    def ending(self) -> Json:
        """Give what must be the same in every telling."""
        outcomes = [(o["state"], o["detail"]) for o in self.book.all("outcome")]
        refused = [r for r in self.book.all("report") if r["result"] == "refused"]
        return outcomes, refused, dict(self.fleet.done)

    def plain_ending(self) -> Json:
        """Give how it ends when nobody interferes: every change done once, none refused."""
        detail = f"all hosts are final; succeeded {len(self.orders)}"
        done = {change: 1 for order in self.orders for change in order.changes}
        return [("succeeded", detail)], [], done


@pytest.fixture
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """Give a world and clear up after it."""
    found = World(tmp_path, RINGS[getattr(request, "param", "short")])
    yield found
    found.close()


@pytest.mark.parametrize("world", ["long"], indirect=True)
def test_killed_at_random_moments_the_story_ends_the_same(
    world: World, capsys: pytest.CaptureFixture[str]
) -> None:
    """A real control plane is killed again and again; the next one goes on at once."""
    chance, moments = random.Random(SEED), []
    for _ in range(KILLS):
        moments.append(chance.randint(1, 45))
        worker = world.worker(moments[-1])
        world.until(lambda w=worker: w.poll() is not None)  # type: ignore[misc]
        assert worker.returncode == -signal.SIGKILL
    with capsys.disabled():
        sys.stdout.write(f"\nSEED={SEED}: {KILLS} kills, at moments {moments}\n")
    last = world.worker()
    world.until(lambda: last.poll() is not None)
    assert last.returncode == 0
    assert world.ending() == world.plain_ending()


def test_forged_rows_in_the_engines_database_change_nothing(world: World) -> None:
    """Whoever owns the database forges signals and every remembered turn; the logs decide."""
    first = world.worker()
    world.until(lambda: world.fleet.done["h0.check"] == 1)
    first.kill()
    first.wait()
    forged = '{"done":true,"life":"succeeded","wait":0,"why":"ring 3 is open"}'
    with closing(sqlite3.connect(world.directory / "engine" / FILE, timeout=30)) as database:
        (work,) = database.execute("SELECT workflow_uuid FROM workflow_status").fetchone()
        turn = "UPDATE operation_outputs SET output = ? WHERE function_name = 'turn'"
        assert database.execute(turn, (forged,)).rowcount
        database.execute(
            "INSERT INTO notifications (destination_uuid, topic, message, serialization,"
            " message_uuid, created_at_epoch_ms) VALUES (?, 'wake', ?, 'answerable_json', 'x', 1)",
            (work, forged),
        )
        database.commit()
    last = world.worker()
    world.until(lambda: last.poll() is not None)
    assert last.returncode == 0
    assert world.ending() == world.plain_ending()


def _frozen_between_writes(worker: subprocess.Popen[str], directory: Path) -> bool:
    """Freeze it where it holds no write lock: SQLite's lock ends only with its holder."""
    worker.send_signal(signal.SIGSTOP)
    path = directory / "engine" / FILE
    try:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as database:
            database.execute("BEGIN IMMEDIATE")
            database.execute("ROLLBACK")
    except sqlite3.OperationalError:
        worker.send_signal(signal.SIGCONT)
        return False
    return True


def test_a_frozen_control_plane_is_replaced_and_stops_when_it_wakes(world: World) -> None:
    """SIGSTOP: after six silent seconds a peer takes over; the zombie ends itself on waking."""
    first = world.worker(stay="stay")
    assert first.stdout is not None
    assert first.stdout.readline() == "ready\n"
    world.until(lambda: _frozen_between_writes(first, world.directory))
    second = world.worker()
    world.until(lambda: second.poll() is not None)
    assert second.returncode == 0
    assert world.ending() == world.plain_ending()
    assert first.poll() is None
    first.send_signal(signal.SIGCONT)
    world.until(lambda: first.poll() is not None)
    assert first.returncode == STOPPED
    assert world.ending() == world.plain_ending()
