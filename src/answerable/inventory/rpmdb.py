"""The three files in which rpm has kept its database: each gives the packages' header blobs.

| file | since | form |
|---|---|---|
| `rpmdb.sqlite` | rpm 4.16: Fedora, RHEL 9 | SQLite, `Packages(hnum, blob)` |
| `Packages.db` | openSUSE, SLE 15 | ndb: slots of 16 bytes lead to blobs with head and tail |
| `Packages` | before: RHEL 8 and older | Berkeley DB hash; values lie on chains of overflow pages |

`Packages` and `rpmdb.sqlite` are verified on files of rpm 4.18 and db 5.3; `Packages.db` is written
after rpm's source (lib/backend/ndb/rpmpkg.c); no file of rpm's own was at hand, and one of our own
making is read alike by syft 1.18.

Rules: each file is copied aside and read; none is ever opened where it lies, locked or written. An
SQLite file may hold views, triggers and endless queries of its writer's: one plain table is read,
with nothing else allowed and a limit on steps. A chain that is broken or goes in circles, or a blob
without its end, makes the file unreadable: what is missing would be taken for not installed.

Left out: waiting for a transaction that is being written; it is read again later.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from struct import Struct, unpack_from
from struct import error as struct_error
from tempfile import TemporaryDirectory

from answerable.inventory.installed import Unreadable

BLOB = 64 << 20
"""Largest header of one package, bytes."""
STEPS = 20_000
"""Most thousands of SQLite's own steps that reading may take."""
_DAMAGED = "the rpm database is damaged, or being written: read it again later"


def sqlite_blobs(data: bytes, log: bytes) -> Iterator[bytes]:
    """Give the blobs of a `rpmdb.sqlite`; `log` is its `-wal` file, or empty.

    Raises:
        Unreadable: no database, or not of this form.
    """
    with TemporaryDirectory(prefix="answerable-rpm-") as folder:
        copy = Path(folder) / "rpmdb.sqlite"
        copy.write_bytes(data)
        if log:
            copy.with_name("rpmdb.sqlite-wal").write_bytes(log)
        how = "mode=rw" if log else "mode=ro&immutable=1"
        try:
            with closing(sqlite3.connect(f"{copy.as_uri()}?{how}", uri=True)) as store:
                yield from _table(store)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise Unreadable(f"{_DAMAGED}: {error}") from error


def _table(store: sqlite3.Connection) -> Iterator[bytes]:
    steps = iter(range(STEPS))
    store.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, BLOB)
    store.set_progress_handler(lambda: next(steps, None) is None, 1_000)
    store.execute("pragma trusted_schema = off")
    store.execute("pragma cell_size_check = on")
    kind = store.execute("select type from sqlite_master where name = 'Packages'").fetchone()
    if kind != ("table",):
        raise Unreadable("an SQLite file without rpm's table `Packages`")
    store.set_authorizer(_only_packages)
    for (blob,) in store.execute("select blob from Packages order by hnum"):
        if not isinstance(blob, bytes):
            raise Unreadable(_DAMAGED)
        yield blob


def _only_packages(action: int, table: str | None, *_: str | None) -> int:
    good = action == sqlite3.SQLITE_SELECT or (
        action == sqlite3.SQLITE_READ and table == "Packages"
    )
    return sqlite3.SQLITE_OK if good else sqlite3.SQLITE_DENY


_SLOT, _PAGE = 16, 4096
_NDB_HEAD, _NDB_SLOT = Struct("<4sIIII"), Struct("<4sIII")
_HEAD, _TAIL = Struct("<4sIII"), Struct("<II4s")


def ndb_blobs(data: bytes) -> Iterator[bytes]:
    """Give the blobs of a `Packages.db`.

    Raises:
        Unreadable: not of this form, or damaged.
    """
    if len(data) < _PAGE or len(data) % _SLOT:
        raise Unreadable(_DAMAGED)
    magic, version, _, pages, _ = _NDB_HEAD.unpack_from(data)
    if magic != b"RpmP" or version or not 0 < pages <= len(data) // _PAGE:
        raise Unreadable("no ndb file of version 0")
    for at in range(2 * _SLOT, pages * _PAGE, _SLOT):
        magic, index, start, count = _NDB_SLOT.unpack_from(data, at)
        if magic != b"Slot":
            raise Unreadable(_DAMAGED)
        if start:
            yield _ndb_blob(data, index, start * _SLOT, (start + count) * _SLOT)


def _ndb_blob(data: bytes, index: int, start: int, end: int) -> bytes:
    if end > len(data) or end - start < _HEAD.size + _TAIL.size:
        raise Unreadable(_DAMAGED)
    magic, number, _, length = _HEAD.unpack_from(data, start)
    _, again, tail = _TAIL.unpack_from(data, end - _TAIL.size)
    whole = start + _HEAD.size + length <= end - _TAIL.size
    if (magic, tail, number, again) != (b"BlbS", b"BlbE", index, length) or not whole:
        raise Unreadable(_DAMAGED)
    return data[start + _HEAD.size : start + _HEAD.size + length]


_BDB_META = 72
_MAGIC, _HASH_META = 0x061561, 8
_UNSORTED, _OVERFLOW, _HASH = 2, 7, 13
_KEYDATA, _OFFPAGE = 1, 3
_OVERHEAD = 26
_CHECKSUMS = 1
_SIZES = frozenset(1 << n for n in range(9, 17))


class _Bdb:
    """A Berkeley DB hash file (libdb src/dbinc/db_page.h): pages with an index at their start."""

    def __init__(self, data: bytes) -> None:
        if len(data) < _BDB_META:
            raise Unreadable(_DAMAGED)
        little = unpack_from("<I", data, 12)[0] == _MAGIC
        self.order = "<" if little else ">"
        magic, _, self.size, coded, kind, flags = unpack_from(f"{self.order}IIIBBB", data, 12)
        self.data, sound = data, magic == _MAGIC and kind == _HASH_META and not coded
        if not sound or self.size not in _SIZES or flags & _CHECKSUMS:
            raise Unreadable("no plain Berkeley DB hash file")
        if len(data) % self.size or self._int(32) >= len(data) // self.size:
            raise Unreadable(_DAMAGED)  # its last page is missing

    def _int(self, at: int) -> int:
        number: int = unpack_from(f"{self.order}I", self.data, at)[0]
        return number

    def page(self, number: int) -> tuple[bytes, int, int, int, int]:
        """Give a page, its successor, entries, high offset and type."""
        page = self.data[number * self.size : (number + 1) * self.size]
        if len(page) != self.size:
            raise Unreadable(_DAMAGED)
        after, entries, high, _, kind = unpack_from(f"{self.order}IHHBB", page, 16)
        return page, after, entries, high, kind

    def pairs(self) -> Iterator[tuple[bytes, bytes]]:
        """Give every key and value."""
        for number in range(1, len(self.data) // self.size):
            page, _, entries, _, kind = self.page(number)
            if kind not in (_HASH, _UNSORTED):
                continue
            if entries % 2 or _OVERHEAD + 2 * entries > self.size:
                raise Unreadable(_DAMAGED)
            at = [self.size, *unpack_from(f"{self.order}{entries}H", page, _OVERHEAD)]
            for key in range(1, entries, 2):
                yield self._item(page, at, key), self._item(page, at, key + 1)

    def _item(self, page: bytes, at: list[int], number: int) -> bytes:
        # Items fill a page from its end, so each ends where the one before it begins.
        start, end = at[number], at[number - 1]
        if not _OVERHEAD <= start < end <= self.size:
            raise Unreadable(_DAMAGED)
        if page[start] == _KEYDATA:
            return page[start + 1 : end]
        if page[start] != _OFFPAGE:
            raise Unreadable(_DAMAGED)
        first, length = unpack_from(f"{self.order}II", page, start + 4)
        if length > BLOB:
            raise Unreadable("a package's header is too large")
        return self._chain(first, length)

    def _chain(self, number: int, length: int) -> bytes:
        parts, had = list[bytes](), 0
        while number and had < length:
            page, number, _, high, kind = self.page(number)
            if kind != _OVERFLOW or not 0 < high <= self.size - _OVERHEAD:
                raise Unreadable(_DAMAGED)
            parts.append(page[_OVERHEAD : _OVERHEAD + high])
            had += high
        if had != length or number:
            raise Unreadable(_DAMAGED)
        return b"".join(parts)


def bdb_blobs(data: bytes) -> Iterator[bytes]:
    """Give the blobs of a Berkeley DB `Packages`; key 0 holds the next number, no package.

    Raises:
        Unreadable: not of this form, or damaged.
    """
    try:
        for key, value in _Bdb(data).pairs():
            if any(key):
                yield value
    except struct_error as error:
        raise Unreadable(_DAMAGED) from error
