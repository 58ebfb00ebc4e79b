"""The workflow engine on DBOS and one SQLite file; the only door to `dbos`.

What this adapter adds to the engine, each with a test:

1. No pickle. The engine honours a row's own `serialization` column, and `py_pickle` would run code
   of whoever can write the file as soon as somebody lists the rows. Both directions are closed
   before the engine is created; values are JSON, exceptions included.
2. Every boot is a worker of its own (the engine's default id would let two processes steal from
   each other), under one pinned application version (the default is a hash of our source, so that
   every edit would strand what is under way).
3. Dead workers' work is taken up by `lease.Keeper`; the engine itself never does that.
4. Recovered more than `ATTEMPTS` times without a finished step in between, work is dead: it would
   kill every worker in turn. A finished step resets the count.
5. Quiet: nothing on the terminal, no telemetry, no hosted plane, whatever the environment says.

WAL and synchronous NORMAL: a power cut may lose the newest steps, which are then done again.
Left out: PostgreSQL.
"""

import json
import logging
import os
import secrets
import sqlite3
from asyncio import to_thread
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from inspect import iscoroutinefunction
from pathlib import Path
from typing import Any, NoReturn

import dbos._serialization as engine_serialization
from dbos import DBOS, DBOSConfig, Serializer, SetEnqueueOptions, SetWorkflowID, WorkflowStatus
from dbos._error import DBOSException
from dbos._utils import GlobalParams
from sqlalchemy.exc import SQLAlchemyError

from answerable.rollout.lease import Keeper, Lease
from answerable.rollout.port import Body, EngineUnavailable, Json, State, Step, StepFailed, Work

VERSION = "1"
"""Application version of all work; raised only after all older work has ended."""
ATTEMPTS = 5
"""Recoveries in a row without any progress after which work is dead."""
SIGNAL_POLL = 0.05
"""How often waiting work looks for signals, seconds."""
QUEUE_POLL = 0.2
"""How often a worker looks for queued and adopted work, seconds."""
PAYLOAD = 1 << 20
"""Longest JSON text read from or written to the engine's tables, characters."""
LISTED = 10_000
"""Most rows of one listing."""
FILE = "engine.sqlite"
START = "start"
"""Queue without a limit."""

_STATES: dict[str, State] = {
    "DELAYED": "queued", "ENQUEUED": "queued", "PENDING": "running", "SUCCESS": "succeeded",
    "ERROR": "failed", "CANCELLED": "cancelled", "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "dead",
}  # fmt: skip
_ERROR = "__error__"


def stop_process() -> NoReturn:
    """End this process at once, without clean-up that could still write (EX_TEMPFAIL)."""
    os._exit(75)


class JsonSerializer(Serializer):
    """JSON for every value; an exception is `{"__error__":[name, message]}`."""

    def name(self) -> str:
        """Name the format in the engine's rows."""
        return "answerable_json"

    def serialize(self, data: Json) -> str:
        """Write a value; tuples become lists."""
        text = json.dumps(data, default=self._error, separators=(",", ":"), sort_keys=True)
        if len(text) > PAYLOAD:
            raise EngineUnavailable(f"{len(text)} characters for the engine; keep big data beside")
        return text

    @staticmethod
    def _error(value: object) -> Json:
        if isinstance(value, StepFailed):
            return {_ERROR: [value.name, value.message]}
        if isinstance(value, BaseException):
            return {_ERROR: [type(value).__name__, str(value)]}
        raise EngineUnavailable(f"`{type(value).__name__}` is no JSON value")

    def deserialize(self, serialized_data: str) -> Json:
        """Read a value from an untrusted row."""
        if len(serialized_data) > PAYLOAD:
            raise EngineUnavailable("a row of the engine is too long; it was not written by us")
        value = json.loads(serialized_data)
        if isinstance(value, dict) and value.keys() == {_ERROR}:
            name, message = value[_ERROR]
            return StepFailed(str(name), str(message))
        return value


def _refuse_pickle(*_: object) -> NoReturn:
    raise EngineUnavailable("a row of the engine is pickled; it was not written by us")


def close_pickle() -> None:
    """Make the engine unable to read or write pickle in this process (rule 1)."""
    engine_serialization.DefaultSerializer.serialize = _refuse_pickle  # type: ignore[method-assign, assignment]
    engine_serialization.DefaultSerializer.deserialize = _refuse_pickle  # type: ignore[method-assign, assignment]


class _Connection(sqlite3.Connection):
    """A connection of the engine's own pool."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401  as the base has it
        super().__init__(*args, **kwargs)
        self.execute("PRAGMA synchronous=NORMAL")


@contextmanager
def _door() -> Iterator[None]:
    """Map what the engine raises to our word for it."""
    try:
        yield
    except (DBOSException, SQLAlchemyError, sqlite3.Error) as error:
        raise EngineUnavailable(f"the workflow engine: {error}") from error


class DbosTask:
    """`port.Task` on the work that is current in this context."""

    def __init__(self, engine: "DbosEngine", work: str) -> None:
        self.id = work
        self._engine = engine

    async def step(self, name: str, act: Callable[..., Json], *args: Json) -> Json:
        """See `port.Task.step`."""

        async def awaited() -> Json:
            try:
                answer = await act(*args)
            except Exception as error:
                raise StepFailed(type(error).__name__, str(error)) from error
            await to_thread(self._engine.progressed, self.id)
            return answer

        def called() -> Json:
            try:
                answer = act(*args)
            except Exception as error:
                raise StepFailed(type(error).__name__, str(error)) from error
            self._engine.progressed(self.id)
            return answer

        if iscoroutinefunction(act):
            return await DBOS.run_step_async({"name": name, "preemptible": True}, awaited)
        return await DBOS.run_step_async({"name": name}, called)

    async def wait_signal(self, topic: str, until: int) -> Json:
        """See `port.Task.wait_signal`."""
        wait = max(0, until - self._engine.clock())
        return await DBOS.recv_async(topic, timeout_seconds=wait)

    async def sleep_until(self, until: int) -> None:
        """See `port.Task.sleep_until`."""
        await DBOS.sleep_async(max(0, until - self._engine.clock()))

    async def enqueue(self, queue: str, work: str, name: str, *args: Json) -> None:
        """See `port.Task.enqueue`."""
        with SetWorkflowID(work):
            await DBOS.enqueue_workflow_async(queue, self._engine.body(name), *args)

    async def result(self, work: str) -> Json:
        """See `port.Task.result`."""
        try:
            return await DBOS.get_result_async(work)
        except StepFailed:
            raise
        except Exception as error:
            raise StepFailed(type(error).__name__, str(error)) from error


class DbosEngine:
    """`port.Engine` on DBOS; one in a process.

    Args:
        directory: holds the engine's files; created 0700.
        clock: POSIX seconds.
        elapsed: seconds that also pass while the process is frozen.
        on_lost: ends the process when its lease is lost.
    """

    def __init__(
        self,
        directory: Path,
        clock: Callable[[], int],
        elapsed: Callable[[], float],
        on_lost: Callable[[], None] = stop_process,
    ) -> None:
        self.directory = directory
        self.clock = clock
        self.worker = secrets.token_hex(16)
        self._elapsed = elapsed
        self._on_lost = on_lost
        self._bodies: dict[str, Callable[..., Any]] = {}
        self._queues: dict[str, int] = {}
        self._moved: set[str] = set()
        self._launched = False
        self._lease: Lease | None = None
        self._keeper: Keeper | None = None

    def register(self, name: str, body: Body) -> None:
        """See `port.Engine.register`."""
        assert not self._launched
        assert name not in self._bodies

        async def run(*args: Json) -> Json:
            assert DBOS.workflow_id is not None
            return await body(DbosTask(self, DBOS.workflow_id), *args)

        self._bodies[name] = DBOS.workflow(name=name, max_recovery_attempts=ATTEMPTS)(run)

    def body(self, name: str) -> Callable[..., Any]:
        """Give a registered body as the engine knows it."""
        assert name in self._bodies, name
        return self._bodies[name]

    def queue(self, name: str, at_once: int) -> None:
        """See `port.Engine.queue`."""
        assert not self._launched
        self._queues[name] = at_once

    def launch(self) -> None:
        """See `port.Engine.launch`."""
        assert not self._launched
        with _door():
            self._prepare()
            self._lease = Lease(self.directory / "workers", self.worker)
            self._keeper = Keeper(self._lease, self._elapsed, self._on_lost, self._adopt)
            self._keeper.start()
            close_pickle()
            # The environment must not be able to connect us to the vendor's plane.
            GlobalParams.dbos_cloud = False
            logging.getLogger("dbos").addHandler(logging.NullHandler())
            logging.getLogger("dbos").propagate = False
            inner = DBOS(config=self._config())
            # Adopted work passes through the internal queue, whose pace has no public setting.
            inner._registry.get_internal_queue()._polling_interval_sec = QUEUE_POLL  # noqa: SLF001
            DBOS.launch()
            DBOS.register_queue(START, polling_interval_sec=QUEUE_POLL)
            for name, at_once in self._queues.items():
                DBOS.register_queue(
                    name, global_concurrency=at_once, polling_interval_sec=QUEUE_POLL
                )
            self._launched = True
            self._adopt(self._lease.alive())

    def _prepare(self) -> None:
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.directory / FILE
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))
        with closing(sqlite3.connect(path)) as database:
            database.execute("PRAGMA journal_mode=WAL")

    def _config(self) -> DBOSConfig:
        return {
            "name": "answerable",
            "system_database_url": f"sqlite:///{(self.directory / FILE).absolute()}",
            "db_engine_kwargs": {"connect_args": {"factory": _Connection}},
            "serializer": JsonSerializer(),
            "executor_id": self.worker,
            "application_version": VERSION,
            "notification_listener_polling_interval_sec": SIGNAL_POLL,
            "enable_otlp": False,
            "log_level": "CRITICAL",
        }

    def _adopt(self, living: frozenset[str]) -> None:
        """Hand the running work of everybody who is not alive to the queues."""
        if not self._launched:
            return
        with _door():
            running = DBOS.list_workflows(
                status="PENDING", load_input=False, load_output=False, limit=LISTED
            )
            dead = sorted({w.executor_id for w in running if w.executor_id} - living)
            if dead:
                # The public `resume_workflow` forgets attempts and does not check who owns a row.
                DBOS._recover_pending_workflows(dead)  # noqa: SLF001

    def progressed(self, work: str) -> None:
        """Note that work got somewhere in this process: forget its failed recoveries (rule 4)."""
        if work in self._moved:
            return
        self._moved.add(work)
        with closing(sqlite3.connect(self.directory / FILE, timeout=30)) as database, database:
            database.execute(
                "UPDATE workflow_status SET recovery_attempts = 1 WHERE workflow_uuid = ?"
                " AND recovery_attempts > 1 AND executor_id = ?",
                (work, self.worker),
            )

    def close(self) -> None:
        """See `port.Engine.close`."""
        assert self._lease is not None
        assert self._keeper is not None
        self._launched = False
        DBOS.destroy(destroy_registry=True)
        self._keeper.stop()
        self._lease.release()

    def start(self, work: str, name: str, *args: Json) -> None:
        """See `port.Engine.start`."""
        # The engine's own start blocks a thread a piece of work, and records a failure if the
        # process closes in an orderly way meanwhile.
        self.enqueue(START, work, name, *args)

    def enqueue(self, queue: str, work: str, name: str, *args: Json, priority: int = 1) -> None:
        """See `port.Engine.enqueue`."""
        with _door(), SetWorkflowID(work), SetEnqueueOptions(priority=priority):
            DBOS.enqueue_workflow(queue, self.body(name), *args)

    def signal(self, work: str, topic: str, payload: Json, key: str) -> None:
        """See `port.Engine.signal`."""
        with _door():
            DBOS.send(work, payload, topic, idempotency_key=f"{work}/{topic}/{key}")

    def cancel_tree(self, work: str) -> None:
        """See `port.Engine.cancel_tree`."""
        with _door():
            DBOS.cancel_workflow(work, cancel_children=True)

    def find(self, prefix: str) -> list[Work]:
        """See `port.Engine.find`."""
        with _door():
            rows = DBOS.list_workflows(workflow_id_prefix=prefix, load_input=False, limit=LISTED)
        return [_work(row) for row in rows]

    def status(self, work: str) -> Work | None:
        """See `port.Engine.status`."""
        with _door():
            rows = DBOS.list_workflows(workflow_ids=[work], load_input=False)
        return _work(rows[0]) if rows else None

    def steps(self, work: str) -> list[Step]:
        """See `port.Engine.steps`."""
        with _door():
            rows = DBOS.list_workflow_steps(work)
        return [
            Step(str(row["function_name"]), row["output"], str(row["error"] or "")) for row in rows
        ]


def _work(row: WorkflowStatus) -> Work:
    state = _STATES.get(row.status, "failed")
    # The engine writes into a queued row who enqueued it.
    worker = "" if state == "queued" else row.executor_id or ""
    return Work(
        row.workflow_id, row.name, state, worker, (row.created_at or 0) // 1000,
        (row.completed_at or 0) // 1000, str(row.error or ""),
    )  # fmt: skip
