"""The publication `vulnrichment`: CVE records (JSON 5) with CISA's container: SSVC, KEV, CVSS, CWE.

    https://github.com/cisagov/vulnrichment/archive/refs/heads/develop.zip

    {"dataType":"CVE_RECORD","dataVersion":"5.1",
     "cveMetadata":{"cveId":"CVE-2024-7965","state":"PUBLISHED","assignerShortName":"Chrome",
                    "datePublished":"2024-08-21T20:20:23.368Z","dateUpdated":".."},
     "containers":{
       "cna":{"title":"..","descriptions":[{"lang":"en","value":".."}],
              "affected":[{"vendor":"Google","product":"Chrome",..}],
              "problemTypes":[{"descriptions":[{"cweId":"CWE-358",..}]}],
              "metrics":[{"cvssV3_1":{"vectorString":".."}}],
              "references":[{"url":"..","tags":["exploit"]}]},
       "adp":[{"providerMetadata":{"shortName":"CISA-ADP",..},"metrics":[
         {"other":{"type":"ssvc","content":{"timestamp":"..","options":[
           {"Exploitation":"none"},{"Automatable":"no"},{"Technical Impact":"total"}]}}},
         {"other":{"type":"kev","content":{"dateAdded":"2024-08-28"}}}]}]}}

A document is one record or an archive of them; of an archive only files named `CVE-..json` count.

Rules: of the containers beside the CNA's only that of `CISA-ADP` is read, since others may be added
to a record by anybody who is let in. SSVC says when it was decided; the rest counts from the
record's `dateUpdated`. A rejected record says that it is rejected and nothing else.

Left out: affected versions, which are in as many forms as there are CNAs.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from answerable.feeds.documents.values import named
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
from answerable.feeds.source import MIB

PATH: Final = "archive/refs/heads/develop.zip"
ADP: Final = "CISA-ADP"
_MEMBER = re.compile(r"(?:.*/)?CVE-\d{4}-\d{4,7}\.json")
_SSVC: dict[str, Field] = {
    "Exploitation": "ssvc_exploitation",
    "Automatable": "ssvc_automatable",
    "Technical Impact": "ssvc_technical_impact",
}
_METRICS = ("cvssV4_0", "cvssV3_1", "cvssV3_0", "cvssV2_0")
Json = Any
Said = tuple[Field, str, int]


@dataclass(frozen=True)
class Vulnrichment:
    """The adapter.

    Args:
        files: their names below the place they are fetched from.
    """

    files: tuple[str, ...] = (PATH,)
    channel: str = "vulnrichment"
    index: str = ""
    limit: int = 1024 * MIB

    def listing(self, index: Path | None, source: str) -> Listing:
        """Name the documents."""
        del index, source
        return Listing(tuple(map(Listed, self.files)))

    def read(self, file: Path, source: str) -> Reading:
        """Give what each record says.

        Raises:
            Unusable: see the port.
        """
        return filled(self._rows(file, source), source)

    def _rows(self, file: Path, source: str) -> Reading:
        newest = 0
        for member, record in named(file, source):
            if member and not _MEMBER.fullmatch(member):
                continue
            with well_formed(source, member or "the only one"):
                name, updated = record["cveMetadata"]["cveId"], _updated(record)
                if not is_cve(name):
                    raise ValueError(f"`{name!r:.40}` is no flaw's name")
                newest = max(newest, updated)
                for field, value, said in _said(record, updated):
                    if value:
                        yield Claim(self.channel, name, field, value, said)
        return newest


def _updated(record: Json) -> int:
    told = [record["cveMetadata"], *(a.get("providerMetadata", {}) for a in _adps(record))]
    return max(time_of(each.get("dateUpdated")) for each in told)


def _adps(record: Json) -> list[Json]:
    every = record["containers"].get("adp") or ()
    return [a for a in every if a.get("providerMetadata", {}).get("shortName") == ADP]


def _said(record: Json, updated: int) -> Iterator[Said]:
    meta = record["cveMetadata"]
    if meta["state"] == "REJECTED":
        yield "rejected", "yes", updated
        return
    cna, adps = record["containers"]["cna"], _adps(record)
    both = (cna, *adps)
    published = time_of(meta.get("datePublished"))
    yield "published", str(published or ""), updated
    yield "cna", plain(meta.get("assignerShortName")), updated
    yield "title", plain(cna.get("title")), updated
    yield "description", _english(cna.get("descriptions") or ()), updated
    product: Json = next(iter(cna.get("affected") or ()), {})
    yield "vendor", plain(product.get("vendor")), updated
    yield "product", plain(product.get("product")), updated
    yield "cwe", together(_cwes(both)), updated
    references = [each for box in both for each in box.get("references") or ()]
    yield "references", together(each.get("url") for each in references), updated
    exploit = any("exploit" in (each.get("tags") or ()) for each in references)
    yield "exploit", "yes" if exploit else "", updated
    for vector in _vectors(both):
        yield "cvss", vector, updated
    for adp in adps:
        yield from _decided(adp, updated)


def _english(texts: Iterable[Json]) -> str:
    ours = [text for text in texts if str(text.get("lang", "")).lower().startswith("en")]
    return plain(ours[0].get("value"), TEXT) if ours else ""


def _cwes(boxes: Iterable[Json]) -> Iterator[str]:
    for box in boxes:
        for problem in box.get("problemTypes") or ():
            for each in problem.get("descriptions") or ():
                if str(each.get("cweId", "")).startswith("CWE-"):
                    yield each["cweId"]


def _vectors(boxes: Iterable[Json]) -> list[str]:
    found = {
        plain(metric[version].get("vectorString"))
        for box in boxes
        for metric in box.get("metrics") or ()
        for version in _METRICS
        if version in metric
    }
    return sorted(found)


def _decided(adp: Json, updated: int) -> Iterator[Said]:
    for metric in adp.get("metrics") or ():
        other = metric.get("other") or {}
        content = other.get("content") or {}
        if other.get("type") == "ssvc":
            when = time_of(content.get("timestamp")) or updated
            for option in content.get("options") or ():
                for point, value in option.items():
                    if point in _SSVC:
                        yield _SSVC[point], plain(value).lower(), when
        elif other.get("type") == "kev":
            added = time_of(content.get("dateAdded"))
            yield "exploited", "yes", added or updated
            yield "kev_added", str(added or ""), added or updated
