"""An evidence directory: everything that an audit needs, and no secret. docs/spec/evidence.md.

    charter.note           charter 1, the root of trust (or its fleet id, given by hand)
    authority/ report/     the two logs as `answerable log export` writes them
    hosts.json             [{"record","enrolment","place","path"}], host records with their proofs
    plans/<digest>.json    the documents that notices name
    witnessed/*.note       earlier checkpoints of either log, cosigned: they prove what stood when

Nothing in it is believed: logs must lead to the cosigned checkpoint, charters to the fleet's id,
records to an enrolment, plans to a notice. A file that is missing makes less provable, never more.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from answerable.kernel.canon import conforms, shape
from answerable.kernel.checkpoint import CHECKPOINT
from answerable.kernel.errors import Unavailable
from answerable.kernel.note import ENTRY
from answerable.kernel.verify import Enrolled
from answerable.ledger.client import FolderSource

HOSTS = 1 << 30
"""Largest file of host records, bytes."""
PLAN = 256 << 20
"""Largest plan, bytes."""
NOTES = 100_000
"""Most earlier checkpoints that are read."""
_ROW = shape("record:text enrolment:hex place:int", path=["hex"])


class NoEvidence(Unavailable):
    """A directory that is no evidence directory, or whose files cannot be read."""


@dataclass(frozen=True)
class Folder:
    """The directory; reads are limited, and nothing is checked here."""

    path: Path

    def log(self, name: str) -> FolderSource:
        """Give a log, `authority` or `report`, as a source of tiles."""
        return FolderSource(self.path / name)

    def charter(self) -> bytes | None:
        """Give charter 1, if it is there."""
        place = self.path / "charter.note"
        return _read(place, ENTRY) if place.exists() else None

    def hosts(self) -> list[Enrolled]:
        """Give the host records, not yet proven."""
        place = self.path / "hosts.json"
        if not place.exists():
            return []
        try:
            rows = json.loads(_read(place, HOSTS))
        except ValueError as error:
            raise NoEvidence(f"`{place}` is not JSON; collect the evidence again") from error
        if not conforms(rows, [_ROW]):
            raise NoEvidence(f"`{place}` is no list of host records; collect the evidence again")
        return [
            Enrolled(r["record"], r["enrolment"], r["place"], [bytes.fromhex(h) for h in r["path"]])
            for r in rows
        ]

    def plan(self, digest: str) -> bytes | None:
        """Give a plan's bytes, if they are there."""
        place = self.path / "plans" / f"{digest}.json"
        return _read(place, PLAN) if place.exists() else None

    def witnessed(self) -> Iterator[tuple[str, bytes]]:
        """Give earlier checkpoints with their file names."""
        folder = self.path / "witnessed"
        places = sorted(folder.glob("*.note"))[:NOTES] if folder.is_dir() else []
        for place in places:
            yield place.name, _read(place, CHECKPOINT)


def _read(place: Path, limit: int) -> bytes:
    try:
        with place.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        raise NoEvidence(f"cannot read `{place}`: {error.strerror}") from error
    if len(data) > limit:
        raise NoEvidence(f"`{place}` has more than {limit} bytes")
    return data
