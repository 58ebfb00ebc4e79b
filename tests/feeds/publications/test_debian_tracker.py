"""The Debian security tracker's JSON."""

import json
from pathlib import Path
from typing import Any

import pytest

from answerable.feeds.publications.debian_tracker import PATH, DebianTracker
from answerable.feeds.source import State, Unusable
from tests.feeds.samples import TRACKER, ranges, read

ADAPTER = DebianTracker()


def _one(entry: dict[str, Any], name: str = "bookworm") -> bytes:
    return json.dumps({"x": {"CVE-2024-0001": {"releases": {name: entry}}}}).encode()


def test_each_state_of_a_release_has_its_row(tmp_path: Path) -> None:
    """Fixed, never affected, open and end of life are told apart; undetermined is silence."""
    rows, published = read(ADAPTER, TRACKER, tmp_path)
    found = {r.ecosystem: (r.status, r.fixed, r.urgency, r.level) for r in ranges(rows)}
    assert published == 0
    assert found == {
        "debian:12": ("affected", "3.0.13-1~deb12u1", "high", "source"),
        "debian:13": ("not_affected", "", "low", "source"),
        "debian:11": ("affected", "", "unknown", "source"),
        "debian:10": ("end_of_life", "", "unknown", "source"),
    }


def test_a_flaw_without_a_cve_keeps_its_name(tmp_path: Path) -> None:
    """Temporary names are advisories about no CVE."""
    data = json.dumps({"x": {"TEMP-1-AA": {"releases": {"sid": {
        "status": "resolved", "fixed_version": "1-2", "urgency": "low"}}}}}).encode()  # fmt: skip
    (row,) = ranges(read(ADAPTER, data, tmp_path)[0])
    assert (row.advisory, row.cves, row.ecosystem) == ("TEMP-1-AA", (), "debian:sid")


@pytest.mark.parametrize(
    "entry",
    [
        {"status": "resolved"},
        {"status": "closed"},
        {},
        7,
        {"status": "resolved", "fixed_version": 7},
    ],
)
def test_a_state_that_we_do_not_know_is_not_passed_over(entry: Any, tmp_path: Path) -> None:  # noqa: ANN401
    """A new word of the tracker stops us instead of hiding a flaw."""
    with pytest.raises(Unusable, match="x/CVE-2024-0001") as failure:
        read(ADAPTER, _one(entry), tmp_path)
    assert failure.value.state is State.MALFORMED


def test_it_is_one_document() -> None:
    """Its name is the publisher's."""
    assert [d.path for d in ADAPTER.listing(None, "").documents] == [PATH]
