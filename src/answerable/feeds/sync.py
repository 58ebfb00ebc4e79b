"""Fetch every publication that is wanted, and write down the state of each of its documents.

    <folder>/documents.db        one row a document: its state, hashes, times (SQLite)
    <folder>/documents/<sha256>  the bytes in service
    <folder>/partial/            what has arrived of a document so far, to go on from there
    <folder>/lock                held by the one that fetches

Rules:

1. A document comes into service when it arrived whole, was read to its end by its adapter, and is
   dated neither in the future nor before the one in service. Otherwise the state says which of
   these failed, and the one in service stays where it is.
2. A publication is usable if it has a document and every one of them is, its index as well. Nothing
   is built upon one that is not: `rows` raises, and says which.
3. A document that its server says is unchanged is not fetched again; one that broke off goes on
   where it stopped, if the server says that it is still the same (download.py).
4. A publication's age is that of its newest document, counted from the date that the publisher
   wrote into it, else from the server's `Last-Modified`, else from when we first saw these bytes:
   what never changes is stale.
5. Whoever is killed loses nothing: each document is written down as soon as it is judged, and its
   bytes are on the disk before that.

Left out: which publications there are (bootstrap), when to do this again, and throwing away what
is not in service any more.
"""

import fcntl
import hashlib
import os
import re
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import astuple, dataclass, replace
from pathlib import Path

from answerable.feeds.documents.download import Edition, Place, forget
from answerable.feeds.publication import DOCUMENTS, Listed, Listing, Publication
from answerable.feeds.rows import Row
from answerable.feeds.source import AHEAD, MIB, State, Unusable
from answerable.kernel.errors import Unavailable

USABLE = "usable"
EVERY = 10_000
"""Rows from one word about progress to the next."""
_TABLE = """CREATE TABLE IF NOT EXISTS document (
    publication TEXT, path TEXT, state TEXT, detail TEXT, sha256 TEXT, size INTEGER, rows INTEGER,
    published INTEGER, modified INTEGER, seen INTEGER, checked INTEGER, tried INTEGER, etag TEXT,
    stamp TEXT, PRIMARY KEY (publication, path)) STRICT"""
_PUT = "INSERT OR REPLACE INTO document VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
"""A subscription's name."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What is written down about one document.

    Args:
        publication: its subscription's name.
        path: its own name there.
        state: `usable`, or a word of `source.State`, as of the last attempt.
        detail: for people: what was found, and what to do next; empty if usable.
        sha256: of the document in service, hex; empty if there is none.
        size: of it, bytes.
        rows: how many it gave; for an index, how many documents it names.
        published: when its publisher dated it, POSIX seconds; 0 if it does not say.
        modified: `Last-Modified` as its server says it; 0 if it does not say.
        seen: when these bytes came first, POSIX seconds.
        checked: when its place last said that these are its newest bytes.
        tried: when we last asked.
        etag: the server's name for these bytes; empty if it gave none.
        stamp: what the index says of this edition; empty if it does not say.
    """

    publication: str
    path: str
    state: str
    detail: str = ""
    sha256: str = ""
    size: int = 0
    rows: int = 0
    published: int = 0
    modified: int = 0
    seen: int = 0
    checked: int = 0
    tried: int = 0
    etag: str = ""
    stamp: str = ""

    @property
    def dated(self) -> int:
        """From when its age is counted: rule 4."""
        return self.published or self.modified or self.seen


@dataclass(frozen=True, slots=True)
class Step:
    """How far a sync is.

    Args:
        publication: the subscription's name.
        path: the document.
        doing: `fetch` (counted in bytes) or `read` (counted in rows).
        done: so far.
        total: if it is known, else 0.
    """

    publication: str
    path: str
    doing: str
    done: int
    total: int


Progress = Callable[[Step], None]


@dataclass(frozen=True)
class Subscription:
    """A publication, and where we have it from.

    Args:
        name: unique in a feed, such as `osv-debian`.
        publication: the adapter.
        place: a `download.Remote` (HTTP) or `download.Local` (folder).
        max_age: how old its newest document may be, seconds.
    """

    name: str
    publication: Publication
    place: Place
    max_age: int


def sync(
    wanted: Sequence[Subscription], folder: Path, now: int, progress: Progress
) -> tuple[Kept, ...]:
    """Fetch what changed, and give what is now written down about every document.

    It never raises for a document: its state says what happened.

    Raises:
        Unavailable: the folder cannot be written, or somebody else is at it.
    """
    assert len({each.name for each in wanted}) == len(wanted), "names are unique"
    assert all(NAME.fullmatch(each.name) for each in wanted), "names are plain"
    with _ours(folder), closing(_Book.open(folder)) as book:
        for subscription in wanted:
            _Visit(subscription, folder, book, now, progress).all()
    return status(wanted, folder, now)


def status(wanted: Sequence[Subscription], folder: Path, now: int) -> tuple[Kept, ...]:
    """Give what is written down, judged at this time, without fetching.

    A document of which nothing is written down, or whose bytes are gone, is `missing`.

    Raises:
        Unavailable: the folder cannot be read.
    """
    with _mapped(folder), closing(_Book.open(folder)) as book:
        found = [kept for each in wanted for kept in _judged(each, book, folder, now)]
    return tuple(sorted(found, key=lambda kept: (kept.publication, kept.path)))


def rows(
    wanted: Sequence[Subscription], folder: Path, now: int
) -> Iterator[tuple[Kept, Iterator[Row]]]:
    """Give each document in service with its rows, in the order of names and paths.

    Raises:
        Unusable: before anything is given, if any publication is not usable now; later, if a
            document's bytes are no longer those that were read.
        Unavailable: the folder cannot be read.
    """
    found = status(wanted, folder, now)
    for kept in found:
        if kept.state != USABLE:
            raise Unusable(State(kept.state), f"{kept.publication}/{kept.path}", kept.detail)
    return _given({each.name: each for each in wanted}, found, folder)


def _given(
    wanted: dict[str, Subscription], found: Iterable[Kept], folder: Path
) -> Iterator[tuple[Kept, Iterator[Row]]]:
    for kept in found:
        subscription = wanted[kept.publication]
        if kept.path == subscription.publication.index:
            continue
        file, source = _file(folder, kept.sha256), _source(subscription, kept.path)
        if _hashed(file)[0] != kept.sha256:
            raise Unusable(State.FORGED, source, f"`{file}` was changed; remove it and sync again")
        yield kept, subscription.publication.read(file, source)


def _judged(each: Subscription, book: "_Book", folder: Path, now: int) -> list[Kept]:
    found = {kept.path: kept for kept in book.all(each.name)}
    index = each.publication.index
    expected = [index] if index else [d.path for d in each.publication.listing(None, "").documents]
    for path in expected:
        found.setdefault(path, Kept(each.name, path, State.MISSING, "never fetched; sync first"))
    newest = max(kept.dated for kept in found.values())
    if index and set(found) == {index} and found[index].state == USABLE:
        found[index] = replace(found[index], state=State.EMPTY, detail="none of its documents came")
    return [_aged(kept, newest, each.max_age, folder, now) for kept in found.values()]


def _aged(kept: Kept, newest: int, max_age: int, folder: Path, now: int) -> Kept:
    if kept.state != USABLE:
        return kept
    if not _file(folder, kept.sha256).is_file():
        return replace(kept, state=State.MISSING, detail="its bytes are gone; sync again")
    if now - newest > max_age:
        detail = f"{now - newest} seconds old, {max_age} are allowed; is its place frozen?"
        return replace(kept, state=State.STALE, detail=detail)
    return kept


@dataclass(frozen=True)
class _Visit:
    """One subscription's turn in a sync."""

    subscription: Subscription
    folder: Path
    book: "_Book"
    now: int
    progress: Progress

    def all(self) -> None:
        """Bring its index, if it has one, and then each document."""
        publication, name = self.subscription.publication, self.subscription.name
        listing = publication.listing(None, "") if not publication.index else self._listing()
        if listing is None:
            return
        before = {kept.path: kept for kept in self.book.all(name)}
        for listed in listing.documents:
            old = before.get(listed.path)
            if old and old.state == USABLE and listed.stamp and old.stamp == listed.stamp:
                continue
            self._bring(listed, old, self._read)
        stay = {publication.index, *(listed.path for listed in listing.documents)}
        self.book.drop(name, set(before) - stay)

    def _listing(self) -> Listing | None:
        publication, found = self.subscription.publication, list[Listing]()

        def read(file: Path, path: str) -> tuple[int, int]:
            found.append(publication.listing(file, _source(self.subscription, path)))
            if len(found[0].documents) > DOCUMENTS:
                raise Unusable(State.OVERSIZED, path, f"it names more than {DOCUMENTS} documents")
            return len(found[0].documents), found[0].published

        old = self.book.get(self.subscription.name, publication.index)
        kept = self._bring(Listed(publication.index), old, read)
        if kept.state != USABLE:
            return None
        if not found:  # unchanged: the one in service
            read(_file(self.folder, kept.sha256), kept.path)
        return found[0]

    def _bring(
        self, listed: Listed, old: Kept | None, read: Callable[[Path, str], tuple[int, int]]
    ) -> Kept:
        """Bring one document, judge it and write down what came of it."""
        name, path = self.subscription.name, listed.path
        into = self.folder / "partial" / hashlib.sha256(f"{name}/{path}".encode()).hexdigest()
        old = old or Kept(name, path, State.MISSING)
        try:
            kept = self._fetched(listed, old, into, read)
        except Unusable as failure:
            if failure.state not in (State.TRUNCATED, State.UNREACHABLE) or _complete(failure):
                forget(into)
            kept = replace(old, state=failure.state.value, detail=failure.detail, tried=self.now)
        self.book.put(kept)
        return kept

    def _fetched(
        self, listed: Listed, old: Kept, into: Path, read: Callable[[Path, str], tuple[int, int]]
    ) -> Kept:
        have = bool(old.sha256) and _file(self.folder, old.sha256).is_file()
        known = Edition(old.etag, old.modified) if have else Edition()
        edition = self.subscription.place.fetch(
            listed.path, into, self.subscription.publication.limit, known, self._told(listed.path)
        )
        fresh = replace(
            old, state=USABLE, detail="", checked=self.now, tried=self.now, stamp=listed.stamp
        )
        if edition is None:
            return fresh
        digest, size = _hashed(into)
        source = _source(self.subscription, listed.path)
        if listed.sha256 and digest != listed.sha256:
            raise _Refused(State.FORGED, source, f"the index says that it is `{listed.sha256}`")
        fresh = replace(fresh, etag=edition.etag, modified=edition.modified)
        if have and digest == old.sha256:
            forget(into)
            return fresh
        try:
            count, published = read(into, listed.path)
        except Unusable as failure:
            raise _Refused(failure.state, failure.source, failure.detail) from failure
        _require_later(published, old, self.now, source)
        _keep(into, _file(self.folder, digest))
        return replace(
            fresh, sha256=digest, size=size, rows=count, published=published, seen=self.now
        )

    def _read(self, file: Path, path: str) -> tuple[int, int]:
        """Read a document to its end; give how many rows it has, and when it is dated."""
        name, count = self.subscription.name, 0
        reading = self.subscription.publication.read(file, _source(self.subscription, path))
        while True:
            try:
                next(reading)
            except StopIteration as end:
                self.progress(Step(name, path, "read", count, count))
                return count, end.value
            count += 1
            if count % EVERY == 0:
                self.progress(Step(name, path, "read", count, 0))

    def _told(self, path: str) -> Callable[[int, int], None]:
        name = self.subscription.name
        return lambda done, total: self.progress(Step(name, path, "fetch", done, total))


class _Refused(Unusable):
    """A document that arrived whole and is no good: there is nothing to go on with."""


def _complete(failure: Unusable) -> bool:
    return isinstance(failure, _Refused)


def _require_later(published: int, old: Kept, now: int, source: str) -> None:
    if published > now + AHEAD:
        raise _Refused(State.POSTDATED, source, f"dated {published - now} seconds ahead of us")
    if old.sha256 and published < old.published:
        detail = f"dated {published}, and one of {old.published} was seen: an old copy?"
        raise _Refused(State.ROLLED_BACK, source, detail)


def _source(subscription: Subscription, path: str) -> str:
    return f"{subscription.place.place}/{path}"


def _file(folder: Path, sha256: str) -> Path:
    return folder / "documents" / (sha256 or "none")


def _hashed(file: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as opened:
        while piece := opened.read(MIB):
            digest.update(piece)
            size += len(piece)
    return digest.hexdigest(), size


def _keep(file: Path, place: Path) -> None:
    with file.open("rb+") as opened:
        os.fsync(opened.fileno())
    file.replace(place)
    forget(file)


@contextmanager
def _mapped(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"cannot use `{folder}`: {error}; check its rights and space") from error


@contextmanager
def _ours(folder: Path) -> Iterator[None]:
    """Be the only one that fetches into a folder."""
    with _mapped(folder):
        for each in ("documents", "partial"):
            (folder / each).mkdir(mode=0o700, parents=True, exist_ok=True)
        with (folder / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise Unavailable(f"somebody else syncs into `{folder}`; wait for it") from error
            yield


class _Book:
    """The table of documents."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self.db = db

    @classmethod
    def open(cls, folder: Path) -> "_Book":
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        db = sqlite3.connect(folder / "documents.db", isolation_level=None)
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute(_TABLE)
        return cls(db)

    def close(self) -> None:
        self.db.close()

    def all(self, publication: str) -> list[Kept]:
        found = self.db.execute(
            "SELECT * FROM document WHERE publication = ? ORDER BY path", (publication,)
        )
        return [Kept(*row) for row in found]

    def get(self, publication: str, path: str) -> Kept | None:
        found = self.db.execute(
            "SELECT * FROM document WHERE publication = ? AND path = ?", (publication, path)
        )
        return next((Kept(*row) for row in found), None)

    def put(self, kept: Kept) -> None:
        self.db.execute(_PUT, astuple(kept))

    def drop(self, publication: str, paths: Iterable[str]) -> None:
        self.db.executemany(
            "DELETE FROM document WHERE publication = ? AND path = ?",
            [(publication, path) for path in paths],
        )
