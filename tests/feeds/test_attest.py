"""An attester: what it vouches for, and what it names instead."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from answerable.feeds.agree import gather
from answerable.feeds.attest import Abstained, Agreed, Disagreed, Own, Stopped, Verdict, attest
from answerable.feeds.candidate import Candidate, propose
from answerable.feeds.facts import URGENCIES, Fact
from answerable.feeds.rows import Row
from answerable.feeds.shock import Kind, Shock
from answerable.feeds.source import State
from answerable.feeds.world import Worlds
from tests.feeds.fakes import MemorySource, advisory, artefact
from tests.feeds.worlds import NOON, claim, document, given, span

PLAIN = advisory()
SIGNED = (PLAIN, artefact())
MOVING = advisory("flask", "2.3.1", ecosystem="pypi", urgency="high", cvss=75)
PACKAGES = ["flask", "openssl"]


def _candidate(*facts: Fact) -> Candidate:
    made = propose("feed", [MemorySource(facts)], PACKAGES, 0)
    assert isinstance(made, Candidate)
    return made


def _verdict(
    candidate: Candidate,
    signed: object = SIGNED,
    moving: object = (MOVING,),
    own: Own | None = None,
) -> Verdict:
    sources = [MemorySource(signed), MemorySource(moving, signed=False)]  # type: ignore[arg-type]
    return attest(candidate, sources, 0, own or Own())


def test_equal_facts_are_vouched_for() -> None:
    """The root that is given out is the candidate's own."""
    candidate = _candidate(*SIGNED, MOVING)
    assert _verdict(candidate) == Agreed("feed", 3, candidate.tree.root())


@pytest.mark.parametrize(
    "forged",
    [
        replace(SIGNED[0], urgency="low"),
        replace(SIGNED[0], fixed="9.9"),
        advisory("openssl", "9.9"),
        artefact(sha256="f" * 64),
        artefact(version="9.9"),
    ],
)
def test_a_signed_fact_that_i_do_not_find_is_named(forged: Fact) -> None:
    """An invented advisory, an own package or a softened urgency is not vouched for."""
    verdict = _verdict(_candidate(*SIGNED, MOVING, forged))
    assert isinstance(verdict, Disagreed)
    assert verdict.facts == (forged.text,)


def test_a_signed_fact_that_is_missing_is_named() -> None:
    """What the publisher says cannot be left out of a snapshot."""
    verdict = _verdict(_candidate(SIGNED[1], MOVING))
    assert isinstance(verdict, Disagreed)
    assert verdict.facts == (SIGNED[0].text,)


def test_a_moving_fact_may_be_missing() -> None:
    """An unsigned source that another fetched a moment earlier may say less."""
    assert isinstance(_verdict(_candidate(*SIGNED)), Agreed)


@examples(st.sampled_from(URGENCIES), st.integers(-1, 100), st.booleans())
def test_a_moving_fact_raises_automation_no_more_than_mine(
    urgency: str,
    cvss: int,
    exploited: bool,  # noqa: FBT001
) -> None:
    """Score, urgency and exploitation may be lower than what I find, never higher."""
    claimed = replace(MOVING, urgency=urgency, cvss=cvss, exploited=exploited)
    calmer = URGENCIES.index(urgency) <= URGENCIES.index("high") and cvss <= 75 and not exploited
    assert isinstance(_verdict(_candidate(*SIGNED, claimed)), Agreed) is calmer


@pytest.mark.parametrize(
    "forged",
    [
        replace(MOVING, fixed="2.3.2"),
        replace(MOVING, package="openssl"),
        replace(MOVING, cves=()),
        artefact("flask", "2.3.1", ecosystem="pypi", arch="py3-none-any"),
    ],
)
def test_a_moving_fact_about_something_else_is_named(forged: Fact) -> None:
    """Only scores may move: another version, package or file is not the same fact."""
    assert isinstance(_verdict(_candidate(*SIGNED, forged)), Disagreed)


def test_an_unsigned_artefact_must_be_the_one_i_find() -> None:
    """The hash of a wheel is vouched for only if my own listing gives it."""
    mine = artefact("flask", "2.3.1", ecosystem="pypi", arch="py3-none-any")
    assert isinstance(_verdict(_candidate(*SIGNED, mine), moving=(mine,)), Agreed)
    other = replace(mine, sha256="e" * 64)
    assert isinstance(_verdict(_candidate(*SIGNED, other), moving=(mine,)), Disagreed)


def test_without_my_own_sources_i_say_nothing() -> None:
    """An attester whose mirror is expired abstains, and says why."""
    broken = MemorySource(failure=State.EXPIRED)
    verdict = attest(_candidate(*SIGNED), [broken], 0)
    assert isinstance(verdict, Abstained)
    assert [problem.state for problem in verdict.problems] == [State.EXPIRED]


SHOCK = Shock(Kind.COLLAPSE, "kev", "claims", "900 of 1000 are no longer there")
LISTED = "CVE-2026-0001"


def _own(home: Path, *rows: Row) -> Own:
    world = Worlds(home).build(given(document("d", list(rows))), NOON)
    return Own(gather=lambda facts: gather(world.folder, facts, NOON))


def test_a_shock_stops_the_attester() -> None:
    """While its own world has moved strangely, a guard vouches for nothing."""
    verdict = _verdict(_candidate(*SIGNED, MOVING), own=Own(shocks=(SHOCK,)))
    assert verdict == Stopped("feed", (SHOCK,))


def test_a_signed_fact_may_say_what_my_world_agrees_on(tmp_path: Path) -> None:
    """What two channels add to the publisher's word is vouched for, and so is the plain word."""
    own = _own(tmp_path, claim("kev", LISTED), claim("nvd", LISTED))
    listed = replace(PLAIN, exploited=True)
    for fact in (PLAIN, listed):
        assert isinstance(_verdict(_candidate(fact, SIGNED[1]), moving=(), own=own), Agreed)


def test_a_signed_fact_that_says_more_than_my_world_is_named(tmp_path: Path) -> None:
    """One channel's word, taken for agreed by the control plane, is not vouched for."""
    listed = replace(PLAIN, exploited=True)
    for own in (Own(), _own(tmp_path, claim("kev", LISTED))):
        verdict = _verdict(_candidate(listed, SIGNED[1]), moving=(), own=own)
        assert isinstance(verdict, Disagreed)
        assert verdict.facts == (listed.text,)


def test_an_unsigned_fix_that_my_world_does_not_confirm_is_named(tmp_path: Path) -> None:
    """A guard's own unsigned source is not enough for a fix version, if it keeps a world."""
    alone = _own(tmp_path / "a", span(advisory=MOVING.id, fixed="2.3.1"))
    verdict = _verdict(_candidate(*SIGNED, replace(MOVING, cvss=-1, urgency="unknown")), own=alone)
    assert isinstance(verdict, Disagreed)
    both = _own(tmp_path / "b", *(span(c, MOVING.id, "2.3.1") for c in ("osv/pypi", "ghsa")))
    verdict = _verdict(_candidate(*SIGNED, replace(MOVING, cvss=-1, urgency="unknown")), own=both)
    assert isinstance(verdict, Agreed)


@pytest.mark.parametrize("less", [{"urgency": "low"}, {"cvss": 10}])
def test_what_stands_is_not_lowered(less: dict[str, Any]) -> None:
    """A calmer fact for what was released before is for people to release."""
    own = Own(standing=_candidate(*SIGNED, MOVING))
    verdict = _verdict(_candidate(*SIGNED, replace(MOVING, **less)), own=own)
    assert isinstance(verdict, Disagreed)
    assert verdict.facts == (MOVING.text,)
    assert isinstance(_verdict(_candidate(*SIGNED, MOVING), own=own), Agreed)


def test_an_unsigned_fact_that_stands_may_not_be_left_out() -> None:
    """A record that vanishes from a moving source goes on counting until people say otherwise."""
    standing = _candidate(*SIGNED, MOVING)
    verdict = _verdict(_candidate(*SIGNED), moving=(), own=Own(standing=standing))
    assert isinstance(verdict, Disagreed)
    assert verdict.facts == (MOVING.text,)
    assert "lowered" in verdict.reason


def test_a_publisher_may_take_back_its_own_signed_word() -> None:
    """A version that left the signed index leaves the snapshot as well."""
    old = advisory("openssl", "3.0.21-1")
    standing = _candidate(*SIGNED, old, MOVING)
    own = Own(standing=standing)
    assert isinstance(_verdict(_candidate(*SIGNED, MOVING), own=own), Agreed)


def test_what_was_raised_before_stays_raised() -> None:
    """An exploited flaw that leaves every catalogue stays exploited until people release less."""
    raised = replace(PLAIN, exploited=True)
    own = Own(standing=_candidate(raised, SIGNED[1]))
    verdict = _verdict(_candidate(*SIGNED), moving=(), own=own)
    assert isinstance(verdict, Disagreed)
    assert verdict.facts == (raised.text,)
