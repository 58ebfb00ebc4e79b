"""Ranking: a sum of points with reasons, the same for everybody."""

from answerable.exposure.match import Exposure
from answerable.exposure.rank import explain, rank
from answerable.feeds.facts import URGENCIES, leaf
from tests.exposure.fleet import BASH, RELEASE
from tests.feeds.fakes import advisory


def _exposure(host: str = "web1", zone: str = "web", **fact: object) -> Exposure:
    about = advisory("bash", "5.2-2", **fact)  # type: ignore[arg-type]
    zones = frozenset({zone})
    return Exposure(host, zones, BASH, about, leaf(about).hex(), RELEASE, None, None)


def test_what_is_exploited_comes_first() -> None:
    """No score and no urgency outranks known exploitation."""
    calm = _exposure(urgency="critical", cvss=100)
    hot = _exposure(urgency="low", cvss=10, exploited=True)
    assert [r.exposure for r in rank([calm, hot], {})] == [hot, calm]


def test_urgency_comes_before_score() -> None:
    """The publisher's word decides, the score among equals."""
    rows = [_exposure(urgency="high", cvss=10), _exposure(urgency="medium", cvss=99),
            _exposure(urgency="high", cvss=90)]  # fmt: skip
    assert [(r.exposure.advisory.urgency, r.exposure.advisory.cvss) for r in rank(rows, {})] == [
        ("high", 90), ("high", 10), ("medium", 99),
    ]  # fmt: skip


def test_every_urgency_has_points() -> None:
    """No word of the list is forgotten."""
    for urgency in URGENCIES:
        (ranked,) = rank([_exposure(urgency=urgency)], {})
        assert ranked.score >= 100


def test_a_zone_adds_its_weight() -> None:
    """Among equals the host that matters more comes first."""
    rows = [_exposure("a", "web"), _exposure("b", "pci")]
    ranked = rank(rows, {"pci": 50})
    assert [r.exposure.host for r in ranked] == ["b", "a"]
    assert ranked[0].score == ranked[1].score + 50


def test_the_order_of_equals_is_fixed() -> None:
    """The same exposures in any order rank the same."""
    rows = [_exposure(host) for host in ("c", "a", "b")]
    assert [r.exposure.host for r in rank(rows, {})] == ["a", "b", "c"]
    assert rank(rows, {}) == rank(rows[::-1], {})


def test_an_explanation_adds_up() -> None:
    """Each point has its reason, and what is not known is named as not known."""
    (ranked,) = rank([_exposure(urgency="unknown")], {"web": 5})
    said = explain(ranked)
    assert sum(reason["points"] for reason in said["reasons"]) == said["score"] == 205
    words = " ".join(reason["because"] for reason in said["reasons"])
    assert "no urgency is stated" in words
    assert "no CVSS score is stated" in words
    assert (said["available"], said["undo"]) == ("", "")
