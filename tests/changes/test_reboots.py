"""A reboot is ordered where settings and people say so and an upgrade or the host needs it."""

import pytest

from answerable.changes.build import Judgement, Services
from answerable.changes.plan import Plan
from answerable.changes.preview import text
from answerable.changes.reboots import needs
from answerable.inventory.installed import Installed
from answerable.kernel.canon import Json
from tests.changes.planning import escalated, judge, plan
from tests.exposure.fleet import BASH, FACTS, LIBC, host, installed, known
from tests.feeds.fakes import advisory, artefact

KERNEL = installed("linux-image-6.1.0-37-amd64", "6.1.140-1", source="linux")
FIXES = known(
    *FACTS, artefact("libc6", "2.36-9"), artefact("libc6", "2.37-1"), advisory("libc6", "2.37-1"),
    *(artefact(KERNEL.package, v, source="linux") for v in ("6.1.140-1", "6.1.140-2")),
    advisory(KERNEL.package, "6.1.140-2", source="linux"),
)  # fmt: skip


def made(
    when: str, *packages: Installed, named: tuple[str, ...] = ("reboot",), waits: bool = False,
    units: tuple[str, ...] = ("nginx",),
) -> Plan:  # fmt: skip
    """Plan one host by an authorization that names these effects."""

    def judged(name: str, zones: frozenset[str], facts: Json) -> Judgement:
        return Judgement(judge(name, zones, facts).covered, "", frozenset(named))

    return plan(
        [host("web1", *packages)], FIXES, judged=judged, services=Services(units, ("http",), when),
        waiting=frozenset({"web1"} if waits else ()),
    )  # fmt: skip


def steps(of: Plan) -> list[tuple[str, str, str]]:
    """Give type, cause and risk of each change of the one order."""
    return [(c["type"], c["caused_by"], c["risk"]) for c in of.orders[0][0]["changes"]]


def test_it_stands_behind_restarts_and_before_health_checks() -> None:
    """Only health checks may follow it; its cause is the upgrade that needs it; risk high."""
    of = made("needed", LIBC, BASH)
    assert steps(of) == [
        ("snapshot", "upgrade-2", "low"), ("upgrade", "", "high"), ("upgrade", "", "medium"),
        ("restart", "upgrade-3", "medium"), ("reboot", "upgrade-2", "high"),
        ("health", "reboot-5", "low"),
    ]  # fmt: skip
    assert escalated(of) == {}
    assert of.orders[0][0]["undo"][-1]["type"] == "health"
    assert "reboot-5 (risk high), because of upgrade-2\n" in text(of)
    assert "reboots: 1 host(s)\n" in text(of)


def test_one_without_services_is_rebooted_all_the_same() -> None:
    """No unit to restart: the reboot follows the upgrades at once."""
    assert steps(made("needed", KERNEL, units=()))[1:3] == [
        ("upgrade", "", "high"), ("reboot", "upgrade-2", "high")
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("when", "packages", "waits", "ordered"),
    [
        ("never", (BASH,), False, False),
        ("never", (LIBC,), False, False),
        ("never", (BASH,), True, False),
        ("needed", (BASH,), False, False),
        ("needed", (LIBC,), False, True),
        ("needed", (BASH,), True, True),
        ("always", (BASH,), False, True),
    ],
)
@pytest.mark.parametrize("named", [(), ("boot",), ("reboot",)])
def test_nobody_is_rebooted_unasked(
    when: str,
    packages: tuple[Installed, ...],
    named: tuple[str, ...],
    *,
    waits: bool,
    ordered: bool,
) -> None:
    """Setting and authorization both say so, or people are told that and why it is not done."""
    of = made(when, *packages, waits=waits, named=named)
    allowed = "reboot" in named
    assert of.reboots == (1 if ordered and allowed else 0)
    missing = (ordered and not allowed) or (when == "never" and (waits or LIBC in packages))
    assert ("web1" in escalated(of)) == missing
    for reason in escalated(of).get("web1", ()):
        assert ("an earlier change" in reason) == waits
        assert ("does not name `reboot`" in reason) == ordered
    assert f"reboots: {of.reboots} host(s)\n" in text(of)


def test_people_who_approve_a_plan_approve_its_reboots() -> None:
    """Without an authorization the setting decides, and the notice says it to whoever approves."""
    services = Services(reboot="always")
    assert plan([host("web1", BASH), host("web2", BASH)], services=services).reboots == 2


def test_what_needs_a_reboot_says_so_itself() -> None:
    """Names of each family; those of other places mean others."""
    for name, ecosystem, wanted in (
        ("linux-image-6.1.0-37-amd64", "debian:12", True), ("libc6", "ubuntu:24.04", True),
        ("dbus", "debian:12", True), ("linux-image-aws", "ubuntu-pro:16.04", True),
        ("systemd", "debian:12", False), ("linux-headers-amd64", "debian:12", False),
        ("dbus", "pypi", False), ("dbus", "rocky:9", True), ("bash", "rocky:9", False),
            ("glibc", "almalinux:9", True), ("glibc", "debian:12", False),
    ):  # fmt: skip
        assert needs({"name": name, "ecosystem": ecosystem}) == wanted, name
