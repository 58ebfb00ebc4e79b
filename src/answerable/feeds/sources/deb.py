"""The changelog inside a .deb, found without unpacking the rest to disk.

Rules: the bytes are pinned by hash before this file sees them, yet nothing in them is believed.
`dpkg-deb --fsys-tarfile` opens the outer archive, whatever packs it (xz, gzip, zstd); its output
is read in blocks up to a limit and never written anywhere; a header of another kind ends the
reading. The first regular file of the names below is taken.

Names: `./usr/share/doc/<any>/changelog.Debian.gz`, or `changelog.gz` of a native package. Left out:
links (another package of the same source has the file), pax headers (dpkg-deb writes none).
"""

import re
import shutil
import subprocess
import threading
import zlib
from pathlib import Path
from typing import IO

from answerable.feeds.source import CHANGELOG, UNPACKED, State, Unusable

PATIENCE = 120
"""Longest that dpkg-deb may take, seconds."""
BLOCK = 512
PIECE = 1 << 20
LONG = 4096
"""Longest file name that is read, bytes."""
_DEBIAN = re.compile(rb"(?:\./)?usr/share/doc/[^/]+/changelog\.Debian\.gz")
_NATIVE = re.compile(rb"(?:\./)?usr/share/doc/[^/]+/changelog\.gz")


def changelog(deb: Path) -> bytes | None:
    """Give a package's Debian changelog, unpacked, or nothing if it carries none.

    Raises:
        Unusable: `malformed`, `truncated` or `oversized`; `unreachable` if dpkg-deb is missing.
    """
    tool = shutil.which("dpkg-deb")
    if tool is None:
        raise Unusable(State.UNREACHABLE, deb.name, "`dpkg-deb` is not there; install dpkg")
    with subprocess.Popen(
        [tool, "--fsys-tarfile", str(deb.resolve())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        watch = threading.Timer(PATIENCE, process.kill)
        watch.start()
        try:
            assert process.stdout is not None, "a pipe was asked for"
            found = _find(process.stdout, deb.name)
        finally:
            watch.cancel()
            process.kill()
    return None if found is None else gunzip(found, deb.name)


def _find(stream: IO[bytes], source: str) -> bytes | None:
    left, name, native = UNPACKED, b"", None
    while True:
        header = stream.read(BLOCK)
        if header == bytes(BLOCK):
            return native
        size, kind = _header(header, source)
        padded = -(-size // BLOCK) * BLOCK
        left -= BLOCK + padded
        if left < 0:
            raise Unusable(State.OVERSIZED, source, f"more than {UNPACKED} bytes unpacked")
        if kind == b"L" and size <= LONG:
            name = _read(stream, padded, source)[:size].rstrip(b"\0")
            continue
        name = name or _name(header)
        if kind in (b"0", b"\0") and size <= CHANGELOG and _DEBIAN.fullmatch(name):
            return _read(stream, padded, source)[:size]
        if kind in (b"0", b"\0") and size <= CHANGELOG and _NATIVE.fullmatch(name):
            native = _read(stream, padded, source)[:size]
        else:
            _skip(stream, padded, source)
        name = b""


def _name(header: bytes) -> bytes:
    prefix, name = (header[a:b].split(b"\0")[0] for a, b in ((345, 500), (0, 100)))
    return prefix + b"/" + name if prefix and header[257:263] == b"ustar\0" else name


def _header(header: bytes, source: str) -> tuple[int, bytes]:
    if len(header) < BLOCK:
        raise Unusable(State.TRUNCATED, source, "the archive ends early; fetch it again")
    total = sum(header[:148]) + sum(b" " * 8) + sum(header[156:])
    size, check = (header[a:b].strip(b" \0") for a, b in ((124, 136), (148, 156)))
    octal = re.compile(rb"[0-7]{1,12}")
    if not octal.fullmatch(size) or not octal.fullmatch(check) or int(check, 8) != total:
        raise Unusable(State.MALFORMED, source, "not an archive as dpkg-deb writes it")
    return int(size, 8), header[156:157]


def _read(stream: IO[bytes], size: int, source: str) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise Unusable(State.TRUNCATED, source, "the archive ends early; fetch it again")
    return data


def _skip(stream: IO[bytes], size: int, source: str) -> None:
    while size:
        piece = min(size, PIECE)
        _read(stream, piece, source)
        size -= piece


def gunzip(data: bytes, source: str) -> bytes:
    """Unpack a changelog.

    Raises:
        Unusable: `malformed`, `truncated` or `oversized`.
    """
    try:
        gzip = zlib.decompressobj(31)
        text = gzip.decompress(data, CHANGELOG)
    except zlib.error as error:
        raise Unusable(State.MALFORMED, source, f"its changelog: {error}") from error
    if not gzip.eof:
        state = State.OVERSIZED if len(text) >= CHANGELOG else State.TRUNCATED
        raise Unusable(state, source, "its changelog is cut short or too long")
    return text
