"""The fleet: which packages are on which hosts, in which zones, whose, and when each was heard of.

Rules:

1. An inventory replaces the host's earlier one as a whole, in one transaction, unless it is older.
2. A host that was not heard of for longer than the caller's limit is `unknown`, and so is all that
   is on it: sets of hosts are cut by `known` before anybody is told that they are fine.
3. A host without a label stands in every zone (`installed.EVERYWHERE`).
4. What has no order or matches nothing is listed (`gaps`), never dropped.

The store (store.py) can be rebuilt from the hosts at any time. Sets of hosts are bitmaps of ids
that hold until a host is forgotten; `names` spells them.

Left out: who may report for a host (a signed inventory is opened before `record`), history.
"""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from pyroaring import BitMap

from answerable.inventory import blocks
from answerable.inventory.change import Change, change
from answerable.inventory.installed import EVERYWHERE, Gap, Installed, Inventory, State
from answerable.inventory.store import NoFleet, Places, Row, Store, bitmap, installed, joined

__all__ = ["Fleet", "Host", "NoFleet"]
_PACKAGE = "id, ecosystem, package, version, arch, source, source_version, provides"
_HOST = "id, host, instance, zones, owner, seen"
MANY = 500
"""Ids in one query; SQLite takes 32,766 at most."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host as the store knows it.

    Args:
        seen: when it was heard of, POSIX seconds.
        owner: whom its findings go to; empty if nobody said.
        id: its number in sets of hosts.
    """

    host: str
    instance: str
    zones: frozenset[str]
    seen: int
    state: Literal["known", "unknown"]
    owner: str = ""
    id: int = 0


class Fleet:
    """The fleet, for one thread; use it in a `with`, or close it."""

    def __init__(self, file: Path, places: Places) -> None:
        """Open or make the file.

        Args:
            places: where a package is looked up (`exposure.keys.places`).

        Raises:
            NoFleet: if it cannot be; so does every method.
        """
        self.file = file
        self._store = Store(file, places)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.close()

    def close(self) -> None:
        """Let go of the file."""
        self._store.close()

    # --- what came in -----------------------------------------------------------------------------

    def record(self, inventory: Inventory, seen: int, gaps: Iterable[Gap] = ()) -> bool:
        """Take what a host has at POSIX second `seen`.

        Args:
            gaps: what is there and matches nothing.

        Returns: whether it was news; an older inventory than the one that is known changes nothing.
        """
        with change(self._store) as made:
            return self._put(made, inventory, seen, gaps)

    def record_all(self, inventories: Iterable[tuple[Inventory, int]]) -> int:
        """Take what many hosts have, each at its POSIX second, in one transaction.

        Returns: how many were news.
        """
        with change(self._store) as made:
            return sum(self._put(made, each, seen, ()) for each, seen in inventories)

    def _put(self, change: Change, inventory: Inventory, seen: int, gaps: Iterable[Gap]) -> bool:
        ids = change.ids(inventory.packages)
        before = self._host(inventory.host)
        if before and before[0].seen > seen:
            return False
        host = self._write(change, inventory, seen, before, BitMap(ids))
        if before:
            for table in ("state", "gap"):
                change.run(f"delete from {table} where host = ?", (host,))  # noqa: S608  our names
        if not change.whole(inventory.packages):
            for number, package in zip(ids, inventory.packages, strict=True):
                if package.state != "installed":
                    change.run("replace into state values (?, ?, ?)", (host, number, package.state))
        for gap in gaps:
            change.run("replace into gap values (?, ?, ?)", (host, gap.name, gap.reason))
        return True

    def _write(
        self, change: Change, inventory: Inventory, seen: int,
        before: tuple[Host, BitMap] | None, ids: BitMap,
    ) -> int:  # fmt: skip
        zones = inventory.zones or EVERYWHERE
        row = (
            inventory.instance,
            json.dumps(sorted(zones)),
            inventory.owner,
            seen,
            ids.serialize(),
        )
        old_zones, old_owner, old_ids = frozenset[str](), "", BitMap()
        if before:
            host, old_ids = before[0].id, before[1]
            old_zones, old_owner = before[0].zones, before[0].owner
            change.run(
                "update host set instance = ?, zones = ?, owner = ?, seen = ?, packages = ?"
                " where id = ?", (*row, host),
            )  # fmt: skip
        else:
            host = change.run(
                "insert into host (instance, zones, owner, seen, packages, host)"
                " values (?, ?, ?, ?, ?, ?)", (*row, inventory.host),
            )  # fmt: skip
        change.moved(host, old_ids, ids)
        change.joined(host, "zone", old_zones, zones)
        change.joined(host, "owner", _some(old_owner), _some(inventory.owner))
        return host

    def moved(
        self, host: str, seen: int, gone: Iterable[Installed], come: Iterable[Installed]
    ) -> bool:
        """Take what changed on one host since its last inventory, in one transaction.

        Returns: whether it was news; nothing changes if the host is not known, if the store has
            heard of it later than `seen`, or if it does not have what is said to be gone: then its
            whole inventory is wanted.
        """
        with change(self._store) as made:
            before = self._host(host)
            less = {self._store.id_of(p) for p in gone}
            more = {self._store.id_of(p): p for p in come}
            if not before or before[0].seen > seen or not BitMap(less) <= before[1]:
                return False
            was, ids = before
            after = (ids - BitMap(less)) | BitMap(more)
            made.run(
                "update host set seen = ?, packages = ? where id = ?",
                (seen, after.serialize(), was.id),
            )
            made.moved(was.id, ids, after)
            self._restate(made, was.id, less, more)
            return True

    def _restate(
        self, change: Change, host: int, less: Iterable[int], more: Mapping[int, Installed]
    ) -> None:
        if self._store.rows("select 1 from state where host = ? limit 1", (host,)):
            for number in less:
                change.run("delete from state where host = ? and package = ?", (host, number))
        for number, package in more.items():
            if package.state != "installed":
                change.run("replace into state values (?, ?, ?)", (host, number, package.state))

    def forget(self, host: str) -> None:
        """Drop a host that left the fleet."""
        with change(self._store) as made:
            before = self._host(host)
            if not before:
                return
            was, ids = before
            made.moved(was.id, ids, BitMap())
            made.joined(was.id, "zone", was.zones, ())
            made.joined(was.id, "owner", _some(was.owner), ())
            for table, column in (("state", "host"), ("gap", "host"), ("host", "id")):
                made.run(f"delete from {table} where {column} = ?", (was.id,))  # noqa: S608

    def _host(self, name: str) -> tuple[Host, BitMap] | None:
        rows = self._store.rows(f"select {_HOST}, packages from host where host = ?", (name,))  # noqa: S608
        return next(((_host(row[:-1]), bitmap(row[-1])) for row in rows), None)

    # --- hosts ------------------------------------------------------------------------------------

    def hosts(self, now: int, silence: int) -> list[Host]:
        """Give every host; one that was silent for more than `silence` seconds is `unknown`."""
        rows = self._store.rows(f"select {_HOST} from host order by host")  # noqa: S608
        return [_host(row, "unknown" if now - row[5] > silence else "known") for row in rows]

    def known(self, now: int, silence: int) -> BitMap:
        """Give the hosts that were heard of in the last `silence` seconds."""
        rows = self._store.rows("select id from host where ? - seen <= ?", (now, silence))
        return BitMap([row[0] for row in rows])

    def zone(self, name: str) -> BitMap:
        """Give the hosts of a zone, and those that count as being in every zone."""
        names = (name, *EVERYWHERE)
        query = "select hosts from member where kind = 'zone' and name in (?, ?)"
        return joined(self._store.rows(query, names))

    def owner(self, name: str) -> BitMap:
        """Give the hosts whose findings go to somebody."""
        query = "select hosts from member where kind = 'owner' and name = ?"
        return joined(self._store.rows(query, (name,)))

    def members(self, kind: Literal["zone", "owner"]) -> dict[str, BitMap]:
        """Give every zone, or every owner, with its hosts; `*` stands for every zone."""
        rows = self._store.rows(
            "select name, hosts from member where kind = ? order by name", (kind,)
        )
        return {name: bitmap(hosts) for name, hosts in rows}

    def names(self, hosts: BitMap) -> list[str]:
        """Spell a set of hosts, sorted."""
        query = "select host from host where id in"
        return sorted(
            row[0] for m, ids in _parts(hosts) for row in self._store.rows(query + m, ids)
        )

    # --- packages ---------------------------------------------------------------------------------

    def inventory(self, host: Host) -> Inventory:
        """Give what is on a host."""
        return self.inventories([host])[0]

    def inventories(self, hosts: Sequence[Host]) -> list[Inventory]:
        """Give what is on some hosts; each package that they share is read once."""
        ids = {host.id: self.ids(host.host) for host in hosts}
        known: dict[int, Installed] = {}
        for marks, part in _parts(BitMap.union(BitMap(), *ids.values())):
            query = f"select {_PACKAGE} from package where id in {marks}"  # noqa: S608
            for row in self._store.rows(query, part):
                known[row[0]] = installed(row, {})
                self._store.remember(row[0], known[row[0]])
        ordered = sorted(known, key=lambda number: (_by_name(known[number]), number))
        places, states = {number: at for at, number in enumerate(ordered)}, self.states(ids)
        found = []
        for host in hosts:
            numbers = sorted(ids[host.id], key=places.__getitem__)
            packages = tuple(_as_it_is(known[n], states.get((host.id, n))) for n in numbers)
            found.append(Inventory(host.host, host.instance, host.zones, packages, host.owner))
        return found

    def states(self, hosts: Iterable[int]) -> dict[tuple[int, int], State]:
        """Give the state of each package that is not whole on some hosts, by ids of both."""
        found: dict[tuple[int, int], State] = {}
        for marks, part in _parts(BitMap(hosts)):
            query = f"select host, package, state from state where host in {marks}"  # noqa: S608
            found |= {(host, n): state for host, n, state in self._store.rows(query, part)}
        return found

    def packages(self, ids: BitMap | None = None) -> Iterator[tuple[int, Installed, BitMap]]:
        """Give packages that anybody has, with their ids and who has them; all, or those named."""
        parts = [("", [])] if ids is None else [(f"where id in {m}", n) for m, n in _parts(ids)]
        for where, values in parts:
            columns = f", {_PACKAGE}"
            for number, hosts, row in self._store.having(f"from package {where}", values, columns):
                yield number, installed(row, {}), hosts

    def within(
        self, ecosystem: str, level: str, package: str, low: bytes, high: bytes
    ) -> list[tuple[int, BitMap]]:
        """Give the packages found at a place with low <= key < high, and who has each."""
        return blocks.within(self._store, (ecosystem, level, package), low, high)

    def reached(self, ecosystem: str, level: str, package: str, low: bytes, high: bytes) -> BitMap:
        """Give who has any package found at a place with low <= key < high."""
        return blocks.reached(self._store, (ecosystem, level, package), low, high)

    def ids(self, host: str) -> BitMap:
        """Give the packages of a host; none if it is not known."""
        found = self._host(host)
        return found[1] if found else BitMap()

    def versions(self, ecosystem: str) -> Mapping[str, set[str]]:
        """Give every package of an ecosystem that is on any host, with its versions."""
        found: dict[str, set[str]] = {}
        tail = "from package where ecosystem = ?"
        for _, _, row in self._store.having(tail, (ecosystem,), ", package, version"):
            found.setdefault(row[0], set()).add(row[1])
        return found

    def ecosystems(self) -> dict[str, BitMap]:
        """Give every ecosystem with the hosts that have any package of it."""
        found: dict[str, BitMap] = {}
        for _, having, (ecosystem,) in self._store.having("from package", (), ", ecosystem"):
            found.setdefault(ecosystem, BitMap()).update(having)
        return dict(sorted(found.items()))

    def gaps(self) -> list[tuple[Gap, BitMap]]:
        """Give what matches nothing, with the hosts that have it: nobody knows it to be fine."""
        found: dict[tuple[str, str], BitMap] = {}
        for host, name, reason in self._store.rows("select host, name, reason from gap"):
            found.setdefault((name, reason), BitMap()).add(host)
        tail = "from package where unordered <> ''"
        for _, having, what in self._store.having(tail, (), ", package, unordered"):
            found.setdefault(what, BitMap()).update(having)
        return [(Gap(*what), hosts) for what, hosts in sorted(found.items(), key=lambda f: f[0])]


def _parts(ids: BitMap) -> Iterator[tuple[str, list[int]]]:
    """Give ids in parts that one query takes, each with its marks."""
    numbers = list(ids)
    for start in range(0, len(numbers), MANY):
        part = numbers[start : start + MANY]
        yield f"({', '.join('?' * len(part))})", part


def _host(row: Row, state: Literal["known", "unknown"] = "known") -> Host:
    number, host, instance, zones, owner, seen = row
    return Host(host, instance, _zones(zones), seen, state, owner, number)


@lru_cache(maxsize=4096)
def _zones(text: str) -> frozenset[str]:
    return frozenset(json.loads(text))


def _as_it_is(package: Installed, state: State | None) -> Installed:
    return replace(package, state=state) if state else package


def _some(owner: str) -> tuple[str, ...]:
    return (owner,) if owner else ()


def _by_name(package: Installed) -> tuple[str, str, str, str]:
    return package.ecosystem, package.package, package.version, package.arch
