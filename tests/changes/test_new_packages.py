"""A kernel's metapackage: what it needs comes new, named, rehearsed and pinned, and goes again."""

from dataclasses import replace

import pytest

from answerable.changes.needs import Blocked, Closure
from answerable.changes.plan import NoPlan, Noticed, bundle
from answerable.changes.preview import text
from answerable.changes.rehearse import Move, Rehearsed, Unrehearsed, Upgrade
from answerable.exposure.match import Known
from answerable.feeds.facts import Artefact, Fact
from answerable.feeds.source import Relation
from answerable.host.versions import ABSENT
from answerable.kernel.order import read_order
from tests.changes.planning import escalated, plan
from tests.changes.test_rehearse import clones
from tests.exposure.fleet import host, installed, known
from tests.feeds.fakes import advisory, artefact

META, WAS, NOW = "linux-image-amd64", "6.1.176-1", "6.1.192-2"
OLD_IMAGE, IMAGE, LIB = "linux-image-6.1.0-50-amd64", "linux-image-6.1.0-56-amd64", "libnew2"
SOURCE = "linux-signed-amd64"
FACTS: tuple[Fact, ...] = (
    *(artefact(META, v, source=SOURCE) for v in (WAS, NOW)),
    artefact(OLD_IMAGE, WAS, source=SOURCE),
    artefact(IMAGE, NOW, source=SOURCE),
    artefact(LIB, "2.0-1"),
    advisory(META, NOW, source=SOURCE),
)
NEEDS = (
    Relation(META, WAS, (f"{OLD_IMAGE} (= {WAS})",)),
    Relation(META, NOW, (f"{IMAGE} (= {NOW})",)),
    Relation(IMAGE, NOW, ("kmod", "other-tool | libnew2 (>= 2)")),
)
HOST = host(
    "web1", installed(META, WAS, source=SOURCE), installed(OLD_IMAGE, WAS, source=SOURCE),
    installed("kmod", "30-1"),
)  # fmt: skip
SEEN = clones(lambda *_: Rehearsed("ab" * 32, ("boot", "install", "module")))


def facts(*, needs: tuple[Relation, ...] = NEEDS, without: str = "") -> Known:
    """Release the facts, but of one package."""
    return known(*(fact for fact in FACTS if fact.package != without), needs=needs)


def sha(package: str, version: str) -> str:
    """Give the hash that is released of a package."""
    return next(
        f.sha256 for f in FACTS
        if isinstance(f, Artefact) and (f.package, f.version) == (package, version)
    )  # fmt: skip


def test_all_that_comes_new_stands_in_the_order_and_goes_with_its_undo() -> None:
    """Pinned by hash, with its cause; the undo names the very bytes that came."""
    made = plan([HOST], facts(), rehearse=SEEN)
    order = read_order(made.rings[0][0])
    (up,) = [c for c in order["changes"] if c["type"] == "upgrade"]
    (undo,) = [c for c in order["undo"] if c["type"] == "undo"]
    assert {p["name"]: (p["from"], p["to"], p["sha256"], p["for"]) for p in up["packages"]} == {
        META: (WAS, NOW, sha(META, NOW), ""),
        IMAGE: (ABSENT, NOW, sha(IMAGE, NOW), META),
        LIB: (ABSENT, "2.0-1", sha(LIB, "2.0-1"), META),
    }
    assert {p["name"]: (p["from"], p["to"], p["sha256"]) for p in undo["packages"]} == {
        META: (NOW, WAS, sha(META, WAS)),
        IMAGE: (NOW, ABSENT, sha(IMAGE, NOW)),
        LIB: ("2.0-1", ABSENT, sha(LIB, "2.0-1")),
    }
    assert (up["classes"], up["risk"]) == (["boot", "install", "module"], "high")
    assert f"debian:12/{IMAGE}@{NOW}" in made.targets
    assert sha(IMAGE, NOW) in made.artefacts
    assert sha(IMAGE, NOW) in made.undo_artefacts


def test_the_bundle_proves_what_comes_and_what_goes() -> None:
    """One artefact fact serves both ways."""
    released = facts()
    made = plan([HOST], released, rehearse=SEEN)
    text = bundle(made, 0, 0, Noticed("ab" * 32, "", ""), released.snapshots)
    assert text.count(sha(IMAGE, NOW)) == 3, "twice in the order, once in a fact"


def test_the_dry_run_says_what_comes_new() -> None:
    """Nobody has to know what an absent version looks like."""
    shown = text(plan([HOST], facts(), rehearse=SEEN))
    short = sha(IMAGE, NOW)[:16]
    assert f"{IMAGE} {NOW}, newly installed [{short}, needed by {META}]" in shown
    assert f"{IMAGE} {NOW}, taken away again [{short}]" in shown
    assert ABSENT not in shown


def test_a_clone_rehearses_what_comes_new() -> None:
    """As a package that is not there, with its artefact."""
    asked: list[Upgrade] = []
    found = Rehearsed("cd" * 32, ("install",))
    plan([HOST], facts(), rehearse=clones(lambda *_: found, lambda a: asked.extend(a.upgrades)))
    (upgrade,) = asked
    assert Move(IMAGE, ABSENT, NOW, sha(IMAGE, NOW)) in upgrade.moves


def test_nothing_comes_new_that_no_clone_has_rehearsed() -> None:
    """Its undo takes it away by what was found of it."""
    with pytest.raises(NoPlan, match=f"`{IMAGE}` would come new, and no clone has rehearsed it"):
        plan([HOST], facts(), rehearse=clones(lambda *_: Unrehearsed()))


@pytest.mark.parametrize("without", [IMAGE, LIB])
def test_an_origin_that_no_snapshot_attests_is_not_planned(without: str) -> None:
    """A need that nothing released meets is left to people, as before."""
    with pytest.raises(NoPlan, match="needs"):
        plan([HOST], facts(without=without), rehearse=SEEN)


def test_another_version_than_is_needed_does_not_come() -> None:
    """The released kernel is not the one that the metapackage needs."""
    needs = (Relation(META, NOW, (f"{IMAGE} (= 6.1.200-1)",)),)
    with pytest.raises(NoPlan, match=r"needs .*6\.1\.200-1"):
        plan([HOST], facts(needs=needs), rehearse=SEEN)


def test_of_alternatives_nothing_comes_where_one_is_there() -> None:
    """Also one that is only provided."""
    there = installed("other-tool", "1-1")
    made = plan([host("web1", *HOST.packages, there)], facts(), rehearse=SEEN)
    (up,) = [c for c in made.orders[0][0]["changes"] if c["type"] == "upgrade"]
    assert {p["name"] for p in up["packages"]} == {META, IMAGE}


def test_what_came_once_does_not_come_again() -> None:
    """Two upgrades that need the same: the second finds it there."""
    both = (*NEEDS, Relation("bash", "5.2-2", (f"{IMAGE} (= {NOW})",)))
    bash = installed("bash", "5.2-1")
    every = (*FACTS, artefact("bash", "5.2-1"), artefact("bash", "5.2-2"))
    released = known(*every, needs=both)
    needs = {(r.package, r.version): r.needs for r in both}
    closure = Closure((*HOST.packages, bash), released, needs)
    first, second = closure.upgrade(HOST.packages[0]), closure.upgrade(bash)
    assert isinstance(first, list)
    assert isinstance(second, list)
    assert [len(first), len(second)] == [3, 1]


def test_what_fits_no_host_of_its_kind_does_not_come() -> None:
    """A package for every architecture needs one that is released for another one only."""
    arm = (installed("kmod", "30-1", arch="arm64"), installed("tz", "1-1", arch="all"))
    every = (*FACTS, artefact("tz", "1-1"), replace(artefact("tz", "2-1"), arch="all"))
    needs = {("tz", "2-1"): (IMAGE,)}
    found = Closure(arm, known(*every), needs).upgrade(arm[1])
    assert isinstance(found, Blocked)
    assert IMAGE in found.reason


def test_a_reboot_is_ordered_with_it_or_escalated() -> None:
    """A kernel is in effect only after a reboot, which is a change of its own."""
    found = escalated(plan([HOST], facts(), rehearse=SEEN))
    assert any("in effect only after a reboot" in reason for reason in found["web1"])
