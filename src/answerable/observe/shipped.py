"""What a package ships, from its own bytes, by readers of the observer's own.

A .deb (deb(5)) is an ar archive of `debian-binary`, `control.tar*` and `data.tar*`, packed by
nothing, gzip, xz or Zstandard. Of the control part `conffiles` is read (deb-conffiles(5)), of the
data part kind, name, content, target and who may read it of each member; a hard link is the file
that it names.

A wheel (PEP 427) is a zip. Its files lie below `site-packages` as they are, except `*.data/`, whose
scripts an installer rewrites, and `RECORD`, which it writes anew.

A .rpm names the hash of each file in its header (rpmpackage.py).

Whoever hands the bytes in has compared their SHA-256; still every read has a limit, and whatever
they are, reading them ends in an answer or in `CannotRead`. Left out: owners, devices.
"""

import gzip
import io
import lzma
import re
import stat
import sys
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import IO, BinaryIO, NamedTuple, Protocol

from answerable.kernel.errors import Unavailable
from answerable.observe.files import Shipped
from answerable.observe.inside import shown
from answerable.observe.rpmpackage import MAGIC, read_rpm

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACKAGE = 1 << 30
"""Largest package, bytes."""
UNPACKED = 8 << 30
"""Most that one unpacks to, bytes."""
MEMBERS = 100_000
"""Most members of one."""
CONFFILES = 1 << 20
"""Largest list of configuration files, bytes."""
MEMORY = 128 << 20
"""Most memory that unpacking may take, bytes."""
WINDOW = 27
"""Binary logarithm of the largest Zstandard window, bytes."""
NAME = 4_096
"""Longest path, bytes."""
_PIECE = 1 << 16
_AR, _HEAD = b"!<arch>\n", 60
_PARTS = 3  # debian-binary, control, data; what follows is nobody's
_DAMAGED = (
    tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, zstd.ZstdError, OSError,
    EOFError, ValueError, OverflowError, MemoryError, KeyError, IndexError, RecursionError,
    NotImplementedError, RuntimeError,
)  # fmt: skip


class CannotRead(Unavailable):
    """A package cannot be read, so nothing can be compared with it."""


class _Decoder(Protocol):
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    def decompress(self, data: bytes, max_length: int = -1, /) -> bytes: ...


class _Part(NamedTuple):
    name: str
    start: int
    size: int


def read(file: BinaryIO) -> Shipped:
    """Read a package, told by its first bytes.

    Raises:
        CannotRead: if it is no .deb, wheel or .rpm, or is damaged, or too large.
    """
    try:
        first = file.read(len(_AR))
        if first == _AR:
            return _deb(file)
        if first.startswith(b"PK"):
            return _wheel(file)
        if first.startswith(MAGIC):
            file.seek(0)
            return read_rpm(file)
    except _DAMAGED as error:
        raise CannotRead(f"the package cannot be read: {error!r:.200}") from error
    raise CannotRead(f"no .deb, wheel or .rpm: it begins with {first!r}")


def _deb(file: BinaryIO) -> Shipped:
    files: dict[str, str] = {}
    conffiles: list[str] = []
    private: list[str] = []
    kinds = set()
    for part in _parts(file):
        kind, _, packing = part.name.partition(".tar")
        if kind not in ("control", "data"):
            continue
        kinds.add(kind)
        with _tar(file, part, packing) as tar:
            if kind == "data":
                files = dict(_members(tar, private))
            else:
                conffiles = list(_conffiles(tar))
    if kinds != {"control", "data"}:
        raise ValueError("a .deb without control or data")
    return Shipped(files, frozenset(conffiles), frozenset(private))


def _parts(file: BinaryIO) -> Iterator[_Part]:
    at = len(_AR)
    for _ in range(_PARTS):
        file.seek(at)
        head = file.read(_HEAD)
        if len(head) < _HEAD or head[58:] != b"`\n":
            return
        size = int(head[48:58])
        yield _Part(head[:16].decode().rstrip().rstrip("/"), at + _HEAD, size)
        at += _HEAD + size + size % 2


@contextmanager
def _tar(file: BinaryIO, part: _Part, packing: str) -> Iterator[tarfile.TarFile]:
    if packing not in _PACKING:
        raise ValueError(f"packed by `{packing}`")
    inner = _Counted(_PACKING[packing](_Slice(file, part)))
    with tarfile.open(fileobj=io.BufferedReader(inner, _PIECE), mode="r|") as tar:
        yield tar


def _each(tar: tarfile.TarFile) -> Iterator[tuple[str, tarfile.TarInfo]]:
    for number, member in enumerate(tar):
        name = member.name.removeprefix("./").strip("/")
        if number >= MEMBERS or len(name) > NAME or ".." in name.split("/"):
            raise ValueError("too many members, or a name that leads elsewhere")
        yield shown(name), member


def _members(tar: tarfile.TarFile, private: list[str]) -> Iterator[tuple[str, str]]:
    known: dict[str, str] = {}
    shut: tuple[str, ...] = ()
    for name, member in _each(tar):
        if member.isdir() and not member.mode & stat.S_IXOTH:
            shut = (*shut, f"{name}/")
        elif (not member.mode & stat.S_IROTH and not member.issym()) or name.startswith(shut):
            private.append(name)
        if member.issym():
            known[name] = f"-> {shown(member.linkname)}"
        elif member.islnk():
            known[name] = known[shown(member.linkname.removeprefix("./").strip("/"))]
        elif member.isreg():
            opened = tar.extractfile(member)
            assert opened, "a plain file"
            known[name] = _hash(opened)
        else:
            continue
        yield name, known[name]


def _conffiles(tar: tarfile.TarFile) -> Iterator[str]:
    for name, member in _each(tar):
        if name == "conffiles" and member.isreg() and (opened := tar.extractfile(member)):
            rows = opened.read(CONFFILES).decode(errors="surrogateescape").split("\n")
            # A row may begin with a flag, `remove-on-upgrade`.
            yield from (shown(row.split(" ")[-1].strip("/")) for row in rows if row.strip())


def _wheel(file: BinaryIO) -> Shipped:
    files, left = {}, UNPACKED
    with zipfile.ZipFile(file) as archive:
        members = archive.infolist()
        if len(members) > MEMBERS:
            raise ValueError("too many members")
        for member in members:
            name, left = member.filename, left - member.file_size
            if left < 0 or len(name) > NAME or ".." in name.split("/"):
                raise ValueError("too large, or a name that leads elsewhere")
            if not member.is_dir() and not _REWRITTEN.match(name):
                with archive.open(member) as opened:
                    files[shown(name)] = _hash(opened)
    return Shipped(files)


_REWRITTEN = re.compile(r"[^/]+\.data/|[^/]+\.dist-info/RECORD$")


def _hash(opened: IO[bytes]) -> str:
    seen = sha256()
    while piece := opened.read(_PIECE):
        seen.update(piece)
    return seen.hexdigest()


class _Slice(io.RawIOBase):
    """One part of an archive."""

    def __init__(self, file: BinaryIO, part: _Part) -> None:
        self._file, self._at, self._end = file, part.start, part.start + part.size

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        self._file.seek(self._at)
        data = self._file.read(min(len(buffer), self._end - self._at))
        self._at += len(data)
        buffer[: len(data)] = data
        return len(data)


class _Counted(io.RawIOBase):
    """What a part unpacks to, up to `UNPACKED` bytes."""

    def __init__(self, source: io.RawIOBase | io.BufferedIOBase) -> None:
        self._source, self._left = source, UNPACKED

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._source.read(len(buffer)) or b""
        self._left -= len(data)
        if self._left < 0:
            raise ValueError(f"it unpacks to over {UNPACKED} bytes")
        buffer[: len(data)] = data
        return len(data)


class _Unpacked(io.RawIOBase):
    """What a decoder makes of a part."""

    def __init__(self, source: _Slice, decoder: _Decoder) -> None:
        self._source, self._decoder = source, decoder

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data, decoder = b"", self._decoder
        while not data and not decoder.eof:
            piece = (self._source.read(_PIECE) or b"") if decoder.needs_input else b""
            if decoder.needs_input and not piece:
                raise EOFError("it ends in the middle")
            data = decoder.decompress(piece, len(buffer))
        buffer[: len(data)] = data
        return len(data)


_PACKING: dict[str, Callable[[_Slice], io.RawIOBase | io.BufferedIOBase]] = {
    "": lambda part: part,
    ".gz": lambda part: gzip.GzipFile(fileobj=io.BufferedReader(part)),
    ".xz": lambda part: _Unpacked(part, lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)),
    ".zst": lambda part: _Unpacked(
        part, zstd.ZstdDecompressor(options={zstd.DecompressionParameter.window_log_max: WINDOW})
    ),
}
