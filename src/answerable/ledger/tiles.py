"""Names and bytes of tiles and entry bundles, as c2sp.org/tlog-tiles says.

`tile/<level>/<index>[.p/<width>]` and `tile/entries/<index>[.p/<width>]`: level 0 to 63, index in
groups of three digits, all but the last after an `x` (1234067 is `x001/x234/067`), width 1 to 255
of the last tile of a level if it is not full. A tile is its hashes in a row; a bundle is its
entries, each after its length as u16 big-endian. No name has a second spelling.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from struct import pack

from answerable.kernel.errors import demand
from answerable.kernel.merkle import HASH
from answerable.ledger.frontier import RISE, WIDTH
from answerable.ledger.store import Store

ENTRIES = -1
"""The level of entry bundles."""
SIZE = 1 << 60
"""Trees are smaller than this, leaves."""
_NAME = re.compile(
    r"tile/(entries|[0-9]|[1-5][0-9]|6[0-3])/((?:x[0-9]{3}/){0,6}[0-9]{3})(?:\.p/([1-9][0-9]{0,2}))?"
)


@dataclass(frozen=True)
class TileName:
    """Which tile: level (`ENTRIES` for a bundle), index in the level, how many items of it."""

    level: int
    index: int
    width: int = WIDTH

    def path(self) -> str:
        """Spell the path below a log's prefix."""
        digits = str(self.index)
        digits = digits.rjust((len(digits) + 2) // 3 * 3, "0")
        groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
        place = "/".join([*("x" + group for group in groups[:-1]), groups[-1]])
        level = "entries" if self.level == ENTRIES else str(self.level)
        return f"tile/{level}/{place}" + (f".p/{self.width}" if self.width < WIDTH else "")


def parse_tile(path: str) -> TileName:
    """Read a path below a log's prefix.

    Raises:
        Refused: `malformed` for anything but the one spelling of a tile or bundle.
    """
    found = _NAME.fullmatch(path)
    level, place, width = found.groups() if found else ("0", "0", None)
    index = int(place.replace("x", "").replace("/", ""))
    name = TileName(ENTRIES if level == "entries" else int(level), index, int(width or WIDTH))
    demand(found and name.path() == path, "malformed", f"`{path[:80]}` is no tile")
    return name


def row(level: int, size: int) -> Iterator[TileName]:
    """Name the tiles of one level of a tree, in order; the last may be partial."""
    count = size >> RISE * max(level, 0)
    yield from (TileName(level, index) for index in range(count // WIDTH))
    if count % WIDTH:
        yield TileName(level, count // WIDTH, count % WIDTH)


def levels(size: int) -> range:
    """Give the levels of tiles that a tree of this size has."""
    return range((size.bit_length() + RISE - 1) // RISE)


def pack_bundle(entries: Sequence[bytes]) -> bytes:
    """Spell a bundle."""
    return b"".join([part for entry in entries for part in (pack(">H", len(entry)), entry)])


def read_bundle(data: bytes, width: int) -> list[bytes]:
    """Read a bundle of so many entries.

    Raises:
        Refused: `malformed` if there are fewer or more bytes than its lengths say.
    """
    entries, at = list[bytes](), 0
    while at + 2 <= len(data) and len(entries) < width:
        end = at + 2 + int.from_bytes(data[at : at + 2], "big")
        entries.append(data[at + 2 : end])
        at = end
    demand(at == len(data) and len(entries) == width, "malformed", f"not {width} entries")
    return entries


def read_tile(store: Store, path: str, size: int) -> bytes:
    """Give the bytes at a path of a log whose store holds `size` entries.

    Raises:
        Refused: `malformed` if there is no such tile, or not as wide.
        LedgerUnavailable: if the store cannot be read.
    """
    name = parse_tile(path)
    count = size >> RISE * max(name.level, 0)
    start, end = name.index * WIDTH, name.index * WIDTH + name.width
    demand(end <= count, "malformed", f"`{path[:80]}` is not in a tree of {size}")
    if name.level == ENTRIES:
        return pack_bundle(store.entries(start, end))
    return store.tile(name.level, name.index)[: name.width * HASH]
