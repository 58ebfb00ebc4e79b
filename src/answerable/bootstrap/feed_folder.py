"""A folder of publications without any settings: what lies in it is known by its name.

    known_exploited_vulnerabilities.json           CISA's catalogue
    epss*.csv, epss*.csv.gz                        EPSS
    osv/*, */all.zip, osv*.json, osv*.jsonl        OSV exports (also *.zip, and packed *.zst, *.gz)
    debian*.json, *tracker*.json                   the Debian security tracker
    vulnrichment*.zip                              CISA's additions to CVE records
    nvd*.json, nvd*.json.gz                        NVD API 2.0
    updateinfo*.xml, also packed                   the RPM distribution that this machine is

Rules: a name that no rule knows is told, never left out silently. What cannot be used is told with
its state. Where a publication of advisories cannot be used nothing is listed: silence would read as
"no flaws". One that only says more about flaws (exploited, scores) may be missing; what it would
have said then counts as not known. What was read is kept as worlds in a folder of our own.

A folder that is itself one of worlds (as `feed sync` writes it) gives its newest world.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from answerable.config import NotConfigured
from answerable.feeds.world import World, Worlds

FILES = 100_000
"""Most files of a folder that are looked at."""
DEEP = 3
"""How many folders below it."""
_PACKED = r"(\.gz|\.xz|\.zst|\.bz2)?"
_RULES = (
    (r"(.*/)?(known_exploited_vulnerabilities|kev)[^/]*\.json" + _PACKED, "kev"),
    (r"(.*/)?epss[^/]*\.csv" + _PACKED, "epss"),
    (r"(.*/)?vulnrichment[^/]*\.zip", "vulnrichment"),
    (r"(.*/)?nvd[^/]*\.json" + _PACKED, "nvd"),
    (r"(.*/)?updateinfo[^/]*\.xml" + _PACKED, "updateinfo"),
    (r"(.*/)?osv/.*[^/]\.(json|jsonl|zip)" + _PACKED, "osv"),
    (r"(.*/)?osv[^/]*\.(json|jsonl|zip)" + _PACKED, "osv"),
    (r"(.*/)?all\.zip", "osv"),
    (r"(.*/)?(debian[^/]*|[^/]*tracker[^/]*)\.json" + _PACKED, "debian-tracker"),
)
"""Path below the folder -> kind of publication; the first that fits."""
_ODD = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True)
class Read:
    """What a folder gave.

    Args:
        notes: for people: what is not known by its name, and what could not be used.
    """

    world: World
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Place:
    """A folder of publications, and how to take it.

    Args:
        folder: where they lie.
        kept: where worlds made of them are kept.
        max_age: how old a publication may be, seconds; 0 leaves it to its kind.
    """

    folder: Path
    kept: Path
    max_age: int = 0


def read(place: Place, ecosystem: str, now: int, progress: Callable[[str, int], None]) -> Read:
    """Read a folder of publications, or of worlds.

    Args:
        ecosystem: of this machine, such as `almalinux:9`.
        progress: told what is being read, and how many rows so far.

    Raises:
        NotConfigured: no such folder, or nothing in it that is known by its name.
        Unusable: advisories that cannot be used.
    """
    folder, kept = place.folder, place.kept
    try:
        there, ready = folder.is_dir(), (folder / "newest").exists()
    except OSError as error:
        why = f"`{folder}` cannot be read: {error.strerror}; name another one with --feeds"
        raise NotConfigured(why) from error
    if not there:
        why = "put what publishers give there (docs/operate/feeds.md), or name another with --feeds"
        raise NotConfigured(f"there is no folder of publications `{folder}`: {why}")
    if ready:
        world = Worlds(folder).newest()
        assert world is not None, "it has a newest one"
        return Read(world, ())
    settings, strange = recognise(folder, ecosystem)
    notes = [f"`{name}` is not known by its name, and was not read" for name in strange]
    if not settings:
        raise NotConfigured(f"`{folder}` holds no publication that is known by its name")
    if place.max_age:
        settings = [{**each, "max_age": place.max_age} for each in settings]
    # Half of what a list from a ready world would take to start.
    from answerable.bootstrap.feed_files import rows_of  # noqa: PLC0415

    rows, told = rows_of(settings, kept, now, progress)
    return Read(Worlds(kept / "worlds").build(rows, now, 0, progress), (*notes, *told))


def recognise(folder: Path, ecosystem: str) -> tuple[list[Mapping[str, Any]], list[str]]:
    """Give settings for what is known by its name, and the names of the rest."""
    found: dict[tuple[str, str], list[str]] = {}
    strange = []
    for path in _files(folder):
        kind = next((kind for rule, kind in _RULES if re.fullmatch(rule, path.lower())), "")
        if not kind:
            strange.append(path)
            continue
        several = kind in ("osv", "updateinfo")
        found.setdefault((kind, path if several else ""), []).append(path)
    settings: list[Mapping[str, Any]] = []
    for (kind, path), files in sorted(found.items()):
        one: dict[str, Any] = {"name": kind, "kind": kind, "folder": str(folder), "files": files}
        if path:
            stem = _ODD.sub("-", path.lower()).strip("-")[:50]
            one |= {"name": f"{kind}-{stem}", "channel": f"{kind}/{stem}", "ecosystem": ecosystem}
        settings.append(one)
    return settings, strange


def _files(folder: Path) -> list[str]:
    found = [
        str(path.relative_to(folder))
        for path in sorted(islice(folder.rglob("*"), FILES))
        if path.is_file() and len(path.relative_to(folder).parts) <= DEEP
    ]
    return [path for path in found if not path.startswith(".")]
