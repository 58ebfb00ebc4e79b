"""Check 8: no zone of mine is excluded, or that zone's own people approved this notice."""

import pytest

from answerable.kernel.canon import Json
from tests.attacks.verdict import allowed, refused
from tests.simulator import DAY, Simulator
from tests.simulator.constitution import approval, by_people


def test_excluded_zone(sim: Simulator) -> None:
    """A pci host in a plan under an authorization that excludes pci."""
    open_to_pci = Simulator(authorization=lambda a: a.update(excludes=["legacy"]))
    rings = [["pci1"]]
    open_to_pci.permitted("pci1", rings=rings)
    refused(sim.ask(sim.play("pci1", rings=rings)), "excluded_zone")


def test_zone_that_the_host_added_itself(sim: Simulator) -> None:
    """A host may always add a zone, and is then excluded with it."""
    order = sim.permitted()
    refused(sim.ask(order, zones=frozenset({"legacy"})), "excluded_zone")


def test_host_without_a_label(sim: Simulator) -> None:
    """A missing label counts as every zone, the excluded ones too."""
    everyone = [(g, p) for g in ("g1", "g2") for p in ("lee", "mo", "kim", "dana")]
    knobs: Json = {"rings": [["bare1"]], "told": everyone}
    free = Simulator(authorization=lambda a: a.update(excludes=[]))
    free.permitted("bare1", **knobs)
    refused(sim.ask(sim.play("bare1", **knobs)), "excluded_zone")


@pytest.mark.parametrize("who", [("lee",), ("lee", "lee:2"), ("lee", "kim"), ("dana", "kim")])
def test_excluded_zone_approved_by_too_few_of_its_people(
    sim: Simulator, who: tuple[str, ...]
) -> None:
    """The zone's threshold, of the zone's own approvers."""
    order = sim.play("pci1", rings=[["pci1"]])
    for person in who:
        sim.tell("approval", approval(order.notice), person)
    refused(sim.ask(order), "excluded_zone")
    for person in ("lee", "mo"):
        sim.tell("approval", approval(order.notice), person)
    allowed(sim.ask(order))


def test_excluded_zone_approved_by_its_people_for_the_undo_alone(sim: Simulator) -> None:
    """Allowing the undo of one host opens the zone to none."""
    order = sim.play("pci1", rings=[["pci1"]])
    for person in ("lee", "mo"):
        sim.tell("approval", approval(order.notice, undo=True), person)
    refused(sim.ask(order), "excluded_zone")
    for person in ("lee", "mo"):
        sim.tell("approval", approval(order.notice), person)
    allowed(sim.ask(order))


def test_approvals_without_the_zones_people(sim: Simulator) -> None:
    """Two approvers allow a plan by approvals; a zone with its own people needs those."""
    order = sim.play("pci1", rings=[["pci1"]], notice=by_people)
    for person in ("dana", "kim"):
        sim.tell("approval", approval(order.notice), person)
    refused(sim.ask(order), "excluded_zone")
    for person in ("lee", "mo"):
        sim.tell("approval", approval(order.notice), person)
    allowed(sim.ask(order))


def test_proposer_approves_for_their_own_zone(sim: Simulator) -> None:
    """Lee proposes the pci plan: Lee's approval for pci does not count."""
    twin = Simulator()

    def by_lee(notice: Json) -> None:
        notice["author"] = "lee"

    order = twin.play("pci1", rings=[["pci1"]], notice=by_lee)
    for person in ("lee", "mo"):
        twin.tell("approval", approval(order.notice), person)
    refused(twin.ask(order), "excluded_zone")
    twin.now += DAY
    sim.permitted()
