"""The fleet's store, below: ids for hosts and packages, and bitmaps of who has what.

One SQLite file (WAL, each transaction on disk before it counts). Form:

    host(id, host, instance, zones, owner, seen, packages)   packages: bitmap of package ids
    package(id, ecosystem, package, version, arch, source, source_version, provides, hosts)
    moved(package, host, here)                               not yet in `hosts`: who came, who went
    place(ecosystem, level, package, key, id)                under what a package is looked up
    member(kind, name, hosts)                                kind: `zone` or `owner`
    state(host, package, state)                              of packages that are not whole
    gap(host, name, reason)                                  what is there and matches nothing

Rules: a package, as all its fields but its state tell it from others, has one id for ever; a host's
id is free again when it is forgotten. `hosts` is null when nobody had the package. What has no
order has no place, and is listed (`unordered`). The few moves of one host are written down as such,
which costs a page and not a bitmap each; many at once, or many of them together, go into the
bitmaps. Whoever reads sees both (`HOSTS`, `current`). Bitmaps are Roaring's own form; like the rest
of the file they are ours alone, and are rebuilt from the hosts when in doubt.

Left out: what the fleet promises (fleet.py); matching (exposure/index.py).
"""

import json
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from pyroaring import BitMap

from answerable.inventory.installed import Installed
from answerable.kernel.errors import Refused, Unavailable

BUSY = 10.0
"""Longest wait for another writer, seconds."""
WAL = 4_000
"""Pages in the write-ahead log before they go into the tables: some two hundred deltas."""
FEW, KEPT = 2_000, 20_000
"""Most moves of one transaction that are written down as such, and most that are kept so."""
LOOK = 64
"""How many changes apart somebody looks how many are kept."""
CACHED = 1 << 18
"""Most packages whose ids are remembered."""
Place = tuple[str, str, str, bytes]
"""Ecosystem, level (`source` or `binary`), name, sort key."""
Places = Callable[[Installed], Iterable[Place]]
"""Gives where a package is looked up; raises `Refused` for a version that has no order."""
_FIELDS = "ecosystem, package, version, arch, source, source_version, provides"
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
    package integer not null, host integer not null, here integer not null,
    primary key (package, host)
) strict, without rowid;
create table if not exists place (
    ecosystem text not null, level text not null, package text not null, key blob not null,
    id integer not null, primary key (ecosystem, level, package, key, id)
) strict, without rowid;
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
FORM = 3
"""Which form of the tables a file has."""
Row = tuple[Any, ...]


class Moves(NamedTuple):
    """Hosts that come and go, by what they come to and leave."""

    come: defaultdict[Any, list[int]]
    gone: defaultdict[Any, list[int]]

    def each(self) -> Iterator[tuple[Any, list[int], list[int]]]:
        """Give each, and forget it; no host has moved twice."""
        for what in {**self.come, **self.gone}:
            yield what, self.come.pop(what, []), self.gone.pop(what, [])

    def clear(self) -> None:
        """Forget all."""
        self.come.clear()
        self.gone.clear()


class NoFleet(Unavailable):
    """The store cannot be opened, read or written."""


def bitmap(data: bytes | None) -> BitMap:
    """Read a bitmap as the store keeps it; nothing is an empty one."""
    return BitMap.deserialize(data) if data else BitMap()


HOSTS = """hosts, (
    select group_concat(host * 2 + here) from moved where moved.package = package.id
)"""
"""The columns, of the table `package`, that `current` takes."""


def current(data: bytes | None, moves: str | None) -> BitMap:
    """Give who has a package now."""
    hosts = bitmap(data)
    for move in moves.split(",") if moves else ():
        host, here = divmod(int(move), 2)
        if here:
            hosts.add(host)
        else:
            hosts.discard(host)
    return hosts


def joined(rows: Iterable[Row]) -> BitMap:
    """Give the union of one column of bitmaps."""
    return BitMap.union(BitMap(), *(BitMap.deserialize(row[0]) for row in rows))


class Store:
    """The tables, for one thread; use it in a `with`, or close it."""

    def __init__(self, file: Path, places: Places) -> None:
        """Open or make the file.

        Raises:
            NoFleet: if it cannot be.
        """
        self.file, self._places = file, places
        self._ids: dict[Row, int] = {}
        self._changes = 0
        with self._said():
            self._sqlite = sqlite3.connect(file, timeout=BUSY, isolation_level=None)
            self._require_form()
            self._sqlite.execute("pragma journal_mode = wal")
            self._sqlite.execute("pragma synchronous = full")
            self._sqlite.execute(f"pragma wal_autocheckpoint = {WAL}")
            self._sqlite.executescript(f"{_TABLES}pragma user_version = {FORM}")

    def _require_form(self) -> None:
        ((form,),) = self.rows("pragma user_version")
        if form != FORM and (form or self.rows("select name from sqlite_master limit 1")):
            raise NoFleet(f"`{self.file}` is of another release; delete it, and rebuild it")

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
        with self._said():
            return self._sqlite.execute(query, tuple(values)).fetchall()

    @contextmanager
    def change(self) -> Iterator["Change"]:
        """Make one transaction: all of it stands at the end, or nothing.

        Raises:
            NoFleet: nothing has changed.
        """
        with self._said():
            self._sqlite.execute("begin immediate")
            try:
                change = Change(self)
                yield change
                change.settle()
                self._changes += 1
                kept = "select count(*) from moved"
                if self._changes % LOOK == 0 and self.rows(kept)[0][0] > KEPT:
                    change.fold()
                self._sqlite.execute("commit")
            except BaseException:
                self._ids.clear()
                self._sqlite.execute("rollback")
                raise

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
        add = self._sqlite.execute(
            f"insert into package ({_FIELDS}, unordered) values (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
            (*fields, why),
        )
        assert add.lastrowid, "sqlite numbers every row"
        rows = [(*place, add.lastrowid) for place in places]
        self._sqlite.executemany("insert or ignore into place values (?, ?, ?, ?, ?)", rows)
        return add.lastrowid


class Change:
    """What one transaction does to the bitmaps; each is read and written once, at its end."""

    def __init__(self, store: Store) -> None:
        """Begin with nothing."""
        self.store = store
        self._moved: set[int] = set()
        self._packages = Moves(defaultdict(list), defaultdict(list))
        self._members = Moves(defaultdict(list), defaultdict(list))

    def run(self, statement: str, values: Iterable[Any]) -> int:
        """Execute one statement; give the id of the row that it made."""
        return self.store._sqlite.execute(statement, tuple(values)).lastrowid or 0  # noqa: SLF001

    def moved(self, host: int, before: BitMap, after: BitMap) -> None:
        """Note that a host has other packages than before."""
        if host in self._moved:
            self.settle()
        self._moved.add(host)
        come, gone = self._packages
        for package in after - before if before else after:
            come[package].append(host)
        for package in before - after:
            gone[package].append(host)

    def joined(self, host: int, kind: str, before: Iterable[str], after: Iterable[str]) -> None:
        """Note that a host stands in other zones, or has another owner."""
        old, new = set(before), set(after)
        for name in new - old:
            self._members.come[kind, name].append(host)
        for name in old - new:
            self._members.gone[kind, name].append(host)

    def settle(self) -> None:
        """Write who came and who went."""
        moves = [
            (package, host, here)
            for here, by_package in enumerate((self._packages.gone, self._packages.come))
            for package, hosts in by_package.items() for host in hosts
        ]  # fmt: skip
        if len(moves) > FEW:
            self.fold()
            self._write(self._packages)
        else:
            self.store._sqlite.executemany("replace into moved values (?, ?, ?)", moves)  # noqa: SLF001
            self._packages.clear()
        for member, come, gone in self._members.each():
            found = self.store.rows("select hosts from member where kind = ? and name = ?", member)
            hosts = _changed(found[0][0] if found else None, come, gone)
            if hosts:
                self.run("replace into member values (?, ?, ?)", (*member, hosts))
            else:
                self.run("delete from member where kind = ? and name = ?", member)
        self._moved.clear()

    def fold(self) -> None:
        """Put what was written down before into the bitmaps."""
        moves = Moves(defaultdict(list), defaultdict(list))
        for package, host, here in self.store.rows("select package, host, here from moved"):
            (moves.come if here else moves.gone)[package].append(host)
        self._write(moves)
        self.run("delete from moved", ())

    def _write(self, moves: Moves) -> None:
        for package, come, gone in moves.each():
            found = self.store.rows("select hosts from package where id = ?", (package,))
            hosts = _changed(found[0][0], come, gone)
            self.run("update package set hosts = ? where id = ?", (hosts, package))


def _changed(data: bytes | None, come: list[int], gone: list[int]) -> bytes | None:
    hosts = bitmap(data)
    for host in gone:
        hosts.discard(host)
    hosts.update(come)
    if not hosts:
        return None
    hosts.run_optimize()
    return hosts.serialize()


def _fields(installed: Installed) -> Row:
    return (
        installed.ecosystem, installed.package, installed.version, installed.arch,
        installed.source, installed.source_version, installed.provides,
    )  # fmt: skip


def installed(row: Row, state: Mapping[int, Any]) -> Installed:
    """Give a package back; a row is its id and its fields."""
    number, ecosystem, package, version, arch, source, source_version, provides = row
    return Installed(
        ecosystem, package, version, arch, source, state.get(number, "installed"),
        tuple(json.loads(provides)), source_version,
    )  # fmt: skip
