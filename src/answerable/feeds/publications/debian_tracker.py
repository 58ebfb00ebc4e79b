"""The publication `debian-tracker`: the Debian security tracker's own JSON.

    https://security-tracker.debian.org/tracker/data/json

    {"chromium":{"CVE-2022-0456":{"description":"..","debianbug":1,"scope":"remote","releases":{
       "bullseye":{"status":"resolved","repositories":{"bullseye":"90.0-1"},
                   "fixed_version":"98.0.4758.80-1~deb11u1","urgency":"not yet assigned"},
       "buster":{"status":"open","repositories":{..},"urgency":"end-of-life"}}}}}

Rules: names are those of source packages. `open` is a range without an end; `resolved` one that
ends with its fixed version, and with the version `0` the tracker's word that no version of that
release has the flaw. The urgency `end-of-life` says that nobody looks any more. `undetermined` is
silence. What the tracker rated by itself (`low**`) counts as rated.

The file has no date of its own: its age is counted as sync.py says. Nobody signs it.

Left out: `debianbug`, `scope`, `nodsa`, and which suites hold which version now.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from answerable.feeds.documents.unpacked import stream
from answerable.feeds.documents.values import Cursor
from answerable.feeds.publication import (
    TEXT,
    Listed,
    Listing,
    Reading,
    filled,
    is_cve,
    plain,
    rated,
    well_formed,
    word,
)
from answerable.feeds.rows import Claim, Range, Row, Status
from answerable.feeds.source import MIB

PATH: Final = "tracker/data/json"
RELEASES: Final = {
    "wheezy": "7", "jessie": "8", "stretch": "9", "buster": "10", "bullseye": "11",
    "bookworm": "12", "trixie": "13", "forky": "14", "duke": "15",
}  # fmt: skip
"""Codenames by number; others, such as `sid`, keep their name."""


@dataclass(frozen=True)
class DebianTracker:
    """The adapter.

    Args:
        path: its name below the place it is fetched from.
    """

    path: str = PATH
    channel: str = "debian-tracker"
    index: str = ""
    limit: int = 512 * MIB

    def listing(self, index: Path | None, source: str) -> Listing:
        """Name the one document."""
        del index, source
        return Listing((Listed(self.path),))

    def read(self, file: Path, source: str) -> Reading:
        """Give the state of each flaw in each release.

        Raises:
            Unusable: see the port.
        """
        return filled(self._rows(file, source), source)

    def _rows(self, file: Path, source: str) -> Reading:
        cursor = Cursor(stream(file, source), source)
        for package in cursor.entries():
            for flaw in cursor.entries():
                record = cursor.value()
                with well_formed(source, f"{package}/{flaw}"):
                    yield from self._of(word(package), word(flaw), record)
        cursor.end()
        return 0

    def _of(self, package: str, flaw: str, record: dict[str, Any]) -> Iterator[Row]:
        if described := plain(record.get("description"), TEXT):
            yield Claim(self.channel, flaw, "description", described, 0)
        cves = (flaw,) if is_cve(flaw) else ()
        # A flaw that no release has is written with an empty list instead of an object.
        for codename, entry in (record["releases"] or {}).items():
            said = _said(entry)
            if said is None:
                continue
            status, fixed = said
            yield Range(
                self.channel, flaw, f"debian:{RELEASES.get(codename, word(codename))}", package,
                "source", status, "", fixed, "", cves, rated(entry.get("urgency")), 0, 0, 0,
            )  # fmt: skip


def _said(entry: dict[str, Any]) -> tuple[Status, str] | None:
    state, ended = entry["status"], entry.get("urgency") == "end-of-life"
    if state == "resolved":
        fixed = word(entry["fixed_version"])
        return ("not_affected", "") if fixed == "0" else ("affected", fixed)
    if state == "open":
        return ("end_of_life" if ended else "affected", "")
    if state == "undetermined":
        return None
    raise ValueError(f"the status `{state!r:.40}`")
