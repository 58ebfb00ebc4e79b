"""SSH signatures by people (OpenSSH PROTOCOL.sshsig), Ed25519 and FIDO sk-Ed25519.

The blob is `SSHSIG` || u32 version 1 || string public key || string namespace || string reserved ||
string hash name || string signature; what is signed is `SSHSIG` || namespace || reserved || hash
name || H(text). A FIDO key signs SHA-256(application) || flags || u32 counter || SHA-256(that), and
its user-verification flag (0x04) is demanded: `ssh-keygen` itself accepts a bare touch.

Left out: RSA, ECDSA and certificates.
"""

import hashlib
from struct import pack

from answerable.kernel.errors import demand
from answerable.kernel.note import ED25519, OTHER, Key, signature_holds, unbase64

MAGIC = b"SSHSIG"
PLAIN, FIDO = b"ssh-ed25519", b"sk-ssh-ed25519@openssh.com"
USER_VERIFIED = 0x04


def _take(data: bytes) -> tuple[bytes, bytes]:
    size = int.from_bytes(data[:4], "big")
    demand(4 <= len(data) >= size + 4, "malformed", "an SSH string runs past its end")
    return data[4 : 4 + size], data[4 + size :]


def _fields(data: bytes, count: int) -> list[bytes]:
    fields = []
    for _ in range(count):
        field, data = _take(data)
        fields.append(field)
    demand(not data, "malformed", "bytes after the last SSH string")
    return fields


def _string(data: bytes) -> bytes:
    return pack(">I", len(data)) + data


def _public(wire: bytes) -> tuple[bytes, bytes, bytes]:
    kind = _take(wire)[0]
    fields = _fields(wire, 3 if kind == FIDO else 2)
    demand(kind in (PLAIN, FIDO) and len(fields[1]) == 32, "bad_key", "not an Ed25519 SSH key")
    return kind, fields[1], fields[-1]


def person_key(person: str, line: str) -> Key:
    """Read a public key line as `ssh-keygen` writes it (`ssh-ed25519 AAAA... [comment]`).

    Raises:
        Refused: `malformed` or `bad_key`.
    """
    parts = line.split(" ")
    wire = unbase64(parts[1]) if len(parts) > 1 else b""
    demand(_public(wire)[0] == parts[0].encode(), "bad_key", f"the SSH key of `{person}`")
    return Key(person, OTHER, wire)


def check_sshsig(key: Key, text: bytes, payload: bytes, namespace: str) -> bool:
    """Check a raw SSHSIG blob over a text.

    Returns: whether it is good.

    Raises:
        Refused: `malformed`, or `no_user_verification` for a FIDO signature made by touch alone.
    """
    demand(payload[:10] == MAGIC + pack(">I", 1), "malformed", "not an SSH signature of version 1")
    wire, space, reserved, digest, signature = _fields(payload[10:], 5)
    if wire != key.public or space != namespace.encode() or digest not in (b"sha256", b"sha512"):
        return False
    hashed = hashlib.new(digest.decode(), text).digest()
    message = MAGIC + b"".join(map(_string, (space, reserved, digest, hashed)))
    kind, public, application = _public(wire)
    name, rest = _take(signature)
    raw, tail = _take(rest)
    if kind == FIDO:
        message = hashlib.sha256(application).digest() + tail + hashlib.sha256(message).digest()
    sound = name == kind and len(tail) == (5 if kind == FIDO else 0)
    if not sound or not signature_holds(ED25519, public, raw, message):
        return False
    verified = kind == PLAIN or tail[0] & USER_VERIFIED
    demand(verified, "no_user_verification", f"`{key.name}` touched the key but gave no PIN")
    return True
