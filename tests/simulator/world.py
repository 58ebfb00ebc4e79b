"""The simulator: one fleet in memory, on the real kernel and real signatures.

    sim = Simulator()
    order = sim.permitted()             # planned, noticed, told, waited for: shown Permitted
    sim.tell("veto", {...}, "lee")      # one mutation
    sim.ask(order)                      # Refused, `vetoed`

`Simulator(**knobs)` founds the fleet, enrols hosts, signs the authorization and releases facts;
`play` plans, notices, tells and waits, each step with knobs; `ask` is one host's question to the
kernel with fresh replies of the guards. Time is `sim.now`, POSIX seconds; nothing sleeps. Whatever
a thief can do is a method or a knob: the simulator checks nothing itself.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256

from answerable.host.versions import order as version_order
from answerable.kernel.canon import Json, decode, encode
from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.errors import Refused
from answerable.kernel.fold import State, fold, release_origin, succeed
from answerable.kernel.fresh import Freshness, fresh_origin
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.verify import Enrolled, Host, Permit, consumption, verify
from answerable.keys.sign import consume_text, sign_note, signature_line, statement_text
from tests.simulator import constitution as law
from tests.simulator.keys import FIDO_PEOPLE, signer, ssh_payload
from tests.simulator.log import cosigned_note, inclusion, tree_of

Edit = Callable[[Json], object]
TOLD = tuple((guard, person) for guard in ("g1", "g2", "g3") for person in ("lee", "mo", "kim"))
"""Who tells whom by default: three guards reach the objectors of every zone."""


@dataclass
class Order:
    """One host's order under one notice, and what its bundle is made of."""

    host: str
    text: str
    ring: int
    index: int
    path: list[str]
    notice: str
    checkpoint: str
    facts: list[str]
    more: Json = field(default_factory=dict)

    @property
    def hash(self) -> str:
        """The hash by which the kernel names the order."""
        return sha256(self.text.encode()).hexdigest()


@dataclass
class Member:
    """A host of the fleet: what it keeps beside the log."""

    enrolled: Enrolled
    installed: dict[str, str]
    consumed: list[str] = field(default_factory=list)
    failed: set[str] = field(default_factory=set)
    zones: frozenset[str] = frozenset()
    staged: dict[str, str] = field(default_factory=dict)
    rehearsed: dict[str, tuple[str, list[str]]] = field(default_factory=dict)
    state: State | None = None
    """Its own fold; None: it follows the log to its end."""


def statement_id(entry: bytes) -> str:
    """Give the id of a statement: the hash of its text."""
    return sha256(entry.rpartition(b"\n\n")[0] + b"\n").hexdigest()


def nothing(_: Json) -> None:
    """Leave a value as it is."""


class Simulator:
    """A founded fleet with one standing authorization and one released snapshot of facts."""

    def __init__(
        self,
        charter: Edit = nothing,
        authorization: Edit = nothing,
        enrolment: Edit = nothing,
        facts: Sequence[str] = law.FACTS,
    ) -> None:
        """Found the fleet; each argument edits what is about to be signed."""
        self.knobs = (charter, authorization, enrolment, facts)
        self.now, self.nonces = law.T0, 0
        self.history: list[tuple[bool, bytes]] = []
        self.acks: dict[str, bytes] = {}
        self.plans: dict[str, list[list[str]]] = {}
        self.snapshots: dict[str, tuple[str, ...]] = {}
        self.charter, terms = law.charter(), law.authorization()
        charter(self.charter)
        self.fleet = ""
        entry = self.write("charter", self.charter, "dana", "lee")
        self.fleet = statement_id(entry)
        self.state = State(self.fleet)
        self.must(entry)
        self.records = self._records()
        enrolment(self.records)
        self.members = self.enrol(self.records)
        self.release(facts)
        authorization(terms)
        self.authorization = self.tell("authorization", terms, "dana", "kim")
        self.authorized = self.checkpoint()
        self.now += 2 * law.HOUR

    def _records(self) -> dict[str, Json]:
        return {
            host: {"host": host, "instance": sha256(host.encode()).hexdigest(),
                   "key": signer(host).key.vkey(), "zones": zones}
            for host, zones in law.HOSTS.items()
        }  # fmt: skip

    # --- what people and machines say -----------------------------------------------------------

    @property
    def origin(self) -> str:
        """The origin of the authority log in force."""
        return str(self.charter["logs"]["authority"]["origin"])

    def write(self, kind: str, body: Json, *by: str, **envelope: Json) -> bytes:
        """Sign a statement: by people (`dana`, `dana:2`, `fay:touch`) or machines (`g1`, `o1`)."""
        self.nonces += 1
        given = {"charter": self.charter["number"], "fleet": self.fleet, "origin": self.origin,
                 "nonce": f"{self.nonces:032x}", **envelope}  # fmt: skip
        version = given.pop("version", 1)
        namespace = given.pop("namespace", f"answerable/{kind}/v{version}")
        text = statement_text(kind, body, **given)
        text = text.removesuffix("1}\n") + f"{version}}}\n"
        lines = [self._line(who, text, namespace) for who in by]
        return (text + "\n" + "".join(lines)).encode()

    def _line(self, who: str, text: str, namespace: str) -> str:
        if who.partition(":")[0] in law.PEOPLE.keys() | FIDO_PEOPLE | self.charter["people"].keys():
            key, payload = ssh_payload(who, text.encode(), namespace)
            return signature_line(key, payload)
        machine = signer(f"{who}.example/herald" if who in self.charter["guards"] else who)
        return signature_line(machine.key, machine.sign_raw(text.encode()))

    def append(self, entry: bytes) -> Refused | None:
        """Put an entry into the log, whatever it is; give the fold's verdict."""
        self.history.append((True, entry))
        return fold(self.state, [entry])[0]

    def must(self, entry: bytes) -> str:
        """Append an entry that the fold has to take; give its leaf hash."""
        verdict = self.append(entry)
        assert verdict is None, verdict
        return leaf_hash(entry).hex()

    def tell(self, kind: str, body: Json, *by: str, **envelope: Json) -> str:
        """Sign, append, and give the statement's id (a notice's leaf hash: see `notice`)."""
        entry = self.write(kind, body, *by, **envelope)
        self.must(entry)
        return statement_id(entry)

    def succeed(self, edit: Edit, *by: str, logged: bool = True) -> bytes:
        """Put the next charter into force, through the log or from anywhere else."""
        entry = self.next_charter(edit, *by)
        self.history.append((logged, entry))
        if logged:
            assert fold(self.state, [entry]) == [None]
        else:
            succeed(self.state, entry)
        self.charter = deepcopy(self.state.law().body)
        return entry

    def next_charter(self, edit: Edit, *by: str) -> bytes:
        """Sign a successor of the charter in force."""
        body = deepcopy(self.charter)
        body |= {"number": body["number"] + 1, "previous": self.state.law().id}
        edit(body)
        return self.write("charter", body, *by, charter=body["number"])

    # --- the fleet's own records ----------------------------------------------------------------

    def enrol(self, records: Mapping[str, Json], *by: str) -> dict[str, Member]:
        """Sign a batch of host records; give the hosts that keep them."""
        texts = [encode(record) for record in records.values()]
        tree = tree_of(texts)
        body = {"size": tree.size, "root": tree.root().hex()}
        batch = self.tell("enrolment", body, *(by or ("dana", "lee")))
        installed = {"libssl3": law.OLD, "openssl": law.OLD, "liblzma5": "5.4.1-0",
                     "curl": "7.88.1-10+deb12u5"}  # fmt: skip
        have = {f"{law.DEBIAN}/{package}": version for package, version in installed.items()}
        paths = [list(map(bytes.fromhex, inclusion(tree, i))) for i in range(tree.size)]
        kept = zip(records, texts, paths, strict=True)
        return {
            host: Member(Enrolled(text, batch, index, path), dict(have))
            for index, (host, text, path) in enumerate(kept)
        }

    def snapshot(
        self, facts: Sequence[str], time: int | None = None,
        guards: Iterable[str] = law.GUARDS, feed: str = law.FEED,
    ) -> str:  # fmt: skip
        """Let attesters cosign the tree of these facts."""
        tree = tree_of(facts)
        origin = release_origin(self.fleet, self.charter["number"], feed)
        times = dict.fromkeys(guards, self.now if time is None else time)
        return cosigned_note(Checkpoint(origin, tree.size, tree.root()), "attester", times).decode()

    def release(self, facts: Sequence[str] = law.FACTS, **snapshot: Json) -> str:
        """Put a snapshot that the attesters agree on into service."""
        feed = snapshot.get("feed", law.FEED)
        body = {"feed": feed, "checkpoint": self.snapshot(facts, **snapshot), "model": "",
                "time": 0}  # fmt: skip
        self.released = self.tell("release", body, "planner1")
        self.snapshots[self.released] = tuple(facts)
        return self.released

    # --- planning, noticing, telling, waiting ---------------------------------------------------

    def orders(self, rings: Sequence[Sequence[str]], edit: Edit = nothing) -> list[list[str]]:
        """Write the orders of a plan; hosts that are not enrolled are fillers."""
        plan = []
        for ring, hosts in enumerate(rings):
            texts = []
            for host in hosts:
                instance = self.records.get(host, {"instance": "00" * 32})["instance"]
                body = law.order(self.fleet, host, instance, ring)
                edit(body)
                texts.append(encode(body))
            plan.append(texts)
        return plan

    def notice_body(self, plan: Sequence[Sequence[str]]) -> Json:
        """Give an honest notice of these orders, valid for twelve hours from now."""
        orders = [law_order for ring in plan for law_order in map(_decoded, ring)]
        moves = [_moves(order, "changes") for order in orders]
        artefacts = sorted({p["sha256"] for some in moves for _, p in some})
        targets = sorted({f"{e}/{p['name']}@{p['to']}" for some in moves for e, p in some})
        undo = sorted({p["sha256"] for order in orders for _, p in _moves(order, "undo")})
        trees = [tree_of(ring) for ring in plan]
        return {
            "plan": sha256(encode(list(plan)).encode()).hexdigest(), "author": "planner1",
            "basis": "authorization", "authorization": self.authorization, "clause": "urgent",
            "rings": [{"size": t.size, "root": t.root().hex()} for t in trees],
            "artefacts": artefacts, "targets": targets, "undo_artefacts": undo,
            "releases": [self.released], "zones": [], "window": 1800, "soak": 600,
            "not_before": self.now, "not_after": self.now + 12 * law.HOUR,
            "undo_not_after": self.now + 2 * law.WEEK, "emergency": False,
        }  # fmt: skip

    def notice(self, body: Json, by: str = "planner1") -> str:
        """Log a notice; give its leaf hash."""
        return self.must(self.write("notice", body, by))

    def deliver(
        self, notice: str, told: Iterable[tuple[str, str]] = TOLD, status: str = "accepted",
        **other: Json,
    ) -> None:  # fmt: skip
        """Let heralds say that a notice reached these people."""
        plan = self.state.notices[notice]["body"]["plan"]
        for guard, person in told:
            body = {"notice": notice, "plan": plan, "person": person, "channel": "mail",
                    "status": status, "time": self.now, **other}  # fmt: skip
            self.tell("delivery", body, guard)

    def play(
        self,
        host: str = "web1",
        *,
        rings: Sequence[Sequence[str]] = law.RINGS,
        edit: Edit = nothing,
        notice: Edit = nothing,
        by: str = "planner1",
        told: Iterable[tuple[str, str]] = TOLD,
        wait: int = 2_000,
        before: Callable[[str], object] = lambda _: None,
    ) -> Order:
        """Plan, log the notice, do `before` with its leaf, tell people, and wait."""
        plan = self.orders(rings, edit)
        body = self.notice_body(plan)
        notice(body)
        leaf = self.notice(body, by)
        self.plans[leaf] = plan
        before(leaf)
        self.deliver(leaf, told)
        checkpoint = self.checkpoint()
        self.now += wait
        return self.order(leaf, host, checkpoint)

    def order(self, notice: str, host: str, checkpoint: str) -> Order:
        """Give a host's order of a plan that was played."""
        ring, index, text = next(
            (ring, index, text)
            for ring, texts in enumerate(self.plans[notice])
            for index, text in enumerate(texts)
            if _decoded(text)["host"] == host
        )
        path = inclusion(tree_of(self.plans[notice][ring]), index)
        release = self.state.notices[notice]["body"]["releases"][0]
        known = self.snapshots.get(release, law.FACTS)
        facts = [fact for fact in known if _about(fact, text)]
        return Order(host, text, ring, index, path, notice, checkpoint, facts)

    def permitted(self, host: str = "web1", change: str = "up", **knobs: Json) -> Order:
        """Play, and show that the host may do the change now."""
        order = self.play(host, **knobs)
        verdict = self.ask(order, change)
        assert isinstance(verdict, Permit), verdict
        return order

    def mutant(self, host: str = "web1", change: str = "up", **knobs: Json) -> Permit | Refused:
        """Play the same once more from the founding, with something different, and ask."""
        twin = Simulator(*self.knobs)
        return twin.ask(twin.play(host, **knobs), change)

    def advance(
        self, order: Order, ring: int, observers: Iterable[str] = law.OBSERVERS, soak: int = 600
    ) -> None:
        """Let time pass and observers say that a ring may start."""
        since = self.now
        self.now += soak
        for observer in observers:
            body = {"notice": order.notice, "ring": ring, "since": since, "until": self.now,
                    "seen": ["ab" * 32]}  # fmt: skip
            self.tell("advance", body, observer)

    # --- what a host is given -------------------------------------------------------------------

    def checkpoint(
        self, tree: Tree | None = None, size: int | None = None,
        times: Mapping[str, int] | None = None, guards: Iterable[str] = law.GUARDS,
    ) -> str:  # fmt: skip
        """Give the log's checkpoint, cosigned by guards now or at times of their own."""
        tree = tree or self.state.tree
        size = tree.size if size is None else size
        stamps = dict.fromkeys(guards, self.now) | dict(times or {})
        at = Checkpoint(self.origin, size, tree.root(size))
        return cosigned_note(at, "witness", stamps, log=self.origin).decode()

    def bundle(self, order: Order, /, **changes: Json) -> bytes:
        """Spell the file that a host downloads."""
        release = self.state.notices[order.notice]["body"]["releases"][0]
        facts = [self.fact(release, text) for text in order.facts]
        body = {
            "order": order.text, "index": order.index, "path": order.path, "notice": order.notice,
            "checkpoint": order.checkpoint, "authorization_checkpoint": self.authorized,
            "facts": facts,
        }  # fmt: skip
        return encode({**body, **order.more, **changes}).encode()

    def fact(self, release: str, text: str) -> Json:
        """Give a fact as a bundle carries it, with its path in a released snapshot."""
        known = self.snapshots.get(release, law.FACTS)
        index = known.index(text)
        path = inclusion(tree_of(known), index)
        return {"fact": text, "release": release, "index": index, "path": path}

    def state_at(self, size: int) -> State:
        """Give the fold of the log's first `size` entries (and of charters from elsewhere)."""
        state = State(self.fleet)
        for logged, entry in self.history:
            if state.tree.size == size and logged:
                break
            if logged:
                fold(state, [entry])
            else:
                succeed(state, entry)
        return state

    def reply(
        self, guard: str, host: str, nonce: str, *, time: int | None = None,
        state: State | None = None, last: bytes | None = None, role: str = "post", **leaf: Json,
    ) -> bytes:  # fmt: skip
        """Let a guard answer a nonce in a batch of two, with the state that it has (or claims)."""
        state = state or self.state
        tree = state.tree
        head = {"origin": self.origin, "root": tree.root().hex(), "size": tree.size,
                "state": state.digest()}  # fmt: skip
        last = self.acks.get(host, b"") if last is None else last
        digest = sha256(last).hexdigest() if last else ""
        mine = encode({"head": head, "host": host, "last": digest, "nonce": nonce} | leaf)
        other = encode({"head": head, "host": "other", "last": "", "nonce": "ff" * 16})
        batch = tree_of([mine, other])
        at = Checkpoint(fresh_origin(self.fleet), 2, batch.root())
        note = cosigned_note(at, role, {guard: self.now if time is None else time})
        return encode({
            "checkpoint": note.decode(), "index": 0, "last": last.decode(), "leaf": mine,
            "path": inclusion(batch, 0),
        }).encode()  # fmt: skip

    def fresh(
        self, host: str, guards: Iterable[str] = law.GUARDS, *,
        times: Mapping[str, int] | None = None, states: Mapping[str, State] | None = None,
        lasts: Mapping[str, bytes] | None = None, role: str = "post",
    ) -> Freshness:  # fmt: skip
        """Ask guards with a new nonce, some with clocks, histories or memories of their own."""
        self.nonces += 1
        nonce = f"{self.nonces:032x}"
        say = partial(self.reply, host=host, nonce=nonce, role=role)
        times, states, lasts = times or {}, states or {}, lasts or {}
        replies = [
            say(g, time=times.get(g), state=states.get(g), last=lasts.get(g)) for g in guards
        ]
        return Freshness(nonce, self.boot(), tuple(replies))

    def boot(self) -> float:
        """Give the boot-time clock of every host, seconds."""
        return float(self.now - law.T0 + 100)

    def host(self, order: Order, change: str = "up", **changes: Json) -> Host:
        """Give what a host knows of itself; it stages and rehearses just what its order names."""
        name, member, body = order.host, self.members[order.host], _decoded(order.text)
        about = [c for c in body["changes"] + body["undo"] if c["id"] == change]
        staged = {p["name"]: p["sha256"] for c in about for p in c.get("packages", ())}
        seen = {c["id"]: (c["effects"], c["classes"]) for c in about if "effects" in c}
        known = Host(
            enrolled=member.enrolled,
            freshness=changes.pop("freshness", None) or self.fresh(name),
            order=version_order,
            installed=member.installed,
            consumed=tuple(member.consumed),
            staged=staged | member.staged,
            failed=frozenset(member.failed),
            zones=member.zones,
            rehearsed=seen | member.rehearsed,
        )
        return known._replace(**changes)

    # --- asking and acting ----------------------------------------------------------------------

    def ask(
        self, order: Order, change: str = "up", *, host: Host | None = None,
        bundle: bytes | None = None, state: State | None = None, now: float | None = None,
        **changes: Json,
    ) -> Permit | Refused:  # fmt: skip
        """Ask the kernel, as the host of the order, whether it may do one change now.

        `changes` are of what the host knows of itself (`freshness`, `installed`, `consumed`, ..).
        """
        host = host or self.host(order, change, **changes)
        state = state or self.members[order.host].state or self.state
        given = self.bundle(order) if bundle is None else bundle
        return verify(given, change, state, host, self.boot() if now is None else now)

    def act(self, order: Order, change: str = "up") -> Permit:
        """Be permitted, consume, tell the guards, and move what is installed."""
        permit = self.ask(order, change)
        assert isinstance(permit, Permit), permit
        member = self.members[order.host]
        member.consumed.append(permit.consumed)
        text = consume_text(self.fleet, order.host, len(member.consumed), permit.consumed)
        self.acks[order.host] = sign_note(text, signer(order.host))
        for package in permit.change.get("packages", ()):
            member.installed[f"{permit.change['ecosystem']}/{package['name']}"] = package["to"]
        return permit

    def fail(self, order: Order, change: str = "health", cause: str = "health", by: str = "o1",
             ) -> None:  # fmt: skip
        """Let a host report that a change failed, and an observer say the same."""
        own = consumption(order.notice, order.hash, change)
        self.members[order.host].failed.add(own)
        body = {"notice": order.notice, "order": order.hash, "change": change, "host": order.host,
                "report": "cd" * 32, "cause": cause}  # fmt: skip
        self.tell("failure", body, by)


def _decoded(text: str) -> Json:
    return decode(text.encode(), 1 << 20)


def _about(fact: str, order: str) -> bool:
    return _decoded(fact).get("sha256", law.fact_id(fact)) in order


def _moves(order: Json, part: str) -> list[tuple[str, Json]]:
    found = [c for c in order[part] if "packages" in c]
    return [(c["ecosystem"], p) for c in found for p in c["packages"]]
