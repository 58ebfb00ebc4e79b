"""One header of RPM: the tags of a package, in a .rpm and in rpm's own database.

    entries, bytes                    two 32-bit numbers, big-endian
    tag, type, offset, count          so many entries of 16 bytes
    the data that entries point into

Example: tag 1000 (name), type 6 (text), offset 2, count 1. Types: 3, 4 and 5 are numbers of 16, 32
and 64 bits; 6 is one text, 8 many and 9 one in several languages; a text ends with a zero byte.

Rules: an entry that points out of the data, has another type than its tag, or a tag that is wanted
and stands there twice, is damage. Only wanted tags are looked at. Source: rpm's
docs/manual/format_header.md. Left out: signatures (the whole file is pinned by its hash).
"""

from collections.abc import Collection, Mapping
from enum import IntEnum
from struct import Struct, iter_unpack

from answerable.host.driver import DriverFailed

ENTRIES = 65_536
"""Most entries of one header."""
DATA = 256 << 20
"""Most data of one header, bytes; rpm's own limit."""
ITEMS = 500_000
"""Most texts or numbers of one tag."""
_COUNTS, _ENTRY = Struct(">II"), Struct(">IIII")
_NUMBERS = {3: "H", 4: "I", 5: "Q"}
_TEXTS = (6, 8, 9)


class Tag(IntEnum):
    """The tags that are read, with rpm's own numbers."""

    SHA256_HEADER = 273
    NAME = 1000
    VERSION = 1001
    RELEASE = 1002
    EPOCH = 1003
    ARCH = 1022
    OLD_FILES = 1027
    MODES = 1030
    TIMES = 1034
    DIGESTS = 1035
    LINKS = 1036
    FLAGS = 1037
    USERS = 1039
    GROUPS = 1040
    SOURCE = 1044
    PROVIDES = 1047
    REQUIRES = 1049
    FOLDER_OF = 1116
    BASE_NAMES = 1117
    FOLDERS = 1118
    CAPABILITIES = 5010
    DIGEST_KIND = 5011


TAGS = frozenset(map(int, Tag))
"""All of them."""
_KINDS: Mapping[int, tuple[int, ...]] = {
    **dict.fromkeys(Tag, _TEXTS), Tag.EPOCH: (4,), Tag.MODES: (3,), Tag.TIMES: (4,),
    Tag.FLAGS: (4,), Tag.FOLDER_OF: (4,), Tag.DIGEST_KIND: (4,),
}  # fmt: skip


class Damaged(DriverFailed):
    """A header is not what it should be."""


def length(counts: bytes) -> int:
    """Give how many bytes follow the two numbers that a header begins with.

    Raises:
        Damaged: more than the limits.
    """
    if len(counts) < _COUNTS.size:
        raise Damaged("a header is cut short")
    entries, size = _COUNTS.unpack_from(counts)
    if entries > ENTRIES or size > DATA:
        raise Damaged(f"a header of {entries} entries and {size} bytes is too large")
    return int(entries * _ENTRY.size + size)


class Header:
    """The wanted tags of one header.

    Args:
        blob: the header from its two numbers on, and nothing behind.
        wanted: tags; the others may be anything.

    Raises:
        Damaged: it is none.
    """

    def __init__(self, blob: bytes, wanted: Collection[int] = TAGS) -> None:
        if length(blob) != len(blob) - _COUNTS.size:
            raise Damaged("a header is of another length than it says")
        start = _COUNTS.size + _COUNTS.unpack_from(blob)[0] * _ENTRY.size
        self._blob, self._found = blob, dict[int, tuple[int, int, int]]()
        for tag, kind, offset, count in iter_unpack(">IIII", blob[_COUNTS.size : start]):
            if tag in wanted:
                bad = kind not in _KINDS[tag] or tag in self._found or not 0 < count <= ITEMS
                if bad or start + offset >= len(blob):
                    raise Damaged(f"entry {tag} of a header is of another form")
                self._found[tag] = (kind, start + offset, count)

    def __contains__(self, tag: Tag) -> bool:
        """Tell whether a tag is there."""
        return tag in self._found

    def texts(self, tag: Tag) -> list[str]:
        """Give the texts of a tag; none if it is not there. Raises `Damaged`."""
        if tag not in self._found:
            return []
        _, at, count = self._found[tag]
        found = self._blob[at:].split(b"\0", count) if count > 1 else [self._one(at)]
        if len(found) < count:
            raise Damaged(f"texts of entry {tag} have no end")
        return [text.decode("utf-8", "surrogateescape") for text in found[:count]]

    def text(self, tag: Tag) -> str:
        """Give the first text of a tag; empty if it is not there. Raises `Damaged`."""
        return next(iter(self.texts(tag)), "")

    def numbers(self, tag: Tag) -> list[int]:
        """Give the numbers of a tag; none if it is not there. Raises `Damaged`."""
        if tag not in self._found:
            return []
        kind, at, count = self._found[tag]
        form = Struct(f">{count}{_NUMBERS[kind]}")
        if at + form.size > len(self._blob):
            raise Damaged(f"numbers of entry {tag} are cut short")
        return list(form.unpack_from(self._blob, at))

    def _one(self, at: int) -> bytes:
        end = self._blob.find(b"\0", at)
        if end < 0:
            raise Damaged("a text of a header has no end")
        return self._blob[at:end]


def paths(header: Header) -> list[str]:
    """Give the paths that a package names, in its order; raises `Damaged`."""
    if Tag.OLD_FILES in header:
        raise Damaged("a package of rpm 3, with whole paths; build it anew")
    folders, of = header.texts(Tag.FOLDERS), header.numbers(Tag.FOLDER_OF)
    names = header.texts(Tag.BASE_NAMES)
    if len(names) != len(of) or any(number >= len(folders) for number in of):
        raise Damaged("names and folders of a header do not fit")
    if sum(len(folders[number]) for number in of) > DATA:
        raise Damaged("one long folder of a header is named by very many files")
    return [folders[number] + name for number, name in zip(of, names, strict=True)]


def version(header: Header) -> str:
    """Give `<epoch>:<version>-<release>`, an epoch of 0 left out; raises `Damaged`."""
    epoch = header.numbers(Tag.EPOCH)[:1]
    begin = f"{epoch[0]}:" if any(epoch) else ""
    return f"{begin}{header.text(Tag.VERSION)}-{header.text(Tag.RELEASE)}"
