"""The second port of this room: a publication's documents, each read row by row.

Rules:

1. A document is a file that lies here whole. It is read in a stream, in bounded memory; every read
   has one of the limits below.
2. Its rows count only when it was read to its end: a failure may come after any number of rows, and
   whoever reads keeps nothing of a document that failed. A document without a row is `empty`; that
   never reads as "no vulnerabilities found".
3. The same bytes give the same rows in the same order, on any machine and at any time.
4. Whatever the bytes are, `Unusable` is raised and nothing else. What its text says is data: it is
   cut to length and cleaned of control characters here, and nobody acts upon it.

    reading = publication.read(file, "https://www.cisa.gov/.../known_exploited_vulnerabilities.json")
    for row in reading: ..          # a Range or a Claim
    published = yield from reading  # in a generator: when its publisher dated the document

Left out: fetching, and judging how old a document is (sync.py); who is believed (agree.py).
"""

import re
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from answerable.feeds.rows import Row
from answerable.feeds.source import KIB, MIB, State, Unusable

DOCUMENT = 4096 * MIB
"""Largest document as it is fetched, bytes; an adapter may say less."""
DOCUMENTS = 200_000
"""Most documents of one publication."""
RECORD = 16 * MIB
"""Largest single record of a document, characters."""
NAME = 256
"""Longest id, package name, version or other word, characters."""
LINE = 500
"""Longest title, characters; the rest is left out."""
TEXT = 2_000
"""Longest description, characters; the rest is left out."""
REFERENCES = 20
"""Most references of a flaw that are kept."""

Reading = Generator[Row, None, int]
"""Rows; when it ends, it returns when the publisher dated the document: POSIX seconds, 0 if it does
not say."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A document that an index names.

    Args:
        path: relative to where the publication lies.
        stamp: what the index says of its edition; as long as it is the same, the document is not
            asked for again. Empty if the index does not say.
        sha256: of its bytes, hex, if the index says so.
    """

    path: str
    stamp: str = ""
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """The documents that there are now, and when the index was dated (0: it does not say)."""

    documents: tuple[Listed, ...]
    published: int = 0


class Publication(Protocol):
    """One adapter: how one publisher's documents are named and read."""

    @property
    def channel(self) -> str:
        """By which its rows say that they came, such as `kev` or `osv/almalinux`."""

    @property
    def index(self) -> str:
        """The path of the document that lists the others; empty if they are known beforehand."""

    @property
    def limit(self) -> int:
        """Largest document, bytes."""

    def listing(self, index: Path | None, source: str) -> Listing:
        """Name the documents.

        Args:
            index: the file of the index, if there is one.
            source: its address, for messages.

        Raises:
            Unusable: the index cannot be used.
        """

    def read(self, file: Path, source: str) -> Reading:
        """Give a document's rows.

        Args:
            file: where its bytes lie.
            source: its address, for messages.

        Raises:
            Unusable: in any other case, possibly after some rows.
        """


def filled(reading: Reading, source: str) -> Reading:
    """Give a reading's rows, or say that there is none.

    Raises:
        Unusable: `empty`, or as the reading.
    """
    try:
        yield next(reading)
    except StopIteration as end:
        raise Unusable(State.EMPTY, source, "nothing in it concerns any version or flaw") from end
    return (yield from reading)


@contextmanager
def well_formed(source: str, record: object) -> Iterator[None]:
    """Take a record apart: what is not as its format says makes the document unusable.

    Raises:
        Unusable: `malformed`, naming the record.
    """
    try:
        yield
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        detail = f"record `{plain(str(record), 64)}`: {error!r:.200}"
        raise Unusable(State.MALFORMED, source, detail) from error


_CVE = re.compile(r"CVE-\d{4}-\d{4,7}")
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def is_cve(name: object) -> bool:
    """Tell whether this is a flaw's name, such as `CVE-2024-3094`."""
    return isinstance(name, str) and len(name) < 2 * KIB and bool(_CVE.fullmatch(name))


def plain(value: object, limit: int = LINE) -> str:
    """Give untrusted text cut to length; what steers a terminal or turns text round is replaced.

    What is at most `LINE` long is one line. Anything but text gives the empty text.
    """
    if not isinstance(value, str):
        return ""
    text = _CONTROL.sub("\ufffd", value[:limit])
    return " ".join(text.split()) if limit <= LINE else text.strip()


def word(value: object) -> str:
    """Give a name, version or id exactly as it was written.

    Raises:
        ValueError: it is no text, empty, longer than `NAME`, or has odd characters.
    """
    if not isinstance(value, str) or not 0 < len(value) <= NAME or not value.isprintable():
        raise ValueError(f"`{value!r:.80}` is no name")
    return value


def time_of(value: Any) -> int:  # noqa: ANN401  a part of a document, of any type
    """Give a time of RFC 3339 in POSIX seconds, UTC if it has no zone; 0 if it is none."""
    try:
        then = datetime.fromisoformat(value)
        then = then if then.tzinfo else then.replace(tzinfo=UTC)
        return max(0, int(then.timestamp()))
    except (TypeError, ValueError, OverflowError):
        return 0


def together(parts: Iterable[object]) -> str:
    """Join words into the value of a claim: sorted, each once, separated by commas."""
    words = {plain(part).replace(",", "%2C") for part in parts}
    return ",".join(sorted(words - {""})[:REFERENCES])


_RATED = {
    "low": "low", "negligible": "low", "unimportant": "low", "minor": "low",
    "medium": "medium", "moderate": "medium", "high": "high", "important": "high",
    "critical": "critical",
}  # fmt: skip


def rated(value: object) -> str:
    """Give one of `facts.URGENCIES` for a publisher's own word, such as `Important` or `low**`."""
    return _RATED.get(value.strip(" *").lower(), "unknown") if isinstance(value, str) else "unknown"
