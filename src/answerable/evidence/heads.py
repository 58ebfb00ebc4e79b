"""Checkpoints of an evidence directory: the newest of each log, and earlier ones that prove times.

A checkpoint counts if a quorum of the guards of the charter that was in force at its size, or of
the one before, cosigned it; of the report log, any charter of the fleet. An earlier one must also
have the root of the same history at its size: one that a quorum cosigned over another root proves
two histories, and is damage. One that does not count otherwise proves nothing and is passed over.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from answerable.evidence.folder import Folder, NoEvidence
from answerable.evidence.times import Times
from answerable.evidence.trail import Authority
from answerable.kernel.charter import Charter
from answerable.kernel.checkpoint import Checkpoint, Cosigned, cosigned, parse_checkpoint
from answerable.kernel.errors import Refused, demand
from answerable.ledger.audit import Damage
from answerable.ledger.client import LedgerMissing, Source, fetch_checkpoint

Root = Callable[[int], bytes]
"""Gives the root of the first so many records."""


@dataclass(frozen=True)
class Log:
    """One log: its newest checkpoint, its clock, what is damaged, and what does not count."""

    name: str
    checkpoint: Checkpoint
    cosigned: Cosigned | None
    times: Times
    damage: tuple[Damage, ...]
    notes: tuple[str, ...]


def claimed(source: Source, name: str) -> tuple[bytes, Checkpoint]:
    """Give a log's checkpoint note and what it claims; nothing of it is believed yet.

    Raises:
        NoEvidence: if there is none.
    """
    try:
        note = fetch_checkpoint(source)
        return note, parse_checkpoint(_text(note))
    except LedgerMissing as error:
        what = f"the {name} log is missing, no `{name}/checkpoint`: collect the evidence again"
        raise NoEvidence(what) from error
    except Refused as refusal:
        raise NoEvidence(f"the {name} log's checkpoint is none: {refusal.detail}") from refusal


def _text(note: bytes) -> bytes:
    return note.rpartition(b"\n\n")[0] + b"\n"


def agreed(note: bytes, at: Checkpoint, known: Authority, log: str) -> Cosigned:
    """Open a checkpoint as one that counts.

    Raises:
        Refused: `no_quorum`, `wrong_origin` or `bad_signature`, of the likeliest charter.
    """
    why: Refused | None = None
    laws = _laws(known, at.size if log == "authority" else None)
    for law in reversed(laws):
        origin = law.body["logs"][log]["origin"]
        try:
            return cosigned(note, origin, law.guards["witness"], law.quorum)
        except Refused as refusal:
            why = refusal
    demand(why, "no_quorum", "no charter stands in the log")
    raise cast("Refused", why)


def _laws(known: Authority, size: int | None) -> list[Charter]:
    """Give the charters whose guards may have cosigned a tree of this size, the likeliest first."""
    every = [law for _, law in reversed(known.laws)]
    if size is None or not every:
        return every
    last = known.law(max(0, size - 1)).body["number"]
    return [law for law in every if law.body["number"] in (last, last - 1)]


def earlier(
    folder: Folder, known: Authority, log: str, root: Root
) -> tuple[list[Cosigned], list[str]]:
    """Give the earlier checkpoints of a log that count, and those that prove another history."""
    found, notes = list[Cosigned](), list[str]()
    for name, note in folder.witnessed():
        try:
            at = parse_checkpoint(_text(note))
            one = agreed(note, at, known, log)
        except Refused:
            continue
        if root(at.size) == at.root:
            found.append(one)
        else:
            notes.append(f"`witnessed/{name}` is cosigned over another history of size {at.size}")
    return found, notes
