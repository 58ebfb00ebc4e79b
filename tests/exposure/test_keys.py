"""Keys sort as bytes exactly as the reference tools compare, on real versions and damaged ones."""

import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from answerable.exposure.keys import (
    APK,
    GEMS,
    NUGET,
    SEMVER,
    TOP,
    UNSTABLE,
    Place,
    key,
    places,
    span,
)
from answerable.host.versions import DPKG, LENGTH, RPM
from answerable.inventory.installed import Installed
from answerable.kernel.errors import Refused
from tests.exposure.versions import (
    DATA,
    RUBY,
    Pair,
    bound,
    by_binding,
    by_node,
    by_nuget,
    by_packaging,
    by_ruby,
    by_univers,
    known_to_nuget,
    pairs,
    real_versions,
)

SEED, PAIRS = 20_261_122, 4_000
needs_data = pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is absent")
needs_apt = pytest.mark.skipif(not bound("apt_pkg"), reason="python3-apt is absent")
needs_ruby = pytest.mark.skipif(not RUBY, reason="ruby is absent")
needs_rpm = pytest.mark.skipif(not bound("rpm"), reason="python3-rpm is absent")
MADE_UP = {
    "debian:12": ["0", "1.0-1", "1:2.3-4", "1.0~rc1-1", "1.0+dfsg-1~bpo12+1", "2023.1a-0.1"],
    "almalinux:9": ["1.0-1.el9", "2:1.0~rc1-3", "1.0^git1-1", "5.14.0-70.el9_0", "1.0a-1"],
    "pypi": ["1.0", "1!2.0", "1.0a1", "1.0rc1.post2.dev3", "1.0.dev1", "1.0+local.1"],
    "npm": ["1.0.0", "0.0.1", "1.2.3-beta.11", "1.0.0-alpha.1+x", "10.2.0"],
    "rubygems": ["0", "1.0", "1.0.0.0", "1.2.b1", "1.2.0.b", "3.0.0-rc.1", "1.a.0.1", "1.a.0.b",
                 "1.a", "2.0.0.pre1", "1.0.0.beta-2", "10.0.5"],
    "nuget": ["1.0", "1.0.0.0", "1.0.0.1", "1.2.3-beta.11", "1.2.3-BETA.2", "4.0.0-rc1", "2.0.0+x"],
    "alpine:3.19": [
        "1", "1.2", "1.2.0", "1.02", "1.2a", "1.2_alpha", "1.2_rc1", "1.2_p1", "1.2-r1", "1.10",
        "1.2b_pre3-r4",
    ],
}  # fmt: skip


def compared(ecosystem: str, asked: Sequence[Pair]) -> tuple[list[Pair], list[int]]:
    """Give the pairs of which both are versions, and how their keys compare."""
    kept, found = [], []
    one = cache(key)
    for old, new in asked:
        with suppress(Refused):
            a, b = one(ecosystem, old), one(ecosystem, new)
            kept.append((old, new))
            found.append((a > b) - (a < b))
    return kept, found


def _check(
    ecosystem: str, real: Sequence[str], oracle: Callable[[Sequence[Pair]], list[int]]
) -> None:
    made = pairs(random.Random(SEED), ecosystem, real, PAIRS)
    kept, ours = compared(ecosystem, made)
    theirs = oracle(kept)
    assert len(kept) > PAIRS // 3
    assert [(pair, a) for pair, a, b in zip(kept, ours, theirs, strict=True) if a != b] == []
    assert {-1, 0, 1} == set(ours), "all three answers were tried"


@needs_apt
def test_debian_versions_as_apt_compares() -> None:
    """Made-up versions and what damage makes of them."""
    _check("debian:12", MADE_UP["debian:12"], lambda asked: by_binding("apt_pkg", asked))


@needs_apt
@needs_data
def test_real_debian_versions_as_apt_compares() -> None:
    """Twenty years of Debian's security fixes."""
    _check("debian:12", real_versions("debian:12"), lambda asked: by_binding("apt_pkg", asked))


@needs_rpm
def test_rpm_versions_as_rpm_compares() -> None:
    """Made-up versions, tildes and carets among them."""
    _check("almalinux:9", MADE_UP["almalinux:9"], lambda asked: by_binding("rpm", asked))


@needs_rpm
@needs_data
def test_real_rpm_versions_as_rpm_compares() -> None:
    """Every version that an AlmaLinux advisory names, and damage."""
    _check("almalinux:9", real_versions("almalinux:9"), lambda asked: by_binding("rpm", asked))


def test_python_versions_as_packaging_compares() -> None:
    """Made-up versions and what damage makes of them."""
    _check("pypi", MADE_UP["pypi"], by_packaging)


@needs_data
def test_real_python_versions_as_packaging_compares() -> None:
    """Every fixed version of PyPA's database, and damage."""
    real = [v for v in real_versions("pypi") if not isinstance(_refused("pypi", v), Refused)]
    _check("pypi", real, by_packaging)


def test_npm_versions_as_node_compares() -> None:
    """Semantic versions, pre-releases above all."""
    _check("npm", MADE_UP["npm"], by_node)


@needs_data
def test_real_semantic_versions_as_node_compares() -> None:
    """Every fixed version of Go's database, and damage."""
    _check("npm", [v for v in real_versions("npm") if v.count(".") > 1], by_node)


@needs_ruby
def test_gem_versions_as_ruby_compares() -> None:
    """Words below numbers, zeros that do not count, and those that do."""
    _check("rubygems", MADE_UP["rubygems"], by_ruby)


def test_gem_versions_stand_in_the_order_that_ruby_gave() -> None:
    """As `Gem::Version` of RubyGems 3.3 sorted them, where it is not at hand to be asked."""
    texts = ["0.0.a", "0", "0.0.1", "1.a.b", "1.a.0.b", "1.a.0.0.b", "1.a", "1.a.0.0.1", "1.a.0.1",
             "1.a.1", "1.0-1", "1.0.0", "1.0.0.1", "1.1", "10"]  # fmt: skip
    keys = [key("rubygems", text) for text in texts]
    assert sorted(keys) == keys
    assert key("rubygems", "1.0") == key("rubygems", "1.0.0.0") == key("rubygems", "1")
    assert key("rubygems", "1.0.a") == key("rubygems", "1.a")


def test_nuget_versions_as_univers_compares() -> None:
    """Against an independent implementation, without what it leaves out: numbers above 2^31-1."""
    made = pairs(random.Random(SEED), "nuget", MADE_UP["nuget"], PAIRS)
    small = [pair for pair in made if "2147483648" not in "".join(pair)]
    kept, ours = compared("nuget", [pair for pair in small if all(map(known_to_nuget, pair))])
    wrong = [pair for pair, a, b in zip(kept, ours, by_nuget(kept), strict=True) if a != b]
    assert len(kept) > PAIRS // 3
    assert wrong == []


def test_maven_versions_stand_in_the_order_that_maven_gave() -> None:
    """Each group is one version to Maven 3.8's `ComparableVersion`; the bench asks it of many."""
    ordered = [
        ("1-alpha", "1.0-ALPHA", "1-alpha-0"), ("1-alpha-1", "1.0.0-a1", "1-alpha01"),
        ("1-alpha-2",), ("1-alpha.1",), ("1-beta",), ("1-b2",), ("1-milestone",),
        ("2-M1", "2.0-milestone-1"), ("2-rc", "2-CR"), ("2-rc1", "2-cr-1"), ("2-SNAPSHOT",),
        ("2", "2.0.0", "2.Final", "2-GA", "2.0.RELEASE", "2-0"), ("2-sp",), ("2-sp1",),
        ("2-android",), ("2-jre",), ("2-jre8", "2-jre-8"), ("2-jre.8",), ("2-m",),
        ("2-1",), ("2-1.1",), ("2-10",), ("2.0.1",), ("2.1-rc1",), ("2.1",), ("2.10", "2.010"),
        ("20230101",), ("123456789012345678901",),
    ]  # fmt: skip
    keys = [{key("maven", version) for version in same} for same in ordered]
    assert all(len(same) == 1 for same in keys)
    flat = [same.pop() for same in keys]
    assert flat == sorted(flat)
    assert len(set(flat)) == len(flat)


def test_a_nuget_number_that_is_too_large_is_text() -> None:
    """As `int.TryParse` says no to it: such a build of a day stands above every number."""
    old, new = "1.0.0-ci.2147483647", "1.0.0-ci.20230101120000"
    assert key("nuget", old) < key("nuget", new) < key("nuget", "1.0.0-ci.a")
    assert key("nuget", "1.0.0-CI") == key("nuget", "1.0-ci") < key("nuget", "1.0.0.0")


def test_alpine_versions_as_univers_compares() -> None:
    """Against an independent implementation; apk itself is not at hand outside Alpine."""
    texts = MADE_UP["alpine:3.19"]
    asked = [(old, new) for old in texts for new in texts]
    kept, ours = compared("alpine:3.19", asked)
    assert kept == asked
    wrong = [pair for pair, a, b in zip(kept, ours, by_univers(kept), strict=True) if a != b]
    assert wrong == []


def test_alpine_suffixes_stand_in_the_order_of_its_package_tool() -> None:
    """As apk-tools' version.c lists them: four before the release, five after it."""
    names = ["_alpha", "_beta", "_pre", "_rc", "", "_cvs", "_svn", "_git", "_hg", "_p", "a", ".1"]
    keys = [key("alpine:3.19", f"1.2{name}") for name in names]
    assert sorted(keys) == keys


def _refused(ecosystem: str, version: str) -> Refused | bytes:
    try:
        return key(ecosystem, version)
    except Refused as refusal:
        return refusal


@pytest.mark.parametrize(
    ("ecosystem", "version"),
    [
        ("npm", ""), ("npm", "latest"), ("npm", "01.2.3"), ("npm", "1.2.3.4"), ("npm", "1.2.3-01"),
        ("npm", "1.2.3-"), ("npm", "1.2.3-a..b"), ("go", "1.2.3\n"), ("npm", "1" * (LENGTH + 1)),
        ("alpine:3.19", "r1"), ("alpine:3.19", "1.2_new"), ("alpine:3.19", "1.2-1"),
        ("almalinux:9", "1.0-1-2"), ("almalinux:9", "a:1.0-1"), ("almalinux:9", ""),
        ("almalinux", "1.0-1"), ("maven", "1.sp"), ("maven", "1.0-rc1-SNAPSHOT"),
        ("maven", "1-final1"), ("maven", "v1"), ("packagist", "1.0.0.0"), ("", "1"),
        ("nuget", "1.0.0.0.0"), ("nuget", "v1"), ("nuget", "1.0-"), ("nuget", "1..2"),
        ("rubygems", "a.1"), ("rubygems", "1..2"), ("rubygems", "1_2"), ("rubygems", ""),
    ],
)  # fmt: skip
def test_what_has_no_order_is_refused(ecosystem: str, version: str) -> None:
    """An unknown ecosystem or spelling is refused with the words that were found."""
    found = _refused(ecosystem, version)
    assert isinstance(found, Refused)
    assert found.reason == "malformed"
    assert f"`{version}`" in found.detail


ECOSYSTEMS = st.sampled_from([*MADE_UP, "go", "redhat:9", "ubuntu:24.04", "wolfi"])
TEXTS = st.text("0123456789.~^+-:_abrcpdevost!", max_size=24)


@pytest.mark.fuzz
@given(ECOSYSTEMS, TEXTS | st.text(max_size=40), TEXTS | st.text(max_size=40))
def test_no_key_begins_another(ecosystem: str, old: str, new: str) -> None:
    """Any text is refused or has a key; keys are equal or differ before either ends."""
    with suppress(Refused):
        a, b = key(ecosystem, old), key(ecosystem, new)
        assert a == b or not (a.startswith(b) or b.startswith(a))
        assert a < TOP


def test_no_ecosystem_has_two_schemes() -> None:
    """Which scheme a version belongs to is never a matter of order."""
    names = [*DPKG, *RPM, *SEMVER, *APK, *GEMS, *NUGET, "pypi"]
    assert len(set(names)) == len(names)


@given(TEXTS, TEXTS)
def test_a_range_holds_its_ends_as_it_says(first: str, end: str) -> None:
    """The first version is in, the fixed one is not, the last one is."""
    with suppress(Refused):
        low, end_key = key("debian:12", first), key("debian:12", end)
        assume(low <= end_key and first != "0")
        assert span("debian:12", first, end, "") == (low, end_key)
        begin, above = span("debian:12", first, "", end)
        assert begin <= end_key < above
        assert span("debian:12", "0", "", "") == (b"", TOP)


def _deb(version: str, source_version: str = "") -> Installed:
    return Installed("debian:12", "libssl3", version, "amd64", "openssl", "installed", (),
                     source_version)  # fmt: skip


def test_a_rebuild_is_looked_up_by_its_source_version() -> None:
    """Fixes count in source versions: a rebuild neither hides a flaw nor makes one up."""
    assert places(_deb("3.0-1+b1", "3.0-1")) == (
        Place("debian:12", "binary", "libssl3", key("debian:12", "3.0-1+b1")),
        Place("debian:12", "source", "openssl", key("debian:12", "3.0-1")),
    )


def test_a_backport_is_looked_up_where_it_came_from_as_well() -> None:
    """Its version is above every fix of its host's release, which says nothing about it."""
    found = places(_deb("3.2-1~bpo12+1"))
    assert [(p.ecosystem, p.package) for p in found] == [
        ("debian:12", "libssl3"), ("debian:12", "openssl"), (UNSTABLE, "libssl3"),
        (UNSTABLE, "openssl"),
    ]  # fmt: skip
    assert found[3].key < key(UNSTABLE, "3.2-1")


def test_an_epoch_outweighs_everything() -> None:
    """`1:0.9` is newer than `2.0` in both package worlds."""
    for ecosystem in ("debian:12", "almalinux:9"):
        assert key(ecosystem, "1:0.9-1") > key(ecosystem, "2.0-1") > key(ecosystem, "0:1.9-1")
