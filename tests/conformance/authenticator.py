"""Signers that tests own: an SSH key and a FIDO authenticator in software, by OpenSSH's documents.

PROTOCOL.sshsig gives the blob and what is signed, PROTOCOL.u2f the FIDO form: the authenticator
signs SHA-256(application) || flags || u32 counter || SHA-256(message). Written from those documents
alone and without the kernel, so that the kernel is checked by a second hand.
"""

import base64
import hashlib
from dataclasses import dataclass
from struct import pack

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

PRESENT, VERIFIED = 0x01, 0x04


def string(data: bytes) -> bytes:
    """Spell an SSH string: u32 length and bytes."""
    return pack(">I", len(data)) + data


def armour(blob: bytes) -> str:
    """Spell a blob as `ssh-keygen -Y sign` writes it to a file."""
    text = base64.b64encode(blob).decode()
    lines = [text[i : i + 70] for i in range(0, len(text), 70)]
    return "\n".join(["-----BEGIN SSH SIGNATURE-----", *lines, "-----END SSH SIGNATURE-----", ""])


def dearmour(text: str) -> bytes:
    """Read the blob out of what `ssh-keygen -Y sign` writes."""
    return base64.b64decode("".join(text.strip().split("\n")[1:-1]))


@dataclass(frozen=True)
class SshKey:
    """A plain Ed25519 key if `application` is empty, else one inside a FIDO authenticator."""

    seed: bytes
    application: bytes = b""

    @property
    def kind(self) -> bytes:
        """The key's name in SSH."""
        return b"sk-ssh-ed25519@openssh.com" if self.application else b"ssh-ed25519"

    @property
    def wire(self) -> bytes:
        """The public key as SSH carries it."""
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        tail = string(self.application) if self.application else b""
        return string(self.kind) + string(public) + tail

    @property
    def line(self) -> str:
        """The public key as a line of a `.pub` file."""
        return f"{self.kind.decode()} {base64.b64encode(self.wire).decode()}"

    def sign(
        self, text: bytes, namespace: str, flags: int = PRESENT | VERIFIED, digest: str = "sha512"
    ) -> bytes:
        """Make the raw SSHSIG blob over a text; `flags` are what a FIDO key says of its user."""
        hashed = hashlib.new(digest, text).digest()
        names = (namespace.encode(), b"", digest.encode())
        message = b"SSHSIG" + b"".join(map(string, (*names, hashed)))
        tail = b""
        if self.application:
            tail = bytes([flags]) + pack(">I", 7)
            application = hashlib.sha256(self.application).digest()
            message = application + tail + hashlib.sha256(message).digest()
        raw = Ed25519PrivateKey.from_private_bytes(self.seed).sign(message)
        signature = string(self.kind) + string(raw) + tail
        fields = (self.wire, *names, signature)
        return b"SSHSIG" + pack(">I", 1) + b"".join(map(string, fields))
