"""A log as its readers find it: kept by the ledger, cosigned by four guards, exported to files."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from struct import pack

from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.note import COSIGNATURE, ED25519, MLDSA44, Key
from answerable.keys.sign import Signer, cosign
from answerable.ledger.client import StoreSource
from answerable.ledger.export import export as write
from answerable.ledger.log import Log
from answerable.ledger.sqlite import SqliteStore
from tests.conformance.make_vectors import ORIGIN, TIME, seed

BATCH = 1000


@dataclass(frozen=True)
class Exported:
    """Where the files are, and what the log itself says of its head."""

    folder: Path
    head: Checkpoint

    @property
    def keys(self) -> list[str]:
        """The verifier keys as the export names them: the log's own two, then the guards'."""
        return (self.folder / "vkeys").read_text().splitlines()


def signer(name: str, kind: int) -> Signer:
    """Give a signer from its fixed seed."""
    return Signer.from_seed(name, kind, seed(f"{name} {kind}"))


@contextmanager
def published(base: Path, size: int) -> Iterator[tuple[Log, list[Key]]]:
    """Open a log of `size` entries whose head four guards have cosigned; also give all keys."""
    store = SqliteStore(base / "log.db")
    own = (signer(ORIGIN, ED25519), signer(ORIGIN, MLDSA44))
    guards = [
        signer(f"g{n}.example/witness", kind)
        for n in range(1, 5)
        for kind in (COSIGNATURE, MLDSA44)
    ]
    try:
        with Log(store, ORIGIN, own, lambda: TIME) as log:
            entries = [b"entry %d" % n for n in range(size)]
            for start in range(0, size, BATCH):
                log.append(entries[start : start + BATCH])
            head = log.head()
            note = head.note + cosign(head.checkpoint, TIME + 60, *guards).encode()
            log.publish(note, head.checkpoint)
            yield log, [one.key for one in (*own, *guards)]
    finally:
        store.close()


def export(base: Path, size: int) -> Exported:
    """Export a log of `size` entries into a folder."""
    with published(base, size) as (log, keys):
        head, folder = log.head().checkpoint, base / "static"
        write(StoreSource(log.store, size), log.published(), head, keys, folder)
    return Exported(folder, head)


def moved(note: bytes, line: int, seconds: int) -> bytes:
    """Move the time of one cosignature line of a checkpoint."""
    lines = note.decode().split("\n")
    at = lines.index("") + 1 + line
    start, _, blob = lines[at].rpartition(" ")
    raw = base64.b64decode(blob)
    time = int.from_bytes(raw[4:12], "big") + seconds
    lines[at] = f"{start} {base64.b64encode(raw[:4] + pack('>Q', time) + raw[12:]).decode()}"
    return "\n".join(lines).encode()
