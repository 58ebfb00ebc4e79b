"""rpm's own database, read where it lies: `rpmdb.sqlite`, as rpm keeps it since 4.16.

Rules:
* rpm's lock is held, shared, while it is read; its file is never written, nor its log replayed: a
  log with something in it is a database that is being written, or torn, and is not read;
* one plain table is read, and nothing else in the file can do anything: an SQLite file may hold
  views, triggers and endless queries of its writer's;
* imported keys (`gpg-pubkey`) are no packages.

Sources: rpm's lib/backend/sqlite.c and lib/rpmlock.c; sqlite.org/wal.html. Left out: Berkeley DB
(RHEL 8 and older) and ndb (SUSE): `rpmdb --rebuilddb` with `%_db_backend sqlite` converts them.
"""

import fcntl
import os
import shutil
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from answerable.host.driver import DriverFailed
from answerable.host.files import make_private
from answerable.host.transaction.family import hold
from answerable.host.transaction.redhat.rpmheader import Header, Tag, version

NAME = "rpmdb.sqlite"
FOLDERS = ("/usr/lib/sysimage/rpm", "/var/lib/rpm")
"""Where the database lies, the newer place first."""
LOCK, SIDES = ".rpm.lock", (f"{NAME}-shm", f"{NAME}-wal")
"""The tool's lock; what SQLite keeps beside the file and can make again when nobody has it open."""
BLOB = 256 << 20
"""Largest header of one package, bytes."""
PACKAGES = 200_000
"""Most packages."""
STEPS = 100_000
"""Most thousands of SQLite's own steps that reading may take."""
_KEYS = "gpg-pubkey"


class Row(NamedTuple):
    """One package: `header` is the SHA-256 of its header, empty in very old ones."""

    name: str
    version: str
    arch: str
    header: str


def find(root: Path) -> str:
    """Give the database's path on the host below `root`.

    Raises:
        DriverFailed: there is none of this form.
    """
    for folder in FOLDERS:
        real = os.path.realpath(root / folder.lstrip("/"))
        if Path(real, NAME).is_file():
            inside = os.path.relpath(real, os.path.realpath(root))
            return f"/{inside}/{NAME}"
    raise DriverFailed(
        f"no `{NAME}` in {' or '.join(f'`{folder}`' for folder in FOLDERS)}; if this host has "
        "rpm's older database, set `%_db_backend sqlite` and run `rpmdb --rebuilddb`"
    )


def headers(path: Path) -> Iterator[Header]:
    """Give the header of every package.

    Raises:
        Locked: rpm is writing it.
        DriverFailed: it is damaged, or not to be read.
    """
    with held(path.parent, fcntl.LOCK_SH):
        log = path.with_name(SIDES[1])
        if log.exists() and log.stat().st_size:
            raise DriverFailed(
                f"`{log}` holds what was not finished; run `rpm --query --all`, then try again"
            )
        try:
            with closing(sqlite3.connect(f"{path.as_uri()}?mode=ro&immutable=1", uri=True)) as db:
                yield from _packages(db)
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise DriverFailed(f"cannot read `{path}`: {error}; run `rpm --rebuilddb`") from error


def row(header: Header) -> Row:
    """Give which package a header is of; raises `DriverFailed`."""
    told = (header.text(tag) for tag in (Tag.ARCH, Tag.SHA256_HEADER))
    return Row(header.text(Tag.NAME), version(header), *told)


def rows(path: Path) -> list[Row]:
    """Give every package; raises as `headers`."""
    return [row(header) for header in headers(path)]


def also(before: Iterable[Row], after: Iterable[Row], named: Iterable[Row]) -> list[str]:
    """Tell what changed from one list of packages to another besides the named ones.

    Each named package must be there afterwards, and may have taken the place of one package of its
    name and of its or no architecture; nothing else may come or go.
    """
    old, new, wanted = Counter(before), Counter(after), Counter(named)
    come, gone = new - old, old - new
    problems = [f"also installed: {_said(row)}" for row in (come - wanted).elements()]
    problems += [f"not installed: {_said(row)}" for row in (wanted - new).elements()]
    places = {(row.name, row.arch) for row in come}
    for row in gone.elements():
        fits = {place for place in places if place[0] == row.name}
        fits = {place for place in fits if place[1] == row.arch or "noarch" in (place[1], row.arch)}
        if fits:
            places.discard(min(fits))
        else:
            problems.append(f"also removed: {_said(row)}")
    return sorted(problems)


@contextmanager
def aside(path: Path, place: Path) -> Iterator[Path]:
    """Give a copy of a database in a folder of its own below `place`; it is gone afterwards."""
    folder = place / "rpmdb"
    shutil.rmtree(folder, ignore_errors=True)
    make_private(folder)
    try:
        yield shutil.copyfile(path, folder / NAME)
    finally:
        shutil.rmtree(folder)


@contextmanager
def held(folder: Path, how: int) -> Iterator[None]:
    """Hold rpm's lock in a folder; nobody else's is waited for.

    Args:
        how: `fcntl.LOCK_SH`, or `fcntl.LOCK_EX`, which also makes the file.

    Raises:
        Locked: another program has it.
    """
    file = _lock(folder / LOCK, how)
    if file is None:
        yield
        return
    with file:
        hold(file, how)
        yield


def _lock(path: Path, how: int) -> IO[bytes] | None:
    try:
        return path.open("ab" if how == fcntl.LOCK_EX else "rb")
    except FileNotFoundError:
        return None


def _packages(db: sqlite3.Connection) -> Iterator[Header]:
    steps = iter(range(STEPS))
    db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, BLOB)
    db.set_progress_handler(lambda: next(steps, None) is None, 1_000)
    db.execute("pragma trusted_schema = off")
    db.execute("pragma cell_size_check = on")
    if db.execute("select type from sqlite_master where name = 'Packages'").fetchone() != (
        "table",
    ):
        raise DriverFailed("an SQLite file without rpm's table `Packages`")
    db.set_authorizer(_only_packages)
    found = db.execute("select blob from Packages order by hnum")
    for count, (blob,) in enumerate(found):
        if count > PACKAGES or not isinstance(blob, bytes):
            raise DriverFailed(f"more than {PACKAGES} packages, or one that is no blob")
        header = Header(blob)
        if header.text(Tag.NAME) != _KEYS:
            yield header


def _only_packages(action: int, table: str | None, *_: str | None) -> int:
    reads = action == sqlite3.SQLITE_READ and table == "Packages"
    return sqlite3.SQLITE_OK if reads or action == sqlite3.SQLITE_SELECT else sqlite3.SQLITE_DENY


def _said(row: Row) -> str:
    return f"`{row.name}-{row.version}.{row.arch}`"
