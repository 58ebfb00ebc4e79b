"""CISA's catalogue of known exploited vulnerabilities."""

import json
from pathlib import Path

import pytest

from answerable.feeds.publication import time_of
from answerable.feeds.publications.kev import PATH, Kev
from answerable.feeds.source import State, Unusable
from tests.feeds.samples import KEV, claims, read

CATALOGUE = json.loads(KEV)


def test_each_entry_says_that_its_flaw_is_exploited(tmp_path: Path) -> None:
    """Days become midnight UTC, and the catalogue's own date is the document's."""
    rows, published = read(Kev(), KEV, tmp_path)
    assert published == time_of("2026-11-20T17:04:19Z")
    assert claims(rows, "exploited") == ["yes"]
    assert claims(rows, "kev_added") == [str(time_of("2024-02-09"))]
    assert claims(rows, "kev_due") == [str(time_of("2024-02-16"))]
    assert claims(rows, "cwe") == ["CWE-20,CWE-787"]
    assert {row.said for row in rows if row.subject == "CVE-2021-0002"} == {time_of("2021-11-03")}  # type: ignore[union-attr]


def test_an_unknown_campaign_is_silence(tmp_path: Path) -> None:
    """`Unknown` is neither a yes nor a no."""
    rows, _ = read(Kev(), KEV, tmp_path)
    assert claims(rows, "kev_ransomware") == ["yes"]
    assert claims(rows, "kev_ransomware", "CVE-2021-0002") == []


@pytest.mark.parametrize("count", [0, 1, 3, None, "2", True])
def test_an_entry_that_was_taken_out_is_missed(count: object, tmp_path: Path) -> None:
    """A catalogue that lost entries on its way no longer has as many as it says."""
    with pytest.raises(Unusable) as failure:
        read(Kev(), json.dumps({**CATALOGUE, "count": count}).encode(), tmp_path)
    assert failure.value.state is State.TRUNCATED


@pytest.mark.parametrize("change", [{"cveID": "CVE-1"}, {"dateAdded": "soon"}, {"cwes": 7}])
def test_an_entry_of_another_form_makes_it_malformed(
    change: dict[str, object], tmp_path: Path
) -> None:
    """An entry that cannot be read is not passed over."""
    entries = [{**CATALOGUE["vulnerabilities"][0], **change}, CATALOGUE["vulnerabilities"][1]]
    with pytest.raises(Unusable) as failure:
        read(Kev(), json.dumps({**CATALOGUE, "vulnerabilities": entries}).encode(), tmp_path)
    assert failure.value.state is State.MALFORMED


def test_it_is_one_document(tmp_path: Path) -> None:
    """Its name is the publisher's, unless a mirror has another."""
    assert [d.path for d in Kev().listing(None, "").documents] == [PATH]
    assert [d.path for d in Kev("kev.json").listing(None, "").documents] == ["kev.json"]
