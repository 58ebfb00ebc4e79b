"""A package index (`Packages`): unpacked within limits, read for the packages asked for.

Rules: the bytes are those whose hash a signed release file names; unpacking stops at the size that
the release file gives; only stanzas of the packages asked for, and of their sources, are taken
apart, so an index of 60,000 packages is read in half a second. A stanza that is asked for and lacks
what we need makes the whole index malformed: half an index must not pass for a whole one.

Format: deb822 stanzas, Debian Policy 5.1 and 5.6. Left out: fields that no fact needs.
"""

import lzma
import re
import zlib
from collections.abc import Collection, Iterator
from dataclasses import dataclass

from answerable.feeds.documents.fetch import sane
from answerable.feeds.source import MIB, State, Unusable
from answerable.host import versions
from answerable.kernel.errors import Refused

MEMORY = 128 * MIB
"""Most memory that unpacking may ask for, bytes."""
STANZA = MIB
"""Longest stanza that is read, bytes."""
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}")
_SOURCE = re.compile(r"([a-z0-9][a-z0-9+.-]{1,127})(?: \(([^() ]{1,255})\))?")


@dataclass(frozen=True, slots=True)
class Binary:
    """One version of one binary package in one suite.

    Args:
        package: its name.
        version: of the binary package.
        arch: `amd64`, `all`, ...
        source: name of its source package.
        source_version: version of its source package; the changelog speaks of this one.
        sha256: of the .deb, hex.
        size: of the .deb, bytes.
        path: of the .deb below the mirror.
        needs: dependencies, each one alternative list as written.
        suite: where it was found.
        base: whether that is the distribution's own release, which updates build upon.
    """

    package: str
    version: str
    arch: str
    source: str
    source_version: str
    sha256: str
    size: int
    path: str
    needs: tuple[str, ...]
    suite: str
    base: bool


def order_of(version: str) -> bytes:
    """Give the key by which dpkg orders a version, whatever the release.

    Raises:
        Refused: `malformed`.
    """
    return versions.key("debian:", version)


def unpack(data: bytes, name: str, limit: int) -> bytes:
    """Unpack an index by the end of its name: `.xz`, `.gz`, or not at all.

    Raises:
        Unusable: `malformed`, `truncated` or `oversized`.
    """
    if not name.endswith((".xz", ".gz")):
        return data
    try:
        if name.endswith(".xz"):
            worker = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)
            text, ended = worker.decompress(data, limit + 1), worker.eof
        else:
            gzip = zlib.decompressobj(31)
            text, ended = gzip.decompress(data, limit + 1), gzip.eof
    except (lzma.LZMAError, zlib.error) as error:
        raise Unusable(State.MALFORMED, name, f"{error}; fetch it again") from error
    if len(text) > limit:
        raise Unusable(State.OVERSIZED, name, f"more than {limit} bytes unpacked")
    if not ended:
        raise Unusable(State.TRUNCATED, name, "the packed data ends early; fetch it again")
    return text


def _stanzas(data: bytes) -> Iterator[bytes]:
    start = 0
    while start < len(data):
        end = data.find(b"\n\n", start)
        end = len(data) if end < 0 else end
        yield data[start:end].strip(b"\n")
        start = end + 2


def _field(stanza: bytes, name: bytes) -> bytes:
    start = 0 if stanza.startswith(name) else stanza.find(b"\n" + name) + 1
    if start == 0 and not stanza.startswith(name):
        return b""
    end = stanza.find(b"\n", start)
    return stanza[start + len(name) : end if end >= 0 else None].strip()


def read(data: bytes, asked: Collection[str], suite: str, *, base: bool) -> list[Binary]:
    """Read the packages asked for, and the others of the same source packages.

    Raises:
        Unusable: `empty` if the index holds no package at all; `malformed`.
    """
    names, sources, seen = {name.encode() for name in asked}, set(), False
    for stanza in _stanzas(data):
        package = _field(stanza, b"Package: ")
        seen = seen or bool(package)
        if package in names:
            sources.add(_field(stanza, b"Source: ").partition(b" ")[0] or package)
    if not seen:
        raise Unusable(State.EMPTY, suite, "an index without a package; use another mirror")
    return [
        _binary(stanza, suite, base=base)
        for stanza in _stanzas(data)
        if (_field(stanza, b"Source: ").partition(b" ")[0] or _field(stanza, b"Package: "))
        in sources
    ]


def fields(stanza: bytes) -> dict[str, str]:
    """Read one stanza of deb822; of a field that is given twice the first counts."""
    found: dict[str, str] = {}
    name = ""
    for line in stanza.decode(errors="replace").split("\n"):
        if line[:1] in (" ", "\t"):
            if name:
                found[name] += "\n" + line.strip()
            continue
        head, colon, value = line.partition(":")
        name = head if colon and head not in found else ""
        if name:
            found[name] = value.strip()
    return found


def _binary(stanza: bytes, suite: str, *, base: bool) -> Binary:
    if len(stanza) > STANZA:
        raise Unusable(State.OVERSIZED, suite, f"a stanza of {len(stanza)} bytes")
    field = fields(stanza)
    package, version = field.get("Package", ""), field.get("Version", "")
    origin = _SOURCE.fullmatch(field.get("Source", package))
    size, path, sha256 = (field.get(name, "") for name in ("Size", "Filename", "SHA256"))
    good = _NAME.fullmatch(package) and origin and sane(path) and re.fullmatch(r"\d{1,12}", size)
    if not good or not re.fullmatch(r"[0-9a-f]{64}", sha256) or origin is None:
        raise Unusable(State.MALFORMED, suite, f"the stanza of `{package[:80]}`")
    source_version = origin[2] or version
    for each in (version, source_version):
        _require_version(each, suite)
    needs = ", ".join(field[name] for name in ("Pre-Depends", "Depends") if name in field)
    return Binary(
        package, version, field.get("Architecture", ""), origin[1], source_version, sha256,
        int(size), path, tuple(n.strip() for n in needs.split(",") if n.strip()), suite, base,
    )  # fmt: skip


def _require_version(version: str, suite: str) -> None:
    try:
        order_of(version)
    except Refused as error:
        raise Unusable(State.MALFORMED, suite, str(error)) from error
