"""The publication `kev`: CISA's catalogue of known exploited vulnerabilities, in JSON.

    https://www.cisa.gov/sites/default/files/feeds/known_exploited_vulnerabilities.json

    {"title":"..","catalogVersion":"2025.08.25","dateReleased":"2025-08-25T17:04:19.9796Z",
     "count":1404,"vulnerabilities":[{"cveID":"CVE-2025-48384","vendorProject":"Git",
       "product":"Git","vulnerabilityName":"..","dateAdded":"2025-08-25","shortDescription":"..",
       "requiredAction":"..","dueDate":"2025-09-15","knownRansomwareCampaignUse":"Unknown",
       "notes":"..","cwes":["CWE-59"]},..]}

Rules: a catalogue with another number of entries than its `count` is `truncated`. Days are midnight
UTC. That a ransomware campaign is `Unknown` is silence, not a no.

Left out: `requiredAction` and `notes`, which are text for people.
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
    time_of,
    together,
    well_formed,
)
from answerable.feeds.rows import Claim, Field
from answerable.feeds.source import MIB, State, Unusable

PATH: Final = "known_exploited_vulnerabilities.json"


@dataclass(frozen=True)
class Kev:
    """The adapter.

    Args:
        path: its name below the place it is fetched from.
    """

    path: str = PATH
    channel: str = "kev"
    index: str = ""
    limit: int = 64 * MIB

    def listing(self, index: Path | None, source: str) -> Listing:
        """Name the one document."""
        del index, source
        return Listing((Listed(self.path),))

    def read(self, file: Path, source: str) -> Reading:
        """Give what the catalogue says of each flaw.

        Raises:
            Unusable: see the port.
        """
        return filled(self._rows(file, source), source)

    def _rows(self, file: Path, source: str) -> Reading:
        cursor, head, count = Cursor(stream(file, source), source), dict[str, Any](), 0
        for key in cursor.entries():
            if key != "vulnerabilities":
                head[key] = cursor.value()
                continue
            for _ in cursor.items():
                entry = cursor.value()
                count += 1
                with well_formed(source, count):
                    yield from self._claims(entry)
        cursor.end()
        if head.get("count") != count:
            detail = f"{count} of {plain(str(head.get('count')))} entries; fetch again"
            raise Unusable(State.TRUNCATED, source, detail)
        return time_of(head.get("dateReleased"))

    def _claims(self, entry: dict[str, Any]) -> Iterator[Claim]:
        name, added = entry["cveID"], time_of(entry["dateAdded"])
        if not is_cve(name) or not added:
            raise ValueError(f"`{name!r:.40}` with the date `{entry['dateAdded']!r:.40}`")
        used = entry.get("knownRansomwareCampaignUse") == "Known"
        said: tuple[tuple[Field, str], ...] = (
            ("exploited", "yes"),
            ("kev_added", str(added)),
            ("kev_due", str(time_of(entry.get("dueDate")) or "")),
            ("kev_ransomware", "yes" if used else ""),
            ("vendor", plain(entry.get("vendorProject"))),
            ("product", plain(entry.get("product"))),
            ("title", plain(entry.get("vulnerabilityName"))),
            ("description", plain(entry.get("shortDescription"), TEXT)),
            ("cwe", together(entry.get("cwes") or ())),
        )
        for field, value in said:
            if value:
                yield Claim(self.channel, name, field, value, added)
