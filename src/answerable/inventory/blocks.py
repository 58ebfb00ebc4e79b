"""Who has any version of a package between two keys, without looking at each version.

A name under which many versions are known (a kernel has hundreds) has its versions in blocks, in
the order of their keys, about as many blocks as a block has versions:

    block(ecosystem, level, package, low, kinds, hosts)

A block holds what lies from its `low` up to the next one's, so that every version, also one that
comes later, lies in one block: `kinds` are ids of packages, `hosts` all that had any of them when
the blocks were built.

Rules:

1. A block is believed if nothing in it has moved and nothing in it is `stale`; else each of its
   packages is asked. So blocks make an answer quicker and never another one; a test holds them to
   it.
2. Whoever writes bitmaps of packages says which (`stale`); blocks are built anew by whoever writes
   many.
3. A version that comes later goes into its block, which stands: nobody had it when it was built.

Left out: which packages a host has of those (`Fleet.within`).
"""

from collections.abc import Iterable, Iterator
from itertools import groupby
from math import isqrt

from pyroaring import BitMap

from answerable.inventory.store import Row, Store, bitmap, joined

MANY = 16
"""Fewest versions of a name that are put into blocks."""
WORN = 8
"""Blocks are built anew when more than one of so many packages is stale."""
_NAME = "ecosystem = ? and level = ? and package = ?"
_FROM = f"(select max(low) from block where {_NAME} and low <= ?)"  # noqa: S608
_BLOCKS = f"""
select low, kinds, hosts from block where {_NAME} and low < ? and low >= {_FROM} order by low
"""  # noqa: S608
_WITHIN = """from place join package on package.id = place.id
where place.ecosystem = ? and level = ? and place.package = ? and key >= ? and key < ?"""
_ALL = """
select place.ecosystem, level, place.package, key, place.id, hosts
from place join package on package.id = place.id order by 1, 2, 3, 4, 5
"""
Name = tuple[str, str, str]
"""Ecosystem, level, package."""


def within(store: Store, name: Name, low: bytes, high: bytes) -> list[tuple[int, BitMap]]:
    """Give each package found at a name with low <= key < high, and who has it."""
    return [(n, hosts) for n, hosts, _ in store.having(_WITHIN, (*name, low, high))]


def reached(store: Store, name: Name, low: bytes, high: bytes) -> BitMap:
    """Give who has any package found at a name with low <= key < high."""
    if not store.rows(_BLOCKS, (*name, high, *name, low)):
        return BitMap.union(BitMap(), *(hosts for _, hosts in within(store, name, low, high)))
    with store.still():
        blocks = store.rows(_BLOCKS, (*name, high, *name, low))
        touched, whole, parts = store.moved().touched, list[bytes](), list[BitMap]()
        ends = [*(block[0] for block in blocks[1:]), None]
        for (start, kinds, hosts), end in zip(blocks, ends, strict=True):
            if start < low or end is None:
                some = store.having(_WITHIN, (*name, max(start, low), min(end or high, high)))
                parts += (having for _, having, _ in some)
            elif touched.intersect(known := BitMap.deserialize(kinds)):
                parts += _each(store, known)
            else:
                whole.append(hosts)
        return BitMap.union(BitMap(), *map(BitMap.deserialize, whole), *parts)


def _each(store: Store, kinds: BitMap) -> Iterator[BitMap]:
    ids = list(kinds)
    marks = ", ".join("?" * len(ids))
    for _, hosts, _ in store.having(f"from package where id in ({marks})", ids):
        yield hosts


def enter(store: Store, new: list[Row]) -> None:
    """Put packages that are new at their places, each a place and an id, and into the blocks."""
    new.sort()  # as the table is: many at once are written one page after the other
    store.many("insert or ignore into place values (?, ?, ?, ?, ?)", new)
    if store.rows("select 1 from block limit 1"):
        for row in new:
            _enter(store, row)


def _enter(store: Store, row: Row) -> None:
    name, key, number = row[:3], row[3], row[4]
    found = store.rows(
        f"select low, kinds from block where {_NAME} and low <= ? order by low desc limit 1",  # noqa: S608
        (*name, key),
    )
    for low, data in found:
        kinds = bitmap(data)
        kinds.add(number)
        query = f"update block set kinds = ? where {_NAME} and low = ?"  # noqa: S608
        store.run(query, (kinds.serialize(), *name, low))


def wear(store: Store, kinds: Iterable[int], *, many: bool) -> None:
    """Say of which packages the bitmaps were written; builds blocks anew if it is time.

    Args:
        many: whether the caller has written many, and so has the time.
    """
    stale = joined(store.rows("select kinds from stale"))
    stale.update(kinds)
    ((count,),) = store.rows("select count(*) from package")
    if many and len(stale) * WORN > count:
        _build(store)
        stale.clear()
    store.run("delete from stale", ())
    store.run("insert into stale values (?)", (stale.serialize(),))


def _build(store: Store) -> None:
    store.run("delete from block", ())
    places = groupby(store.each(_ALL), key=lambda row: row[:3])
    store.many("insert into block values (?, ?, ?, ?, ?, ?)", _blocks(places))


def _blocks(places: Iterable[tuple[Row, Iterator[Row]]]) -> Iterator[Row]:
    for name, rows in places:
        known = [row[3:] for row in rows]
        size = isqrt(len(known))
        if len(known) < MANY:
            continue
        for part in _parts(known, size):
            kinds, hosts = BitMap(row[1] for row in part), joined((r[2],) for r in part if r[2])
            low = part[0][0] if part[0] is not known[0] else b""
            yield (*name, low, kinds.serialize(), hosts.serialize())


def _parts(known: list[Row], size: int) -> Iterator[list[Row]]:
    """Part what is sorted by key; packages of one key, as of two architectures, stay together."""
    part: list[Row] = []
    for row in known:
        if len(part) >= size and row[0] != part[-1][0]:
            yield part
            part = []
        part.append(row)
    yield part
