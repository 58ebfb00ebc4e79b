"""Cosigns heads that are consistent with what was cosigned before (c2sp.org/tlog-witness).

`POST add-checkpoint`, body: `old <size>` LF, up to 63 lines of base64 hashes, an empty line, a
checkpoint signed by the log. In this order:

1. 400 if the body is anything else; 404 if the origin is no log of the charter; 403 unless both
   keys of the log signed; 400 if the old size is larger than the new one
2. 409 with the size of the head last cosigned, type text/x.tlog.size, if the old size is not that
3. 422 if the proof does not lead from the old root to the new one, also at the same size
4. authority log: 503 if the log does not give the records behind the head, 403 if they are not to
   be vouched for (follower.py)
5. the head, and the records, are kept in one transaction that checks 2. again; 409 if it lost
6. 200 with two signature lines of this guard, types 0x04 and 0x06, and a time of its own clock

An unchanged head is signed again with a new time; the log asks each minute, and `renew` does the
same for the checkpoint that the guard serves itself. `sign-subtree` is left out.
"""

import re
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from answerable.kernel.checkpoint import CHECKPOINT, Checkpoint, Pair, parse_checkpoint
from answerable.kernel.errors import Refused, demand
from answerable.kernel.merkle import EMPTY, HASH
from answerable.kernel.note import unbase64
from answerable.keys.sign import Signer, cosign
from answerable.witness.consistency import PROOF, log_signed, verify_consistency
from answerable.witness.follower import Follower, Step
from answerable.witness.log import Log
from answerable.witness.store import Kept, Store, head_of
from answerable.witness.wire import SIZE, Answer, Finding, GuardUnavailable, problem, refusal

REQUEST = CHECKPOINT + 4096
"""Largest request that is read, bytes."""
MOVED = "my charter names another; a newer one is taken with `answerable guard charter`"
# Changed in place, a row dirties half the pages of one that is put anew.
_PUT = (
    "INSERT INTO head VALUES (?,?,?,?,?) ON CONFLICT(origin) DO UPDATE SET"
    " size=excluded.size, root=excluded.root, note=excluded.note, time=excluded.time"
)
_OLD = re.compile(rb"old (0|[1-9][0-9]{0,17})\n")


@dataclass(frozen=True)
class Request:
    """An add-checkpoint request taken apart; nothing of it is believed yet."""

    old: int
    proof: list[bytes]
    origin: str
    note: bytes


def read_request(body: bytes) -> Request:
    """Take an add-checkpoint body apart.

    Raises:
        Refused: `too_large` or `malformed`.
    """
    demand(len(body) <= REQUEST, "too_large", f"a request of {len(body)} bytes")
    old = _OLD.match(body)
    head, blank, note = body[old.end() - 1 if old else 0 :].partition(b"\n\n")
    lines = head.split(b"\n")[1:]
    sound = old and blank and len(lines) <= PROOF
    demand(sound, "malformed", "not `old <size>`, proof lines, an empty line, a checkpoint")
    proof = [unbase64(line.decode(errors="replace")) for line in lines]
    origin = note.partition(b"\n")[0].decode(errors="replace")
    whole = all(len(step) == HASH for step in proof) and origin and b"\n\n" in note
    demand(whole, "malformed", "a proof line is no hash, or there is no checkpoint")
    return Request(int(old[1]) if old else 0, proof, origin, note)


@dataclass(frozen=True)
class _Asked:
    """A request whose checkpoint the log signed, with its lines: the log's name."""

    name: str
    checkpoint: Checkpoint
    lines: str
    request: Request


class _MovedError(Exception):
    """Another request was kept first; undoes the transaction."""


class Witness:
    """Cosigns heads of the logs that the charter names; threads may share it."""

    def __init__(
        self,
        store: Store,
        follower: Follower,
        logs: Mapping[str, Log],
        signers: tuple[Signer, Signer],
        clock: Callable[[], int],
    ) -> None:
        """Take the guard's `witness` keys, and how to read each log (`authority`, `report`)."""
        self._store, self._follower, self._logs = store, follower, logs
        self._signers, self._clock = signers, clock

    def known(self) -> dict[str, tuple[str, Pair]]:
        """Give the logs of the charter in force: origin to name and keys."""
        law = self._follower.look(lambda s: s.law())
        return {law.body["logs"][name]["origin"]: (name, pair) for name, pair in law.logs.items()}

    def add_checkpoint(self, body: bytes) -> Answer:
        """Answer one add-checkpoint request."""
        try:
            asked = self._open(read_request(body))
            return asked if isinstance(asked, Answer) else self._consistent(asked)
        except Refused as refused:
            return refusal(refused)
        except GuardUnavailable as error:
            return problem(503, "unavailable", str(error))

    def _open(self, request: Request) -> Answer | _Asked:
        if request.origin not in (known := self.known()):
            return problem(404, "unknown_subject", f"the log `{request.origin}`: {MOVED}")
        name, pair = known[request.origin]
        try:
            checkpoint, lines = log_signed(request.note, request.origin, pair)
        except Refused as refused:
            if refused.reason == "malformed" and request.note.split(b"\n")[1:2] == [b"0"]:
                return problem(422, "bad_consistency", "the empty tree has one root")
            raise
        return _Asked(name, checkpoint, lines, request)

    def _consistent(self, asked: _Asked) -> Answer:
        new, old = asked.checkpoint, asked.request.old
        if old > new.size:
            return problem(400, "malformed", "the old size is larger than the new one")
        last = self._store.head(new.origin)
        if old != last.size:
            return _conflict(last)
        try:
            verify_consistency(old, new.size, asked.request.proof, last.root or EMPTY, new.root)
        except Refused as refused:
            self._found(Finding("split_view", f"`{new.origin}` {refused.detail}"))
            return problem(422, refused.reason, refused.detail)
        try:
            return self._cosign(asked, last)
        except _MovedError:
            return _conflict(self._store.head(new.origin))

    def _cosign(self, asked: _Asked, last: Kept) -> Answer:
        checkpoint = asked.checkpoint
        lines = cosign(checkpoint, self._clock(), *self._signers)
        whole = f"{checkpoint.text()}\n{asked.lines}{lines}".encode()
        if asked.name == "authority":
            step = self._follower.fetch(checkpoint, self._logs[asked.name])
            with self._follower.still():
                finding = self._take(checkpoint, step, last, whole)
            if finding:
                self._found(finding)
                return problem(403, finding.reason, finding.detail)
        else:
            with self._store.write() as db:
                self._put(db, checkpoint, last, whole)
        return Answer(200, lines.encode())

    def _take(self, checkpoint: Checkpoint, step: Step, last: Kept, note: bytes) -> Finding | None:
        now = self._clock()
        if self._store.head(checkpoint.origin).size != last.size:
            raise _MovedError
        if finding := self._follower.judge(checkpoint, step, last, now):
            return finding
        with self._store.write() as db:
            self._put(db, checkpoint, last, note)
            self._follower.keep(db, step, note, now)
        self._follower.fold(step.entries)
        return None

    def _put(self, db: sqlite3.Connection, checkpoint: Checkpoint, last: Kept, note: bytes) -> None:
        # The race of the specification: a head that was checked against an older one than is
        # kept by now must not roll it back.
        found = head_of(db, checkpoint.origin)
        if (found.size, found.root) != (last.size, last.root):
            raise _MovedError
        row = (checkpoint.origin, checkpoint.size, checkpoint.root, note, self._clock())
        db.execute(_PUT, row)

    def renew(self, origin: str) -> Finding | None:
        """Cosign the head kept again, with a new time, unless it leaves out a held veto."""
        last, now = self._store.head(origin), self._clock()
        if not last.note or origin not in (known := self.known()):
            return None
        if known[origin][0] == "authority" and (finding := self._follower.overdue(now)):
            self._found(finding)
            return finding
        text, _, tail = last.note.decode().partition("\n\n")
        checkpoint = parse_checkpoint(text.encode() + b"\n")
        # As it was kept: the log's lines, also those of keys it has no more, and then our own.
        kept = tail.splitlines(keepends=True)[: -len(self._signers)]
        lines = "".join(kept) + cosign(checkpoint, now, *self._signers)
        note = (checkpoint.text() + "\n" + lines).encode()
        with self._store.write() as db:
            row = (note, origin, last.note)
            db.execute("UPDATE head SET note=? WHERE origin=? AND note=?", row)
        return None

    def checkpoint(self, origin: str) -> bytes | None:
        """Give the head last cosigned of a log, with the log's lines and this guard's."""
        return self._store.head(origin).note or None

    def _found(self, finding: Finding) -> None:
        self._store.find(self._clock(), finding)


def _conflict(last: Kept) -> Answer:
    return Answer(409, b"%d\n" % last.size, SIZE)
