"""Following both logs, for whoever is no host: the control plane, and people's own commands.

Nothing is taken that a quorum of the charter's guards has not cosigned: of the one in force, or of
the one that the log's own new records put into force, also one that moved the fleet to a new log.
Authority records are folded by the kernel; reports are opened with the keys of the charter and of
the enrolled hosts. The first checkpoint that is seen of each size is kept: bundles carry it, and
its time is when the window began.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from copy import deepcopy
from pathlib import Path
from threading import RLock
from typing import NamedTuple

import httpx

from answerable.config import read_bytes, write_private
from answerable.kernel.charter import Charter, Signatory
from answerable.kernel.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    Cosigned,
    cosigned,
    parse_checkpoint,
)
from answerable.kernel.errors import Refused, Unavailable, demand
from answerable.kernel.fold import State, fold
from answerable.kernel.merkle import leaf_hash
from answerable.kernel.note import Key
from answerable.kernel.statement import AUTHORITY, Statement, open_charter, open_statement
from answerable.kernel.verify import Enrolled
from answerable.ledger.client import HttpSource, Reader, fetch_checkpoint
from answerable.ledger.enrolments import host_key
from answerable.ledger.reports import open_report
from answerable.rollout.decide import REBOOT, REBOOTED
from answerable.rollout.logs import Authority, Seen

_RELEASE = b'"type":"release"'
HOSTS = 1 << 28
"""Largest file of host records that is read, bytes."""
MOST = 1 << 20
"""Most records that are read to find out who guards a log now."""
LAST = 1 << 62
"""Where the newest head stands among the checkpoints by size: after all of them."""


class NotFollowed(Unavailable):
    """A log cannot be followed: it is not there, or not cosigned, or not the one known."""


class Reported(NamedTuple):
    """One record of the report log; `said` is None if its signature or shape does not hold."""

    place: int
    leaf: str
    said: Statement | None


def read_hosts(path: Path) -> list[Enrolled]:
    """Read host records: a JSON list of {"record","enrolment","place","path"}.

    Raises:
        NotConfigured: if the file cannot be read.
    """
    rows = json.loads(read_bytes(path, HOSTS)) if path.exists() else []
    return [
        Enrolled(r["record"], r["enrolment"], r["place"], [bytes.fromhex(h) for h in r["path"]])
        for r in rows
    ]


class Logs:
    """Both logs as far as they are cosigned."""

    def __init__(
        self, client: httpx.Client, url: str, charter: bytes, kept: Path | None = None
    ) -> None:
        """Follow the log server at a URL, from the first charter on.

        Args:
            charter: the note of charter 1.
            kept: folder for the first checkpoint of each size; none keeps none.
        """
        first, said = open_charter(charter)
        self.first, self.state, self.kept = first, State(said.id), kept
        self.reports: list[Reported] = []
        self.hosts: list[Enrolled] = []
        self.heads: dict[str, Cosigned] = {}
        self.by_people: dict[str, int] = {}
        self._seen: dict[int, Seen] = {}
        self._lock = RLock()
        self._client, self._url = client, url.rstrip("/")

    @property
    def law(self) -> Charter:
        """The charter in force, or the first one."""
        return self.state.charter or self.first

    def refresh(self) -> None:
        """Follow both logs to their newest cosigned heads.

        Raises:
            NotFollowed: if either cannot be followed; what was known stays known.
        """
        try:
            with self._lock:
                self._authority()
                self._report()
        except Refused as refusal:
            raise NotFollowed(f"the logs at `{self._url}`: {refusal}") from refusal

    def _source(self, log: str) -> HttpSource:
        return HttpSource(self._client, f"{self._url}/{log}")

    def _authority(self) -> None:
        source, known = self._source("authority"), self.state.tree.size
        note, entries, state = fetch_checkpoint(source), list[bytes](), self.state
        try:
            head = _agreed(note, self.law, "authority")
        except Refused as refusal:
            head, state, entries, verdicts = self._succeeded(source, note, refusal)
        else:
            at = head.checkpoint
            if at.size <= known:
                same = self.state.tree.root(at.size) == at.root
                demand(same, "split_view", f"another authority log of size {at.size}")
            else:
                entries = self._read(source, at)
            verdicts = fold(state, entries)
        self.state, self.heads["authority"] = state, head
        self._remember(note, head)
        for entry, verdict in zip(entries, verdicts, strict=True):
            if verdict is None and _RELEASE in entry:
                self._released(entry)

    def _succeeded(
        self, source: HttpSource, note: bytes, refusal: Refused
    ) -> tuple[Cosigned, State, list[bytes], list[Refused | None]]:
        """Try a head by the charter that its own records lead to: others may guard the log now."""
        at, known = parse_checkpoint(note.rpartition(b"\n\n")[0] + b"\n"), self.state.tree.size
        if not known < at.size <= known + MOST:
            raise refusal
        entries = self._read(source, at)
        later = State(self.state.fleet, deepcopy(self.state.tables))
        later.tree.extend([bytes(self.state.tree.levels[0])])
        verdicts = fold(later, entries)
        if later.law().id == self.law.id:
            raise refusal
        return _agreed(note, later.law(), "authority"), later, entries, verdicts

    def _read(self, source: HttpSource, at: Checkpoint) -> list[bytes]:
        """Give the records that are new, once those that are known stand in front of them."""
        known, reader = self.state.tree.size, Reader(source, at)
        old = list(reader.leaf_hashes(0, known))
        mine = [self.state.tree.subtree(at, at + 1) for at in range(known)]
        demand(old == mine, "split_view", f"another authority log below size {known}")
        return list(reader.entries(known, at.size))

    def _released(self, entry: bytes) -> None:
        """Remember when people released a feed: what had gone by then, they have settled."""
        with suppress(Refused):  # by keys of a charter before this one: people must sign again
            said = open_statement(entry, AUTHORITY, self.law.owners)
            if said.people and said.kind == "release":
                self.by_people[said.body["feed"]] = int(said.body["time"])

    def _report(self) -> None:
        source = self._source("report")
        self.heads["report"] = head = _agreed(fetch_checkpoint(source), self.law, "report")
        if head.checkpoint.size <= len(self.reports):
            return
        reader, owners = Reader(source, head.checkpoint), self.owners()
        known = len(self.reports)
        for at, entry in enumerate(reader.entries(known, head.checkpoint.size), known):
            self.reports.append(Reported(at, leaf_hash(entry).hex(), _opened(entry, owners)))

    def owners(self) -> Mapping[Key, Signatory]:
        """Give whose key signs what in the report log."""
        hosts = {host_key(e): ("host", str(e.body["host"])) for e in self.hosts}
        return {**self.law.owners, **hosts}

    def said(self, notice: str) -> list[Statement]:
        """Give what was said of a notice in the report log, each by whom it may be said."""
        return [
            said
            for _, _, said in self.reports
            if said and said.body.get("notice") == notice and _by_right(said)
        ]

    def waiting(self) -> frozenset[str]:
        """Name the hosts whose last report about it says that they need a reboot."""
        last = {
            said.body["host"]: said.body["reason"]
            for _, _, said in self.reports
            if said and said.kind == "report" and said.body["reason"] in (REBOOT, REBOOTED)
            if _by_right(said)
        }
        return frozenset(host for host, reason in last.items() if reason == REBOOT)

    def authority(self) -> Authority:
        """Give what is known of the authority log now.

        Raises:
            NotFollowed: if it cannot be followed to its newest cosigned head.
        """
        with self._lock:
            self.refresh()
            return Authority(self.state, [self._seen[size] for size in sorted(self._seen)])

    def _remember(self, note: bytes, head: Cosigned) -> None:
        size = head.checkpoint.size
        if not self._seen and self.kept is not None and self.kept.exists():
            for place in sorted(p for p in self.kept.iterdir() if p.name.isdigit()):
                self._add(read_bytes(place, CHECKPOINT))
        if size not in self._seen and self.kept is not None:
            write_private(self.kept / f"{size:012}", note)
        self._seen.setdefault(size, Seen(note.decode(), size, head.past, head.present))
        self._seen[LAST] = Seen(note.decode(), size, head.past, head.present)

    def _add(self, note: bytes) -> None:
        law = self.law
        with suppress(Refused):  # of an older charter's guards: no bundle can carry it any more
            head = cosigned(note, law.origin, law.guards["witness"], law.quorum)
            size = head.checkpoint.size
            self._seen[size] = Seen(note.decode(), size, head.past, head.present)


def _agreed(note: bytes, law: Charter, log: str) -> Cosigned:
    return cosigned(note, law.body["logs"][log]["origin"], law.guards["witness"], law.quorum)


def _by_right(said: Statement) -> bool:
    if said.kind == "report":
        return said.signers == {("host", said.body["host"])}
    kinds = {kind for kind, _ in said.signers}
    return kinds == {"observer" if said.kind in ("observation", "finding") else "planner"}


def _opened(entry: bytes, owners: Mapping[Key, Signatory]) -> Statement | None:
    try:
        return open_report(entry, owners)
    except Refused:
        return None
