"""An archive in Ubuntu's form: other names, no end of validity, packages packed with Zstandard."""

from pathlib import Path

import pytest

from answerable.feeds.documents.blobs import Blobs
from answerable.feeds.documents.fetch import Folder
from answerable.feeds.facts import Advisory
from answerable.feeds.source import State, Unusable
from answerable.feeds.sources.debian import Debian, Suite
from tests.feeds.archive import DAY, NOW, Archive, entry

BASE, FIXED = "3.0.13-0ubuntu3", "3.0.13-0ubuntu3.4"


class Mirror(Archive):
    """Ubuntu's own: every pocket has the release's codename."""

    def publish(
        self, suite: str, date: int = NOW, valid_until: int = 0, *, by_hash: bool = True
    ) -> Path:
        """Write a pocket as Ubuntu does."""
        file = super().publish(suite, date, valid_until, by_hash=by_hash)
        text = file.read_text().partition("\n\n")[2].partition("-----BEGIN PGP SIGNATURE")[0]
        pocket = text.replace(f"Codename: {suite}", "Codename: noble")
        file.write_bytes(self.publisher.sign(f"Origin: Ubuntu\nVersion: 24.04\n{pocket}", date))
        return file

    def source(self, folder: Path) -> Debian:
        """Give the adapter that reads it."""
        fetch = Folder(self.root)
        pockets = (
            Suite("noble", fetch, "main", "amd64", 5_000 * DAY, base=True),
            Suite("noble-security", fetch, "main", "amd64", 10 * DAY),
        )
        return Debian("ubuntu:24.04", pockets, self.keyring(), Blobs(folder))


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    """A release of long ago, and a security update of yesterday."""
    mirror = Mirror(tmp_path / "mirror")
    log = entry("openssl", FIXED, "noble-security", "medium", "CVE-2026-0002") + entry(
        "openssl", BASE, "noble", "medium", "New release"
    )
    mirror.add("noble", "openssl", BASE, pack="zst")
    mirror.add("noble-security", "openssl", FIXED, changelog=log, pack="zst")
    mirror.publish("noble", NOW - 900 * DAY)
    mirror.publish("noble-security", NOW - DAY)
    return mirror


def test_its_signed_metadata_gives_facts(mirror: Mirror, tmp_path: Path) -> None:
    """The adapter of Debian reads Ubuntu's pockets, under Ubuntu's name."""
    found = mirror.source(tmp_path / "blobs").collect(["openssl"], NOW)
    (advisory,) = (fact for fact in found.facts if isinstance(fact, Advisory))
    assert (advisory.ecosystem, advisory.fixed) == ("ubuntu:24.04", FIXED)
    assert advisory.cves == ("CVE-2026-0002",)
    assert found.signed
    assert found.gaps == ()


def test_a_pocket_that_grows_old_is_stale_though_it_never_expires(
    mirror: Mirror, tmp_path: Path
) -> None:
    """Ubuntu says no end of validity, so our own limit is all there is against a frozen mirror."""
    with pytest.raises(Unusable) as failure:
        mirror.source(tmp_path / "blobs").collect(["openssl"], NOW + 30 * DAY)
    assert failure.value.state is State.STALE
