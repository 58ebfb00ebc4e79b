"""The real log server and four real guards over sockets: they need each other and nothing else."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette

from answerable.kernel.canon import Json
from answerable.kernel.checkpoint import Cosigned, cosigned
from answerable.kernel.errors import Refused
from answerable.kernel.fold import State
from answerable.kernel.note import ED25519
from answerable.ledger.admission import AuthorityGate, ReportGate
from answerable.ledger.app import make_app
from answerable.ledger.enrolments import Enrolments
from answerable.ledger.log import Log
from answerable.ledger.publish import Publisher, Schedule
from answerable.ledger.sqlite import SqliteStore
from answerable.witness.app import guard_app
from answerable.witness.guard import Guard, World
from answerable.witness.http_log import HttpLog
from answerable.witness.http_peer import HttpPeer
from answerable.witness.mirror import log_name
from answerable.witness.post import objection, read_receipt
from answerable.witness.wire import Settings
from tests.fakes.guards import REPORT, keys_of
from tests.simulator import Simulator
from tests.simulator.constitution import GUARDS
from tests.simulator.keys import pair
from tests.witness.test_app import Pages, attest, until


def bound() -> socket.socket:
    """Take a free port on loopback."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock


def url(sock: socket.socket) -> str:
    """Give a port's address."""
    return f"http://127.0.0.1:{sock.getsockname()[1]}"


@contextmanager
def served(app: Starlette, sock: socket.socket) -> Iterator[None]:
    """Serve an application on a port."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
    thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive())
    try:
        yield
    finally:
        server.should_exit = True
        thread.join(30)


class Land:
    """A log server and four guards, each on a port of its own."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Start them all."""
        ports = {name: bound() for name in (*GUARDS, "log")}
        self.sim = Simulator(charter=lambda body: _addresses(body, ports))
        self.log_url = url(ports["log"])
        self.client = stack.enter_context(httpx.Client(timeout=10))
        self.guards = {name: self._guard(folder, name) for name in GUARDS}
        for name, guard in self.guards.items():
            stack.callback(guard.close)
            app = guard_app(guard, self.clock, Pages(), attest)
            stack.enter_context(served(app, ports[name]))
        stack.enter_context(served(self._log_server(folder, stack), ports["log"]))

    def clock(self) -> int:
        """Give the one clock of everybody here."""
        return self.sim.now

    def _guard(self, folder: Path, name: str) -> Guard:
        logs = {n: HttpLog(self.client, f"{self.log_url}/{n}") for n in ("authority", "report")}
        world = World(logs, lambda at: HttpPeer(self.client, at), self.clock)
        settings = Settings(rate=10_000, burst=10_000)
        charter = self.sim.history[0][1]
        return Guard(folder / f"{name}.db", name, charter, keys_of(name), world, settings)

    def _log_server(self, folder: Path, stack: ExitStack) -> Starlette:
        logs = {}
        for name, origin in (("authority", self.sim.origin), ("report", REPORT)):
            store = SqliteStore(folder / f"{name}.db")
            logs[name] = Log(store, origin, pair(origin, ED25519), self.clock)
            stack.callback(store.close)
            stack.callback(logs[name].close)
        gate = AuthorityGate(logs["authority"], self.sim.fleet, self.clock)
        gate.submit([entry for _, entry in self.sim.history]).index.result()
        report = ReportGate(logs["report"], gate, Enrolments(folder / "hosts.db"), self.clock)
        client, pace = httpx.AsyncClient(timeout=10), Schedule(renewal=0.2, again=0.1)
        publishers = {
            name: Publisher(log, gate.law, client, self.clock, pace) for name, log in logs.items()
        }
        return make_app(gate, report, publishers)

    def published(self) -> Cosigned | None:
        """Give the authority log's published checkpoint, if a quorum cosigned one."""
        answer = self.client.get(f"{self.log_url}/authority/checkpoint")
        law = self.sim.state.law()
        if answer.status_code != 200:
            return None
        return cosigned(answer.content, law.origin, law.guards["witness"], law.quorum)

    def reaches(self, size: int) -> Callable[[], bool]:
        """Tell whether a quorum has cosigned that many records."""

        def reached() -> bool:
            now = self.published()
            return now is not None and now.checkpoint.size >= size

        return reached

    def veto(self) -> bytes:
        """Let Lee sign a veto."""
        body = {"notice": "", "undo": False, "authorization": "", "reason": "", "artefacts": [],
                "targets": ["debian:12/openssl@3"]}  # fmt: skip
        return self.sim.write("veto", body, "lee")


def _addresses(body: Json, ports: dict[str, socket.socket]) -> None:
    for name, guard in body["guards"].items():
        guard["url"] = url(ports[name])


@pytest.fixture
def land(tmp_path: Path) -> Iterator[Land]:
    """Everybody, running."""
    with ExitStack() as stack:
        yield Land(tmp_path, stack)


def test_log_and_guards_agree_and_a_veto_reaches_all(land: Land) -> None:
    """Heads get a quorum, guards hold the log's own state, and a veto needs one guard to arrive."""
    size, guards = land.sim.state.tree.size, list(land.guards.values())
    until(land.reaches(size))
    until(lambda: {g.follower.look(State.digest) for g in guards} == {land.sim.state.digest()})
    entry, law = land.veto(), land.sim.state.law()
    said = objection(entry, law, land.sim.fleet)[0].id
    answer = land.client.post(f"{law.body['guards']['g2']['url']}/veto", content=entry)
    assert read_receipt(answer.content, keys_of("g2").herald.key, land.sim.fleet, said)
    until(land.reaches(size + 1))
    held = "SELECT count(*) FROM held"
    until(lambda: all(said in g.follower.look(lambda s: set(s.vetoes)) for g in guards))
    for guard in guards:
        guard.chores()
        with guard.store.read() as db:
            assert db.execute(held).fetchone() <= (1,)
    mirrored = f"{law.body['guards']['g3']['url']}/mirror/{log_name(law.origin)}/checkpoint"
    assert land.client.get(mirrored).content.startswith(law.origin.encode())
    land.sim.now += 60
    until(lambda: (land.published() or _never()).past == land.sim.now)


def _never() -> Cosigned:
    raise Refused("no_quorum", "a published checkpoint was taken away")
