"""A village: the real log server's app and real guards behind one HTTP client, time by hand.

`https://log.example` is both logs of a simulated fleet, whose heads four guards cosign;
`https://g1.example` to `g4` answer vetoes as real guards do. What a thief on the way would change
is a function in `meddle`, by URL.
"""

import base64
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.testclient import TestClient

from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused
from answerable.keys.sign import Signer
from answerable.ledger.app import make_app
from answerable.ledger.batch import frame
from answerable.ledger.publish import Publisher, Schedule
from answerable.witness.guard import Guard, World
from tests.fakes.guards import keys_of
from tests.fakes.ledger_guards import Guards
from tests.fakes.tiled_log import TiledLog
from tests.ledger.fleet import REPORT_ORIGIN, Fleet, founded
from tests.simulator.constitution import GUARDS
from tests.simulator.keys import seed
from tests.simulator.world import Simulator, nothing

LOG = "https://log.example"
Meddle = Callable[[httpx.Response], httpx.Response]
Answerer = Callable[[httpx.Request], httpx.Response]


@dataclass
class Village:
    """A fleet, its log server, its guards, and the way to all of them."""

    folder: Path
    fleet: Fleet
    server: TestClient
    guards: dict[str, Guard]
    meddle: dict[str, Meddle] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)
    attest: Answerer | None = None
    asked: list[str] = field(default_factory=list)

    @property
    def sim(self) -> Simulator:
        """Who signs, and what the authority log should say."""
        return self.fleet.sim

    @property
    def charter(self) -> bytes:
        """The note of charter 1."""
        return self.sim.history[0][1]

    def client(self) -> httpx.Client:
        """Give a client that reaches the village and nothing else."""
        return httpx.Client(transport=httpx.MockTransport(self._route))

    def say(self, log: str, *entries: bytes) -> None:
        """Append to a log over HTTP, and wait until a quorum has cosigned it."""
        answer = self.server.post(f"/{log}/add", content=frame(list(entries)))
        assert answer.status_code == 200, answer.text
        self.published()

    def published(self) -> None:
        """Wait until the newest head of both logs is cosigned."""
        for name, gate in (("authority", self.fleet.authority), ("report", self.fleet.report)):
            size = gate.log.head().checkpoint.size
            for _ in range(20_000):
                answer = self.server.get(f"/{name}/checkpoint")
                if answer.status_code == 200 and int(answer.text.split("\n")[1]) >= size:
                    break
            else:
                raise AssertionError(f"`{name}` is never cosigned at {size}")

    def follow(self, kind: str, body: Json, *by: str) -> str:
        """Let people or machines say something in log and simulator alike; give its id."""
        entry = self.sim.write(kind, body, *by)
        said = self.sim.must(entry)
        self.say("authority", entry)
        return said

    def ssh_key(self, person: str) -> Path:
        """Write the private key file of a simulated person, as `ssh-keygen` keeps it."""
        path = self.folder / person
        private = Ed25519PrivateKey.from_private_bytes(seed(f"{person}/ssh/1"))
        path.touch(mode=0o600)
        path.write_bytes(private.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption()))
        return path

    def machine_key(self, path: Path, signer: Signer, secret: str) -> None:
        """Write the key file of a simulated machine, whose seed is that of a name."""
        blob = base64.b64encode(bytes([signer.key.kind]) + seed(secret)).decode()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"PRIVATE+KEY+{signer.key.name}+{signer.key.id.hex()}+{blob}\n")

    def _route(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.method} {request.url}")
        given = self._answer(request)
        change = self.meddle.get(str(request.url).split("?")[0])
        whole = change(given) if change else given
        # Not read yet, so that a client may stream it.
        return httpx.Response(whole.status_code, content=iter([whole.read()]))

    def _answer(self, request: httpx.Request) -> httpx.Response:
        name, path = request.url.host.removesuffix(".example"), request.url.path
        if name in self.away:
            raise httpx.ConnectError("no route to host")
        if name == "log":
            got = self.server.request(request.method, path, content=request.content)
            return httpx.Response(got.status_code, content=iter([got.content]))
        if path == "/attest" and self.attest:
            return self.attest(request)
        assert path == "/veto", path
        given = self.guards[name].veto(request.content)
        return httpx.Response(given.status, content=iter([given.body]))


@contextmanager
def village(folder: Path, charter: Callable[[Json], Any] = nothing) -> Iterator[Village]:
    """Found a fleet and serve it."""
    fleet = founded(folder, charter)
    pushed = {"authority": Guards(fleet.sim.origin), "report": Guards(REPORT_ORIGIN)}
    publishers = {
        name: Publisher(gate.log, fleet.authority.law, pushed[name].client(), fleet.clock,
                        Schedule(renewal=1_000, floor=0))
        for name, gate in (("authority", fleet.authority), ("report", fleet.report))
    }  # fmt: skip
    unread = TiledLog(fleet.sim.origin)
    world = World({"authority": unread.reach()}, _nobody, fleet.clock)
    note = fleet.sim.history[0][1]
    guards = {
        name: Guard(folder / name / "guard.db", name, note, keys_of(name), world)
        for name in GUARDS
    }  # fmt: skip
    with TestClient(make_app(fleet.authority, fleet.report, publishers)) as server:
        made = Village(folder, fleet, server, guards)
        made.published()
        yield made
    for guard in guards.values():
        guard.close()
    fleet.close()


def _nobody(url: str) -> Any:  # noqa: ANN401  never called
    raise AssertionError(url)


def served(data: bytes, status: int = 200) -> httpx.Response:
    """Give an answer of a thief's own."""
    return httpx.Response(status, content=iter([data]))


def reason(error: Exception) -> str:
    """Give the reason word of a refusal, also of one that caused another error."""
    found = error if isinstance(error, Refused) else error.__cause__
    assert isinstance(found, Refused), error
    return found.reason
