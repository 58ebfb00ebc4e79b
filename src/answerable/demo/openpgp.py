"""A vendor's OpenPGP key, made for one demo, and what gpgv then checks: a keyring, signed texts.

Version 4 keys and signatures with Ed25519 (RFC 4880 sections 3.2, 4.2, 5.2, 5.5.2 and 7; EdDSA as
algorithm 22 with the OID that GnuPG uses; signatures with SHA-256). No gpg is needed to make them.
Left out: everything else of OpenPGP; the key is never written down.
"""

import base64
import hashlib
import struct
import textwrap

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

_OID = bytes.fromhex("092b06010401da470f01")
_EDDSA, _SHA256 = 22, 8
_SIGNATURE, _KEY, _USER = 2, 6, 13
_OF_TEXT, _OF_USER = 0x01, 0x13


class Publisher:
    """Holds one signing key.

    Args:
        name: who it is, such as `Vendor <vendor@example.invalid>`.
        made: POSIX seconds.
    """

    def __init__(self, name: str, made: int) -> None:
        self._key, self._name, self._made = Ed25519PrivateKey.generate(), name.encode(), made
        public = b"\x40" + self._key.public_key().public_bytes_raw()
        self._body = struct.pack(">BIB", 4, made, _EDDSA) + _OID + _number(public)
        self._framed = b"\x99" + struct.pack(">H", len(self._body)) + self._body
        # What version 4 keys are named by; nothing rests on it.
        self._print = hashlib.sha1(self._framed, usedforsecurity=False).digest()

    def keyring(self) -> bytes:
        """Give a keyring with this one key."""
        certified = self._framed + b"\xb4" + struct.pack(">I", len(self._name)) + self._name
        bound = self._sign(_OF_USER, certified, self._made)
        return _packet(_KEY, self._body) + _packet(_USER, self._name) + bound

    def sign(self, text: str, when: int) -> bytes:
        """Give a text, clearsigned at a POSIX second; no line of it may begin with a hyphen."""
        lines = text.rstrip("\n").split("\n")
        canonical = "\r\n".join(line.rstrip(" \t") for line in lines).encode()
        head = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
        signature = _armour(self._sign(_OF_TEXT, canonical, when))
        return (head + "\n".join(lines) + "\n" + signature).encode()

    def _sign(self, kind: int, data: bytes, when: int) -> bytes:
        hashed = struct.pack(">BBI", 5, 2, when) + bytes([22, 33, 4]) + self._print
        head = bytes([4, kind, _EDDSA, _SHA256]) + struct.pack(">H", len(hashed)) + hashed
        value = hashlib.sha256(data + head + b"\x04\xff" + struct.pack(">I", len(head))).digest()
        made = self._key.sign(value)
        loose = bytes([9, 16]) + self._print[-8:]
        tail = struct.pack(">H", len(loose)) + loose + value[:2]
        return _packet(_SIGNATURE, head + tail + _number(made[:32]) + _number(made[32:]))


def _number(data: bytes) -> bytes:
    data = data.lstrip(b"\0")
    return struct.pack(">H", (len(data) - 1) * 8 + data[0].bit_length()) + data


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + struct.pack(">I", len(body)) + body


def _armour(data: bytes) -> str:
    # The checksum of section 6.1, which old versions of gpgv miss if it is not there.
    check = 0xB704CE
    for byte in data:
        check ^= byte << 16
        for _ in range(8):
            check = (check << 1) ^ (0x1864CFB if check & 0x800000 else 0)
    lines = textwrap.wrap(base64.b64encode(data).decode(), 64)
    last = base64.b64encode((check & 0xFFFFFF).to_bytes(3, "big")).decode()
    begin, end = "-----BEGIN PGP SIGNATURE-----", "-----END PGP SIGNATURE-----"
    return "\n".join([begin, "", *lines, f"={last}", end, ""])
