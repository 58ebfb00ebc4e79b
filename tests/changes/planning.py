"""Plans for tests: one mandate, one judge, and knobs for what a test turns."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from answerable.changes.build import Fleet, Judgement, Mandate, Services, build
from answerable.changes.plan import Plan
from answerable.changes.rehearse import Rehearse, no_clone
from answerable.exposure.match import Known, match
from answerable.exposure.rank import Context, rank
from answerable.inventory.installed import Inventory
from answerable.kernel.canon import Json
from tests.exposure.fleet import host, known

FLEET = "ef" * 32
MANDATE = Mandate(
    fleet=FLEET, author="planner1", title="urgent fixes", basis="authorization", clause="urgent",
    rings=(1, 2, 9), hosts=12,
)  # fmt: skip
SERVICES = Services(("nginx.service",), ("http",))


def judge(name: str, zones: frozenset[str], facts: Mapping[str, Json]) -> Judgement:
    """Let everything be closed, but nothing in zone `pci`."""
    assert name
    reason = "zone pci is excluded" if "pci" in zones else ""
    return Judgement(frozenset(facts), reason)


def urgent(name: str, zones: frozenset[str], facts: Mapping[str, Json]) -> Judgement:
    """Let only what is highly urgent be closed."""
    assert name or zones
    return Judgement(frozenset(k for k, fact in facts.items() if fact["urgency"] == "high"))


def plan(
    hosts: Sequence[Inventory] = (),
    facts: Known | None = None,
    *,
    judged: object = judge,
    unknown: Sequence[str] = (),
    services: Services = SERVICES,
    most: int = 12,
    waiting: frozenset[str] = frozenset(),
    rehearse: Rehearse = no_clone,
    **mandate: object,
) -> Plan:
    """Match, rank and build."""
    hosts = hosts or [host("web1")]
    facts = facts or known()
    ranked = rank(match(facts, hosts, unknown).exposures, Context())
    fleet = Fleet(hosts, {each.host: services for each in hosts}, unknown, waiting)
    wanted = replace(MANDATE, hosts=most, **mandate)  # type: ignore[arg-type]
    return build(wanted, fleet, ranked, facts, judged, rehearse)  # type: ignore[arg-type]


def escalated(made: Plan) -> dict[str, list[str]]:
    """Give the reasons by host."""
    found: dict[str, list[str]] = {}
    for row in made.body["escalated"]:
        found.setdefault(row["host"], []).append(row["reason"])
    return found
