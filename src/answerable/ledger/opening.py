"""Opening a batch of reports: the part of admission that costs time, as a pure function.

`open_batch` checks everything about entries that needs no memory of others: evidence, signer,
fleet, log, charter, size. It runs in the server itself, or in worker processes (openers.py), which
speak over their standard input and output, each message after its length as u32 big-endian:

    question: u32be length || JSON [fleet, origin, number, sizes, [[name, type, key, kind, who]..]]
              || entries, each after its length
    answer:   JSON [[id, type, [[kind, who]..]]..], or {"refused": [reason, detail]}

A worker holds no key, keeps nothing, and is told whose keys count with every batch.
"""

import base64
import json
import sys
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, BinaryIO, NamedTuple

from answerable.kernel.charter import Signatory
from answerable.kernel.errors import Refused, demand
from answerable.kernel.note import Key
from answerable.ledger.batch import frame, unframe
from answerable.ledger.reports import open_report

Owners = Mapping[str, Mapping[Key, Signatory]]
"""Keys by the name that they bear, and whose they are."""
LINES = 4
"""Signature lines whose names are looked up; a report has one."""
MESSAGE = 64 << 20
"""Largest message between server and worker, bytes."""


class Terms(NamedTuple):
    """What a report must be for: fleet, log, newest charter; `sizes` caps bytes by type."""

    fleet: str
    origin: str
    number: int
    sizes: Mapping[str, int]


class Opened(NamedTuple):
    """An entry that was opened: its statement's id and type, and who signed it."""

    entry: bytes
    id: str
    kind: str
    signers: frozenset[Signatory]


def names_under(entry: bytes) -> list[str]:
    """Give the names on an entry's signature lines, unchecked: which keys to open it with."""
    lines = entry.rpartition(b"\n\n")[2].split(b"\n", LINES)[:LINES]
    return [name.decode(errors="replace") for line in lines for name in line.split(b" ", 2)[1:2]]


def open_batch(entries: Sequence[bytes], terms: Terms, owners: Owners) -> list[Opened]:
    """Open every entry of a batch.

    Raises:
        Refused: why one of them may not enter.
    """
    return [_open(entry, terms, owners) for entry in entries]


def _open(entry: bytes, terms: Terms, owners: Owners) -> Opened:
    names = names_under(entry)
    if len(names) == 1:
        known = owners.get(names[0], {})
    else:
        known = {k: v for name in names for k, v in owners.get(name, {}).items()}
    said = open_report(entry, known)
    envelope, cap = said.envelope, terms.sizes.get(said.kind)
    demand(envelope["fleet"] == terms.fleet, "wrong_fleet", f"`{envelope['fleet']}`")
    demand(envelope["origin"] == terms.origin, "wrong_origin", f"`{envelope['origin']}`")
    current = 1 <= envelope["charter"] <= terms.number
    demand(current, "stale_charter", f"number {envelope['charter']}")
    demand(cap is None or len(entry) <= cap, "too_large", f"a {said.kind}")
    return Opened(entry, said.id, said.kind, said.signers)


def question(entries: Sequence[bytes], terms: Terms, owners: Owners) -> bytes:
    """Spell a batch for a worker."""
    rows = [
        [key.name, key.kind, base64.b64encode(key.public).decode(), *who]
        for keys in owners.values()
        for key, who in keys.items()
    ]
    head = json.dumps([*terms, rows]).encode()
    return len(head).to_bytes(4, "big") + head + frame(entries)


def answer(asked: bytes) -> bytes:
    """Open a batch as a worker; whatever is wrong with it is the answer."""
    end = 4 + int.from_bytes(asked[:4], "big")
    *terms, rows = json.loads(asked[4:end])
    owners: dict[str, dict[Key, Signatory]] = {}
    for name, kind, public, *who in rows:
        owners.setdefault(name, {})[_key(name, kind, public)] = (who[0], who[1])
    try:
        found = open_batch(unframe(asked[end:], MESSAGE), Terms(*terms), owners)
    except Refused as refusal:
        return json.dumps({"refused": [refusal.reason, refusal.detail]}).encode()
    return json.dumps([[one.id, one.kind, [*one.signers]] for one in found]).encode()


def read_answer(entries: Sequence[bytes], told: bytes) -> list[Opened]:
    """Read what a worker found.

    Raises:
        Refused: what the worker refused.
    """
    value: Any = json.loads(told)
    if isinstance(value, dict):
        reason, detail = value["refused"]
        demand(False, reason, detail)  # noqa: FBT003  the worker's verdict, said again
    return [
        Opened(entry, name, kind, frozenset((k, who) for k, who in signers))
        for entry, (name, kind, signers) in zip(entries, value, strict=True)
    ]


@lru_cache(maxsize=65_536)
def _key(name: str, kind: int, public: str) -> Key:
    return Key(name, kind, base64.b64decode(public))


def serve(asked: BinaryIO, told: BinaryIO) -> None:
    """Answer questions until the server hangs up."""
    while len(size := asked.read(4)) == 4:  # noqa: PLR2004
        found = answer(asked.read(int.from_bytes(size, "big")))
        told.write(len(found).to_bytes(4, "big") + found)
        told.flush()


if __name__ == "__main__":
    serve(sys.stdin.buffer, sys.stdout.buffer)
