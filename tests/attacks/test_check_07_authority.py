"""Check 7: named people allowed it beforehand, by an authorization in force or by approvals."""

from collections.abc import Iterable
from functools import partial

import pytest

from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused
from answerable.kernel.verify import Permit
from tests.attacks.verdict import allowed, refused
from tests.simulator import FACTS, HOUR, NEW, OLD, T0, Simulator
from tests.simulator.constitution import (
    SSL_FIX,
    approval,
    authorization,
    by_people,
    effects,
    fact_id,
    fix,
    reverse,
)

LOW, XZ = (next(fact for fact in FACTS if number in fact) for number in ("0002", "0004"))


def approved(
    sim: Simulator, who: Iterable[str], author: str = "planner1", by: str = "planner1"
) -> Permit | Refused:
    """Play a plan that relies on approvals, given by these people."""

    def rely(notice: Json) -> None:
        by_people(notice)
        notice["author"] = author

    order = sim.play(notice=rely, by=by)
    for person in who:
        sim.tell("approval", approval(order.notice), person)
    return sim.ask(order)


def terms(**changes: Json) -> Simulator:
    """Found the fleet with other words in its authorization."""
    return Simulator(authorization=lambda body: body.update(changes))


def test_expired_authorization(sim: Simulator) -> None:
    """Past its review date an authorization permits nothing."""
    late = T0 + 2 * HOUR + 2_000
    terms(review_by=late + 1).permitted()
    twin = terms(review_by=late)
    refused(twin.ask(twin.play()), "authorization_lapsed")


def test_authorization_that_lapses_while_the_host_waits(sim: Simulator) -> None:
    """What has passed since the guards answered is added to their time."""
    twin = terms(review_by=T0 + 2 * HOUR + 2_100)
    order = twin.permitted()
    fresh = twin.fresh("web1")
    refused(twin.ask(order, freshness=fresh, now=twin.boot() + 200), "authorization_lapsed")


@pytest.mark.parametrize("by", ["dana", "mo"])
def test_revoked_authorization(sim: Simulator, by: str) -> None:
    """Its owner, or one approver, ends it early."""
    order = sim.permitted()
    sim.tell("revocation", {"authorization": sim.authorization, "reason": "audit"}, by)
    refused(sim.ask(order), "authorization_lapsed")


def test_revocation_by_nobody_entitled(sim: Simulator) -> None:
    """An auditor revokes nothing, and a revocation is not undone by saying it again."""
    order = sim.permitted()
    words = {"authorization": sim.authorization, "reason": ""}
    refused(sim.append(sim.write("revocation", words, "ava")), "not_admissible")
    allowed(sim.ask(order))
    sim.tell("revocation", words, "kim")
    refused(sim.append(sim.write("authorization", authorization(), "dana")), "not_enough_people")
    refused(sim.ask(order), "authorization_lapsed")


def test_too_young_authorization(sim: Simulator) -> None:
    """An authorization serves a veto delay of its own before its first use."""
    sim.permitted()
    twin = Simulator()
    twin.now -= 2 * HOUR
    order = twin.play(wait=2_000)
    refused(twin.ask(order), "authorization_too_young")


def test_authorization_made_old_by_a_checkpoint_from_before_it(sim: Simulator) -> None:
    """The cosigned checkpoint that proves its age does not hold it yet."""
    order = sim.permitted()
    index = sim.state.authorizations[sim.authorization]["index"]
    order.more["authorization_checkpoint"] = sim.checkpoint(size=index)
    refused(sim.ask(order), "authorization_too_young")


def test_authorization_made_old_by_one_liar(sim: Simulator) -> None:
    """A checkpoint that one guard backdates and the others do not."""
    order = sim.permitted()
    order.more["authorization_checkpoint"] = sim.checkpoint(times={"g4": T0})
    refused(sim.ask(order), "authorization_too_young")


def test_advisory_that_the_clause_does_not_cover(sim: Simulator) -> None:
    """Urgent fixes were authorised; this one is of low urgency."""
    sim.permitted()

    def low(order: Json) -> None:
        order["changes"][0]["packages"][0]["advisories"] = [fact_id(LOW)]

    refused(sim.mutant(edit=low), "not_covered")


def test_uncovered_package_beside_a_covered_one(sim: Simulator) -> None:
    """One urgent fix does not carry a second package that has none."""
    sim.permitted()
    curl = next(fact for fact in FACTS if "0005" in fact)

    def more(order: Json) -> None:
        both = [fix("libssl3", OLD, NEW, SSL_FIX),
                fix("curl", "7.88.1-10+deb12u5", "7.88.1-10+deb12u9", curl)]  # fmt: skip
        order["changes"][0]["packages"] = both
        reverse(order)

    refused(sim.mutant(edit=more), "not_covered")


def test_reboots_under_an_authorization_of_fixes(sim: Simulator) -> None:
    """An order that fixes nothing: no condition over facts ever covers it."""
    sim.permitted()

    def reboot(order: Json) -> None:
        order["changes"] = [{"id": "up", "type": "reboot", "caused_by": "", "risk": "low"}]
        order["undo"] = []

    refused(sim.mutant(edit=reboot), "not_covered")


def test_a_reboot_added_to_a_fix(sim: Simulator) -> None:
    """A stolen planner makes a host reboot with its fix, and the authorization names no reboots."""

    def reboot(order: Json) -> None:
        more = {"id": "boot", "type": "reboot", "caused_by": "up", "risk": "high"}
        order["changes"].append(more)

    allowed(sim.ask(sim.play(edit=reboot)))
    twin = terms(effects=[])
    twin.permitted()
    refused(twin.mutant(edit=reboot), "not_covered")


def test_a_reboot_alone_takes_people(sim: Simulator) -> None:
    """It fixes nothing, so no authorization covers it; approvers of this very plan may want it."""

    def reboot(order: Json) -> None:
        order["changes"] = [{"id": "up", "type": "reboot", "caused_by": "", "risk": "high"}]
        order["undo"] = []

    order = sim.play(edit=reboot, notice=by_people)
    refused(sim.ask(order), "not_enough_people")
    for person in ("kim", "lee"):
        sim.tell("approval", approval(order.notice), person)
    allowed(sim.ask(order))


@pytest.mark.parametrize(
    "when",
    [
        {"fact": "epss", "at_least": 1},
        {"not": {"fact": "epss", "at_least": 1}},
        {"any": [{"fact": "urgency", "in": ["high"]}, {"fact": "epss", "is": False}]},
        {"all": []},
        {"fact": "urgency", "in": []},
        True,
        {"always": True},
    ],
)
def test_condition_over_what_is_unknown(sim: Simulator, when: Json) -> None:
    """An unknown fact or operator opens nothing, not even inside `not` and `any`."""
    sim.permitted()
    rings = [1, 2, 9]
    clause = {"name": "urgent", "when": when, "rings": rings, "validity": 86_400}
    twin = terms(clauses=[clause])
    refused(twin.ask(twin.play()), "not_covered")


def test_validity_longer_than_the_clause_allows(sim: Simulator) -> None:
    """A notice that stays usable for longer than the authorization says."""
    sim.permitted()

    def long(notice: Json) -> None:
        notice["not_after"] = notice["not_before"] + 24 * HOUR + 1

    refused(sim.mutant(notice=long), "not_covered")


def test_authorization_of_people_since_removed(sim: Simulator) -> None:
    """Kim's signature stops counting with her role: too few are left."""
    order = sim.permitted()

    def without_kim(body: Json) -> None:
        body["people"]["kim"]["roles"] = []

    sim.succeed(without_kim, "dana", "lee")
    order.checkpoint = sim.authorized = sim.checkpoint()
    sim.now += 2 * HOUR
    refused(sim.ask(order), "not_enough_people")


def test_self_approval(sim: Simulator) -> None:
    """Kim proposes and approves: only the other one counts."""
    allowed(approved(Simulator(), ("kim", "mo")))
    refused(approved(Simulator(), ("kim", "mo"), author="kim"), "not_enough_people")
    refused(approved(Simulator(), ("kim", "mo"), by="kim"), "not_enough_people")


def test_two_keys_of_one_person(sim: Simulator) -> None:
    """Thresholds count persons, never keys."""
    allowed(approved(Simulator(), ("kim", "mo")))
    refused(approved(Simulator(), ("kim", "kim:2")), "not_enough_people")


def test_one_approval_said_twice(sim: Simulator) -> None:
    """The same person, again."""
    allowed(approved(Simulator(), ("kim", "mo")))
    refused(approved(Simulator(), ("kim", "kim")), "not_enough_people")


def test_approval_by_somebody_without_the_role(sim: Simulator) -> None:
    """An auditor is listed and approves nothing."""
    allowed(approved(Simulator(), ("kim", "mo")))
    refused(approved(Simulator(), ("kim", "ava")), "not_enough_people")


@pytest.mark.parametrize("liar", ["planner1", "g1", "o1"])
def test_approval_by_a_machine(sim: Simulator, liar: str) -> None:
    """Machines approve nothing."""
    twin = Simulator()
    order = twin.play(notice=by_people)
    twin.tell("approval", approval(order.notice), "kim")
    refused(twin.append(twin.write("approval", approval(order.notice), liar)), "not_admissible")
    refused(twin.ask(order), "not_enough_people")
    twin.tell("approval", approval(order.notice), "mo")
    allowed(twin.ask(order))


def test_approval_by_touch_alone(sim: Simulator) -> None:
    """A FIDO key that was touched, with no PIN given: somebody may have been in the room."""
    allowed(approved(Simulator(), ("kim", "fay")))
    twin = Simulator()
    order = twin.play(notice=by_people)
    twin.tell("approval", approval(order.notice), "kim")
    touched = twin.write("approval", approval(order.notice), "fay:touch")
    refused(twin.append(touched), "no_user_verification")
    refused(twin.ask(order), "not_enough_people")


def test_approval_of_another_notice(sim: Simulator) -> None:
    """Two people approved, each another notice of the same plan."""
    allowed(approved(Simulator(), ("kim", "mo")))
    twin = Simulator()
    other = twin.play(notice=by_people)
    order = twin.play(notice=by_people)
    twin.tell("approval", approval(other.notice), "kim")
    twin.tell("approval", approval(order.notice), "mo")
    refused(twin.ask(order), "not_enough_people")


def test_approval_of_the_undo_alone(sim: Simulator) -> None:
    """Who allows the undo has not allowed the change."""
    allowed(approved(Simulator(), ("kim", "mo")))
    twin = Simulator()
    order = twin.play(notice=by_people)
    twin.tell("approval", approval(order.notice), "kim")
    twin.tell("approval", approval(order.notice, undo=True), "mo")
    refused(twin.ask(order), "not_enough_people")


def test_approval_by_a_person_since_removed(sim: Simulator) -> None:
    """Mo left: a new charter does not list him."""
    twin = Simulator()
    order = twin.play(notice=by_people)
    for person in ("kim", "mo"):
        twin.tell("approval", approval(order.notice), person)
    allowed(twin.ask(order))

    def without_mo(body: Json) -> None:
        del body["people"]["mo"]
        body["zones"]["legacy"] = body["zones"]["pci"] = body["zones"]["*"]

    twin.succeed(without_mo, "dana", "lee")
    order.checkpoint = twin.checkpoint()
    twin.now += 2_000
    refused(twin.ask(order), "not_enough_people")


def test_stolen_signature_moved_to_another_statement(sim: Simulator) -> None:
    """Mo's signature over his veto, under an approval."""
    twin = Simulator()
    order = twin.play(notice=by_people)
    twin.tell("approval", approval(order.notice), "kim")
    said = twin.write("approval", approval(order.notice), "mo")
    other = twin.write("seen", {"notice": order.notice}, "mo")
    forged = said.rpartition(b"\n\n")[0] + b"\n\n" + other.rpartition(b"\n\n")[2]
    refused(twin.append(forged), "bad_signature")
    refused(twin.ask(order), "not_enough_people")
    twin.must(said)
    allowed(twin.ask(order))


def test_people_of_another_namespace(sim: Simulator) -> None:
    """What Mo signed for git, or for another type, is no approval."""
    twin = Simulator()
    order = twin.play(notice=by_people)
    twin.tell("approval", approval(order.notice), "kim")
    sign = partial(twin.write, "approval", approval(order.notice), "mo")
    refused(twin.append(sign(namespace="git")), "bad_signature")
    refused(twin.ask(order), "not_enough_people")
    twin.must(sign())
    allowed(twin.ask(order))


def test_class_of_effects_that_nobody_authorised(sim: Simulator) -> None:
    """The order says that it brings a setuid file, and the authorization does not."""
    sim.permitted(edit=effects())
    refused(sim.mutant(edit=effects("setuid")), "not_covered")
    twin = terms(effects=["ports", "unit"])
    twin.permitted(edit=effects("unit"))
    refused(twin.mutant(edit=effects("setuid", "unit")), "not_covered")


def test_class_of_effects_that_people_approved(sim: Simulator) -> None:
    """Whoever approves a notice approves what its orders say, and needs to name nothing."""
    twin = Simulator()
    order = twin.play(notice=by_people, edit=effects("setuid"))
    refused(twin.ask(order), "not_enough_people")
    for person in ("kim", "mo"):
        twin.tell("approval", approval(order.notice), person)
    allowed(twin.ask(order))
