"""Hosts of the RPM family are planned as any: from a repository's signed index to their orders."""

from pathlib import Path

import pytest

from answerable.changes.plan import Plan
from answerable.changes.rehearse import Rehearsed
from answerable.exposure.match import Known, Snapshot
from answerable.feeds.candidate import Candidate, propose
from answerable.inventory.installed import Installed, Inventory
from tests.changes.planning import escalated, plan
from tests.feeds.archive import NOW
from tests.feeds.repository import Repository
from tests.feeds.sources.test_rpm import FLAWS, NEW, OLD, base, source

EPOCH = "1:2.0-3.el9"


def installed(package: str, version: str, *, source: str = "", arch: str = "x86_64") -> Installed:
    """Give a package as it is on a host."""
    return Installed("rocky:9", package, version, arch, source or package)


CURL = (installed("curl", OLD), installed("libcurl", OLD, source="curl"))
BASH = installed("bash", "5.1.8-9.el9", arch="noarch")


def known(made: Repository, blobs: Path, *asked: str) -> Known:
    """Release what a repository says."""
    made.publish(NOW)
    found = propose("rocky", [source(made, blobs)], asked, NOW)
    assert isinstance(found, Candidate), found
    return Known([Snapshot("ab" * 32, found)])


def _made(facts: Known, *packages: Installed) -> Plan:
    def rehearse(asked: object) -> dict[str, list[Rehearsed]]:
        return {each.host: [Rehearsed("ee" * 32, ("setuid",))] * len(each.upgrades)
                for each in asked}  # type: ignore[attr-defined]  # fmt: skip

    hosts = [Inventory("rocky1", "cd" * 32, frozenset({"web"}), packages)]
    return plan(hosts, facts, rehearse=rehearse)


def test_a_source_s_packages_move_together_pinned_with_their_undo(tmp_path: Path) -> None:
    """Versions, hashes of both ways, advisories and effects stand in the order."""
    made = base(tmp_path / "mirror")
    made_plan = _made(known(made, tmp_path / "blobs", "curl", "libcurl"), *CURL, BASH)
    (order,) = made_plan.orders[0]
    (upgrade,) = (c for c in order["changes"] if c["type"] == "upgrade")
    (undo,) = (c for c in order["undo"] if c["type"] == "undo")
    assert (upgrade["ecosystem"], upgrade["effects"]) == ("rocky:9", "ee" * 32)
    assert {(p["name"], p["from"], p["to"]) for p in upgrade["packages"]} == {
        (name, OLD, NEW) for name in ("curl", "libcurl")
    }
    assert all(len(p["advisories"]) == 1 for p in upgrade["packages"])
    assert {(p["name"], p["from"], p["to"]) for p in undo["packages"]} == {
        (name, NEW, OLD) for name in ("curl", "libcurl")
    }
    assert len(made_plan.artefacts) == len(made_plan.undo_artefacts) == 2
    assert made_plan.body["exposures"][0]["cves"] == list(FLAWS)


def test_an_epoch_is_above_every_version_without_one(tmp_path: Path) -> None:
    """Versions are ordered as rpm orders them."""
    made = base(tmp_path / "mirror")
    for version in ("9.0-1.el9", EPOCH):
        made.add("tool", version)
    made.update("RLSA-2026:7", f"tool {EPOCH}", cves=["CVE-2026-0007"], severity="Critical")
    facts = known(made, tmp_path / "blobs", "tool")
    assert _made(facts, installed("tool", "9.0-1.el9")).targets == [f"rocky:9/tool@{EPOCH}"]


def test_what_a_new_version_needs_comes_along(tmp_path: Path) -> None:
    """A capability that is new leads to the package that has it; one that was needed before not."""
    made = base(tmp_path / "mirror")
    made.add("libz", "1-1.el9", provides=("libz.so.1()(64bit)",))
    made.add("libz", "2-1.el9", provides=("libz.so.1()(64bit)", "libz.so.1(NEW)(64bit)"))
    made.add("tool", "1-1.el9", requires=("libz.so.1()(64bit)",))
    made.add("tool", "2-1.el9", requires=("libz.so.1()(64bit)",))
    made.add("gain", "1-1.el9", requires=("libz.so.1()(64bit)",))
    made.add("gain", "2-1.el9", requires=("libz.so.1()(64bit)", "libz.so.1(NEW)(64bit)"))
    for name in ("tool", "gain"):
        made.update(f"RLSA-2026:{name}", f"{name} 2-1.el9", cves=["CVE-2026-0008"])
    facts = known(made, tmp_path / "blobs", "gain", "libz", "tool")
    library = installed("libz", "1-1.el9")
    assert _made(facts, installed("tool", "1-1.el9"), library).targets == ["rocky:9/tool@2-1.el9"]
    both = _made(facts, installed("gain", "1-1.el9"), library)
    assert both.targets == ["rocky:9/gain@2-1.el9", "rocky:9/libz@2-1.el9"]


def test_a_package_that_a_new_version_needs_comes_new(tmp_path: Path) -> None:
    """A library that was split off is nobody's to ask for: the feed attests it all the same."""
    made = base(tmp_path / "mirror")
    soname = "libsplit.so.1()(64bit)"
    made.add("tool", "1-1.el9", provides=(soname,))
    made.add("tool", "2-1.el9", requires=(soname,))
    made.add("tool-libs", "2-1.el9", source="tool", provides=(soname,), requires=("libdeep",))
    made.add("libdeep", "1-1.el9")
    made.add("unasked", "1-1.el9")
    made.update("RLSA-2026:8", "tool 2-1.el9", "libdeep 1-1.el9", cves=["CVE-2026-0008"])
    facts = known(made, tmp_path / "blobs", "tool")
    (snapshot,) = facts.snapshots
    assert {a.package for a in snapshot.candidate.artefacts} == {"tool", "tool-libs", "libdeep"}
    assert {a.package for a in snapshot.candidate.advisories} == {"tool"}
    found = _made(facts, installed("tool", "1-1.el9"))
    (upgrade,) = (c for c in found.orders[0][0]["changes"] if c["type"] == "upgrade")
    assert {(p["name"], p["from"], p["for"]) for p in upgrade["packages"]} == {
        ("tool", "1-1.el9", ""), ("tool-libs", "(none)", "tool"), ("libdeep", "(none)", "tool"),
    }  # fmt: skip


def test_kernels_and_second_architectures_are_for_people(tmp_path: Path) -> None:
    """Neither is changed as if it were a package like others."""
    made = base(tmp_path / "mirror")
    side = ("installonlypkg(kernel)",)
    for version in ("5.14.0-1.el9", "5.14.0-2.el9"):
        made.add("kernel-core", version, provides=side)
    made.update("RLSA-2026:4", "kernel-core 5.14.0-2.el9", cves=["CVE-2026-0004"])
    facts = known(made, tmp_path / "blobs", "curl", "kernel-core", "libcurl")
    found = _made(facts, *CURL, installed("kernel-core", "5.14.0-1.el9"))
    (reason,) = escalated(found)["rocky1"]
    assert "`kernel-core`: no artefact with the fix" in reason
    assert len(found.artefacts) == 2
    other = installed("bash", OLD, arch="i686")
    assert _made(facts, *CURL, other).artefacts == found.artefacts


@pytest.mark.parametrize(("name", "risk"), [("glibc", "high"), ("tool", "medium")])
def test_the_family_s_own_core_is_of_high_risk(name: str, risk: str, tmp_path: Path) -> None:
    """What a host of this family cannot boot or be reached without."""
    made = base(tmp_path / "mirror")
    for version in ("1-1.el9", "2-1.el9"):
        made.add(name, version)
    made.update("RLSA-2026:9", f"{name} 2-1.el9", cves=["CVE-2026-0009"])
    facts = known(made, tmp_path / "blobs", name)
    (order,) = _made(facts, installed(name, "1-1.el9")).orders[0]
    assert order["changes"][1]["risk"] == risk
