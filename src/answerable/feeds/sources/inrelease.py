"""A distribution's signed release file: opened with the distribution's keyring, read, judged fresh.

Rules:

1. `gpgv` alone decides about OpenPGP, told only a keyring. Its status lines come over a descriptor
   of their own, so nothing in the file can look like one.
2. At least one good signature (not by an expired or revoked key) with SHA-256 or stronger, none
   bad, exactly one signed text. A signature by a key that the keyring lacks is ignored, since
   releases carry those of their successors.
3. What is read is the text that gpgv wrote, not the file: words around the signed text are lost.
4. Freshness is our own rule, whatever apt on this machine is told: not after Valid-Until, not older
   than the caller's limit, not older than the last one seen, not from the future.

Fields read: Suite, Codename, Date, Valid-Until, Acquire-By-Hash, SHA256 (deb822; Debian repository
format, wiki.debian.org/DebianRepository/Format). Left out: Release with Release.gpg, weaker hashes.
"""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from answerable.feeds.source import AHEAD, State, Unusable

PATIENCE = 20
"""Longest that gpgv may take, seconds."""
FILES = 20_000
"""Most files that a release names."""
_STRONG = ("8", "9", "10")  # SHA-256, SHA-384, SHA-512: RFC 9580 section 9.5
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
    text, status = _gpgv(data, keyring, source)
    _require_signature(status, source)
    return _read(text, hashlib.sha256(data).hexdigest(), source)


def _gpgv(data: bytes, keyring: Path, source: str) -> tuple[bytes, list[list[str]]]:
    tool = shutil.which("gpgv")
    if tool is None or not keyring.is_file():
        missing = "gpgv" if tool is None else str(keyring)
        raise Unusable(State.UNREACHABLE, source, f"`{missing}` is not there; install it")
    with tempfile.TemporaryFile() as status, tempfile.TemporaryFile() as given:
        given.write(data)
        given.seek(0)
        number = str(status.fileno())
        words = ["--status-fd", number, "--keyring", str(keyring.resolve()), "--output", "-", "-"]
        try:
            done = subprocess.run(
                [tool, *words],
                stdin=given,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                pass_fds=(status.fileno(),),
                env={"LC_ALL": "C", "PATH": os.defpath},
                timeout=PATIENCE,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise Unusable(State.UNREACHABLE, source, f"gpgv did not run: {error}") from error
        status.seek(0)
        lines = status.read().decode(errors="replace").splitlines()
    return done.stdout, [line.split(" ")[1:] for line in lines if line.startswith("[GNUPG:] ")]


def _require_signature(status: list[list[str]], source: str) -> None:
    words = [line[0] for line in status if line]
    if {"NODATA", "ERROR"} & set(words) or words.count("PLAINTEXT") != 1:
        raise Unusable(State.MALFORMED, source, "not one signed text; fetch it again")
    if "BADSIG" in words:
        raise Unusable(State.FORGED, source, "a signature does not fit the text")
    for good, valid in pairwise(status):
        strong = valid[:1] == ["VALIDSIG"] and valid[8:9] and valid[8] in _STRONG
        if good[:1] == ["GOODSIG"] and strong:
            return
    raise Unusable(State.FORGED, source, "no good signature by a key of the keyring")


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


def require_fresh(release: Release, source: str, max_age: int, now: int, floor: int = 0) -> None:
    """Judge a release's dates at POSIX second `now`.

    Args:
        max_age: how old it may be, seconds.
        floor: the newest date that was seen on this suite before, POSIX seconds.

    Raises:
        Unusable: `postdated`, `expired`, `stale` or `rolled_back`.
    """
    published, until = release.published, release.valid_until
    if published > now + AHEAD:
        raise Unusable(State.POSTDATED, source, f"dated {published - now} s ahead; check the clock")
    if published < floor:
        raise Unusable(State.ROLLED_BACK, source, f"{floor - published} s older than one seen")
    if until and now > until:
        raise Unusable(State.EXPIRED, source, f"expired {now - until} s ago; use another mirror")
    if now - published > max_age:
        late = now - published - max_age
        raise Unusable(State.STALE, source, f"{late} s older than the rule; use another mirror")
