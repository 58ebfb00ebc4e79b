"""Check 5: facts and artefacts stand in a released, young snapshot; each upgrade is a fix."""

from collections.abc import Callable

import pytest

from answerable.kernel.canon import Json
from tests.attacks.verdict import allowed, refused
from tests.simulator import DAY, FACTS, HOUR, NEW, OLD, Simulator
from tests.simulator.constitution import (
    SSL_FIX,
    advisory,
    artefact,
    blob,
    fact_id,
    fix,
    reverse,
    withdrawal,
)
from tests.simulator.world import statement_id

LATER, XZ, CURL = (
    next(fact for fact in FACTS if number in fact) for number in ("0003", "0004", "0005")
)


def citing(*facts: str) -> Callable[[Json], None]:
    """Let every order's first package cite these facts."""

    def edit(order: Json) -> None:
        order["changes"][0]["packages"][0]["advisories"] = [fact_id(fact) for fact in facts]

    return edit


def moving(*packages: Json) -> Callable[[Json], None]:
    """Let every order upgrade these packages."""

    def edit(order: Json) -> None:
        order["changes"][0]["packages"] = list(packages)
        reverse(order)

    return edit


def test_stale_snapshot(sim: Simulator) -> None:
    """A snapshot that was older at notice time than its feed allows."""
    sim.permitted()
    twin = Simulator()
    twin.now += DAY
    refused(twin.ask(twin.play()), "stale_snapshot")


def test_snapshot_that_was_not_the_newest(sim: Simulator) -> None:
    """The planner goes on with a snapshot after a newer one was released."""
    sim.permitted()
    twin = Simulator()
    old = twin.released
    twin.release([*FACTS[1:], advisory("CVE-2026-0006", "zlib1g", "1:1.3")])
    refused(twin.ask(twin.play(notice=lambda n: n.update(releases=[old]))), "stale_snapshot")


def test_snapshot_of_a_feed_that_was_dropped(sim: Simulator) -> None:
    """A new charter no longer knows the feed: what it released is out of service."""
    order = sim.permitted()
    sim.succeed(lambda body: body["feeds"].pop("debian-security"), "dana", "lee")
    order.checkpoint = sim.authorized = sim.checkpoint()
    sim.now += 2 * HOUR
    refused(sim.ask(order), "stale_snapshot")


@pytest.mark.parametrize("guards", [("g1",), ("g1", "g2")])
def test_forged_facts(sim: Simulator, guards: tuple[str, ...]) -> None:
    """A snapshot of invented facts that less than a quorum of attesters signed."""
    sim.permitted()
    twin = Simulator()
    forged = [*FACTS, advisory("CVE-2026-6666", "libssl3", NEW, exploited=True)]
    body = {"feed": "debian-security", "checkpoint": twin.snapshot(forged, guards=guards),
            "model": "", "time": 0}  # fmt: skip
    entry = twin.write("release", body, "planner1")
    refused(twin.append(entry), "no_quorum")
    rely = statement_id(entry)
    twin.snapshots[rely] = tuple(forged)
    refused(twin.ask(twin.play(notice=lambda n: n.update(releases=[rely]))), "unknown_subject")


def test_fact_of_no_snapshot(sim: Simulator) -> None:
    """An invented fact takes the place of a released one, with that one's path."""
    order = sim.permitted()
    given = [sim.fact(sim.released, text) for text in order.facts]
    given[0]["fact"] = given[0]["fact"].replace("amd64", "arm64")
    order.more["facts"] = given
    refused(sim.ask(order), "fact_not_proven")


def test_fact_of_a_snapshot_that_the_notice_does_not_name(sim: Simulator) -> None:
    """Facts from a snapshot that nobody was told about."""
    order = sim.permitted()
    other = sim.release(FACTS)
    order.more["facts"] = [sim.fact(other, text) for text in order.facts]
    refused(sim.ask(order), "fact_not_proven")


def test_own_package(sim: Simulator) -> None:
    """A package of the thief's own: its hash is noticed, and stands in no released snapshot."""
    sim.permitted()
    own = fix("libssl3", OLD, NEW, SSL_FIX) | {"sha256": blob("libssl3", "evil")}
    refused(sim.mutant(edit=moving(own)), "fact_not_proven")


def test_bytes_of_another_package(sim: Simulator) -> None:
    """The released bytes of curl under the name of libssl3."""
    sim.permitted()
    other = fix("libssl3", OLD, NEW, SSL_FIX) | {"sha256": blob("curl", "7.88.1-10+deb12u9")}
    refused(sim.mutant(edit=moving(other)), "fact_not_proven")


def test_upgrade_without_an_advisory(sim: Simulator) -> None:
    """An upgrade that fixes nothing anybody published."""
    sim.permitted()
    refused(sim.mutant(edit=citing()), "fact_not_proven")


def test_upgrade_that_cites_an_artefact(sim: Simulator) -> None:
    """A released fact, and no advisory."""
    sim.permitted()
    refused(sim.mutant(edit=citing(artefact("libssl3", NEW))), "fact_not_proven")


def test_facts_of_another_package(sim: Simulator) -> None:
    """An exploited flaw of liblzma5 is no cause to move libssl3."""
    sim.permitted()
    refused(sim.mutant(edit=citing(XZ)), "not_a_fix")


def test_facts_of_another_package_beside_a_true_one(sim: Simulator) -> None:
    """One good advisory does not carry a second that is of another package."""
    sim.permitted()
    refused(sim.mutant(edit=citing(SSL_FIX, CURL)), "not_a_fix")


def test_upgrade_below_the_fix(sim: Simulator) -> None:
    """The flaw is fixed in a later version than the one that is installed."""
    sim.permitted()
    refused(sim.mutant(edit=citing(LATER)), "not_a_fix")


def test_flaw_that_the_host_does_not_have(sim: Simulator) -> None:
    """The installed version has the fix already."""
    facts = [*FACTS, advisory("CVE-2025-0001", "libssl3", OLD)]
    twin = Simulator(facts=facts)
    twin.permitted()
    refused(twin.mutant(edit=citing(facts[-1])), "not_a_fix")


def test_dependency_of_nothing(sim: Simulator) -> None:
    """A package that rides along with a fix which the change does not make."""
    sim.permitted()
    rider = fix("curl", "7.88.1-10+deb12u5", "7.88.1-10+deb12u9", dependency_of="liblzma5")
    ssl = fix("libssl3", OLD, NEW, SSL_FIX)
    refused(sim.mutant(edit=moving(ssl, rider)), "not_a_fix")


def test_dependencies_that_hold_each_other(sim: Simulator) -> None:
    """Two packages, each for the other, and no fix among them."""
    sim.permitted()
    one = fix("libssl3", OLD, NEW, dependency_of="openssl")
    two = fix("openssl", OLD, NEW, dependency_of="libssl3")
    refused(sim.mutant(edit=moving(one, two)), "not_a_fix")


@pytest.mark.parametrize("by", ["g4", "kim"])
def test_withdrawn_artefact(sim: Simulator, by: str) -> None:
    """One attester, or one approver, withdraws the bytes after the notice."""
    order = sim.permitted()
    sim.tell("withdrawal", withdrawal(artefacts=(blob("libssl3", NEW),)), by)
    refused(sim.ask(order), "withdrawn")


def test_withdrawn_fact(sim: Simulator) -> None:
    """The advisory that caused it all turns out to be wrong."""
    order = sim.permitted()
    sim.tell("withdrawal", withdrawal(facts=(fact_id(SSL_FIX),)), "g1")
    refused(sim.ask(order), "withdrawn")


def test_withdrawal_by_the_control_plane(sim: Simulator) -> None:
    """Only attesters and approvers withdraw; a withdrawal is lifted by a threshold of people."""
    order = sim.permitted()
    gone = withdrawal(artefacts=(blob("libssl3", NEW),))
    refused(sim.append(sim.write("withdrawal", gone, "planner1")), "not_admissible")
    allowed(sim.ask(order))
    sim.tell("withdrawal", gone, "g4")
    lift = {"lifts": gone["artefacts"], "reason": "g4 lies"}
    refused(sim.append(sim.write("lift", lift, "kim", "kim:2")), "not_enough_people")
    refused(sim.ask(order), "withdrawn")
    sim.tell("lift", lift, "kim", "mo")
    allowed(sim.ask(order))
