"""The planner believes what hosts told of themselves before it looks into their roots."""

import shutil
from dataclasses import replace

from answerable.inventory.installed import EVERYWHERE, Inventory
from answerable.kernel.canon import encode
from tests.bootstrap.test_planning import WISH, Hub, hub
from tests.inventory.test_signed import posted

__all__ = ["hub"]
PATCHED = encode([["pypi", "waitress", "3.0.1", "cp311", "waitress", "", "installed", []]])


def _tell(hub: Hub, host: str, time: int) -> None:
    data = posted(PATCHED, who=host, host=host, time=time, fleet=hub.planning.logs.state.fleet)
    hub.planning.heard(*hub.planning.inbox.take(data, time))


def _versions(hub: Hub) -> dict[str, str]:
    return {row.host: row.packages[0].version for row in hub.planning.inventory()}


def test_what_a_host_told_counts_before_its_root(hub: Hub) -> None:
    """The host's own word comes first, and no change is planned for what it has already."""
    hub.planning.logs.refresh()
    assert _versions(hub)["web2"] == "2.1.2"
    _tell(hub, "web2", hub.town.sim.now)
    assert (_versions(hub)["web2"], _versions(hub)["web1"]) == ("3.0.1", "2.1.2")
    assert {host for ring in hub.plan().rings for order in ring for host in ("web1", "web2")
            if f'"host":"{host}"' in order} == {"web1"}  # fmt: skip


def test_an_old_word_is_none(hub: Hub) -> None:
    """A host that fell silent is looked at, and is unknown where nobody can look."""
    hub.planning.logs.refresh()
    _tell(hub, "web2", hub.town.sim.now)
    hub.town.sim.now += hub.planning.silence + 1
    assert _versions(hub)["web2"] == "2.1.2"
    given = dict(hub.planning.party.settings["hosts"])
    given["web2"] = {"kind": "signed"}
    settings = {**hub.planning.party.settings, "hosts": given}
    hub.planning.party = replace(hub.planning.party, settings=settings)
    assert "web2" not in _versions(hub)
    hub.town.sim.now += hub.planning.silence + 1
    assert "web2" in hub.planning.hosts()[1]


def test_a_host_that_was_never_heard_of_is_unknown(hub: Hub) -> None:
    """An enrolled host without any inventory is not fine."""
    assert hub.planning.hosts() == ([], ["legacy1", "pci1", "web1", "web2"])


def test_documents_are_matched_and_never_planned_for(hub: Hub) -> None:
    """An image with the same flaw is an exposure; there is no host of that name to change."""
    hub.release()
    (web1,) = [row for row in hub.planning.inventory() if row.host == "web1"]
    hub.planning.heard(Inventory("shop", "00" * 32, EVERYWHERE, web1.packages), hub.town.sim.now)
    hosts = {ranked.exposure.host for ranked in hub.planning.exposures()[1]}
    assert "shop" in hosts
    made = hub.planning.plan(WISH)
    assert "shop" not in made.text


def test_the_store_can_be_rebuilt(hub: Hub) -> None:
    """What hosts told is kept beside the store: without the store it is known all the same."""
    hub.planning.logs.refresh()
    _tell(hub, "web2", hub.town.sim.now)
    for file in hub.place.glob("fleet.db*"):
        file.unlink()
    shutil.rmtree(hub.town.folder / "roots")
    given = {"web2": hub.planning.party.settings["hosts"]["web2"]}
    settings = {**hub.planning.party.settings, "hosts": given}
    hub.planning.party = replace(hub.planning.party, settings=settings)
    assert _versions(hub) == {"web2": "3.0.1"}
