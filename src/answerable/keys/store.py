"""Keys on disk: one file a key, mode 0600, in a directory of mode 0700.

A file holds one line, `PRIVATE+KEY+<name>+<hex key id>+<base64(type || seed)>`, the form that the
Go module `sumdb/note` uses. Who cannot read the file cannot sign; nothing here logs a seed.
"""

import base64
import os
import secrets
from pathlib import Path

from answerable.kernel.errors import Refused, Unavailable
from answerable.kernel.note import COSIGNATURE, ED25519, MLDSA44, unbase64
from answerable.keys.sign import Signer

FILE = 4096
"""Largest key file that is read, bytes."""
SEED, PARTS = 32, 5


class KeyUnavailable(Unavailable):
    """A key file is missing, unreadable or broken."""


def make_key(path: Path, name: str, kind: int) -> Signer:
    """Make a key of a type and keep it at `path`, which must not exist yet."""
    seed = secrets.token_bytes(SEED)
    signer = Signer.from_seed(name, kind, seed)
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    secret = base64.b64encode(bytes([kind]) + seed).decode()
    line = f"PRIVATE+KEY+{name}+{signer.key.id.hex()}+{secret}\n"
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(file, "w", encoding="ascii") as out:
        out.write(line)
        out.flush()
        os.fsync(file)
    return signer


def load_key(path: Path) -> Signer:
    """Read a key.

    Raises:
        KeyUnavailable: if there is none, or it is not one of ours.
    """
    try:
        with path.open(encoding="ascii") as file:
            parts = file.read(FILE).strip().split("+", 4)
        blob = unbase64(parts[4]) if len(parts) == PARTS else b""
    except (OSError, UnicodeDecodeError) as error:
        raise KeyUnavailable(f"cannot read the key `{path}`: make it with `init`") from error
    except Refused as refused:
        raise KeyUnavailable(f"`{path}` is damaged: put its backup back") from refused
    if len(blob) != SEED + 1 or blob[0] not in (ED25519, COSIGNATURE, MLDSA44):
        raise KeyUnavailable(f"`{path}` is not a private key of type 1, 4 or 6")
    signer = Signer.from_seed(parts[2], blob[0], blob[1:])
    if signer.key.id.hex() != parts[3]:
        raise KeyUnavailable(f"`{path}` names another key id than its own")
    return signer


def load_or_make(path: Path, name: str, kind: int) -> Signer:
    """Read a key, or make it on first use."""
    return load_key(path) if path.exists() else make_key(path, name, kind)
