"""`answerable guard run`: witness, mirror, veto post and fresh heads; herald; feed attester.

One process of one operator; each role has its key. Settings of the party:

    log, control    URLs of the log server and of the control plane
    addresses       person -> {"channel":"file|mail|webhook","at":".."}, or a list of those
    mail            {"host","port","sender","tls","login"}, if a person is reached by mail
    feeds           feed -> where this guard looks for itself (feeds.py)
    publications    what its own world is made of, if it keeps one (worlds.py)
    look            seconds between two looks at them
    veto_hold, renew, retry, junk_per_hour, per_hour, rate, burst    as in witness/wire.py

Charter and keys are the party's own; everything else is checked when it comes.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import fields
from functools import partial
from typing import Any

import httpx

from answerable.bootstrap import worlds
from answerable.bootstrap.feeds import demands, sources
from answerable.bootstrap.parties import pair_of
from answerable.bootstrap.serve import chores, clock, http_client, serve
from answerable.bootstrap.worlds import Lookout
from answerable.config import NotConfigured, Party, only_one, read_bytes, write_private
from answerable.feeds import candidate as candidates
from answerable.feeds import release
from answerable.feeds.attest import Abstained, Agreed, Disagreed, Stopped, Verdict, attest
from answerable.feeds.candidate import Candidate
from answerable.feeds.source import Unusable
from answerable.kernel.canon import encode
from answerable.kernel.errors import Unavailable
from answerable.kernel.fold import State
from answerable.keys.sign import cosign
from answerable.keys.store import load_key
from answerable.notice import herald as heralds
from answerable.notice.channel import Address, Channel
from answerable.notice.file import FileChannel
from answerable.notice.herald import Herald
from answerable.notice.http_plans import HttpPlans
from answerable.notice.mail import MailChannel
from answerable.notice.register import Register
from answerable.notice.webhook import WebhookChannel
from answerable.witness.app import guard_app
from answerable.witness.guard import Guard, Keys, World
from answerable.witness.http_log import HttpLog
from answerable.witness.http_peer import HttpPeer
from answerable.witness.wire import JSON, Answer, Settings, problem

EVERY = 1.0
"""Seconds between two rounds of chores."""
KEPT = 8
"""Candidates of a feed that are kept."""


class Attester:
    """Answers `POST /attest`: looks for itself, and cosigns the candidate or says what differs.

    200 with the signature lines; 400 for what is no candidate; 404 for a feed that this guard has
    no sources of; 409 with what differs, or with the shock that stops it; 428 if it was never
    shown the released snapshot that this one would follow; 503 if its own sources cannot be used.
    """

    def __init__(self, party: Party, guard: Guard, client: httpx.Client) -> None:
        """Take the attester's keys and the guard's own sources."""
        feeds = party.settings.get("feeds", {})
        self._keys, self._guard = pair_of(party, "attester"), guard
        self._sources = {
            name: sources(feed, party, client, partial(self._demands, name))
            for name, feed in feeds.items()
        }
        self._lookout, self._shown = Lookout(party, client), party.directory / "shown"

    def _demands(self, feed: str) -> bool:
        return self._guard.follower.look(lambda state: demands(state.law(), feed))

    def refresh(self) -> None:
        """Fetch its own publications; what cannot be used is written down, and then blocks."""
        if self._lookout.looks:
            with suppress(Unavailable):
                self._lookout.refresh(clock())

    def answer(self, body: bytes) -> Answer:
        """Answer one candidate."""
        try:
            proposed = candidates.read(body)
        except Unusable as error:
            return problem(400, "malformed", error.detail)
        if proposed.feed not in self._sources:
            return problem(404, "unknown_subject", f"no sources for `{proposed.feed}`")
        released = self._guard.follower.look(lambda s: _newest(s, proposed.feed))
        self._keep(proposed, str(released.get("root", "")))
        try:
            standing = self._standing(proposed.feed, released)
            return self._judged(proposed, standing, int(released.get("time", 0)))
        except NotShown as error:
            return problem(428, "unknown_subject", f"{error}")
        except Unavailable as error:
            return problem(503, "unavailable", f"my own world cannot be used: {error}")

    def _judged(self, proposed: Candidate, standing: Candidate | None, released: int) -> Answer:
        now, feed = clock(), proposed.feed
        verdict: Verdict
        if problems := self._lookout.problems(now):
            verdict = Abstained(feed, problems)
        else:
            own = self._lookout.own(feed, now, standing, released)
            verdict = attest(proposed, self._sources[feed], now, own)
        if isinstance(verdict, Agreed):
            self._lookout.accept(feed)
            state = self._guard.follower
            fleet, number = state.look(lambda s: (s.fleet, int(s.law().body["number"])))
            agreed = release.checkpoint(proposed, fleet, number)
            return Answer(200, cosign(agreed, now, *self._keys).encode())
        if isinstance(verdict, Disagreed):
            told = {"feed": verdict.feed, "reason": verdict.reason, "facts": list(verdict.facts)}
            return Answer(409, encode(told).encode(), JSON)
        if isinstance(verdict, Stopped):
            seen = [f"{s.kind} of {s.what} in {s.channel}: {s.detail}" for s in verdict.shocks]
            told = {"feed": verdict.feed, "reason": "a shock: people release", "facts": seen}
            return Answer(409, encode(told).encode(), JSON)
        why = "; ".join(f"{p.source} is {p.state}: {p.detail}" for p in verdict.problems)
        return problem(503, "unavailable", f"my own sources cannot be used: {why}")

    def _keep(self, proposed: Candidate, standing: str) -> None:
        """Keep what it was shown, the last few and what is in force: people may release it."""
        folder = self._shown / proposed.feed
        write_private(folder / proposed.tree.root().hex(), proposed.text.encode())
        files = sorted(folder.glob("[0-9a-f]*"), key=lambda file: file.stat().st_mtime)
        for file in files[:-KEPT]:
            if file.name != standing:
                file.unlink()

    def _standing(self, feed: str, released: Mapping[str, Any]) -> Candidate | None:
        if not released:
            return None
        file = self._shown / feed / str(released["root"])
        if not file.is_file():
            raise NotShown(f"the snapshot `{released['root']}` of `{feed}`, which is in force")
        return candidates.read(read_bytes(file, candidates.SIZE))


class NotShown(Unavailable):
    """A released snapshot that this guard was never shown."""


def _newest(state: State, feed: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = state.releases.get(state.newest.get(feed), {})
    return found


def run_guard(party: Party) -> None:
    """Serve a guard until a signal ends it.

    Raises:
        Unavailable: if keys, charter, settings or databases are missing or damaged, or it runs.
        Refused: if the charter is none to begin with.
    """
    with only_one(party.directory):
        _run(party)


def _run(party: Party) -> None:
    client = http_client()
    log = HttpLog(client, f"{setting(party, 'log')}/authority")
    logs = {"authority": log, "report": HttpLog(client, f"{setting(party, 'log')}/report")}
    signer = load_key(party.key("herald"))
    keys = Keys(pair_of(party, "witness"), pair_of(party, "post"), signer)
    world = World(logs, partial(HttpPeer, client), clock)
    guard = Guard(
        party.directory / "guard.db", party.name, party.charter(), keys, world, _limits(party)
    )
    register = Register(party.directory / "herald.db")
    plans = HttpPlans(client, setting(party, "control"))
    told = heralds.World(guard.follower, plans, log, _channels(party, client), clock)
    pace = heralds.Settings(retry=guard.settings.retry)
    herald = Herald(register, party.name, signer, _book(party), told, pace)
    attester = Attester(party, guard, client)
    try:
        with (
            chores(guard.chores, EVERY, "chores"),
            chores(herald.tick, EVERY, "herald"),
            chores(attester.refresh, float(party.settings.get("look", worlds.EVERY)), "look"),
        ):
            serve(guard_app(guard, clock, herald, attester.answer), party.address)
    finally:
        register.close()
        guard.close()


def setting(party: Party, name: str) -> str:
    """Give an address that the settings must name, without its final slash.

    Raises:
        NotConfigured: if they do not.
    """
    found = party.settings.get(name, "")
    if not isinstance(found, str) or not found.startswith(("http://", "https://")):
        raise NotConfigured(f"`{party.directory / 'party.json'}` names no URL as `{name}`")
    return found.rstrip("/")


def _limits(party: Party) -> Settings:
    known = {field.name for field in fields(Settings)}
    given = {name: value for name, value in party.settings.items() if name in known}
    if any(type(value) is not int or value < 0 for value in given.values()):
        raise NotConfigured(f"`{party.directory / 'party.json'}`: {min(given)} .. must be integers")
    return Settings(**given)


def _book(party: Party) -> Mapping[str, list[Address]]:
    book = {}
    try:
        for person, given in party.settings.get("addresses", {}).items():
            rows = given if isinstance(given, list) else [given]
            book[person] = [Address(row["channel"], row["at"]) for row in rows]
    except (KeyError, TypeError, AttributeError) as error:
        raise NotConfigured(
            f"`{party.directory / 'party.json'}`: an address needs `channel` and `at`"
        ) from error
    return book


def _channels(party: Party, client: httpx.Client) -> Mapping[str, Channel]:
    channels: dict[str, Channel] = {
        "file": FileChannel(party.directory / "told"), "webhook": WebhookChannel(client),
    }  # fmt: skip
    if mail := party.settings.get("mail"):
        channels["mail"] = _mail(mail, clock)
    return channels


def _mail(given: Mapping[str, Any], now: Callable[[], int]) -> MailChannel:
    try:
        login = tuple(given["login"]) if given.get("login") else None
        host, port, sender = given["host"], int(given["port"]), given["sender"]
        return MailChannel(host, port, sender, now, bool(given.get("tls", True)), login)
    except (KeyError, TypeError, ValueError) as error:
        raise NotConfigured(f"`mail` needs host, port and sender: {error}") from error
