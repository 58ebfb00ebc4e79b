"""Check 3: the order is mine, stands in its ring's tree, and this action was not begun before."""

import pytest

from answerable.kernel.canon import Json, decode, encode
from tests.attacks.verdict import allowed, refused
from tests.simulator import Simulator
from tests.simulator.log import inclusion, tree_of


def test_order_of_another_host(sim: Simulator) -> None:
    """An order transplanted to a host that was not noticed for it."""
    order = sim.permitted()
    order.host = "web3"
    refused(sim.ask(order), "not_mine")


@pytest.mark.parametrize(("what", "value"), [("fleet", "ab" * 32), ("instance", "cd" * 32)])
def test_order_for_another_fleet_or_instance(sim: Simulator, what: str, value: str) -> None:
    """A host's name is no identity: fleet and instance must be its own."""
    sim.permitted()
    refused(sim.mutant(edit=lambda order: order.update({what: value})), "not_mine")


def test_forged_order(sim: Simulator) -> None:
    """One word of the order changed after the notice."""
    order = sim.permitted()
    order.text = order.text.replace("nginx.service", "sshd.service")
    refused(sim.ask(order), "not_in_ring")


def test_order_that_was_never_noticed(sim: Simulator) -> None:
    """An order with a flawless path to a root that stands in no notice."""
    order = sim.permitted()
    own = tree_of([order.text, "{}"])
    order.more |= {"path": inclusion(own, 0), "index": 0}
    refused(sim.ask(order), "not_in_ring")


def test_order_moved_to_the_first_ring(sim: Simulator) -> None:
    """A host of ring 1 is told that it stands in ring 0, with the root's neighbours as its path."""
    sim.permitted()
    order = sim.play("web2")
    body = decode(order.text.encode(), 1 << 20)
    order.text = encode(body | {"ring": 0})
    refused(sim.ask(order), "not_in_ring")


@pytest.mark.parametrize("ring", [3, 63, (1 << 53) - 1])
def test_ring_that_the_notice_does_not_have(sim: Simulator, ring: int) -> None:
    """A ring past the last one is no ring."""
    sim.permitted()
    refused(sim.mutant(edit=lambda order: order.update(ring=ring)), "not_in_ring")


def test_ring_that_claims_fewer_hosts_than_its_tree_holds(sim: Simulator) -> None:
    """A notice says two hosts over the root of a tree of four: the paths no longer fit."""
    sim.permitted()
    big = [["web1"], ["web2", "api1", "x1", "x2"]]

    def claim(notice: Json) -> None:
        notice["rings"][1]["size"] = 2

    twin = Simulator(authorization=lambda a: a["clauses"][0].update(rings=[1, 9]))
    twin.advance(order := twin.play("web2", rings=big), 1)
    allowed(twin.ask(order))
    twin = Simulator(*twin.knobs)
    twin.advance(order := twin.play("web2", rings=big, notice=claim), 1)
    refused(twin.ask(order), "not_in_ring")


def test_path_with_a_flipped_bit(sim: Simulator) -> None:
    """A path that differs in one bit."""
    sim.permitted()
    sim.advance(order := sim.play("web2"), 1)
    path = order.path[0]
    order.path[0] = f"{int(path, 16) ^ 1:064x}"
    refused(sim.ask(order), "not_in_ring")


def test_order_executed_twice(sim: Simulator) -> None:
    """The same action of the same order under the same notice, once more."""
    order = sim.permitted()
    sim.act(order)
    refused(sim.ask(order), "consumed")


def test_order_executed_twice_as_if_it_had_been_killed(sim: Simulator) -> None:
    """Only the last action begun can be one that was never acted on."""
    order = sim.permitted()
    sim.act(order)
    sim.act(order, "restart")
    first = sim.members["web1"].consumed[0]
    refused(sim.ask(order, resumed=first), "consumed")


def test_step_before_its_turn(sim: Simulator) -> None:
    """A restart before the upgrade that causes it."""
    order = sim.permitted()
    refused(sim.ask(order, "restart"), "out_of_order")


def test_host_enrolled_by_one_person(sim: Simulator) -> None:
    """A batch of hosts that too few people signed is none."""
    order = sim.permitted()
    entry = sim.write("enrolment", {"size": 1, "root": "ab" * 32}, "dana", "dana:2")
    refused(sim.append(entry), "not_enough_people")
    record = sim.members["web1"].enrolled
    sim.members["web1"].enrolled = record._replace(enrolment="ab" * 32)
    refused(sim.ask(order), "unknown_subject")


@pytest.mark.parametrize("field", ["zones", "key"])
def test_record_changed_after_enrolment(sim: Simulator, field: str) -> None:
    """A host relabelled by its own disk: the record is a leaf that people signed."""
    sim.permitted()
    order = sim.play("pci1", rings=[["pci1"]])
    member = sim.members["pci1"]
    record: Json = decode(member.enrolled.record.encode(), 1 << 20)
    record[field] = ["web"] if field == "zones" else sim.records["web1"]["key"]
    member.enrolled = member.enrolled._replace(record=encode(record))
    fresh = sim.fresh("web1" if field == "key" else "pci1")
    refused(sim.ask(order, freshness=fresh), "not_enrolled")


def test_enrolment_by_people_since_removed(sim: Simulator) -> None:
    """A new charter drops one of the two who enrolled the host: their signatures stop counting."""
    order = sim.permitted()

    def without_lee(body: Json) -> None:
        body["people"]["lee"]["roles"] = ["approver"]

    sim.succeed(without_lee, "dana", "lee")
    order.checkpoint = sim.authorized = sim.checkpoint()
    sim.now += 4_000
    refused(sim.ask(order), "not_enough_people")
