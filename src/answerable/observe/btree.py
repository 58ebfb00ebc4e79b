"""Rows of one table of an SQLite file, page by page, without SQLite.

    header    100 bytes: magic, page size at 16, bytes kept free on a page at 20, encoding at 56
    page      kind (5: leads to pages, 13: has rows), rows at 3, last page at 8, places of rows
    row       its length and number as varints, then columns; what does not fit lies on a chain
    log       `-wal`: pages that are newer than the file's, each transaction closed by its size

Whoever controls the file may not make us run anything: no view, trigger or query of theirs is ever
compiled, nothing is copied, locked or written. Rules:

1. Every page is entered once: circles and pages that two rows share are damage, so that reading
   costs no more than the file has pages, `PAGES` at most; rows of one page may not overlap.
2. Of a log counts what its checksums carry, up to the last transaction that is closed.
3. What is no file of this form is `Damaged`, never an empty table.

Source: sqlite.org/fileformat2.html. Left out: tables without row numbers, other encodings than
UTF-8, rollback journals (who opens the file looks for one).
"""

import os
from collections.abc import Iterator
from struct import Struct, iter_unpack, unpack_from
from typing import BinaryIO

PAGES = 1 << 20
"""Most pages that are read."""
LOG = 64 << 20
"""Largest log, bytes."""
ROW = 64 << 20
"""Largest row, bytes."""
COLUMNS = 16
"""Most columns of a row."""
_HEAD, _UTF8 = 100, 1
_INNER, _LEAF = 5, 13
_LOG_HEAD, _FRAME = Struct(">8I"), Struct(">6I")
_LOG_MAGIC, _BIG = 0x377F0682, 1
_MASK = 0xFFFFFFFF
_NUMBERS = (0, 1, 2, 3, 4, 6, 8)
"""How many bytes an integer of each kind has."""

Row = list[bytes | int | None]
"""Columns: bytes of a text or blob, an integer, or nothing."""


class Damaged(ValueError):
    """Not a file of this form."""


class Store:
    """An SQLite file with its log.

    Args:
        file: the file.
        log: its `-wal`, if there is one.

    Raises:
        Damaged: if it is none.
    """

    def __init__(self, file: BinaryIO, log: BinaryIO | None = None) -> None:
        head = os.pread(file.fileno(), _HEAD, 0)
        if len(head) < _HEAD or head[:16] != b"SQLite format 3\0":
            raise Damaged("no SQLite file")
        size = int.from_bytes(head[16:18])
        self._size = 65_536 if size == 1 else size
        self._usable = self._size - head[20]
        sound = self._size >= 512 and not self._size & (self._size - 1)  # noqa: PLR2004
        if not sound or self._usable < 480 or int.from_bytes(head[56:60]) != _UTF8:  # noqa: PLR2004
            raise Damaged("an SQLite file of another form")
        self._file, self._log, self._seen = file.fileno(), -1, set[int]()
        self._newer = dict[int, int]()
        if log is not None:
            self._log = log.fileno()
            self._newer = self._replay()

    def table(self, name: str) -> Iterator[Row]:
        """Give the rows of a table; once only, since pages are entered once.

        Raises:
            Damaged: if there is no such table, or its pages are broken.
        """
        roots = [
            row[3] for row in self._rows(1)
            if len(row) > 3 and row[0] == b"table" and row[1] == name.encode()  # noqa: PLR2004
        ]  # fmt: skip
        if len(roots) != 1 or not isinstance(roots[0], int):
            raise Damaged(f"no table `{name}`")
        yield from self._rows(roots[0])

    def _rows(self, root: int) -> Iterator[Row]:
        todo = [self._enter(root)]
        while todo:
            number = todo.pop()
            page, start = self._page(number), _HEAD if number == 1 else 0
            kind, count = page[start], int.from_bytes(page[start + 3 : start + 5])
            places = start + (12 if kind == _INNER else 8)
            if kind not in (_INNER, _LEAF) or places + 2 * count > self._usable:
                raise Damaged(f"page {number} belongs to no table")
            cells = unpack_from(f">{count}H", page, places)
            if kind == _INNER:
                below = [int.from_bytes(page[at : at + 4]) for at in cells]
                below.append(int.from_bytes(page[start + 8 : start + 12]))
                todo += reversed([self._enter(one) for one in below])
            else:
                yield from self._leaf(page, cells)

    def _leaf(self, page: bytes, cells: tuple[int, ...]) -> Iterator[Row]:
        left = self._usable
        for at in cells:
            length, after = _varint(page, at)
            _, after = _varint(page, after)
            end = after + self._here(length)
            left -= end - at
            if left < 0 or end > self._usable or length > ROW:
                raise Damaged("rows that overlap, or one that is too large")
            data, more = page[after:end], length - (end - after)
            yield _columns(data + self._chain(int.from_bytes(page[end : end + 4]), more))

    def _here(self, length: int) -> int:
        """Give how much of a row lies on its own page."""
        most, least = self._usable - 35, (self._usable - 12) * 32 // 255 - 23
        if length <= most:
            return length
        fits = least + (length - least) % (self._usable - 4)
        return fits if fits <= most else least

    def _chain(self, number: int, length: int) -> bytes:
        parts = list[bytes]()
        while length > 0:
            page = self._page(self._enter(number))
            number = int.from_bytes(page[:4])
            parts.append(page[4 : min(self._usable, 4 + length)])
            length -= len(parts[-1])
        return b"".join(parts)

    def _enter(self, number: int) -> int:
        if number < 1 or number in self._seen or len(self._seen) >= PAGES:
            raise Damaged(f"page {number} is none, or is reached twice")
        self._seen.add(number)
        return number

    def _page(self, number: int) -> bytes:
        if number in self._newer:
            page = os.pread(self._log, self._size, self._newer[number])
        else:
            page = os.pread(self._file, self._size, (number - 1) * self._size)
        if len(page) < self._size:
            raise Damaged(f"page {number} is not there")
        return page

    def _replay(self) -> dict[int, int]:
        """Give where in the log each newer page lies."""
        head = os.pread(self._log, _LOG_HEAD.size, 0)
        if len(head) < _LOG_HEAD.size:
            return {}
        magic, _, size, _, *salts, one, two = _LOG_HEAD.unpack(head)
        order = ">" if magic & _BIG else "<"
        sums = _sums(order, head[:24], (0, 0))
        if magic & ~_BIG != _LOG_MAGIC or size != self._size or sums != (one, two):
            return {}
        closed, since, at = dict[int, int](), dict[int, int](), _LOG_HEAD.size
        while at < LOG:
            data = os.pread(self._log, _FRAME.size + size, at)
            if len(data) < _FRAME.size + size:
                break
            number, ends, *told, one, two = _FRAME.unpack_from(data)
            sums = _sums(order, data[_FRAME.size :], _sums(order, data[:8], sums))
            if told != salts or sums != (one, two):
                break
            since[number] = at + _FRAME.size
            if ends:
                closed.update(since)
                since.clear()
            at += len(data)
        else:
            raise Damaged(f"a log of more than {LOG} bytes")
        return closed


def _sums(order: str, data: bytes, sums: tuple[int, int]) -> tuple[int, int]:
    one, two = sums
    for first, second in iter_unpack(f"{order}II", data):
        one = (one + first + two) & _MASK
        two = (two + second + one) & _MASK
    return one, two


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Give a number of one to nine bytes, and where it ends."""
    number = 0
    for step in range(9):
        if at + step >= len(data):
            raise Damaged("a number is cut short")
        byte = data[at + step]
        if step == 8:  # noqa: PLR2004  the ninth byte counts whole
            return number << 8 | byte, at + 9
        number = number << 7 | byte & 0x7F
        if byte < 0x80:  # noqa: PLR2004
            return number, at + step + 1
    raise AssertionError("nine bytes at most")


def _columns(data: bytes) -> Row:
    size, at = _varint(data, 0)
    body, row = size, Row()
    while at < size:
        kind, at = _varint(data, at)
        if kind in (10, 11) or len(row) >= COLUMNS:
            raise Damaged("a row of another form")
        length = (kind - 12) // 2 if kind >= 12 else 8 if kind == 7 else 0  # noqa: PLR2004
        length = _NUMBERS[kind] if kind < 7 else length  # noqa: PLR2004
        part = data[body : body + length]
        if len(part) < length:
            raise Damaged("a row is cut short")
        row.append(_value(kind, part))
        body += length
    return row


def _value(kind: int, part: bytes) -> bytes | int | None:
    if kind >= 12 or kind == 7:  # noqa: PLR2004  text or blob; a fraction, which nobody asks for
        return part
    if kind in (8, 9):
        return kind - 8
    return int.from_bytes(part, signed=True) if kind else None
