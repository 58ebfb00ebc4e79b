"""One file that carries a publication across an air gap, and a place to fetch from.

A crate is an uncompressed tar file (POSIX ustar) of the documents in sorted order and nothing else,
every header field but name, size and checksum fixed: the same publication makes the same bytes, so
two people can compare one SHA-256 over the telephone. `tar -tf` lists it.

Rules for reading: a header is read by writing it again from its name and size and comparing; each
name is a sane path, stands once, in order; two empty blocks end the file and nothing follows. A
crate is trusted no more than a mirror: what is in it counts by its signatures (reader.py).

Left out: compression (Parquet is compressed); encryption.
"""

import os
import tarfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from answerable.feeds.documents.fetch import PIECE, sane
from answerable.feeds.mirror.reader import FILE, FILES
from answerable.feeds.source import Fetch, State, Unusable

BLOCK = 512
"""Bytes of a tar block."""
ENTRIES = FILES + 1_000
"""Most documents of a crate."""
_END = bytes(2 * BLOCK)
_SIZE = slice(124, 136)
_NAME, _PREFIX = slice(0, 100), slice(345, 500)


def _header(name: str, size: int) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode = size, 0o644
    return entry.tobuf(tarfile.USTAR_FORMAT, "utf-8", "strict")


def pack(file: Path, source: Fetch, documents: Iterable[tuple[str, int]]) -> None:
    """Write a crate; it stands under its name only when it is whole.

    Args:
        documents: paths and lengths, bytes; read from `source`.

    Raises:
        Unusable: `mixed` if a document has another length; as `source.stream`; `oversized` if a
            path is too long for a tar header.
    """
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        with beside.open("xb") as out:
            for name, size in sorted(documents):
                _pack_one(out, source, name, size)
            out.write(_END)
            out.flush()
            os.fsync(out.fileno())
        beside.replace(file)
    finally:
        beside.unlink(missing_ok=True)


def _pack_one(out: BinaryIO, source: Fetch, name: str, size: int) -> None:
    try:
        out.write(_header(name, size))
    except ValueError as error:
        raise Unusable(State.OVERSIZED, name, f"no name for a crate: {error}") from error
    left = size
    for piece in source.stream(name, size):
        left -= len(piece)
        out.write(piece)
    if left:
        raise Unusable(State.MIXED, f"{source.place}/{name}", f"{left} bytes are missing")
    out.write(bytes(-size % BLOCK))


class Crate:
    """A crate to fetch from."""

    def __init__(self, file: Path) -> None:
        """Read where everything lies; the documents themselves are read when they are asked for.

        Raises:
            Unusable: `missing`, `truncated`, `malformed` or `oversized`.
        """
        self.place = str(file)
        self.file = file
        try:
            with file.open("rb") as opened:
                self._at = dict(self._walk(opened, file.stat().st_size))
        except OSError as error:
            raise Unusable(State.MISSING, self.place, f"{error.strerror}") from error

    def _walk(self, opened: BinaryIO, whole: int) -> Iterator[tuple[str, tuple[int, int]]]:
        before = ""
        for _ in range(ENTRIES):
            block = opened.read(BLOCK)
            if block == _END[:BLOCK]:
                if opened.read(BLOCK + 1) != _END[:BLOCK]:
                    raise Unusable(State.TRUNCATED, self.place, "its end is not there, or not last")
                return
            name, size = self._entry(block)
            start = opened.tell()
            if name <= before:
                raise Unusable(State.MALFORMED, self.place, f"`{name}` is out of order")
            if start + size > whole:
                raise Unusable(State.TRUNCATED, self.place, f"`{name}` is cut; carry it again")
            yield name, (start, size)
            opened.seek(start + size + -size % BLOCK)
            before = name
        raise Unusable(State.OVERSIZED, self.place, f"more than {ENTRIES} documents")

    def _entry(self, block: bytes) -> tuple[str, int]:
        if len(block) < BLOCK:
            raise Unusable(State.TRUNCATED, self.place, "it ends within a header; carry it again")
        try:
            name, prefix = (
                block[field].rstrip(b"\0").decode("ascii") for field in (_NAME, _PREFIX)
            )
            name = f"{prefix}/{name}" if prefix else name
            size = int(block[_SIZE].rstrip(b"\0"), 8)
            same = sane(name) and 0 <= size <= FILE and _header(name, size) == block
        except ValueError as error:
            raise Unusable(State.MALFORMED, self.place, f"a header: {error}") from error
        if not same:
            raise Unusable(State.MALFORMED, self.place, "a header that `export` does not write")
        return name, size

    def stream(self, path: str, limit: int) -> Iterator[bytes]:
        """Give a document in pieces.

        Raises:
            Unusable: `missing`, `oversized` or `truncated`.
        """
        source = f"{self.place}/{path}"
        if path not in self._at:
            raise Unusable(State.MISSING, source, "not in the crate")
        start, left = self._at[path]
        if left > limit:
            raise Unusable(State.OVERSIZED, source, f"{left} bytes where {limit} are allowed")
        with self.file.open("rb") as opened:
            opened.seek(start)
            while left:
                piece = opened.read(min(left, PIECE))
                if not piece:
                    raise Unusable(State.TRUNCATED, source, "the crate was cut while it was read")
                left -= len(piece)
                yield piece

    def get(self, path: str, limit: int) -> bytes:
        """Give a whole document.

        Raises:
            Unusable: as `stream`.
        """
        return b"".join(self.stream(path, limit))
