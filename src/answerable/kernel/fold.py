"""The total fold: what the records of the authority log mean.

`fold(state, entries)` applies each entry in turn. A malformed, unauthorised or repeated entry is a
no-op with a reason; it still counts as a leaf. A properly signed entry of an unknown type or newer
format stops the host (`state.stopped`), since it may forbid what this kernel would do. The same
entries give the same state, and `State.digest` is one number for all of it.

Records carry no trusted time. What a rule needs of time comes from cosigned checkpoints and heralds
(verify.py).
"""

from collections.abc import Callable, Iterable
from hashlib import sha256
from typing import Any, cast

from answerable.kernel.canon import Json, conforms, encode
from answerable.kernel.charter import CHARTER, Charter
from answerable.kernel.checkpoint import cosigned, parse_checkpoint
from answerable.kernel.errors import Refused, demand
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.statement import AUTHORITY, Statement, open_charter, open_statement

TABLES = ("seen", "authorizations", "enrolments", "releases", "newest", "notices", "vetoes",
          "halts", "lifted", "revoked", "withdrawn")  # fmt: skip


class State:
    """What a follower of the authority log knows.

    `fleet` is the id of charter 1, `tree` the leaf hashes followed, `tables` plain JSON by
    statement id (`notices` by leaf hash), `charter` the one in force, `stopped` why to stop.
    """

    def __init__(self, fleet: str, tables: Json = None, tree: Tree | None = None) -> None:
        """Start empty, or from the tables and tree of a state (`Refused` if they are none)."""
        empty: Json = {**{name: {} for name in TABLES}, "charter": {}, "stopped": ""}
        self.fleet, self.tree, self.tables = fleet, tree or Tree(), tables or empty
        law: Json = ({"body": CHARTER, "id": "hex"}, {})
        shape = {**{name: {"*": "any"} for name in TABLES}, "charter": law, "stopped": "text"}
        demand(conforms(self.tables, shape), "bad_start", "not the tables of a state")
        old, self.digested, self.weighed = self.tables["charter"], (-1, ""), (-1, dict[str, Any]())
        self.charter: Any = Charter(old["body"], old["id"]) if old else None

    def __getattr__(self, table: str) -> Json:
        """Give a table by its name."""
        if table in TABLES or table == "stopped":
            return self.tables[table]
        raise AttributeError(table)

    def digest(self) -> str:
        """Give the SHA-256 of size, root and tables, in hex."""
        if self.digested[0] != self.tree.size:
            whole = encode([self.tree.size, self.tree.root().hex(), self.tables])
            self.digested = (self.tree.size, sha256(whole.encode()).hexdigest())
        return self.digested[1]

    def weights(self) -> dict[str, Any]:
        """Give by leaf what the limits of verify.py count of each notice.

        It is a row of: the index at which somebody was first told, the POSIX second from which its
        age counts, its number of hosts, its artefacts.
        """
        if self.weighed[0] != self.tree.size:
            self.weighed = (self.tree.size, {k: _weight(n) for k, n in self.notices.items()})
        return self.weighed[1]

    def law(self) -> Charter:
        """Give the charter in force (`Refused`, `bad_charter`, if there is none yet)."""
        demand(isinstance(self.charter, Charter), "bad_charter", "no charter was followed yet")
        return cast("Charter", self.charter)

    def find(self, table: str, subject: str) -> Json:
        """Give a row (`Refused`, `unknown_subject`, if the log has not said it before)."""
        demand(subject in self.tables[table], "unknown_subject", f"`{subject}` in {table}")
        return self.tables[table][subject]


def _weight(notice: Json) -> tuple[Any, ...]:
    said, told = notice["body"], notice["deliveries"]
    first = min([*(d[4] for d in told), *notice["seen"].values()], default=1 << 53)
    since = min(said["not_after"], max([said["not_before"], *(d[3] for d in told)]))
    return first, since, sum(r["size"] for r in said["rings"]), frozenset(said["artefacts"])


def fold(state: State, entries: Iterable[bytes]) -> list[Refused | None]:
    """Apply entries in order; the state is the caller's own and is changed in place.

    Returns: for each entry None, or why it was a no-op.
    """
    verdicts: list[Refused | None] = []
    for entry in entries:
        try:
            _apply(state, entry)
            verdicts.append(None)
        except Refused as refusal:
            verdicts.append(refusal)
        state.tree.extend([leaf_hash(entry)])
    return verdicts


def succeed(state: State, entry: bytes) -> None:
    """Take a charter into force, from the log or from anywhere else.

    Charter 1 is known by its id, which is the fleet's. A later one needs its number and
    predecessor, and enough persons of the old charter and of the new one. One that names another
    authority log starts it exactly where this state stands.

    Raises:
        Refused: if it may not be obeyed; the state is then unchanged.
    """
    new, statement = open_charter(entry)
    old, body, fleet = state.charter, new.body, statement.envelope["fleet"]
    if old is None:
        first = new.id == state.fleet and not fleet and body["number"] == 1
        demand(first, "bad_charter", "not the first charter of this fleet")
    else:
        by_old = open_statement(entry, AUTHORITY, old.owners).people
        follows = body["number"] == old.body["number"] + 1 and body["previous"] == old.id
        demand(follows and fleet == state.fleet, "stale_charter", f"number {body['number']}")
        old.enough(by_old, "charter")
        same = old.origin == new.origin or body["start"] == state.digest()
        demand(same, "bad_start", "the new log does not start where this state stands")
    new.enough(statement.people, "charter")
    state.charter, state.digested = new, (-1, "")
    state.tables |= {"charter": {"body": body, "id": new.id}, "stopped": ""}


def admit(entry: bytes, law: Charter, fleet: str) -> Statement:
    """Open an entry of the authority log that is for this fleet and charter, within its cap.

    Raises:
        Refused: the reason why the fold would not even look at it.
    """
    statement = open_statement(entry, AUTHORITY, law.owners)
    said, cap = statement.envelope, law.body["caps"].get(statement.kind)
    demand(said["fleet"] == fleet, "wrong_fleet", f"`{said['fleet']}`")
    # Objections outlive a charter, and a log that it moved from.
    now, objects = said["charter"] == law.body["number"], statement.kind in ("veto", "halt")
    demand(said["origin"] == law.origin or objects > now, "wrong_origin", f"`{said['origin']}`")
    demand(not cap or len(entry) <= cap["bytes"], "too_large", f"a {statement.kind}")
    demand(now or objects, "stale_charter", f"number {said['charter']}")
    return statement


def _apply(state: State, entry: bytes) -> None:
    law = state.charter
    if law is None or entry.rpartition(b"\n\n")[0].endswith(b'"type":"charter","version":1}'):
        succeed(state, entry)
        return
    statement = admit(entry, law, state.fleet)
    if not statement.known:
        state.tables["stopped"] = f"{statement.kind}/v{statement.envelope['version']}"
        raise Refused("unknown_record", f"`{state.stopped}` needs a newer kernel")
    demand(statement.id not in state.seen, "duplicate", f"`{statement.id}` was said before")
    _RULES[statement.kind](state, statement)
    state.seen[statement.id] = state.tree.size


def _authorization(state: State, s: Statement) -> None:
    by = sorted(state.charter.enough(s.people, "authorization"))
    state.authorizations[s.id] = {"index": state.tree.size, "body": s.body, "by": by}


def _revocation(state: State, s: Statement) -> None:
    target, by = state.find("authorizations", s.body["authorization"]), s.one("person")
    may = by == target["body"]["owner"] or state.charter.with_role({by}, "approver")
    demand(may, "not_admissible", f"`{by}` is neither owner nor approver")
    state.revoked[s.body["authorization"]] = state.tree.size


def _enrolment(state: State, s: Statement) -> None:
    state.charter.enough(s.people, "enrolment")
    state.enrolments[s.id] = {**s.body, "by": sorted(s.people)}


def release_origin(fleet: str, charter: int, feed: str) -> str:
    """Give the origin under which attesters cosign a snapshot of a feed."""
    return f"answerable/release/v1/{fleet}/{charter}/{feed}"


def _release(state: State, s: Statement) -> None:
    feed, data, time = s.body["feed"], s.body["checkpoint"].encode(), s.body["time"]
    origin = release_origin(state.fleet, state.charter.body["number"], feed)
    if s.people or s.body["model"]:
        state.charter.enough(s.people, "release")
        snapshot = parse_checkpoint(data)
    else:
        agreed = cosigned(data, origin, state.charter.guards["attester"], state.charter.quorum)
        snapshot, time = agreed.checkpoint, agreed.present
    demand(snapshot.origin == origin, "wrong_origin", f"`{snapshot.origin}`")
    last = state.releases.get(state.newest.get(feed), {"time": 0})["time"]
    demand(time >= last, "stale_snapshot", f"`{feed}` was released later already")
    state.newest[feed], root = s.id, snapshot.root.hex()
    state.releases[s.id] = {"feed": feed, "size": snapshot.size, "root": root, "time": time}


def _withdrawal(state: State, s: Statement) -> None:
    demand(state.charter.with_role(s.people, "approver") or s.one("guard"), "not_admissible")
    state.withdrawn.update(dict.fromkeys(s.body["artefacts"] + s.body["facts"], state.tree.size))


def _notice(state: State, s: Statement) -> None:
    body, by = s.body, s.one("person" if s.people else "planner")
    state.notices[s.leaf] = {
        "index": state.tree.size, "body": body, "id": s.id, "deliveries": [], "seen": {},
        "newest": set(body["releases"]) <= set(state.newest.values()), "advances": {},
        "proposers": sorted({by, body["author"]}), "failures": {},
        "approvals": {"changes": {}, "undo": {}}}  # fmt: skip


def _delivery(state: State, s: Statement) -> None:
    b, row = s.body, [s.one("guard"), *(s.body[k] for k in ("person", "status", "time"))]
    state.find("notices", b["notice"])["deliveries"].append([*row, state.tree.size])


def _seen(state: State, s: Statement) -> None:
    state.find("notices", s.body["notice"])["seen"].setdefault(s.one("person"), state.tree.size)


def _approval(state: State, s: Statement) -> None:
    given = state.find("notices", s.body["notice"])["approvals"]
    given["undo" if s.body["undo"] else "changes"][s.one("person")] = state.tree.size


def _scope(state: State, person: str) -> list[str]:
    return [z for z, rule in state.charter.body["zones"].items() if person in rule["objectors"]]


def _veto(state: State, s: Statement) -> None:
    person = s.one("person")
    demand(zones := _scope(state, person), "not_admissible", f"`{person}` objects for no zone")
    noticed = state.notices.get(s.body["notice"], {"body": s.body})["body"]
    things = {k: s.body[k] + noticed[k] for k in ("artefacts", "targets")}
    state.vetoes[s.id] = {**s.body, **things, "by": person, "zones": zones}


def _halt(state: State, s: Statement) -> None:
    person, zones = s.one("person"), set(s.body["zones"])
    demand(zones <= set(_scope(state, person)), "not_admissible", f"`{person}` may not halt them")
    state.halts[s.id] = {"by": person, "zones": sorted(zones)}


def _lift(state: State, s: Statement) -> None:
    state.charter.enough(s.people, "lift")
    held = state.vetoes.keys() | state.halts.keys() | state.withdrawn.keys()
    demand(held >= set(s.body["lifts"]), "unknown_subject", "no such veto, halt or withdrawal")
    state.lifted.update(dict.fromkeys(s.body["lifts"], state.tree.size))
    for subject in state.withdrawn.keys() & set(s.body["lifts"]):
        del state.withdrawn[subject]


def _advance(state: State, s: Statement) -> None:
    observer, b = s.one("observer"), s.body
    ring = state.find("notices", b["notice"])["advances"].setdefault(str(b["ring"]), {})
    ring[observer] = [b["since"], b["until"]]


def _failure(state: State, s: Statement) -> None:
    observer, b = s.one("observer"), s.body
    host = state.find("notices", b["notice"])["failures"].setdefault(b["host"], {})
    host.setdefault(b["change"], {})[observer] = [b["order"], b["cause"]]


_RULES: dict[str, Callable[[State, Statement], None]] = {rule.__name__[1:]: rule for rule in (
    _authorization, _revocation, _enrolment, _release, _withdrawal, _notice, _delivery, _seen,
    _approval, _veto, _halt, _lift, _advance, _failure)}  # fmt: skip
