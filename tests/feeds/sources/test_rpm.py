"""RPM repositories, from the signature of their index to the facts."""

import contextlib
import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answerable.feeds.attest import Agreed, Disagreed, Own, attest
from answerable.feeds.candidate import Candidate, propose
from answerable.feeds.documents.blobs import Blobs
from answerable.feeds.documents.fetch import Folder
from answerable.feeds.facts import Advisory, Artefact
from answerable.feeds.source import AHEAD, Collected, State, Unusable
from answerable.feeds.sources.rpm import Repository, Rpm
from tests.feeds import repository
from tests.feeds.archive import DAY, NOW, Publisher
from tests.feeds.mangle import mangled

OLD, NEW = "7.76.1-26.el9", "7.76.1-29.el9"
LIB = "libcurl.so.4()(64bit)"
ASKED = ("curl", "libcurl")
FLAWS = ("CVE-2026-0001", "CVE-2026-0002")


def base(root: Path, pack: str = "gz") -> repository.Repository:
    """A repository with two versions of curl and its library, and what was said about them."""
    made = repository.Repository(root, pack=pack)
    for version in (OLD, NEW):
        needs = (LIB, f"libcurl(x86-64) EQ {version}", "rpmlib(X) LE 4.0-1", "/bin/sh", "(a if b)")
        gives = (LIB, f"libcurl(x86-64) EQ {version}")
        made.add("curl", version, requires=needs, files=("/usr/bin/curl",))
        made.add(
            "libcurl", version, source="curl", provides=gives, requires=("libc.so.6()(64bit)",)
        )
    made.add("libcurl", NEW, source="curl", arch="i686")
    made.add("bash", "5.1.8-9.el9", files=("/bin/sh",), arch="noarch")
    made.update("RLSA-2026:1", f"curl {NEW}", f"libcurl {NEW}", cves=FLAWS)
    made.update("RLSA-2026:1", f"libcurl {NEW}", cves=FLAWS, arch="aarch64")
    made.update("RLBA-2026:2", "curl 7.76.1-27.el9", kind="bugfix")
    made.publish(NOW - DAY)
    return made


def source(made: repository.Repository, blobs: Path, *, max_age: int = 30 * DAY) -> Rpm:
    """Give the adapter over one repository."""
    own = Repository("baseos", Folder(made.root), made.keyring(), max_age)
    return Rpm("rocky:9", (own,), "x86_64", Blobs(blobs))


def _split(found: Collected) -> tuple[list[Advisory], list[Artefact]]:
    advisories = [fact for fact in found.facts if isinstance(fact, Advisory)]
    return advisories, [fact for fact in found.facts if isinstance(fact, Artefact)]


def _state(adapter: Rpm, now: int = NOW) -> State:
    with pytest.raises(Unusable) as failure:
        adapter.collect(ASKED, now)
    return failure.value.state


@pytest.mark.parametrize("pack", ["gz", "xz", "zst", ""])
def test_facts_come_from_packages_and_updates(pack: str, tmp_path: Path) -> None:
    """Each version is an artefact, each security update an advisory for each package of it."""
    adapter = source(base(tmp_path / "mirror", pack), tmp_path / "blobs")
    found = adapter.collect(ASKED, NOW)
    advisories, artefacts = _split(found)
    assert {(a.package, a.version, a.arch, a.source) for a in artefacts} == {
        (package, version, "x86_64", "curl") for package in ASKED for version in (OLD, NEW)
    }
    assert {(a.id, a.package, a.fixed, a.urgency, a.cves) for a in advisories} == {
        ("curl@RLSA-2026:1", package, NEW, "high", FLAWS) for package in ASKED
    }
    assert all(a.published and a.cvss == -1 and not a.exploited for a in advisories)
    assert [(o.name, o.published) for o in found.origins] == [("rocky:9/baseos", NOW - DAY)]
    assert (found.signed, found.gaps) == (True, ())
    for artefact in artefacts:
        file = adapter.obtain(artefact)
        assert file
        assert hashlib.sha256(file.read_bytes()).hexdigest() == artefact.sha256


def test_requirements_become_needs_of_packages(tmp_path: Path) -> None:
    """A library, a file and an exact version lead to the packages that provide them."""
    found = source(base(tmp_path / "mirror"), tmp_path / "blobs").collect(ASKED, NOW)
    needs = {(r.package, r.version): r.needs for r in found.relations}
    assert needs["curl", NEW] == (
        f"libcurl (>= {OLD})", f"libcurl (= {NEW})", "bash (>= 5.1.8-9.el9)",
    )  # fmt: skip
    assert needs["libcurl", NEW] == ()


def test_what_is_pending_is_computed(tmp_path: Path) -> None:
    """A package is pending if a newer version is there than any host has; odd ones are passed."""
    adapter = source(base(tmp_path / "mirror"), tmp_path / "blobs")
    installed = {"curl": [NEW], "libcurl": [OLD, NEW], "bash": ["5.1.8-9.el9"], "ours": ["1-1"]}
    assert adapter.pending(installed, NOW) == ("libcurl",)
    assert adapter.pending({"curl": ["no version!"]}, NOW) == ()


def test_modules_and_kernels_are_gaps(tmp_path: Path) -> None:
    """No artefact of a module stream or of what is kept side by side, and both are said."""
    made = base(tmp_path / "mirror")
    stream = "16.20-1.module+el9.1+9+0a"
    made.add("nodejs", stream)
    made.update("RLSA-2026:3", f"nodejs {stream}", cves=["CVE-2026-0003"])
    made.add("kernel-core", "5.14.0-2.el9", provides=("installonlypkg(kernel)",))
    made.update("RLSA-2026:4", "kernel-core 5.14.0-2.el9", cves=["CVE-2026-0004"])
    made.publish(NOW)
    found = source(made, tmp_path / "blobs").collect(("kernel-core", "nodejs"), NOW)
    assert [fact.package for fact in found.facts] == ["kernel-core"]
    assert isinstance(found.facts[0], Advisory)
    assert {gap.package for gap in found.gaps} == {"kernel-core", "nodejs"}


def test_a_kernel_provides_more_than_is_kept(tmp_path: Path) -> None:
    """CentOS Stream's kernel provides some tens of thousands of symbols; few of them matter."""
    made = base(tmp_path / "mirror")
    symbols = [f"kernel(symbol{number}) EQ 0x{number:08x}" for number in range(30_000)]
    made.add("kernel-core", "5.14.0-2.el9", provides=(*symbols, "installonlypkg(kernel)"))
    made.publish(NOW)
    found = source(made, tmp_path / "blobs").collect(("curl", "kernel-core"), NOW)
    assert {gap.package for gap in found.gaps} == {"kernel-core"}


def test_a_retracted_update_is_neither_advisory_nor_artefact(tmp_path: Path) -> None:
    """A publisher takes a broken update back; nobody is led to it."""
    made = base(tmp_path / "mirror")
    made.add("curl", "7.76.1-30.el9")
    made.update("SUSE-1", "curl 7.76.1-30.el9", cves=FLAWS, status="retracted")
    made.publish(NOW)
    advisories, artefacts = _split(source(made, tmp_path / "blobs").collect(["curl"], NOW))
    assert {a.version for a in artefacts} == {OLD, NEW}
    assert {a.fixed for a in advisories} == {NEW}


def test_a_repository_without_a_signature_is_unsigned(tmp_path: Path) -> None:
    """TLS says where it came from, not that it is whole: it is never used."""
    made = base(tmp_path / "mirror")
    (made.root / "repodata/repomd.xml.asc").unlink()
    assert _state(source(made, tmp_path / "blobs")) is State.UNSIGNED


def test_another_key_or_a_weak_hash_is_forgery(tmp_path: Path) -> None:
    """Whoever owns the mirror but not the key cannot say what is in it."""
    made = base(tmp_path / "mirror")
    adapter = source(made, tmp_path / "blobs")
    made.publisher = Publisher(seed=9)
    made.sign()
    assert _state(adapter) is State.FORGED
    data = (made.root / "repodata/repomd.xml").read_bytes()
    weak = Publisher().detached(data, NOW, digest=2)
    (made.root / "repodata/repomd.xml.asc").write_bytes(weak)
    assert _state(adapter) is State.FORGED


def test_a_text_signed_inline_is_no_signature_of_the_index(tmp_path: Path) -> None:
    """Any text that the key ever signed must not stand for the index."""
    made = base(tmp_path / "mirror")
    signed = made.publisher.sign("Any other text\n", NOW)
    (made.root / "repodata/repomd.xml.asc").write_bytes(signed)
    assert _state(source(made, tmp_path / "blobs")) in (State.MALFORMED, State.FORGED)


def test_a_frozen_postdated_or_wound_back_index_gives_no_facts(tmp_path: Path) -> None:
    """Nobody hides today's updates behind yesterday's signature."""
    made = base(tmp_path / "mirror")
    adapter = source(made, tmp_path / "blobs")
    folder = made.root / "repodata"
    old = {name: (folder / name).read_bytes() for name in ("repomd.xml", "repomd.xml.asc")}
    assert _state(adapter, NOW + 30 * DAY) is State.STALE
    assert _state(adapter, NOW - DAY - AHEAD - 1) is State.POSTDATED
    made.publish(NOW)
    assert adapter.collect(ASKED, NOW).facts
    for name, data in old.items():
        (folder / name).write_bytes(data)
    assert _state(adapter) is State.ROLLED_BACK


def test_a_revision_that_is_no_time_leaves_the_documents_dates(tmp_path: Path) -> None:
    """Some publishers write the release's number there."""
    made = base(tmp_path / "mirror")
    made.publish(NOW - 2 * DAY, revision="9.4")
    found = source(made, tmp_path / "blobs").collect(ASKED, NOW)
    assert found.origins[0].published == NOW - 2 * DAY


def test_the_same_index_for_two_repositories_is_forgery(tmp_path: Path) -> None:
    """A mirror cannot answer for the updates with the release itself."""
    made = base(tmp_path / "mirror")
    one = source(made, tmp_path / "blobs").repositories[0]
    two = Repository("updates", one.fetch, one.keyring, one.max_age)
    adapter = Rpm("rocky:9", (one, two), "x86_64", Blobs(tmp_path / "blobs"))
    assert _state(adapter) is State.FORGED


@pytest.mark.parametrize("kind", ["primary", "updateinfo"])
def test_documents_are_those_that_the_index_names(kind: str, tmp_path: Path) -> None:
    """Neither mixed with another day's, nor cut, nor without end."""
    made = base(tmp_path / "mirror")
    (file,) = (made.root / "repodata").glob(f"*-{kind}.xml.gz")
    whole = file.read_bytes()
    for data, state in (
        (whole[:-1], State.TRUNCATED), (bytes(len(whole)), State.FORGED),
        (whole + b"x", State.OVERSIZED), (None, State.MISSING),
    ):  # fmt: skip
        file.unlink()
        if data is not None:
            file.write_bytes(data)
        assert _state(source(made, tmp_path / "blobs")) is state
        file.write_bytes(whole)
    assert source(made, tmp_path / "blobs").collect(ASKED, NOW).facts


def _index(old: str, new: str) -> Callable[[repository.Repository], None]:
    def change(made: repository.Repository) -> None:
        file = made.root / "repodata/repomd.xml"
        file.write_text(file.read_text().replace(old, new))
        made.sign()

    return change


def _packages(old: str, new: str) -> Callable[[repository.Repository], None]:
    def change(made: repository.Repository) -> None:
        made.packages = [each.replace(old, new) for each in made.packages]
        made.publish(NOW)

    return change


def _updates(old: str, new: str) -> Callable[[repository.Repository], None]:
    def change(made: repository.Repository) -> None:
        made.updates = [each.replace(old, new) for each in made.updates]
        made.publish(NOW)

    return change


DOCTYPE = '<!DOCTYPE x [<!ENTITY e "e">]><repomd'


@pytest.mark.parametrize(
    ("change", "state"),
    [
        (_index("<repomd", DOCTYPE), State.MALFORMED),
        (_index("</repomd>", ""), State.TRUNCATED),
        (_index('"sha256"', '"sha512"'), State.MALFORMED),
        (_index("repodata/", "../repodata/"), State.MALFORMED),
        (_index('type="primary"', 'type="other"'), State.MALFORMED),
        (_index('type="updateinfo"', 'type="other"'), State.MISSING),
        (_index("<open-size>", "<open-size>1</open-size><open-size>9999999"), State.OVERSIZED),
        (_index("<open-size>", "<open-size>9</open-size><ignored>"), State.MALFORMED),
        (_packages('type="sha256"', 'type="sha512"'), State.MALFORMED),
        (_packages('href="', 'href="/'), State.MALFORMED),
        (_packages("<arch>", "<ark>"), State.MALFORMED),
        (_packages('package="', 'package="x'), State.MALFORMED),
        (_packages('ver="7', 'ver="7 &lt;'), State.MALFORMED),
        (_packages("<package ", "<other "), State.MALFORMED),
        (lambda made: (made.packages.clear(), made.publish(NOW)), State.EMPTY),
        (_updates("RLSA-2026:1", "RLSA 2026:1"), State.MALFORMED),
        (_updates("<id>RLSA-2026:1</id>", ""), State.MALFORMED),
        (_updates('version="7.76.1"', 'version="7 7"'), State.MALFORMED),
    ],
)
def test_a_document_of_another_form_has_its_state(
    change: Callable[[repository.Repository], object], state: State, tmp_path: Path
) -> None:
    """What its publisher signed and nobody can read whole is not read in part."""
    made = base(tmp_path / "mirror")
    change(made)
    assert _state(source(made, tmp_path / "blobs")) is state


def test_a_list_that_unpacks_to_more_than_the_index_says_is_refused(tmp_path: Path) -> None:
    """Endless data ends at the limit that was signed."""
    made = base(tmp_path / "mirror")
    size = f"<open-size>{len(made.primary())}<"
    _index(size, "<open-size>100<")(made)
    assert _state(source(made, tmp_path / "blobs")) is State.OVERSIZED


def test_a_publisher_may_drop_its_own_word(tmp_path: Path) -> None:
    """A later update replaces an earlier one, whose advisory goes: guards agree to that."""
    made = base(tmp_path / "mirror")
    standing = propose("rocky", [source(made, tmp_path / "blobs")], ASKED, NOW)
    assert isinstance(standing, Candidate)
    made.updates.clear()
    made.update("RLSA-2026:9", f"curl {NEW}", cves=FLAWS)
    made.publish(NOW)
    later = propose("rocky", [source(made, tmp_path / "blobs")], ASKED, NOW)
    assert isinstance(later, Candidate)
    guard = source(made, tmp_path / "guard")
    assert isinstance(attest(later, [guard], NOW, Own(standing=standing)), Agreed)
    assert isinstance(attest(standing, [guard], NOW), Disagreed)


def test_another_keys_package_of_the_same_name_is_not_read(tmp_path: Path) -> None:
    """A vendor of one tool cannot replace the distribution's packages, nor speak of them."""
    made = base(tmp_path / "mirror")
    vendor = repository.Repository(tmp_path / "vendor", Publisher(seed=3))
    for name in ("curl", "vendors-tool"):
        vendor.add(name, "99-1")
        vendor.update(f"V-{name}", f"{name} 99-1", cves=["CVE-2026-0666"], severity="Critical")
    vendor.update("V-2", f"curl {NEW}", cves=[], status="retracted")
    vendor.publish(NOW)
    own = source(made, tmp_path / "blobs").repositories[0]
    theirs = Repository("vendor", Folder(vendor.root), vendor.keyring(), DAY)
    adapter = Rpm("rocky:9", (own, theirs), "x86_64", Blobs(tmp_path / "blobs"))
    advisories, artefacts = _split(adapter.collect(("curl", "vendors-tool"), NOW))
    assert {(a.package, a.version) for a in artefacts} == {
        ("curl", OLD), ("curl", NEW), ("vendors-tool", "99-1"),
    }  # fmt: skip
    assert {a.id for a in advisories} == {"curl@RLSA-2026:1", "vendors-tool@V-vendors-tool"}
    assert adapter.pending({"curl": [NEW]}, NOW) == ()


def test_an_rpm_that_is_another_is_refused_and_one_elsewhere_found(tmp_path: Path) -> None:
    """All repositories are asked for an artefact; only its own bytes are it."""
    made, other = base(tmp_path / "mirror"), repository.Repository(tmp_path / "other")
    other.add("vim", "9-1")
    other.publish(NOW - 2 * DAY)
    one = source(other, tmp_path / "blobs").repositories[0]
    two = source(made, tmp_path / "blobs").repositories[0]
    adapter = Rpm(
        "rocky:9", (Repository("other", *_rest(one)), two), "x86_64", Blobs(tmp_path / "b")
    )
    artefact = _split(adapter.collect(["bash"], NOW))[1][0]
    assert adapter.obtain(artefact)
    later = Rpm("rocky:9", adapter.repositories, "x86_64", Blobs(tmp_path / "c"))
    (made.root / artefact.path).write_bytes(b"x" * artefact.size)
    with pytest.raises(Unusable) as failure:
        later.obtain(artefact)
    assert failure.value.state is State.FORGED


def _rest(one: Repository) -> tuple[Folder, Path, int]:
    assert isinstance(one.fetch, Folder)
    return one.fetch, one.keyring, one.max_age


@pytest.mark.fuzz
@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_an_index_cut_or_changed_is_never_read_as_another(
    data: st.DataObject, tmp_path: Path
) -> None:
    """Damage to the index or its signature ends in a named state, or changes nothing."""
    made = base(tmp_path / "mirror")
    known = source(made, tmp_path / "blobs").collect(ASKED, NOW).facts
    name = data.draw(st.sampled_from(["repomd.xml", "repomd.xml.asc"]))
    file = made.root / "repodata" / name
    file.write_bytes(data.draw(mangled(file.read_bytes())))
    with contextlib.suppress(Unusable):
        assert source(made, tmp_path / "blobs").collect(ASKED, NOW).facts == known
