"""The report log of an evidence directory: audited, and every signature checked.

The audit (ledger/audit.py) runs here and hands each bundle that fits to a checker; of a large log,
to workers, one a core. Every record is checked; nothing is sampled. What is kept of it is what
trails need: reports of changes, observations, findings, outcomes, and how many of everything else.

A record that does not open (unknown key, host not enrolled, other fleet) is listed with its number:
no honest log would have taken it.
"""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from struct import pack
from typing import IO, Any, NamedTuple, Self

from answerable.evidence.checker import Checker, Row, frame, settings
from answerable.evidence.folder import Folder, NoEvidence
from answerable.evidence.heads import Log, agreed, claimed, earlier
from answerable.evidence.times import Times
from answerable.evidence.trail import Authority, Reported, Sight
from answerable.kernel.canon import Json, encode
from answerable.kernel.checkpoint import Checkpoint, Cosigned
from answerable.kernel.errors import Refused, demand
from answerable.kernel.merkle import leaf_hash, verify_inclusion
from answerable.kernel.note import ED25519, Key, parse_vkey
from answerable.kernel.verify import Enrolled
from answerable.ledger.audit import audit
from answerable.ledger.client import Reader, Source
from answerable.ledger.proofs import TileTree
from answerable.ledger.tiles import pack_bundle

ALONE = 20_000
"""Up to this many records one process is quicker than several."""
LISTED = 1_000
"""Most records that do not hold, and findings, that are listed; all are counted."""
CAUGHT = frozenset({"self_report_false", "posture_weakened"})
"""Findings against a success that a host reported."""
ROW = 1 << 20
"""Largest row of a worker, bytes."""


@dataclass
class Reports:
    """What the report log says.

    `changes`: reports that are no refusals. `refusals`: by reason. `sights`: by order digest.
    `findings`: (observer or planner, kind, subject, detail). `outcomes`: notice to (state, detail),
    the first one. `raised`: findings of `CAUGHT`, as `History` has them. `bad`: (index, why).
    """

    changes: list[Reported] = field(default_factory=list)
    refusals: Counter[str] = field(default_factory=Counter)
    sights: dict[str, list[Sight]] = field(default_factory=dict)
    findings: list[tuple[str, str, str, str]] = field(default_factory=list)
    raised: dict[str, dict[str, str]] = field(default_factory=dict)
    outcomes: dict[str, tuple[str, str]] = field(default_factory=dict)
    bad: list[tuple[int, str]] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def take(self, row: Row) -> None:
        """Sort one row of a checker in; equal strings are kept once."""
        place, leaf, kind, *rest = row
        words: list[Any] = [sys.intern(w) if isinstance(w, str) else w for w in rest]
        if kind == "report":
            if words[5] == "refused":
                self.refusals[words[6]] += 1
            else:
                self.changes.append(Reported(place, leaf, *words))
        elif kind == "observation":
            self.sights.setdefault(words[1], []).append(Sight(words[0], words[2], words[3]))
        elif kind == "finding":
            if words[1] in CAUGHT:
                host, *rest = words[2].split(" ")
                of = self.raised.setdefault(" ".join([host, *rest[1:]]), {})
                of.setdefault(words[0], words[1])
            if len(self.findings) < LISTED:
                self.findings.append((words[0], words[1], words[2], words[3]))
        elif kind == "outcome":
            self.outcomes.setdefault(words[1], (words[2], words[3]))
        elif kind == "bad" and len(self.bad) < LISTED:
            self.bad.append((place, f"{words[0]} {words[1]}".strip()))
        elif kind == "counts":
            self.counts.update(words[0])


class _Alone:
    """Checks in this process."""

    def __init__(self, given: Json, take: Callable[[Row], None]) -> None:
        self._checker, self._take = Checker(given), take

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return

    def see(self, first: int, entries: Sequence[bytes]) -> None:
        for row in self._checker.rows(first, entries):
            self._take(row)

    def finish(self) -> None:
        self._take([0, "", "counts", dict(self._checker.counts)])


class _Workers:
    """Checks in one worker a core; bundles go round, rows come back at the end."""

    def __init__(self, given: Json, take: Callable[[Row], None], count: int) -> None:
        self._take, self._turn = take, 0
        words = [sys.executable, "-P", "-m", "answerable.evidence.checker"]
        self._workers = [
            subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            for _ in range(count)
        ]
        data = encode(given).encode()
        for worker in self._workers:
            _pipe(worker.stdin).write(pack(">I", len(data)) + data)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for worker in self._workers:
            for pipe in (worker.stdin, worker.stdout):
                if pipe and not pipe.closed:
                    pipe.close()
            if worker.poll() is None:
                worker.kill()
            worker.wait()

    def see(self, first: int, entries: Sequence[bytes]) -> None:
        worker = self._workers[self._turn % len(self._workers)]
        self._turn += 1
        try:
            _pipe(worker.stdin).write(frame(first, pack_bundle(entries), len(entries)))
        except BrokenPipeError as error:
            raise NoEvidence("a worker of the audit has died; is there memory enough?") from error

    def finish(self) -> None:
        for worker in self._workers:
            _pipe(worker.stdin).close()
        for worker in self._workers:
            last: Row = []
            for line in _pipe(worker.stdout):
                last = decode_row(line)
                self._take(last)
            if worker.wait() or last[2:3] != ["counts"]:
                raise NoEvidence("a worker of the audit has died; is there memory enough?")


def decode_row(line: bytes) -> Row:
    """Read a worker's row; it is our own process, so anything else is a bad caller."""
    assert len(line) <= ROW, "a row that no worker writes"
    row: Row = json.loads(line)
    return row


def _pipe(pipe: IO[bytes] | None) -> IO[bytes]:
    assert pipe is not None, "made with pipes"
    return pipe


class Host(NamedTuple):
    """A host that people enrolled: its key, name and zones."""

    key: Key
    host: str
    zones: frozenset[str]


def enrolled_hosts(known: Authority, records: Iterable[Enrolled]) -> list[Host]:
    """Give the hosts that people enrolled, in the log's order; other records count for nothing.

    A person who was removed later does not take a report back that was made before.
    """
    found: list[tuple[int, Host]] = []
    for one in records:
        with suppress(Refused):
            batch = known.state.find("enrolments", one.enrolment)
            leaf, root = leaf_hash(one.record.encode()), bytes.fromhex(batch["root"])
            verify_inclusion(leaf, one.place, batch["size"], one.path, root, "not_enrolled")
            body = one.body
            key = parse_vkey(body["key"])
            named = key.name == body["host"] and key.kind == ED25519
            demand(named, "bad_key", "a host's key bears its name")
            zones = frozenset(body["zones"])
            found.append((known.state.seen[one.enrolment], Host(key, key.name, zones)))
    found.sort(key=lambda row: row[0])
    return [host for _, host in found]


def read_reports(
    folder: Folder, known: Authority, hosts: Sequence[Host], workers: int | None = None
) -> tuple[Reports, Log]:
    """Audit the report log and open every record.

    Args:
        workers: processes; by default one a core for a large log, none for a small one.

    Raises:
        NoEvidence: if the log is missing.
    """
    source = folder.log("report")
    note, checkpoint = claimed(source, "report")
    reports, given = Reports(), settings(known, {one.key: one.host for one in hosts})
    notes = list[str]()
    if workers is None:
        workers = (os.cpu_count() or 1) if checkpoint.size > ALONE else 0
    way = _Workers(given, reports.take, workers) if workers else _Alone(given, reports.take)
    with way:
        found = audit(source, checkpoint, way.see)
        way.finish()
    reports.changes.sort()
    reports.bad.sort()
    head: Cosigned | None = None
    heads: list[Cosigned] = []
    try:
        head = agreed(note, checkpoint, known, "report")
    except Refused as refusal:
        notes.append(f"its checkpoint does not count: {refusal.reason} {refusal.detail}")
    if found.good:
        heads, others = earlier(folder, known, "report", _root(source, checkpoint))
        notes += others
    times = Times([*heads, *([head] if head else [])])
    return reports, Log("report", checkpoint, head, times, found.damage, tuple(notes))


def _root(source: Source, checkpoint: Checkpoint) -> Callable[[int], bytes]:
    tree = TileTree(Reader(source, checkpoint).tile)
    return lambda size: tree.root(size) if size <= checkpoint.size else b""
