"""Fresh heads: answers hosts' nonces with what the guard knows right now, many at a time.

`POST /fresh`, body: canonical JSON

    {"consume":"<note, or empty>","host":"web1","nonce":"<32 hex>"}

and, once, and again when the guard answers 403 `not_enrolled`, the host's record and its path:

    "record":{"enrolment":"<statement id>","index":0,"path":["<hex>"],"record":"<record text>"}

In this order:

1. a record is believed if the enrolment in the log proves it (kernel/verify.py) and no newer
   enrolment of that host is known; a host without a record here is told `not_enrolled`
2. nothing is said while the log leaves out a veto that was held for too long: 403 `veto_withheld`
3. a consume note must be signed with the enrolled key; the first of the highest number is kept. One
   with a lower number, or another of the same, changes nothing: its host sees from the answer that
   it was restored from a snapshot, or copied
4. what was kept is durable before anything is said
5. one tree with a leaf a host is cosigned with the guard's `post` keys at its own clock

The answer is a `REPLY` of kernel/fresh.py. A guard that lost its store says `last` empty, which is
why a host asks a quorum.
"""

import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256

from answerable.kernel.canon import Json, conforms, decode, encode, shape, unhex
from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.errors import Refused, demand
from answerable.kernel.fold import State
from answerable.kernel.fresh import fresh_origin, read_consume
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.note import parse_vkey
from answerable.kernel.verify import Enrolled
from answerable.keys.sign import Signer, cosign
from answerable.witness.consistency import inclusion_path
from answerable.witness.follower import Follower
from answerable.witness.store import Store
from answerable.witness.wire import JSON, Answer, GuardUnavailable, problem, refusal

ASK = 65_536
"""Largest question that is read, bytes."""
TOGETHER = 256
"""Most questions that are answered with one signature."""
_ASK = shape("consume:note host:id nonce:nonce")
_RECORD = shape("enrolment:hex index:int record:note", path=["hex"])


@dataclass(frozen=True)
class Ask:
    """A question taken apart."""

    host: str
    nonce: str
    consume: str = ""
    record: Json = None


def read_ask(body: bytes) -> Ask:
    """Take a question apart.

    Raises:
        Refused: `too_large` or `malformed`.
    """
    value = decode(body, ASK)
    form = {**_ASK, "record": _RECORD} if isinstance(value, dict) and "record" in value else _ASK
    demand(conforms(value, form), "malformed", "not a question for a fresh head")
    return Ask(value["host"], value["nonce"], value["consume"], value.get("record"))


class Fresh:
    """Answers hosts; threads may share it."""

    def __init__(
        self,
        store: Store,
        follower: Follower,
        fleet: str,
        signers: tuple[Signer, Signer],
        clock: Callable[[], int],
    ) -> None:
        """Take the guard's `post` keys."""
        self._store, self._follower, self._fleet = store, follower, fleet
        self._signers, self._clock = signers, clock

    def answer(self, bodies: Sequence[bytes]) -> list[Answer]:
        """Answer questions together, each by itself if it is wrong."""
        assert len(bodies) <= TOGETHER, "more than one tree of questions"
        answers: dict[int, Answer] = {}
        asked: dict[int, tuple[Ask, str]] = {}
        try:
            with self._follower.still(), self._store.write() as db:
                for n, body in enumerate(bodies):
                    try:
                        ask = read_ask(body)
                        asked[n] = ask, self._learn(db, ask)
                    except Refused as refused:
                        answers[n] = refusal(refused)
                head, withheld = self._head(), self._follower.overdue(self._clock())
        except GuardUnavailable as error:
            return [problem(503, "unavailable", str(error)) for _ in bodies]
        except Refused as refused:
            return [problem(503, refused.reason, refused.detail) for _ in bodies]
        if withheld:
            sorry = problem(403, withheld.reason, withheld.detail)
            return [answers.get(n, sorry) for n in range(len(bodies))]
        replies = self.sign(head, list(asked.values()))
        answers |= {n: Answer(200, r, JSON) for n, r in zip(asked, replies, strict=True)}
        return [answers[n] for n in range(len(bodies))]

    def _head(self) -> Json:
        return self._follower.look(head_of_state)

    def sign(self, head: Json, asked: Sequence[tuple[Ask, str]]) -> list[bytes]:
        """Sign one tree of leaves, for questions with the last note kept of each host."""
        if not asked:
            return []
        leaves = [_leaf(head, ask, last) for ask, last in asked]
        tree = Tree(leaf_hash(leaf.encode()) for leaf in leaves)
        checkpoint = Checkpoint(fresh_origin(self._fleet), tree.size, tree.root())
        lines = cosign(checkpoint, self._clock(), *self._signers)
        note = checkpoint.text() + "\n" + lines
        return [
            encode({
                "checkpoint": note, "index": n, "last": last, "leaf": leaf,
                "path": [step.hex() for step in inclusion_path(tree, n)],
            }).encode()
            for n, ((_, last), leaf) in enumerate(zip(asked, leaves, strict=True))
        ]  # fmt: skip

    def _learn(self, db: sqlite3.Connection, ask: Ask) -> str:
        if ask.record is not None:
            self._enrol(db, ask)
        row = db.execute("SELECT key FROM host WHERE host=?", (ask.host,)).fetchone()
        demand(row, "not_enrolled", f"send the record of `{ask.host}` and its path")
        kept = last_of(db, ask.host)
        if not ask.consume:
            return kept
        key = parse_vkey(row[0])
        seq, _ = read_consume(ask.consume.encode(), self._fleet, key)
        if kept and seq <= read_consume(kept.encode(), self._fleet, key)[0]:
            return kept
        db.execute(
            "REPLACE INTO consumed VALUES (?,?,?,?)", (ask.host, row[0], seq, ask.consume.encode())
        )
        return ask.consume

    def _enrol(self, db: sqlite3.Connection, ask: Ask) -> None:
        given = ask.record
        path = unhex(given["path"])
        enrolled = Enrolled(given["record"], given["enrolment"], given["index"], path)
        body = enrolled.body
        since = self._follower.look(lambda state: _since(state, enrolled))
        own = body["host"] == ask.host == parse_vkey(body["key"]).name
        demand(own, "not_mine", "the record of another host, or a key of another name")
        row = db.execute("SELECT key, since FROM host WHERE host=?", (ask.host,)).fetchone()
        newer = not row or row[1] < since or tuple(row) == (body["key"], since)
        demand(newer, "not_enrolled", f"`{ask.host}` was enrolled again since")
        row = (ask.host, body["key"], since, enrolled.record)
        db.execute("REPLACE INTO host VALUES (?,?,?,?)", row)


def _since(state: State, enrolled: Enrolled) -> int:
    enrolled.prove(state)
    return int(state.seen[enrolled.enrolment])


def last_of(db: sqlite3.Connection, host: str) -> str:
    """Give the note kept of a host under its newest key, or nothing."""
    ask = "SELECT note FROM consumed JOIN host USING (host, key) WHERE host=?"
    row = db.execute(ask, (host,)).fetchone()
    return bytes(row[0]).decode() if row else ""


def head_of_state(state: State) -> Json:
    """Give the head that a state stands at, with its digest."""
    tree, digest = state.tree, state.digest()
    root = tree.root().hex()
    return {"origin": state.law().origin, "root": root, "size": tree.size, "state": digest}


def _leaf(head: Json, ask: Ask, last: str) -> str:
    digest = sha256(last.encode()).hexdigest() if last else ""
    return encode({"head": head, "host": ask.host, "last": digest, "nonce": ask.nonce})
