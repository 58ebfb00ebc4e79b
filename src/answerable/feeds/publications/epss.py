"""The publication `epss`: FIRST's daily scores, as CSV, mostly packed with gzip.

    https://epss.empiricalsecurity.com/epss_scores-current.csv.gz

    #model_version:v2025.03.14,score_date:2025-06-30T12:55:00Z
    cve,epss,percentile
    CVE-1999-0001,0.01141,0.7769

Rules: the first line says model and day, the second names the columns; each other line is a flaw,
and the last ends with a newline, or the file was cut. A score lies between 0 and 1. Its text is
kept as it was written (`0.00042` as well as `4.2e-04`).

Left out: files from before 2022, which have no first line; the API.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NoReturn

from answerable.feeds.documents.unpacked import stream
from answerable.feeds.publication import Listed, Listing, Reading, filled, time_of
from answerable.feeds.rows import Claim
from answerable.feeds.source import KIB, MIB, State, Unusable

PATH: Final = "epss_scores-current.csv.gz"
LINE = 4 * KIB
"""Longest line, bytes."""
_SCORE = rb"(0(?:\.\d{1,20})?|1(?:\.0{1,20})?|\d(?:\.\d{1,20})?[eE]-\d{1,3})"
_ROW = re.compile(rb"(CVE-\d{4}-\d{4,7})," + _SCORE + b"," + _SCORE + rb"\r?")
_HEAD = re.compile(r"#model_version:([\w.-]{1,40}),score_date:([\w.:+-]{1,40})\r?", re.ASCII)
_COLUMNS = "cve,epss,percentile"


@dataclass(frozen=True)
class Epss:
    """The adapter.

    Args:
        path: its name below the place it is fetched from.
    """

    path: str = PATH
    channel: str = "epss"
    index: str = ""
    limit: int = 64 * MIB

    def listing(self, index: Path | None, source: str) -> Listing:
        """Name the one document."""
        del index, source
        return Listing((Listed(self.path),))

    def read(self, file: Path, source: str) -> Reading:
        """Give score and percentile of each flaw.

        Raises:
            Unusable: see the port.
        """
        return filled(self._rows(file, source), source)

    def _rows(self, file: Path, source: str) -> Reading:
        lines = _lines(file, source)
        head = _HEAD.fullmatch(next(lines, b"").decode(errors="replace"))
        scored = time_of(head[2]) if head else 0
        if not scored:
            raise Unusable(State.MALFORMED, source, "its first line names no model and day")
        if next(lines, b"").decode(errors="replace").rstrip("\r") != _COLUMNS:
            raise Unusable(State.MALFORMED, source, f"its columns are not `{_COLUMNS}`")
        for number, line in enumerate(lines, 3):
            found = _ROW.fullmatch(line)
            if found is None:
                _refuse(line, number, source)
            name = found[1].decode()
            yield Claim(self.channel, name, "epss", found[2].decode(), scored)
            yield Claim(self.channel, name, "epss_percentile", found[3].decode(), scored)
        return scored


def _refuse(line: bytes, number: int, source: str) -> NoReturn:
    raise Unusable(State.MALFORMED, source, f"line {number} is `{line[:60]!r}`")


def _lines(file: Path, source: str) -> Iterator[bytes]:
    rest = b""
    for piece in stream(file, source):
        *whole, rest = (rest + piece).split(b"\n")
        if len(rest) > LINE:
            raise Unusable(State.OVERSIZED, source, f"a line above {LINE} bytes")
        yield from whole
    if rest:
        raise Unusable(State.TRUNCATED, source, "its last line is not complete; fetch again")
