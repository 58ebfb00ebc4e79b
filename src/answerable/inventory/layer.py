"""A layer's bytes: plain, gzip or Zstandard, unpacked as they come, counted and hashed.

Rules: the packed and the unpacked bytes are hashed as they pass, so that whoever read to the end
knows whether it was the layer that was named. What unpacks to more than is left for the image is a
bomb. Several gzip members or Zstandard frames may follow each other (RFC 1952, RFC 8878); zeros
after them are padding.

Left out: finding out beforehand how much a layer unpacks to; nobody can be believed about that.
"""

import hashlib
import os
import sys
import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol

from answerable.inventory.installed import Unreadable
from answerable.inventory.tar import CUT

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

WINDOW = 27
"""Binary logarithm of the largest Zstandard window, bytes."""
GZIP, ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"
_CHUNK = 1 << 20


class Part:
    """A stretch of a file: bytes that can be passed over."""

    def __init__(self, file: BinaryIO, start: int, size: int) -> None:
        """Begin at `start`."""
        self._file, self._left = file, size
        file.seek(start)

    def read(self, size: int, /) -> bytes:
        """Give at most so many bytes; nothing at the end."""
        data = self._file.read(min(size, self._left))
        self._left -= len(data)
        return data

    def skip(self, size: int) -> None:
        """Pass over so many bytes; raises `Unreadable` if there are fewer."""
        if size > self._left:
            raise Unreadable(CUT)
        self._file.seek(size, os.SEEK_CUR)
        self._left -= size

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


class _Gzip:
    """zlib's decoder with the manners of the others."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int, /) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _zstd() -> _Decoder:
    return zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW})


class Layer:
    """A layer as a stream of plain bytes; `unpacked` counts them.

    Args:
        part: where it lies.
        most: bytes that it may unpack to.
    """

    def __init__(self, part: Part, most: int) -> None:
        self._part, self._most, self.unpacked = part, most, 0
        self.packed_hash, self.plain_hash = hashlib.sha256(), hashlib.sha256()
        self._head = self._raw(4)
        self._make: Callable[[], _Decoder] = _zstd if self._head == ZSTD else _Gzip
        packed = self._head == ZSTD or self._head[:2] == GZIP
        self._decoder = self._make() if packed else None

    def _raw(self, size: int) -> bytes:
        data = self._part.read(size)
        self.packed_hash.update(data)
        return data

    def _next(self, size: int) -> bytes:
        data, self._head = self._head[:size], self._head[size:]
        return data or self._raw(size)

    def read(self, size: int, /) -> bytes:
        """Give at most so many bytes; nothing at the end, also of one that is cut short.

        Raises:
            Unreadable: damaged, or a bomb.
        """
        try:
            data = self._unpacked(self._decoder, size) if self._decoder else self._next(size)
        except (zlib.error, zstd.ZstdError) as error:
            raise Unreadable(f"a layer is damaged: {error}") from error
        self.plain_hash.update(data)
        self.unpacked += len(data)
        if self.unpacked > self._most:
            raise Unreadable(f"the layers unpack to more than {self._most} bytes; is it a bomb?")
        return data

    def _unpacked(self, decoder: _Decoder, size: int) -> bytes:
        while True:
            if decoder.eof:  # another member or frame may follow
                more = decoder.unused_data or self._next(_CHUNK)
                if not more.strip(b"\0"):
                    return b""
                self._decoder = decoder = self._make()
            else:
                more = self._next(_CHUNK) if decoder.needs_input else b""
                if decoder.needs_input and not more:
                    return b""
            if data := decoder.decompress(more, size):
                return data

    def skip(self, size: int) -> None:
        """Pass over so many bytes; raises `Unreadable` if there are fewer."""
        while size:
            data = self.read(min(size, _CHUNK))
            if not data:
                raise Unreadable(CUT)
            size -= len(data)

    def drain(self) -> None:
        """Read what is left, so that the hashes are those of the whole."""
        while self.read(_CHUNK):
            pass
        while self._raw(_CHUNK):
            pass
