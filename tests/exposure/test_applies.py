"""Which rows apply, and what of them stands: withdrawn, not affected, end of life, backports."""

import random

import pytest

from answerable.exposure.applies import Ranges
from answerable.feeds.rows import Range
from answerable.inventory.installed import Installed
from tests.exposure.world import fleet, named, plainly, row, world

SSL = Installed("debian:12", "libssl3", "3.0-1+b1", "amd64", "openssl", source_version="3.0-1")


def stands(*rows: Range, on: Installed = SSL) -> list[tuple[str, tuple[str, ...]]]:
    """Give channel and flaws of what stands."""
    return [(each.channel, flaws) for each, flaws in Ranges(rows).on(on)]


def ssl(**what: object) -> Range:
    """Give a row about openssl, fixed above what is installed."""
    return row("debian:12", "openssl", **{"fixed": "3.0-2", "cves": ("CVE-1",), **what})


def test_a_source_package_is_matched_by_its_own_version() -> None:
    """A rebuild is as old as its source: `3.0-1+b1` does not have the fix of `3.0-1+deb12u1`."""
    assert stands(ssl()) == [("a", ("CVE-1",))]
    assert stands(ssl(fixed="3.0-1")) == []
    assert stands(row("debian:12", "libssl3", level="binary", fixed="3.0-1+b2")) == [
        ("a", ("A-1",))
    ]
    assert stands(row("debian:12", "openssl", level="binary", fixed="9")) == []


@pytest.mark.parametrize("other", ["a", "b"])
def test_what_was_taken_back_clears_nothing(other: str) -> None:
    """A withdrawn advisory is no word that others are wrong; nor is a withdrawn `not_affected`."""
    assert stands(ssl(withdrawn=5)) == []
    assert stands(ssl(withdrawn=5), ssl(channel="b")) == [("b", ("CVE-1",))]
    taken_back = ssl(channel=other, status="not_affected", withdrawn=5)
    assert stands(ssl(), taken_back) == [("a", ("CVE-1",))]


def test_not_affected_clears_its_own_channel_only() -> None:
    """The strictest stands until people sign: one feed cannot talk another's flaw away."""
    no = ssl(status="not_affected", fixed="")
    assert stands(ssl(), no) == []
    assert stands(ssl(), ssl(channel="b"), no) == [("b", ("CVE-1",))]
    both = ssl(cves=("CVE-1", "CVE-2"))
    assert stands(both, no) == [("a", ("CVE-2",))]


def test_not_affected_clears_only_the_versions_that_it_names() -> None:
    """A word about a later version says nothing about this one."""
    assert stands(ssl(), ssl(status="not_affected", introduced="3.0-2", fixed="")) == [
        ("a", ("CVE-1",))
    ]


def test_the_end_of_support_is_no_all_clear() -> None:
    """It stands as what it is, and is cleared by nobody else's word either."""
    ended = ssl(status="end_of_life", fixed="", channel="b")
    assert [each.status for each, _ in Ranges([ended, ssl()]).on(SSL)] == [
        "affected",
        "end_of_life",
    ]
    assert stands(ended, ssl(status="not_affected")) == [("b", ("CVE-1",))]


def test_a_backport_is_judged_by_both_releases() -> None:
    """It is above its release's fix, and below the one of the release that it came from."""
    backport = Installed("debian:12", "libssl3", "3.2-1~bpo12+1", "amd64", "openssl")
    sid = row("debian:sid", "openssl", fixed="3.2-1", cves=("CVE-2",))
    assert stands(ssl(), sid, on=backport) == [("a", ("CVE-2",))]
    assert stands(ssl(), sid) == [("a", ("CVE-1",))]


def test_an_epoch_is_not_passed_over() -> None:
    """A fix with an epoch is above every version without one."""
    assert stands(ssl(fixed="1:0.1-1")) == [("a", ("CVE-1",))]


def test_another_stream_s_advisory_counts_as_well() -> None:
    """Nobody says of which stream a package is: too much may be listed, never too little."""
    node = Installed("almalinux:8", "nodejs", "1:16.20.2-4.module_el8.9.0+3+a", "x86_64", "nodejs")
    mine = row("almalinux:8", "nodejs", level="binary", cves=("CVE-1",), channel="mine",
               fixed="1:16.20.2-5.module_el8.9.0+4+b")  # fmt: skip
    other = row("almalinux:8", "nodejs", level="binary", cves=("CVE-1",), channel="other",
                fixed="1:18.19.0-1.module_el8.9.0+5+c")  # fmt: skip
    assert stands(mine, on=node) == [("mine", ("CVE-1",))]
    assert stands(other, on=node) == [("other", ("CVE-1",))]


def test_what_has_no_order_is_listed() -> None:
    """A version that nobody can compare is neither a finding nor silence."""
    ranges = Ranges([ssl(fixed="one?"), ssl()])
    assert [each.reason for each in ranges.unordered] == ["`one?` is no version of `debian:12`"]
    assert len(ranges.on(SSL)) == 1


@pytest.mark.parametrize("seed", range(20))
def test_lookup_finds_what_comparing_one_by_one_finds(seed: int) -> None:
    """On random worlds and fleets; no row is lost between the sorted ends."""
    chance = random.Random(seed)
    rows, inventories = world(chance, 60), fleet(chance, 8)
    ranges, numbers = Ranges(rows), {id(each): n for n, each in enumerate(rows)}
    found = set()
    for inventory in inventories:
        for package in inventory.packages:
            if package.version in ("latest", "nonsense!") or package.ecosystem == "packagist":
                continue
            if package.source_version in ("latest", "nonsense!"):
                continue
            for each, flaws in ranges.on(package):
                found.add((inventory.host, numbers[id(each)], named(package), flaws))
    assert found == plainly(rows, inventories)
