"""A distribution's archive, from its signature to the facts."""

from pathlib import Path

import pytest

from answerable.feeds.documents.blobs import Blobs
from answerable.feeds.documents.fetch import Folder
from answerable.feeds.facts import Advisory, Artefact
from answerable.feeds.source import Collected, State, Unusable
from answerable.feeds.sources.debian import Debian, Suite
from tests.feeds.archive import DAY, NOW, Archive, Publisher, entry

OLD, NEW = "3.0.20-1~deb12u2", "3.0.22-1~deb12u2"
LOG = entry("openssl", NEW, "bookworm-security", "high", "CVE-2026-0002") + entry(
    "openssl", "3.0.22-1~deb12u1", "bookworm-security", "medium", "CVE-2026-0001"
)


class Mirror(Archive):
    """An archive with a release and its security suite."""

    def suites(self, *, max_age: int = 30 * DAY) -> tuple[Suite, ...]:
        """Say where the two suites are."""
        fetch = Folder(self.root)
        return (
            Suite("bookworm", fetch, "main", "amd64", 900 * DAY, base=True),
            Suite("bookworm-security", fetch, "main", "amd64", max_age),
        )

    def source(self, folder: Path) -> Debian:
        """Give the adapter."""
        return Debian("debian:12", self.suites(), self.keyring(), Blobs(folder))


@pytest.fixture
def mirror(tmp_path: Path) -> Mirror:
    """A mirror: openssl has one pending security update, bash has none."""
    mirror = Mirror(tmp_path / "mirror")
    for package in ("openssl", "libssl3"):
        source = "openssl" if package != "openssl" else ""
        mirror.add("bookworm", package, OLD, source=source)
        log = LOG if package == "openssl" else None
        needs = f"libssl3 (= {NEW})" if package == "openssl" else "libc6 (>= 2.34)"
        mirror.add("bookworm-security", package, NEW, source=source, changelog=log, depends=needs)
    mirror.add("bookworm", "bash", "5.2-1", changelog=entry("bash", "5.2-1", "unstable", "low"))
    mirror.publish("bookworm", NOW - 100 * DAY)
    mirror.publish("bookworm-security", NOW - DAY, NOW + 6 * DAY)
    return mirror


def _split(found: Collected) -> tuple[list[Advisory], list[Artefact]]:
    advisories = [fact for fact in found.facts if isinstance(fact, Advisory)]
    return advisories, [fact for fact in found.facts if isinstance(fact, Artefact)]


def _state(source: Debian, now: int = NOW) -> State:
    with pytest.raises(Unusable) as failure:
        source.collect(["openssl"], now)
    return failure.value.state


def test_facts_come_from_index_and_changelog(mirror: Mirror, tmp_path: Path) -> None:
    """Each version is an artefact, each security entry an advisory for each package asked for."""
    source = mirror.source(tmp_path / "blobs")
    found = source.collect(["libssl3", "openssl"], NOW)
    advisories, artefacts = _split(found)
    assert {(a.package, a.version) for a in artefacts} == {
        (package, version) for package in ("openssl", "libssl3") for version in (OLD, NEW)
    }
    assert {(a.package, a.fixed, a.urgency, a.cves) for a in advisories} == {
        (package, fixed, urgency, (cve,))
        for package in ("openssl", "libssl3")
        for fixed, urgency, cve in (
            (NEW, "high", "CVE-2026-0002"),
            ("3.0.22-1~deb12u1", "medium", "CVE-2026-0001"),
        )
    }
    assert all(a.cvss == -1 and not a.exploited for a in advisories)
    assert [o.name for o in found.origins] == ["debian:12/bookworm", "debian:12/bookworm-security"]
    assert found.signed
    assert found.gaps == ()
    assert all(source.obtain(artefact) for artefact in artefacts)


def test_what_is_pending_is_computed(mirror: Mirror, tmp_path: Path) -> None:
    """A package is pending if a newer version is available than any host has."""
    source = mirror.source(tmp_path / "blobs")
    installed = {"openssl": [NEW], "libssl3": [OLD, NEW], "bash": ["5.2-1"], "ours": ["1"]}
    assert source.pending(installed, NOW) == ("libssl3",)


def test_a_package_asked_for_alone_finds_its_siblings_changelog(
    mirror: Mirror, tmp_path: Path
) -> None:
    """The changelog may lie in another package of the same source."""
    advisories, artefacts = _split(mirror.source(tmp_path / "blobs").collect(["libssl3"], NOW))
    assert len(advisories) == 2
    assert {a.package for a in advisories} == {a.package for a in artefacts} == {"libssl3"}


def test_what_comes_new_with_an_upgrade_is_an_artefact(mirror: Mirror, tmp_path: Path) -> None:
    """A kernel's image under a new name, and what that needs: nobody asked, and all is there."""
    signed = "linux-signed-amd64"
    for suite, number in (("bookworm", "50"), ("bookworm-security", "56")):
        source, image, version = f"{signed} ({number}+1)", f"linux-image-{number}", f"{number}-1"
        log = entry(signed, f"{number}+1", suite, "high", f"Sign kernel from linux {number}-1")
        for older in range(int(number), 48, -3):
            cve = f"CVE-2026-00{older}"
            log += entry("linux", f"{older}-1", "bookworm-security", "medium", cve)
        needs = f"{image} (= {version}), fixed | other"
        mirror.add(suite, "linux-image", version, source=source, depends=needs)
        more = {"depends": "tool-2 | any", "changelog": log}
        mirror.add(suite, image, version, source=source, **more)
        for small in range(4):
            mirror.add(suite, f"a{small}-{number}", version, source=source)
        mirror.add(suite, f"tool-{number[0]}", "1", depends="tool-2:any [amd64]")
    mirror.add("bookworm-security", "tool-2", "1")
    mirror.publish("bookworm", NOW - 100 * DAY)
    mirror.publish("bookworm-security", NOW - DAY, NOW + 6 * DAY)
    found = mirror.source(tmp_path / "blobs").collect(["linux-image", "linux-image-50"], NOW)
    advisories, artefacts = _split(found)
    assert {(a.package, a.version) for a in artefacts} == {
        ("linux-image", "50-1"), ("linux-image", "56-1"), ("linux-image-50", "50-1"),
        ("linux-image-56", "56-1"), ("tool-2", "1"),
    }  # fmt: skip
    assert {(a.package, a.id, a.fixed, a.cves) for a in advisories} == {
        ("linux-image", f"{signed}@56+1", "56-1", ()),
        ("linux-image", "linux@56-1", "56-1", ("CVE-2026-0056",)),
        ("linux-image", "linux@53-1", "53-1", ("CVE-2026-0053",)),
        ("linux-image", "linux@50-1", "50-1", ("CVE-2026-0050",)),
    }
    assert {r.package for r in found.relations} >= {"linux-image-56", "tool-2"}


def test_a_source_without_changelog_is_a_gap(mirror: Mirror, tmp_path: Path) -> None:
    """A package of which no fix can be stated is named, not passed over."""
    mirror.add("bookworm-security", "bash", "5.2-2")
    mirror.publish("bookworm-security", NOW - DAY)
    found = mirror.source(tmp_path / "blobs").collect(["bash"], NOW)
    assert _split(found)[0] == []
    assert [gap.package for gap in found.gaps] == ["bash"]


def test_a_package_with_versions_of_its_own_is_fixed_in_its_newest(tmp_path: Path) -> None:
    """Where binary and source are numbered apart, the changelog's numbers are not compared."""
    mirror = Mirror(tmp_path / "mirror")
    mirror.add("bookworm", "dmsetup", "2:1.02.185-2", source="lvm2 (2.03.16-2)")
    log = entry("lvm2", "2.03.16-2+deb12u1", "bookworm-security", "low", "CVE-2026-0001")
    newest = "2:1.02.185-2+deb12u1"
    source = "lvm2 (2.03.16-2+deb12u1)"
    mirror.add("bookworm-security", "dmsetup", newest, source=source, changelog=log)
    for suite in ("bookworm", "bookworm-security"):
        mirror.publish(suite, NOW - DAY)
    (advisory,) = _split(mirror.source(tmp_path / "blobs").collect(["dmsetup"], NOW))[0]
    assert (advisory.id, advisory.fixed) == ("lvm2@2.03.16-2+deb12u1", newest)


def test_a_rebuild_is_fixed_where_its_source_is(tmp_path: Path) -> None:
    """A rebuilt package keeps its source's numbers."""
    mirror = Mirror(tmp_path / "mirror")
    mirror.add("bookworm", "bash", "5.2-1+b1", source="bash (5.2-1)")
    log = entry("bash", "5.2-2", "bookworm-security", "low", "CVE-2026-0001")
    mirror.add("bookworm-security", "bash", "5.2-2+b3", source="bash (5.2-2)", changelog=log)
    for suite in ("bookworm", "bookworm-security"):
        mirror.publish(suite, NOW - DAY)
    (advisory,) = _split(mirror.source(tmp_path / "blobs").collect(["bash"], NOW))[0]
    assert advisory.fixed == "5.2-2"


def test_an_expired_or_stale_suite_gives_no_facts(mirror: Mirror, tmp_path: Path) -> None:
    """A frozen mirror cannot hide today's updates behind yesterday's signature."""
    source = mirror.source(tmp_path / "blobs")
    assert _state(source, NOW + 7 * DAY) is State.EXPIRED
    mirror.publish("bookworm-security", NOW - 31 * DAY)
    assert _state(source) is State.STALE


def test_a_suite_wound_back_gives_no_facts(mirror: Mirror, tmp_path: Path) -> None:
    """A release older than the last one seen is refused, by whoever has seen that one."""
    old = (mirror.root / "dists/bookworm-security/InRelease").read_bytes()
    source = mirror.source(tmp_path / "blobs")
    mirror.publish("bookworm-security", NOW)
    source.collect(["openssl"], NOW)
    (mirror.root / "dists/bookworm-security/InRelease").write_bytes(old)
    assert _state(source) is State.ROLLED_BACK
    assert mirror.source(tmp_path / "others").collect(["openssl"], NOW).facts


def test_an_index_is_taken_by_its_hash(mirror: Mirror, tmp_path: Path) -> None:
    """A mirror that is being updated gives the index that its release names, not the next one."""
    mirror.publish("bookworm-security", NOW - DAY, by_hash=True)
    folder = mirror.root / "dists/bookworm-security/main/binary-amd64"
    (folder / "Packages.xz").write_bytes(b"the next one")
    source = mirror.source(tmp_path / "blobs")
    assert source.pending({"openssl": [OLD]}, NOW) == ("openssl",)


def test_a_mirror_without_hashes_is_asked_by_name(mirror: Mirror, tmp_path: Path) -> None:
    """A plain copy of an archive lacks the files by hash, and serves all the same."""
    mirror.publish("bookworm-security", NOW - DAY, by_hash=True)
    folder = mirror.root / "dists/bookworm-security/main/binary-amd64/by-hash/SHA256"
    for file in folder.iterdir():
        file.unlink()
    source = mirror.source(tmp_path / "blobs")
    assert source.pending({"openssl": [OLD]}, NOW) == ("openssl",)


def test_another_suites_release_is_forgery(mirror: Mirror, tmp_path: Path) -> None:
    """A mirror cannot answer for the security suite with the release itself."""
    files = mirror.root / "dists"
    (files / "bookworm-security/InRelease").write_bytes((files / "bookworm/InRelease").read_bytes())
    assert _state(mirror.source(tmp_path / "blobs")) is State.FORGED


def test_another_publishers_release_is_forgery(mirror: Mirror, tmp_path: Path) -> None:
    """Whoever owns the mirror but not the key cannot say what is in the suite."""
    keyring = mirror.keyring()
    mirror.publisher = Publisher(seed=9)
    mirror.publish("bookworm-security", NOW - DAY)
    source = Debian("debian:12", mirror.suites(), keyring, Blobs(tmp_path / "blobs"))
    assert _state(source) is State.FORGED


def test_an_index_that_is_not_the_signed_one_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    """A swapped or cut index does not pass."""
    index = mirror.root / "dists/bookworm-security/main/binary-amd64/Packages.xz"
    whole = index.read_bytes()
    for data, state in (
        (whole[:-1], State.TRUNCATED),
        (bytes(len(whole)), State.FORGED),
        (whole + b"x", State.OVERSIZED),
    ):
        index.write_bytes(data)
        assert _state(mirror.source(tmp_path / "blobs")) is state


def test_a_package_that_is_not_the_indexed_one_is_refused(mirror: Mirror, tmp_path: Path) -> None:
    """The changelog of a swapped package is not read."""
    name = f"pool/main/openssl/openssl_{NEW}_amd64.deb"
    whole = (mirror.root / name).read_bytes()
    (mirror.root / name).write_bytes(bytes(len(whole)))
    assert _state(mirror.source(tmp_path / "blobs")) is State.FORGED
    (mirror.root / name).unlink()
    assert _state(mirror.source(tmp_path / "blobs")) is State.MISSING


def test_an_empty_suite_is_said(mirror: Mirror, tmp_path: Path) -> None:
    """A suite without a package is a state, never "nothing to patch"."""
    mirror.stanzas["bookworm-security"] = []
    mirror.publish("bookworm-security", NOW - DAY)
    assert _state(mirror.source(tmp_path / "blobs")) is State.EMPTY


def test_a_suite_that_is_not_there_is_missing(mirror: Mirror, tmp_path: Path) -> None:
    """A mirror without the suite is no mirror without updates."""
    (mirror.root / "dists/bookworm-security/InRelease").unlink()
    assert _state(mirror.source(tmp_path / "blobs")) is State.MISSING


def test_two_files_for_one_version_are_forgery(mirror: Mirror, tmp_path: Path) -> None:
    """Two suites that disagree about the bytes of a version are not both believed."""
    mirror.add("bookworm", "openssl", NEW, changelog="another")
    mirror.publish("bookworm", NOW - 100 * DAY)
    mirror.add("bookworm-security", "openssl", NEW, changelog=LOG)
    assert _state(mirror.source(tmp_path / "blobs")) is State.FORGED
