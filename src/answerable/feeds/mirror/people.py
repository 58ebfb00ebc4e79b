"""Who signs a mirror's metadata: named holders, each with two keys, counted as persons.

A root that breaks one of these is `forged`, whoever signed it:

1. it has the four top-level roles and serves consistent snapshots
2. each key is Ed25519 or ML-DSA-44, spelled in the one way, under the id that is its hash
3. each key says whose it is (`x-answerable-holder`), and each holder has one key of each kind
4. no key material stands twice: python-tuf counts key ids, so one key under two ids would meet a
   threshold of two (TAP 12: once per key)
5. who stands in a role stands there with both keys, and nobody else does
6. a role's threshold is twice a number of persons: at least two for root, one elsewhere

A holder has signed metadata when both keys have. So k persons bring 2k signatures, and a TUF client
that does not know our rules counts at least as many.

Left out: how a holder keeps the keys (keys/store.py); whether two names are one person, which those
who sign the root vouch for.
"""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from securesystemslib.signer import Key as TufKey
from securesystemslib.signer import SSlibKey
from tuf.api.metadata import TOP_LEVEL_ROLE_NAMES, Metadata, Root

from answerable.feeds.source import State, Unusable
from answerable.kernel.canon import conforms
from answerable.kernel.note import MLDSA44, Key

HOLDER = "x-answerable-holder"
"""The member of a TUF key that names its holder."""
DAYS = "x-answerable-days"
"""The member of a root that says how many days each role's metadata is good for."""
KINDS = {("ed25519", "ed25519"), ("ml-dsa", "ml-dsa-44/1")}
"""Key types and schemes, one key of each for a holder."""
EACH = len(KINDS)
"""Keys of one holder."""
LEAST = {"root": 2}
"""Fewest persons of a role; one where it does not say."""


def tuf_key(key: Key) -> SSlibKey:
    """Spell one of our verifier keys as TUF does; its name becomes the holder."""
    if key.kind == MLDSA44:
        made = SSlibKey.from_crypto(
            MLDSA44PublicKey.from_public_bytes(key.public), scheme="ml-dsa-44/1"
        )
    else:
        made = SSlibKey.from_crypto(Ed25519PublicKey.from_public_bytes(key.public))
    made.unrecognized_fields[HOLDER] = key.name
    return made


def check_root(root: Root, source: str) -> None:
    """Hold a root to the rules above.

    Raises:
        Unusable: `forged`, naming the first rule that is broken.
    """
    keys = root.keys
    _demand(root.consistent_snapshot and root.roles.keys() == TOP_LEVEL_ROLE_NAMES, 1, source)
    material = {keyid: _material(key, source) for keyid, key in keys.items()}
    holders = [key.unrecognized_fields.get(HOLDER) for key in keys.values()]
    _demand(all(conforms(holder, "id") for holder in holders), 3, source)
    owned = {(key.unrecognized_fields[HOLDER], key.keytype) for key in keys.values()}
    _demand(len(owned) == len(keys) == EACH * len(set(holders)), 3, source)
    _demand(len(set(material.values())) == len(material), 4, source)
    for name, role in root.roles.items():
        _demand(set(role.keyids) <= keys.keys(), 5, source)
        both = Counter(keys[keyid].unrecognized_fields[HOLDER] for keyid in role.keyids)
        _demand(set(both.values()) == {EACH}, 5, source)
        persons, odd = divmod(role.threshold, EACH)
        _demand(not odd and LEAST.get(name, 1) <= persons <= len(both), 6, source)


def _material(key: TufKey, source: str) -> bytes:
    """Give a key's raw public bytes, if it is spelled in the one way."""
    _demand((key.keytype, key.scheme) in KINDS, 2, source)
    text = key.keyval["public"]
    try:
        if key.keytype == "ed25519":
            public: Any = Ed25519PublicKey.from_public_bytes(bytes.fromhex(text))
        else:
            public = load_pem_public_key(text.encode())
        again = SSlibKey.from_crypto(public, scheme=key.scheme)
        raw = bytes(public.public_bytes_raw())
    except Exception as error:  # OpenSSL says in many ways that something is no key
        raise Unusable(State.FORGED, source, f"rule 2 of a root: {error!r:.200}") from error
    same = (again.keyid, again.keytype, again.keyval) == (key.keyid, key.keytype, key.keyval)
    _demand(same, 2, source)
    return raw


def _demand(kept: object, rule: int, source: str) -> None:
    if not kept:
        raise Unusable(
            State.FORGED, source, f"rule {rule} of a root is broken (docs/spec/mirror.md)"
        )


def persons(root: Root, role: str) -> int:
    """Give how many persons a role of a checked root asks for."""
    return root.roles[role].threshold // EACH


def signed_by(root: Root, role: str, metadata: Metadata[Any]) -> frozenset[str]:
    """Give the holders of a role whose keys have both signed.

    Args:
        root: one that was checked.
    """
    found = root.get_verification_result(role, metadata.signed_bytes, metadata.signatures)
    counted = Counter(key.unrecognized_fields[HOLDER] for key in found.signed.values())
    return frozenset(holder for holder, keys in counted.items() if keys == EACH)


def days(root: Root) -> Mapping[str, int]:
    """Give for how many days each role's metadata is good; nothing if the root does not say."""
    said = root.unrecognized_fields.get(DAYS, {})
    return said if conforms(said, dict.fromkeys(TOP_LEVEL_ROLE_NAMES, "int")) else {}
