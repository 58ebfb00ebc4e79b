"""Fixed keys of everybody in the simulator; made from names, so that runs are alike and quick."""

from functools import cache
from hashlib import sha256

from answerable.kernel.checkpoint import Pair
from answerable.kernel.note import ED25519, MLDSA44, Key
from answerable.kernel.sshsig import person_key
from answerable.keys.sign import Signer
from tests.conformance.authenticator import PRESENT, VERIFIED, SshKey

FIDO_PEOPLE = frozenset({"fay"})


def seed(name: str) -> bytes:
    """Give the 32 secret bytes of a name."""
    return sha256(f"simulator/{name}".encode()).digest()


@cache
def signer(name: str, kind: int = ED25519, generation: int = 1) -> Signer:
    """Give a machine's key; another generation is what it is rotated to."""
    return Signer.from_seed(name, kind, seed(f"{name}/{kind}/{generation}"))


@cache
def pair(name: str, first: int, generation: int = 1) -> tuple[Signer, Signer]:
    """Give a party's two keys: Ed25519 of type 0x01 or 0x04, and ML-DSA-44."""
    return signer(name, first, generation), signer(name, MLDSA44, generation)


def vkeys(keys: tuple[Signer, ...]) -> list[str]:
    """Spell verifier keys for a charter."""
    return [one.key.vkey() for one in keys]


def public(keys: tuple[Signer, Signer]) -> Pair:
    """Give the two verifier keys of a pair."""
    return keys[0].key, keys[1].key


@cache
def ssh(person: str, number: int = 1) -> SshKey:
    """Give a person's SSH key of this number; some people hold FIDO keys."""
    application = b"ssh:" if person in FIDO_PEOPLE else b""
    return SshKey(seed(f"{person}/ssh/{number}"), application)


def ssh_payload(who: str, text: bytes, namespace: str) -> tuple[Key, bytes]:
    """Sign as a person: `dana`, `dana:2` with the second key, `fay:touch` without the PIN."""
    person, _, how = who.partition(":")
    key = ssh(person, int(how) if how.isdigit() else 1)
    flags = PRESENT if how == "touch" else PRESENT | VERIFIED
    return person_key(person, key.line), key.sign(text, namespace, flags)
