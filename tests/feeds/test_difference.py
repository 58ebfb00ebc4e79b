"""What a candidate would change, and what waits for people."""

from dataclasses import replace

from answerable.feeds.agree import Believed, Flaw, State, Voice
from answerable.feeds.candidate import Candidate
from answerable.feeds.difference import Difference, Waiting, differences, waiting
from answerable.feeds.facts import Fact, leaf
from tests.feeds.fakes import advisory, artefact

OPENSSL, WHEEL = advisory(), artefact()


def _candidate(*facts: Fact) -> Candidate:
    return Candidate("feed", (), facts, (), (), {}, ())


def _changes(old: tuple[Fact, ...], *new: Fact) -> list[tuple[str, str]]:
    found = differences(_candidate(*old), _candidate(*new))
    return [(one.change, one.package) for one in found]


def test_the_first_candidate_is_all_new() -> None:
    """Each fact is named by its leaf hash, an artefact also by that of its bytes."""
    assert list(differences(None, _candidate(OPENSSL, WHEEL))) == [
        Difference("new", leaf(OPENSSL).hex(), "", "debian:12/openssl",
                   "advisory openssl@3.0.22-1, fixed in 3.0.22-1, high"),
        Difference("new", leaf(WHEEL).hex(), WHEEL.sha256, "debian:12/openssl",
                   "artefact 3.0.22-1 amd64"),
    ]  # fmt: skip


def test_raised_lowered_and_gone() -> None:
    """More urgent is raised, anything less is lowered, what is left out is gone."""
    more, less = replace(OPENSSL, exploited=True, cvss=98), replace(OPENSSL, urgency="low")
    at = "debian:12/openssl"
    assert _changes((OPENSSL, WHEEL), OPENSSL, WHEEL) == []
    assert _changes((OPENSSL,), more) == [("raised", at)]
    assert _changes((OPENSSL,), less) == _changes((more,), OPENSSL) == [("lowered", at)]
    assert _changes((OPENSSL, WHEEL), OPENSSL) == [("gone", at)]
    (one,) = differences(_candidate(OPENSSL), _candidate(more))
    assert one.detail.endswith(
        "high -> advisory openssl@3.0.22-1, fixed in 3.0.22-1, high 9.8 exploited"
    )


def _flaw(field: str, state: State, level: int, claimed: int) -> Flaw:
    voice = Voice("kev", "yes", claimed, 1, 0, "d")
    return Flaw("CVE-2024-0001", {field: Believed(state, level, claimed, (voice, voice))})


def test_what_waits_is_held_or_claims_exploitation() -> None:
    """A lone score is no news for people; a lone claim of exploitation is."""
    flaws = [
        _flaw("cvss", State.HELD, 98, 98), _flaw("cvss", State.SINGLE, -1, 98),
        _flaw("exploited", State.SINGLE, -1, 1), _flaw("exploited", State.DISPUTED, 0, 1),
        _flaw("exploited", State.AGREED, 1, 1), _flaw("exploited", State.SINGLE, -1, 0),
    ]  # fmt: skip
    assert [(one.field, one.state) for one in waiting(flaws)] == [
        ("cvss", State.HELD), ("exploited", State.SINGLE), ("exploited", State.DISPUTED),
    ]  # fmt: skip
    first = next(waiting(flaws))
    assert first == Waiting("CVE-2024-0001", "cvss", State.HELD, 98, 98, ("kev",))
