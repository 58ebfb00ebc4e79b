"""What private keys sign: notes, checkpoints, statements.

A `Signer` is one C2SP signature type (0x01 Ed25519, 0x04 Ed25519 cosignature, 0x06 ML-DSA-44
cosignature). People sign with `ssh-keygen`; `ssh_line` only wraps the blob it made. The formats are
those that the kernel believes: kernel/note.py, checkpoint.py, statement.py.
"""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from struct import pack

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from answerable.kernel.canon import Json, encode
from answerable.kernel.checkpoint import Checkpoint, cosignature_message
from answerable.kernel.errors import demand
from answerable.kernel.note import ED25519, MLDSA44, Key, unbase64
from answerable.kernel.statement import VERSION

_ARMOUR = "SSH SIGNATURE"


@dataclass(frozen=True)
class Signer:
    """A private key: its verifier key, and what makes raw signatures."""

    key: Key
    sign_raw: Callable[[bytes], bytes]

    @staticmethod
    def from_seed(name: str, kind: int, seed: bytes) -> "Signer":
        """Make a signer of type 0x01, 0x04 or 0x06 from a 32-byte seed."""
        if kind == MLDSA44:
            ml = MLDSA44PrivateKey.from_seed_bytes(seed)
            return Signer(Key(name, kind, ml.public_key().public_bytes_raw()), ml.sign)
        ed = Ed25519PrivateKey.from_private_bytes(seed)
        return Signer(Key(name, kind, ed.public_key().public_bytes_raw()), ed.sign)


def signature_line(key: Key, payload: bytes) -> str:
    """Spell one signature line with its final LF."""
    return f"\u2014 {key.name} {base64.b64encode(key.id + payload).decode()}\n"


def sign_note(text: str, *signers: Signer) -> bytes:
    """Make a note signed with type 0x01 keys; the text ends in LF."""
    assert text.endswith("\n"), "a note's text ends in LF"
    assert all(s.key.kind == ED25519 for s in signers), "only type 0x01 signs bare text"
    lines = [signature_line(s.key, s.sign_raw(text.encode())) for s in signers]
    return (text + "\n" + "".join(lines)).encode()


def cosign(checkpoint: Checkpoint, time: int, *signers: Signer) -> str:
    """Spell signature lines over a checkpoint, POSIX second `time`, with 0x01, 0x04, 0x06 keys."""
    lines, text = "", checkpoint.text().encode()
    for signer in signers:
        kind, name = signer.key.kind, signer.key.name
        stamp = b"" if kind == ED25519 else pack(">Q", time)
        message = cosignature_message(kind, name, time, text) if stamp else text
        lines += signature_line(signer.key, stamp + signer.sign_raw(message))
    return lines


def statement_text(
    kind: str, body: Json, *, charter: int, fleet: str, origin: str, nonce: str
) -> str:
    """Spell the text of a statement, ready to be signed (kernel/statement.py)."""
    envelope = {"body": body, "charter": charter, "fleet": fleet, "nonce": nonce, "origin": origin}
    return encode({**envelope, "type": kind, "version": VERSION}) + "\n"


def consume_text(fleet: str, host: str, seq: int, consumed: str) -> str:
    """Spell the text by which a host says what its `seq`-th action is (kernel/fresh.py)."""
    return encode({"consumed": consumed, "fleet": fleet, "host": host, "seq": seq}) + "\n"


def ssh_blob(armoured: str) -> bytes:
    """Take the armour off what `ssh-keygen -Y sign` wrote: the raw SSHSIG blob.

    Raises:
        Refused: `malformed` if it is not an armoured SSH signature.
    """
    head, tail = f"-----BEGIN {_ARMOUR}-----", f"-----END {_ARMOUR}-----"
    lines = armoured.strip().splitlines() or [""]
    demand([lines[0], lines[-1]] == [head, tail], "malformed", "not an armoured SSH signature")
    return unbase64("".join(lines[1:-1]))


def ssh_line(key: Key, armoured: str) -> str:
    """Wrap what `ssh-keygen -Y sign` wrote into a note's signature line (as `ssh_blob`)."""
    return signature_line(key, ssh_blob(armoured))
