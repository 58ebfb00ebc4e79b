"""A distribution's signed release file: opened with the distribution's keyring, and read.

Rules:

1. The distribution's keyring decides (documents/openpgp.py), and what is read is the text that it
   signed, not the file.
2. Freshness is our own rule, whatever apt on this machine is told (documents/dates.py).

Fields read: Suite, Codename, Date, Valid-Until, Acquire-By-Hash, SHA256 (deb822; Debian repository
format, wiki.debian.org/DebianRepository/Format). Left out: Release with Release.gpg.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from answerable.feeds.documents.openpgp import signed_text
from answerable.feeds.source import State, Unusable

FILES = 20_000
"""Most files that a release names."""
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_DATE = re.compile(
    r"[A-Z][a-z]{2}, +(\d{1,2}) ([A-Z][a-z]{2}) (\d{4}) (\d{2}):(\d{2}):(\d{2}) (?:UTC|GMT|\+0000)"
)
_FILE = re.compile(r" ([0-9a-f]{64}) +(\d{1,12}) ([!-~]{1,255})")


@dataclass(frozen=True)
class Release:
    """A release file whose signature holds.

    Args:
        names: suite and codename.
        codename: such as `bookworm-security`.
        published: its Date, POSIX seconds.
        valid_until: POSIX seconds, or 0.
        by_hash: whether files can be fetched by their hash.
        files: path -> (sha256 hex, bytes).
        sha256: of the release file, hex.
    """

    names: tuple[str, str]
    codename: str
    published: int
    valid_until: int
    by_hash: bool
    files: Mapping[str, tuple[str, int]]
    sha256: str


def open_release(data: bytes, keyring: Path, source: str) -> Release:
    """Check a release file's signatures and read it.

    Raises:
        Unusable: `forged`, `malformed` or `empty`; `unreachable` if gpgv or the keyring is missing.
    """
    if not data.strip():
        raise Unusable(State.EMPTY, source, "nothing in it")
    text = signed_text(data, keyring, source)
    return _read(text, hashlib.sha256(data).hexdigest(), source)


def _read(text: bytes, sha256: str, source: str) -> Release:
    lines = text.decode(errors="replace").splitlines()
    fields = dict(line.split(": ", 1) for line in lines if ": " in line and line[:1] != " ")
    files: dict[str, tuple[str, int]] = {}
    for line in _block(lines, "SHA256:"):
        found = _FILE.fullmatch(line)
        if not found or len(files) >= FILES:
            raise Unusable(State.MALFORMED, source, f"`{line[:80]}` under SHA256")
        files[found[3]] = (found[1], int(found[2]))
    if not files:
        raise Unusable(State.EMPTY, source, "it names no files")
    codename = fields.get("Codename", "")
    until = fields.get("Valid-Until")
    return Release(
        (fields.get("Suite", ""), codename),
        codename,
        _date(fields.get("Date", ""), source),
        _date(until, source) if until else 0,
        fields.get("Acquire-By-Hash") == "yes",
        files,
        sha256,
    )


def _block(lines: list[str], head: str) -> list[str]:
    if head not in lines:
        return []
    start = lines.index(head) + 1
    end = next((i for i in range(start, len(lines)) if lines[i][:1] != " "), len(lines))
    return lines[start:end]


def _date(text: str, source: str) -> int:
    found = _DATE.fullmatch(text)
    try:
        if found and found[2] in _MONTHS:
            day, year, hour, minute, second = (int(found[i]) for i in (1, 3, 4, 5, 6))
            month = _MONTHS.index(found[2]) + 1
            then = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
            return max(0, int(then.timestamp()))
    except (ValueError, OverflowError):
        pass
    raise Unusable(State.MALFORMED, source, f"`{text[:40]}` is no date")
