"""What may enter the two logs.

A gate opens every entry of a batch first, and then takes the batch whole or not at all. It refuses
what a follower would not even look at; the reason is the kernel's word:

1. bad evidence: malformed, too large, no signature of a key that the charter or an enrolment knows
2. another fleet, another log, a charter that is not in force
3. an unknown type: it would stop every host that knows no more than this log does
4. larger than the charter's cap for its type
5. a statement that was said before, in this log or in this batch
6. more of one type by one signer than the charter's hourly cap (`not_admissible`)

A charter enters if a trial of the folded state would obey it. Of what the authority log takes, the
fold may still say that it has no effect; the answer lists those as `void`, each with its reason.

Left out: rates of what nobody signed (the server bounds sizes and waiting), and counts from before
a restart: guards hold a log to the caps too.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from hashlib import sha256
from threading import Lock
from typing import NamedTuple

from answerable.kernel.charter import Charter, Signatory
from answerable.kernel.errors import demand
from answerable.kernel.fold import State, admit, fold, succeed
from answerable.kernel.note import Key
from answerable.kernel.statement import Statement
from answerable.ledger.enrolments import Enrolments
from answerable.ledger.log import Log
from answerable.ledger.opening import Opened, Owners, Terms, names_under, open_batch

HOUR = 3_600
BATCH = 256
"""Entries read from a store at once."""
REMEMBERED = 2_000_000
"""Statement ids of the report log that each of two generations remembers; some 80 bytes each."""
_CHARTER = b'"type":"charter","version":1}'


class Void(NamedTuple):
    """An entry of the batch (by its place) that is in the log and has no effect."""

    entry: int
    reason: str
    detail: str


@dataclass(frozen=True)
class Admitted:
    """`index`: that of the first entry, once durable. `void`: what the fold makes nothing of."""

    index: "Future[int]"
    void: list[Void]


class Rates:
    """How often each signer said each type in the last hour, estimated from two fixed hours."""

    def __init__(self, clock: Callable[[], int]) -> None:
        """Count by this clock, POSIX seconds."""
        self._clock, self._hour = clock, 0
        self._now: dict[tuple[str, Signatory], int] = {}
        self._before: dict[tuple[str, Signatory], int] = {}

    def spend(self, batch: Iterable[Statement | Opened], law: Charter) -> None:
        """Count these statements, all or none.

        Raises:
            Refused: `not_admissible` if one signer's hour is spent.
        """
        hour, into = divmod(self._clock(), HOUR)
        if hour != self._hour:
            self._before = self._now if hour == self._hour + 1 else {}
            self._now, self._hour = {}, hour
        uses: dict[tuple[str, Signatory], int] = {}
        for said in batch:
            if cap := law.body["caps"].get(said.kind):
                for who in said.signers:
                    key = (said.kind, who)
                    uses[key] = uses.get(key, 0) + 1
                    past = -(-self._before.get(key, 0) * (HOUR - into) // HOUR)
                    good = past + self._now.get(key, 0) + uses[key] <= cap["per_hour"]
                    most = f"`{who[1]}` may say {cap['per_hour']} `{said.kind}` an hour"
                    demand(good, "not_admissible", most)
        self._now |= {key: self._now.get(key, 0) + count for key, count in uses.items()}


def all_entries(log: Log, start: int = 0) -> Iterator[bytes]:
    """Give the durable entries of a log, in order."""
    for first in range(start, end := log.head().checkpoint.size, BATCH):
        yield from log.store.entries(first, min(first + BATCH, end))


class AuthorityGate:
    """Admission to the authority log; keeps the state that its own records fold to."""

    def __init__(self, log: Log, fleet: str, clock: Callable[[], int]) -> None:
        """Fold what the log has; `fleet` is the id of charter 1."""
        self.log, self.state, self._lock, self._rates = log, State(fleet), Lock(), Rates(clock)
        fold(self.state, all_entries(log))

    def law(self) -> Charter | None:
        """Give the charter in force, None before the first."""
        law: Charter | None = self.state.charter
        return law

    def submit(self, entries: Sequence[bytes]) -> Admitted:
        """Admit a batch and hand it to the log.

        The state runs ahead of the disk by what is being written; if that write fails the log has
        stopped, and the state with it.

        Raises:
            Refused: why an entry may not enter; nothing of the batch has.
            LedgerUnavailable: if the log has stopped or is busy.
        """
        with self._lock:
            said, law = self._open(entries)
            self._rates.spend(said, law)
            index = self.log.submit(entries)
            verdicts = fold(self.state, entries)
        void = [Void(at, r.reason, r.detail) for at, r in enumerate(verdicts) if r]
        return Admitted(index, void)

    def _open(self, entries: Sequence[bytes]) -> tuple[list[Statement], Charter]:
        now, opened, ids = self.state, list[Statement](), set[str]()
        for entry in entries:
            if now.charter is None or entry.rpartition(b"\n\n")[0].endswith(_CHARTER):
                # A shallow copy: `succeed` replaces what it changes, and only it changes the copy.
                now = State(now.fleet, {**now.tables}, now.tree)
                succeed(now, entry)
                continue
            said = admit(entry, now.law(), now.fleet)
            demand(said.known, "unknown_record", f"`{said.kind}` needs a newer log server")
            again = said.id in ids or said.id in now.seen
            demand(not again, "duplicate", f"`{said.id}` was said before")
            ids.add(said.id)
            opened.append(said)
        return opened, now.law()


class ReportGate:
    """Admission to the report log, by the charter and enrolments of the authority log.

    A batch is opened, here or in a worker, by the `terms` and `owners` of now, and then admitted.
    """

    def __init__(
        self, log: Log, authority: AuthorityGate, enrolments: Enrolments, clock: Callable[[], int]
    ) -> None:
        """Remember what the log's newest entries said, so that no replay enters."""
        self.log, self.enrolments, self._authority = log, enrolments, authority
        self._lock, self._rates = Lock(), Rates(clock)
        self._said, self._said_before = set[int](), set[int]()
        self._law, self._named = "", dict[str, dict[Key, Signatory]]()
        for entry in all_entries(log, max(0, log.head().checkpoint.size - REMEMBERED)):
            self._said.add(_short(sha256(entry.rpartition(b"\n\n")[0] + b"\n").hexdigest()))

    def state(self) -> State:
        """Give the authority log's state, by which reports are admitted."""
        return self._authority.state

    def terms(self) -> Terms:
        """Say what reports must be for now (`Refused`, `bad_charter`, before the first charter)."""
        body = self.state().law().body
        sizes = {kind: cap["bytes"] for kind, cap in body["caps"].items()}
        return Terms(self.state().fleet, body["logs"]["report"]["origin"], body["number"], sizes)

    def owners(self, entries: Sequence[bytes]) -> Owners:
        """Give the keys that bear the names under these entries."""
        law = self.state().law()
        if self._law != law.id:
            self._law, self._named = law.id, {}
            for key, who in law.owners.items():
                self._named.setdefault(key.name, {})[key] = who
        owners: dict[str, dict[Key, Signatory]] = {}
        for name in {name for entry in entries for name in names_under(entry)}:
            owners[name] = {**self._named.get(name, {})}
            if host := self.enrolments.key(name, self.state()):
                owners[name][host] = ("host", name)
        return owners

    def open(self, entries: Sequence[bytes]) -> list[Opened]:
        """Open a batch in this process.

        Raises:
            Refused: why one of its entries may not enter.
        """
        return open_batch(entries, self.terms(), self.owners(entries))

    def admit(self, batch: Sequence[Opened]) -> Admitted:
        """Take opened entries, all or none, and hand them to the log.

        Raises:
            Refused: `duplicate`, or `not_admissible` if a signer's hour is spent.
            LedgerUnavailable: if the log has stopped or is busy.
        """
        with self._lock:
            ids = set[int]()
            for said in batch:
                again = (short := _short(said.id)) in ids or self._heard(short)
                demand(not again, "duplicate", f"`{said.id}` was said before")
                ids.add(short)
            self._rates.spend(batch, self.state().law())
            index = self.log.submit([said.entry for said in batch])
            self._said |= ids
            if len(self._said) > REMEMBERED:
                self._said, self._said_before = set(), self._said
        return Admitted(index, [])

    def submit(self, entries: Sequence[bytes]) -> Admitted:
        """Open and admit a batch; raises as `open` and `admit` do."""
        return self.admit(self.open(entries))

    def _heard(self, short: int) -> bool:
        return short in self._said or short in self._said_before


def _short(statement: str) -> int:
    return int(statement[:16], 16)
