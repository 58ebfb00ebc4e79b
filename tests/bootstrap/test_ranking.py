"""A fleet's list: released facts, weighed by its world and its released model."""

from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256

import pytest

from answerable.bootstrap import exposure, ranking
from answerable.bootstrap.exposure import everything, fleet
from answerable.bootstrap.models import release_body
from answerable.config import NotConfigured, write_private
from answerable.feeds.rows import Row
from answerable.feeds.world import Worlds
from tests.bootstrap.test_planning import Hub, hub
from tests.exposure.models import MODEL
from tests.feeds.worlds import CRITICAL, claim, document, given, span

__all__ = ["hub"]
CVE = "CVE-2024-49768"
KNOWN = (
    claim("nvd", CVE, "cvss", CRITICAL),
    claim("vulnrichment", CVE, "cvss", CRITICAL),
    claim("vulnrichment", CVE, "cna", "acme"),
    claim("epss", CVE, "epss", "0.5"),
    claim("kev", CVE, "exploited", "yes"),
)
Lay = Callable[..., None]


@pytest.fixture
def lay(hub: Hub, monkeypatch: pytest.MonkeyPatch) -> Lay:
    """Give a way to make the control plane's world."""
    monkeypatch.setattr(exposure, "clock", lambda: hub.town.sim.now)

    def make(*rows: Row) -> None:
        now = hub.town.sim.now
        Worlds(hub.place / "worlds").build(given(document("d", rows, now)), now)

    return make


@pytest.mark.usefixtures("lay")
def test_without_a_world_released_facts_rank_and_it_is_said(hub: Hub) -> None:
    """Every host with the old version is listed, under the timeline of ignorance."""
    hub.release()
    found = fleet(hub.planning)
    hosts = [row.exposure.host for row in found.rows if row.verdict.cve == CVE]
    assert hosts == ["legacy1", "pci1", "web1", "web2"]
    assert any("no world was made" in note for note in found.notes)
    assert "rules alone" in found.heading.ranking


def test_a_world_and_a_released_model_weigh(hub: Hub, lay: Lay) -> None:
    """Two people released the model, the world says what two channels agree on."""
    hub.release()
    lay(*KNOWN)
    before = fleet(hub.planning)
    assert before.notes == ("ranked by rules alone: no model was released",)
    data, planning = MODEL.text.encode(), hub.planning
    body = release_body(data, planning.logs.law, planning.logs.state.fleet, hub.town.sim.now)
    hub.town.follow("release", body, "dana", "fay")
    write_private(hub.place / "models" / sha256(data).hexdigest(), data)
    planning.logs.refresh()
    after = fleet(planning)
    assert after.notes == ()
    assert after.context.model == MODEL
    assert MODEL.sha256 in after.heading.ranking
    row = next(row for row in after.rows if row.verdict.cve == CVE)
    assert any(reason.because.startswith("its EPSS probability") for reason in row.reasons)
    old = {(r.exposure.host, r.exposure.fact): r.score for r in before.rows}
    assert all(r.score >= old[r.exposure.host, r.exposure.fact] for r in after.rows)
    assert [r.exposure for r in planning.exposures()[1]] == [r.exposure for r in after.rows]


def test_a_swapped_model_ranks_by_rules_and_says_so(hub: Hub, lay: Lay) -> None:
    """One changed digit on disk: the order is that without a model, and every list says why."""
    hub.release()
    lay(*KNOWN)
    rules = [(row.exposure, row.score) for row in fleet(hub.planning).rows]
    data, planning = MODEL.text.encode(), hub.planning
    body = release_body(data, planning.logs.law, planning.logs.state.fleet, hub.town.sim.now)
    hub.town.follow("release", body, "dana", "fay")
    place = hub.place / "models" / sha256(data).hexdigest()
    write_private(place, data.replace(b"-5000000", b"-4000000", 1))
    planning.logs.refresh()
    found = fleet(planning)
    assert [(row.exposure, row.score) for row in found.rows] == rules
    assert "is not the released model" in found.heading.ranking
    assert any("is not the released model" in note for note in found.notes)


@pytest.mark.parametrize(
    "bad", [{"weights": {"pci": "300"}}, {"public": {"web": 1}}, {"public": []}]
)
def test_settings_of_another_shape_are_named(hub: Hub, bad: dict[str, object]) -> None:
    """A weight in quotes is told by its name, not by a traceback."""
    party = replace(hub.planning.party, settings={**hub.planning.party.settings, **bad})
    with pytest.raises(NotConfigured, match=f"the setting `{next(iter(bad))}`"):
        ranking.context(party, hub.planning.logs, hub.planning.client, [], 0)


def test_one_channels_word_waits(hub: Hub, lay: Lay) -> None:
    """The catalogue alone says exploited: nothing ranks higher, and it is shown as waiting."""
    hub.release()
    lay(*KNOWN)
    found = fleet(hub.planning)
    assert all("it is known to be exploited" not in r.because
               for row in found.rows for r in row.reasons)  # fmt: skip
    assert [name for name, _ in found.context.waiting(CVE)] == ["exploited"]


def test_everything_is_grouped_by_zones(hub: Hub, lay: Lay) -> None:
    """What nobody released yet is listed too, a row for each package, flaw and set of zones."""
    hub.release()
    with pytest.raises(NotConfigured, match="feed sync"):
        everything(hub.planning, lambda _what, _done: None)
    lay(*KNOWN, span("osv/pypi", "GHSA-9", "3.0.1", "waitress", cves=(CVE,)),
        span("osv/pypi", "GHSA-8", "", "waitress", cves=("CVE-2026-7777",)))  # fmt: skip
    found = everything(hub.planning, lambda _what, _done: None)
    rows = {(row.exposure.host, row.verdict.cve): row for row in found.rows}
    assert {host for host, _ in rows} == {"web1 and 1 more", "pci1", "legacy1"}
    assert {cve for _, cve in rows} == {CVE, "CVE-2026-7777"}
    assert any(r.because == "it is on 4 hosts" for r in rows["pci1", CVE].reasons)
    assert rows["pci1", "CVE-2026-7777"].exposure.advisory.fixed == ""
    assert found.hosts == ("legacy1", "pci1", "web1", "web2")
