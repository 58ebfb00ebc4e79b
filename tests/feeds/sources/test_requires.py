"""Requirements of RPMs in the planner's words; whether one capability meets another."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.changes.needs import _NEED
from answerable.feeds.sources.primary import Capability, Package, Provider
from answerable.feeds.sources.requires import by_name, needs, wanted


def _package(*required: Capability) -> Package:
    return Package(
        "tool", "1-1", "x86_64", "tool", "a" * 64, 1, "t.rpm", required, side_by_side=False
    )


def _needs(required: Capability, *providers: Provider) -> tuple[str, ...]:
    return needs(_package(required), by_name(providers), "rocky:9")


def _lib(version: str, flags: str = "EQ", of: str = "") -> Provider:
    return Provider("lib", version, Capability("lib", flags, of or version))


@pytest.mark.parametrize(
    ("provided", "required", "met"),
    [
        (("", ""), ("", ""), True),
        (("EQ", "1-1"), ("", ""), True),
        (("", ""), ("GE", "9-1"), True),
        (("EQ", "1.2-3"), ("EQ", "1.2-3"), True),
        (("EQ", "1.2-3"), ("EQ", "1.2"), True),
        (("EQ", "1.2"), ("EQ", "1.2-9"), True),
        (("EQ", "1.2-3"), ("EQ", "1.2-4"), False),
        (("EQ", "1.2-3"), ("GT", "1.2"), False),
        (("EQ", "1.2-3"), ("GT", "1.2-2"), True),
        (("EQ", "1.2-3"), ("GE", "1.10"), False),
        (("EQ", "1:0.1-1"), ("GE", "9"), True),
        (("EQ", "9-1"), ("LT", "1:1"), True),
        (("EQ", "1.2-3"), ("LE", "1.2"), True),
        (("EQ", "1.2-3"), ("LT", "1.2-3"), False),
        (("EQ", "1~rc1-1"), ("GE", "1"), False),
        (("EQ", "no version"), ("GE", "1"), False),
        (("EQ", "1-1"), ("XX", "1-1"), False),
    ],
)
def test_one_capability_meets_another_as_rpm_says(
    provided: tuple[str, str], required: tuple[str, str], *, met: bool
) -> None:
    """Epochs, releases that one side lacks, what has no version at all."""
    found = _needs(Capability("lib", *required), _lib("1-1", *provided))
    assert bool(found) == met


def test_bounds_are_the_lowest_that_meets_or_the_one() -> None:
    """A library from the first version that has it, an exact one as it is, an upper bound above."""
    both = (_lib("1-1"), _lib("2-1"))
    assert _needs(Capability("lib"), *both) == ("lib (>= 1-1)",)
    assert _needs(Capability("lib", "GE", "2"), *both) == ("lib (>= 2-1)",)
    assert _needs(Capability("lib", "EQ", "1-1"), *both) == ("lib (= 1-1)",)
    assert _needs(Capability("lib", "LT", "2"), *both) == ("lib (<= 1-1)",)
    assert _needs(Capability("lib", "GE", "3"), *both) == ()


def test_who_provides_is_an_alternative_and_oneself_is_no_need() -> None:
    """Each provider is one; a package that has what it requires needs nobody for it."""
    other = Provider("other", "7-1", Capability("lib"))
    assert _needs(Capability("lib"), _lib("1-1"), other) == ("lib (>= 1-1) | other (>= 7-1)",)
    own = [Provider("tool", version, Capability("lib")) for version in ("1-1", "0-1")]
    assert _needs(Capability("lib"), _lib("1-1"), own[0]) == ()
    assert _needs(Capability("lib"), own[1]) == ()
    assert _needs(Capability("lib"), _lib("1-1"), own[1]) == ("lib (>= 1-1)",)


def test_what_rpm_has_by_itself_is_not_looked_for() -> None:
    """Neither its own features nor conditions."""
    names = ("rpmlib(PayloadIsZstd)", "(a if b)", "libc.so.6()(64bit)", "/bin/sh")
    found = wanted([_package(*map(Capability, names))])
    assert found == {"libc.so.6()(64bit)", "/bin/sh"}


_WORDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_+.-]{0,20}", fullmatch=True)
_VERSIONS = st.from_regex(r"([1-9]:)?[0-9][A-Za-z0-9._+~^]{0,9}-[0-9]{1,3}", fullmatch=True)


@given(st.lists(st.tuples(_WORDS, _VERSIONS), min_size=1, max_size=4), _VERSIONS)
def test_every_need_is_one_that_the_planner_reads(
    given_by: list[tuple[str, str]], bound: str
) -> None:
    """Whatever packages are called and numbered, no alternative is lost on the way."""
    providers = [Provider(n, v, Capability("lib", "EQ", v)) for n, v in given_by]
    for flags in ("", "EQ", "GE", "GT", "LE", "LT"):
        for need in _needs(Capability("lib", flags, bound if flags else ""), *providers):
            assert all(_NEED.fullmatch(part) for part in need.split(" | "))
