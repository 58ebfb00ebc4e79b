"""Tells people of every notice in the log, and says in the log that they were told.

For each new notice of the log that this guard follows:

1. the plan is fetched from the control plane by its digest, and everything that the notice says of
   it is recomputed (check.py). A plan that is withheld is asked for again until the notice ends;
   one that is something else is never delivered. Either is a finding
2. plan and text are stored here, and served: people read what the herald checked
3. told are the objectors of every zone of the notice (all zones, if a host is in none) and the
   recipients of its authorization, each by the first of their addresses that takes the message.
   Addresses come from this guard's own book, never from a plan
4. for each person told, one `delivery` statement is signed with the herald key and handed to the
   log until it stands there
5. where the charter's `opens` is `acknowledged`, the message ends with a link of this guard's own,
   which only that message holds; whoever presses the button behind it acknowledges, and the herald
   signs a second `delivery`, with status `acknowledged`. Looking at the page is no act: mail
   scanners do that

Each step is written down before the next (register.py). `tick` is called every second or so by one
thread and raises nothing for what is broken outside.

Left out: proof that it was that person who pressed it, beyond having the message (whoever has a key
says `seen` instead, which needs no herald); reminders, languages.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import sha256
from hmac import compare_digest
from html import escape
from typing import Protocol, TypeVar

from answerable.kernel.canon import Json
from answerable.kernel.charter import Charter
from answerable.kernel.errors import Refused, Unavailable
from answerable.kernel.fold import State
from answerable.keys.sign import Signer, sign_note, statement_text
from answerable.notice.channel import Accepted, Address, Channel, Message
from answerable.notice.check import Checked, Mismatch, check
from answerable.notice.register import Delivered, Noticed, Register
from answerable.notice.text import render, subject
from answerable.notice.words import check_words

T = TypeVar("T")
_SETTLED = frozenset({"", "duplicate"})


class Followed(Protocol):
    """The authority log as this guard follows it."""

    def look(self, ask: Callable[[State], T]) -> T:
        """Ask the state something while it stands still."""


class Plans(Protocol):
    """The control plane's plans."""

    def get(self, digest: str) -> bytes:
        """Fetch a plan by its digest (`Unavailable` if it is not given)."""


class Log(Protocol):
    """Where delivery statements go."""

    def add(self, entry: bytes) -> str:
        """Hand over a record: empty, or why it was not taken (`Unavailable` if no answer)."""


@dataclass(frozen=True)
class World:
    """What lies outside a herald; `clock` gives POSIX seconds."""

    followed: Followed
    plans: Plans
    log: Log
    channels: Mapping[str, Channel]
    clock: Callable[[], int]


@dataclass(frozen=True)
class Settings:
    """How often what failed is tried again, seconds."""

    retry: int = 5
    undelivered: int = 60


Book = Mapping[str, Sequence[Address]]


class Herald:
    """One guard's herald; `tick` belongs to one thread, the pages to any."""

    def __init__(
        self,
        register: Register,
        guard: str,
        signer: Signer,
        book: Book,
        world: World,
        settings: Settings | None = None,
    ) -> None:
        """Take the guard's name in the charter, its herald key, and its address book."""
        self.register, self._guard, self._signer = register, guard, signer
        self._book, self._world, self._settings = book, world, settings or Settings()

    def tick(self) -> None:
        """Do what is due."""
        now = self._world.clock()
        try:
            self._discover()
            self.register.lapse(now)
            for notice in self.register.notices("open", now):
                if notice.again <= now:
                    self._check(notice, now)
            for notice in self.register.notices("good", now):
                self._tell(notice, now)
            for delivery in self.register.unlogged():
                self._say(delivery, now)
        except (Unavailable, Refused) as error:
            self.register.find(now, "", f"{error}")

    def _discover(self) -> None:
        first = self.register.next_number()
        for row in self._world.followed.look(lambda state: _since(state, first)):
            self.register.add(*row)

    def _check(self, notice: Noticed, now: int) -> None:
        try:
            data = self._world.plans.get(notice.body["plan"])
        except Unavailable as error:
            self._withheld(notice, now, f"the plan is withheld: {error}")
            return
        law, fleet, terms = self._world.followed.look(lambda state: _terms(state, notice.body))
        found = check(notice.body, fleet, data)
        if isinstance(found, Checked):
            text = render(notice.leaf, notice.id, notice.body, found, law, terms)
            row = (notice.leaf, subject(notice.body, found), text)
            self.register.good(*row, plan=data, unlabelled=found.unlabelled)
        elif found.withheld:
            self._withheld(notice, now, f"the plan is withheld: {found.detail}")
        else:
            self._bad(notice, now, found)

    def _withheld(self, notice: Noticed, now: int, detail: str) -> None:
        self.register.judge(notice.leaf, "open", detail, now + self._settings.retry)
        self.register.find(now, notice.leaf, detail)

    def _bad(self, notice: Noticed, now: int, found: Mismatch) -> None:
        self.register.judge(notice.leaf, "bad", found.detail)
        self.register.find(now, notice.leaf, found.detail)

    def _tell(self, notice: Noticed, now: int) -> None:
        people = self._world.followed.look(lambda state: recipients(state, notice))
        for person in sorted(people - self.register.told(notice.leaf)):
            if self.register.due(notice.leaf, person, now):
                self._carry(notice, person, now)

    def _carry(self, notice: Noticed, person: str, now: int) -> None:
        text = notice.text + self._asked(notice.leaf, person)
        message = Message(f"notice-{notice.leaf}", notice.subject, text)
        problems = []
        for address in self._book.get(person, ()):
            channel = self._world.channels.get(address.channel)
            if channel is None:
                problems.append(f"no channel `{address.channel}`")
                continue
            outcome = channel.deliver(address.at, message)
            if isinstance(outcome, Accepted):
                told = Delivered(notice.leaf, person, address.channel, now, 0, b"", 0)
                self.register.deliver(self._signed(told, notice.body["plan"]))
                return
            problems.append(f"{address.channel}: {outcome.detail}")
        why = "; ".join(problems) or "no address in the book"
        self.register.find(now, notice.leaf, f"`{person}` was not told: {why}")
        self.register.later(notice.leaf, person, now + self._settings.undelivered)

    def _signed(self, told: Delivered, plan: str) -> Delivered:
        law, fleet = self._world.followed.look(lambda state: (state.law(), state.fleet))
        pressed = self.register.acknowledged(told.leaf, told.person)
        status = "acknowledged" if pressed else "accepted"
        body = {"notice": told.leaf, "plan": plan, "person": told.person, "channel": told.channel,
                "status": status, "time": pressed or told.time}  # fmt: skip
        number = law.body["number"]
        # The same delivery is the same statement, however often it is signed.
        seed = f"{self._signer.key.vkey()} {told.leaf} {told.person} {number}"
        seed += f" {status}" if pressed else ""
        text = statement_text(
            "delivery", body, charter=number, fleet=fleet, origin=law.origin,
            nonce=sha256(seed.encode()).hexdigest()[:32],
        )  # fmt: skip
        return replace(told, charter=number, entry=sign_note(text, self._signer))

    def _say(self, told: Delivered, now: int) -> None:
        def stands(state: State) -> tuple[bool, Charter, Json]:
            notice = state.notices[told.leaf]
            said = {tuple(row[:3]) for row in notice["deliveries"]}
            mine = (self._guard, told.person, "acknowledged" if pressed else "accepted")
            return mine in said, state.law(), notice["body"]

        pressed = self.register.acknowledged(told.leaf, told.person)
        logged, law, body = self._world.followed.look(stands)
        if logged or body["not_after"] <= now:
            self.register.logged(told.leaf, told.person)
            return
        if told.again > now:
            return
        if told.charter != law.body["number"]:
            told = self._signed(told, body["plan"])
        self.register.deliver(replace(told, again=now + self._settings.retry))
        reason = self._world.log.add(told.entry)
        if reason not in _SETTLED:
            detail = f"the log does not take the delivery to `{told.person}`: {reason}"
            self.register.find(now, told.leaf, detail)

    def index(self) -> str:
        """List the notices, newest first, with their check words."""
        lines = []
        for notice in self.register.newest(PAGE):
            line = notice.subject if notice.status == "good" else _sorry(notice)
            lines.append(f"{notice.leaf}  {check_words(notice.id)}\n    {line}\n")
        return "".join(lines) or "no notice yet\n"

    def page(self, leaf: str) -> str | None:
        """Give one notice's text, as it was delivered; or why it was not."""
        notice = self.register.notice(leaf)
        if notice is None:
            return None
        return notice.text if notice.status == "good" else _sorry(notice) + "\n"

    def acknowledge(self, leaf: str, person: str, token: str, *, pressed: bool) -> str | None:
        """Give the page behind a link, or take the act of who pressed its button.

        Returns: a page of HTML to press, plain words once it is pressed; None if there is no such
            link, or nothing was delivered by it.
        """
        if not compare_digest(token.encode(), self._token(leaf, person).encode()):
            return None
        told, notice = self.register.delivered(leaf, person), self.register.notice(leaf)
        if told is None or notice is None:
            return None
        if not pressed:
            return BUTTON.format(subject=escape(notice.subject), text=escape(notice.text))
        if not self.register.acknowledged(leaf, person):
            self.register.acknowledge(leaf, person, self._world.clock())
            self.register.deliver(self._signed(told, notice.body["plan"]))
        words = check_words(notice.id)
        return f"{person} has acknowledged notice {leaf} at {self._guard}\nCheck words  {words}\n"

    def _token(self, leaf: str, person: str) -> str:
        # An Ed25519 signature is the same each time, and nobody else can make it.
        said = f"answerable/acknowledge/v1 {leaf} {person}\n".encode()
        return sha256(self._signer.sign_raw(said)).hexdigest()[:32]

    def _asked(self, leaf: str, person: str) -> str:
        law = self._world.followed.look(lambda state: state.law())
        if law.limits["opens"] != "acknowledged" or self._guard not in law.body["guards"]:
            return ""
        url = law.body["guards"][self._guard]["url"].rstrip("/")
        return ASKED.format(
            most=law.faults + 1,
            link=f"{url}/notices/{leaf}/seen/{person}/{self._token(leaf, person)}",
        )

    def plan(self, leaf: str) -> bytes | None:
        """Give the plan behind a notice that was found good."""
        return self.register.plan(leaf)


PAGE = 200
"""Most notices that are listed."""
ASKED = """
The window opens when somebody who may object has acknowledged this at {most} guards. At this one:
    {link}
"""
BUTTON = """<!doctype html><meta charset="utf-8"><title>{subject}</title><pre>{text}</pre>
<form method="post"><button>I have read this notice</button></form>
"""


def _sorry(notice: Noticed) -> str:
    words = {"open": "not checked yet", "bad": "NOT DELIVERED", "late": "not delivered in time"}
    return f"{words[notice.status]}: {notice.detail or 'the plan is being fetched'}"


def _terms(state: State, notice: Json) -> tuple[Charter, str, Json]:
    granted = state.authorizations.get(notice["authorization"])
    return state.law(), state.fleet, granted["body"] if granted else None


def _since(state: State, first: int) -> list[tuple[str, int, str, Json]]:
    found = [(leaf, row) for leaf, row in state.notices.items() if row["index"] >= first]
    return [(leaf, row["index"], row["id"], dict(row["body"])) for leaf, row in found]


def recipients(state: State, notice: Noticed) -> set[str]:
    """Name who must be told of a notice: objectors of its zones, recipients it was promised to."""
    law, body = state.law(), notice.body
    zones = list(law.body["zones"]) if notice.unlabelled else body["zones"]
    people = {person for zone in zones for person in law.zone(zone)["objectors"]}
    granted = state.authorizations.get(body["authorization"])
    return people | set(granted["body"]["recipients"] if granted else ())
