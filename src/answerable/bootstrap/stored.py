"""A log server's stored logs, looked at beside the running server: exported, or verified.

Verifying believes no index and no table: the newest head that guards cosigned and the log's own
newest head must bear their signatures, and every record and hash must lead to their roots. Each
record that does not is named, with what was done to it as far as that shows (ledger/audit.py).
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from answerable.bootstrap.log import fleet_of
from answerable.bootstrap.parties import LOGS, pair_of
from answerable.config import Party
from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.errors import Refused
from answerable.kernel.fold import State, fold
from answerable.kernel.note import Key
from answerable.ledger.audit import audit
from answerable.ledger.client import StoreSource
from answerable.ledger.export import export_store
from answerable.ledger.heads import open_head, own_keys
from answerable.ledger.sqlite import SqliteStore
from answerable.ledger.store import LedgerDamaged, Store

STEP = 1_024
"""Records that are read at once."""


def _origin(party: Party, log: str) -> str:
    return f"{party.name}/{log}"


def _store(party: Party, log: str) -> SqliteStore:
    return SqliteStore(party.directory / f"{log}.db", readonly=True)


def export_log(party: Party, log: str, folder: Path) -> Checkpoint:
    """Write one log of a log server as static files; give what was written.

    Raises:
        Refused, Unavailable: if the store is damaged, not there, or not this party's.
    """
    origin = _origin(party, log)
    own = own_keys(origin, pair_of(party, log))
    return export_store(_store(party, log), origin, own, _witnesses(party), folder)


def _witnesses(party: Party) -> list[Key]:
    """Give the keys of the witnesses of the charter in force."""
    store, state = _store(party, "authority"), State(fleet_of(party.charter()))
    head = store.head()
    size = head.size if head else 0
    for first in range(0, size, STEP):
        fold(state, store.entries(first, min(first + STEP, size)))
    return [key for pair in state.law().guards["witness"].values() for key in pair]


def verify_logs(party: Party) -> list[dict[str, Any]]:
    """Audit both logs; give what is damaged: log, record and how, nothing if all is well.

    Raises:
        Unavailable: if a store or key cannot be read.
    """
    return [
        {"log": log, "record": record, "how": how}
        for log in LOGS
        for record, how in _damage(party, log)
    ]


def _damage(party: Party, log: str) -> Iterator[tuple[int, str]]:
    store, origin = _store(party, log), _origin(party, log)
    own = own_keys(origin, pair_of(party, log))
    try:
        for checkpoint in _heads(store, origin, own):
            found = audit(StoreSource(store, checkpoint.size), checkpoint).damage
            if found:
                yield from ((each.index, each.how) for each in found)
                return
    except LedgerDamaged as error:
        yield error.index, error.how
    except Refused as refusal:
        yield 0, f"the stored head is not this log's: {refusal.reason}: {refusal.detail}"


def _heads(store: Store, origin: str, own: tuple[Key, Key]) -> Iterator[Checkpoint]:
    head, published = store.head(), store.published()
    notes = [note for note in (published, head.note if head else b"") if note]
    if not notes:
        raise LedgerDamaged(0, "the store holds no head at all")
    for note in dict.fromkeys(notes):
        yield open_head(note, origin, own)
