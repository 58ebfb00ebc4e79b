"""Inventories from files, roots and images that people name, and the fleet as it is known.

Only the host itself (inbox.py), or the control plane's own look at its root (planning.py), says
what is on an enrolled host: a document or table that bears such a host's name is refused, since
anybody can write one.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, NamedTuple

from answerable.bootstrap.follow import read_hosts
from answerable.bootstrap.serve import clock
from answerable.config import NotConfigured, Party, read_bytes
from answerable.exposure import keys
from answerable.inventory import cmdb, cyclonedx, image, spdx, system
from answerable.inventory.fleet import Fleet
from answerable.inventory.installed import (
    EVERYWHERE,
    Found,
    Gap,
    Installed,
    Inventory,
    Unreadable,
)
from answerable.inventory.tree import Folder

SILENCE = 86_400
"""After so long without news a host is unknown, seconds, unless the settings say otherwise."""
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
    now = clock()
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


def open_fleet(party: Party) -> Fleet:
    """Open a control plane's store of what is on the hosts; close it after use."""
    return Fleet(party.directory / "fleet.db", keys.places)


def enter(party: Party, reads: Iterable[Read]) -> Iterator[tuple[Read, bool]]:
    """Put what was read into the fleet's store; give each, and whether it was news.

    Raises:
        NotConfigured: one bears the name of an enrolled host.
    """
    own = enrolled(party)
    with open_fleet(party) as store:
        for each in reads:
            name = each.inventory.host
            if name in own:
                raise NotConfigured(f"`{name}` is enrolled and tells for itself: use another name")
            yield each, store.record(each.inventory, each.seen, each.gaps)


def hosts(party: Party, now: int) -> list[dict[str, Any]]:
    """List every host that is known by name, with how long ago it was heard of.

    One that is enrolled and was never heard of is listed too: nobody knows it to be fine.
    """
    silence = int(party.settings.get("silence", SILENCE))
    with open_fleet(party) as store:
        rows = [
            {
                "host": h.host, "state": h.state, "seen": h.seen, "age": now - h.seen,
                "packages": len(store.ids(h.host)), "zones": sorted(h.zones), "owner": h.owner,
            }
            for h in store.hosts(now, silence)
        ]  # fmt: skip
    heard = {each["host"] for each in rows}
    rows += [
        {"host": name, "state": "unknown", "seen": 0, "age": now, "packages": 0,
         "zones": sorted(body["zones"]), "owner": ""}
        for name, body in enrolled(party).items() if name not in heard
    ]  # fmt: skip
    return sorted(rows, key=lambda each: str(each["host"]))


def enrolled(party: Party) -> dict[str, Any]:
    """Give the record of every enrolled host that the control plane was told of, by name."""
    records = read_hosts(party.directory / "hosts.json")
    return {str(each.body["host"]): each.body for each in records}


def on_host(party: Party, name: str, now: int) -> tuple[Inventory, tuple[Gap, ...], str]:
    """Give what is on a host, what of it matches nothing, and whether the host is known.

    Raises:
        NotConfigured: nobody ever heard of it.
    """
    with open_fleet(party) as store:
        silence = int(party.settings.get("silence", SILENCE))
        host = next((h for h in store.hosts(now, silence) if h.host == name), None)
        if host is None:
            raise NotConfigured(f"`{name}` was never heard of; see `answerable inventory show`")
        gaps = tuple(gap for gap, those in store.gaps() if host.id in those)
        return store.inventory(host), gaps, host.state


def row(package: Installed) -> dict[str, Any]:
    """Spell a package for people and machines."""
    return {
        "ecosystem": package.ecosystem, "package": package.package, "version": package.version,
        "arch": package.arch, "source": package.source, "state": package.state,
        "source_version": package.source_version or package.version,
    }  # fmt: skip
