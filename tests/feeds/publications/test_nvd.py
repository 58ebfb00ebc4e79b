"""NIST's database in the JSON of its API 2.0."""

from pathlib import Path

import pytest

from answerable.feeds.publication import time_of
from answerable.feeds.publications.nvd import PAGE, Nvd, years
from answerable.feeds.source import State, Unusable
from tests.feeds.samples import FLAW, NVD, REJECTED, VECTOR, claims, nvd, read

ADAPTER = Nvd(("a",))


def test_a_flaw_s_record_is_said_claim_by_claim(tmp_path: Path) -> None:
    """Vectors of each version, weaknesses that are ones, English text, the first product."""
    rows, published = read(ADAPTER, NVD, tmp_path)
    assert published == time_of("2026-11-20T00:00:00Z")
    assert claims(rows, "cvss") == ["AV:N/AC:L/Au:N/C:P/I:P/A:P", VECTOR]
    assert claims(rows, "cwe") == ["CWE-79"]
    assert claims(rows, "description") == ["It falls."]
    assert claims(rows, "vendor") + claims(rows, "product") == ["acme", "anvil"]
    assert claims(rows, "references") == ["https://acme.example/a%2Cb"]
    assert claims(rows, "exploit") == ["yes"]


def test_what_it_repeats_of_cisa_is_said_at_cisa_s_time(tmp_path: Path) -> None:
    """So that an as-of join does not learn of an exploit before or after it was told."""
    rows, _ = read(ADAPTER, NVD, tmp_path)
    added = time_of("2024-02-09")
    assert claims(rows, "kev_added") == [str(added)]
    assert {r.said for r in rows if getattr(r, "field", "") == "exploited"} == {added}  # type: ignore[union-attr]


def test_a_rejected_flaw_says_that_and_nothing_else(tmp_path: Path) -> None:
    """Nothing that was said of it before still stands."""
    rows, _ = read(ADAPTER, NVD, tmp_path)
    said = [(r.field, r.value) for r in rows if getattr(r, "subject", "") == "CVE-2024-0009"]  # type: ignore[union-attr]
    assert said == [("rejected", "yes")]


@pytest.mark.parametrize("total", [3, 10])
def test_a_page_with_fewer_flaws_than_it_says_is_truncated(total: int, tmp_path: Path) -> None:
    """Records that were taken out are missed."""
    page = nvd(FLAW, REJECTED, total=total).replace(b'"resultsPerPage": 2', b'"resultsPerPage": 3')
    with pytest.raises(Unusable) as failure:
        read(ADAPTER, page, tmp_path)
    assert failure.value.state is State.TRUNCATED


def test_the_last_page_is_shorter(tmp_path: Path) -> None:
    """The rest of all flaws is what the last page has, whatever its size would be."""
    page = nvd(FLAW, start=4_000, total=4_001).replace(
        b'"resultsPerPage": 1', b'"resultsPerPage": 2000'
    )
    assert read(ADAPTER, page, tmp_path)[0]


@pytest.mark.parametrize(
    ("old", "new"),
    [(b"NVD_CVE", b"OTHER"), (b'"2.0"', b'"3.0"'), (b'"startIndex": 0', b'"startIndex": "0"'),
     (b"CVE-2024-0001", b"CVE-X"), (b'"lastModified"', b'"changed"'), (b'"cve": {', b'"x": {')],
)  # fmt: skip
def test_another_form_is_malformed(old: bytes, new: bytes, tmp_path: Path) -> None:
    """Neither another version of the format nor a record of another form is passed over."""
    with pytest.raises(Unusable) as failure:
        read(ADAPTER, NVD.replace(old, new, 1), tmp_path)
    assert failure.value.state is State.MALFORMED


def test_years_and_pages_are_listed(tmp_path: Path) -> None:
    """A copy by years has fixed names; the API's pages follow from its own total."""
    assert years(2024, 2025) == ("nvdcve-2.0-2024.json.gz", "nvdcve-2.0-2025.json.gz")
    assert len(Nvd(years(2002, 2026)).listing(None, "").documents) == 25
    index = tmp_path / "index"
    index.write_bytes(nvd(FLAW, total=2 * PAGE + 1))
    listing = Nvd.api().listing(index, "here")
    assert [d.path for d in listing.documents] == [
        f"cves/2.0?resultsPerPage={PAGE}&startIndex={start}" for start in (0, PAGE, 2 * PAGE)
    ]
    for total in (0, -1, 10**9):
        index.write_bytes(nvd(FLAW, total=total))
        with pytest.raises(Unusable):
            Nvd.api().listing(index, "here")
