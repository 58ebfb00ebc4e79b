"""Fetch every publication that is wanted, and write down the state of each of its documents.

    <folder>/documents.db      one row a document: its state, hashes, times (SQLite)
    <folder>/documents/<sha256>  the bytes in service
    <folder>/partial/          what has arrived of a document so far, to go on from there
    <folder>/lock              held by the one that fetches

Rules:

1. A document comes into service when it arrived whole, was read to its end by its adapter, and is
   dated neither in the future nor before the one in service. Otherwise the state says which of
   these failed, and the one in service stays where it is.
2. A publication is usable if it has a document and every one of them is. Nothing is built upon one
   that is not: `rows` raises, and says which.
3. A document that its server says is unchanged is not fetched again; one that broke off goes on
   where it stopped, if the server says that it is still the same (RFC 9110 sections 13 and 14).
4. A document's age is counted from the date that its publisher wrote into it, else from the
   server's `Last-Modified`, else from when we first saw these bytes: what never changes is stale.

Left out: which publications there are (bootstrap), and when to do this again.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from answerable.feeds.publication import Publication
from answerable.feeds.rows import Row

USABLE = "usable"


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
        rows: how many it gave.
        published: when its publisher dated it, POSIX seconds; 0 if it does not say.
        modified: `Last-Modified` as its server says it; 0 if it does not say.
        seen: when these bytes came first, POSIX seconds.
        checked: when its place last said that these are its newest bytes.
        tried: when we last asked.
        etag: the server's name for these bytes; empty if it gave none.
    """

    publication: str
    path: str
    state: str
    detail: str
    sha256: str
    size: int
    rows: int
    published: int
    modified: int
    seen: int
    checked: int
    tried: int
    etag: str

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


class Place(Protocol):
    """Where a publication lies: see download.py."""


Progress = Callable[[Step], None]


@dataclass(frozen=True)
class Subscription:
    """A publication, and where we have it from.

    Args:
        name: unique in a feed, such as `osv-debian`; it names files.
        publication: the adapter.
        place: a `download.Remote` (HTTP) or `download.Local` (folder).
        max_age: how old a document may be, seconds.
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
    raise NotImplementedError


def status(wanted: Sequence[Subscription], folder: Path, now: int) -> tuple[Kept, ...]:
    """Give what is written down, judged at this time, without fetching.

    A subscription of which nothing is written down has one entry with the state `missing`.

    Raises:
        Unavailable: the folder cannot be read.
    """
    raise NotImplementedError


def rows(
    wanted: Sequence[Subscription], folder: Path, now: int
) -> Iterator[tuple[Kept, Iterator[Row]]]:
    """Give each document in service with its rows, in the order of names and paths.

    Raises:
        Unusable: before anything is given, if any publication is not usable now; later, if a
            document's bytes are no longer those that were read.
    """
    raise NotImplementedError
