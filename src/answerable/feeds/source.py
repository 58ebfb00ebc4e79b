"""The port of this room: a source gives facts, or says in one word why it cannot be used.

Rules:

1. A source that is missing, truncated, empty, stale or forged is `Unusable` with that state. It
   never reads as "no vulnerabilities found": no snapshot is made from it.
2. Every byte is untrusted until the source's own rule has checked it; whatever the bytes are,
   `Unusable` is raised and nothing else.
3. Every read has one of the limits below. Time is an argument, POSIX seconds.
4. What cannot be known is said to be absent (`cvss` -1, `urgency` unknown), never guessed.

Left out: which sources make up a feed (bootstrap), and who signs what they give (attest.py).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from answerable.feeds.facts import Artefact, Fact
from answerable.kernel.errors import Unavailable

KIB, MIB = 1 << 10, 1 << 20
RELEASE = 4 * MIB
"""Largest signed release file, bytes."""
INDEX = 512 * MIB
"""Largest package index once unpacked, bytes."""
PACKED = 128 * MIB
"""Largest package index as it is fetched, bytes."""
ARTEFACT = 1024 * MIB
"""Largest package file, bytes."""
UNPACKED = 4096 * MIB
"""Most bytes that are read out of one package's data archive."""
CHANGELOG = 32 * MIB
"""Largest changelog once unpacked, bytes."""
RECORD = 4 * MIB
"""Largest single advisory record, bytes."""
LISTING = 32 * MIB
"""Largest file of facts or listing of files, bytes."""
ASKED = 20_000
"""Most packages that are asked for at once."""
AHEAD = 3600
"""How far a publisher's clock may be ahead of ours, seconds."""


class State(StrEnum):
    """Why a source cannot be used."""

    MISSING = "missing"
    UNREACHABLE = "unreachable"
    TRUNCATED = "truncated"
    OVERSIZED = "oversized"
    EMPTY = "empty"
    MALFORMED = "malformed"
    FORGED = "forged"
    STALE = "stale"
    EXPIRED = "expired"
    POSTDATED = "postdated"
    ROLLED_BACK = "rolled_back"
    MIXED = "mixed"
    SPLIT = "split"
    UNSIGNED = "unsigned"


class Unusable(Unavailable):
    """A source that cannot be used.

    Args:
        state: the one word.
        source: which document, as configured or as its publisher names it.
        detail: what was found and what to do next; for people.
    """

    def __init__(self, state: State, source: str, detail: str) -> None:
        """Keep the word, the place and the reason."""
        super().__init__(f"`{source}` is {state}: {detail}")
        self.state = state
        self.source = source
        self.detail = detail


@dataclass(frozen=True, slots=True)
class Origin:
    """A document that facts were read from.

    Args:
        name: the suite, file or listing.
        sha256: of its bytes, hex.
        published: when its publisher dated it, POSIX seconds; 0 if it does not say.
        valid_until: after which its publisher disowns it; 0 if it does not say.
    """

    name: str
    sha256: str
    published: int
    valid_until: int


@dataclass(frozen=True, slots=True)
class Relation:
    """What a version needs beside itself: a hint to the planner, proven by nobody."""

    package: str
    version: str
    needs: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Bound:
    """From which version on an advisory's flaw exists: a hint to the planner, proven by nobody.

    Args:
        advisory: the fact's text.
        introduced: the first version that has the flaw.
    """

    advisory: str
    introduced: str


@dataclass(frozen=True, slots=True)
class Gap:
    """Something that a source should state and does not; shown, never taken for "no flaw"."""

    package: str
    reason: str


@dataclass(frozen=True, slots=True)
class Collected:
    """What a source gives for the packages asked for.

    Args:
        signed: whether the publisher's signature covers the facts. If so, everybody who asks gets
            the same ones; if not, they move, and attest.py allows for that.
        kept_by_people: whether people of this party keep the document by hand; their word counts
            as it is, where what another unsigned source says needs a second voice (agree.py).
    """

    facts: tuple[Fact, ...]
    origins: tuple[Origin, ...]
    signed: bool
    relations: tuple[Relation, ...] = ()
    bounds: tuple[Bound, ...] = ()
    gaps: tuple[Gap, ...] = ()
    kept_by_people: bool = False


class Source(Protocol):
    """One adapter: a distribution, a database of advisories, a package listing."""

    @property
    def name(self) -> str:
        """How it is named in candidates and messages."""

    def collect(self, packages: Sequence[str], now: int) -> Collected:
        """Fetch, check and normalise what concerns these packages.

        Raises:
            Unusable: in any other case.
        """

    def obtain(self, artefact: Artefact) -> Path | None:
        """Give the place of an artefact's bytes, fetched and checked against its hash.

        Returns: nothing if this source does not keep it.

        Raises:
            Unusable: if it should and cannot.
        """


class Fetch(Protocol):
    """One place that documents are fetched from."""

    @property
    def place(self) -> str:
        """The address, for messages."""

    def stream(self, path: str, limit: int) -> Iterator[bytes]:
        """Give a document in pieces, at most `limit` bytes of it.

        Raises:
            Unusable: missing, unreachable, truncated or oversized; possibly after some pieces.
        """

    def get(self, path: str, limit: int) -> bytes:
        """Give a whole document; one that has not changed need not travel again.

        Raises:
            Unusable: as `stream`.
        """
