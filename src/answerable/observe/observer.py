"""An observer: looks at hosts by a way of its own, and says what it saw.

Each `look_around` follows both logs and then, order by order of every plan that was noticed:

1. A host says that its order is done, or undone, and it is so: versions, every file as the packages
   ship it, the service: `observation`, succeeded.
2. A host says so, or that a part is done, and in `LOOKS` looks in a row it is not so:
   `observation`, failed, and `finding` `self_report_false`; also `files_differ` if the versions are
   right and the files are others, now or at the end of the soak.
3. A host says that a change failed, and it is so: `observation`, failed, and `failure` in the
   authority log, which an undo needs. If it is not so in `LOOKS` looks: `finding`
   `failure_not_seen`, and nothing else; a made-up failure rolls nothing back.
4. A host that cannot be looked at for `LOOKS` looks after it reported: `observation`, unreachable,
   and, if it reported a failure, `failure` for that cause, on which only people may undo.
5. Ring k is complete when this observer saw every host of it succeed, none fail, and no host of it
   reported a failure. When the soak has passed between two cosigned times of the report log, every
   host of the ring is looked at again; if all are well: `advance` for ring k+1. A host that is not,
   for `LOOKS` looks, is an `observation`, failed, and the ring never advances.

6. A host whose order is done or undone as it says, and whose posture is weaker than when this
   observer last looked (drift.py), in a way that no effect of the authorization announced:
   `observation`, failed, and `finding` `posture_weakened`.
7. A host that is as it says, on which programs still use what was replaced: also `finding`
   `not_effective`. It holds nothing back, since some such programs go on until a reboot.

8. Every `reconcile` seconds each host's versions and images are held against the records of changes
   (reconcile.py), and the files of what they brought against the packages: `finding`
   `unexplained_change`, `files_differ`.
9. A package that neither this observer can fetch nor anybody gives was not compared: nothing is
   said, and the ring waits.

Nothing is said twice: what was said is read from the logs themselves, so the observer may be killed
anywhere. An observer only says what it saw; that f+1 of them must agree, and what follows from it,
is for hosts and people.

Left out: decoys, drills, audit agents.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeVar

from answerable.kernel.canon import Json, encode
from answerable.kernel.charter import Signatory
from answerable.kernel.checkpoint import Cosigned
from answerable.kernel.errors import Refused, Unavailable
from answerable.kernel.note import Key
from answerable.kernel.verify import Enrolled
from answerable.keys.sign import Signer, sign_note, statement_text
from answerable.ledger.client import Source
from answerable.ledger.enrolments import host_key
from answerable.observe.baseline import Baselines
from answerable.observe.containers import Held
from answerable.observe.drift import sentence
from answerable.observe.files import Compared
from answerable.observe.follow import Authority, Record, Reports
from answerable.observe.judge import Due, Said, Verdict, due, judge, named
from answerable.observe.look import Place, Sight, Unseen
from answerable.observe.memory import Memory
from answerable.observe.plans import Planned
from answerable.observe.posture import Posture
from answerable.observe.reconcile import Books, Images, Unexplained, given, lying, moved
from answerable.observe.shipped import CannotRead

LOOKS = 3
"""Looks in a row that must contradict a host before it is said."""
WORKERS = 8
"""How many hosts are looked at at once, so that those which do not answer hold nobody up."""
CITED = 500
"""Most reports that an `advance` cites; a larger ring is cited by its first ones."""


class NotAnObserver(Unavailable):
    """The charter does not name this key as an observer's."""


class Watched(NamedTuple):
    """A host that this observer can look at, and the record it was enrolled with."""

    place: Place
    enrolled: Enrolled


@dataclass(frozen=True)
class Ports:
    """What an observer reaches.

    `plans`: (notice's leaf hash, its body) -> orders. `look`: raises `Unseen`. `submit`: (log,
    entry), raises `Refused` or `Unavailable`. `clock`: POSIX seconds. `posture`: of a host's disk,
    None for an environment that has none; raises `Unseen`. `files`: (host, package -> SHA-256),
    raises `Unseen` or `CannotRead`. `images`: place -> digests by name, raises `Unseen`. `held`:
    images that lie on a host, raises `Unseen`.
    """

    authority: Source
    report: Source
    plans: Callable[[str, Json], Sequence[Planned]]
    look: Callable[[Place], Sight]
    submit: Callable[[str, bytes], Any]
    clock: Callable[[], int]
    posture: Callable[[Place], Posture | None]
    files: Callable[[Place, Mapping[str, str]], Compared]
    images: Callable[[Path], Mapping[str, str]]
    held: Callable[[Place], Held]


class Rounds(NamedTuple):
    """Reconciliation: every how many seconds, and further places that hold images, by name."""

    every: int = 300
    images: Mapping[str, Path] = MappingProxyType({})


ROUNDS = Rounds()
BOOKS = "reconciled"
"""Where the accounts of hosts lie, below an observer's directory."""
_Round = tuple[Sequence[Unexplained], Sequence[str]]
Looked = Verdict | Unseen | CannotRead
"""What came of one look."""


class _Subject(NamedTuple):
    notice: str
    planned: Planned

    @property
    def host(self) -> str:
        return str(self.planned.order["host"])

    @property
    def key(self) -> tuple[str, str]:
        return (self.notice, self.planned.digest)


One = TypeVar("One")
Answer = TypeVar("Answer")


def together(ask: Callable[[One], Answer], of: Sequence[One]) -> list[Answer]:
    """Ask about several at once; give the answers in their order."""
    if not of:
        return []
    with ThreadPoolExecutor(WORKERS) as pool:
        return list(pool.map(ask, of))


class Observer:
    """One observer; `look_around` again and again."""

    def __init__(
        self, ports: Ports, signer: Signer, charter: bytes, hosts: Mapping[str, Watched],
        memory: Memory, rounds: Rounds = ROUNDS,
    ) -> None:  # fmt: skip
        """Begin where the memory says.

        Raises:
            Refused: if the charter is none.
            NotAnObserver: if it does not name this observer's key.
        """
        self._ports, self._signer, self._hosts, self._memory = ports, signer, hosts, memory
        self.authority = Authority(ports.authority, charter, memory.keep)
        kind, self.name = self.authority.law.owners.get(signer.key, ("", ""))
        if kind != "observer":
            raise NotAnObserver(f"no observer of the charter has the key `{signer.key.vkey()}`")
        self.reports = Reports(ports.report, memory.start, memory.report)
        self._baselines = Baselines(memory.path.parent / "postures", ports.posture)
        self._books = Books(memory.path.parent / BOOKS)
        self._rounds, self._reconciled = rounds, 0
        self.trouble: list[str] = []
        self._remembered = memory.authority
        self._plans: dict[str, Sequence[Planned]] = {}
        self._said: dict[tuple[str, str], dict[str, Said]] = {}
        self._mine: dict[tuple[str, str], dict[tuple[str, str], str]] = {}
        self._findings: set[str] = set()
        self._first: dict[str, int] = {}
        self._doubts: dict[tuple[str, str, str], int] = {}
        self._sent: set[tuple[str, ...]] = set()

    def look_around(self) -> None:
        """Follow the logs, look at what is due, and say it.

        Raises:
            Refused: if a log contradicts itself; then nothing more is to be said.
            Unavailable: if a log cannot be read now.
        """
        self.trouble = []
        self._meet()
        head = self.authority.follow(self._remembered)
        seen, records = self.reports.follow(self.authority, self._keys())
        self._remembered = None
        for record in records:
            self._take(record)
        subjects = {notice: self._subjects(notice) for notice in self.authority.state.notices}
        due = [row for each in subjects.values() for one in each for row in self._due(one)]
        looked = self._look([(subject.host, claim) for subject, claim in due])
        for (subject, claim), verdict in zip(due, looked, strict=True):
            self._take_in(subject, claim, verdict)
        for notice, each in subjects.items():
            self._rings(notice, each, seen)
        self._reconcile([one for each in subjects.values() for one in each])
        self._remember(head)

    def _meet(self) -> None:
        """Take the posture of every host that this observer has not looked at before."""

        def first(name: str) -> str:
            try:
                self._baselines.first(name, self._hosts[name].place)
            except Unseen as error:
                return f"`{name}`: {error}"
            return ""

        self.trouble += filter(None, together(first, self._baselines.unmet(self._hosts)))

    def _keys(self) -> dict[Key, Signatory]:
        """Give the keys of watched hosts whose enrolment stands in the log."""
        found: dict[Key, Signatory] = {}
        for name, watched in self._hosts.items():
            try:
                watched.enrolled.prove(self.authority.state)
                key = host_key(watched.enrolled)
            except Refused as refusal:
                self.trouble.append(f"`{name}` is not enrolled: {refusal.reason}")
                continue
            if key.name == name:
                found[key] = ("host", name)
        return found

    def _take(self, record: Record) -> None:
        body, said = record.said.body, record.said
        if said.kind == "report":
            known = self._said.setdefault((body["notice"], body["order"]), {})
            old = known.get(body["change"])
            newer = old is None or old.seq <= body["seq"]
            # A refusal after the fact says nothing about what was done before.
            if newer and not (old and body["result"] == "refused"):
                known[body["change"]] = Said(record.leaf, body["result"], body["seq"])
        elif ("observer", self.name) in said.signers and said.kind == "observation":
            mine = self._mine.setdefault((body["notice"], body["order"]), {})
            mine[body["change"], body["result"]] = record.leaf
        elif ("observer", self.name) in said.signers and said.kind == "finding":
            self._findings.add(f"{body['kind']} {body['subject']}")
        if "notice" in body:
            self._first.setdefault(body["notice"], record.place)

    def _subjects(self, notice: str) -> list[_Subject]:
        if notice not in self._plans:
            body = self.authority.state.notices[notice]["body"]
            if not any(of == notice for of, _ in self._said):
                return []
            try:
                self._plans[notice] = self._ports.plans(notice, body)
            except Unavailable as error:
                self.trouble.append(str(error))
                return []
        return [_Subject(notice, planned) for planned in self._plans[notice]]

    # --- one host ---------------------------------------------------------------------------------

    def _due(self, subject: _Subject) -> list[tuple[_Subject, Due]]:
        claim = due(subject.planned.order, self._said.get(subject.key, {}))
        if claim is None or subject.host not in self._hosts or self._settled(subject, claim):
            return []
        return [(subject, claim)]

    def _take_in(self, subject: _Subject, claim: Due, verdict: Looked) -> None:
        key = (*subject.key, claim.claim)
        if isinstance(verdict, CannotRead):
            return
        if isinstance(verdict, Unseen) or not verdict.agrees:
            self._doubts[key] = self._doubts.get(key, 0) + 1
            if self._doubts[key] >= LOOKS:
                self._contradict(subject, claim, verdict)
            return
        self._doubts.pop(key, None)
        if claim.claim == "failed":
            self._fail(subject, claim, verdict.cause, verdict)
        elif claim.claim != "partly" and (weakened := self._weakened(subject)) is not None:
            self._conclude(subject, claim, weakened, verdict)

    def _weakened(self, subject: _Subject) -> str | None:
        """Say how the host's posture is weaker; None if it cannot be looked at now."""
        state = self.authority.state
        name = state.notices[subject.notice]["body"]["authorization"]
        grant = state.authorizations.get(name)
        announced = grant["body"]["effects"] if grant else ()
        try:
            return self._baselines.weaker(subject.host, self._hosts[subject.host].place, announced)
        except Unseen as error:
            self.trouble.append(f"`{subject.host}`: {error}")
            return None

    def _conclude(self, subject: _Subject, claim: Due, weakened: str, verdict: Verdict) -> None:
        if verdict.stale:
            self._find("not_effective", subject, claim, sentence(verdict.stale))
        if weakened:
            saw = verdict.saw | {"detail": f"posture: {weakened}"}
            self._observe(subject, claim.change, "failed", saw)
            self._find("posture_weakened", subject, claim, weakened)
        else:
            self._observe(subject, claim.change, "succeeded", verdict.saw)
        # Only now: who is killed before it was said must find it again.
        self._baselines.keep(subject.host)

    def _settled(self, subject: _Subject, claim: Due) -> bool:
        mine = self._mine.get(subject.key, {})
        if claim.claim != "failed":
            told = {result for change, result in mine if change == claim.change}
            return bool(told & {"succeeded", "failed"})
        named = self.authority.state.notices[subject.notice]["failures"]
        said = named.get(subject.host, {}).get(claim.change, {}).get(self.name)
        return bool(said) or self._finding("failure_not_seen", subject, claim) in self._findings

    def _look(self, claims: Sequence[tuple[str, Due]]) -> list[Looked]:
        """Look at hosts, several at once."""

        def look(one: tuple[str, Due]) -> Looked:
            (host, claim), ports = one, self._ports
            place = self._hosts[host].place
            try:
                sight = ports.look(place)
                verdict = judge(claim, sight)
                if verdict.well and claim.artefacts:
                    return judge(claim, sight, ports.files(place, claim.artefacts))
            except (Unseen, CannotRead) as error:
                return error
            return verdict

        found = together(look, claims)
        for (host, _), one in zip(claims, found, strict=True):
            if not isinstance(one, Verdict):
                self.trouble.append(f"`{host}`: {one}")
        return found

    def _contradict(self, subject: _Subject, claim: Due, verdict: Verdict | Unseen) -> None:
        if isinstance(verdict, Unseen):
            self._observe(subject, claim.change, "unreachable", {})
            if claim.claim == "failed":
                self._fail(subject, claim, "unreachable", None)
        elif claim.claim == "failed":
            self._find("failure_not_seen", subject, claim, "versions and service are as planned")
        else:
            saw = verdict.saw | {"detail": verdict.detail}
            self._observe(subject, claim.change, "failed", saw)
            self._find("self_report_false", subject, claim, verdict.detail)
            if verdict.cause == "files":
                self._find("files_differ", subject, claim, verdict.detail)

    def _fail(self, subject: _Subject, claim: Due, cause: str, verdict: Verdict | None) -> None:
        if verdict:
            saw = verdict.saw | {"detail": verdict.detail}
            self._observe(subject, claim.change, "failed", saw)
        notice, order = subject.key
        self._say("authority", "failure", (*subject.key, claim.change), {
            "notice": notice, "order": order, "change": claim.change, "host": subject.host,
            "report": claim.leaf, "cause": cause,
        })  # fmt: skip

    def _observe(self, subject: _Subject, change: str, result: str, saw: Json) -> None:
        if (change, result) in self._mine.get(subject.key, {}):
            return
        notice, order = subject.key
        about = {"notice": notice, "order": order, "change": change, "host": subject.host}
        body = {**about, "result": result, "saw": saw, "time": self._ports.clock()}
        self._say("report", "observation", (*subject.key, change, result), body)

    def _finding(self, kind: str, subject: _Subject, claim: Due) -> str:
        notice, order = subject.key
        return f"{kind} {subject.host} {claim.change} {notice[:16]} {order[:16]}"

    def _find(self, kind: str, subject: _Subject, claim: Due, detail: str) -> None:
        name = self._finding(kind, subject, claim)
        self._raise(kind, name.partition(" ")[2], detail)

    def _raise(self, kind: str, subject: str, detail: str) -> None:
        name = f"{kind} {subject}"
        if name not in self._findings:
            body = {"kind": kind, "subject": subject, "detail": detail}
            self._say("report", "finding", (name,), {**body, "time": self._ports.clock()})

    # --- reconciliation ---------------------------------------------------------------------------

    def _reconcile(self, subjects: Sequence[_Subject]) -> None:
        now = self._ports.clock()
        if now - self._reconciled < self._rounds.every:
            return
        self._reconciled = now
        known = {
            digest for row in self.authority.state.notices.values()
            for digest in (*row["body"]["artefacts"], *row["body"]["undo_artefacts"])
        }  # fmt: skip
        of: dict[str, list[_Subject]] = {host: [] for host in self._hosts}
        for one in subjects:
            of.get(one.host, []).append(one)
        rounds = together(lambda host: self._round(host, of[host], now), list(of))
        for host, said in zip(of, rounds, strict=True):
            self._tell(host, said)
        asks = {
            f"images@{host}": partial(self._held, watched.place, known)
            for host, watched in self._hosts.items()
        } | {
            f"images-{name}": partial(self._given, place, known)
            for name, place in self._rounds.images.items()
        }
        listed = together(lambda account: self._images(account, asks[account], now), list(asks))
        for account, rows in zip(asks, listed, strict=True):
            self._tell(account, (rows, ()))

    def _held(self, place: Place, known: Collection[str]) -> Images:
        return lying(self._ports.held(place), known)

    def _given(self, place: Path, known: Collection[str]) -> Images:
        return given(self._ports.images(place), known)

    def _images(self, account: str, ask: Callable[[], Images], now: int) -> Sequence[Unexplained]:
        """Hold images against their account."""
        try:
            found, moves = ask()
            return self._books.check(account, found, moves, (), now)
        except Unseen as error:
            self.trouble.append(f"`{account}`: {error}")
            return []

    def _round(self, host: str, subjects: Sequence[_Subject], now: int) -> _Round:
        """Hold one host against its account, and its files against the packages."""
        place, orders = self._hosts[host].place, list[tuple[Json, dict[str, str]]]()
        for subject in subjects:
            said = self._said.get(subject.key, {})
            orders.append((subject.planned.order, {c: one.result for c, one in said.items()}))
        try:
            found = self._ports.look(place).installed
            open_ = self._books.check(host, found, *moved(orders), now)
            brought = self._books.artefacts(host)
            return open_, self._ports.files(place, brought).differ if brought else ()
        except (Unseen, CannotRead) as error:
            self.trouble.append(f"`{host}`: {error}")
            return [], ()

    def _tell(self, host: str, said: _Round) -> None:
        found = [("unexplained_change", row.subject, row.words) for row in said[0]]
        if said[1]:
            detail = "; ".join(named(said[1]))
            of = sha256(detail.encode()).hexdigest()[:16]
            found.append(("files_differ", f"{host} {of}", detail))
        for kind, subject, detail in found:
            if self._books.untold(host, subject):
                self._raise(kind, subject, detail)
                if ("finding", f"{kind} {subject}") in self._sent:
                    self._books.tell(host, subject)

    # --- rings ------------------------------------------------------------------------------------

    def _rings(self, notice: str, subjects: Sequence[_Subject], seen: Cosigned) -> None:
        row = self.authority.state.notices[notice]
        soak = max(row["body"]["soak"], self.authority.law.limits["soak"])
        for ring in range(len(row["body"]["rings"]) - 1):
            if self.name in row["advances"].get(str(ring + 1), {}):
                self._memory.complete.pop(f"{notice}/{ring}", None)
                continue
            members = [one for one in subjects if one.planned.ring == ring]
            name = f"{notice}/{ring}"
            if not members or not all(map(self._succeeded, members)):
                self._memory.complete.pop(name, None)
                return
            since = self._memory.complete.setdefault(name, seen.past)
            if seen.present - since < soak or not self._still_well(members):
                return
            cited = [self._claim(one).leaf for one in members[:CITED]]
            body = {"notice": notice, "ring": ring + 1, "since": since, "until": seen.present}
            self._memory.keep("report", seen.checkpoint.size, self.reports.note)
            self._say("authority", "advance", (name,), {**body, "seen": cited})

    def _succeeded(self, subject: _Subject) -> bool:
        mine = self._mine.get(subject.key, {})
        claim = due(subject.planned.order, self._said.get(subject.key, {}))
        good = claim is not None and claim.claim == "done" and (claim.change, "succeeded") in mine
        return good and not any(result == "failed" for _, result in mine)

    def _claim(self, subject: _Subject) -> Due:
        claim = due(subject.planned.order, self._said[subject.key])
        assert claim is not None, "asked for a host that has not reported"
        return claim

    def _still_well(self, members: Sequence[_Subject]) -> bool:
        """Look at a ring again at the end of its soak."""
        good, claims = True, [self._claim(one) for one in members]
        looked = self._look([(one.host, c) for one, c in zip(members, claims, strict=True)])
        for subject, claim, verdict in zip(members, claims, looked, strict=True):
            key = (*subject.key, "soak")
            if isinstance(verdict, Verdict) and verdict.well:
                self._doubts.pop(key, None)
                continue
            good = False
            if isinstance(verdict, CannotRead):
                continue
            self._doubts[key] = self._doubts.get(key, 0) + 1
            if self._doubts[key] >= LOOKS:
                detail = verdict.detail if isinstance(verdict, Verdict) else "cannot be looked at"
                self._observe(subject, claim.change, "failed", {"detail": f"at soak: {detail}"})
                if isinstance(verdict, Verdict) and verdict.cause == "files":
                    self._find("files_differ", subject, claim, detail)
        return good

    # --- saying and remembering -------------------------------------------------------------------

    def _say(self, log: str, kind: str, name: tuple[str, ...], body: Json) -> None:
        """Sign and submit a statement once; `name` is what makes it the same one."""
        if (kind, *name) in self._sent:
            return
        law = self.authority.law
        origin, number = law.body["logs"][log]["origin"], law.body["number"]
        nonce = sha256(encode([self.name, kind, body]).encode()).hexdigest()[:32]
        text = statement_text(
            kind, body, charter=number, fleet=self.authority.fleet, origin=origin, nonce=nonce
        )
        try:
            self._ports.submit(log, sign_note(text, self._signer))
        except Refused as refusal:
            self.trouble.append(f"the {log} log does not take `{kind}`: {refusal}")
            if refusal.reason != "duplicate":
                return
        except Unavailable as error:
            self.trouble.append(str(error))
            return
        self._sent.add((kind, *name))

    def _remember(self, head: Cosigned) -> None:
        """Write down where to go on: before the first record of any notice that may still act."""
        notices = self.authority.state.notices
        alive = [
            index for notice, index in self._first.items()
            if notice in notices and notices[notice]["body"]["undo_not_after"] >= head.present
        ]  # fmt: skip
        self._memory.start = min([self.reports.next, *alive])
        self._memory.authority, self._memory.report = head.checkpoint, self.reports.known
        self._memory.save()
