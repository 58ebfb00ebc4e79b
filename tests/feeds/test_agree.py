"""Agreement: two voices raise, one never does, and silence lowers nothing."""

from pathlib import Path

import duckdb
import pytest
from hypothesis import given as examples
from hypothesis import strategies as st

from answerable.feeds.agree import (
    SILENT,
    Beliefs,
    Flaw,
    State,
    Voice,
    agreed,
    believe,
    gather,
    known,
    no_less,
    voice_of,
)
from answerable.feeds.facts import Advisory, Fact
from answerable.feeds.rows import Row
from answerable.feeds.source import Bound, Collected
from answerable.feeds.world import World, Worlds
from tests.feeds.fakes import ORIGIN, advisory, artefact
from tests.feeds.worlds import CRITICAL, DAY, MEDIUM, NOON, claim, document, given, span

DATA = Path(__file__).parents[2].parent / "shared" / "data"
CVE = "CVE-2026-0001"
OPENSSL = advisory()
FLASK = advisory("flask", "2.3.1", name="GHSA-1", ecosystem="pypi", cvss=98, urgency="critical")


def _voice(channel: str, level: int, seen: int = 1, gone: int = 0) -> Voice:
    return Voice(channel, str(level), level, seen, gone, "d")


def _world(home: Path, *rows: Row, now: int = NOON + 60) -> World:
    return Worlds(home).build(given(document("d", list(rows), now)), now)


def _flaw(home: Path, *rows: Row) -> Flaw:
    (flaw,) = known(_world(home, *rows).folder, [CVE], NOON + DAY)
    return flaw


@pytest.mark.parametrize(
    ("voices", "state", "level", "claimed"),
    [
        ([], State.SILENT, SILENT, SILENT),
        ([_voice("kev", 1)], State.SINGLE, SILENT, 1),
        ([_voice("kev", 1), _voice("kev", 1, 2)], State.SINGLE, SILENT, 1),
        ([_voice("osv/a", 1), _voice("osv/b", 1)], State.SINGLE, SILENT, 1),
        ([_voice("kev", 1), _voice("nvd", 1)], State.AGREED, 1, 1),
        ([_voice("kev", 1), _voice("nvd", 0)], State.DISPUTED, 0, 1),
        ([_voice("a", 98), _voice("b", 75), _voice("c", 53)], State.DISPUTED, 75, 98),
        # Somebody took it back; what two said stands, and so does one's claim.
        ([_voice("kev", 1, 1, 9), _voice("nvd", 1)], State.HELD, 1, 1),
        ([_voice("kev", 1, 1, 9), _voice("nvd", 1, 1, 9)], State.HELD, 1, 1),
        ([_voice("kev", 1, 1, 9)], State.HELD, SILENT, 1),
        ([_voice("a", 98, 1, 9), _voice("a", 53, 9), _voice("b", 98)], State.HELD, 98, 98),
        # Two that said it one after the other never said it together.
        ([_voice("kev", 1, 1, 9), _voice("nvd", 1, 9)], State.SINGLE, SILENT, 1),
        ([_voice("kev", 1, 1, 9), _voice("nvd", 1, 10)], State.SINGLE, SILENT, 1),
    ],
)  # fmt: skip
def test_what_is_believed(voices: list[Voice], state: State, level: int, claimed: int) -> None:
    """Two independent voices at one time raise a level; one alone is a claim; silence holds."""
    found = believe(voices)
    assert (found.state, found.level, found.claimed) == (state, level, claimed)
    assert len(found.voices) == len(voices)


_voices = st.lists(
    st.builds(
        _voice, st.sampled_from(["kev", "nvd", "osv/a", "osv/b"]), st.integers(-1, 3),
        st.integers(1, 5), st.sampled_from([0, 6, 7]),
    ),
    max_size=6,
)  # fmt: skip


@examples(_voices, st.sampled_from(["kev", "new"]), st.integers(0, 100))
def test_one_channel_alone_raises_nothing(voices: list[Voice], channel: str, level: int) -> None:
    """Whatever one hijacked channel adds, no level passes what another channel said."""
    others = [v.level for v in voices if voice_of(v.channel) != channel]
    forged = believe([*voices, _voice(channel, level)])
    assert forged.level <= max(others, default=SILENT)


@examples(_voices, _voices)
def test_nothing_that_is_added_lowers(voices: list[Voice], more: list[Voice]) -> None:
    """No statement by anybody makes a flaw less urgent."""
    before, after = believe(voices), believe([*voices, *more])
    assert after.level >= before.level
    assert after.claimed >= before.claimed


@examples(_voices)
def test_the_order_of_voices_does_not_matter(voices: list[Voice]) -> None:
    """The same statements are judged the same, bit for bit."""
    assert believe(voices) == believe(reversed(voices))


def test_a_flaw_is_judged_from_a_world(tmp_path: Path) -> None:
    """Scores are compared as scores; an active SSVC decision says that a flaw is exploited."""
    flaw = _flaw(
        tmp_path, claim("kev", CVE), claim("vulnrichment", CVE, "ssvc_exploitation", "active"),
        claim("nvd", CVE, "cvss", CRITICAL), claim("vulnrichment", CVE, "cvss", MEDIUM),
        claim("nvd", CVE, "title", "x"),
    )  # fmt: skip
    assert (flaw.exploited, flaw.cvss) == (True, 53)
    assert flaw.fields["cvss"].state is State.DISPUTED
    assert flaw.fields["cvss"].claimed == 98
    assert flaw.fields["ssvc_automatable"].state is State.SILENT
    (voice, _) = flaw.fields["exploited"].voices
    assert (voice.channel, voice.value, voice.seen) == ("kev", "yes", NOON + 60)


def test_a_flaw_is_judged_as_of_a_time(tmp_path: Path) -> None:
    """A decision is replayed on what was known then, also when more is known now."""
    _world(tmp_path, claim("kev", CVE))
    world = _world(tmp_path, claim("kev", CVE), claim("nvd", CVE), now=NOON + DAY)
    then, now = (next(known(world.folder, [CVE], at)) for at in (NOON + DAY - 1, NOON + DAY))
    assert (then.exploited, now.exploited) == (False, True)
    assert not list(known(world.folder, [CVE], NOON))


def _collected(*facts: Fact, signed: bool = False, people: bool = False) -> Collected:
    bounds = (Bound(FLASK.text, "2.0"),)
    return Collected(facts, (ORIGIN,), signed, bounds=bounds, kept_by_people=people)


def _beliefs(home: Path, *rows: Row) -> Beliefs:
    return gather(_world(home, *rows).folder, [FLASK, OPENSSL], NOON + DAY)


def test_a_signed_fact_is_raised_by_two_voices(tmp_path: Path) -> None:
    """The publisher's own word stays; what two channels say is added, what one says is not."""
    two = [claim("nvd", CVE, "cvss", CRITICAL), claim("vulnrichment", CVE, "cvss", CRITICAL)]
    beliefs = _beliefs(tmp_path, *two, claim("kev", CVE))
    (fact,) = agreed(_collected(OPENSSL, signed=True), beliefs).facts
    assert isinstance(fact, Advisory)
    assert (fact.urgency, fact.cvss, fact.exploited) == ("high", 98, False)


def test_an_unstated_urgency_is_the_agreed_scores(tmp_path: Path) -> None:
    """Where a publisher states none, the rating of the score that two agree on counts."""
    beliefs = _beliefs(
        tmp_path, claim("nvd", CVE, "cvss", CRITICAL), claim("cna", CVE, "cvss", MEDIUM)
    )
    silent = advisory(urgency="unknown")
    (fact,) = agreed(_collected(silent, signed=True), beliefs).facts
    assert isinstance(fact, Advisory)
    assert (fact.urgency, fact.cvss) == ("medium", 53)


def test_people_keep_a_file_by_hand_and_are_believed(tmp_path: Path) -> None:
    """What this party's people wrote needs no second voice."""
    beliefs = _beliefs(tmp_path, claim("kev", CVE))
    assert agreed(_collected(FLASK, people=True), beliefs).facts == (FLASK,)


def test_an_unsigned_fix_alone_is_no_fact(tmp_path: Path) -> None:
    """A fix version that one channel names is a gap with its reason, and its bound goes as well."""
    beliefs = _beliefs(tmp_path, span(cves=(CVE,)))
    found = agreed(_collected(FLASK, artefact()), beliefs)
    assert (found.facts, found.bounds) == ((artefact(),), ())
    assert [gap.reason for gap in found.gaps] == [
        "`2.3.1` as the fix of `GHSA-1` is said by osv/pypi alone: people decide"
    ]


def test_an_unsigned_fix_that_two_name_has_what_two_agree_on(tmp_path: Path) -> None:
    """Its own score is one channel's, so it does not count; the bound follows the fact."""
    beliefs = _beliefs(tmp_path, span(cves=(CVE,)), span("ghsa", cves=(CVE,)))
    found = agreed(_collected(FLASK), beliefs)
    (fact,) = found.facts
    assert isinstance(fact, Advisory)
    assert (fact.urgency, fact.cvss, fact.fixed) == ("unknown", -1, "2.3.1")
    assert found.bounds == (Bound(fact.text, "2.0"),)


@pytest.mark.parametrize(
    "other",
    [
        span("ghsa", fixed="9.9", cves=(CVE,)), span("ghsa", package="other", cves=(CVE,)),
        span("ghsa", "GHSA-2", cves=()), span("ghsa", cves=(CVE,), status="not_affected"),
        span("ghsa", cves=(CVE,), withdrawn=NOON), span("ghsa", cves=(CVE,), ecosystem="npm"),
        span("osv/ghsa", cves=(CVE,)),
    ],
)  # fmt: skip
def test_a_second_voice_must_say_the_same(tmp_path: Path, other: Row) -> None:
    """Another version, package, flaw or ecosystem confirms nothing, nor does a denial."""
    beliefs = _beliefs(tmp_path, span(cves=(CVE,)), other)
    assert agreed(_collected(FLASK), beliefs).facts == ()


@pytest.mark.parametrize(
    ("new", "strict"),
    [
        (FLASK, True),
        (advisory("flask", "2.4", name="GHSA-1", ecosystem="pypi", cvss=99, urgency="critical",
                  exploited=True), True),
        (advisory("flask", "2.3.0", name="GHSA-1", ecosystem="pypi", cvss=98, urgency="critical"),
         False),
        (advisory("flask", "2.3.1", name="GHSA-1", ecosystem="pypi", cvss=97, urgency="critical"),
         False),
        (advisory("flask", "2.3.1", name="GHSA-1", ecosystem="pypi", cvss=98), False),
        (advisory("flask", "2.3.1", name="GHSA-2", ecosystem="pypi", cvss=98, urgency="critical"),
         False),
    ],
)  # fmt: skip
def test_what_is_no_less(new: Advisory, strict: bool) -> None:  # noqa: FBT001
    """A lower score or urgency, an earlier fix or another advisory is less."""
    assert no_less(new, FLASK) is strict


@pytest.mark.skipif(not DATA.is_dir(), reason="shared/data is absent")
def test_real_listings_are_nearly_all_agreed(tmp_path: Path) -> None:
    """Of the flaws that CISA lists, its container in CVE records confirms more than 97 of 100."""
    rows = duckdb.connect(config={"threads": 1}).execute(
        "SELECT cveID, kev_date_added IS NOT NULL FROM read_parquet(?) JOIN read_parquet(?) "
        "ON cveID = cve WHERE CAST(dateAdded AS DATE) <= DATE '2025-01-23' ORDER BY cveID",
        [str(DATA / "kev.parquet"), str(DATA / "cve_vulnrichment.parquet")],
    )
    said: list[Row] = []
    for flaw, confirmed in rows.fetchall():
        said += [claim("kev", flaw), *[claim("vulnrichment", flaw)] * confirmed]
    found = list(known(_world(tmp_path, *said).folder, None, NOON + DAY))
    agreed_on = [flaw for flaw in found if flaw.exploited]
    print(f"{len(agreed_on)} of {len(found)} listed flaws are agreed")  # noqa: T201  the figure, with -s
    assert len(agreed_on) >= 0.97 * len(found) > 300
    assert {f.fields["exploited"].state for f in found} == {State.AGREED, State.SINGLE}
