"""Advisories in the metadata of RPM repositories; the XML is hostile until it is read."""

from pathlib import Path

import pytest

from answerable.feeds.documents import elements, updates
from answerable.feeds.documents.repomd import REPOMD
from answerable.feeds.publication import time_of
from answerable.feeds.publications.updateinfo import Updateinfo
from answerable.feeds.source import State, Unusable
from tests.feeds.samples import REPOMD as INDEX
from tests.feeds.samples import UPDATEINFO, claims, ranges, read

ADAPTER = Updateinfo("updateinfo/rocky", "rocky:9")
BODY = UPDATEINFO.partition(b"?>\n")[2]


def _state(data: bytes, folder: Path) -> State:
    with pytest.raises(Unusable) as failure:
        read(ADAPTER, data, folder)
    return failure.value.state


def test_packages_of_a_security_update_are_ranges(tmp_path: Path) -> None:
    """One row for all architectures, an epoch of 0 unsaid, updates without a flaw passed over."""
    rows, published = read(ADAPTER, UPDATEINFO, tmp_path)
    assert published == time_of("2024-03-06")
    assert [(r.package, r.level, r.fixed, r.urgency) for r in ranges(rows)] == [
        ("curl", "binary", "1:7.76.1-29.el9", "high"),
        ("curl", "source", "1:7.76.1-29.el9", "high"),
        ("libcurl", "binary", "7.76.1-29.el9", "high"),
    ]
    assert {(r.advisory, r.cves, r.ecosystem) for r in ranges(rows)} == {
        ("RLSA-2024:1234", ("CVE-2024-0001",), "rocky:9")
    }
    assert claims(rows, "title") == ["Important: curl & more"]


@pytest.mark.parametrize(
    ("written", "second"),
    [("2024-03-05 00:00:00", 1_709_596_800), ("2024-03-05 00:00:00 UTC", 1_709_596_800),
     ("1709596800", 1_709_596_800), ("2018-01-11 21:05", 1_515_704_700), ("soon", 0)],
)  # fmt: skip
def test_times_are_read_as_each_publisher_writes_them(
    written: str, second: int, tmp_path: Path
) -> None:
    """SUSE counts seconds; Amazon leaves them out; what is no time is not known."""
    data = UPDATEINFO.replace(b"2024-03-05 00:00:00", written.encode())
    assert {r.published for r in ranges(read(ADAPTER, data, tmp_path)[0])} == {second}


def test_a_flaw_named_in_a_reference_s_title_counts(tmp_path: Path) -> None:
    """Fedora names flaws in the titles of bugs only."""
    bug = b'id="77" type="bugzilla" title="CVE-2024-0007 curl: it falls"'
    data = UPDATEINFO.replace(b'id="CVE-2024-0001" type="cve" title="x"', bug)
    assert ranges(read(ADAPTER, data, tmp_path)[0])[0].cves == ("CVE-2024-0007",)


LAUGHS = b"""<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;&lol;&lol;&lol;">]>"""
OUTSIDE = b"""<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>"""
ELSEWHERE = b"""<!DOCTYPE x SYSTEM "http://evil.example/x.dtd">"""


@pytest.mark.parametrize("doctype", [LAUGHS, OUTSIDE, ELSEWHERE, b"<!DOCTYPE updates>"])
def test_a_document_type_is_refused_before_anything_is_expanded(
    doctype: bytes, tmp_path: Path
) -> None:
    """Billion laughs, files of ours and addresses of others are never looked at."""
    assert _state(doctype + BODY.replace(b"It falls.", b"&e;&lol2;"), tmp_path) is State.MALFORMED


def test_an_undefined_entity_is_malformed(tmp_path: Path) -> None:
    """What nobody defined is not passed over."""
    assert _state(UPDATEINFO.replace(b"It falls.", b"&e;"), tmp_path) is State.MALFORMED


def test_depth_tags_and_packages_are_limited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither deep nor wide XML is held in memory."""
    deep = b"<updates>" + b"<a>" * 50
    assert _state(deep, tmp_path) is State.MALFORMED
    monkeypatch.setattr(updates, "PACKAGES", 2)
    assert _state(UPDATEINFO, tmp_path) is State.MALFORMED
    monkeypatch.setattr(elements, "TOKEN", 1 << 20)
    wide = b'<updates><update type="' + b"x" * (2 << 20)
    assert _state(wide, tmp_path) is State.OVERSIZED


def test_a_long_text_is_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A description of any length costs a fixed amount of memory."""
    monkeypatch.setattr(elements, "CHARACTERS", 4)
    assert claims(read(ADAPTER, UPDATEINFO, tmp_path)[0], "description") == ["It f"]


def test_a_repository_without_a_security_update_is_not_empty(tmp_path: Path) -> None:
    """It has updates, and says of none that it mends a flaw; without any it is empty."""
    quiet = UPDATEINFO.replace(b'type="security"', b'type="bugfix"').replace(b"CVE-2024", b"X")
    assert read(ADAPTER, quiet, tmp_path)[0] == []
    assert _state(b"<updates></updates>", tmp_path) is State.EMPTY
    assert _state(b"<repomd></repomd>", tmp_path) is State.MALFORMED


@pytest.mark.parametrize(
    ("old", "new"),
    [(b'name="curl"', b""), (b'version="7.76.1"', b'version=""'),
     (b"<id>RLSA-2024:1234</id>", b""), (b'release="29.el9"', b'release="2&#9;9"'),
     (b'version="7.76.1"', b'version="' + b"7" * 300 + b'"')],
)  # fmt: skip
def test_an_update_that_lacks_something_is_malformed(
    old: bytes, new: bytes, tmp_path: Path
) -> None:
    """A package without a name or version is not passed over."""
    assert _state(UPDATEINFO.replace(old, new, 1), tmp_path) is State.MALFORMED


def test_the_index_of_a_repository_names_it_with_its_hash(tmp_path: Path) -> None:
    """The hash that the index says is what the bytes must have."""
    index = tmp_path / "repomd.xml"
    index.write_bytes(INDEX)
    listing = ADAPTER.listing(index, "here")
    (listed,) = listing.documents
    assert (listed.path, listed.sha256) == ("repodata/u-updateinfo.xml.gz", "a" * 64)
    assert (listing.published, ADAPTER.index) == (1763683200, REPOMD)


@pytest.mark.parametrize(
    ("old", "new", "state"),
    [(b'type="updateinfo"', b'type="group"', State.MISSING),
     (b"repodata/u-", b"../../u-", State.MALFORMED),
     (b"repodata/u-", b"http://evil.example/u-", State.MALFORMED),
     (b"a" * 64, b"a" * 63, State.MALFORMED), (b"sha256", b"md5", State.MALFORMED),
     (b"</repomd>", b"", State.TRUNCATED), (b"<?xml", LAUGHS + b"<?xml", State.MALFORMED)],
)  # fmt: skip
def test_an_index_of_another_form_has_its_state(
    old: bytes, new: bytes, state: State, tmp_path: Path
) -> None:
    """It leads nowhere else, and a repository without advisories says so."""
    index = tmp_path / "repomd.xml"
    index.write_bytes(INDEX.replace(old, new))
    with pytest.raises(Unusable) as failure:
        ADAPTER.listing(index, "here")
    assert failure.value.state is state
