"""Facts out of what publications say: stated as they are, believed only as far as two agree."""

from pathlib import Path

import pytest

from answerable.feeds import agree
from answerable.feeds.facts import Advisory
from answerable.feeds.rows import Row
from answerable.feeds.source import Collected, Unusable
from answerable.feeds.sources.published import Published
from answerable.feeds.world import Worlds
from tests.feeds.worlds import CRITICAL, DAY, NOON, claim, document, given, span


def _collect(folder: Path, *rows: Row, later: list[Row] | None = None) -> Collected:
    worlds, now = Worlds(folder), NOON
    worlds.build(given(document("said", rows)), now)
    if later is not None:
        now += DAY
        worlds.build(given(document("said", later, now)), now)
    return Published(worlds, "pypi").collect(["flask"], now)


def test_a_fix_that_two_name_is_a_fact_raised_by_what_is_agreed(tmp_path: Path) -> None:
    """Each advisory is a fact of its own; score and exploitation are those that two voices say."""
    said: list[Row] = [span("osv/pypi", "PYSEC-1"), span("github", "GHSA-1")]
    said += [claim(c, field="cvss", value=CRITICAL) for c in ("github", "nvd")]
    found = _collect(tmp_path, *said, claim("kev"), claim("vulnrichment"))
    assert {(f.cvss, f.urgency) for f in found.facts if isinstance(f, Advisory)} == {
        (-1, "unknown")
    }
    world = Worlds(tmp_path).newest()
    assert world is not None
    believed = agree.agreed(found, agree.gather(world.folder, found.facts, NOON))
    facts = [fact for fact in believed.facts if isinstance(fact, Advisory)]
    assert [fact.id for fact in facts] == ["GHSA-1", "PYSEC-1"]
    assert {(fact.cvss, fact.urgency, fact.exploited) for fact in facts} == {(98, "critical", True)}


def test_a_fix_that_one_names_is_a_gap(tmp_path: Path) -> None:
    """A hijacked channel alone leads to no version."""
    found = _collect(tmp_path, span("osv/pypi"), span("osv/debian", "GHSA-2"))
    world = Worlds(tmp_path).newest()
    assert world is not None
    believed = agree.agreed(found, agree.gather(world.folder, found.facts, NOON))
    assert (len(found.facts), believed.facts) == (2, ())
    assert {gap.package for gap in believed.gaps} == {"flask"}


def test_what_does_not_apply_is_no_fact(tmp_path: Path) -> None:
    """Withdrawn, denied, of another ecosystem; and a flaw without a fix is said to be a gap."""
    found = _collect(
        tmp_path, span(withdrawn=NOON), span(status="not_affected"), span(ecosystem="npm"),
        span(advisory="GHSA-2", fixed=""), span(advisory="GHSA-3", fixed="not a version"),
    )  # fmt: skip
    assert found.facts == ()
    assert len(found.gaps) == 2
    assert "GHSA-2" in found.gaps[0].reason


def test_silence_drops_no_fact(tmp_path: Path) -> None:
    """An advisory that vanishes stands; so does one that is withdrawn, until people release."""
    gone = _collect(
        tmp_path / "a", span(), span(advisory="GHSA-2"), later=[span(advisory="GHSA-2")]
    )
    withdrawn = _collect(tmp_path / "b", span(), later=[span(withdrawn=NOON)])
    assert [len(found.facts) for found in (gone, withdrawn)] == [2, 1]


def test_a_beginning_is_a_hint_only_where_all_say_it(tmp_path: Path) -> None:
    """Otherwise one channel could hide hosts by naming a late one."""
    alone = _collect(tmp_path / "a", span(introduced="2.0"))
    both = _collect(tmp_path / "b", span(introduced="2.0"), span("github"))
    assert [[bound.introduced for bound in found.bounds] for found in (alone, both)] == [
        ["2.0"],
        [],
    ]


def test_no_world_is_missing(tmp_path: Path) -> None:
    """It is never "no vulnerabilities found"."""
    with pytest.raises(Unusable, match="missing"):
        Published(Worlds(tmp_path), "pypi").collect(["flask"], NOON)
