"""Opening records of the report log: signature, shape, fleet and signer of every single one.

`Checker` opens entries; `python -m answerable.evidence.checker` does so as a worker, for bundles
that come on stdin, so that an audit uses all cores:

    in:  u32 length || JSON settings, then frames: u64 first index || u32 length || entry bundle
    out: one JSON line a record that matters, after the last frame

A row is [place, leaf, kind, ...]: of a `report` and an `observation` what trails need, of a
`finding` its words, of a record that does not hold (`bad`) the reason. Others are counted by kind
on the last row. Left out: whether bytes are those that were logged; the audit has checked that
before it hands them on.
"""

import json
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from struct import pack, unpack
from typing import Any, BinaryIO

from answerable.evidence.swift import swift
from answerable.evidence.trail import Authority
from answerable.kernel.canon import Json
from answerable.kernel.charter import Charter, Signatory
from answerable.kernel.errors import Refused, demand
from answerable.kernel.merkle import leaf_hash
from answerable.kernel.note import LINES, Key, parse_vkey
from answerable.ledger.reports import open_report
from answerable.ledger.tiles import read_bundle

Row = list[Any]
SETTINGS = 1 << 30
"""Largest settings of a worker, bytes; a host is some 100."""
FRAME = 1 << 25
"""Largest bundle of a frame, bytes."""
_REPORT = ("notice", "order", "change", "host", "type", "result", "reason", "seq", "started",
           "ended")  # fmt: skip


def settings(known: Authority, hosts: Mapping[Key, str]) -> Json:
    """Spell what a checker needs to know: charters by number, and whose key each host's is."""
    return {
        "charters": [[law.body, law.id] for _, law in known.laws],
        "fleet": known.state.fleet,
        "hosts": [[key.vkey(), name] for key, name in hosts.items()],
    }


class Checker:
    """Opens entries of the report log of one fleet."""

    def __init__(self, given: Json) -> None:
        """Take settings (see `settings`)."""
        self._fleet: str = given["fleet"]
        laws = [Charter(body, name) for body, name in given["charters"]]
        self._origins = {law.body["logs"]["report"]["origin"] for law in laws}
        self._named: dict[int, dict[str, dict[Key, Signatory]]] = {}
        hosts = [(parse_vkey(vkey), name) for vkey, name in given["hosts"]]
        for law in laws:
            named = self._named.setdefault(law.body["number"], {})
            for key, who in [*law.owners.items(), *((k, ("host", n)) for k, n in hosts)]:
                named.setdefault(key.name, {})[key] = who
        self.counts: Counter[str] = Counter()

    def rows(self, first: int, entries: Sequence[bytes]) -> Iterator[Row]:
        """Open entries; give a row for each that matters."""
        for place, entry in enumerate(entries, first):
            try:
                row = self._row(entry)
            except Refused as refusal:
                self.counts["bad"] += 1
                yield [place, "", "bad", refusal.reason, refusal.detail[:200]]
                continue
            self.counts[row[0]] += 1
            if row[1:]:
                yield [place, leaf_hash(entry).hex(), *row]

    def _row(self, entry: bytes) -> Row:
        text, _, lines = entry.rpartition(b"\n\n")
        # The charter's number is not believed yet: it only chooses whose keys are tried.
        number = _number(text)
        demand(number in self._named, "stale_charter", f"charter {number} is not of this log")
        named, owners = self._named[number], dict[Key, Signatory]()
        for line in lines.split(b"\n", LINES)[:LINES]:
            name = line.split(b" ", 2)[1:2]
            owners |= named.get(name[0].decode(errors="replace") if name else "", {})
        if row := self._swift(entry, owners, number):
            return row
        said = open_report(entry, owners)
        told, body = said.envelope, said.body
        demand(told["charter"] == number, "malformed", "two charter numbers")
        demand(told["fleet"] == self._fleet, "wrong_fleet", f"`{told['fleet']}`")
        demand(told["origin"] in self._origins, "wrong_origin", f"`{told['origin']}`")
        if said.kind == "report":
            return ["report", *(body[name] for name in _REPORT)]
        if said.kind == "observation":
            by = said.one("observer")
            return ["observation", by, body["order"], body["change"], body["result"]]
        if said.kind == "finding":
            (_, by), *_ = said.signers
            return ["finding", by, body["kind"], body["subject"], body["detail"]]
        if said.kind == "outcome":
            return ["outcome", said.one("planner"), body["notice"], body["state"], body["detail"]]
        return [said.kind]

    def _swift(self, entry: bytes, owners: Mapping[Key, Signatory], number: int) -> Row:
        said = swift(entry, owners)
        if said is None or (said.charter, said.fleet) != (number, self._fleet):
            return []
        if said.origin not in self._origins:
            return []
        body = said.body
        if said.kind == "report":
            *words, seq, started, ended = (body[name] for name in _REPORT)
            return ["report", *words, int(seq), int(started), int(ended)]
        if said.kind == "observation":
            return ["observation", said.signer[1], body["order"], body["change"], body["result"]]
        return [said.kind]


def _number(text: bytes) -> int:
    """Read the charter's number out of an envelope; keys stand sorted, so the last one counts."""
    digits = text.rpartition(b',"charter":')[2].partition(b",")[0]
    return int(digits) if digits.isdigit() and len(digits) < 16 else -1  # noqa: PLR2004


def work(given: BinaryIO, out: BinaryIO) -> None:
    """Be a worker: read frames to their end, then write rows."""
    (length,) = unpack(">I", given.read(4))
    assert length <= SETTINGS, "settings that no auditor sends"
    checker, lines = Checker(json.loads(given.read(length))), list[bytes]()
    while head := given.read(12):
        first, length = unpack(">QI", head)
        assert length <= FRAME, "a frame that no auditor sends"
        data = given.read(length)
        (count,) = unpack(">H", data[:2])
        for row in checker.rows(first, read_bundle(data[2:], count)):
            lines.append(json.dumps(row).encode() + b"\n")
    lines.append(json.dumps([0, "", "counts", dict(checker.counts)]).encode() + b"\n")
    out.writelines(lines)


def frame(first: int, bundle: bytes, count: int) -> bytes:
    """Spell a frame."""
    return pack(">QIH", first, len(bundle) + 2, count) + bundle


if __name__ == "__main__":
    work(sys.stdin.buffer, sys.stdout.buffer)
