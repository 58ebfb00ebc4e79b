"""The publication `updateinfo/..`: the advisories in an RPM repository's own metadata.

    <repository>/repodata/repomd.xml                       names the next, with its SHA-256
    <repository>/repodata/<sha256>-updateinfo.xml.gz       also .xz, .bz2, .zst

Its form is in documents/updates.py.

Rules:

1. XML is read as documents/elements.py says: no entity is ever defined or expanded.
2. An update is an advisory if its type is `security` or it names a flaw. Updates of other types are
   passed over.
3. A package gives a range that ends with its version; architectures are one, and source packages
   keep their level.
4. The bytes are those whose SHA-256 the repository's index names.

Left out: the index's OpenPGP signature (the source `rpm` demands it), modules.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from answerable.feeds.documents import repomd, updates
from answerable.feeds.documents.repomd import REPOMD
from answerable.feeds.documents.updates import SOURCES, Update
from answerable.feeds.publication import (
    LINE,
    TEXT,
    Listed,
    Listing,
    Reading,
    plain,
    well_formed,
)
from answerable.feeds.rows import Claim, Range, Row
from answerable.feeds.source import MIB, State, Unusable


@dataclass(frozen=True)
class Updateinfo:
    """The adapter.

    Args:
        channel: such as `updateinfo/rocky`.
        ecosystem: the release that the repository is of, such as `rocky:9`.
        files: the documents' names, if they are not taken from the repository's index.
        index: the repository's index; empty if `files` is given.
    """

    channel: str
    ecosystem: str
    files: tuple[str, ...] = ()
    index: str = REPOMD
    limit: int = 512 * MIB

    def listing(self, index: Path | None, source: str) -> Listing:
        """Name the repository's updateinfo.

        Raises:
            Unusable: `missing` if the repository has none, `malformed` or `truncated`.
        """
        if index is None:
            return Listing(tuple(map(Listed, self.files)))
        found = repomd.read(index, source)
        with well_formed(source, "repomd"):
            documents = found.documents("updateinfo")
        if not documents:
            raise Unusable(State.MISSING, source, "the repository has no updateinfo")
        listed = (Listed(each.path, each.sha256, each.sha256) for each in documents)
        return Listing(tuple(listed), found.revision)

    def read(self, file: Path, source: str) -> Reading:
        """Give the ranges of each advisory.

        Raises:
            Unusable: see the port.
        """
        newest = 0
        for number, update in enumerate(updates.read(file, source), 1):
            with well_formed(source, update.texts.get("id", number)):
                newest = max(newest, update.issued, update.updated)
                yield from self._of(update)
        return newest

    def _of(self, update: Update) -> Iterator[Row]:
        cves = tuple(sorted(update.cves))
        if not update.mends:
            return
        ranges = dict.fromkeys((p, v, arch in SOURCES) for p, v, arch in update.packages)
        for package, version, source in ranges:
            yield Range(
                self.channel, update.name, self.ecosystem, package,
                "source" if source else "binary", "affected", "", version, "", cves,
                update.urgency, update.issued, update.updated, 0,
            )  # fmt: skip
        if len(cves) == 1:
            if title := plain(update.texts.get("title"), LINE):
                yield Claim(self.channel, cves[0], "title", title, update.updated)
            if described := plain(update.texts.get("description"), TEXT):
                yield Claim(self.channel, cves[0], "description", described, update.updated)
