"""Inventories from what people name: roots, images, documents, tables.

A root or image is as it is now; a document or table is as old as its file, or as a person says, so
that a list that lay about for a year does not become fresh by being read. Left out: the fleet, for
which much more is loaded (inventory.py).
"""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

from answerable.config import NotConfigured, read_bytes
from answerable.inventory import cmdb, cyclonedx, image, spdx, system
from answerable.inventory.installed import (
    EVERYWHERE,
    Found,
    Gap,
    Installed,
    Inventory,
    Unreadable,
)
from answerable.inventory.tree import Folder

TAR = 512
"""How much of a file tells whether it is an archive, bytes."""
_NAME = re.compile(r"[^a-z0-9._-]+")
Kind = Literal["root", "image", "cyclonedx", "spdx", "cmdb"]
Progress = Callable[[str, int, int], None]
"""Told what is read, how much of it, of how much; units differ."""


def _silent(_what: str, _done: int, _of: int) -> None:
    """Tell nobody."""


@dataclass(frozen=True)
class Given:
    """What a person says of something that is read.

    Args:
        name: of the host that it is entered as; empty for one made of the file's name.
        zones: empty for every zone.
        ecosystem: of a root that does not say which release it is.
        image: name, digest or platform of one image among several.
        columns: what a table's known columns are called in it.
        taken: POSIX second when it was so; 0 for the time of the file, now for roots and images.
    """

    name: str = ""
    zones: frozenset[str] = frozenset()
    owner: str = ""
    ecosystem: str = ""
    image: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    taken: int = 0


class Read(NamedTuple):
    """One host's worth of what was read, when it was so, and from what kind of source."""

    inventory: Inventory
    gaps: tuple[Gap, ...]
    seen: int
    kind: Kind


def read_source(place: Path, given: Given, progress: Progress = _silent) -> list[Read]:
    """Read whatever a path is: a root, an image, a document, a table.

    Raises:
        Unreadable: it is none, or a damaged one.
    """
    now = int(time.time())
    if place.is_dir() and not (place / "index.json").exists():
        found = system.read(Folder(place), given.ecosystem)
        return [_read(place, given, found, sha256(str(place).encode()).hexdigest(), now, "root")]
    if place.is_dir() or _archive(place):
        name = place.name
        read = image.open_image(place, given.image, lambda done, of: progress(name, done, of))
        found = system.read(read.files, given.ecosystem)
        return [_read(place, given, found, read.digest, now, "image")]
    progress(place.name, 0, 1)
    data = _bytes(place)
    with suppress(OSError):
        now = min(now, int(place.stat().st_mtime))
    digest = sha256(data).hexdigest()
    for kind, form in (("cyclonedx", cyclonedx), ("spdx", spdx)):
        if form.claims(data):
            return [_read(place, given, form.read(data), digest, now, kind)]  # type: ignore[arg-type]
    try:
        return [_listed(host, given, digest, now) for host in cmdb.read(data, given.columns)]
    except Unreadable as error:
        what = "neither a root, an image, CycloneDX nor SPDX; and as a CMDB's table"
        raise Unreadable(f"`{place}` is {what}: {error}") from error


def _archive(place: Path) -> bool:
    try:
        with place.open("rb") as file:
            head = file.read(TAR)
    except OSError as error:
        raise Unreadable(f"`{place}`: {error.strerror}") from error
    return head[257:262] == b"ustar" or head[:2] == b"\x1f\x8b"


def _bytes(place: Path) -> bytes:
    most = max(cmdb.TABLE, cyclonedx.DOCUMENT, spdx.DOCUMENT)
    try:
        return read_bytes(place, most)
    except NotConfigured as error:
        raise Unreadable(str(error)) from error


def _read(place: Path, given: Given, found: Found, digest: str, now: int, kind: Kind) -> Read:
    name = given.name or _NAME.sub("-", place.resolve().name.lower()).strip("-._")[:64] or "root"
    zones = given.zones or EVERYWHERE
    whole = Inventory(name, digest, zones, found.packages, given.owner)
    return Read(whole, found.gaps, given.taken or now, kind)


def _listed(host: cmdb.Listed, given: Given, digest: str, now: int) -> Read:
    found = host.found or Found(())
    zones = given.zones or host.zones
    whole = Inventory(host.host, digest, zones, found.packages, given.owner or host.owner)
    # Nobody looked at a host of which no package is named: it is known by name only, as unknown.
    return Read(whole, found.gaps, (given.taken or now) if host.found else 0, "cmdb")


def row(package: Installed) -> dict[str, Any]:
    """Spell a package for people and machines."""
    return {
        "ecosystem": package.ecosystem, "package": package.package, "version": package.version,
        "arch": package.arch, "source": package.source, "state": package.state,
        "source_version": package.source_version or package.version,
    }  # fmt: skip
