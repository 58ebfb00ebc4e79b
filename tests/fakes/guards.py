"""Real guards over a simulated fleet: real databases, real keys, real clients, a clock by hand."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from answerable.kernel.note import COSIGNATURE
from answerable.witness.guard import Guard, Keys, World
from answerable.witness.http_peer import HttpPeer
from answerable.witness.post import Peer
from answerable.witness.wire import Answer, Settings
from tests.fakes.tiled_log import TiledLog
from tests.simulator import Simulator
from tests.simulator.constitution import GUARDS
from tests.simulator.keys import pair, signer

REPORT = "log.example/report"


def keys_of(guard: str) -> Keys:
    """Give a simulated guard's keys."""
    return Keys(
        witness=pair(f"{guard}.example/witness", COSIGNATURE),
        post=pair(f"{guard}.example/post", COSIGNATURE),
        herald=signer(f"{guard}.example/herald"),
    )


@dataclass
class Town:
    """A fleet, its two logs, and guards that reach them and each other."""

    folder: Path
    sim: Simulator = field(default_factory=Simulator)
    settings: Settings = field(default_factory=Settings)
    guards: dict[str, Guard] = field(default_factory=dict)
    away: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Take the fleet's records into the authority log."""
        self.authority = TiledLog(self.sim.origin, [e for logged, e in self.sim.history if logged])
        self.report = TiledLog(REPORT)

    def guard(self, name: str = "g1", log: TiledLog | None = None) -> Guard:
        """Start a guard, again if it runs; `log` is what it is shown as the authority log."""
        if name in self.guards:
            self.guards.pop(name).close()
        logs = {"authority": (log or self.authority).reach(), "report": self.report.reach()}
        world = World(logs, self._peer, lambda: self.sim.now)
        path, charter = self.folder / name / "guard.db", self.sim.history[0][1]
        guard = Guard(path, name, charter, keys_of(name), world, self.settings)
        self.guards[name] = guard
        return guard

    def everybody(self) -> list[Guard]:
        """Start all four."""
        return [self.guard(name) for name in GUARDS]

    def offer(self, guard: Guard, log: TiledLog | None = None, size: int | None = None) -> Answer:
        """Offer a head of a log to a guard, as an honest log server does."""
        log = log or self.authority
        old = guard.store.head(log.origin).size
        return guard.witness.add_checkpoint(log.ask(old, size))

    def say(self, *entries: bytes) -> None:
        """Append records to the authority log, whatever they are."""
        self.authority.entries.extend(entries)

    def told(self, entries: Iterable[tuple[bool, bytes]]) -> None:
        """Append what the simulator has said since."""
        self.say(*(entry for logged, entry in entries if logged))

    def veto(self, who: str = "lee", **body: object) -> bytes:
        """Let a person sign a veto."""
        said = {"notice": "", "undo": False, "authorization": "", "reason": "", "artefacts": [],
                "targets": ["debian:12/openssl@3.0.17-1~deb12u2"], **body}  # fmt: skip
        return self.sim.write("veto", said, who)

    def _peer(self, url: str) -> Peer:
        name = url.removeprefix("https://").removesuffix(".example")

        def answer(request: httpx.Request) -> httpx.Response:
            assert request.url.path == "/veto"
            if name in self.away or name not in self.guards:
                raise httpx.ConnectError("no route")
            given = self.guards[name].veto(request.content)
            return httpx.Response(given.status, content=iter([given.body]))

        return HttpPeer(httpx.Client(transport=httpx.MockTransport(answer)), url)
