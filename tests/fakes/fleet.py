"""A fleet around a rollout: logs, hosts, observers and people, with truth kept beside them.

`Book` is both logs as lines of JSON, in memory or in a file that several processes append to.
`BookView` and `BookRecorder` are the ports on it. `Fleet` plays the hosts and observers: a host
takes what is listed for it, checks the little that matters here (its ring's advance, the window,
vetoes), changes itself once, counts that, and reports; observers look at the truth.
"""

import json
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from answerable.rollout.port import Json
from answerable.rollout.view import (
    Failure,
    NoticeState,
    Observation,
    Order,
    Outcome,
    Report,
    ViewUnavailable,
)

NOTICE = "ab" * 32


def plan(*sizes: int) -> list[list[Order]]:
    """Make rings of these sizes: hosts h0, h1, ... with two changes and one undo each."""
    rings, number = [], 0
    for ring, size in enumerate(sizes):
        hosts = [f"h{n}" for n in range(number, number + size)]
        number += size
        rings.append([order(host, ring, place) for place, host in enumerate(hosts)])
    return rings


def order(host: str, ring: int = 0, place: int = 0) -> Order:
    """Make one host's order."""
    digest = f"{int.from_bytes(host.encode()):064x}"
    return Order(host, digest, ring, place, (f"{host}.up", f"{host}.check"), (f"{host}.undo",))


@dataclass
class Book:
    """Both logs; with a path they lie in a file."""

    path: Path | None = None
    records: list[Json] = field(default_factory=list)
    read: int = 0
    unreadable: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def add(self, kind: str, **body: Json) -> None:
        """Append one record durably."""
        line = json.dumps({"kind": kind, **body})
        if self.path is None:
            self.records.append(json.loads(line))
            return
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.write(descriptor, line.encode() + b"\n")
        os.close(descriptor)

    def all(self, kind: str) -> list[Json]:
        """Give the records of a kind."""
        if self.unreadable:
            raise ViewUnavailable("the log is away")
        # Threads share a book, and another process may be in the middle of a line.
        with self.lock:
            if self.path is not None and self.path.exists():
                with self.path.open("rb") as file:
                    file.seek(self.read)
                    fresh = file.read()
                whole = fresh[: fresh.rfind(b"\n") + 1]
                self.read += len(whole)
                self.records += [json.loads(line) for line in whole.splitlines()]
            return [record for record in self.records if record["kind"] == kind]

    def open(self, rings: Sequence[Sequence[Order]], clears: int, not_after: int) -> None:
        """Log a notice that was delivered."""
        orders = [[asdict(one) for one in ring] for ring in rings]
        self.add("notice", notice=NOTICE, rings=orders, clears=clears, not_after=not_after)
        self.add("delivery")


class BookView:
    """`rollout.view.View` on a book."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def notice_state(self, notice: str) -> NoticeState:
        """See the port."""
        found = [n for n in self._book.all("notice") if n["notice"] == notice]
        if not found:
            raise ViewUnavailable(f"no notice `{notice}`")
        lifted = {w for one in self._book.all("lift") for w in one["lifts"]}
        return NoticeState(
            head=max((h["time"] for h in self._book.all("head")), default=0),
            clears=found[0]["clears"] if self._book.all("delivery") else None,
            authorised=not self._book.all("revocation"), not_before=0,
            not_after=found[0]["not_after"],
            advances={a["ring"]: a["opens"] for a in self._book.all("advance")},
            vetoed=bool(self._book.all("veto")) and "veto" not in lifted,
            halted=bool(self._book.all("halt")), withdrawn=bool(self._book.all("withdrawal")),
        )  # fmt: skip

    def rings(self, notice: str) -> list[list[Order]]:
        """See the port."""
        found = [n for n in self._book.all("notice") if n["notice"] == notice]
        return [[_order(one) for one in ring] for ring in found[0]["rings"]]

    def reports(self, notice: str) -> list[Report]:
        """See the port."""
        return [Report(**_body(one)) for one in self._book.all("report")]

    def observations(self, notice: str) -> list[Observation]:
        """See the port."""
        return [Observation(**_body(one)) for one in self._book.all("observation")]

    def failures(self, notice: str) -> list[Failure]:
        """See the port."""
        return [Failure(**_body(one)) for one in self._book.all("failure")]

    def outcome(self, notice: str) -> Outcome | None:
        """See the port."""
        found = [Outcome(**_body(one)) for one in self._book.all("outcome")]
        return found[0] if found else None

    def open_notices(self) -> list[str]:
        """See the port."""
        ended = {one["notice"] for one in self._book.all("outcome")}
        named = [one["notice"] for one in self._book.all("notice")]
        return [notice for notice in named if notice not in ended]


class BookRecorder:
    """`rollout.record.Recorder` on a book."""

    def __init__(self, book: Book) -> None:
        self._book = book

    def record(self, outcome: Outcome) -> None:
        """See the port."""
        if BookView(self._book).outcome(outcome.notice) is None:
            self._book.add("outcome", **asdict(outcome))


def _body(record: Json) -> Json:
    return {key: value for key, value in record.items() if key != "kind"}


def _order(body: Json) -> Order:
    changes, undo = tuple(body["changes"]), tuple(body["undo"])
    return Order(body["host"], body["digest"], body["ring"], body["place"], changes, undo)


@dataclass
class FakeExecutor:
    """`rollout.executor.Executor` in memory."""

    listed: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def publish(self, notice: str, orders: Iterable[Order]) -> None:
        """See the port."""
        self.listed |= {one.host for one in orders}

    def withdraw(self, notice: str, orders: Iterable[Order]) -> None:
        """See the port."""
        self.listed -= {one.host for one in orders}

    def ask_undo(self, notice: str, orders: Iterable[Order]) -> None:
        """See the port."""
        self.publish(notice, orders)
        self.asked += [one.host for one in orders]


@dataclass
class Fleet:
    """Hosts and observers. `done` counts what really happened, by change id.

    `failing` hosts fail their second change and say so; `lying` ones fail it and say it succeeded;
    `silent` ones change themselves and never report; `stubborn` ones refuse.
    """

    book: Book
    listed: Callable[[str], bool]
    soak: int = 0
    failing: frozenset[str] = frozenset()
    lying: frozenset[str] = frozenset()
    silent: frozenset[str] = frozenset()
    stubborn: frozenset[str] = frozenset()
    done: Counter[str] = field(default_factory=Counter)
    seq: int = 0

    def step(self) -> None:
        """Let every host and observer do what is next for it."""
        view = BookView(self.book)
        state = view.notice_state(NOTICE)
        for ring in view.rings(NOTICE):
            for one in ring:
                if self.listed(one.host):
                    self._act(one, state)
                self._undo(one)
        for number, ring in enumerate(view.rings(NOTICE)):
            self._observe(number, ring)

    def _said(self, host: str) -> dict[str, str]:
        return {r["change"]: r["result"] for r in self.book.all("report") if r["host"] == host}

    def _report(self, host: str, change: str, result: str, reason: str = "") -> None:
        self.seq += 1
        said = {"host": host, "change": change, "result": result, "reason": reason}
        self.book.add("report", **said, seq=self.seq)

    def _act(self, one: Order, state: NoticeState) -> None:
        for change in one.changes:
            said = self._said(one.host)
            if change in said or "failed" in said.values() or self.done[change]:
                continue
            if one.host in self.stubborn or not self._permits(one, state):
                self._report(one.host, change, "refused", state.stopped or "not_covered")
                return
            self.done[change] += 1
            bad = change == one.changes[-1] and one.host in self.failing
            if one.host not in self.silent:
                self._report(one.host, change, "failed" if bad else "succeeded")

    def _permits(self, one: Order, state: NoticeState) -> bool:
        opens = state.clears if one.ring == 0 else state.advances.get(one.ring)
        return not state.stopped and opens is not None and state.head >= opens

    def _undo(self, one: Order) -> None:
        agreed = {(f["host"], f["change"]) for f in self.book.all("failure")}
        said = self._said(one.host)
        for change in one.changes:
            failed = said.get(change) == "failed" and (one.host, change) in agreed
            if failed and one.undo[0] not in said:
                self.done[one.undo[0]] += 1
                self._report(one.host, one.undo[0], "succeeded")

    def _observe(self, number: int, ring: Sequence[Order]) -> None:
        seen = {o["host"]: o["result"] for o in self.book.all("observation")}
        for one in ring:
            said = self._said(one.host)
            if one.host in seen or not set(one.changes) <= said.keys():
                continue
            bad = one.host in self.failing | self.lying
            result = "failed" if bad else "succeeded"
            self.book.add("observation", host=one.host, change=one.changes[-1], result=result)
            if said[one.changes[-1]] == "failed":
                self.book.add("failure", host=one.host, change=one.changes[-1])
            seen[one.host] = result
        advanced = {a["ring"] for a in self.book.all("advance")}
        if number + 1 not in advanced and all(seen.get(o.host) == "succeeded" for o in ring):
            head = max((h["time"] for h in self.book.all("head")), default=0)
            self.book.add("advance", ring=number + 1, opens=head + self.soak)
