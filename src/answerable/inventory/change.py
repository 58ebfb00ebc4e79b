"""One transaction on the fleet's store: who comes and who goes, and where that is written.

Rules:

1. What hosts come to and leave is gathered, and written at the end (`settle`): one row a host if it
   is little, else into the bitmaps.
2. A bitmap is read and written once in a transaction, however many hosts move: a fleet that is
   imported as a whole costs what its bitmaps cost.
3. No host moves twice in what is gathered; if one does, what was gathered is written first.
4. Whoever writes bitmaps of packages leaves one row of moves, whose number is new: so those who
   had read earlier ones see that they are gone.

Left out: what the tables are (store.py).
"""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import repeat
from typing import Generic, TypeVar

from pyroaring import BitMap

from answerable.inventory.blocks import enter, wear
from answerable.inventory.installed import Installed
from answerable.inventory.store import CACHED, Store, bitmap

FEW = 2_000
"""Most moves of one transaction that are written down as such."""
KEPT, LOOK = 1 << 18, 64
"""Most bytes of moves that are kept as such; how many rows apart somebody looks."""
GATHERED = 4_000_000
"""Most moves that are gathered as lists, 32 MB; then they become bitmaps."""
What = TypeVar("What")
_NONE = BitMap()


class Gathered(Generic[What]):
    """Hosts by what they come to, or leave."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.lists: defaultdict[What, list[int]] = defaultdict(list)
        self._bitmaps: dict[What, BitMap] = {}

    def shrink(self) -> None:
        """Make bitmaps of the lists."""
        for what, hosts in self.lists.items():
            if what in self._bitmaps:
                self._bitmaps[what].update(hosts)
            else:
                self._bitmaps[what] = BitMap(hosts)
        self.lists.clear()

    def take(self) -> Mapping[What, BitMap]:
        """Give everything, and forget it."""
        self.shrink()
        found, self._bitmaps = self._bitmaps, {}
        return found


class Change:
    """What one transaction does to the bitmaps."""

    def __init__(self, store: Store) -> None:
        """Begin with nothing."""
        self.store, self.run = store, store.run
        self._moved, self._count, self._lists = set[int](), 0, 0
        self._noted: list[tuple[int, BitMap, BitMap]] = []
        self._gone, self._come = Gathered[int](), Gathered[int]()
        self._left, self._entered = Gathered[tuple[str, str]](), Gathered[tuple[str, str]]()
        self._ids: dict[int, int] = {}
        self._held: list[Installed] = []
        self._odd = set[int]()

    def ids(self, packages: Sequence[Installed]) -> list[int]:
        """Give the ids of packages; those of objects that many hosts share, at once."""
        try:
            return [*map(self._ids.__getitem__, map(id, packages))]
        except KeyError:
            return [self._ids.get(id(package)) or self._look_up(package) for package in packages]

    def whole(self, packages: Sequence[Installed]) -> bool:
        """Tell whether all packages are, of which `ids` has just given the ids."""
        return not self._odd or self._odd.isdisjoint(map(id, packages))

    def _look_up(self, package: Installed) -> int:
        if len(self._held) >= CACHED:
            self._ids.clear()
            self._held.clear()
        if package.state != "installed":
            self._odd.add(id(package))
        self._held.append(package)  # so that nothing else gets its identity
        number = self._ids[id(package)] = self.store.id_of(package)
        return number

    def moved(self, host: int, before: BitMap, after: BitMap) -> None:
        """Note that a host has other packages than before."""
        if host in self._moved:
            self.settle()
        self._moved.add(host)
        gone, come = (before - after, after - before) if before else (before, after)
        self._count += len(gone) + len(come)
        self._noted.append((host, gone, come))
        if self._count > FEW:
            self._sort()

    def _sort(self) -> None:
        """Gather what was noted by package."""
        gone_from, come_to = self._gone.lists, self._come.lists
        for host, gone, come in self._noted:
            self._lists += len(gone) + len(come)
            for lists, packages in ((gone_from, gone), (come_to, come)):
                # No step of ours for each package: a fleet has forty million.
                deque(map(list.append, map(lists.__getitem__, packages), repeat(host)), 0)
        self._noted.clear()
        if self._lists > GATHERED:
            self._lists = 0
            self._gone.shrink()
            self._come.shrink()

    def joined(self, host: int, kind: str, before: Iterable[str], after: Iterable[str]) -> None:
        """Note that a host stands in other zones, or has another owner."""
        old, new = set(before), set(after)
        for name in new - old:
            self._entered.lists[kind, name].append(host)
        for name in old - new:
            self._left.lists[kind, name].append(host)

    def settle(self) -> None:
        """Write who came and who went."""
        enter(self.store, self.store.fresh)
        self.store.fresh.clear()
        if self._count > FEW:
            self._sort()
            self.fold(self._gone.take(), self._come.take())
        else:
            self._note()
        left, entered = self._left.take(), self._entered.take()
        for member in sorted(left.keys() | entered.keys()):
            found = self.store.rows("select hosts from member where kind = ? and name = ?", member)
            old = found[0][0] if found else None
            hosts = _changed(old, left.get(member, _NONE), entered.get(member, _NONE))
            if hosts:
                self.run("replace into member values (?, ?, ?)", (*member, hosts))
            else:
                self.run("delete from member where kind = ? and name = ?", member)
        self._moved.clear()
        self._count = self._lists = 0

    def _note(self) -> None:
        """Write moves down as such; too many of them go into the bitmaps."""
        full = False
        for host, gone, come in self._noted:
            if gone or come:
                row = host, gone.serialize(), come.serialize()
                number = self.run("insert into moved (host, gone, come) values (?, ?, ?)", row)
                full = full or number % LOOK == 0
        self._noted.clear()
        kept = "select coalesce(sum(length(gone) + length(come)), 0) from moved"
        if full and self.store.rows(kept)[0][0] > KEPT:
            self.fold({}, {})

    def fold(self, gone: Mapping[int, BitMap], come: Mapping[int, BitMap]) -> None:
        """Put what was written down before into the bitmaps, and then what is given."""
        moved = self.store.moved()
        left, entered = Gathered[int](), Gathered[int]()
        for package, hosts in moved.by_package.items():
            for host, here in hosts.items():
                (entered if here else left).lists[package].append(host)
        self._write(left.take(), entered.take())
        self._write(gone, come)
        wear(self.store, {*moved.by_package, *gone, *come}, many=bool(gone or come))
        self.run("delete from moved", ())
        empty = _NONE.serialize()
        self.run("insert into moved values (?, 0, ?, ?)", (moved.last + 1, empty, empty))

    def _write(self, gone: Mapping[int, BitMap], come: Mapping[int, BitMap]) -> None:
        for package in sorted(gone.keys() | come.keys()):
            ((old,),) = self.store.rows("select hosts from package where id = ?", (package,))
            hosts = _changed(old, gone.get(package, _NONE), come.get(package, _NONE))
            self.run("update package set hosts = ? where id = ?", (hosts, package))


@contextmanager
def change(store: Store) -> Iterator[Change]:
    """Make one transaction: all of it stands at the end, or nothing.

    Raises:
        NoFleet: nothing has changed.
    """
    with store.transaction():
        made = Change(store)
        yield made
        made.settle()


def _changed(data: bytes | None, gone: BitMap, come: BitMap) -> bytes | None:
    hosts = (bitmap(data) - gone) | come
    if not hosts:
        return None
    hosts.run_optimize()
    return hosts.serialize()
