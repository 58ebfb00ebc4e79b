"""The publication `nvd`: NIST's National Vulnerability Database in the JSON of its API 2.0.

    https://nvd.nist.gov/feeds/json/cve/2.0/nvdcve-2.0-2024.json.gz       a year
    https://services.nvd.nist.gov/rest/json/cves/2.0?resultsPerPage=2000&startIndex=0

    {"resultsPerPage":2000,"startIndex":0,"totalResults":280000,"format":"NVD_CVE",
     "version":"2.0","timestamp":"2024-04-11T16:24:50.233","vulnerabilities":[{"cve":{
       "id":"CVE-2023-29483","published":"..","lastModified":"..","vulnStatus":"Analyzed",
       "cisaExploitAdd":"2023-08-01","cisaActionDue":"2023-08-22",
       "descriptions":[{"lang":"en","value":".."}],
       "metrics":{"cvssMetricV31":[{"source":"..","type":"Primary",
                                    "cvssData":{"vectorString":".."}}]},
       "weaknesses":[{"description":[{"lang":"en","value":"CWE-79"}]}],
       "configurations":[{"nodes":[{"cpeMatch":[{"criteria":"cpe:2.3:a:v:p:*..", ..}]}]}],
       "references":[{"url":"..","tags":["Exploit"]}]}},..]}

Rules: a document has as many flaws as it says, or it is `truncated`. Times without a zone are UTC.
With `api` the pages are listed from the answer for one flaw; the API allows few requests a minute,
so years are the better way for a whole copy.

Left out: `configurations` but for the first vendor and product (products are matched by their
distributors' and ecosystems' own names); API keys.
"""

from collections.abc import Iterable, Iterator
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

PAGE: Final = 2000
"""Flaws of one page of the API."""
FLAWS: Final = 10_000_000
"""Most flaws that a listing of pages may announce."""
_API = "cves/2.0?resultsPerPage={}&startIndex={}"
_METRICS = ("cvssMetricV40", "cvssMetricV31", "cvssMetricV30", "cvssMetricV2")
_LISTED = frozenset({"exploited", "kev_added", "kev_due"})
_COUNTS = ("resultsPerPage", "startIndex", "totalResults")
Json = Any
Said = tuple[Field, str]


def years(first: int, last: int) -> tuple[str, ...]:
    """Name the yearly files, such as `nvdcve-2.0-2024.json.gz`."""
    return tuple(f"nvdcve-2.0-{year}.json.gz" for year in range(first, last + 1))


@dataclass(frozen=True)
class Nvd:
    """The adapter.

    Args:
        files: their names below the place they are fetched from; none if there is an index.
        index: the API's first page (`Nvd.api()`), or empty.
    """

    files: tuple[str, ...]
    index: str = ""
    channel: str = "nvd"
    limit: int = 512 * MIB

    @classmethod
    def api(cls) -> "Nvd":
        """Read the API page by page."""
        return cls((), _API.format(1, 0))

    def listing(self, index: Path | None, source: str) -> Listing:
        """Name the documents, or the API's pages.

        Raises:
            Unusable: the first page cannot be used.
        """
        if index is None:
            return Listing(tuple(map(Listed, self.files)))
        head = _head(index, source)
        total = head.get("totalResults")
        if type(total) is not int or not 0 < total <= FLAWS:
            raise Unusable(State.MALFORMED, source, "it does not say how many flaws there are")
        pages = (_API.format(PAGE, start) for start in range(0, total, PAGE))
        return Listing(tuple(map(Listed, pages)), time_of(head.get("timestamp")))

    def read(self, file: Path, source: str) -> Reading:
        """Give what each flaw's record says.

        Raises:
            Unusable: see the port.
        """
        return filled(self._rows(file, source), source)

    def _rows(self, file: Path, source: str) -> Reading:
        cursor, head, count = Cursor(stream(file, source), source), dict[str, Json](), 0
        for key in cursor.entries():
            if key != "vulnerabilities":
                head[key] = cursor.value()
                continue
            for _ in cursor.items():
                record = cursor.value()
                count += 1
                with well_formed(source, count):
                    yield from self._claims(record["cve"])
        cursor.end()
        if head.get("format") != "NVD_CVE" or head.get("version") != "2.0":
            raise Unusable(State.MALFORMED, source, "no `NVD_CVE` of version `2.0`")
        _require_whole(head, count, source)
        return time_of(head.get("timestamp"))

    def _claims(self, cve: Json) -> Iterator[Claim]:
        name, modified = cve["id"], time_of(cve["lastModified"])
        if not is_cve(name):
            raise ValueError(f"`{name!r:.40}` is no flaw's name")
        added = time_of(cve.get("cisaExploitAdd"))
        for field, value in _said(cve, added):
            if value:
                said = added if field in _LISTED else modified
                yield Claim(self.channel, name, field, value, said)


def _head(file: Path, source: str) -> dict[str, Json]:
    cursor, head = Cursor(stream(file, source), source), dict[str, Json]()
    for key in cursor.entries():
        if key == "vulnerabilities":
            for _ in cursor.items():
                cursor.value()
        else:
            head[key] = cursor.value()
    return head


def _require_whole(head: dict[str, Json], count: int, source: str) -> None:
    page, start, total = (head.get(name) for name in _COUNTS)
    if type(page) is not int or type(start) is not int or type(total) is not int:
        raise Unusable(State.MALFORMED, source, "it does not say how many flaws it has")
    if count != min(page, total - start):
        raise Unusable(State.TRUNCATED, source, f"{count} of {page} flaws; fetch again")


def _said(cve: Json, added: int) -> Iterator[Said]:
    if cve.get("vulnStatus") == "Rejected":
        yield "rejected", "yes"
        return
    yield "published", str(time_of(cve.get("published")) or "")
    yield "description", _english(cve.get("descriptions") or ())
    if added:
        yield "exploited", "yes"
        yield "kev_added", str(added)
        yield "kev_due", str(time_of(cve.get("cisaActionDue")) or "")
    weak = [each for w in cve.get("weaknesses") or () for each in w.get("description") or ()]
    words = (str(each.get("value", "")) for each in weak)
    yield "cwe", together(each for each in words if each.startswith("CWE-"))
    references = cve.get("references") or ()
    yield "references", together(each.get("url") for each in references)
    yield "exploit", "yes" if any("Exploit" in (r.get("tags") or ()) for r in references) else ""
    for vector in _vectors(cve.get("metrics") or {}):
        yield "cvss", vector
    vendor, product = _product(cve.get("configurations") or ())
    yield "vendor", vendor
    yield "product", product


def _english(texts: Iterable[Json]) -> str:
    ours = [text for text in texts if text.get("lang") == "en"]
    return plain(ours[0].get("value"), TEXT) if ours else ""


def _vectors(metrics: Json) -> list[str]:
    every = (each for version in _METRICS for each in metrics.get(version) or ())
    return sorted({plain(each["cvssData"].get("vectorString")) for each in every})


def _product(configurations: Iterable[Json]) -> tuple[str, str]:
    for configuration in configurations:
        for node in configuration.get("nodes") or ():
            for match in node.get("cpeMatch") or ():
                parts = str(match.get("criteria", "")).split(":")
                if match.get("vulnerable") and len(parts) > 4:  # noqa: PLR2004  cpe:2.3:a:v:p
                    return plain(parts[3]), plain(parts[4])
    return "", ""
