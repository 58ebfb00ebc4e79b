"""The control plane's work up to a notice: inventory, candidate, release, plan, notice.

Nothing here is trusted by anybody: guards attest candidates by their own ways, heralds recompute
plans, and hosts verify orders. The one key is the planner's, which no host obeys by itself.

    <directory>/candidates/<sha256>   what was proposed
    <directory>/plans/<digest>        plans, as they are served
    <directory>/artefacts/<sha256>    bytes that hosts fetch
    <directory>/effects/<sha256>      lists of what upgrades do to files (rehearsing.py)
    <directory>/hosts.json            enrolment records of the fleet
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx

from answerable.authority import authorization, draft
from answerable.bootstrap import models, ranking
from answerable.bootstrap.feeds import demands, sources
from answerable.bootstrap.follow import Logs, read_hosts
from answerable.bootstrap.inbox import Inbox
from answerable.bootstrap.people import nonce
from answerable.bootstrap.rehearsing import Clones
from answerable.bootstrap.serve import clock
from answerable.bootstrap.worlds import Heard, Lookout, silent
from answerable.changes.build import Fleet, Judge, Judgement, Mandate, Services, build
from answerable.changes.plan import NoPlan, Plan, Terms
from answerable.changes.plan import read as read_plan
from answerable.changes.reboots import WHEN
from answerable.config import NotConfigured, Party, read_bytes, write_private
from answerable.exposure import keys
from answerable.exposure.match import Exposure, Known, Snapshot, across
from answerable.exposure.rank import Context, Ranked, rank
from answerable.feeds import candidate as candidates
from answerable.feeds import release
from answerable.feeds.agree import AUTOMATIC, Ruling
from answerable.feeds.candidate import Candidate, NoCandidate, propose
from answerable.feeds.proven import ProvenSource
from answerable.feeds.shock import Shock
from answerable.feeds.source import Source
from answerable.feeds.sources.debian import Debian
from answerable.feeds.sources.rpm import Rpm
from answerable.feeds.world import World
from answerable.inventory import dpkg, python, rpm
from answerable.inventory.fleet import Fleet as Hosts
from answerable.inventory.fleet import Host
from answerable.inventory.installed import Installed, Inventory
from answerable.inventory.tree import Folder
from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused, Unavailable
from answerable.kernel.merkle import leaf_hash
from answerable.keys.store import load_key
from answerable.ledger.client import submit
from answerable.ledger.publish import good_lines

PLAN = 256 << 20
"""Largest plan that is read, bytes."""
MANY = 1 << 53
REASON = 2_000
"""Most characters of a guard's reason that are shown."""
SILENCE = 86_400
"""After so long without news a host is unknown, seconds."""


class NotAgreed(Unavailable):
    """Too few guards vouch for a candidate; the message says what each found."""


@dataclass(frozen=True)
class Wish:
    """What somebody wants planned.

    Args:
        authorization: name of a standing authorization; empty for a plan that people approve.
        clause: of that authorization.
        zones: only hosts in one of these; empty for all.
        canaries: hosts that go first.
        rings: largest sizes for a plan that people approve.
    """

    title: str
    authorization: str = ""
    clause: str = ""
    zones: frozenset[str] = frozenset()
    canaries: tuple[str, ...] = ()
    rings: tuple[int, ...] = (1, MANY)
    packages: frozenset[str] = frozenset()


class Planning:
    """One control plane's directory and what it follows."""

    def __init__(self, party: Party, client: httpx.Client) -> None:
        """Open the directory; raises `Unavailable` if it is not usable."""
        self.party, self.client, self.log = party, client, str(party.settings["log"])
        self.logs = Logs(client, self.log, party.charter(), party.directory / "checkpoints")
        self.logs.hosts = read_hosts(party.directory / "hosts.json")
        self.planner = load_key(party.key("planner"))
        self.lookout = Lookout(party, client)
        self.inbox = Inbox(party.directory, self.logs.state.fleet)
        self.silence = int(party.settings.get("silence", SILENCE))
        for name in ("candidates", "plans", "artefacts", "effects"):
            (party.directory / name).mkdir(mode=0o700, exist_ok=True)

    def say(self, kind: str, body: Json, log: str = "authority", once: str = "") -> bytes:
        """Sign a statement with the planner's key and append it; give the record."""
        text = draft.text(kind, body, self.logs.law, self.logs.state.fleet, once or nonce(), log)
        entry = draft.machine(text, self.planner)
        submit(self.client, f"{self.log}/{log}", [entry])
        return entry

    def inventory(self) -> list[Inventory]:
        """Give and keep what is on every host that the settings name.

        What a host told of itself within the limit counts; else its root is looked at, if the
        settings name one; else it stays unknown.
        """
        rows, now = dict[str, tuple[Inventory, int]](), clock()
        records = {str(e.body["host"]): e.body for e in self.logs.hosts}
        for name, how in self.party.settings.get("hosts", {}).items():
            if name not in records:
                raise NotConfigured(f"`{name}` has no record in hosts.json: enrol it first")
            told = self.inbox.told(name, now)
            if told and now - told[1] <= self.silence:
                rows[name] = told
            elif "root" in how:
                record, found = records[name], _installed(how)
                whole = Inventory(name, record["instance"], frozenset(record["zones"]), found)
                rows[name] = whole, now
        with self.fleet() as store:
            store.record_all(rows.values())
        return [whole for whole, _ in rows.values()]

    def heard(self, inventory: Inventory, seen: int) -> bool:
        """Keep what is on a host, as it was at a POSIX second; give whether it was news."""
        with self.fleet() as store:
            return store.record(inventory, seen)

    def fleet(self) -> Hosts:
        """Open the store of what is on the hosts; close it after use."""
        return Hosts(self.party.directory / "fleet.db", keys.places)

    def hosts(self) -> tuple[list[Host], list[str]]:
        """Give the hosts that are known, and the names of those that are not."""
        with self.fleet() as store:
            hosts = store.hosts(clock(), self.silence)
        never = {str(e.body["host"]) for e in self.logs.hosts} - {h.host for h in hosts}
        known = [h for h in hosts if h.state == "known"]
        return known, sorted({h.host for h in hosts if h.state == "unknown"} | never)

    def look(self, heard: Heard = silent) -> World | None:
        """Fetch the publications and make the newest world; nothing if none is kept.

        Raises:
            Unusable, Unavailable: as worlds.py says.
        """
        feeds = self.party.settings.get("feeds", {})
        cleared = min((self.logs.by_people.get(feed, 0) for feed in feeds), default=0)
        return self.lookout.refresh(clock(), cleared, heard) if self.lookout.looks else None

    def shocks(self, feed: str) -> tuple[Shock, ...]:
        """Say why people should look before the guards are asked; raises `Unusable`."""
        return self.lookout.shocks(feed, self._released(feed))

    def _released(self, feed: str) -> int:
        state = self.logs.state
        return int(state.releases[state.newest[feed]]["time"]) if feed in state.newest else 0

    def candidate(self, feed: str, ruling: Ruling = AUTOMATIC) -> Candidate:
        """Propose a candidate about everything that is on any host.

        Args:
            ruling: how people judge, for a release that they sign.

        Raises:
            NotAgreed: if a source cannot be used; it names each and why.
        """
        config = self._feed(feed)
        with self.fleet() as store:
            versions, own = store.versions(config["ecosystem"]), self.sources(feed)
        names = sorted(versions)
        for source in own:
            if isinstance(source.source, Debian | Rpm):
                names = list(source.source.pending(versions, clock()))
        found = self._propose(feed, own, names, ruling)
        if isinstance(found, NoCandidate):
            why = "; ".join(f"{p.source} is {p.state}: {p.detail}" for p in found.problems)
            raise NotAgreed(f"the feed `{feed}` gives no candidate: {why}")
        place = self.party.directory / "candidates" / found.sha256
        write_private(place, found.text.encode())
        return found

    def _propose(
        self, feed: str, own: Sequence[Source], names: Sequence[str], ruling: Ruling
    ) -> Candidate | NoCandidate:
        now = clock()
        if problems := self.lookout.problems(now):
            return NoCandidate(feed, problems)
        gather, world = self.lookout.gather(now, ruling), self.lookout.origin()
        return propose(feed, own, names, now, gather, world)

    def sources(self, feed: str) -> Sequence[ProvenSource]:
        """Give a feed's own sources."""
        demanded = demands(self.logs.law, feed)
        return sources(self._feed(feed), self.party, self.client, lambda: demanded)

    def _feed(self, name: str) -> Mapping[str, Any]:
        feeds: Mapping[str, Mapping[str, Any]] = self.party.settings.get("feeds", {})
        if name not in feeds:
            named = ", ".join(sorted(feeds)) or "none"
            raise NotConfigured(f"no feed `{name}` in the settings; there is: {named}")
        return feeds[name]

    def release(self, proposed: Candidate) -> str:
        """Ask every guard to attest a candidate, and log the release; give its id.

        Raises:
            NotAgreed: if no quorum does.
        """
        law, fleet = self.logs.law, self.logs.state.fleet
        agreed = release.checkpoint(proposed, fleet, law.body["number"])
        lines, against = [], []
        for name, guard in law.body["guards"].items():
            try:
                answer = self._ask(f"{guard['url'].rstrip('/')}/attest", proposed)
            except httpx.HTTPError as error:
                against.append(f"{name}: {type(error).__name__}")
                continue
            if answer.status_code != httpx.codes.OK:
                against.append(f"{name}: {answer.text[:REASON]}")
                continue
            try:  # a guard that lies, or stands under an older charter, spoils nobody else's word
                text, pair = (agreed.text() + "\n").encode(), law.guards["attester"][name]
                lines.append(good_lines(text, answer.content, pair))
            except Refused as refusal:
                against.append(f"{name}: {refusal}")
        if not lines:
            raise NotAgreed(f"no guard attests the candidate: {'; '.join(against)}")
        try:
            note = release.joined(agreed, lines)
            body, _ = release.body(proposed.feed, note, law, fleet)
        except Refused as refusal:
            raise NotAgreed(f"{refusal}; {'; '.join(against)}") from refusal
        entry = self.say("release", body)
        self.logs.refresh()
        self.lookout.accept(proposed.feed)
        return _statement_id(entry)

    def show(self, proposed: Candidate) -> None:
        """Show every guard a candidate that people may release, whatever it answers."""
        for guard in self.logs.law.body["guards"].values():
            with suppress(httpx.HTTPError):
                self._ask(f"{guard['url'].rstrip('/')}/attest", proposed)

    def _ask(self, url: str, proposed: Candidate) -> httpx.Response:
        """Hand a candidate to a guard, and before it the released one, if the guard lacks that."""
        answer = self.client.post(url, content=proposed.text.encode(), timeout=120)
        if answer.status_code == httpx.codes.PRECONDITION_REQUIRED:
            standing = self.snapshot(self.logs.state.newest[proposed.feed]).candidate
            self.client.post(url, content=standing.text.encode(), timeout=120)
            answer = self.client.post(url, content=proposed.text.encode(), timeout=120)
        return answer

    def standing(self, feed: str) -> Candidate | None:
        """Give the released snapshot of a feed that is in force, if any; raises `NotAgreed`."""
        newest = self.logs.state.newest.get(feed)
        return self.snapshot(newest).candidate if newest else None

    def snapshots(self, releases: Iterable[str]) -> list[Snapshot]:
        """Give the candidates that these releases put into service.

        Raises:
            NotAgreed: if one is not on disk.
        """
        by_root = {}
        for place in (self.party.directory / "candidates").iterdir():
            if not place.name.startswith("."):
                one = candidates.read(read_bytes(place, candidates.SIZE))
                by_root[one.feed, one.tree.root().hex()] = one
        found = []
        for name in releases:
            row = self.logs.state.releases[name]
            if (row["feed"], row["root"]) not in by_root:
                raise NotAgreed(f"the candidate of release `{name}` is not on disk")
            found.append(Snapshot(name, by_root[row["feed"], row["root"]]))
        return found

    def matched(self) -> tuple[Known, list[Exposure], list[Inventory], list[str]]:
        """Match the newest releases with what is on the hosts; inventories are of those exposed."""
        newest = self.logs.state.newest.items()
        known = Known(self.snapshots([r for feed, r in newest if feed != models.FEED]))
        hosts, unknown = self.hosts()
        with self.fleet() as store:
            found = across(known, store, hosts)
            exposed = {each.host for each in found}
            inventories = store.inventories([h for h in hosts if h.host in exposed])
        return known, found, inventories, unknown

    def context(self, found: Iterable[Exposure]) -> tuple[Context, tuple[str, ...]]:
        """Give what ranking knows beside these exposures, and in words what it lacks."""
        return ranking.context(self.party, self.logs, self.client, found, clock())

    def exposures(self) -> tuple[Known, list[Ranked], list[Inventory], list[str]]:
        """Match and rank, the most urgent first."""
        known, found, inventories, unknown = self.matched()
        return known, rank(found, self.context(found)[0]), inventories, unknown

    def plan(self, wish: Wish) -> Plan:
        """Make a plan, rehearsed; keep it, and fetch what it would install and go back to.

        Raises:
            CloneSilent: a clone does not answer.
            NoPlan: if there is nothing to plan.
            NotConfigured: a host's settings say something else than is known here.
            Refused: if the authorization is not in force, or has no such clause.
        """
        known, ranked, inventories, unknown = self.exposures()
        # Images and documents are matched too; only an enrolled host can be changed.
        own = {str(e.body["host"]) for e in self.logs.hosts}
        inventories = [i for i in inventories if i.host in own]
        if wish.zones:
            inventories = [i for i in inventories if i.zones & wish.zones]
            unknown = []
        if wish.packages:
            ranked = [r for r in ranked if r.exposure.installed.package in wish.packages]
        mandate, judge = self._mandate(wish)
        named = self.party.settings.get("hosts", {}).items()
        services = {host: _services(host, how) for host, how in named}
        clones = Clones(
            self.party.settings, self.party.directory / "effects",
            lambda wanted: self._fetch(set(wanted), known),
            demanded="effects" in self.logs.law.limits,
        )  # fmt: skip
        fleet = Fleet(inventories, services, unknown, self.logs.waiting())
        plan = build(mandate, fleet, ranked, known, judge, clones.rehearse)
        self._fetch({*plan.artefacts, *plan.undo_artefacts}, known)
        write_private(self.party.directory / "plans" / plan.digest, plan.text.encode())
        return plan

    def _mandate(self, wish: Wish) -> tuple[Mandate, Judge]:
        fleet, author = self.logs.state.fleet, self.party.name
        if not wish.authorization:
            mandate = Mandate(
                fleet, author, wish.title, "approvals", "", wish.rings, MANY, wish.canaries
            )
            return mandate, lambda _host, _zones, facts: Judgement(frozenset(facts))
        _, body = authorization.find(self.logs.state, wish.authorization, clock())
        clause = authorization.clause_of(body, wish.clause)

        def judge(_host: str, zones: frozenset[str], facts: Mapping[str, Json]) -> Judgement:
            named = frozenset(body["effects"])
            return Judgement(*authorization.judge(body, clause, zones, facts), named)

        mandate = Mandate(
            fleet, author, wish.title, "authorization", clause["name"], tuple(clause["rings"]),
            body["max_hosts"], wish.canaries,
        )  # fmt: skip
        return mandate, judge

    def _fetch(self, wanted: set[str], known: Known) -> Path:
        folder = self.party.directory / "artefacts"
        feeds = {snapshot.candidate.feed for snapshot in known.snapshots}
        own = {feed: self.sources(feed) for feed in feeds}
        for snapshot in known.snapshots:
            for artefact in snapshot.candidate.artefacts:
                place = folder / artefact.sha256
                if artefact.sha256 in wanted and not place.exists():
                    for source in own[snapshot.candidate.feed]:
                        if file := source.obtain(artefact):
                            write_private(place, file.read_bytes())
        return folder

    def snapshot(self, name: str) -> Snapshot:
        """Give the snapshot of one release; raises as `snapshots` does."""
        return self.snapshots([name])[0]

    def plan_bytes(self, digest: str) -> bytes:
        """Give the bytes of a plan by its digest; raises `NoPlan`."""
        return self.read_plan(digest).text.encode()

    def read_plan(self, digest: str) -> Plan:
        """Read a plan by its digest.

        Raises:
            NoPlan: if it is not there, or another one.
        """
        try:
            plan = read_plan(read_bytes(self.party.directory / "plans" / digest, PLAN))
        except NotConfigured as error:
            raise NoPlan(f"there is no plan `{digest}`: make it with `answerable plan`") from error
        if plan.digest != digest:
            raise NoPlan(f"the file of plan `{digest}` is another plan")
        return plan

    def terms(self, plan: Plan, name: str, options: Mapping[str, Any]) -> Terms:
        """Give what a notice of a plan would say beside the plan; options win over defaults."""
        limits, now, number, window = self.logs.law.limits, clock(), "", 0
        validity = limits["validity"]
        if plan.body["basis"] == "authorization":
            number, body = authorization.find(self.logs.state, name, now)
            clause = authorization.clause_of(body, plan.body["clause"])
            window, validity = body["window"], min(validity, clause["validity"])
        window = max(window, limits["window"], options.get("window", 0))
        before = options.get("not_before", now)
        after = options.get("not_after", before + validity)
        undo = after + limits["undo_validity"]
        soak = max(limits["soak"], options.get("soak", 0))
        return Terms(number, window, soak, before, after, undo)

    def notice(self, plan: Plan, terms: Terms) -> str:
        """Log the notice of a plan; give its leaf hash."""
        return leaf_hash(self.say("notice", plan.notice(terms))).hex()


def _services(host: str, how: Mapping[str, Any]) -> Services:
    units, checks = (tuple(how.get(word, ())) for word in ("units", "checks"))
    when = how.get("reboot", WHEN[0])
    if when not in WHEN:
        raise NotConfigured(f"`reboot` of `{host}` is `{when}`; say one of: {', '.join(WHEN)}")
    return Services(units, checks, when)


def _installed(how: Mapping[str, Any]) -> tuple[Installed, ...]:
    root = Path(how["root"])
    if how["kind"] == "dpkg":
        return dpkg.installed(root, how["ecosystem"])
    if how["kind"] == "rpm":
        return rpm.found(Folder(root), how["ecosystem"]).packages
    return python.installed(root)


def _statement_id(entry: bytes) -> str:
    return sha256(entry.rpartition(b"\n\n")[0] + b"\n").hexdigest()
