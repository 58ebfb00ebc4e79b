"""The fleet's store: which packages are on which hosts, in which zones, and when each was heard of.

One SQLite file. Rules: an inventory replaces the host's earlier one as a whole, in one transaction,
unless it is older; a host that was not heard of for longer than the caller's limit is `unknown`,
and so is everything on it. The store can be rebuilt from the hosts at any time.

Left out: who may report for a host (a signed inventory is opened before `record`), history.
"""

import json
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from answerable.inventory.installed import Installed, Inventory
from answerable.kernel.errors import Unavailable

BUSY = 10.0
"""Longest wait for another writer, seconds."""
_TABLES = """
create table if not exists host (
    host text primary key, instance text not null, zones text not null, seen integer not null
) strict;
create table if not exists installed (
    host text not null references host (host) on delete cascade,
    ecosystem text not null, package text not null, version text not null, arch text not null,
    source text not null, state text not null, provides text not null,
    primary key (host, ecosystem, package)
) strict, without rowid;
create index if not exists by_package on installed (ecosystem, package);
"""


class NoFleet(Unavailable):
    """The store cannot be opened or written."""


@dataclass(frozen=True, slots=True)
class Host:
    """A host as the store knows it; `seen` in POSIX seconds."""

    host: str
    instance: str
    zones: frozenset[str]
    seen: int
    state: Literal["known", "unknown"]


class Fleet:
    """The store."""

    def __init__(self, file: Path) -> None:
        """Open or make the file.

        Raises:
            NoFleet: if it cannot be.
        """
        self.file = file
        with self._open() as store:
            store.execute("pragma journal_mode = wal")
            store.executescript(_TABLES)

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        try:
            store = sqlite3.connect(self.file, timeout=BUSY)
            try:
                store.execute("pragma foreign_keys = on")
                with store:
                    yield store
            finally:
                store.close()
        except sqlite3.Error as error:
            raise NoFleet(f"`{self.file}`: {error}; rebuild it from the hosts") from error

    def record(self, inventory: Inventory, seen: int) -> bool:
        """Take what a host has at POSIX second `seen`.

        Returns: whether it was news; an older inventory than the one that is known changes nothing.
        """
        zones = json.dumps(sorted(inventory.zones))
        rows = [
            (inventory.host, p.ecosystem, p.package, p.version, p.arch, p.source, p.state,
             json.dumps(p.provides))
            for p in inventory.packages
        ]  # fmt: skip
        with self._open() as store:
            news = store.execute(
                "insert into host values (?, ?, ?, ?) on conflict (host) do update set"
                " instance = excluded.instance, zones = excluded.zones, seen = excluded.seen"
                " where excluded.seen >= seen",
                (inventory.host, inventory.instance, zones, seen),
            ).rowcount
            if news:
                store.execute("delete from installed where host = ?", (inventory.host,))
                store.executemany("insert into installed values (?, ?, ?, ?, ?, ?, ?, ?)", rows)
        return bool(news)

    def forget(self, host: str) -> None:
        """Drop a host that left the fleet."""
        with self._open() as store:
            store.execute("delete from host where host = ?", (host,))

    def hosts(self, now: int, silence: int) -> list[Host]:
        """Give every host; one that was silent for more than `silence` seconds is `unknown`."""
        with self._open() as store:
            rows = store.execute("select host, instance, zones, seen from host order by host")
            return [
                Host(host, instance, frozenset(json.loads(zones)), seen,
                     "unknown" if now - seen > silence else "known")
                for host, instance, zones, seen in rows
            ]  # fmt: skip

    def inventory(self, host: Host) -> Inventory:
        """Give what is on a host."""
        with self._open() as store:
            rows = store.execute(
                "select ecosystem, package, version, arch, source, state, provides"
                " from installed where host = ? order by ecosystem, package",
                (host.host,),
            )
            packages = tuple(
                Installed(ecosystem, package, version, arch, source, state, tuple(json.loads(p)))
                for ecosystem, package, version, arch, source, state, p in rows
            )
        return Inventory(host.host, host.instance, host.zones, packages)

    def versions(self, ecosystem: str) -> Mapping[str, set[str]]:
        """Give every package of an ecosystem that is on any host, with its versions."""
        found: dict[str, set[str]] = {}
        with self._open() as store:
            for package, version in store.execute(
                "select distinct package, version from installed where ecosystem = ?", (ecosystem,)
            ):
                found.setdefault(package, set()).add(version)
        return found
