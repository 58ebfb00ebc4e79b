"""A log's own word on its head: a checkpoint with its Ed25519 and its ML-DSA-44 signature.

Both are required (c2sp.org/tlog-checkpoint, tlog-cosignature type 0x06). The log's keys bear its
origin as their name. What a quorum of guards says of the same checkpoint is the kernel's
`cosigned`.
"""

from answerable.kernel.checkpoint import (
    CHECKPOINT,
    Checkpoint,
    Pair,
    check_cosignature,
    parse_checkpoint,
)
from answerable.kernel.errors import demand
from answerable.kernel.note import ED25519, MLDSA44, Key, Note, plain
from answerable.keys.sign import Signer, cosign

Signers = tuple[Signer, Signer]
"""A log's two private keys, types 0x01 and 0x06."""


def sign_head(checkpoint: Checkpoint, time: int, signers: Signers) -> bytes:
    """Make the note of a head, POSIX second `time`."""
    return (checkpoint.text() + "\n" + cosign(checkpoint, time, *signers)).encode()


def open_head(note: bytes, origin: str, keys: Pair) -> Checkpoint:
    """Open a head that the log signed with both keys.

    Raises:
        Refused: `malformed`, `too_large`, `bad_signature` or `wrong_origin`.
    """
    text, good = Note(note, CHECKPOINT).open(keys, _check)
    head = parse_checkpoint(text)
    demand(head.origin == origin, "wrong_origin", f"`{head.origin}`, not `{origin}`")
    demand(len(good) == len(keys), "bad_signature", "a log signs with Ed25519 and ML-DSA-44")
    return head


def _check(key: Key, text: bytes, payload: bytes) -> bool:
    return (plain if key.kind == ED25519 else check_cosignature)(key, text, payload)


def own_keys(origin: str, signers: Signers) -> Pair:
    """Give the verifier keys of a log's signers, which must be of the log's own name and types."""
    first, second = (signer.key for signer in signers)
    assert (first.kind, second.kind) == (ED25519, MLDSA44), "a log signs with types 1 and 6"
    assert first.name == second.name == origin, "a log's keys bear its origin"
    return first, second
