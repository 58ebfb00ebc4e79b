"""A played fleet with a report log, real folders as hosts, and observers that look at them.

The simulator's authority log and a report log beside it are served as C2SP tiles from memory, with
checkpoints that all guards cosign at `sim.now`. Hosts are dpkg status files in a folder and a
health word in a table.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from answerable.kernel.canon import Json, decode, encode
from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.errors import Refused, demand
from answerable.kernel.merkle import HASH, Tree, leaf_hash
from answerable.kernel.statement import open_statement
from answerable.ledger.client import LedgerMissing
from answerable.ledger.frontier import RISE, WIDTH
from answerable.ledger.reports import REPORT
from answerable.ledger.store import LedgerUnavailable
from answerable.ledger.tiles import ENTRIES, pack_bundle, parse_tile
from answerable.observe.containers import held
from answerable.observe.files import Compared
from answerable.observe.look import Place, Sight, dpkg
from answerable.observe.memory import Memory
from answerable.observe.observer import Observer, Ports, Rounds, Watched
from answerable.observe.plans import Planned, PlanWithheld, read_plan
from answerable.observe.posture import posture
from answerable.observe.reconcile import images
from tests.simulator import DAY, GUARDS, NEW, OLD, RINGS, Simulator
from tests.simulator.keys import signer
from tests.simulator.log import cosigned_note

REPORTS = "log.example/report"
NEVER = Rounds(1 << 40)
"""No reconciliation."""


@dataclass
class Served:
    """A log in memory, served as tiles; `away` makes it unreachable."""

    sim: Simulator
    origin: str
    entries: list[bytes] = field(default_factory=list)
    away: bool = False
    guards: Sequence[str] = GUARDS
    """Who cosigns."""

    def tree(self) -> Tree:
        """The tree of all entries."""
        return Tree(map(leaf_hash, self.entries))

    def checkpoint(self, size: int | None = None, time: int | None = None) -> bytes:
        """Give a checkpoint that the guards cosigned."""
        tree, size = self.tree(), len(self.entries) if size is None else size
        at = Checkpoint(self.origin, size, tree.root(size))
        times = dict.fromkeys(self.guards, self.sim.now if time is None else time)
        return cosigned_note(at, "witness", times, log=self.origin)

    def read(self, path: str, limit: int) -> bytes:
        """See `ledger.client.Source`."""
        if self.away:
            raise LedgerUnavailable("the log is away")
        if path == "checkpoint":
            return self.checkpoint()
        name = parse_tile(path)
        start, end = name.index * WIDTH, name.index * WIDTH + name.width
        if end > len(self.entries) >> RISE * max(name.level, 0):
            raise LedgerMissing(path)
        if name.level == ENTRIES:
            return pack_bundle(self.entries[start:end])
        return bytes(self.tree().levels[RISE * name.level][start * HASH : end * HASH])


class Stage:
    """One played plan, its hosts on disk, and what hosts report."""

    def __init__(self, folder: Path, rings: Sequence[Sequence[str]] = RINGS, **play: Json) -> None:
        """Found, plan and notice; every host has the old versions and is well."""
        self.sim, self.folder, self.rings = Simulator(**play.pop("sim", {})), folder, rings
        self.authority = Served(self.sim, self.sim.origin)
        self.report = Served(self.sim, REPORTS)
        self.sick: dict[str, str] = {}
        self.tampered: dict[str, tuple[str, ...]] = {}
        self.seqs: dict[str, int] = {}
        self.plans: dict[str, bytes] = {}
        self.kept: dict[str, str] = {}
        self.orders: dict[str, tuple[str, Json]] = {}
        for host in self.sim.members:
            self.install(host, OLD)
        self.notice = self.play(**play)

    def play(self, **knobs: Json) -> str:
        """Play a plan and keep its document; give the notice's leaf."""
        rings, edit = knobs.pop("rings", self.rings), knobs.pop("edit", lambda _: None)
        knob = knobs.pop("notice", lambda _: None)

        def notice(body: Json) -> None:
            knob(body)
            texts = self.sim.orders(rings, edit)
            document = encode(self.document(texts, body)).encode()
            body["plan"] = sha256(document).hexdigest()
            self.plans[body["plan"]] = document

        host = rings[0][0]
        order = self.sim.play(host, rings=rings, edit=edit, notice=notice, **knobs)
        leaf = order.notice
        self.kept[leaf] = order.checkpoint
        for ring in self.sim.plans[leaf]:
            for text in ring:
                body = decode(text.encode(), 1 << 20)
                self.orders[body["host"]] = (sha256(text.encode()).hexdigest(), body)
        self.settle()
        return leaf

    def document(self, rings: list[list[str]], notice: Json) -> Json:
        """Spell the plan's document."""
        hosts = [decode(t.encode(), 1 << 20)["host"] for ring in rings for t in ring]
        zones = {h: self.sim.records[h]["zones"] for h in hosts if h in self.sim.records}
        exposures = [{"host": h, "zones": z} for h, z in sorted(zones.items())]
        notice["zones"] = sorted({zone for of in zones.values() for zone in of})
        same = {k: notice[k] for k in ("author", "basis", "clause", "releases")}
        return {**same, "escalated": [{"host": "legacy1", "reason": "excluded zone"}],
                "exposures": exposures, "fleet": self.sim.fleet, "rings": rings,
                "title": "fix libssl3"}  # fmt: skip

    def settle(self) -> None:
        """Serve what the simulator's log has."""
        self.authority.entries = [entry for logged, entry in self.sim.history if logged]

    # --- hosts ----------------------------------------------------

    def install(self, host: str, version: str) -> None:
        """Write a host's dpkg status file."""
        file = self.folder / host / "var/lib/dpkg/status"
        file.parent.mkdir(parents=True, exist_ok=True)
        stanza = "Package: {}\nStatus: install ok installed\nVersion: {}\n"
        file.write_text("\n".join(stanza.format(p, version) for p in ("libssl3", "openssl")))

    def say(self, host: str, change: str, result: str = "succeeded", **more: Json) -> bytes:
        """Let a host report one change."""
        order, body = self.orders[host]
        about = next(c for c in body["changes"] + body["undo"] if c["id"] == change)
        self.seqs[host] = self.seqs.get(host, 0) + 1
        told = {
            "notice": self.notice, "order": order, "change": change, "host": host,
            "type": about["type"], "result": result, "reason": "", "detail": "", "caused_by": "",
            "observed": {}, "seq": self.seqs[host], "started": self.sim.now, "ended": self.sim.now,
        }  # fmt: skip
        by = more.pop("by", host)
        return self.log(self.sim.write("report", {**told, **more}, by, origin=REPORTS))

    def log(self, entry: bytes) -> bytes:
        """Append to the report log, unchecked."""
        self.report.entries.append(entry)
        return entry

    def done(self, *hosts: str) -> None:
        """Let hosts change themselves for real and say so."""
        for host in hosts:
            self.install(host, NEW)
            for change in ("up", "restart", "health"):
                self.say(host, change)

    # --- observers ------------------------------------------------

    def observer(self, name: str = "o1", rounds: Rounds = NEVER, **ports: Json) -> Observer:
        """Start an observer, or start it again."""
        law = self.sim.history[0][1]
        memory = Memory.load(self.folder / name / "observer.json")
        hosts = {
            host: Watched(Place(self.folder / host, "dpkg", host), member.enrolled)
            for host, member in self.sim.members.items()
        }
        given = {"authority": self.authority, "report": self.report, "plans": self.plan,
                 "look": self.look, "submit": self.submit,
                 "clock": lambda: self.sim.now,
                 "posture": lambda place: posture(place.root), "files": self.files,
                 "images": images, "held": lambda place: held(place.root)}  # fmt: skip
        return Observer(Ports(**{**given, **ports}), signer(name), law, hosts, memory, rounds)

    def plan(self, _: str, notice: Json) -> list[Planned]:
        """Give a plan, believed as from a server."""
        if notice["plan"] not in self.plans:
            raise PlanWithheld("nobody has it")
        return read_plan(notice, self.plans[notice["plan"]])

    def look(self, place: Place) -> Sight:
        """Look at a host's folder."""
        return Sight(dpkg(place.root), self.sick.get(place.health, ""))

    def files(self, place: Place, wanted: Mapping[str, str]) -> Compared:
        """Compare the files of packages on a host."""
        return Compared(len(wanted), self.tampered.get(place.health, ()))

    def submit(self, log: str, entry: bytes) -> None:
        """Take what an observer says."""
        if log == "report":
            owners = self.sim.state.law().owners
            said = open_statement(entry, REPORT, owners)
            demand(said.known and said.one("observer"), "not_admissible", "")
            demand(entry not in self.report.entries, "duplicate", "said before")
            self.log(entry)
            return
        verdict = self.sim.append(entry)
        self.settle()
        if isinstance(verdict, Refused):
            raise verdict

    def watch(self, *observers: Observer, times: int = 4) -> None:
        """Let observers look around some times, a second apart."""
        for _ in range(times):
            for observer in observers:
                observer.look_around()
            self.sim.now += 1

    def told(self, kind: str, by: str = "o1") -> list[Json]:
        """Give the bodies of what an observer said in the report log."""
        owners = self.sim.state.law().owners
        found = []
        for entry in self.report.entries:
            try:
                said = open_statement(entry, REPORT, owners)
            except Refused:
                continue
            if said.kind == kind and ("observer", by) in said.signers:
                found.append(said.body)
        return found

    def advances(self, notice: str = "") -> Json:
        """Give what observers said of the rings of a notice."""
        return self.sim.state.notices[notice or self.notice]["advances"]


__all__ = ["DAY", "NEW", "OLD", "REPORTS", "RINGS", "Served", "Stage"]
