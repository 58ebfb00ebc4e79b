"""The rules of the engine port, held by the real engine and by its twin; and the closed holes."""

import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from shutil import copytree
from typing import Protocol

import pytest

from answerable.rollout.engine import FILE, DbosEngine, JsonSerializer
from answerable.rollout.port import ENDED, Engine, EngineUnavailable, Json, StepFailed, Task
from tests.fakes.workflow_engine import FakeEngine

DEADLINE = 60
"""Longest wait for a condition, seconds."""
QUEUE = "batches"


class Bodies:
    """The work of these tests, and what it did."""

    def __init__(self) -> None:
        self.did: list[Json] = []

    def register(self, engine: Engine) -> None:
        """Name all bodies."""
        for name in ("count", "wait", "fail", "parent", "napper"):
            engine.register(name, getattr(self, f"_{name}"))
        engine.queue(QUEUE, 2)

    async def _count(self, task: Task, upto: Json) -> Json:
        return sum([await task.step("add", self._add, n) for n in range(upto)])

    def _add(self, number: Json) -> Json:
        self.did.append(number)
        return number

    async def _wait(self, task: Task) -> Json:
        first = await task.step("first", self._add, "first")
        payload = await task.wait_signal("go", 4_000_000_000)
        second = await task.wait_signal("go", 0)
        last = await task.step("last", self._add, "last")
        return [first, payload, second, last]

    async def _fail(self, task: Task) -> Json:
        try:
            await task.step("bad", self._raise)
        except StepFailed as failure:
            await task.step("after", self._add, [failure.name, failure.message])
        raise ValueError("the body itself")

    @staticmethod
    def _raise() -> Json:
        raise KeyError("the step")

    async def _parent(self, task: Task) -> Json:
        for number in range(3):
            await task.enqueue(QUEUE, f"{task.id}.{number}", "wait")
        return [await task.result(f"{task.id}.{number}") for number in range(3)]

    async def _napper(self, task: Task, until: Json) -> Json:
        await task.sleep_until(until)
        return "slept"


class Rig(Protocol):
    """An engine that can die and come back."""

    @property
    def engine(self) -> Engine:
        """The engine of this boot."""

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the engine run until a condition holds."""

    def restart(self) -> None:
        """Kill the worker and start another over the same tables."""


class FakeRig:
    """The twin."""

    def __init__(self, bodies: Bodies) -> None:
        self.bodies = bodies
        self.now = 1_000
        self.engine = FakeEngine(lambda: self.now)
        bodies.register(self.engine)

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the engine run until a condition holds."""
        for _ in range(100):
            if condition():
                return
            self.now += 1
            self.engine.pump()
        raise AssertionError("it never came to pass")

    def restart(self) -> None:
        """Kill the worker and start another over the same tables."""
        self.engine = FakeEngine(lambda: self.now, self.engine.rows)
        self.bodies.register(self.engine)


def boot(directory: Path, bodies: Bodies) -> DbosEngine:
    """Start a real worker."""
    engine = DbosEngine(directory, lambda: int(time.time()), time.monotonic)
    bodies.register(engine)
    engine.launch()
    return engine


def hold(condition: Callable[[], bool]) -> None:
    """Wait for a condition."""
    end = time.monotonic() + DEADLINE
    while not condition():
        assert time.monotonic() < end, "it never came to pass"
        time.sleep(0.01)


class DbosRig:
    """The real engine."""

    def __init__(self, bodies: Bodies, directory: Path) -> None:
        self.bodies = bodies
        self.directory = directory
        self.engine = boot(directory, bodies)

    def until(self, condition: Callable[[], bool]) -> None:
        """Let the engine run until a condition holds."""
        hold(condition)

    def restart(self) -> None:
        """Stop the worker in the middle and start another over the same tables."""
        self.engine.close()
        self.engine = boot(self.directory, self.bodies)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make the engine's tables once."""
    directory = tmp_path_factory.mktemp("template") / "engine"
    engine = boot(directory, Bodies())
    engine.start("warm", "count", 1)
    hold(lambda: state(engine, "warm") == "succeeded")
    engine.close()
    return directory


@pytest.fixture
def bodies() -> Bodies:
    """Give the work of these tests."""
    return Bodies()


@pytest.fixture
def dbos(template: Path, tmp_path: Path, bodies: Bodies) -> Iterator[DbosRig]:
    """Give the real engine over tables of its own."""
    rig = DbosRig(bodies, copytree(template, tmp_path / "engine"))
    yield rig
    rig.engine.close()


@pytest.fixture(params=["dbos", "fake"])
def rig(request: pytest.FixtureRequest, bodies: Bodies) -> Rig:
    """Give each engine in turn."""
    if request.param == "fake":
        return FakeRig(bodies)
    found: Rig = request.getfixturevalue("dbos")
    return found


def state(engine: Engine, work: str) -> str:
    """Give the state of some work, empty if there is none."""
    found = engine.status(work)
    return found.state if found else ""


def test_work_named_twice_is_done_once(rig: Rig, bodies: Bodies) -> None:
    """Rule 1: the caller's name decides."""
    rig.engine.start("w", "count", 3)
    rig.engine.start("w", "count", 3)
    rig.until(lambda: state(rig.engine, "w") == "succeeded")
    rig.engine.enqueue(QUEUE, "w", "count", 5)
    rig.until(lambda: state(rig.engine, "w") == "succeeded")
    assert bodies.did == [0, 1, 2]
    assert [w.id for w in rig.engine.find("w") if w.id == "w"] == ["w"]
    assert rig.engine.status("other") is None


def test_finished_steps_are_not_done_again_by_the_next_worker(rig: Rig, bodies: Bodies) -> None:
    """Rule 2: a worker that stops in the middle leaves its work to the next one."""
    rig.engine.start("w", "wait")
    rig.until(lambda: len(rig.engine.steps("w")) >= 1)
    rig.restart()
    rig.engine.signal("w", "go", {"n": 1}, "k")
    rig.until(lambda: state(rig.engine, "w") in ENDED)
    assert state(rig.engine, "w") == "succeeded"
    assert bodies.did == ["first", "last"]


def test_a_signal_with_one_key_is_received_once(rig: Rig) -> None:
    """Rule 3: repeated signals wake once, also when sent while nobody was there."""
    rig.engine.start("w", "wait")
    for _ in range(3):
        rig.engine.signal("w", "go", {"n": 1}, "k")
    rig.until(lambda: state(rig.engine, "w") == "succeeded")
    outputs = [step.output for step in rig.engine.steps("w")]
    assert outputs.count({"n": 1}) == 1


def test_a_signal_to_nobody_is_said_to_be_so(rig: Rig) -> None:
    """There is no work of that name."""
    with pytest.raises(EngineUnavailable):
        rig.engine.signal("nobody", "go", None, "k")


def test_cancelling_takes_the_children_along_and_is_final(rig: Rig) -> None:
    """Rule 4: a stop stops the whole tree, and nothing brings it back."""
    rig.engine.start("p", "parent")
    rig.until(lambda: len(rig.engine.find("p.")) == 3)
    rig.engine.cancel_tree("p")
    rig.restart()
    rig.engine.start("p", "parent")
    rig.engine.start("last", "count", 1)
    rig.until(lambda: state(rig.engine, "last") == "succeeded")
    assert {w.state for w in rig.engine.find("p")} == {"cancelled"}


def test_children_answer_their_parent(rig: Rig) -> None:
    """A parent waits for what its children return."""
    rig.engine.start("p", "parent")
    rig.until(lambda: len(rig.engine.find("p.")) == 3)
    for number in range(3):
        rig.engine.signal(f"p.{number}", "go", number, "k")
    rig.until(lambda: state(rig.engine, "p") == "succeeded")
    assert rig.engine.steps("p") != []


def test_failures_of_steps_and_bodies_are_kept_as_words(rig: Rig, bodies: Bodies) -> None:
    """An exception survives the database as name and message, and is the same when played back."""
    rig.engine.start("w", "fail")
    rig.until(lambda: state(rig.engine, "w") == "failed")
    found = rig.engine.status("w")
    assert found is not None
    assert "the body itself" in found.error
    assert bodies.did == [["KeyError", "'the step'"]]


def test_sleep_is_until_a_time_not_for_a_while(rig: Rig) -> None:
    """A time that is over is over, however late the worker comes back."""
    rig.engine.start("w", "napper", 500)
    rig.until(lambda: state(rig.engine, "w") == "succeeded")


# The real engine's holes, each closed by the adapter.


def payload(path: Path) -> str:
    """Spell a pickle, base64, that creates a file when it is read."""
    command = f"touch {path}"
    program = f"cos\nsystem\n(S'{command}'\ntR.".encode()
    return subprocess.run(
        ["base64", "-w0"], input=program, capture_output=True, check=True
    ).stdout.decode()


def plant(directory: Path, marker: Path) -> None:
    """Put the payload wherever a row of the engine can carry one."""
    bad = payload(marker)
    with closing(sqlite3.connect(directory / FILE, timeout=30)) as database, database:
        database.execute("PRAGMA foreign_keys=OFF")
        for work, status in (("evil-listed", "SUCCESS"), ("evil-run", "ENQUEUED")):
            database.execute(
                "INSERT INTO workflow_status (workflow_uuid, status, name, inputs, output, error,"
                " serialization, queue_name, application_version, created_at, updated_at,"
                " recovery_attempts, priority) VALUES"
                " (?, ?, 'wait', ?, ?, ?, 'py_pickle', 'start', '1', 1, 1, 0, 1)",
                (work, status, bad, bad, bad),
            )
        for number, column in enumerate(("output", "error")):
            database.execute(
                f"INSERT INTO operation_outputs (workflow_uuid, function_id, function_name,"  # noqa: S608
                f" {column}, serialization) VALUES ('evil-listed', ?, 'first', ?, 'py_pickle')",
                (number, bad),
            )


READER = """
import sys
from dbos import DBOSClient
client = DBOSClient(system_database_url="sqlite:///" + sys.argv[1])
client.list_workflows()
"""


def test_the_pickle_hole_is_real(template: Path, tmp_path: Path) -> None:
    """Without our adapter, listing the rows runs what somebody wrote into them."""
    directory = copytree(template, tmp_path / "engine")
    plant(directory, tmp_path / "marker")
    reader = [sys.executable, "-c", READER, str(directory / FILE)]
    subprocess.run(reader, check=True, capture_output=True)
    assert (tmp_path / "marker").exists()


def test_a_planted_pickle_is_never_run(dbos: DbosRig, tmp_path: Path) -> None:
    """Listing, describing, reading steps, signalling and running a planted row run nothing."""
    marker = tmp_path / "marker"
    plant(dbos.directory, marker)
    # Claimed, and then nothing: not even its failure can be written down in its own format.
    dbos.until(lambda: state(dbos.engine, "evil-run") == "running")
    assert {w.id for w in dbos.engine.find("evil")} == {"evil-listed", "evil-run"}
    with suppress(EngineUnavailable):
        dbos.engine.steps("evil-listed")
    dbos.engine.start("w", "count", 2)
    dbos.until(lambda: state(dbos.engine, "w") == "succeeded")
    assert not marker.exists()


def test_a_planted_signal_is_never_unpickled(dbos: DbosRig, tmp_path: Path) -> None:
    """A message row with a pickle in it fails its receiver and runs nothing."""
    marker = tmp_path / "marker"
    dbos.engine.start("w", "wait")
    dbos.until(lambda: len(dbos.engine.steps("w")) >= 1)
    with closing(sqlite3.connect(dbos.directory / FILE, timeout=30)) as database, database:
        database.execute(
            "INSERT INTO notifications (destination_uuid, topic, message, serialization,"
            " message_uuid, created_at_epoch_ms) VALUES ('w', 'go', ?, 'py_pickle', 'evil', 1)",
            (payload(marker),),
        )
    dbos.until(lambda: state(dbos.engine, "w") == "failed")
    assert not marker.exists()


def test_values_are_json_or_refused() -> None:
    """What is no JSON value is refused when written; too much is refused both ways."""
    json = JsonSerializer()
    assert json.deserialize(json.serialize({"a": (1, "b", None)})) == {"a": [1, "b", None]}
    failure = json.deserialize(json.serialize(StepFailed("KeyError", "x")))
    assert (failure.name, failure.message) == ("KeyError", "x")
    for bad in (object(), {1, 2}, b"x", "x" * (1 << 20)):
        with pytest.raises(EngineUnavailable):
            json.serialize(bad)
    with pytest.raises(EngineUnavailable):
        json.deserialize(" " * ((1 << 20) + 1))


def test_every_boot_is_another_worker_under_one_version(dbos: DbosRig) -> None:
    """Two processes never share an id, and an edit of our code strands nothing."""
    first = dbos.engine.worker
    dbos.engine.start("w", "wait")
    dbos.until(lambda: state(dbos.engine, "w") == "running")
    dbos.restart()
    assert dbos.engine.worker != first
    dbos.until(lambda: dbos.engine.status("w").worker == dbos.engine.worker)  # type: ignore[union-attr]
    with closing(sqlite3.connect(dbos.directory / FILE)) as database:
        query = "SELECT DISTINCT application_version FROM workflow_status"
        assert database.execute(query).fetchall() == [("1",)]


@pytest.mark.parametrize(("attempts", "ends"), [(6, "succeeded"), (7, "dead")])
def test_work_that_never_gets_anywhere_is_dead_in_the_end(
    dbos: DbosRig, attempts: int, ends: str
) -> None:
    """Poison: after five recoveries without a finished step nobody runs it again by itself."""
    with closing(sqlite3.connect(dbos.directory / FILE, timeout=30)) as database, database:
        database.execute(
            "INSERT INTO workflow_status (workflow_uuid, status, name, inputs, serialization,"
            " executor_id, application_version, application_name, created_at, updated_at,"
            " recovery_attempts, priority) VALUES ('w', 'PENDING', 'count',"
            " '{\"args\":[2],\"kwargs\":{}}', 'answerable_json', 'gone', '1', 'answerable',"
            " 1, 1, ?, 1)",
            (attempts - 1,),
        )
    dbos.until(lambda: state(dbos.engine, "w") in ENDED)
    assert state(dbos.engine, "w") == ends


def test_a_finished_step_forgets_failed_recoveries(dbos: DbosRig) -> None:
    """A rollout of days may see many restarts; only those without progress count."""

    def attempts() -> int:
        with closing(sqlite3.connect(dbos.directory / FILE)) as database:
            query = "SELECT recovery_attempts FROM workflow_status WHERE workflow_uuid = 'w'"
            return int(database.execute(query).fetchone()[0])

    dbos.engine.start("w", "wait")
    dbos.until(lambda: len(dbos.engine.steps("w")) >= 1)
    dbos.restart()
    dbos.until(lambda: attempts() == 2)
    dbos.engine.signal("w", "go", None, "k")
    dbos.until(lambda: state(dbos.engine, "w") == "succeeded")
    assert attempts() == 1


def test_nothing_is_printed_and_nobody_is_called(
    template: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """The engine is quiet, and no environment variable connects it to a hosted plane."""

    def called(*_: object) -> None:
        raise AssertionError("the engine opened a connection")

    monkeypatch.setattr("socket.socket.connect", called)
    monkeypatch.setattr("dbos._utils.GlobalParams.dbos_cloud", True)
    monkeypatch.setenv("DBOS__CONDUCTOR_URL", "ws://192.0.2.1/")
    monkeypatch.setenv("DBOS__CONDUCTOR_KEY", "key")
    monkeypatch.setenv("DBOS__CONDUCTOR_APP_NAME", "answerable")
    rig = DbosRig(Bodies(), copytree(template, tmp_path / "engine"))
    rig.engine.start("w", "fail")
    rig.until(lambda: state(rig.engine, "w") == "failed")
    rig.engine.close()
    assert capfd.readouterr() == ("", "")


def test_the_files_are_private_and_write_ahead(dbos: DbosRig) -> None:
    """Nobody else may read or write engine rows; WAL lets readers be while work is done."""
    assert dbos.directory.stat().st_mode & 0o777 == 0o700
    assert (dbos.directory / FILE).stat().st_mode & 0o777 == 0o600
    with closing(sqlite3.connect(dbos.directory / FILE)) as database:
        assert database.execute("PRAGMA journal_mode").fetchone() == ("wal",)
