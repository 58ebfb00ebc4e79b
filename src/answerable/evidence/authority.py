"""The authority log of an evidence directory, audited and folded in one pass.

1. Every byte must lead to the root of its checkpoint (ledger/audit.py); what does not is damage.
2. The first record must be the charter whose id is the fleet's.
3. The checkpoint must be cosigned under the charter in force there, which is known only after the
   fold; until then nothing of it is given out.

A log to which the fleet has moved carries the old one's records and the charter that moved it, so
it is folded as any other. Left out: charters that stand in no log.
"""

from collections.abc import Sequence

from answerable.evidence.folder import Folder, NoEvidence
from answerable.evidence.heads import Log, agreed, claimed, earlier
from answerable.evidence.times import Times
from answerable.evidence.trail import Authority
from answerable.kernel.checkpoint import Cosigned
from answerable.kernel.errors import Refused
from answerable.kernel.fold import State, fold
from answerable.kernel.statement import AUTHORITY, open_charter, open_statement
from answerable.ledger.audit import audit

_CITES = (b'"type":"failure","version":1}', b'"type":"advance","version":1}')


class _Folding:
    """Folds what the audit hands out, and notes what the fold itself does not keep."""

    def __init__(self, fleet: str) -> None:
        self.known = Authority(State(fleet))

    def see(self, first: int, entries: Sequence[bytes]) -> None:
        state, laws = self.known.state, self.known.laws
        for index, entry in enumerate(entries, first):
            if index != state.tree.size:
                return  # damage before this record: what follows cannot be folded
            good = fold(state, [entry]) == [None]
            if good and (not laws or laws[-1][1] is not state.charter):
                laws.append((index, state.law()))
            if good and entry.rpartition(b"\n\n")[0].endswith(_CITES):
                self._cite(index, entry)

    def _cite(self, index: int, entry: bytes) -> None:
        said = open_statement(entry, AUTHORITY, self.known.state.law().owners)
        body, observer = said.body, said.one("observer")
        for leaf in body["seen"] if said.kind == "advance" else [body["report"]]:
            self.known.cited.setdefault(leaf, index)
        if said.kind == "failure":
            told = self.known.failures.setdefault(body["host"], [])
            told.append((index, observer, body))
        else:
            ring = self.known.advances.setdefault((body["notice"], body["ring"]), {})
            ring.setdefault(observer, index)


def read_authority(folder: Folder, fleet: str = "") -> tuple[Authority, Log]:
    """Audit and fold the authority log; `fleet` is the id of charter 1, of `charter.note` if "".

    Raises:
        NoEvidence: if the log or the root of trust is missing.
    """
    source = folder.log("authority")
    note, checkpoint = claimed(source, "authority")
    work = _Folding(fleet or _fleet(folder))
    found = audit(source, checkpoint, work.see)
    known, tree = work.known, work.known.state.tree
    notes, heads = list[str](), list[Cosigned]()
    head: Cosigned | None = None
    if not known.laws:
        notes.append("its first record is not the charter of this fleet")
    else:
        if tree.size != checkpoint.size and not found.damage:
            notes.append(f"only {tree.size} of {checkpoint.size} records could be folded")
        try:
            head = agreed(note, checkpoint, known, "authority")
        except Refused as refusal:
            notes.append(f"its checkpoint does not count: {refusal.reason} {refusal.detail}")

        def root(size: int) -> bytes:
            return tree.root(size) if size <= tree.size else b""

        heads, others = earlier(folder, known, "authority", root)
        notes += others
    times = Times([*heads, *([head] if head else [])])
    return known, Log("authority", checkpoint, head, times, found.damage, tuple(notes))


def _fleet(folder: Folder) -> str:
    charter = folder.charter()
    if charter is None:
        raise NoEvidence(
            f"`{folder.path}` has no `charter.note`: give the fleet's id, or the directory that "
            "`answerable evidence collect` wrote"
        )
    try:
        return open_charter(charter)[1].id
    except Refused as refusal:
        raise NoEvidence(f"`charter.note` is no charter: {refusal}") from refusal
