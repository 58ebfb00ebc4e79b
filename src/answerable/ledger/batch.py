"""A batch of entries on the wire: each after its length as u32 big-endian, one to many of them."""

from collections.abc import Sequence

from answerable.kernel.errors import demand
from answerable.kernel.note import ENTRY


def frame(entries: Sequence[bytes]) -> bytes:
    """Spell a batch: each entry after its length as u32 big-endian."""
    return b"".join([part for e in entries for part in (len(e).to_bytes(4, "big"), e)])


def unframe(data: bytes, most: int) -> list[bytes]:
    """Read a batch of one to `most` entries.

    Raises:
        Refused: `malformed` or `too_large`.
    """
    entries, at = list[bytes](), 0
    while at + 4 <= len(data) and len(entries) <= most:
        end = at + 4 + int.from_bytes(data[at : at + 4], "big")
        demand(end - at - 4 <= ENTRY, "too_large", f"entry {len(entries)} of the batch")
        entries.append(data[at + 4 : end])
        at = end
    demand(len(entries) <= most, "too_large", f"more than {most} entries")
    sound = entries and at == len(data) and min(map(len, entries)) > 0
    demand(sound, "malformed", "not entries, each after its length")
    return entries
