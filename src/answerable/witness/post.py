"""The veto post: takes vetoes and halts from people directly, and makes a log that drops one stop.

Rules:

1. `POST /veto`, body: the note that a person signed. It is admitted as the log would admit it
   (fleet, log, keys of the charter in force, one person, an objector for the zones it names), kept
   durably, and answered with a receipt: a note signed with the guard's herald key (0x01) whose
   text is canonical JSON and LF, `{"fleet":"<hex>","statement":"<id>","time":1700000000}`. The same
   words again give the same receipt. A veto is done when a quorum of guards gave receipts.
2. It is handed to every other guard until that guard's own receipt is here, and to the log until it
   stands in a head that this guard cosigned.
3. From `veto_hold` seconds after it was received, no head without it is vouched for, neither
   cosigned nor told to a host. It is let go when it stands in the log, or when a new charter no
   longer admits it: the person then signs again.
4. One person may hand in as many an hour as the charter lets into the log.

Left out: `lift`, which goes to the log and is never urgent.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from answerable.kernel.canon import encode, read, shape
from answerable.kernel.charter import Charter
from answerable.kernel.errors import Refused, demand
from answerable.kernel.fold import State, admit
from answerable.kernel.note import ENTRY, Key, Note, parse_vkey
from answerable.kernel.statement import Statement
from answerable.keys.sign import Signer, sign_note
from answerable.witness.log import Log
from answerable.witness.store import Store
from answerable.witness.wire import (
    HOUR,
    TEXT,
    Answer,
    Finding,
    GuardUnavailable,
    Settings,
    problem,
    refusal,
)

RECEIPT = 4096
"""Largest receipt that is read, bytes."""
_RECEIPT = shape("fleet:hex statement:hex time:int")
_LOG = "log"
_SETTLED = frozenset({"", "duplicate"})


def read_receipt(note: bytes, guard: Key, fleet: str, statement: str) -> int:
    """Open a guard's receipt for a statement; gives the POSIX second it was received.

    Raises:
        Refused: `too_large`, `malformed`, `bad_signature`, or `not_mine` for another statement.
    """
    value = read(Note(note, RECEIPT).open([guard])[0][:-1], RECEIPT, _RECEIPT)
    mine = [value["fleet"], value["statement"]] == [fleet, statement]
    demand(mine, "not_mine", "a receipt for another statement")
    return int(value["time"])


class Peer(Protocol):
    """Another guard's veto post."""

    def hand(self, entry: bytes) -> bytes:
        """Hand a note over; gives what may be a receipt (`GuardUnavailable` if nothing)."""


def objection(entry: bytes, law: Charter, fleet: str) -> tuple[Statement, str]:
    """Open a veto or halt that the fold would obey, and name who objects.

    Raises:
        Refused: as `admit`, or `not_admissible`.
    """
    statement = admit(entry, law, fleet)
    kind, zones = statement.kind, law.body["zones"]
    demand(statement.known and kind in ("veto", "halt"), "not_admissible", f"a `{kind}`")
    person = statement.one("person")
    scope = {zone for zone, rule in zones.items() if person in rule["objectors"]}
    named = set(statement.body["zones"]) if kind == "halt" else scope
    demand(named and named <= scope, "not_admissible", f"`{person}` does not object for {named}")
    return statement, person


@dataclass(frozen=True)
class Held:
    """A veto or halt that was handed in: id, note, person, when."""

    id: str
    entry: bytes
    person: str
    time: int


class Post:
    """Holds what people object to until the log says it; threads may share it."""

    def __init__(
        self,
        store: Store,
        fleet: str,
        settings: Settings,
        herald: Signer,
        clock: Callable[[], int],
    ) -> None:
        """Take the guard's store and the herald key, which signs receipts."""
        self._store, self._fleet, self._settings = store, fleet, settings
        self._herald, self._clock = herald, clock

    def receive(self, entry: bytes, law: Charter) -> Answer:
        """Answer one `POST /veto` under the charter in force."""
        try:
            demand(len(entry) <= ENTRY, "too_large", f"a note of {len(entry)} bytes")
            statement, person = objection(entry, law, self._fleet)
        except Refused as refused:
            return refusal(refused)
        now = self._clock()
        cap = law.body["caps"].get(statement.kind, {}).get("per_hour", self._settings.per_hour)
        with self._store.write() as db:
            ask = "SELECT receipt FROM held WHERE id=?"
            if row := db.execute(ask, (statement.id,)).fetchone():
                return Answer(200, row[0], TEXT)
            ask = "SELECT count(*) FROM held WHERE person=? AND time>?"
            if db.execute(ask, (person, now - HOUR)).fetchone()[0] >= cap:
                return problem(429, "over_cap", f"`{person}` handed in {cap} in the last hour")
            said = {"fleet": self._fleet, "statement": statement.id, "time": now}
            receipt = sign_note(encode(said) + "\n", self._herald)
            row = (statement.id, entry, person, now, receipt)
            db.execute("INSERT INTO held VALUES (?,?,?,?,?)", row)
        return Answer(200, receipt, TEXT)

    def _open(self) -> list[Held]:
        ask = (
            "SELECT id, data, person, time FROM held WHERE NOT EXISTS "
            "(SELECT 1 FROM sent WHERE sent.id=held.id AND peer=?) ORDER BY time"
        )
        with self._store.read() as db:
            return [Held(*row) for row in db.execute(ask, (_LOG,))]

    def overdue(self, law: Charter, seen: Callable[[str], bool], now: int) -> Finding | None:
        """See `follower.Holds`."""
        for held in self._open():
            if now - held.time <= self._settings.veto_hold or seen(held.id):
                continue
            try:
                objection(held.entry, law, self._fleet)
            except Refused:
                continue
            detail = f"the log leaves out `{held.id}` by `{held.person}`, held since {held.time}"
            return Finding("veto_withheld", detail)
        return None

    def settle(self, state: State) -> None:
        """Let go of what stands in the log (called while the state stands still)."""
        law = state.law()
        for held in self._open():
            done = held.id in state.seen
            if not done:
                try:
                    objection(held.entry, law, self._fleet)
                except Refused as refused:
                    detail = f"`{held.id}` by `{held.person}`: {refused.reason}; sign it again"
                    self._store.find(self._clock(), Finding("veto_lapsed", detail))
                    done = True
            if done:
                self._mark(held.id, _LOG)

    def forward(self, law: Charter, myself: str, log: Log, peers: Callable[[str], Peer]) -> int:
        """Hand on, once, whatever has not arrived at the log and at the other guards.

        Args:
            law: the charter in force, which names the guards.
            myself: this guard's name in it.
            log: the authority log.
            peers: reaches the guard at a URL.

        Returns: how many are still on their way.
        """
        waiting = 0
        for held in self._open():
            try:
                waiting += log.add(held.entry) not in _SETTLED
            except GuardUnavailable:
                waiting += 1
        for name, guard in law.body["guards"].items():
            if name != myself:
                waiting += self._tell(name, guard, peers(guard["url"]))
        return waiting

    def _tell(self, name: str, guard: dict[str, str], peer: Peer) -> int:
        ask = (
            "SELECT id, data, person, time FROM held WHERE NOT EXISTS "
            "(SELECT 1 FROM sent WHERE sent.id=held.id AND peer IN (?,?)) ORDER BY time"
        )
        with self._store.read() as db:
            rows = [Held(*row) for row in db.execute(ask, (f"guard:{name}", _LOG))]
        key, failed = parse_vkey(guard["herald"]), 0
        for held in rows:
            try:
                read_receipt(peer.hand(held.entry), key, self._fleet, held.id)
                self._mark(held.id, f"guard:{name}")
            except (GuardUnavailable, Refused):
                failed += 1
        return failed

    def _mark(self, held: str, peer: str) -> None:
        with self._store.write() as db:
            db.execute("INSERT OR IGNORE INTO sent VALUES (?,?)", (held, peer))
