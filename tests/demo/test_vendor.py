"""The demo's vendor publishes what any third party would, and parties read it like any archive."""

import subprocess
from pathlib import Path

from answerable.demo import vendor
from answerable.feeds.documents.blobs import Blobs
from answerable.feeds.documents.fetch import Folder
from answerable.feeds.facts import Advisory, Artefact
from answerable.feeds.sources.debian import Debian, Suite

NOW = 1_795_300_000


def test_archive_is_read_like_any_other(tmp_path: Path) -> None:
    """Signed by the vendor's key: every package in both versions, one urgent advisory each."""
    root = tmp_path / "vendor"
    vendor.publish(root, "amd64", NOW)
    suites = tuple(
        Suite(name, Folder(root), "main", "amd64", 86_400, base=name == vendor.SUITE)
        for name in vendor.SUITES
    )
    feed = Debian("debian:12", suites, root / vendor.KEYRING, Blobs(tmp_path / "blobs"))
    old = {name: [vendor.OLD] for name in vendor.PACKAGES}
    assert feed.pending(old, NOW) == vendor.PACKAGES
    facts = feed.collect(vendor.PACKAGES, NOW).facts
    artefacts = {(f.package, f.version) for f in facts if isinstance(f, Artefact)}
    assert artefacts == {(n, v) for n in vendor.PACKAGES for v in (vendor.OLD, vendor.NEW)}
    advisories = [f for f in facts if isinstance(f, Advisory)]
    assert {(f.package, f.fixed, f.urgency) for f in advisories} == {
        (name, vendor.NEW, "high") for name in vendor.PACKAGES
    }
    assert all(f.cves == () for f in advisories)
    listed = subprocess.run(
        ["dpkg-deb", "--contents", str(vendor.deb(root, vendor.HELPER, vendor.NEW))],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert any(row.startswith("-rwsr-xr-x") and vendor.SETUID in row for row in listed.split("\n"))
    assert len(vendor.ACTS) == 15
