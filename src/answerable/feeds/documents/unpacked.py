"""The bytes inside a document: gzip, xz, bzip2, Zstandard, zip, tar or plain, told by their first.

Rules: everything comes in pieces of at most `PIECE` bytes; what unpacks to more than `WHOLE` bytes,
or to more than `RATIO` times its own size, is refused (decompression bombs); so is an archive with
too many members, a name that is absolute or climbs, the same name twice, or encryption. Nothing is
ever written to a place that an archive names.

Formats: RFC 1952 (gzip), RFC 8878 (Zstandard), PKWARE APPNOTE 6.3 (zip), POSIX pax (tar).

Left out: archives in archives; zip members in other methods than stored and deflate.
"""

import bz2
import gzip
import lzma
import sys
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Protocol

from answerable.feeds.source import KIB, MIB, State, Unusable

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PIECE = 256 * KIB
"""Bytes that are unpacked at once."""
WHOLE = 32 * 1024 * MIB
"""Most bytes that one document may unpack to."""
RATIO = 250
"""Most times its own size that a document may unpack to, beyond `SMALL`."""
SMALL = 64 * MIB
"""What any document may unpack to, bytes."""
MEMBERS = 1_000_000
"""Most members of an archive."""
DIRECTORY = 128 * MIB
"""Largest central directory of a zip, bytes: it is held in memory."""
MEMORY = 128 * MIB
"""Most memory that unpacking may ask for, bytes."""
WINDOW = 27
"""Binary logarithm of the largest Zstandard window, bytes."""
_BLOCK = 512  # of a tar, bytes
_LONG = 64 * KIB  # longest pax header, bytes
_LAST = 22  # bytes of the end of a central directory, without its comment
_END = _LAST + 64 * KIB  # where the end of the central directory is looked for
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, zstd.ZstdError, OSError, EOFError,
    RuntimeError, NotImplementedError, ValueError, OverflowError, MemoryError, KeyError,
)  # fmt: skip


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


def _zstd() -> _Decoder:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW})


_PACKED: tuple[tuple[bytes, Callable[[], _Decoder]], ...] = (
    (b"\xfd7zXZ\0", lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)),
    (b"\x28\xb5\x2f\xfd", _zstd),
    (b"BZh", bz2.BZ2Decompressor),
)
_GZIP, _ZIP = b"\x1f\x8b", (b"PK\x03\x04", b"PK\x05\x06")


def stream(file: Path, source: str) -> Iterator[bytes]:
    """Give what a document unpacks to, in pieces.

    Args:
        file: where it lies.
        source: its address, for messages.

    Raises:
        Unusable: `missing`, `unreachable`, `truncated`, `oversized` or `malformed`.
    """
    size = _size(file, source)
    if not size:
        raise Unusable(State.EMPTY, source, "no byte in it")
    left = min(WHOLE, max(SMALL, RATIO * size))
    try:
        with file.open("rb") as opened:
            for piece in _pieces(opened):
                left -= len(piece)
                if left < 0:
                    raise Unusable(State.OVERSIZED, source, "it unpacks to too much; a bomb?")
                yield piece
    except EOFError as error:
        raise Unusable(State.TRUNCATED, source, "it ends in the middle; fetch again") from error
    except _DAMAGED as error:
        raise Unusable(State.MALFORMED, source, f"it cannot be unpacked: {error!r:.120}") from error


def members(file: Path, source: str, limit: int) -> Iterator[tuple[str, bytes]] | None:
    """Give name and bytes of each file of an archive, in its own order; nothing if it is none.

    Args:
        limit: largest member, bytes.

    Raises:
        Unusable: as `stream`, possibly after some members.
    """
    with _opened(file, source) as opened:
        first = opened.read(4)
    if first in _ZIP:
        return _zip(file, source, limit)
    start = b""
    for piece in stream(file, source):
        start += piece
        if len(start) >= _BLOCK:
            break
    return _tar(file, source, limit) if start[257:262] == b"ustar" else None


def _opened(file: Path, source: str) -> IO[bytes]:
    try:
        return file.open("rb")
    except FileNotFoundError as error:
        raise Unusable(State.MISSING, source, "no such file; check the mirror") from error
    except OSError as error:
        raise Unusable(State.UNREACHABLE, source, f"{error.strerror}") from error


def _size(file: Path, source: str) -> int:
    with _opened(file, source) as opened:
        return opened.seek(0, 2)


def _pieces(opened: IO[bytes]) -> Iterator[bytes]:
    first = opened.read(6)
    opened.seek(0)
    if first.startswith(_GZIP):
        with gzip.GzipFile(fileobj=opened) as unpacked:
            while piece := unpacked.read(PIECE):
                yield piece
        return
    for magic, make in _PACKED:
        if first.startswith(magic):
            yield from _blocks(opened, make)
            return
    while piece := opened.read(PIECE):
        yield piece


def _blocks(opened: IO[bytes], make: Callable[[], _Decoder]) -> Iterator[bytes]:
    """Several streams one after the other are one document, as the tools of each format say."""
    decoder, data = make(), opened.read(PIECE)
    while True:
        if piece := decoder.decompress(data, PIECE):
            yield piece
        data = b""
        if decoder.eof:
            data = decoder.unused_data or opened.read(PIECE)
            if not data:
                return
            decoder = make()
        elif decoder.needs_input:
            data = opened.read(PIECE)
            if not data:
                raise EOFError


def _sane(name: str, source: str) -> str:
    parts = name.split("/")
    if not name or "\\" in name or ".." in parts or name.startswith("/") or ":" in parts[0]:
        raise Unusable(State.MALFORMED, source, f"a member is named `{name[:80]!r}`")
    return name


def _zip(file: Path, source: str, limit: int) -> Iterator[tuple[str, bytes]]:
    left = min(WHOLE, max(SMALL, RATIO * _size(file, source)))
    _require_directory(file, source)
    try:
        with zipfile.ZipFile(file) as opened:
            infos = opened.infolist()
            if len(infos) > MEMBERS:
                raise Unusable(State.OVERSIZED, source, f"{len(infos)} members")
            if len(opened.NameToInfo) != len(infos):
                raise Unusable(State.MALFORMED, source, "two members have one name")
            for info in infos:
                if _sane(info.filename, source).endswith("/"):
                    continue
                with opened.open(info) as member:
                    data = member.read(limit + 1)
                left -= len(data)
                if len(data) > limit or left < 0:
                    detail = f"member `{info.filename[:80]}` unpacks to too much; a bomb?"
                    raise Unusable(State.OVERSIZED, source, detail)
                yield info.filename, data
    except _DAMAGED as error:
        raise Unusable(State.MALFORMED, source, f"it cannot be unpacked: {error!r:.120}") from error


def _require_directory(file: Path, source: str) -> None:
    """A zip ends with where its directory lies; one without that end was cut (APPNOTE 4.3.16)."""
    with _opened(file, source) as opened:
        size = opened.seek(0, 2)
        opened.seek(max(0, size - _END))
        tail = opened.read(_END)
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) - at < _LAST:
        raise Unusable(State.TRUNCATED, source, "its directory is missing; fetch again")
    directory = int.from_bytes(tail[at + 12 : at + 16], "little")
    wide = tail.rfind(b"PK\x06\x06", 0, at)  # zip64: sizes that do not fit stand here
    if wide >= 0:
        directory = max(directory, int.from_bytes(tail[wide + 40 : wide + 48], "little"))
    if directory > DIRECTORY:
        raise Unusable(State.OVERSIZED, source, f"a directory of {directory} bytes")


def _tar(file: Path, source: str, limit: int) -> Iterator[tuple[str, bytes]]:
    pieces, count, longer = _Exactly(stream(file, source), source), 0, ""
    while any(header := pieces.take(_BLOCK)):
        name, size, kind = _header(header, source)
        count += 1
        if size > limit or count > MEMBERS or (kind in b"xgLK" and size > _LONG):
            raise Unusable(State.OVERSIZED, source, f"member `{name[:80]}` has {size} bytes")
        data = pieces.take(size + -size % _BLOCK)[:size]
        if kind == b"L":
            longer = data.rstrip(b"\0").decode(errors="replace")
        elif kind == b"x":
            longer = _pax_path(data) or longer
        elif kind in b"0\0":
            yield _sane(longer or name, source), data
        if kind not in b"xgLK":
            longer = ""


def _header(block: bytes, source: str) -> tuple[str, int, bytes]:
    try:
        size = int(block[124:136].rstrip(b"\0 ") or b"0", 8)
        told = int(block[148:156].strip(b"\0 "), 8)
        name = block[:100].rstrip(b"\0").decode()
        before = block[345:500].rstrip(b"\0").decode() if block[257:263] == b"ustar\0" else ""
    except ValueError as error:
        raise Unusable(State.MALFORMED, source, "a damaged header in a tar") from error
    if size < 0 or told != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise Unusable(State.MALFORMED, source, "a damaged header in a tar")
    return f"{before}/{name}" if before else name, size, block[156:157]


def _pax_path(data: bytes) -> str:
    for line in data.split(b"\n"):
        _, _, entry = line.partition(b" ")
        if entry.startswith(b"path="):
            return entry[5:].decode(errors="replace")
    return ""


class _Exactly:
    """So many bytes of a stream, no more and no fewer."""

    def __init__(self, pieces: Iterator[bytes], source: str) -> None:
        self.pieces, self.source, self.rest = pieces, source, bytearray()

    def take(self, size: int) -> bytes:
        while len(self.rest) < size:
            piece = next(self.pieces, b"")
            if not piece:
                raise Unusable(State.TRUNCATED, self.source, "it ends in the middle; fetch again")
            self.rest += piece
        data = bytes(self.rest[:size])
        del self.rest[:size]
        return data
