"""Facts out of a Debian changelog: which version fixed which flaws, how urgently, when.

Form (Debian Policy 4.4, deb-changelog(5)), one entry a version, the newest first:

    openssl (3.0.22-1~deb12u2) bookworm-security; urgency=high

      * CVE-2026-84782 ("DTLS Retransmits Handshake Messages From a Stale Buffer Offset")

     -- Arnaud Rebillout <arnaudr@debian.org>  Wed, 21 Oct 2026 16:54:24 +0700

Rules:

1. Entries are read from the top for as long as they were made for this release of the distribution,
   or are newer than the release's own version: what came before is part of every host's base.
   What a source only signs (`linux-signed-amd64`) carries the entries of what it signs (`linux`).
2. An entry is an advisory if it names a flaw or was uploaded for a security suite.
3. Urgency is the uploader's word; `emergency` and `critical` are one; another word is `unknown`. A
   score and known exploitation are not stated here, so they are absent.
4. Lines that fit no form are body: whatever the bytes, reading ends with what was understood.

Left out: bugs closed, authors; what the prose says of a flaw (it may be named for another reason).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from answerable.feeds.facts import CVES
from answerable.feeds.sources.packages import order_of
from answerable.kernel.errors import Refused

ENTRIES = 500
"""Most entries that are read."""
_HEAD = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9+.-]{1,127}) \(([^() \t]{1,255})\)"
    r"((?: [A-Za-z0-9+.-]{1,64}){1,8});(.{0,255})"
)
_TAIL = re.compile(
    r" -- .{0,512}  (?:[A-Z][a-z]{2}, )? ?(\d{1,2}) ([A-Z][a-z]{2}) (\d{4})"
    r" (\d{2}):(\d{2}):(\d{2}) ([+-])(\d{2})(\d{2})"
)
_CVE = re.compile(r"CVE-(?:19|20)\d{2}-\d{4,7}(?!\d)")
_URGENCY = re.compile(r"urgency=([a-z]{1,16})", re.IGNORECASE)
_WORDS = {"low": "low", "medium": "medium", "high": "high"} | dict.fromkeys(
    ("emergency", "critical"), "critical"
)
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_SIGNED = re.compile(r"(.+)-signed-[a-z0-9]+")
_STABLE = ("stable", "oldstable", "oldoldstable")


@dataclass(frozen=True, slots=True)
class Entry:
    """What a changelog says about one version.

    Args:
        source: package name as written there.
        version: of the source package.
        suites: where it was uploaded to.
        urgency: one word of `facts.URGENCIES`.
        cves: the flaws it names, sorted.
        published: POSIX seconds; 0 if its date cannot be read.
    """

    source: str
    version: str
    suites: tuple[str, ...]
    urgency: str
    cves: tuple[str, ...]
    published: int

    @property
    def advisory(self) -> bool:
        """Whether it states that a flaw is gone (rule 2)."""
        return bool(self.cves) or any(suite.endswith("-security") for suite in self.suites)


def entries(text: bytes) -> Iterator[Entry]:
    """Read the entries, newest first."""
    head: re.Match[str] | None = None
    cves: set[str] = set()
    for raw in text.split(b"\n"):
        line = raw.decode(errors="replace").rstrip()
        if line[:1] not in ("", " ", "\t"):
            head, cves = _HEAD.fullmatch(line), set()
        elif line.startswith(" -- ") and head:
            yield _entry(head, cves, _published(line))
            head = None
        elif head:
            cves.update(_CVE.findall(line))


def _entry(head: re.Match[str], cves: set[str], published: int) -> Entry:
    found = _URGENCY.search(head[4])
    urgency = _WORDS.get(found[1].lower(), "unknown") if found else "unknown"
    suites = tuple(head[3].split())
    return Entry(head[1], head[2], suites, urgency, tuple(sorted(cves)[:CVES]), published)


def _published(line: str) -> int:
    found = _TAIL.fullmatch(line)
    if not found or found[2] not in _MONTHS:
        return 0
    day, year, hour, minute, second = (int(found[i]) for i in (1, 3, 4, 5, 6))
    away = timedelta(hours=int(found[8]), minutes=int(found[9]))
    try:
        local = datetime(year, _MONTHS.index(found[2]) + 1, day, hour, minute, second, tzinfo=UTC)
        then = local - away if found[7] == "+" else local + away
        return max(0, int(then.timestamp()))
    except (ValueError, OverflowError):
        return 0


def advisories(text: bytes, source: str, release: str, base: str | None) -> list[Entry]:
    """Give the entries of this release that state fixes, newest first.

    Args:
        source: the source package that the changelog must speak of.
        release: codename of the distribution's release, such as `bookworm`.
        base: the version in the release itself; nothing if the release has none.
    """
    taken, signs = [], _SIGNED.fullmatch(source)
    names = {source, signs[1]} if signs else {source}
    for number, entry in enumerate(entries(text)):
        if number >= ENTRIES or entry.source not in names or not _ours(entry, release, base):
            break
        if entry.advisory:
            taken.append(entry)
    return taken


def _ours(entry: Entry, release: str, base: str | None) -> bool:
    try:
        key = order_of(entry.version)
        newer = base is not None and key > order_of(base)
    except Refused:
        return False
    return newer or any(suite.split("-")[0] in (release, *_STABLE) for suite in entry.suites)
