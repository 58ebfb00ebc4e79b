"""Undo of one transaction in rpm's database, as it is now (`journal.Merge`).

Rules:
* a package is a row of `Packages` with a number that is never used again, and rows of index tables
  with the same number; what the transaction added is taken out, what it took out is put back;
* a package that the transaction added and that is no longer there as it was is drift, and so is a
  number that means something else now: then nothing is undone;
* views and triggers are none of rpm's, so a database that has some is left alone;
* the same again after a kill ends in the same packages.

Source: rpm's lib/backend/sqlite.c. Left out: imported keys, which are packages to rpm too, and go
the same way.
"""

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

_PACKAGES = "Packages"


def merge(before: bytes, after: bytes, now: bytes) -> bytes | None:
    """Give the database now without what led from `before` to `after`; nothing if it drifted."""
    if now == after:
        return before
    try:
        with TemporaryDirectory(prefix="answerable-rpm-") as folder:
            place = Path(folder)
            with _opened(place / "b", before) as old, _opened(place / "a", after) as new:
                was, made = _packages(old), _packages(new)
                with _opened(place / "n", now) as store:
                    gone = {n: blob for n, blob in was.items() if made.get(n) != blob}
                    come = {n: blob for n, blob in made.items() if was.get(n) != blob}
                    good = _undo(old, store, gone, come)
            return (place / "n").read_bytes() if good else None
    except (sqlite3.Error, sqlite3.Warning):
        return None


def _undo(
    old: sqlite3.Connection,
    now: sqlite3.Connection,
    gone: Mapping[int, bytes],
    come: Mapping[int, bytes],
) -> bool:
    have = _packages(now)
    if gone.keys() & come.keys():
        return False  # rpm never writes over a package
    there = [n for n, blob in come.items() if have.get(n) == blob]
    missing = [n for n in gone if n not in have]
    undone = not there and all(have.get(n) == blob for n, blob in gone.items())
    if undone and not come.keys() & have.keys():
        return True
    if len(there) != len(come) or len(missing) != len(gone):
        return False
    for table in _tables(now):
        for number in there:
            now.execute(f'delete from "{table}" where hnum = ?', (number,))  # noqa: S608  its own
        for number in missing:
            for row in old.execute(f'select * from "{table}" where hnum = ?', (number,)):  # noqa: S608
                now.execute(f'insert into "{table}" values ({",".join("?" * len(row))})', row)  # noqa: S608
    now.commit()
    return True


@contextmanager
def _opened(path: Path, data: bytes) -> Iterator[sqlite3.Connection]:
    path.write_bytes(data)
    with closing(sqlite3.connect(path)) as store:
        store.execute("pragma trusted_schema = off")
        yield store


def _packages(store: sqlite3.Connection) -> dict[int, bytes]:
    return dict(store.execute(f"select hnum, blob from {_PACKAGES}"))  # noqa: S608  its own name


def _tables(store: sqlite3.Connection) -> list[str]:
    rows = store.execute("select name, type from sqlite_master where type != 'index'").fetchall()
    if any(kind != "table" or '"' in name for name, kind in rows):
        raise sqlite3.DataError("views and triggers are none of rpm's")
    names = [name for name, _ in rows if not name.startswith("sqlite_")]
    return sorted(names, key=lambda name: (name == _PACKAGES, name))
