"""The fleet's store, below: ids for hosts and packages, and bitmaps of who has what.

One SQLite file (WAL, each transaction on disk before it counts). Form:

    host(id, host, instance, zones, owner, seen, packages)   packages: bitmap of package ids
    package(id, ecosystem, package, version, arch, source, source_version, provides, hosts)
    moved(n, host, gone, come)                               not yet in `hosts`: bitmaps of ids
    place(ecosystem, level, package, key, id)                under what a package is looked up
    block(ecosystem, level, package, low, kinds, hosts)      many versions at once (blocks.py)
    stale(kinds)                                             packages that blocks are wrong about
    member(kind, name, hosts)                                kind: `zone` or `owner`
    state(host, package, state)                              of packages that are not whole
    gap(host, name, reason)                                  what is there and matches nothing

Rules: a package, as all its fields but its state tell it from others, has one id for ever; a host's
id is free again when it is forgotten. `hosts` is null when nobody had the package. What has no
order has no place, and is listed (`unordered`). The few moves of one host are one row of `moved`,
which costs a page and not a bitmap each; many at once, or many of them together, go into the
bitmaps. Whoever reads sees both (`having`). The newest number in `moved` is used once only, so
whoever has read up to it knows whether something has happened since. Bitmaps are Roaring's own
form; like the rest of the file they are ours alone, and are rebuilt from the hosts when in doubt.

Left out: what a transaction does (change.py); what the fleet promises (fleet.py); matching
(exposure/index.py).
"""

import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from operator import attrgetter
from pathlib import Path
from typing import Any

from pyroaring import BitMap

from answerable.inventory.installed import Installed
from answerable.kernel.errors import Refused, Unavailable

BUSY = 10.0
"""Longest wait for another writer, seconds."""
WAL = 4_000
"""Pages in the write-ahead log before they go into the tables: some thousand deltas."""
PAGE, CACHE = 4096, 16_000
"""Bytes of a page; KiB of pages that a connection keeps."""
OFTEN = 16
"""Whoever writes so many transactions is expected to write many more."""
CACHED = 1 << 18
"""Most packages whose ids are remembered."""
Place = tuple[str, str, str, bytes]
"""Ecosystem, level (`source` or `binary`), name, sort key."""
Places = Callable[[Installed], Iterable[Place]]
"""Gives where a package is looked up; raises `Refused` for a version that has no order."""
_FIELDS = "ecosystem, package, version, arch, source, source_version, provides"
_fields = attrgetter(*_FIELDS.split(", "))
_SAME = " and ".join(f"{field} = ?" for field in _FIELDS.split(", "))
_TABLES = f"""
create table if not exists host (
    id integer primary key, host text not null unique, instance text not null, zones text not null,
    owner text not null, seen integer not null, packages blob not null
) strict;
create table if not exists package (
    id integer primary key, ecosystem text not null, package text not null, version text not null,
    arch text not null, source text not null, source_version text not null, provides text not null,
    unordered text not null, hosts blob, unique ({_FIELDS})
) strict;
create table if not exists moved (
    n integer primary key, host integer not null, gone blob not null, come blob not null
) strict;
create table if not exists place (
    ecosystem text not null, level text not null, package text not null, key blob not null,
    id integer not null, primary key (ecosystem, level, package, key, id)
) strict, without rowid;
create table if not exists block (
    ecosystem text not null, level text not null, package text not null, low blob not null,
    kinds blob not null, hosts blob not null, primary key (ecosystem, level, package, low)
) strict;
create table if not exists stale (kinds blob not null) strict;
create table if not exists member (
    kind text not null, name text not null, hosts blob not null, primary key (kind, name)
) strict, without rowid;
create table if not exists state (
    host integer not null, package integer not null, state text not null,
    primary key (host, package)
) strict, without rowid;
create table if not exists gap (
    host integer not null, name text not null, reason text not null, primary key (host, name)
) strict, without rowid;
"""
FORM = 4
"""Which form of the tables a file has."""
Row = tuple[Any, ...]
_READ = "select hosts, package.id, (select max(n) from moved)"


class NoFleet(Unavailable):
    """The store cannot be opened, read or written."""


def bitmap(data: bytes | None) -> BitMap:
    """Read a bitmap as the store keeps it; nothing is an empty one."""
    return BitMap.deserialize(data) if data else BitMap()


def joined(rows: Iterable[Row]) -> BitMap:
    """Give the union of one column of bitmaps."""
    return BitMap.union(BitMap(), *(BitMap.deserialize(row[0]) for row in rows))


class Moved:
    """What hosts came to and left since the bitmaps were written, as far as it was read.

    `by_package` holds for each package its hosts, each with whether it has the package now; `first`
    and `last` are numbers of rows, 0 if there were none; `touched` are those packages, and those
    that blocks are wrong about.
    """

    def __init__(self, first: int, stale: BitMap) -> None:
        """Begin with nothing."""
        self.first, self.last, self.touched = first, 0, stale
        self.by_package: dict[int, dict[int, bool]] = {}

    def add(self, number: int, host: int, gone: bytes, come: bytes) -> None:
        """Take the next row."""
        self.last = number
        for data, here in ((gone, False), (come, True)):
            for package in BitMap.deserialize(data):
                self.by_package.setdefault(package, {})[host] = here
                self.touched.add(package)

    def current(self, package: int, hosts: bytes | None) -> BitMap:
        """Give who has a package now, from its bitmap."""
        found = bitmap(hosts)
        for host, here in self.by_package.get(package, {}).items():
            if here:
                found.add(host)
            else:
                found.discard(host)
        return found


class Store:
    """The tables, for one thread; use it in a `with`, or close it."""

    def __init__(self, file: Path, places: Places) -> None:
        """Open or make the file.

        Raises:
            NoFleet: if it cannot be.
        """
        self.file, self._places = file, places
        self._ids: dict[Row, int] = {}
        self._moved, self._written = Moved(0, BitMap()), 0
        self.fresh: list[Row] = []
        with self._said():
            self._sqlite = sqlite3.connect(file, timeout=BUSY, isolation_level=None)
            made = self._has_form()
            self._sqlite.execute("pragma journal_mode = wal")
            self._sqlite.execute("pragma synchronous = full")
            self._sqlite.execute(f"pragma wal_autocheckpoint = {WAL}")
            self._sqlite.execute(f"pragma cache_size = -{CACHE}")
            if not made:
                script = f"begin immediate;{_TABLES}pragma user_version = {FORM};commit"
                self._sqlite.executescript(script)

    def _has_form(self) -> bool:
        ((form,),) = self.rows("pragma user_version")
        if form != FORM and (form or self.rows("select name from sqlite_master limit 1")):
            raise NoFleet(f"`{self.file}` is of another release; delete it, and rebuild it")
        return bool(form)

    @contextmanager
    def _said(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise NoFleet(f"`{self.file}`: {error}; rebuild it from the hosts") from error

    def close(self) -> None:
        """Let go of the file."""
        self._sqlite.close()

    def rows(self, query: str, values: Iterable[Any] = ()) -> list[Row]:
        """Give what a query finds; raises `NoFleet`."""
        try:  # not `_said`, which takes longer than most queries
            return self._sqlite.execute(query, tuple(values)).fetchall()
        except sqlite3.Error as error:
            raise NoFleet(f"`{self.file}`: {error}; rebuild it from the hosts") from error

    def run(self, statement: str, values: Iterable[Any]) -> int:
        """Execute a statement in a transaction; give the id of the row that it made."""
        return self._sqlite.execute(statement, tuple(values)).lastrowid or 0

    def many(self, statement: str, rows: Iterable[Row]) -> None:
        """Execute a statement in a transaction for each row."""
        self._sqlite.executemany(statement, rows)

    def each(self, query: str) -> Iterator[Row]:
        """Give what a query in a transaction finds, one after the other."""
        return self._sqlite.execute(query)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Write all that is run within, durably, or nothing; raises `NoFleet`."""
        with self._said():
            self._written += 1
            if self._written == OFTEN:
                self._grow()
            self._sqlite.execute("begin immediate")
            try:
                yield
                self._sqlite.execute("commit")
            except BaseException:
                self._ids.clear()
                self.fresh.clear()
                self._moved = Moved(-1, BitMap())
                self._sqlite.execute("rollback")
                raise

    def _grow(self) -> None:
        """Make the write-ahead log as long as it gets, so that a commit only overwrites it.

        A log that grows costs each commit twice the time, since the file system notes its length.
        What is rolled back was written behind the frames that count, which is the whole purpose;
        the next commit puts it on disk.
        """
        self._sqlite.execute("pragma cache_size = 0")  # so that all of it goes into the log
        self._sqlite.execute("begin immediate")
        self._sqlite.execute("insert into stale values (zeroblob(?))", (WAL * PAGE,))
        self._sqlite.execute("rollback")
        self._sqlite.execute(f"pragma cache_size = -{CACHE}")

    # --- who has what -----------------------------------------------------------------------------

    def having(
        self, tail: str, values: Iterable[Any] = (), columns: str = ""
    ) -> Iterator[tuple[int, BitMap, Row]]:
        """Give packages that anybody has: id, hosts, and more columns.

        Args:
            tail: of the query, from its `from` on, over the table `package`.
        """
        query, values = f"{_READ}{columns} {tail}", tuple(values)
        rows = self.rows(query, values)
        if rows and (rows[0][2] or 0) != self._moved.last:
            rows = self._again(query, values)
        moved, current = self._moved.by_package, self._moved.current
        for row in rows:
            data, number = row[0], row[1]
            if number in moved:
                if hosts := current(number, data):
                    yield number, hosts, row[3:]
            elif data:
                yield number, BitMap.deserialize(data), row[3:]

    def _again(self, query: str, values: Row) -> list[Row]:
        """Read what has moved, and the same query once more, as of one moment."""
        with self.still():
            self.moved()
            return self.rows(query, values)

    @contextmanager
    def still(self) -> Iterator[None]:
        """See one moment of the file while several queries are asked; raises `NoFleet`."""
        if self._sqlite.in_transaction:
            yield
            return
        with self._said():
            self._sqlite.execute("begin")
            try:
                yield
            finally:
                self._sqlite.execute("rollback")

    def moved(self) -> Moved:
        """Give what has moved, as this transaction sees it."""
        ((first, last),) = self.rows("select coalesce(min(n), 0), coalesce(max(n), 0) from moved")
        if first != self._moved.first:
            self._moved = Moved(first, joined(self.rows("select kinds from stale")))
        if last != self._moved.last:
            query = "select n, host, gone, come from moved where n > ? order by n"
            for row in self.rows(query, (self._moved.last,)):
                self._moved.add(*row)
        return self._moved

    # --- ids --------------------------------------------------------------------------------------

    def remember(self, number: int, installed: Installed) -> None:
        """Know a package's id, as it was read; whoever tells what moved has read what was there."""
        if len(self._ids) >= CACHED:
            self._ids.clear()
        self._ids[_fields(installed)] = number

    def id_of(self, installed: Installed) -> int:
        """Give a package's id, a new one if it has none; only within a transaction."""
        one = _fields(installed)
        known = self._ids.get(one)
        if known is None:
            fields = (*one[:-1], json.dumps(installed.provides))
            found = self.rows(f"select id from package where {_SAME}", fields)  # noqa: S608
            known = found[0][0] if found else self._new(fields, installed)
            self.remember(known, installed)
        return known

    def _new(self, fields: Row, installed: Installed) -> int:
        places, why = list[Place](), ""
        try:
            places = list(self._places(installed))
        except Refused as refusal:
            why = refusal.detail
        number = self.run(
            f"insert into package ({_FIELDS}, unordered) values (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (*fields, why),
        )
        self.fresh += [(*place, number) for place in places]
        return number


def installed(row: Row, state: Mapping[int, Any]) -> Installed:
    """Give a package back; a row is its id and its fields."""
    number, ecosystem, package, version, arch, source, source_version, provides = row
    return Installed(
        ecosystem, package, version, arch, source, state.get(number, "installed"),
        tuple(json.loads(provides)), source_version,
    )  # fmt: skip
