r"""Checkpoints and what a quorum of guards says about them.

A checkpoint (c2sp.org/tlog-checkpoint) is a note whose text is three lines: origin, size in
decimal, base64 of the root; extension lines are refused, since type 0x06 does not cover them.
Signatures: a log's 0x01 over the text and its 0x06; a guard's cosignatures 0x04 and 0x06
(c2sp.org/tlog-cosignature), payload = u64 time || signature, where

* 0x04 signs `cosignature/v1\ntime <t>\n` || text;
* 0x06 signs `subtree/v1\n\0` || u8-length name || u64 t || u8-length origin || u64 0 || u64 size
  || root.

A log may put time 0 into its own 0x06. A guard counts only with both kinds over the same
checkpoint, once, with the later of its two times for the past and the earlier for the present. Of
n guards with f liars, q = ceil((n+f+1)/2) count. Example: `log.example/a`, `0`,
`47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=`, each with its LF.
"""

import base64
import re
from collections.abc import Mapping
from functools import lru_cache
from struct import pack
from typing import NamedTuple

from answerable.kernel.errors import demand
from answerable.kernel.merkle import EMPTY, HASH
from answerable.kernel.note import COSIGNATURE, Key, Note, signature_holds, unbase64

# One party's two keys, Ed25519 (0x01 or 0x04) and ML-DSA-44 (0x06); both must sign.
Pair = tuple[Key, Key]
_TEXT = re.compile(r"([^\n]+)\n(0|[1-9][0-9]{0,17})\n([^\n]+)\n")
# Largest timestamp; largest checkpoint note that is read, bytes (64 lines of type 0x06).
TIME_MAX, CHECKPOINT = (1 << 63) - 1, 262_144


class Checkpoint(NamedTuple):
    """Origin, number of leaves, root hash."""

    origin: str
    size: int
    root: bytes

    def text(self) -> str:
        """Spell the three lines."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


@lru_cache(maxsize=64)
def parse_checkpoint(text: bytes) -> Checkpoint:
    """Read a checkpoint's text (already opened, or about to be checked by `cosigned`).

    Raises:
        Refused: `malformed`.
    """
    found = _TEXT.fullmatch(text.decode(errors="replace"))
    origin, digits, root = found.groups() if found else ("", "0", "")
    checkpoint = Checkpoint(origin, int(digits), unbase64(root))
    sound = len(checkpoint.root) == HASH and 1 <= len(origin.encode()) <= 255  # noqa: PLR2004  u8
    sound = sound and (checkpoint.size > 0 or checkpoint.root == EMPTY)
    demand(sound and checkpoint.text().encode() == text, "malformed", "not a checkpoint")
    return checkpoint


def cosignature_message(kind: int, name: str, time: int, text: bytes) -> bytes:
    """Give the bytes that a cosigner named `name` signs at POSIX second `time`."""
    if kind == COSIGNATURE:
        return b"cosignature/v1\ntime %d\n" % time + text
    at = parse_checkpoint(text)
    who, origin = name.encode(), at.origin.encode()
    head = b"subtree/v1\n\0" + bytes([len(who)]) + who + pack(">Q", time)
    return head + bytes([len(origin)]) + origin + pack(">QQ", 0, at.size) + at.root


def check_cosignature(key: Key, text: bytes, payload: bytes) -> bool:
    """Check a payload of type 0x04 or 0x06 over a checkpoint's text."""
    time = int.from_bytes(payload[:8], "big")
    message = cosignature_message(key.kind, key.name, time, text)
    return time <= TIME_MAX and signature_holds(key.kind, key.public, payload[8:], message)


class Cosigned(NamedTuple):
    """A checkpoint that a quorum cosigned; made only by `cosigned`.

    `past` is the time by which it surely existed: the largest of the smallest quorum; `present` a
    time that had surely come: the smallest of the largest quorum (POSIX seconds). A liar can only
    delay either. `who` are the guards.
    """

    checkpoint: Checkpoint
    past: int
    present: int
    who: frozenset[str]


def cosigned(data: bytes, origin: str, guards: Mapping[str, Pair], quorum: int) -> Cosigned:
    """Open a checkpoint that at least `quorum` of the guards cosigned.

    Raises:
        Refused: `malformed`, `too_large`, `bad_signature`, `wrong_origin` or `no_quorum`.
    """
    text, good = Note(data, CHECKPOINT).open(sum(guards.values(), ()), check_cosignature)
    checkpoint, times = parse_checkpoint(text), dict[str, list[int]]()
    demand(checkpoint.origin == origin, "wrong_origin", f"`{checkpoint.origin}`, not `{origin}`")
    for guard, pair in guards.items():
        stamps = sorted(int.from_bytes(p[:8], "big") for key in pair for p in good.get(key, ()))
        if good.keys() >= {*pair} and stamps[0] > 0:
            times[guard] = stamps
    demand(len(times) >= quorum, "no_quorum", f"{len(times)} guards cosigned, {quorum} must")
    past, present = sorted(t[-1] for t in times.values()), sorted(t[0] for t in times.values())
    return Cosigned(checkpoint, past[quorum - 1], present[-quorum], frozenset(times))
