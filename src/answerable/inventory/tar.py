"""Reading tar archives of strangers, member by member, from a stream.

Form: ustar (POSIX.1-1988), with pax headers `x` and `g` (POSIX.1-2001: `path`, `linkpath`, `size`)
and GNU's long names `L` and `K`. The standard library's `tarfile` reads headers of any size into
memory and calls itself for each of them; here every header has a limit. Rules:

1. An archive ends with a block of zeros; without it, it is cut short.
2. A name is taken apart into plain parts. One that climbs out (`..`) is refused, not repaired.
3. A header whose checksum does not hold ends the reading: nothing after it can be trusted.

Left out: writing, sparse files, what a member's owner, mode and times are.
"""

from collections.abc import Callable, Iterator
from typing import Literal, NamedTuple, Protocol

from answerable.inventory.installed import Unreadable

BLOCK = 512
HEADER = 1 << 20
"""Largest pax header or long name, bytes."""
LENGTH = 4_096
"""Longest name, bytes."""
CUT = "the archive is cut short"
_CHUNK = 1 << 20
_KINDS: dict[bytes, "Kind"] = {b"0": "file", b"\0": "file", b"7": "file", b"1": "hard",
                               b"2": "link", b"5": "folder"}  # fmt: skip

Kind = Literal["file", "hard", "link", "folder", "other"]


class Stream(Protocol):
    """What bytes come from."""

    def read(self, size: int, /) -> bytes:
        """Give at most so many bytes; nothing at the end."""

    def skip(self, size: int) -> None:
        """Pass over so many bytes; raises `Unreadable` if there are fewer."""


class Member(NamedTuple):
    """One member: its name without `./` or a leading `/`; `target` of links, as it is spelled.

    `read` gives its bytes, once, and raises `Unreadable` if they are more than its argument.
    """

    name: str
    kind: Kind
    size: int
    target: str
    read: Callable[[int], bytes]


class Tar:
    """The members of one archive, in order; `at` says how many bytes were read."""

    def __init__(self, stream: Stream) -> None:
        """Begin at a stream's present place."""
        self._stream, self.at = stream, 0

    def members(self) -> Iterator[Member]:
        """Give each member; what of it was not read is skipped.

        Raises:
            Unreadable: damaged, cut short, or with a name that climbs out.
        """
        told: dict[str, str] = {}
        always: dict[str, str] = {}
        while any(head := self._exact(BLOCK)):
            size, kind = _size(head), head[156:157]
            if kind in b"xg":
                (told if kind == b"x" else always).update(_pax(self._small(size)))
                continue
            if kind in b"LK":
                long = self._small(size).rstrip(b"\0").decode(errors="surrogateescape")
                told["path" if kind == b"L" else "linkpath"] = long
                continue
            yield from self._member(head, {**always, **told})
            told = {}

    def _member(self, head: bytes, told: dict[str, str]) -> Iterator[Member]:
        kind = _KINDS.get(head[156:157], "other")
        if head[156:157] == b"S" or any(name.startswith("GNU.sparse") for name in told):
            raise Unreadable("an archive with sparse files, which are not read")
        name = plain(told.get("path") or _name(head))
        size = _decimal(told["size"]) if "size" in told else _size(head)
        size = size if kind in ("file", "other") else 0
        begin = self.at

        def read(limit: int) -> bytes:
            if size > limit or self.at != begin:
                raise Unreadable(f"`{name[:200]}` in the archive has more than {limit} bytes")
            return self._exact(size)

        target = told.get("linkpath") or _text(head[157:257])
        yield Member(name, kind, size, target[:LENGTH], read)
        self._skip(begin + -(-size // BLOCK) * BLOCK - self.at)

    def _small(self, size: int) -> bytes:
        if size > HEADER:
            raise Unreadable(f"an archive with a header of more than {HEADER} bytes")
        data = self._exact(size)
        self._skip(-size % BLOCK)
        return data

    def _exact(self, size: int) -> bytes:
        parts, left = list[bytes](), size
        while left:
            part = self._stream.read(min(left, _CHUNK))
            if not part:
                raise Unreadable(CUT)
            parts.append(part)
            left -= len(part)
        self.at += size
        return b"".join(parts)

    def _skip(self, size: int) -> None:
        if size:
            self._stream.skip(size)
            self.at += size


def plain(name: str) -> str:
    """Give a name as plain parts; empty for the root.

    Raises:
        Unreadable: it climbs out, or is too long.
    """
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or "\0" in name:
        raise Unreadable(f"the archive has a name that climbs out of it: `{name[:200]!r}`")
    if len(name) > LENGTH:
        raise Unreadable(f"the archive has a name of more than {LENGTH} characters")
    return "/".join(parts)


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="surrogateescape")


def _name(head: bytes) -> str:
    ustar = head[257:262] == b"ustar" and head[257:265] != b"ustar  \0"
    prefix = _text(head[345:500]) if ustar else ""
    return f"{prefix}/{_text(head[:100])}" if prefix else _text(head[:100])


def _size(head: bytes) -> int:
    want = _octal(head[148:156])
    if sum(head) - sum(head[148:156]) + 8 * 32 != want:
        raise Unreadable("the archive is damaged: a header's checksum does not hold")
    field = head[124:136]
    return int.from_bytes(field[1:], "big") if field[0] == 0x80 else _octal(field)  # noqa: PLR2004  GNU's base 256


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if digits.strip(b"01234567"):
        raise Unreadable("the archive is damaged: a number of a header is none")
    return int(digits or b"0", 8)


def _decimal(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 18:  # noqa: PLR2004  below 2**63
        raise Unreadable("the archive is damaged: a size is no number")
    return int(text)


def _pax(data: bytes) -> dict[str, str]:
    said, at = dict[str, str](), 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        end = at + _decimal(data[at : max(at, space)].decode(errors="replace"))
        if not space < end <= len(data) or data[end - 1 : end] != b"\n":
            raise Unreadable("the archive is damaged: a pax header of no form")
        line = data[space + 1 : end - 1].decode(errors="surrogateescape")
        name, _, value = line.partition("=")
        if name in ("path", "linkpath", "size") or name.startswith("GNU.sparse"):
            said[name] = value
        at = end
    return said
