"""The simulated fleet's two logs, with the gates before them and what its parties say."""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from itertools import count
from pathlib import Path

from answerable.kernel.canon import Json
from answerable.kernel.charter import Charter, Signatory
from answerable.kernel.note import ED25519, Key
from answerable.keys.sign import sign_note, signature_line, statement_text
from answerable.ledger.admission import AuthorityGate, ReportGate
from answerable.ledger.enrolments import Enrolments
from answerable.ledger.log import Log
from answerable.ledger.sqlite import SqliteStore
from tests.simulator.constitution import T0
from tests.simulator.constitution import charter as charter_body
from tests.simulator.keys import pair, signer, ssh_payload
from tests.simulator.world import Edit, Simulator, nothing

REPORT_ORIGIN = "log.example/report"
HASH = "ab" * 32
_nonces = count(1)

BODIES: Json = {
    "report": {
        "notice": HASH, "order": HASH, "change": "up", "host": "web1", "type": "upgrade",
        "reason": "", "detail": "", "caused_by": "", "seq": 1, "started": T0, "ended": T0 + 9,
        "result": "succeeded", "observed": {"libssl3": "3.0.17-1"},
    },
    "observation": {
        "notice": HASH, "order": HASH, "change": "up", "host": "web1", "saw": {"libssl3": "3.0.17"},
        "time": T0, "result": "succeeded",
    },
    "finding": {"kind": "drift", "subject": "web1", "detail": "", "time": T0},
    "outcome": {"notice": HASH, "state": "done", "detail": "", "time": T0},
    "decision": {
        "subject": "CVE-2026-0001", "state": "deferred", "owner": "dana", "reason": "later",
        "until": T0 + 99, "time": T0,
    },
    "drill": {"commitment": HASH, "reveal": "", "time": T0},
}  # fmt: skip
NAMES = {"host": "web1", "observer": "o1", "planner": "planner1", "person": "dana", "guard": "g1",
         "stranger": "mallory"}  # fmt: skip
OWNERS: dict[Key, Signatory] = {
    **Charter(charter_body(), HASH).owners,
    signer("web1").key: ("host", "web1"),
}


def said(
    kind: str,
    *who: str,
    body: Json = None,
    version: int = 1,
    by: Callable[[str], str] = lambda name: name,
    envelope: Json = None,
    **fields: Json,
) -> bytes:
    """Give an entry of the report log, signed by parties of these kinds (`NAMES`)."""
    given = {"charter": 1, "fleet": HASH, "origin": REPORT_ORIGIN,
             "nonce": f"{next(_nonces):032x}", **(envelope or {})}  # fmt: skip
    text = statement_text(kind, {**(body or BODIES[kind]), **fields}, **given)
    text = text.removesuffix("1}\n") + f"{version}}}\n"
    lines = ""
    for one in who:
        name = by(NAMES.get(one, one))
        if one == "person":
            key, payload = ssh_payload(name, text.encode(), f"answerable/{kind}/v{version}")
            lines += signature_line(key, payload)
        else:
            machine = signer(f"{name}.example/herald" if one == "guard" else name)
            lines += sign_note(text, machine).decode().rpartition("\n\n")[2]
    return (text + "\n" + lines).encode()


class Clock:
    """A time that moves when it is told to."""

    def __init__(self) -> None:
        """Start where the simulator does."""
        self.now = T0

    def __call__(self) -> int:
        """Give POSIX seconds."""
        return self.now


@dataclass
class Fleet:
    """Both logs of one founded fleet; `sim` signs, and knows what the authority log should say."""

    sim: Simulator
    clock: Clock
    authority: AuthorityGate
    report: ReportGate

    def report_entry(self, kind: str, *who: str, **fields: Json) -> bytes:
        """Give an entry of the report log for this fleet."""
        envelope = {"fleet": self.sim.fleet, **fields.pop("envelope", {})}
        return said(kind, *who, envelope=envelope, **fields)

    def enrol(self, *hosts: str) -> None:
        """Tell the report log of enrolled hosts."""
        for host in hosts:
            enrolled = self.sim.members[host].enrolled
            assert self.report.enrolments.enrol(enrolled, self.authority.state) == host

    def close(self) -> None:
        """Close logs and files."""
        for gate in (self.authority, self.report):
            gate.log.close()
            gate.log.store.close()
        self.report.enrolments.close()


def founded(
    folder: Path, charter: Edit = nothing, history: Callable[[Simulator], object] = lambda _: None
) -> Fleet:
    """Open both logs of a simulated fleet whose authority log has been written already."""
    sim, clock = Simulator(charter=charter), Clock()
    history(sim)
    origin = sim.origin
    authority_log = Log(SqliteStore(folder / "authority.db"), origin, pair(origin, ED25519), clock)
    entries = [entry for logged, entry in sim.history if logged]
    if entries and authority_log.head().checkpoint.size == 0:
        authority_log.append(entries)
    authority = AuthorityGate(authority_log, sim.fleet, clock)
    store = SqliteStore(folder / "report.db")
    report_log = Log(store, REPORT_ORIGIN, pair(REPORT_ORIGIN, ED25519), clock)
    book = Enrolments(folder / "enrolled.db")
    return Fleet(sim, clock, authority, ReportGate(report_log, authority, book, clock))


def statement_id(entry: bytes) -> str:
    """Give a statement's id."""
    return sha256(entry.rpartition(b"\n\n")[0] + b"\n").hexdigest()
