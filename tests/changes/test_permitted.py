"""A plan that was built here is one that the kernel permits, change by change, and its undo too."""

from collections.abc import Mapping
from dataclasses import replace

import pytest

from answerable.changes.build import Fleet, Judgement, Mandate, Services, build
from answerable.changes.plan import Noticed, Plan, Terms, bundle
from answerable.changes.rehearse import Rehearsed, no_clone
from answerable.exposure.match import Known, Snapshot, match
from answerable.exposure.rank import Context, rank
from answerable.feeds.candidate import Candidate, propose
from answerable.feeds.facts import Fact
from answerable.feeds.source import Relation
from answerable.host.versions import ABSENT
from answerable.host.versions import key as version_key
from answerable.inventory.installed import Installed, Inventory
from answerable.kernel.canon import Json
from answerable.kernel.condition import holds
from answerable.kernel.errors import Refused
from answerable.kernel.verify import Permit
from tests.changes.test_rehearse import clones
from tests.feeds.fakes import MemorySource, advisory, artefact
from tests.simulator import constitution as law
from tests.simulator.world import Order, Simulator

SSL = ("libssl3", "openssl")
FACTS: tuple[Fact, ...] = (
    *(artefact(p, v, source="openssl") for p in SSL for v in (law.OLD, law.NEW)),
    *(advisory(p, law.NEW, source="openssl") for p in SSL),
    *(artefact("curl", v) for v in ("7.88.1-10+deb12u5", "7.88.1-10+deb12u9")),
    advisory("curl", "7.88.1-10+deb12u9", urgency="low"),
)
NEEDS = (Relation("openssl", law.NEW, (f"libssl3 (= {law.NEW})",)),)
SEEN = Rehearsed("ab" * 32, ("install",))
HOSTS = ("web1", "web2", "api1", "legacy1", "pci1")


class Story:
    """Released facts, a plan by the standing authorization, its notice, and the window over."""

    def __init__(self, reboot: str = "never", new: str = "") -> None:
        """Play up to the moment at which ring 1 may start.

        Args:
            reboot: the setting of every host; the authorization names it.
            new: a package that comes new with openssl's upgrade, found so by clones.
        """
        facts = (*FACTS, *([artefact(new, "1-1")] if new else []))
        needs = (*NEEDS, *([Relation("libssl3", law.NEW, (new,))] if new else []))
        made = propose(law.FEED, [MemorySource(facts, relations=needs)], [*SSL, "curl", new], 0)
        assert isinstance(made, Candidate)
        self.reboot, self.rehearse = reboot, clones(lambda *_: SEEN) if new else no_clone
        self.sim = Simulator(authorization=_named, facts=[fact.text for fact in made.facts])
        self.known = Known([Snapshot(self.sim.released, made)])
        self.plan = self._plan()
        now = self.sim.now
        terms = Terms(self.sim.authorization, 1800, 600, now, now + 12 * law.HOUR, now + law.WEEK)
        self.notice = self.sim.notice(self.plan.notice(terms))
        self.sim.deliver(self.notice)
        self.checkpoint = self.sim.checkpoint()
        self.sim.now += 2_000

    def _plan(self) -> Plan:
        hosts = [self._inventory(name) for name in HOSTS]
        mandate = Mandate(
            self.sim.fleet, "planner1", "ssl", "authorization", "urgent", (1, 2, 9), 15
        )  # fmt: skip
        services = {n: Services(("nginx.service",), ("http",), self.reboot) for n in HOSTS}
        ranked = rank(match(self.known, hosts, []).exposures, Context())
        fleet = Fleet(hosts, services)
        return build(mandate, fleet, ranked, self.known, _judge, self.rehearse)

    def _inventory(self, name: str) -> Inventory:
        record = self.sim.records[name]
        packages = [
            Installed(law.DEBIAN, place.partition("/")[2], version, "amd64",
                      "openssl" if "ssl" in place else place.partition("/")[2])
            for place, version in self.sim.members[name].installed.items()
        ]  # fmt: skip
        return Inventory(name, record["instance"], frozenset(record["zones"]), tuple(packages))

    def order(self, host: str) -> tuple[Order, bytes]:
        """Give a host's order as the simulator keeps it, and its bundle as we build it."""
        found = self.plan.find(host)
        assert found is not None
        ring, place = found
        noticed = Noticed(self.notice, self.checkpoint, self.sim.authorized)
        data = bundle(self.plan, ring, place, noticed, self.known.snapshots).encode()
        text = self.plan.rings[ring][place]
        return Order(host, text, ring, place, [], self.notice, self.checkpoint, []), data

    def act(self, order: Order, data: bytes, change: Json) -> Permit | Refused:
        """Ask for a change, and if it is permitted, do it."""
        verdict = self.sim.ask(order, change["id"], bundle=data)
        if isinstance(verdict, Permit):
            member = self.sim.members[order.host]
            member.consumed.append(verdict.consumed)
            for package in change.get("packages", ()):
                member.installed[f"{change['ecosystem']}/{package['name']}"] = package["to"]
        return verdict


def _judge(host: str, zones: frozenset[str], facts: Mapping[str, Json]) -> Judgement:
    terms = law.authorization()
    barred = zones & set(terms["excludes"])
    when = terms["clauses"][0]["when"]
    return Judgement(
        frozenset(name for name, fact in facts.items() if holds(when, fact)),
        f"{host} stands in excluded zone {min(barred)}" if barred else "",
        frozenset({"reboot"}),
    )


def _named(terms: Json) -> None:
    terms["effects"] = ["install", "reboot"]


def test_every_change_of_a_built_plan_is_permitted_in_its_turn() -> None:
    """Snapshot, upgrades, restart and check pass all twelve checks with our bundle."""
    story = Story()
    order, data = story.order("api1")
    for change in story.plan.orders[0][0]["changes"]:
        verdict = story.act(order, data, change)
        assert isinstance(verdict, Permit), (change["id"], verdict)
    installed = story.sim.members["api1"].installed
    assert installed["debian:12/openssl"] == installed["debian:12/libssl3"] == law.NEW
    assert version_key("debian:12", installed["debian:12/curl"]) < version_key(
        "debian:12", "7.88.1-10+deb12u9"
    )


def test_a_planned_reboot_is_permitted_in_its_turn() -> None:
    """Behind the restart and before the check, under the authorization of the fixes."""
    story = Story("always")
    order, data = story.order("api1")
    changes = story.plan.orders[0][0]["changes"]
    assert [c["type"] for c in changes[-3:]] == ["restart", "reboot", "health"]
    for change in changes:
        verdict = story.act(order, data, change)
        assert isinstance(verdict, Permit), (change["id"], verdict)


def test_what_comes_new_is_permitted_and_so_is_its_going() -> None:
    """A dependency that no host has: rehearsed, noticed, installed, and taken away by the undo."""
    story = Story(new="libnew1")
    place, member = "debian:12/libnew1", story.sim.members["api1"]
    member.installed[place] = ABSENT
    order, data = story.order("api1")
    body = story.plan.orders[0][0]
    for change in body["changes"]:
        assert isinstance(story.act(order, data, change), Permit), change["id"]
    assert member.installed[place] == "1-1"
    story.sim.fail(order, next(c["id"] for c in body["changes"] if c["type"] == "health"))
    for change in body["undo"]:
        assert isinstance(story.act(order, data, change), Permit), change["id"]
    assert member.installed[place] == ABSENT


def test_the_undo_of_a_built_plan_is_permitted_after_a_corroborated_failure() -> None:
    """When host and observer agree that the check failed, each undo passes in its turn."""
    story = Story()
    order, data = story.order("api1")
    body = story.plan.orders[0][0]
    for change in body["changes"]:
        assert isinstance(story.act(order, data, change), Permit)
    failed = next(c["id"] for c in body["changes"] if c["type"] == "health")
    story.sim.fail(order, failed)
    for change in body["undo"]:
        verdict = story.act(order, data, change)
        assert isinstance(verdict, Permit), (change["id"], verdict)
    assert story.sim.members["api1"].installed["debian:12/openssl"] == law.OLD


def test_zones_that_are_excluded_are_escalated_and_in_no_ring() -> None:
    """Legacy and pci hosts are shown, and the kernel would refuse them anyway."""
    story = Story()
    assert {row["host"] for row in story.plan.body["escalated"] if "excluded" in row["reason"]} == {
        "legacy1",
        "pci1",
    }
    assert [ring["size"] for ring in story.plan.sizes] == [1, 2]


@pytest.mark.parametrize("host", ["web1", "web2"])
def test_a_later_ring_waits_for_its_advance(host: str) -> None:
    """Ring 2 of a built plan is refused until observers let it start, then permitted."""
    story = Story()
    order, data = story.order(host)
    first = story.plan.orders[1][0]["changes"][0]
    refusal = story.act(order, data, first)
    assert isinstance(refusal, Refused)
    assert refusal.reason == "ring_not_open"
    story.sim.advance(replace(order), 1)
    assert isinstance(story.act(order, data, first), Permit)
