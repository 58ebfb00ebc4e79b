"""What lies around one host, over real loopback HTTP: log, guards, control plane, and who lies.

A `HostWorld` serves a simulator: its log as C2SP tiles, its four guards (fresh heads, mirrors,
start states) with their memory of consume notes, and a control plane with bundles and artefacts.
Every knob is somebody's lie or outage: `frozen`, `dead`, `instead`, `deaf`. `asked` keeps what was
asked, `reports` what the host said.
"""

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from struct import pack
from typing import Any
from urllib.parse import parse_qs, urlsplit

from answerable.host.log.follow import SPAN
from answerable.kernel.canon import Json, encode
from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.errors import Refused
from answerable.kernel.fresh import read_consume
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.verify import Enrolled
from answerable.ledger.reports import open_report
from tests.simulator import GUARDS, Order, Simulator
from tests.simulator.keys import signer
from tests.simulator.log import cosigned_note

BAD, NO, ABSENT, BROKEN = 400, 403, 404, 503
Answer = tuple[int, bytes]


@dataclass
class HostWorld:
    """Everything that a host can reach. Times are the simulator's."""

    host: str = "web1"
    url: str = ""
    sim: Simulator = field(init=False)
    frozen: int | None = None
    """The log shows no head above this size."""
    dead: set[str] = field(default_factory=set)
    """Parties that answer 503: `log`, `report`, `control`, `g1`, .."""
    deaf: set[str] = field(default_factory=set)
    """Guards that do not keep consume notes."""
    behind: dict[str, int] = field(default_factory=dict)
    """Guards that stand at an earlier size."""
    instead: dict[str, bytes] = field(default_factory=dict)
    """Paths that are answered with something else."""
    asked: list[str] = field(default_factory=list)
    ranges: list[str] = field(default_factory=list)
    bundles: list[bytes] = field(default_factory=list)
    reports: dict[str, Json] = field(default_factory=dict)
    lasts: dict[str, bytes] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    before: Callable[[str], object] = lambda _: None
    """Called with each path that is asked for, before it is answered."""
    lock: Any = field(default_factory=threading.RLock)

    def found(self, **knobs: Json) -> None:
        """Found the fleet; the charter names this world's addresses."""
        edit = knobs.pop("charter", lambda _: None)

        def addressed(body: Json) -> None:
            for guard in body["guards"]:
                body["guards"][guard]["url"] = f"{self.url}/{guard}"
            edit(body)

        self.sim = Simulator(charter=addressed, **knobs)

    # --- what a test looks at or does -----------------------------------------------------------

    def hand_out(self, order: Order, **changes: Json) -> str:
        """Let the control plane list an order's bundle."""
        bundle = self.sim.bundle(order, **changes)
        self.bundles.append(bundle)
        return sha256(bundle).hexdigest()

    def said(self, change: str = "") -> list[tuple[str, str, str]]:
        """Give the host's reports by number: change, result, reason."""
        rows = sorted(self.reports.values(), key=lambda body: int(body["seq"]))
        return [
            (b["change"], b["result"], b["reason"]) for b in rows if change in ("", b["change"])
        ]

    @property
    def entries(self) -> list[bytes]:
        """The log's entries."""
        return [entry for logged, entry in self.sim.history if logged]

    def enrolled(self) -> Enrolled:
        """Give the proof of this host's record."""
        return self.sim.members[self.host].enrolled

    # --- answers --------------------------------------------------------------------------------

    def answer(self, method: str, target: str, body: bytes) -> Answer:
        """Answer one request."""
        with self.lock:
            at = urlsplit(target)
            self.asked.append(f"{method} {at.path}")
            self.before(at.path)
            party, _, rest = at.path.lstrip("/").partition("/")
            if party in self.dead or (party == "log" and rest.split("/")[0] in self.dead):
                return BROKEN, b""
            if at.path in self.instead:
                return 200, self.instead[at.path]
            if party == "log" and rest.startswith("report/"):
                return self._report(rest.removeprefix("report/"), body)
            if party == "log":
                return self._tiles(rest.removeprefix("authority/"), GUARDS, self.frozen)
            if party == "control":
                return self._control(rest)
            return self._guard(party, rest, body, parse_qs(at.query))

    def _tiles(self, path: str, guards: tuple[str, ...], most: int | None) -> Answer:
        entries = self.entries[:most]
        tree = Tree(map(leaf_hash, entries))
        if path == "checkpoint":
            at = Checkpoint(self.sim.origin, tree.size, tree.root())
            times = dict.fromkeys(guards, self.sim.now)
            return 200, cosigned_note(at, "witness", times, log=self.sim.origin)
        _, level, rest = path.split("/", 2)
        place, _, partial = rest.partition(".p/")
        number, width = int(place.replace("x", "").replace("/", "")), int(partial or SPAN)
        rows = entries[number * SPAN : number * SPAN + width]
        if len(rows) < width:
            return ABSENT, b""
        if level == "entries":
            return 200, b"".join(pack(">H", len(e)) + e for e in rows)
        return 200, b"".join(map(leaf_hash, rows))

    def _guard(self, guard: str, path: str, body: bytes, query: dict[str, list[str]]) -> Answer:
        if path.startswith("mirror/"):
            return self._tiles(path.split("/", 2)[2], (guard,), self.behind.get(guard))
        state = self.sim.state_at(self.behind[guard]) if guard in self.behind else self.sim.state
        if path == "start":
            reply = self.sim.reply(guard, query["host"][0], query["nonce"][0], state=state)
            leaves = base64.b64encode(bytes(state.tree.levels[0])).decode()
            start = {"leaves": leaves, "reply": reply.decode(), "tables": state.tables}
            return 200, json.dumps(start).encode()
        given = json.loads(body)
        if f"{guard}/{given['host']}" not in self.known and "record" not in given:
            return NO, encode({"detail": "send it", "reason": "not_enrolled"}).encode()
        self.known.add(f"{guard}/{given['host']}")
        last = self._keep(guard, given["host"], given["consume"].encode())
        return 200, self.sim.reply(guard, given["host"], given["nonce"], state=state, last=last)

    def _keep(self, guard: str, host: str, note: bytes) -> bytes:
        name, key = f"{guard}/{host}", signer(host).key
        kept = self.lasts.get(name, b"")
        if note and guard not in self.deaf:
            seq = read_consume(note, self.sim.fleet, key)[0]
            if not kept or seq > read_consume(kept, self.sim.fleet, key)[0]:
                self.lasts[name] = note
        return self.lasts.get(name, b"")

    def _report(self, path: str, body: bytes) -> Answer:
        if path == "enrol":
            self.known.add("report")
            return 200, b"{}"
        if "report" not in self.known:
            return NO, encode({"detail": "who?", "reason": "bad_signature"}).encode()
        entry = body[4:]
        try:
            said = open_report(entry, {signer(self.host).key: ("host", self.host)})
        except Refused as refused:
            return NO, encode({"detail": refused.detail, "reason": refused.reason}).encode()
        if said.id in self.reports:
            return NO, encode({"detail": "again", "reason": "duplicate"}).encode()
        self.reports[said.id] = said.body
        return 200, encode({"count": 1, "index": len(self.reports) - 1}).encode()

    def _control(self, path: str) -> Answer:
        kind, _, name = path.partition("/")
        found = {sha256(b).hexdigest(): b for b in self.bundles}
        if kind == "bundles":
            return 200, json.dumps(list(found) if name == self.host else []).encode()
        if kind == "bundle":
            return (200, found[name]) if name in found else (ABSENT, b"")
        for package in ("libssl3", "openssl", "liblzma5", "curl", "evil"):
            for version in self.versions:
                data = b"\0" + f"{package}={version}".encode()
                if sha256(data).hexdigest() == name:
                    return 200, data
        return ABSENT, b""

    @property
    def versions(self) -> set[str]:
        """Every version whose bytes the control plane has."""
        facts = [json.loads(fact) for facts in self.sim.snapshots.values() for fact in facts]
        return {fact["version"] for fact in facts if fact["kind"] == "artefact"}


@contextmanager
def serving(
    host: str = "web1", address: str = "127.0.0.1", made: type[HostWorld] = HostWorld,
    **knobs: Json,
) -> Iterator[HostWorld]:  # fmt: skip
    """Serve a founded world on a port of an address until the block ends."""
    world = made(host)

    class Handler(BaseHTTPRequestHandler):
        protocol_version, disable_nagle_algorithm = "HTTP/1.1", True

        def _do(self) -> None:
            if "Range" in self.headers:
                world.ranges.append(self.headers["Range"])
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, data = world.answer(self.command, self.path, body)
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_GET = do_POST = _do  # noqa: N815  the names that http.server calls

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            """A host that is killed breaks its connections off."""

    with Server((address, 0), Handler) as server:
        world.url = f"http://{address}:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        world.found(**knobs)
        yield world
        server.shutdown()
        thread.join()
