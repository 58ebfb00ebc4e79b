"""C2SP signed notes: text, a blank line, and lines `— name base64(key id || signature)`.

Rules (c2sp.org/signed-note v1.0.0): UTF-8 without control characters but LF; the text ends in LF;
the last blank line divides; a line of an unknown (name, key id) is ignored; a known key whose line
fails refuses the whole note; a note with no known good line is refused. The key id is
SHA-256(name || 0x0A || type || public key)[:4]. Types: 0x01 Ed25519 over the text, 0x04 and 0x06
cosignatures (checkpoint.py), 0xff with `answerable/sshsig/v1` and LF before the SSH public key
(sshsig.py). The text is given out only by `Note.open`, after its signatures were checked.

Example line (golang.org/x/mod/sumdb/note), in one:
`— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6
RyyBwJnAM=`
"""

import base64
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey

from answerable.kernel.errors import demand

ED25519, COSIGNATURE, MLDSA44, OTHER = 0x01, 0x04, 0x06, 0xFF
# Largest note that fits a C2SP entry bundle, bytes; most signature lines; bytes of a key id.
ENTRY, LINES, ID = 65_535, 64, 4
# What is no UTF-8 was read as surrogates.
_LINE = re.compile(r"\A\u2014 ([^\s+\0-\x1f\ud800-\udfff]+)\Z")
_VKEY = re.compile(r"([!-*,-~]{1,255})\+([0-9a-f]{8})\+(\S+)")
_CONTROL = bytes({*range(0x20)} - {0x0A})
Check = Callable[["Key", bytes, bytes], bool]
_PUBLIC = {ED25519: 32, COSIGNATURE: 32, MLDSA44: 1312}


@lru_cache(maxsize=256)
def _public(kind: int, raw: bytes) -> Ed25519PublicKey | MLDSA44PublicKey:
    return (MLDSA44PublicKey if kind == MLDSA44 else Ed25519PublicKey).from_public_bytes(raw)


@lru_cache(maxsize=1024)
def signature_holds(kind: int, raw: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether a raw Ed25519 or ML-DSA-44 signature (empty context) is good."""
    with suppress(InvalidSignature, ValueError):
        _public(kind, raw).verify(signature, message)
        return True
    return False


def unbase64(text: str) -> bytes:
    """Read padded standard base64 in its one spelling.

    Raises:
        Refused: `malformed`.
    """
    data = b""
    with suppress(ValueError):
        data = base64.b64decode(text, validate=True)
    demand(base64.b64encode(data).decode() == text, "malformed", "not base64 as it is written")
    return data


class Key(NamedTuple):
    """A verifier key: name, signature type, raw public key (for 0xff see sshsig.py)."""

    name: str
    kind: int
    public: bytes

    @property
    @lru_cache(maxsize=1024)  # noqa: B019  a small tuple, and bounded
    def id(self) -> bytes:
        """The four bytes that stand before a signature."""
        return sha256(b"%s\n%c%s" % (self.name.encode(), self.kind, self.public)).digest()[:ID]

    def vkey(self) -> str:
        """Spell the key as C2SP does: `name+hex8+base64(type||key)`."""
        blob = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{blob}"


@lru_cache(maxsize=256)
def parse_vkey(text: str) -> Key:
    """Read a C2SP verifier key of type 0x01, 0x04 or 0x06.

    Raises:
        Refused: `malformed`, or `bad_key`, also when the key id does not belong to the key.
    """
    found = _VKEY.fullmatch(text)
    name, key_id, blob = found.groups() if found else ("", "", "AA==")
    key = Key(name, unbase64(blob)[0], unbase64(blob)[1:])
    sound = _PUBLIC.get(key.kind) == len(key.public) and key.id.hex() == key_id
    demand(sound, "bad_key", "not a verifier key of type 1, 4 or 6 with its own id")
    return key


def plain(key: Key, text: bytes, payload: bytes) -> bool:
    """Check a type 0x01 payload."""
    return key.kind == ED25519 and signature_holds(key.kind, key.public, payload, text)


class Note:
    """A note taken apart; its text stays shut until `open` has checked signatures."""

    def __init__(self, data: bytes, limit: int = ENTRY) -> None:
        """Take the bytes apart.

        Raises:
            Refused: `too_large` or `malformed`.
        """
        demand(len(data) <= limit, "too_large", f"a note of {len(data)} bytes")
        text, blank, tail = data.rpartition(b"\n\n")
        lines = tail.split(b"\n")
        sound = blank and text and not lines.pop() and 1 <= len(lines) <= LINES
        sound = sound and text == text.decode(errors="replace").encode().translate(None, _CONTROL)
        demand(sound, "malformed", "not text, blank line, signature lines")
        self._text = text + b"\n"
        self.lines = [_line(line) for line in lines]

    def open(self, keys: Iterable[Key], how: Check = plain) -> tuple[bytes, dict[Key, list[bytes]]]:
        """Give the text and the keys that signed it, each with the payloads of its lines.

        Raises:
            Refused: `bad_signature` if a known key's line fails or no known key signed.
        """
        known, good = {(key.name, key.id): key for key in keys}, dict[Key, list[bytes]]()
        for name, key_id, payload in self.lines:
            if key := known.get((name, key_id)):
                demand(how(key, self._text, payload), "bad_signature", f"the line of `{name}`")
                good.setdefault(key, []).append(payload)
        demand(good, "bad_signature", "no line of a known key")
        return self._text, good


def _line(line: bytes) -> tuple[str, bytes, bytes]:
    head, _, blob = line.rpartition(b" ")
    names = _LINE.findall(head.decode(errors="surrogateescape"))
    raw = unbase64(blob.decode(errors="replace"))
    demand(names and len(raw) > ID, "malformed", "not a signature line")
    return names[0], raw[:ID], raw[ID:]
