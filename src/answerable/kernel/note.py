"""C2SP signed notes: text, a blank line, and lines `— name base64(key id || signature)`.

Rules (c2sp.org/signed-note v1.0.0): UTF-8 without control characters but LF; the text ends in LF;
the last blank line divides; a line of an unknown (name, key id) is ignored; a known key whose line
fails refuses the whole note; a note with no known good line is refused. The key id is
SHA-256(name || 0x0A || type || public key)[:4]. Types: 0x01 Ed25519 over the text, 0x04 and 0x06
cosignatures (checkpoint.py), 0xff with `answerable/sshsig/v1` and LF before the SSH public key
(sshsig.py). The text is given out only by `Note.open`, after its signatures were checked.

Example line: `— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngot
S8hw6mK2x6TQ8+6q8y9bQ==` (one line; c2sp.org).
"""

import base64
import re
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from hashlib import sha256

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey, MLDSA44PublicKey

from answerable.kernel.errors import demand

ED25519, COSIGNATURE, MLDSA44, OTHER = 0x01, 0x04, 0x06, 0xFF
SSH_TAG = b"answerable/sshsig/v1\n"
ENTRY = 65_535
"""Largest note that fits a C2SP entry bundle, bytes."""
LINES = 64
"""Most signature lines that are read."""
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f]")
_PUBLIC = {ED25519: 32, COSIGNATURE: 32, MLDSA44: 1312}


@lru_cache(maxsize=256)
def _public(kind: int, raw: bytes) -> Ed25519PublicKey | MLDSA44PublicKey:
    load = MLDSA44PublicKey if kind == MLDSA44 else Ed25519PublicKey
    return load.from_public_bytes(raw)


def signature_holds(kind: int, raw: bytes, signature: bytes, message: bytes) -> bool:
    """Tell whether a raw Ed25519 or ML-DSA-44 signature (empty context) is good."""
    try:
        _public(kind, raw).verify(signature, message)
    except (InvalidSignature, ValueError):
        return False
    return True


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


@dataclass(frozen=True)
class Key:
    """A verifier key: name, signature type, raw public key (for 0xff the SSH wire form)."""

    name: str
    kind: int
    public: bytes

    @cached_property
    def id(self) -> bytes:
        """The four bytes that stand before a signature."""
        tag = SSH_TAG if self.kind == OTHER else b""
        return sha256(self.name.encode() + b"\n" + bytes([self.kind]) + tag + self.public).digest()[:4]

    def vkey(self) -> str:
        """Spell the key as C2SP does: `name+hex8+base64(type||key)`."""
        blob = base64.b64encode(bytes([self.kind]) + self.public).decode()
        return f"{self.name}+{self.id.hex()}+{blob}"


def _good_name(name: str) -> bool:
    return bool(name) and "+" not in name and not any(c.isspace() or c < " " for c in name)


def parse_vkey(text: str) -> Key:
    """Read a C2SP verifier key of type 0x01, 0x04 or 0x06.

    Raises:
        Refused: `malformed`, or `bad_key`, also when the key id does not belong to the key.
    """
    parts = text.split("+", 2)
    blob = unbase64(parts[2]) if len(parts) == 3 else b""
    known = blob and _PUBLIC.get(blob[0]) == len(blob) - 1
    demand(known and _good_name(parts[0]), "bad_key", "not a verifier key of type 1, 4 or 6")
    key = Key(parts[0], blob[0], blob[1:])
    demand(key.id.hex() == parts[1], "bad_key", f"`{parts[1]}` is not the id of this key")
    return key


@dataclass(frozen=True)
class Signer:
    """A private key: its verifier key, and what makes raw signatures."""

    key: Key
    sign_raw: Callable[[bytes], bytes]

    @staticmethod
    def from_seed(name: str, kind: int, seed: bytes) -> "Signer":
        """Make a signer of type 0x01, 0x04 or 0x06 from a 32-byte seed."""
        ml, ed = MLDSA44PrivateKey.from_seed_bytes, Ed25519PrivateKey.from_private_bytes
        private = ml(seed) if kind == MLDSA44 else ed(seed)
        return Signer(Key(name, kind, private.public_key().public_bytes_raw()), private.sign)

    def line(self, payload: bytes) -> str:
        """Spell one signature line with its final LF."""
        return signature_line(self.key, payload)


def signature_line(key: Key, payload: bytes) -> str:
    """Spell one signature line with its final LF."""
    return f"\u2014 {key.name} {base64.b64encode(key.id + payload).decode()}\n"


def sign(text: str, *signers: Signer) -> bytes:
    """Make a note signed with type 0x01 keys; the text ends in LF."""
    assert text.endswith("\n") and all(s.key.kind == ED25519 for s in signers)
    return (text + "\n" + "".join(s.line(s.sign_raw(text.encode())) for s in signers)).encode()


Check = Callable[[Key, bytes, bytes], bool]
"""(key, text, payload) -> good; how a key's payload covers the text."""


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
        whole = data.decode(errors="replace")
        text, blank, tail = whole.rpartition("\n\n")
        lines = tail.split("\n")
        sound = blank and text and not lines.pop() and 1 <= len(lines) <= LINES
        sound = sound and whole.encode() == data and not _CONTROL.search(whole)
        demand(sound, "malformed", "not text, blank line, signature lines")
        self._text = (text + "\n").encode()
        self.lines = [_line(line) for line in lines]

    def open(self, keys: Iterable[Key], check: Check = plain) -> tuple[bytes, tuple[Key, ...]]:
        """Give the text and the keys that signed it, each once.

        Raises:
            Refused: `bad_signature` if a known key's line fails or no known key signed.
        """
        known, good = {(key.name, key.id): key for key in keys}, dict[Key, None]()
        for name, key_id, payload in self.lines:
            if key := known.get((name, key_id)):
                demand(check(key, self._text, payload), "bad_signature", f"the line of `{name}`")
                good[key] = None
        demand(good, "bad_signature", "no line of a known key")
        return self._text, tuple(good)


def _line(line: str) -> tuple[str, bytes, bytes]:
    parts = line.split(" ")
    sound = len(parts) == 3 and parts[0] == "\u2014" and _good_name(parts[1])
    blob = unbase64(parts[2]) if sound else b""
    demand(len(blob) > 4, "malformed", "not a signature line")
    return parts[1], blob[:4], blob[4:]
