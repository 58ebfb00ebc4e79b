"""Facts out of changelogs: what is stated, and nothing besides."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.feeds.sources.changelog import advisories, entries
from tests.feeds.archive import entry
from tests.feeds.mangle import mangled

LOG = (
    entry("openssl", "3.0.22-1~deb12u2", "bookworm-security", "high", "CVE-2026-84782 (b)",
          "CVE-2026-35189 (a), CVE-2026-35189")
    + entry("openssl", "3.0.22-1~deb12u1", "bookworm-security", "medium", "Rebuild")
    + entry("openssl", "3.0.20-1~deb12u1", "bookworm", "medium", "Import 3.0.20")
    + entry("openssl", "3.0.19-1", "unstable", "medium", "CVE-2025-0001")
    + entry("openssl", "3.0.18-1~deb12u1", "bookworm-security", "high", "CVE-2024-0001")
).encode()  # fmt: skip


def test_entries_state_version_urgency_flaws_and_date() -> None:
    """Each entry gives what its uploader wrote."""
    first = next(entries(LOG))
    assert (first.version, first.suites) == ("3.0.22-1~deb12u2", ("bookworm-security",))
    assert (first.urgency, first.cves) == ("high", ("CVE-2026-35189", "CVE-2026-84782"))
    assert first.published == 1795172400


def test_only_this_releases_entries_count() -> None:
    """Reading stops where the release's own work began, even if an older entry would fit."""
    found = advisories(LOG, "openssl", "bookworm", "3.0.20-1~deb12u1")
    assert [e.version for e in found] == ["3.0.22-1~deb12u2", "3.0.22-1~deb12u1"]


def test_an_entry_newer_than_the_release_counts_whatever_its_suite() -> None:
    """A version above the release's own is an update, however its suite is called."""
    log = entry("xy", "2", "noble-proposed", "low", "CVE-2026-0001").encode()
    assert [e.version for e in advisories(log, "xy", "bookworm", "1")] == ["2"]
    assert advisories(log, "xy", "bookworm", "3") == []
    assert advisories(log, "xy", "bookworm", None) == []


def test_an_entry_without_flaw_in_an_ordinary_suite_is_no_advisory() -> None:
    """A stable update for another reason is not called a security fix."""
    log = entry("xy", "2", "bookworm", "high", "New upstream release").encode()
    assert advisories(log, "xy", "bookworm", "1") == []


def test_another_packages_changelog_is_not_read() -> None:
    """A changelog that speaks of another source says nothing about this one."""
    assert advisories(LOG, "nginx", "bookworm", "1") == []


@pytest.mark.parametrize(
    ("word", "urgency"),
    [("emergency", "critical"), ("CRITICAL", "critical"), ("low", "low"), ("soon", "unknown")],
)
def test_urgency_is_the_uploaders_word_or_unknown(word: str, urgency: str) -> None:
    """An unknown word is not guessed."""
    assert next(entries(entry("xy", "1", "bookworm", word, "y").encode())).urgency == urgency


def test_an_unreadable_date_is_absent() -> None:
    """A date that is none is 0, and the entry still counts."""
    log = entry("xy", "1", "bookworm", "low", "y").replace("20 Nov 2026", "31 Feb 2026")
    assert next(entries(log.encode())).published == 0


@pytest.mark.fuzz
@given(st.binary(max_size=800) | mangled(LOG))
def test_any_bytes_are_read_as_far_as_they_are_understood(data: bytes) -> None:
    """Untrusted changelogs cause no failure at all, and never a flaw that they do not name."""
    for found in advisories(data, "openssl", "bookworm", "3.0.20-1~deb12u1"):
        assert all(cve.encode() in data for cve in found.cves)
