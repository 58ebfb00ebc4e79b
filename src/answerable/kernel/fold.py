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

from answerable.kernel.canon import Json, conforms, encode
from answerable.kernel.charter import Charter
from answerable.kernel.checkpoint import cosigned, parse_checkpoint
from answerable.kernel.errors import Refused, demand
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.statement import AUTHORITY, Statement, open_charter, open_statement

RINGS = 64
"""Most rings of a notice."""
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
        shape = {**dict.fromkeys(TABLES, {"*": "any"}), "charter": "any", "stopped": "text"}
        demand(conforms(self.tables, shape), "bad_start", "not the tables of a state")
        law = self.tables["charter"]
        self.charter = Charter(law["body"], law["id"]) if law else None
        self._digest = (-1, "")

    def __getattr__(self, table: str) -> Json:
        """Give a table by its name."""
        if table not in TABLES and table != "stopped":
            raise AttributeError(table)
        return self.tables[table]

    def digest(self) -> str:
        """Give the SHA-256 of size, root and tables, in hex."""
        if self._digest[0] != self.tree.size:
            whole = encode([self.tree.size, self.tree.root().hex(), self.tables])
            self._digest = (self.tree.size, sha256(whole.encode()).hexdigest())
        return self._digest[1]

    def law(self) -> Charter:
        """Give the charter in force (`Refused`, `bad_charter`, if there is none yet)."""
        if self.charter is None:
            raise Refused("bad_charter", "no charter has been followed yet")
        return self.charter

    def find(self, table: str, subject: str) -> Json:
        """Give a row (`Refused`, `unknown_subject`, if the log has not said it before)."""
        demand(subject in self.tables[table], "unknown_subject", f"`{subject}` in {table}")
        return self.tables[table][subject]


def fold(state: State, entries: Iterable[bytes]) -> list[Refused | None]:
    """Apply entries in order; the state is the caller's own and is changed in place.

    Returns: for each entry None, or why it was a no-op.
    """
    verdicts: list[Refused | None] = []
    for entry in entries:
        verdict = None
        try:
            _apply(state, entry)
        except Refused as refusal:
            verdict = refusal
        verdicts.append(verdict)
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
        by_old = open_statement(entry, "authority", old.owners).people
        follows = body["number"] == old.body["number"] + 1 and body["previous"] == old.id
        demand(follows and fleet == state.fleet, "stale_charter", f"number {body['number']}")
        _enough(by_old, old, "charter")
        logs, tree = [c.body["logs"]["authority"]["origin"] for c in (old, new)], state.tree
        here = {"size": tree.size, "root": tree.root().hex(), "state": state.digest()}
        moved = logs[0] == logs[1] or body["start"] == {"origin": logs[0], **here}
        demand(moved, "bad_start", "the new log does not start where this state stands")
    _enough(statement.people, new, "charter")
    state.charter, state._digest = new, (-1, "")
    state.tables["charter"] = {"body": body, "id": new.id}


def _enough(people: set[str], law: Charter, what: str) -> None:
    need = law.body["thresholds"][what]
    demand(len(people) >= need, "not_enough_people", f"{len(people)} signed where {need} must")


def admit(entry: bytes, law: Charter, fleet: str) -> Statement:
    """Open an entry of the authority log that is for this fleet and charter, within its cap.

    Raises:
        Refused: the reason why the fold would not even look at it.
    """
    statement = open_statement(entry, "authority", law.owners)
    said, cap = statement.envelope, law.body["caps"].get(statement.kind)
    demand(said["fleet"] == fleet, "wrong_fleet", f"`{said['fleet']}`")
    origin = law.body["logs"]["authority"]["origin"]
    demand(said["origin"] == origin, "wrong_origin", f"`{said['origin']}`")
    demand(not cap or len(entry) <= cap["bytes"], "too_large", f"a {statement.kind}")
    demand(said["charter"] == law.body["number"], "stale_charter", f"number {said['charter']}")
    return statement


def is_charter(entry: bytes) -> bool:
    """Tell whether an entry claims to be a charter."""
    return entry.rpartition(b"\n\n")[0].endswith(b'"type":"charter","version":1}')


def _apply(state: State, entry: bytes) -> None:
    law = state.charter
    if law is None or is_charter(entry):
        succeed(state, entry)
        return
    statement = admit(entry, law, state.fleet)
    if not statement.known:
        state.tables["stopped"] = f"{statement.kind}/v{statement.envelope['version']}"
        raise Refused("unknown_record", f"`{state.stopped}` needs a newer kernel")
    demand(statement.id not in state.seen, "duplicate", f"`{statement.id}` was said before")
    _RULES[statement.kind](state, law, statement)
    state.seen[statement.id] = state.tree.size


def _authorization(state: State, law: Charter, s: Statement) -> None:
    body, signers = s.body, law.with_role(s.people, "approver")
    _enough(signers, law, "authorization")
    sound = body["clauses"] and all(c["rings"] and min(c["rings"]) > 0 for c in body["clauses"])
    hours = all(len(h) == 2 for h in body["hours"]) and body["owner"] in law.body["people"]
    demand(sound and hours, "malformed", "an authorization's clauses, hours or owner")
    state.authorizations[s.id] = {"index": state.tree.size, "body": body, "by": sorted(signers)}


def _revocation(state: State, law: Charter, s: Statement) -> None:
    target, by = state.find("authorizations", s.body["authorization"]), s.one("person")
    may = by == target["body"]["owner"] or law.with_role({by}, "approver")
    demand(may, "not_admissible", f"`{by}` is neither owner nor approver")
    state.revoked[s.body["authorization"]] = state.tree.size


def _enrolment(state: State, law: Charter, s: Statement) -> None:
    _enough(law.with_role(s.people, "fleet"), law, "enrolment")
    state.enrolments[s.id] = {**s.body, "by": sorted(s.people)}


def release_origin(fleet: str, charter: int, feed: str) -> str:
    """Give the origin under which attesters cosign a snapshot of a feed."""
    return f"answerable/release/v1/{fleet}/{charter}/{feed}"


def _release(state: State, law: Charter, s: Statement) -> None:
    feed, data, time = s.body["feed"], s.body["checkpoint"].encode(), s.body["time"]
    origin = release_origin(state.fleet, law.body["number"], feed)
    if s.people or s.body["model"]:
        _enough(law.with_role(s.people, "approver"), law, "release")
        snapshot = parse_checkpoint(data)
    else:
        agreed = cosigned(data, origin, law.guards["attester"], law.quorum)
        snapshot, time = agreed.checkpoint, agreed.present
    known = feed in law.body["feeds"] and snapshot.origin == origin
    demand(known, "unknown_subject", f"the feed `{feed}`")
    row = {"feed": feed, "size": snapshot.size, "root": snapshot.root.hex(), "time": time}
    state.releases[s.id] = row
    state.newest[feed] = s.id


def _withdrawal(state: State, law: Charter, s: Statement) -> None:
    demand(law.with_role(s.people, "approver") or s.one("guard"), "not_admissible")
    state.withdrawn.update(dict.fromkeys(s.body["artefacts"] + s.body["facts"], state.tree.size))


def _notice(state: State, law: Charter, s: Statement) -> None:
    body, by = s.body, s.one("person" if s.people else "planner")
    sound = 1 <= len(body["rings"]) <= RINGS and min(r["size"] for r in body["rings"]) > 0
    demand(sound, "malformed", "a notice's rings")
    state.notices[s.leaf] = {
        "index": state.tree.size, "body": body, "id": s.id, "deliveries": [], "seen": {},
        "newest": set(body["releases"]) <= set(state.newest.values()), "approvals": {},
        "proposers": sorted({by, body["author"]}), "advances": {}, "failures": {},
    }  # fmt: skip


def _delivery(state: State, law: Charter, s: Statement) -> None:
    guard, b, notice = s.one("guard"), s.body, state.find("notices", s.body["notice"])
    known = b["plan"] == notice["body"]["plan"] and b["person"] in law.body["people"]
    demand(known, "unknown_subject", "another plan, or a person who is not listed")
    notice["deliveries"].append([guard, b["person"], b["status"], b["time"], state.tree.size])


def _seen(state: State, law: Charter, s: Statement) -> None:
    state.find("notices", s.body["notice"])["seen"].setdefault(s.one("person"), state.tree.size)


def _approval(state: State, law: Charter, s: Statement) -> None:
    person, given = s.one("person"), state.find("notices", s.body["notice"])["approvals"]
    given[person] = s.body["undo"] or given.get(person, False)


def _scope(law: Charter, person: str) -> list[str]:
    return [z for z, rule in law.body["zones"].items() if person in rule["objectors"]]


def _veto(state: State, law: Charter, s: Statement) -> None:
    person, nothing = s.one("person"), {"body": {"artefacts": [], "targets": []}}
    demand(zones := _scope(law, person), "not_admissible", f"`{person}` objects for no zone")
    noticed = state.notices.get(s.body["notice"], nothing)["body"]
    things = {k: s.body[k] + noticed[k] for k in ("artefacts", "targets")}
    state.vetoes[s.id] = {**s.body, **things, "by": person, "zones": zones}


def _halt(state: State, law: Charter, s: Statement) -> None:
    person, zones = s.one("person"), set(s.body["zones"])
    may = zones and zones <= set(_scope(law, person))
    demand(may, "not_admissible", f"`{person}` does not object for these zones")
    state.halts[s.id] = {"by": person, "zones": sorted(zones)}


def _lift(state: State, law: Charter, s: Statement) -> None:
    _enough(law.with_role(s.people, "approver"), law, "lift")
    held = state.vetoes.keys() | state.halts.keys()
    demand(held >= set(s.body["lifts"]), "unknown_subject", "no such veto or halt")
    state.lifted.update(dict.fromkeys(s.body["lifts"], state.tree.size))


def _advance(state: State, law: Charter, s: Statement) -> None:
    observer, b = s.one("observer"), s.body
    ring = state.find("notices", b["notice"])["advances"].setdefault(str(b["ring"]), {})
    ring[observer] = [b["since"], b["until"]]


def _failure(state: State, law: Charter, s: Statement) -> None:
    observer, b = s.one("observer"), s.body
    host = state.find("notices", b["notice"])["failures"].setdefault(b["host"], {})
    host.setdefault(b["change"], {})[observer] = [b["order"], b["cause"]]


_RULES: dict[str, Callable[[State, Charter, Statement], None]] = {
    kind: globals()[f"_{kind}"] for kind in AUTHORITY if kind != "charter"
}
