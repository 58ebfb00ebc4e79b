"""One header of RPM, as it stands in a .rpm and in rpm's database: tags, each with its values.

    entries, bytes                    two 32-bit numbers, big-endian
    tag, kind, offset, count          so many entries of 16 bytes
    the data that entries point into

Kinds: 3 and 4 are numbers of 16 and 32 bits, 6 is one text, 8 many, 9 one in several languages; a
text ends with a zero byte. Rules: only `Tag`s are looked at; one that stands there twice, is of
another kind, or points out of the data is `Damaged`. Paths have at most `PATH` bytes and lead
nowhere else.

Source: rpm's docs/manual/format_header.md and tags.md. Left out: signatures and digests of a
header; it is pinned by the hash of the package, or is the word of the host whose database it is in.
"""

from collections.abc import Iterator
from enum import IntEnum
from struct import Struct, iter_unpack, unpack_from

ENTRIES = 65_536
"""Most entries of one header."""
DATA = 64 << 20
"""Most data of one header, bytes."""
FILES = 200_000
"""Most files of one package."""
PATH = 4_096
"""Longest path, characters."""
DEEP = 256
"""Most folders that a path leads through."""
LISTED = 64 << 20
"""Most characters of all paths: one long folder may be named by very many files."""
_COUNTS, _ENTRY = Struct(">II"), 16
_TEXTS, _SHORT, _LONG = (6, 8, 9), 3, 4


class Tag(IntEnum):
    """The tags that are read, with rpm's own numbers."""

    NAME = 1000
    VERSION = 1001
    RELEASE = 1002
    EPOCH = 1003
    DESCRIPTION = 1005
    ARCH = 1022
    MODES = 1030
    DIGESTS = 1035
    LINKS = 1036
    FLAGS = 1037
    SOURCE = 1044
    VERIFIED = 1045
    FOLDER_OF = 1116
    NAMES = 1117
    FOLDERS = 1118
    CAPABILITIES = 5010
    HASHED_BY = 5011


_TAGS = frozenset(map(int, Tag))
_NUMBERS = (Tag.EPOCH, Tag.FLAGS, Tag.FOLDER_OF, Tag.HASHED_BY, Tag.VERIFIED)
_KINDS = {
    **dict.fromkeys(_TAGS, _TEXTS),
    **dict.fromkeys(map(int, _NUMBERS), (_LONG,)),
    int(Tag.MODES): (_SHORT,),
}


class Damaged(ValueError):
    """Not a header of this form."""


def length(counts: bytes) -> int:
    """Give how many bytes follow the two numbers that a header begins with.

    Raises:
        Damaged: if they are more than the limits, or cut short.
    """
    if len(counts) < _COUNTS.size:
        raise Damaged("a header is cut short")
    entries, size = _COUNTS.unpack_from(counts)
    if entries > ENTRIES or size > DATA:
        raise Damaged(f"a header of {entries} entries and {size} bytes")
    return int(entries * _ENTRY + size)


class Header:
    """The tags of one header.

    Args:
        blob: from its two numbers on, and nothing behind.

    Raises:
        Damaged: if it is none.
    """

    def __init__(self, blob: bytes) -> None:
        if length(blob) != len(blob) - _COUNTS.size:
            raise Damaged("a header of another length than it says")
        self._start = _COUNTS.size + _COUNTS.unpack_from(blob)[0] * _ENTRY
        self._blob, self._found = blob, dict[int, tuple[int, int]]()
        for tag, kind, offset, count in iter_unpack(">4I", blob[_COUNTS.size : self._start]):
            if tag not in _TAGS:
                continue
            sound = kind in _KINDS[tag] and tag not in self._found and 0 < count <= FILES
            if not sound or self._start + offset >= len(blob):
                raise Damaged(f"entry {tag} is of another form")
            self._found[tag] = (self._start + offset, count)

    def texts(self, tag: Tag) -> list[str]:
        """Give the texts of a tag; none if it is not there; raises `Damaged`."""
        at, count = self._found.get(tag, (0, 0))
        if not count:
            return []
        found = list[str]()
        for _ in range(count):
            end = self._blob.find(b"\0", at)
            if end < 0:
                raise Damaged(f"a text of entry {tag} has no end")
            found.append(self._blob[at:end].decode(errors="surrogateescape"))
            at = end + 1
        return found

    def text(self, tag: Tag) -> str:
        """Give the first text of a tag, for people; empty if it is not there; raises `Damaged`."""
        return self.raw(tag).decode(errors="replace")

    def raw(self, tag: Tag) -> bytes:
        """Give its first text as it is; raises `Damaged`."""
        return next(iter(self.texts(tag)), "").encode(errors="surrogateescape")

    def numbers(self, tag: Tag) -> list[int]:
        """Give the numbers of a tag; none if it is not there; raises `Damaged`."""
        at, count = self._found.get(tag, (0, 0))
        form = f">{count}{'H' if tag == Tag.MODES else 'I'}"
        if at + Struct(form).size > len(self._blob):
            raise Damaged(f"numbers of entry {tag} are cut short")
        return list(unpack_from(form, self._blob, at))

    @property
    def version(self) -> str:
        """`<epoch>:<version>-<release>`, an epoch of 0 left out."""
        epoch = self.numbers(Tag.EPOCH)[:1]
        begin = f"{epoch[0]}:" if any(epoch) else ""
        return f"{begin}{self.text(Tag.VERSION)}-{self.text(Tag.RELEASE)}"

    def paths(self, left: int = LISTED) -> Iterator[str]:
        """Give the paths of a package, without the `/` before; raises `Damaged`."""
        folders, of = self.texts(Tag.FOLDERS), self.numbers(Tag.FOLDER_OF)
        names = self.texts(Tag.NAMES)
        if len(names) != len(of) or any(number >= len(folders) for number in of):
            raise Damaged("names and folders do not fit")
        for number, name in zip(of, names, strict=True):
            size = len(folders[number]) + len(name)
            left -= size
            if size > PATH or left < 0:
                raise Damaged("a path that is too long, or too many of them")
            path = folders[number] + name
            if path[:1] != "/" or ".." in path.split("/") or path.count("/") > DEEP:
                raise Damaged(f"a path that leads elsewhere: `{path[:80]!r}`")
            yield path[1:]
