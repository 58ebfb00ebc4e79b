"""A restart is done where it is ordered and needed, and nowhere else."""

from pathlib import Path

import pytest

from answerable.host.actions.restarts import Restarting, ineffective, restart_in_need
from answerable.host.records.report import Ended
from answerable.host.services.service import ServiceFailed, SystemdServices
from answerable.host.services.stale import MANAGER, Need
from tests.fakes.fake_driver import FakeServices

OLD = "/usr/lib/libssl.so.3"


class Telling(FakeServices):
    """A service tool that can tell who is in need, before a restart and after it."""

    up: bool | None = None
    after: Need | None = None

    def running(self, unit: str) -> bool:
        """See the port."""
        if unit == "ngnix":
            raise ServiceFailed(unit)
        return super().running(unit) if self.up is None else self.up

    def in_need(self) -> Need | None:
        """See the port."""
        return self.after if self.after and self.restarted else self.need


@pytest.fixture
def services(tmp_path: Path) -> Telling:
    """A service tool that can tell."""
    return Telling(tmp_path)


@pytest.mark.parametrize("unit", ["nginx", "nginx.service"])
def test_a_unit_in_need_is_restarted_and_the_rest_is_told(services: Telling, unit: str) -> None:
    """The report names who still runs the old files, and nobody touches them."""
    services.need = Need({"nginx": OLD, "ssh": OLD})
    services.after = Need({"ssh": OLD})
    done = restart_in_need(services, unit)
    assert done == Ended("succeeded", "", "installed, not effective in ssh")
    assert services.restarted == [unit]


def test_a_unit_that_is_not_in_need_is_left_running(services: Telling) -> None:
    """Ordered alone is not enough; the result has a name."""
    services.need = Need({"ssh": OLD})
    done = restart_in_need(services, "nginx")
    assert (done.result, done.reason) == ("succeeded", "not_needed")
    assert services.restarted == []


def test_an_interpreter_that_may_be_in_need_is_restarted(services: Telling) -> None:
    """Old scripts cannot be seen, so the order decides."""
    services.need = Need({}, frozenset({"app"}))
    assert restart_in_need(services, "app") == Ended("succeeded")
    assert services.restarted == ["app"]


def test_a_unit_that_still_runs_old_files_has_failed(services: Telling) -> None:
    """A restart that changed nothing is no success."""
    services.need = Need({"nginx": OLD})
    done = restart_in_need(services, "nginx")
    assert (done.result, done.reason) == ("failed", "service")
    assert OLD in done.detail


def test_a_unit_that_does_not_come_up_has_failed(services: Telling) -> None:
    """What the service tool says of it counts."""
    services.need = Need({"nginx": OLD})
    services.up = False
    assert restart_in_need(services, "nginx").reason == "service"


def test_an_unknown_unit_is_no_success(services: Telling) -> None:
    """A misspelt unit is not `not_needed`."""
    services.need = Need({})
    with pytest.raises(ServiceFailed):
        restart_in_need(services, "ngnix")


def test_a_tool_that_cannot_tell_restarts_what_is_ordered(services: Telling) -> None:
    """Init scripts and pid files have no cgroups."""
    assert restart_in_need(services, "nginx") == Ended("succeeded")
    assert services.restarted == ["nginx"]


def test_the_agents_own_unit_is_restarted_without_waiting(services: Telling) -> None:
    """The action stays begun: nobody can report from beyond its own end."""
    services.need = Need({"agent": OLD}, own="agent")
    with pytest.raises(Restarting, match="agent"):
        restart_in_need(services, "agent.service")
    assert services.restarted == ["agent.service"]
    services.need = Need({}, own="agent")
    assert restart_in_need(services, "agent.service").reason == "not_needed"


def test_many_units_are_counted() -> None:
    """A report has room for so many names."""
    need = Need({"": OLD, **{f"u{n:02}": OLD for n in range(30)}})
    told = ineffective(need)
    assert "processes of no unit, u00" in told
    assert told.endswith("and 11 more")
    assert ineffective(None) == ineffective(Need({})) == ""


def systemctl(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> SystemdServices:
    """Give the systemd adapter over a systemctl of our own; it keeps its words in `said`."""
    program = folder / "systemctl"
    program.write_text(f'#!/bin/sh\necho "$@" >>{folder}/said\n{script}\n')
    program.chmod(0o755)
    path = {"PATH": f"{folder}:/usr/bin:/bin"}
    monkeypatch.setattr("answerable.host.services.service._ENVIRONMENT", path)
    return SystemdServices(folder)


def test_systemd_is_asked_in_its_own_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It executes itself anew; a unit is restarted; the machine reboots."""
    script = "echo LoadState=loaded; echo ActiveState=active"
    services = systemctl(tmp_path, monkeypatch, script)
    services.restart(MANAGER)
    services.restart("nginx")
    services.reboot()
    assert services.running("nginx")
    assert services.running(MANAGER)
    said = (tmp_path / "said").read_text().splitlines()
    assert [line.partition(" ")[2] for line in said] == [
        "daemon-reexec", "restart -- nginx", "reboot",
        "show --property=LoadState,ActiveState -- nginx",
    ]  # fmt: skip
    monkeypatch.setattr("answerable.host.services.service.own_unit", lambda: "agent")
    services.restart("agent.service")
    assert (tmp_path / "said").read_text().endswith(" restart --no-block -- agent.service\n")


def test_an_unknown_or_stopped_unit_of_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unknown is an error, stopped is stopped."""
    services = systemctl(
        tmp_path, monkeypatch, "echo LoadState=not-found; echo ActiveState=inactive"
    )
    with pytest.raises(ServiceFailed, match="no unit"):
        services.running("ngnix")
    script = "echo LoadState=loaded; echo ActiveState=inactive"
    assert not systemctl(tmp_path, monkeypatch, script).running("nginx")


def test_a_systemd_that_refuses_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its last words are kept."""
    services = systemctl(tmp_path, monkeypatch, "echo inhibited; exit 1")
    with pytest.raises(ServiceFailed, match="inhibited"):
        services.reboot()
    with pytest.raises(ServiceFailed, match="inhibited"):
        services.restart(MANAGER)
