"""From the attesters' cosignatures to the body of a `release` statement.

Each attester that agreed cosigns the checkpoint whose origin names fleet, charter and feed, whose
size and root are the candidate's. Their lines are joined under the three lines of text; a quorum
of them is checked here as the fold will check it, so that no release is logged in vain.

Where attesters disagree, or a shock stopped them, people decide: they sign the statement itself,
whose checkpoint is then the bare three lines. Left out: signing (kernel).
"""

from collections.abc import Iterable

from answerable.feeds.candidate import Candidate
from answerable.kernel.canon import Json
from answerable.kernel.charter import Charter
from answerable.kernel.checkpoint import Checkpoint, Cosigned, cosigned
from answerable.kernel.fold import release_origin


def checkpoint(candidate: Candidate, fleet: str, charter: int) -> Checkpoint:
    """Give the checkpoint that an attester cosigns for a candidate.

    Args:
        fleet: its id, hex.
        charter: number of the charter in force.
    """
    origin = release_origin(fleet, charter, candidate.feed)
    return Checkpoint(origin, len(candidate.facts), candidate.tree.root())


def joined(agreed: Checkpoint, lines: Iterable[str]) -> str:
    """Join attesters' signature lines (as `cosign` spells them) into one note."""
    return agreed.text() + "\n" + "".join(dict.fromkeys(lines))


def body(feed: str, note: str, law: Charter, fleet: str) -> tuple[Json, Cosigned]:
    """Give the body of a release that a quorum of attesters signed.

    Returns: the body, and the checkpoint with the attesters' times.

    Raises:
        Refused: `no_quorum`, `wrong_origin`, `bad_signature`, `malformed` or `too_large`.
    """
    origin = release_origin(fleet, law.body["number"], feed)
    agreed = cosigned(note.encode(), origin, law.guards["attester"], law.quorum)
    return {"feed": feed, "checkpoint": note, "model": "", "time": agreed.present}, agreed


def by_people(candidate: Candidate, law: Charter, fleet: str, now: int) -> Json:
    """Give the body of a release that people sign; it counts from POSIX second `now`."""
    agreed = checkpoint(candidate, fleet, law.body["number"])
    return {"feed": candidate.feed, "checkpoint": agreed.text(), "model": "", "time": now}
