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

MAGIC, PLAIN, FIDO = b"SSHSIG", b"ssh-ed25519", b"sk-ssh-ed25519@openssh.com"
USER_VERIFIED, TAIL, RAW, TAG = 0x04, 5, 32, b"answerable/sshsig/v1\n"


def _strings(data: bytes, count: int) -> list[bytes]:
    found = []
    while data:
        end = 4 + int.from_bytes(data[:4], "big")
        demand(len(data) >= end, "malformed", "an SSH string runs past its end")
        found.append(data[4:end])
        data = data[end:]
    demand(len(found) == count, "malformed", f"{len(found)} SSH strings where {count} belong")
    return found


def _public(wire: bytes) -> tuple[bytes, bytes, bytes]:
    fields = _strings(wire, 3 if wire[4:].startswith(FIDO) else 2)
    sound = fields[0] in (PLAIN, FIDO) and len(fields[1]) == RAW
    demand(sound, "bad_key", "not an Ed25519 SSH key")
    return fields[0], fields[1], fields[-1]


def person_key(person: str, line: str) -> Key:
    """Read a public key line as `ssh-keygen` writes it (`ssh-ed25519 AAAA... [comment]`).

    Raises:
        Refused: `malformed` or `bad_key`.
    """
    parts = line.split(" ")
    wire = unbase64(parts[1]) if len(parts) > 1 else b""
    demand(_public(wire)[0] == parts[0].encode(), "bad_key", f"the SSH key of `{person}`")
    return Key(person, OTHER, TAG + wire)


def check_sshsig(key: Key, text: bytes, payload: bytes, namespace: str) -> bool:
    """Check a raw SSHSIG blob over a text.

    Returns: whether it is good.

    Raises:
        Refused: `malformed`, or `no_user_verification` for a FIDO signature made by touch alone.
    """
    demand(payload[:10] == MAGIC + pack(">I", 1), "malformed", "not an SSH signature of version 1")
    wire, space, reserved, digest, signature = _strings(payload[10:], 5)
    same = TAG + wire == key.public and space == namespace.encode()
    if not same or digest not in (b"sha256", b"sha512"):
        return False
    signed = (space, reserved, digest, hashlib.new(digest.decode(), text).digest())
    message = MAGIC + b"".join(pack(">I", len(part)) + part for part in signed)
    kind, public, application = _public(wire)
    end = len(signature) - (TAIL if kind == FIDO else 0)
    (name, raw), tail = _strings(signature[:end], 2), signature[end:]
    if kind == FIDO:
        message = hashlib.sha256(application).digest() + tail + hashlib.sha256(message).digest()
    good = name == kind and signature_holds(ED25519, public, raw, message)
    alone = good and kind == FIDO and not tail[0] & USER_VERIFIED
    demand(not alone, "no_user_verification", f"`{key.name}` touched the key but gave no PIN")
    return good
