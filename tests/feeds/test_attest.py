"""An attester: what it vouches for, and what it names instead."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.feeds.attest import Abstained, Agreed, Disagreed, Verdict, attest
from answerable.feeds.candidate import Candidate, propose
from answerable.feeds.facts import URGENCIES, Fact
from answerable.feeds.source import State
from tests.feeds.fakes import MemorySource, advisory, artefact

SIGNED = (advisory(), artefact())
MOVING = advisory("flask", "2.3.1", ecosystem="pypi", urgency="high", cvss=75)
PACKAGES = ["flask", "openssl"]


def _candidate(*facts: Fact) -> Candidate:
    made = propose("feed", [MemorySource(facts)], PACKAGES, 0)
    assert isinstance(made, Candidate)
    return made


def _verdict(candidate: Candidate, signed: object = SIGNED, moving: object = (MOVING,)) -> Verdict:
    sources = [MemorySource(signed), MemorySource(moving, signed=False)]  # type: ignore[arg-type]
    return attest(candidate, sources, 0)


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


@given(st.sampled_from(URGENCIES), st.integers(-1, 100), st.booleans())
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
