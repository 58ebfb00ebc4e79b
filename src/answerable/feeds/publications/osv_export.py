"""The publication `osv/..`: a database in the Open Source Vulnerability format, as it is exported.

    https://osv-vulnerabilities.storage.googleapis.com/Debian/all.zip     one record a member
    https://github.com/github/advisory-database/archive/refs/heads/main.zip     the same
    a single record, or one record a line (packed or not)

Format: ossf.github.io/osv-schema 1.7.4.

    {"id":"DEBIAN-CVE-2024-1","modified":"2024-02-01T00:00:00Z","upstream":["CVE-2024-1"],
     "affected":[{"package":{"ecosystem":"Debian:12","name":"openssl"},
       "ranges":[{"type":"ECOSYSTEM","events":[{"introduced":"0"},{"fixed":"3.0.13-1"}]}],
       "versions":["3.0.11-1"]}]}

Rules:

1. A range runs from `introduced` to the next `fixed` (not in it) or `last_affected` (still in it).
   Events that stand in pairs are read so, since that is how publishers write them; the order of
   their versions, which the format's evaluation goes by, would end a range at another pair's fix.
   Others are put in that order where we know it (host/versions.py), else read as they stand. What
   has no end has none. Several ranges are several rows.
2. A version that is listed and lies in none of the ranges is a row of its own, from itself to
   itself. Where we do not know the order, every listed version is one, unless a range is endless.
3. The flaws are the CVE names among `id`, `aliases` and `upstream`; if there is no such list, those
   of `related`, where some distributions name them.
4. A withdrawn record gives its ranges, marked so, and says nothing about its flaw.
5. What is said of a flaw (score, title, ..) is said only by a record about one flaw; one without a
   CVE name is about itself.
6. Project names of PyPI are normalised (PEP 503), those of NuGet and Packagist, which do not tell
   case apart, are in lower case; a release keeps the number by which its hosts name it:
   `Ubuntu:24.04:LTS` is `ubuntu:24.04`, `Rocky Linux:9` is `rocky:9`, and what SUSE sells apart
   for a service pack is that service pack: `SUSE:Package Hub 15 SP5` is `sles:15.5`.
7. A list of ids and times, which SUSE puts among its records (`all.json`), is no record.

Left out: ranges of type GIT and the event `limit`; `ecosystem_specific` but for Debian's urgency;
module streams of RPM, which the format cannot say.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from answerable.feeds import cvss
from answerable.feeds.documents.values import named
from answerable.feeds.publication import (
    TEXT,
    Listed,
    Listing,
    Reading,
    filled,
    is_cve,
    plain,
    rated,
    time_of,
    together,
    well_formed,
    word,
)
from answerable.feeds.rows import Claim, Field, Level, Range, Row
from answerable.feeds.source import MIB
from answerable.host import versions
from answerable.kernel.errors import Refused

SOURCES: Final = frozenset({
    "alpine", "debian", "mageia", "openeuler", "opensuse-leap", "opensuse-tumbleweed", "rocky",
    "sles", "ubuntu", "ubuntu-pro",
})  # fmt: skip
"""Ecosystems whose names are those of source packages; in all others they are what is installed."""
_NAMES: Final = {
    "rocky linux": "rocky",
    "red hat": "redhat",
    "opensuse": "opensuse",
    "suse": "sles",
}
_SLES = re.compile(
    r"(?:linux enterprise|linux micro|package hub|real time module)\b(?:.* )?"
    r"(\d+)(?:(?: sp|\.)(\d+))?(?:[ -][a-z ]+)?"
)
"""SUSE's products that are one release to a host: the server, its modules, extensions, kits."""
_RHEL = re.compile(r"enterprise_linux:(\d+)(?:::.*)?")
_RANK = {"fixed": 0, "introduced": 1, "last_affected": 2}
"""Which of several events at one version comes first."""
_SEPARATORS = re.compile(r"[-_.]+")
Json = Any
Span = tuple[str, str, str]
"""`introduced`, `fixed` and `last`, as in a row."""


@dataclass(frozen=True)
class OsvExport:
    """The adapter.

    Args:
        channel: such as `osv/debian`.
        files: their names below the place they are fetched from, such as `Debian/all.zip`.
    """

    channel: str
    files: tuple[str, ...]
    index: str = ""
    limit: int = 2048 * MIB

    def listing(self, index: Path | None, source: str) -> Listing:
        """Name the documents."""
        del index, source
        return Listing(tuple(map(Listed, self.files)))

    def read(self, file: Path, source: str) -> Reading:
        """Give each record's ranges, and what it says of its flaw.

        Raises:
            Unusable: see the port.
        """
        return filled(self._rows(file, source), source)

    def _rows(self, file: Path, source: str) -> Reading:
        newest = 0
        for number, (member, record) in enumerate(named(file, source), 1):
            if any(part.startswith(".") for part in member.split("/")):
                continue  # a repository's own files, such as `.github/..`
            if isinstance(record, list) and all(map(_is_entry, record)):
                continue
            name = record.get("id", number) if isinstance(record, dict) else number
            with well_formed(source, name):
                modified = time_of(record.get("modified"))
                newest = max(newest, modified, time_of(record.get("published")))
                yield from self._of(record, modified)
        return newest

    def _of(self, record: Json, modified: int) -> Iterator[Row]:
        advisory, cves = word(record["id"]), _flaws(record)
        published = time_of(record.get("published"))
        withdrawn = time_of(record.get("withdrawn"))
        if record.get("withdrawn") and not withdrawn:
            raise ValueError("`withdrawn` is no time")
        for affected in record.get("affected") or ():
            package = affected.get("package")
            if not package:
                continue
            ecosystem = ecosystem_of(word(package["ecosystem"]))
            name, level = _named(word(package["name"]), ecosystem)
            urgency = _urgency(affected, record)
            for introduced, fixed, last in _spans(affected, ecosystem):
                yield Range(
                    self.channel, advisory, ecosystem, name, level, "affected", introduced, fixed,
                    last, cves, urgency, published, modified, withdrawn,
                )  # fmt: skip
        if not withdrawn and len(cves) <= 1:
            subject = cves[0] if cves else advisory
            for field, value in _said(record, published):
                if value:
                    yield Claim(self.channel, subject, field, value, modified)


def _is_entry(one: Json) -> bool:
    return isinstance(one, dict) and one.keys() == {"id", "modified"}


@lru_cache(maxsize=4096)
def ecosystem_of(name: str) -> str:
    """Give the name by which rows call an ecosystem: `debian:12`, `ubuntu-pro:16.04`, `pypi`.

    Args:
        name: as OSV spells it, such as `Debian:12`.
    """
    base, _, release = name.lower().partition(":")
    base = _NAMES.get(base, base)
    if base == "ubuntu":
        parts = [part for part in release.split(":") if part != "lts"]
        return ":".join(("-".join((base, *parts[:-1])), *parts[-1:]))
    if base == "alpine":
        release = release.removeprefix("v")
    elif base == "opensuse":
        kind, _, release = release.partition(" ")
        base, release = f"opensuse-{kind}", release or "rolling"
    elif base == "sles" and (found := _SLES.fullmatch(release)):
        release = f"{found[1]}.{found[2] or 0}"
    elif base == "redhat" and (found := _RHEL.fullmatch(release)):
        release = found[1]
    return f"{base}:{release}" if release else base


def _named(name: str, ecosystem: str) -> tuple[str, Level]:
    if ecosystem == "pypi":
        return _SEPARATORS.sub("-", name).lower(), "binary"
    if ecosystem in ("nuget", "packagist"):
        return name.lower(), "binary"
    return name, "source" if ecosystem.partition(":")[0] in SOURCES else "binary"


def _flaws(record: Json) -> tuple[str, ...]:
    told = [*(record.get("aliases") or ()), *(record.get("upstream") or ())]
    told = told or list(record.get("related") or ())
    return tuple(sorted({name for name in (record["id"], *told) if is_cve(name)}))


def _urgency(affected: Json, record: Json) -> str:
    """The publisher's own word, else the rating of the highest score."""
    scored = [*(affected.get("severity") or ()), *(record.get("severity") or ())]
    own = [
        (affected.get("ecosystem_specific") or {}).get("urgency"),
        (record.get("database_specific") or {}).get("severity"),
        *(each.get("score") for each in scored if each.get("type") == "Ubuntu"),
    ]
    for said in own:
        if (urgency := rated(said)) != "unknown":
            return urgency
    return cvss.rating(max((cvss.tenths(str(s.get("score", ""))) for s in scored), default=-1))


def _spans(affected: Json, ecosystem: str) -> Iterator[Span]:
    found: list[Span] = []
    for each in affected.get("ranges") or ():
        if each["type"] in ("ECOSYSTEM", "SEMVER"):
            found += _runs(each["events"], ecosystem)
    yield from dict.fromkeys(found)
    listed = affected.get("versions") or ()
    if listed and ("", "", "") not in found:
        for version in dict.fromkeys(map(word, listed)):
            if not any(_within(version, span, ecosystem) for span in found):
                yield version, "", version


def _runs(events: Iterable[Json], ecosystem: str) -> Iterator[Span]:
    ordered, known = _ordered(events, ecosystem)
    start: str | None = None
    for kind, version in ordered:
        if kind == "introduced":
            if start is not None and not known:
                yield start, "", ""
            start = start if known and start is not None else version
        elif start is not None:
            yield (start, version, "") if kind == "fixed" else (start, "", version)
            start = None
    if start is not None:
        yield start, "", ""


def _ordered(events: Iterable[Json], ecosystem: str) -> tuple[list[tuple[str, str]], bool]:
    """Kind and version of each event, and whether they are in the order of their versions."""
    found = []
    for event in events:
        for kind in ("introduced", "fixed", "last_affected"):
            if kind in event:
                version = word(event[kind])
                found.append((kind, "" if kind == "introduced" and version == "0" else version))
    keys = [_key(ecosystem, version) if version else b"" for _, version in found]
    if _paired([kind for kind, _ in found], keys):
        return found, True
    if len(found) == 2:  # noqa: PLR2004  a start after its end
        return sorted(found, key=lambda event: event[0] != "introduced"), True
    if any(key is None for key in keys):
        return found, False
    order = sorted(range(len(found)), key=lambda n: (keys[n], _RANK[found[n][0]]))
    return [found[n] for n in order], True


def _paired(kinds: Sequence[str], keys: Sequence[bytes | None]) -> bool:
    """Whether each start is followed by its own end, which is not before it."""
    alternate = all((kind == "introduced") == (n % 2 == 0) for n, kind in enumerate(kinds))
    pairs = zip(keys[::2], keys[1::2], strict=False)
    return alternate and not any(a is not None and b is not None and b < a for a, b in pairs)


@lru_cache(maxsize=1 << 17)
def _key(ecosystem: str, version: str) -> bytes | None:
    try:
        return versions.key(ecosystem, version)
    except Refused:
        return None


def _within(version: str, span: Span, ecosystem: str) -> bool:
    key = _key(ecosystem, version)
    first, fixed, last = (_key(ecosystem, end) if end else b"" for end in span)
    if key is None or first is None or fixed is None or last is None or key < first:
        return False
    return (not fixed or key < fixed) and (not last or key <= last)


def _said(record: Json, published: int) -> Iterator[tuple[Field, str]]:
    yield "published", str(published or "")
    yield "title", plain(record.get("summary"))
    yield "description", plain(record.get("details"), TEXT)
    yield "cwe", together((record.get("database_specific") or {}).get("cwe_ids") or ())
    scored = list(record.get("severity") or ())
    for affected in record.get("affected") or ():
        scored += affected.get("severity") or ()
    for vector in sorted({plain(each.get("score")) for each in scored}):
        if cvss.tenths(vector) >= 0:
            yield "cvss", vector
