"""Rehearsed effects stand in orders and their undos; what is unfit is escalated, never planned."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import pytest

from answerable.changes.build import Judgement
from answerable.changes.plan import NoPlan
from answerable.changes.preview import text
from answerable.changes.rehearse import (
    Asked,
    Outcome,
    Rehearse,
    Rehearsed,
    Unfit,
    Unrehearsed,
    Upgrade,
)
from answerable.kernel.canon import Json
from answerable.kernel.order import read_order
from tests.changes.planning import escalated, plan
from tests.exposure.fleet import NEW, OLD, host

SEEN = Rehearsed("ab" * 32, ("cron", "unit"))


def clones(
    tell: Callable[[Asked, Upgrade], Outcome], heard: Callable[[Asked], object] = id
) -> Rehearse:
    """Answer for each upgrade of each host."""

    def rehearse(asked: Iterable[Asked]) -> Mapping[str, Sequence[Outcome]]:
        every = list(asked)
        for each in every:
            heard(each)
        return {each.host: [tell(each, upgrade) for upgrade in each.upgrades] for each in every}

    return rehearse


def names(upgrade: Upgrade) -> set[str]:
    """Packages of an upgrade."""
    return {move.name for move in upgrade.moves}


def test_effects_and_classes_stand_in_the_upgrade_and_in_its_undo() -> None:
    """The order, and so the ring's root, the notice and each approval, cover them."""
    made = plan(rehearse=clones(lambda _, u: SEEN if "openssl" in names(u) else Unrehearsed()))
    order = read_order(made.rings[0][0])
    with_effects = {c["id"]: c for c in order["changes"] + order["undo"] if "effects" in c}
    assert len(with_effects) == 2
    for change in with_effects.values():
        assert (change["effects"], change["classes"]) == ("ab" * 32, ["cron", "unit"])
        assert "openssl" in {p["name"] for p in change["packages"]}
    assert list(made.effects) == ["ab" * 32]


def test_the_dry_run_shows_hashes_classes_and_what_was_not_rehearsed() -> None:
    """Who reads the dry run knows what is compared on the host and what is not."""
    made = plan(rehearse=clones(lambda _, u: SEEN if "openssl" in names(u) else Unrehearsed()))
    shown = text(made)
    assert f"effects {'ab' * 32}; sensitive: cron, unit" in shown
    assert "effects: 1 different list(s); 1 upgrade(s) not rehearsed" in shown


def test_clones_are_asked_for_exact_packages_in_the_order_of_the_host() -> None:
    """Versions on both sides and the hash of the bytes, and which classes may be."""
    asked: list[Asked] = []

    def judged(_host: str, _zones: frozenset[str], facts: Mapping[str, Json]) -> Judgement:
        return Judgement(frozenset(facts), "", frozenset({"unit"}))

    made = plan(judged=judged, rehearse=clones(lambda *_: Unrehearsed(), asked.append))
    (one,) = asked
    assert (one.host, one.classes) == ("web1", frozenset({"unit"}))
    upgrades = [c for c in made.orders[0][0]["changes"] if c["type"] == "upgrade"]
    for upgrade, change in zip(one.upgrades, upgrades, strict=True):
        moves = [(m.name, m.before, m.after, m.sha256) for m in upgrade.moves]
        rows = [(p["name"], p["from"], p["to"], p["sha256"]) for p in change["packages"]]
        assert (upgrade.ecosystem, moves) == (change["ecosystem"], rows)
    assert {(m.before, m.after) for u in one.upgrades for m in u.moves if "ssl" in m.name} == {
        (OLD, NEW)
    }


def test_what_is_unfit_is_escalated_and_the_rest_goes_on() -> None:
    """One package whose script does more than it ships keeps no other fix from the host."""
    why = Unfit("2 effects are not explained: /etc/x, /etc/y")
    made = plan(rehearse=clones(lambda _, u: why if "bash" in names(u) else SEEN))
    assert escalated(made) == {"web1": [f"`bash`: {why.reason}"]}
    upgrades = [c for c in made.orders[0][0]["changes"] if c["type"] == "upgrade"]
    assert [c["id"] for c in upgrades] == ["upgrade-2"]
    assert "bash" not in {p["name"] for c in upgrades for p in c["packages"]}
    assert "bash" not in {row["package"] for row in made.body["exposures"]}


def test_a_host_with_nothing_fit_is_in_no_ring() -> None:
    """Its place in the ring goes to the next host."""
    hosts = [host(name) for name in ("web1", "web2", "web3")]

    def tell(asked: Asked, _: Upgrade) -> Outcome:
        return Unfit("odd") if asked.host == "web1" else SEEN

    made = plan(hosts, rehearse=clones(tell), most=2)
    assert made.find("web1") is None
    assert (made.find("web2"), made.find("web3")) == ((0, 0), (1, 0))
    with pytest.raises(NoPlan, match="odd"):
        plan(rehearse=clones(lambda *_: Unfit("odd")))
