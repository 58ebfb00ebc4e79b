"""A log as its readers find it: a folder of static files, and the keys it was published with."""

import base64
from dataclasses import dataclass
from pathlib import Path
from struct import pack

from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.note import COSIGNATURE, ED25519, MLDSA44
from answerable.keys.sign import Signer, cosign
from tests.conformance.make_vectors import ORIGIN, TIME, seed


@dataclass(frozen=True)
class Exported:
    """Where the files are, and the verifier keys of log and guards, the log's 0x01 first."""

    folder: Path
    keys: list[str]
    size: int
    root: bytes


def _name(index: int, width: int) -> str:
    digits = str(index).rjust((len(str(index)) + 2) // 3 * 3, "0")
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    path = "/".join([*("x" + group for group in groups[:-1]), groups[-1]])
    return path if width == 256 else f"{path}.p/{width}"


def _put(folder: Path, level: str, items: list[bytes]) -> None:
    for index in range((len(items) + 255) // 256):
        part = items[256 * index : 256 * index + 256]
        file = folder / "tile" / level / _name(index, len(part))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"".join(part))


def export(folder: Path, size: int) -> Exported:
    """Write a log of `size` entries with two keys, cosigned by four guards."""
    entries = [b"entry %d" % n for n in range(size)]
    tree = Tree(map(leaf_hash, entries))
    _put(folder, "entries", [pack(">H", len(entry)) + entry for entry in entries])
    for level in range(8):
        if len(tree.levels) > 8 * level and tree.levels[8 * level]:
            row = bytes(tree.levels[8 * level])
            _put(folder, str(level), [row[i : i + 32] for i in range(0, len(row), 32)])
    log = [Signer.from_seed(ORIGIN, kind, seed(f"{ORIGIN} {kind}")) for kind in (ED25519, MLDSA44)]
    guards = [
        Signer.from_seed(f"g{n}.example/witness", kind, seed(f"g{n} {kind}"))
        for n in range(1, 5)
        for kind in (COSIGNATURE, MLDSA44)
    ]
    head = Checkpoint(ORIGIN, size, tree.root())
    note = head.text() + "\n" + cosign(head, TIME, *log) + cosign(head, TIME + 60, *guards)
    (folder / "checkpoint").write_text(note)
    keys = [signer.key.vkey() for signer in (*log, *guards)]
    return Exported(folder, keys, size, head.root)


def moved(note: bytes, line: int, seconds: int) -> bytes:
    """Move the time of one cosignature line of a checkpoint."""
    lines = note.decode().split("\n")
    at = lines.index("") + 1 + line
    head, _, blob = lines[at].rpartition(" ")
    raw = base64.b64decode(blob)
    time = int.from_bytes(raw[4:12], "big") + seconds
    lines[at] = f"{head} {base64.b64encode(raw[:4] + pack('>Q', time) + raw[12:]).decode()}"
    return "\n".join(lines).encode()
