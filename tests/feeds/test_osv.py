"""Advisories in the OSV format."""

import contextlib
import json
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.feeds.facts import Advisory
from answerable.feeds.osv import Osv
from answerable.feeds.source import LISTING, Collected, State, Unusable
from tests.feeds.fakes import MemoryFetch
from tests.feeds.mangle import mangled
from tests.feeds.real import FOLDER, needs_data

RECORD: dict[str, Any] = {
    "id": "PYSEC-1", "aliases": ["CVE-2024-0001", "GHSA-x"], "published": "2024-01-02T03:04:05Z",
    "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}],
    "affected": [{
        "package": {"ecosystem": "PyPI", "name": "flask"},
        "ranges": [
            {"type": "GIT", "events": [{"introduced": "0"}, {"fixed": "abcdef"}]},
            {"type": "ECOSYSTEM", "events": [
                {"introduced": "0"}, {"fixed": "1.1"}, {"introduced": "2.0"}, {"fixed": "2.3"}]},
        ],
    }],
}  # fmt: skip
LINE = json.dumps(RECORD).encode()


def _collect(data: bytes, package: str = "flask") -> Collected:
    return Osv(MemoryFetch({"all.jsonl": data}), "all.jsonl").collect([package], 0)


def _advisories(found: Collected) -> list[Advisory]:
    return [fact for fact in found.facts if isinstance(fact, Advisory)]


def test_each_range_gives_an_advisory_with_its_start() -> None:
    """Two ranges are two advisories; the second is known to begin at its own version."""
    found = _collect(LINE)
    first, second = _advisories(found)
    assert (first.fixed, second.fixed) == ("1.1", "2.3")
    assert (first.cves, first.cvss, first.urgency) == (("CVE-2024-0001",), 98, "critical")
    assert (first.published, first.exploited) == (1704164645, False)
    assert [(b.advisory, b.introduced) for b in found.bounds] == [(second.text, "2.0")]


def test_a_withdrawn_record_gives_nothing() -> None:
    """What its author took back is not a flaw."""
    data = json.dumps({**RECORD, "withdrawn": "2024-02-01T00:00:00Z"}).encode()
    assert _collect(data).facts == ()


def test_a_flaw_without_a_fix_is_a_gap() -> None:
    """A range that never ends is said, not dropped."""
    affected = {
        "package": {"ecosystem": "PyPI", "name": "flask"},
        "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}]}],
    }
    found = _collect(json.dumps({**RECORD, "affected": [affected]}).encode())
    assert found.facts == ()
    assert [gap.package for gap in found.gaps] == ["flask"]


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (b"", State.EMPTY),
        (b"\n\n", State.EMPTY),
        (b"[]", State.MALFORMED),
        (LINE + b"\n{", State.MALFORMED),
        (json.dumps({**RECORD, "affected": [7]}).encode(), State.MALFORMED),
        (json.dumps({**RECORD, "affected": 7}).encode(), State.MALFORMED),
    ],
)
def test_a_file_that_is_none_has_its_state(data: bytes, state: State) -> None:
    """Empty and damaged files are told apart, and neither is read as "no advisories"."""
    with pytest.raises(Unusable) as failure:
        _collect(data)
    assert failure.value.state is state


@pytest.mark.fuzz
@given(st.binary(max_size=300) | mangled(LINE))
def test_any_bytes_are_advisories_or_unusable(data: bytes) -> None:
    """Untrusted records cause `Unusable` and nothing else."""
    with contextlib.suppress(Unusable):
        _collect(data)


@needs_data
@pytest.mark.skipif(
    shutil.which("zstd") is None, reason="shared/data is absent in a form that can be unpacked"
)
def test_the_real_database_is_read_whole() -> None:
    """Every record of PyPA's own database is read, and what it says of one project is found."""
    file = FOLDER.parent / "osv_pypa.jsonl.zst"
    data = subprocess.run(["zstd", "-dc", str(file)], capture_output=True, check=True).stdout
    assert len(data) < LISTING
    packages = {
        affected["package"]["name"]
        for line in data.splitlines()
        for affected in json.loads(line).get("affected", ())
    }
    source = Osv(MemoryFetch({"all.jsonl": data}), "all.jsonl")
    found = source.collect(sorted(packages), 0)
    assert len(_advisories(found)) > 3000
    assert any("CVE-2019-10906" in f.cves for f in _advisories(found) if f.package == "jinja2")
