"""A herald in a simulated fleet: real register and kernel; channels, log and plans by hand."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TypeVar

from answerable.kernel.canon import Json, encode
from answerable.kernel.errors import Unavailable
from answerable.kernel.fold import State
from answerable.notice.channel import Address, FakeChannel
from answerable.notice.herald import Book, Herald, World
from answerable.notice.register import Register
from tests.simulator import RINGS, Simulator
from tests.simulator.keys import signer

T = TypeVar("T")
PEOPLE = ("dana", "lee", "kim", "mo")


def nothing(_: Json) -> None:
    """Leave a value as it is."""


class Away(Unavailable):
    """The other end is away."""


@dataclass
class Parish:
    """A fleet, one herald, and everything that it reaches."""

    folder: Path
    sim: Simulator = field(default_factory=Simulator)
    plans: dict[str, bytes] = field(default_factory=dict)
    fake: FakeChannel = field(default_factory=FakeChannel)
    added: list[bytes] = field(default_factory=list)
    refusal: str = ""
    silent: bool = False
    killed_before: str = ""
    book: Book = field(default_factory=lambda: {p: [Address("fake", f"{p}@x")] for p in PEOPLE})

    def look(self, ask: Callable[[State], T]) -> T:
        """See `herald.Followed`."""
        return ask(self.sim.state)

    def get(self, digest: str) -> bytes:
        """See `herald.Plans`."""
        if digest not in self.plans:
            raise Away("404")
        return self.plans[digest]

    def add(self, entry: bytes) -> str:
        """See `herald.Log`."""
        if self.silent:
            raise Away("no log")
        if entry in self.added:
            return "duplicate"
        if self.refusal:
            return self.refusal
        self.added.append(entry)
        return ""

    def herald(self, guard: str = "g1") -> Herald:
        """Start the herald, again if it ran."""
        world = World(self, self, self, {"fake": self.fake}, lambda: self.sim.now)
        register = Register(self.folder / "herald.db")
        return Herald(register, guard, signer(f"{guard}.example/herald"), self.book, world)

    def log(self) -> None:
        """Let the log take in what was added."""
        for entry in self.added:
            self.sim.append(entry)

    def plan(
        self, rings: Sequence[Sequence[str]] = RINGS, order: Callable[[Json], object] = nothing,
        plan: Callable[[Json], object] = nothing,
    ) -> Json:  # fmt: skip
        """Make a plan document of the simulator's orders."""
        hosts = [host for ring in rings for host in ring]
        body = {
            "author": "planner1", "basis": "authorization", "clause": "urgent",
            "escalated": [{"host": "pci1", "reason": "excluded zone"}],
            "exposures": [
                {"host": host, "zones": self.sim.records[host]["zones"], "cves": ["CVE-2026-0001"]}
                for host in hosts
            ],
            "fleet": self.sim.fleet, "releases": [self.sim.released],
            "rings": self.sim.orders(rings, order), "title": "openssl of today",
        }  # fmt: skip
        plan(body)
        return body

    def notice(
        self, body: Json | None = None, edit: Callable[[Json], None] = nothing, *,
        serve: bool = True,
    ) -> str:  # fmt: skip
        """Log the notice of a plan, edited before it is signed; give its leaf hash."""
        body = body or self.plan()
        data = encode(body).encode()
        said = self.sim.notice_body(body["rings"])
        zones = {z for row in body["exposures"] for z in row["zones"]}
        said |= {"plan": sha256(data).hexdigest(), "zones": sorted(zones)}
        edit(said)
        if serve:
            self.plans[said["plan"]] = data
        return self.sim.notice(said)

    def told(self) -> set[str]:
        """Name the people whose channel took something."""
        return {address.partition("@")[0] for address, _ in self.fake.taken}


def details(herald: Herald) -> str:
    """Give a herald's findings as one text."""
    return "\n".join(detail for _, _, detail in herald.register.findings())
