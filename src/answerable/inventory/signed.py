"""A host's own inventory, signed with its enrolled key (host/records/inventory.py).

    {"note":"<a note>","packages":"<the list, or empty>"}

The note's text is `{"fleet","host","packages","time","type":"inventory","version":1}`; `packages`
there is the SHA-256 of the list. The list is canonical JSON: sorted rows of [ecosystem, package,
version, architecture, source, source's version, state, [names that it stands for]]. Rules:

1. The signature is that of the enrolled key, and name and fleet are those of its record.
2. The list is the one that the note names; where none came with it, the one that is known must be.
3. A note is taken once, and none that is older than one that was taken: who shows an old inventory
   again makes no host look alive, or unpatched.
4. One from the future is refused, so that no host can make itself known for ever.
5. What has no sound name or version is refused as a whole: a host that says nonsense is unknown.

Left out: whether what a host says of itself is true; observers look for themselves.
"""

import re
from hashlib import sha256
from typing import Any, NamedTuple

from answerable.inventory.installed import Installed
from answerable.kernel.canon import conforms, decode, read, shape
from answerable.kernel.errors import demand
from answerable.kernel.note import ENTRY, Key, Note

SIZE = 16 << 20
"""Largest inventory with its list, bytes."""
PACKAGES = 100_000
"""Most packages of one host."""
AHEAD = 300
"""How far a host's time may be ahead of ours, seconds."""
_POSTED = {"note": "note", "packages": "any"}
_NOTE = {**shape("fleet:hex host:id packages:hex time:int version:int"), "type": ("inventory",)}
_ROW = 8
_STATES = ("installed", "held", "broken")
_WORD = re.compile(r"[^\x00-\x20\x7f]{1,255}")
_ECOSYSTEM = re.compile(r"[a-z0-9][a-z0-9 .+-]{0,63}(?::[a-z0-9][a-z0-9.+_-]{0,63})?")


class Told(NamedTuple):
    """An inventory that a host signed: its name, POSIX second, SHA-256 of its list, and the list.

    `listed` is the list's own bytes, to be kept.
    """

    host: str
    time: int
    digest: str
    listed: str
    packages: tuple[Installed, ...]


def host_of(data: bytes) -> str:
    """Name the host that an inventory claims to be of; nothing is checked but its shape.

    Raises:
        Refused: `too_large` or `malformed`.
    """
    lines = _posted(data)["note"].rstrip("\n").split("\n")
    words = lines[-1].split(" ")
    name = words[1] if len(words) > 1 else ""
    demand(conforms(name, "id"), "malformed", "an inventory that nobody signed")
    return name


def open_inventory(data: bytes, key: Key, fleet: str, known: tuple[str, int], now: int) -> Told:
    """Open what a host posted.

    Args:
        key: of its enrolment record, with the host's name.
        fleet: the fleet's id.
        known: the list that is known of it, or empty, and the time of its last note.
        now: POSIX seconds.

    Raises:
        Refused: `too_large`, `malformed`, `bad_signature`, `wrong_fleet`, `duplicate` (old, or
            told before), `too_early` (from the future), or `unknown_subject` if its list is needed.
    """
    posted, (listed, last) = _posted(data), known
    text, _ = Note(posted["note"].encode()).open([key])
    said = read(text.removesuffix(b"\n"), ENTRY, _NOTE)
    demand(said["version"] == 1, "malformed", "an inventory of a newer version than is known")
    demand(said["fleet"] == fleet, "wrong_fleet", f"`{said['host']}` speaks of another fleet")
    demand(said["host"] == key.name, "malformed", f"`{key.name}` speaks for `{said['host']}`")
    demand(said["time"] > last, "duplicate", f"`{key.name}` told something newer before")
    demand(said["time"] <= now + AHEAD, "too_early", f"`{key.name}` speaks from the future")
    listed = posted["packages"] or listed
    same = sha256(listed.encode()).hexdigest() == said["packages"]
    demand(same or posted["packages"], "unknown_subject", f"the list of `{key.name}` is not known")
    demand(same, "malformed", f"`{key.name}` names another list than came with it")
    return Told(key.name, said["time"], said["packages"], listed, packages(listed))


def packages(listed: str) -> tuple[Installed, ...]:
    """Read a list of packages.

    Raises:
        Refused: `too_large` or `malformed`.
    """
    rows = decode(listed.encode(), SIZE)
    sound = isinstance(rows, list) and len(rows) <= PACKAGES and all(map(_sound, rows))
    demand(sound, "malformed", "a list of packages of another shape")
    found = tuple(
        Installed(row[0], row[1], row[2], row[3], row[4], row[6], tuple(row[7]), row[5])
        for row in rows
    )
    keys = [(p.ecosystem, p.package, p.version, p.arch) for p in found]
    demand(keys == sorted(set(keys)), "malformed", "a list of packages that is not in order")
    return found


def _posted(data: bytes) -> Any:  # noqa: ANN401  JSON
    posted = read(data, SIZE, _POSTED)
    demand(isinstance(posted["packages"], str), "malformed", "a list that is no text")
    return posted


def _sound(row: Any) -> bool:  # noqa: ANN401  JSON
    if not isinstance(row, list) or len(row) != _ROW or not isinstance(row[7], list):
        return False
    ecosystem, package, version, arch, source, made, state, provides = row
    words = (package, version, source, *provides, *filter(None, (arch, made)))
    texts = all(isinstance(word, str) and _WORD.fullmatch(word) for word in words)
    known = isinstance(ecosystem, str) and _ECOSYSTEM.fullmatch(ecosystem) and state in _STATES
    return bool(texts and known and isinstance(arch, str) and isinstance(made, str))
