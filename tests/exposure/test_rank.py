"""Ranking: the directive's floor, then points with reasons, the same for everybody."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.exposure.bod2604 import DAY
from answerable.exposure.features import Listings
from answerable.exposure.match import Exposure
from answerable.exposure.rank import (
    BAND,
    EPSS,
    EXPLOITED,
    MOST_HOSTS,
    MOST_ZONES,
    TIMELINE,
    Context,
    Ranked,
    Said,
    explain,
    rank,
)
from answerable.feeds.facts import URGENCIES, leaf
from tests.exposure.fleet import BASH, RELEASE
from tests.exposure.models import MODEL, WORST, flaw
from tests.feeds.fakes import advisory

CVE, NOW = "CVE-2026-0001", 1_795_305_600


def exposure(host: str = "web1", zone: str = "web", **fact: object) -> Exposure:
    """Give an exposure of one package to one flaw."""
    told: dict[str, Any] = {"cves": (CVE,), "published": 0, **fact}
    about = replace(advisory("bash", "5.2-2"), **told)
    zones = frozenset({zone})
    return Exposure(host, zones, BASH, about, leaf(about).hex(), RELEASE, None, None)


def said(state: str = "agreed", **values: str) -> dict[str, Said]:
    """Let two channels say these values."""
    return {name: Said(value, state, ("one", "two"), NOW - 7) for name, value in values.items()}


def context(flaws: dict[str, dict[str, Said]] | None = None, **more: object) -> Context:
    """Give a context in which a catalogue was read and the zone `web` is public."""
    told: dict[str, object] = {"public": {"web": True, "db": False}, "listed": True, **more}
    return Context(NOW, flaws=flaws or {}, **told)  # type: ignore[arg-type]


def only(about: Exposure, given: Context) -> Ranked:
    """Rank one exposure."""
    (ranked,) = rank([about], given)
    return ranked


CALM = {"ssvc_automatable": "no", "ssvc_technical_impact": "partial"}
GRAVE = {"ssvc_automatable": "yes", "ssvc_technical_impact": "total"}


def test_the_floor_comes_before_every_score() -> None:
    """No points within a timeline reach the next one, whatever is said of a flaw."""
    loud = said(**CALM, epss_percentile="1.0", cvss=WORST, ssvc_exploitation="active")
    quiet = said(**GRAVE, epss="0.0")
    flaws = {CVE: loud, "CVE-2026-0002": quiet}
    given = context(flaws, weights={"web": 10**9}, model=MODEL)
    rows = [exposure(urgency="critical", cvss=100, exploited=True),
            exposure(urgency="low", cvss=1, cves=("CVE-2026-0002",))]  # fmt: skip
    ranked = rank(rows, given)
    timelines = [(r.verdict.floor.timeline, r.exposure.advisory.urgency) for r in ranked]
    assert timelines == [("3D", "low"), ("14D", "critical")]
    assert all(sum(r.points for r in each.reasons[1:]) < TIMELINE for each in ranked)


def test_what_is_exploited_comes_first() -> None:
    """No score and no urgency outranks known exploitation."""
    calm = exposure(urgency="critical", cvss=100)
    hot = exposure(urgency="low", cvss=10, exploited=True)
    for known in (Context(), context()):
        assert [r.exposure for r in rank([calm, hot], known)] == [hot, calm]


def test_urgency_comes_before_score() -> None:
    """The publisher's word decides, the score among equals."""
    rows = [exposure(urgency="high", cvss=10), exposure(urgency="medium", cvss=99),
            exposure(urgency="high", cvss=90)]  # fmt: skip
    ranked = [
        (r.exposure.advisory.urgency, r.exposure.advisory.cvss) for r in rank(rows, Context())
    ]
    assert ranked == [("high", 90), ("high", 10), ("medium", 99)]


def test_every_urgency_has_points() -> None:
    """No word of the list is forgotten."""
    for urgency in URGENCIES:
        points = {r.because: r.points for r in only(exposure(urgency=urgency), context()).reasons}
        assert any("urgency" in because and value >= 100 for because, value in points.items())


def test_a_zone_adds_its_weight_and_no_more_than_its_share() -> None:
    """Among equals the host that matters more comes first; a huge weight breaks no floor."""
    rows = [exposure("a", "web"), exposure("b", "web2")]
    given = context(weights={"web2": 50})
    assert [r.exposure.host for r in rank(rows, given)] == ["b", "a"]
    huge = only(rows[1], context(weights={"web2": 10**9}))
    assert MOST_ZONES in [r.points for r in huge.reasons]
    assert all(r.points >= 0 for r in only(rows[1], context(weights={"web2": -9})).reasons)


def test_the_order_of_equals_is_fixed() -> None:
    """The same exposures in any order rank the same."""
    rows = [exposure(host) for host in ("c", "a", "b")]
    assert [r.exposure.host for r in rank(rows, Context())] == ["a", "b", "c"]
    assert rank(rows, Context()) == rank(rows[::-1], Context())


def test_an_explanation_adds_up() -> None:
    """Each point has its reason, and what is not known is named as not known."""
    told = explain(only(exposure(urgency="unknown"), context(weights={"web": 5})))
    assert sum(reason["points"] for reason in told["reasons"]) == told["score"]
    words = " ".join(reason["because"] for reason in told["reasons"])
    for missing in ("no urgency is stated", "no CVSS score is stated", "no EPSS is known"):
        assert missing in words
    assert (told["available"], told["undo"]) == ("", "")
    assert told["not_known"] == ["automatable", "technical impact"]


def test_more_hosts_are_more_urgent() -> None:
    """A doubling of hosts counts a little, up to its share."""
    many = [exposure(f"h{n}") for n in range(5)]
    lone = exposure("x", urgency="low", cves=())
    points = {r.because: r.points for r in rank([*many, lone], context())[0].reasons}
    assert points["it is on 5 hosts"] == 20
    assert MOST_HOSTS >= 20


def test_dates_run_from_the_listing_or_the_publication() -> None:
    """The catalogue's date, its own due date if earlier, else when the flaw was published."""
    listed = said(**GRAVE, exploited="yes", kev_added=str(NOW - DAY), published=str(NOW - 9 * DAY))
    assert only(exposure(), context({CVE: listed})).verdict.due == NOW + 2 * DAY
    sooner = {**listed, **said(kev_due=str(NOW + DAY))}
    assert only(exposure(), context({CVE: sooner})).verdict.due == NOW + DAY
    published = said(**GRAVE, published=str(NOW - DAY), kev_due=str(NOW + 1))
    assert only(exposure(), context({CVE: published})).verdict.due == NOW + 2 * DAY
    assert only(exposure(published=0), context()).verdict.due == NOW + 3 * DAY
    assert only(exposure(zone="db"), context({CVE: said(**CALM)})).verdict.due == 0


def test_a_catalogue_that_was_not_read_is_not_no() -> None:
    """Without a catalogue a flaw counts as listed, and it is said that nobody knows."""
    blind = only(exposure(), context({CVE: said(**GRAVE)}, listed=False))
    assert (blind.verdict.floor.timeline, blind.verdict.floor.unknown) == ("3DF", ("in KEV",))
    assert only(exposure(), context({CVE: said(**GRAVE)})).verdict.floor.timeline == "3D"


def test_one_public_zone_makes_a_host_public() -> None:
    """A host is internal only if every one of its zones is known to be."""
    grave = {CVE: said(**CALM)}
    for zones, timeline in ((("db",), "FSU"), (("db", "web"), "60D"), (("db", "new"), "60D")):
        about = replace(exposure(), zones=frozenset(zones))
        assert only(about, context(grave)).verdict.floor.timeline == timeline, zones


@pytest.mark.parametrize("state", ["single", "held", "disputed"])
def test_what_one_channel_says_alone_moves_nothing(state: str) -> None:
    """A KEV entry through one hijacked feed leaves score, date and order as they were."""
    honest = said(**CALM, cvss=WORST)
    forged = {**honest, **said(state, exploited="yes", kev_added="1", kev_ransomware="yes")}
    assert rank([exposure()], context({CVE: honest})) == rank([exposure()], context({CVE: forged}))
    waiting = {name for name, _ in context({CVE: forged}).waiting(CVE)}
    assert waiting == {"exploited", "kev_added", "kev_ransomware"}


def test_five_hundred_forged_flaws_change_nothing() -> None:
    """One compromised feed adds 500 flaws and listings; the ranking is the same to the last bit."""
    honest = {f"CVE-2026-{n:04}": said(**(GRAVE if n % 3 else CALM), cvss=WORST, cna="acme")
              for n in range(30)}  # fmt: skip
    rows = [exposure(f"h{n}", cves=(cve,)) for n, cve in enumerate(honest)]
    forged = {
        f"CVE-2026-{n:05}": said("single", exploited="yes", kev_added=str(NOW), cvss=WORST)
        for n in range(90_000, 90_500)
    }
    lied = {cve: {**told, **said("held", exploited="yes", epss="1.0")}
            for cve, told in honest.items()}  # fmt: skip
    clean = rank(rows, context(honest, model=MODEL))
    assert clean == rank(rows, context({**lied, **forged}, model=MODEL))


def test_what_is_said_beyond_agreement_waits() -> None:
    """A stricter claim of one channel is shown with its value, and the agreed one counts."""
    claimed = {CVE: {"ssvc_exploitation": Said("poc", "agreed", ("one",), NOW, "active")}}
    given = context(claimed)
    assert only(exposure(), given).score > only(exposure(), context()).score
    ((name, told),) = given.waiting(CVE)
    assert (name, told.value, told.state) == ("ssvc_exploitation", "active", "claimed")


SAYINGS = st.fixed_dictionaries({}, optional={
    "cvss": st.sampled_from([WORST, "", "CVSS:3.1/AV:L", "x"]), "cna": st.text(max_size=9),
    "epss": st.sampled_from(["0.5", "nan", "-1", "2", "x", "1e-3", "inf"]),
    "published": st.sampled_from(["0", "1710000000", "x", "9" * 40, "\u0661"]),
    "ssvc_exploitation": st.sampled_from(["active", "poc", "none", "\x1b[2J"]),
    "references": st.sampled_from(["", "7", "a,b", "\u0661"]), "title": st.text(max_size=20),
    "ssvc_automatable": st.sampled_from(["yes", "no", "?"]), "cwe": st.text(max_size=9),
})  # fmt: skip


@given(SAYINGS, st.booleans())
def test_a_model_raises_and_never_lowers(values: dict[str, str], public: bool) -> None:  # noqa: FBT001
    """With a model every score is at least what the rules alone give, and in the same timeline."""
    flaws = {CVE: said(**values)}
    given = context(flaws, public={"web": public})
    rules, both = (
        only(exposure(), given), only(exposure(), replace(given, model=MODEL))
    )  # fmt: skip
    assert rules.score <= both.score <= rules.score + 7 * BAND
    assert rules.verdict.floor == both.verdict.floor
    assert rules.verdict.due == both.verdict.due


def test_the_model_sees_earlier_listings() -> None:
    """A vendor's listings before the publication are handed to the model, as of then."""
    told = said(published="2000", vendor="acme", cvss=WORST)
    given = context({CVE: told}, model=MODEL, listings=Listings([(flaw(vendor="acme"), 1_000)]))
    learned = only(exposure(), given).verdict.learned
    assert learned is not None
    assert learned.said["vendor_kev"] == 1
    assert MODEL.band(learned.score) == learned.band


def test_epss_counts_by_percentile_first() -> None:
    """A rank among all flaws says more than a small probability."""
    told = said(epss="0.02", epss_percentile="0.9")
    points = [
        r.points for r in only(exposure(), context({CVE: told})).reasons if "EPSS" in r.because
    ]
    assert points == [round(EPSS * 0.9)]


def test_the_worst_of_several_flaws_speaks() -> None:
    """An advisory of many flaws is as urgent as the most urgent of them."""
    flaws = {"CVE-2026-0002": said(exploited="yes", **GRAVE)}
    about = exposure(cves=("CVE-2026-0001", "CVE-2026-0002", "CVE-2026-0003"))
    ranked = only(about, context(flaws))
    assert ranked.verdict.cve == "CVE-2026-0002"
    assert EXPLOITED in [r.points for r in ranked.reasons]
