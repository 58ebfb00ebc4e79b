"""Matching: every advisory that applies, no other, with the way out and the way back."""

import random
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.exposure.keys import places
from answerable.exposure.match import across, fits, match
from answerable.feeds.facts import Advisory, Fact
from answerable.feeds.source import Bound
from answerable.host.versions import key
from answerable.inventory.fleet import Fleet
from answerable.inventory.installed import Installed, Inventory
from tests.exposure.fleet import MID, NEW, OLD, RELEASE, host, installed, known
from tests.feeds.fakes import advisory, artefact


def test_each_advisory_above_the_installed_version_applies() -> None:
    """A host is exposed to what is fixed above what it has, with artefacts for both ways."""
    found = match(known(), [host("web1")], ["web9"])
    rows = {(e.installed.package, e.advisory.fixed) for e in found.exposures}
    assert rows == {("openssl", MID), ("openssl", NEW), ("libssl3", MID), ("libssl3", NEW),
                    ("bash", "5.2-2")}  # fmt: skip
    for exposure in found.exposures:
        assert exposure.fix is not None
        assert exposure.fix.version in (NEW, "5.2-2")
        assert exposure.back is not None
        assert exposure.back.version == exposure.installed.version
        assert exposure.release == RELEASE
    assert found.unknown == ("web9",)


def test_a_fixed_version_is_not_exposed() -> None:
    """An advisory ends exactly at its fixed version."""
    patched = host("web1", installed("openssl", NEW, source="openssl"))
    assert match(known(), [patched], []).exposures == ()
    half = host("web1", installed("openssl", MID, source="openssl"))
    assert [e.advisory.fixed for e in match(known(), [half], []).exposures] == [NEW]


def test_another_ecosystem_or_package_is_not_exposed() -> None:
    """A package of the same name elsewhere has nothing to do with it."""
    wheel = Installed("pypi", "openssl", "1.0", "cp311", "openssl")
    found = match(known(), [host("web1", wheel, installed("libssl1.1", "1"))], [])
    assert found.exposures == ()


def test_a_flaw_that_came_later_does_not_apply() -> None:
    """A version from before the flaw was made is not exposed to it."""
    facts = (advisory("flask", "2.3", ecosystem="pypi"),)
    bound = (Bound(facts[0].text, "2.0"),)
    for version, count in (("1.9", 0), ("2.0", 1), ("2.2", 1), ("2.3", 0)):
        row = Installed("pypi", "flask", version, "cp311", "flask")
        found = match(known(*facts, bounds=bound), [host("web1", row)], [])
        assert len(found.exposures) == count, version


def test_a_missing_artefact_is_said() -> None:
    """An exposure without a way out or back stays an exposure."""
    (exposure,) = match(known(advisory("bash", "5.2-2")), [host("web1")], []).exposures
    assert exposure.fix is None
    assert exposure.back is None


@pytest.mark.parametrize(
    ("tag", "interpreter", "fit"),
    [
        ("py3-none-any", "cp311", True),
        ("py2.py3-none-any", "cp312", True),
        ("cp311-cp311-manylinux_2_17_x86_64", "cp311", True),
        ("cp311-cp311-manylinux_2_17_x86_64", "cp312", False),
        ("cp39-abi3-manylinux_2_17_x86_64", "cp311", True),
        ("cp313-abi3-manylinux_2_17_x86_64", "cp311", False),
        ("py2-none-any", "cp311", False),
    ],
)
def test_a_wheel_fits_by_its_tag(tag: str, interpreter: str, *, fit: bool) -> None:
    """A wheel for another interpreter is no way out."""
    wheel = artefact("flask", "2.3", ecosystem="pypi", arch=tag)
    row = Installed("pypi", "flask", "2.2", interpreter, "flask")
    assert fits(wheel, row) is fit


def test_a_package_of_another_architecture_does_not_fit() -> None:
    """A .deb for another machine is no way out; one for all machines is."""
    assert fits(artefact(arch="all"), installed("openssl", OLD))
    assert not fits(artefact(arch="arm64"), installed("openssl", OLD))


VERSIONS = st.from_regex(
    r"[0-9](\.[0-9]){0,2}(~rc[0-9]|[a-c])?(-[0-9](\+b[0-9])?)?", fullmatch=True
)


@given(st.lists(st.tuples(VERSIONS, VERSIONS), min_size=1, max_size=8), VERSIONS)
def test_matching_is_what_comparing_one_by_one_gives(
    advisories: list[tuple[str, str]], version: str
) -> None:
    """The sorted lookup finds what a plain loop over all advisories finds; `0` is the beginning."""
    facts = tuple(
        advisory("bash", fixed, name=f"a{n}") for n, (fixed, _) in enumerate(advisories)
    )  # fmt: skip
    bounds = tuple(
        Bound(fact.text, low) for fact, (_, low) in zip(facts, advisories, strict=True)
    )  # fmt: skip
    inventory: Inventory = host("web1", installed("bash", version))
    found = match(known(*facts, bounds=bounds), [inventory], []).exposures
    have = key("debian:12", version)
    expected: set[str] = {
        fact.id
        for fact, (_, low) in zip(facts, advisories, strict=True)
        if (low == "0" or key("debian:12", low) <= have) and have < key("debian:12", fact.fixed)
    }
    assert {e.advisory.id for e in found if isinstance(e.advisory, Advisory)} == expected


@pytest.mark.parametrize("seed", range(12))
def test_a_fleet_is_matched_as_its_hosts_are(tmp_path: Path, seed: int) -> None:
    """Each distinct package once gives what host after host gives, in the same order."""
    chance, names = random.Random(seed), [f"p{n}" for n in range(6)]
    fine = [f"{n}.0-{m}" for n in range(1, 4) for m in (1, 2)]
    versions = [*fine, "1.0-1~bpo12+1", "bad version"]
    some: list[Fact] = [
        advisory(chance.choice(names), chance.choice(fine), source="s", urgency=urgency)
        for urgency in ("low", "high") for _ in range(6)
    ]  # fmt: skip
    some += [artefact(name, version) for name in names for version in chance.sample(fine, 4)]
    facts = {fact.text: fact for fact in some}
    bound = [Bound(text, chance.choice(fine)) for text, fact in facts.items()
             if isinstance(fact, Advisory) and chance.random() < 0.3]  # fmt: skip
    released = known(*facts.values(), bounds=tuple(bound))
    with Fleet(tmp_path / "fleet.db", places) as fleet:
        for number in range(30):
            packages = tuple(
                installed(name, version, state=chance.choice(("installed", "installed", "held")))
                for name in chance.sample(names, 4)
                for version in chance.sample(versions, 2)
            )
            fleet.record(host(f"h{number:02}", *packages, zones=(f"z{number % 3}",)), number)
        hosts = [h for h in fleet.hosts(now=35, silence=30) if h.state == "known"]
        assert len(hosts) < 30
        plain = match(released, [fleet.inventory(h) for h in hosts], []).exposures
        assert plain
        assert across(released, fleet, hosts) == list(plain)
        assert across(known(artefact("p1", "1.0-1")), fleet, hosts) == []
