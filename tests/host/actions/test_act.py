"""Typed actions: what is prepared is not begun, and every failure is a result."""

from pathlib import Path

import pytest

from answerable.host.actions.act import Actions, CannotDo, Tools, fetch_from
from answerable.host.driver import ArtefactDiffers, DriverFailed, Fetch, TransactionDiffers
from answerable.host.network.client import Client, HttpUnavailable
from answerable.host.services.service import Check
from answerable.host.versions import ABSENT
from answerable.kernel.canon import Json
from tests.fakes.fake_driver import FakeDriver, FakeServices
from tests.host.conftest import Site
from tests.simulator import NEW, OLD
from tests.simulator.constitution import move


@pytest.fixture
def driver(tmp_path: Path) -> FakeDriver:
    """A package tool with one old package."""
    made = FakeDriver(tmp_path / "tool")
    made.install({"libssl3": OLD, "other": "1"})
    return made


def change(kind: str = "upgrade", **more: Json) -> Json:
    """Give a change."""
    body = {"id": "c", "type": kind, "caused_by": "", "risk": "low", **more}
    if kind in ("upgrade", "undo"):
        body |= {"ecosystem": "debian:12", "packages": [move("libssl3", OLD, NEW)], **more}
    return body


def actions(driver: FakeDriver | None, fetch: Fetch, tmp_path: Path) -> Actions:
    """Put actions together."""
    services = FakeServices(tmp_path / "tool")
    return Actions(Tools(driver, services, {}), fetch, tmp_path, lambda _: None)


def from_world(site: Site) -> Fetch:
    """Fetch from the world's control plane."""
    return fetch_from(Client(), f"{site.world.url}/control/artefacts/")


ORDER: Json = {"changes": [], "undo": []}


def test_an_upgrade_is_staged_previewed_and_done(
    site: Site, driver: FakeDriver, tmp_path: Path
) -> None:
    """The bytes come by their hash over HTTP; what is installed then is observed."""
    does = actions(driver, from_world(site), tmp_path)
    assert does.found(change()) == "untouched"
    staged = does.prepare(ORDER, change())
    assert driver.installed()["libssl3"] == OLD
    done = does.act("n", change(), staged)
    assert (done.result, done.observed) == ("succeeded", {"libssl3": NEW})
    assert does.found(change()) == "done"
    assert does.installed() == {"debian:12/libssl3": NEW, "debian:12/other": "1"}


def test_what_comes_new_was_absent_and_what_goes_is_absent_again(
    site: Site, driver: FakeDriver, tmp_path: Path
) -> None:
    """The kernel is told so of what the change names, and of nothing else."""
    new = change(packages=[move("libssl3", OLD, NEW), move("new", ABSENT, NEW)])
    undo = change("undo", packages=[move("libssl3", NEW, OLD), move("new", NEW, ABSENT)])
    does = actions(driver, from_world(site), tmp_path)
    assert does.installed(new)["debian:12/new"] == ABSENT
    assert "debian:12/new" not in does.installed(change())
    assert (does.found(new), does.found(undo)) == ("untouched", "done")
    driver.install({"libssl3": NEW, "new": NEW})
    assert (does.found(new), does.found(undo)) == ("done", "untouched")
    assert does.installed(new)["debian:12/new"] == NEW


def test_what_is_neither_old_nor_new_is_between(
    site: Site, driver: FakeDriver, tmp_path: Path
) -> None:
    """After a kill: never guessed to be done."""
    driver.install({"libssl3": "9"})
    assert actions(driver, from_world(site), tmp_path).found(change()) == "between"


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (TransactionDiffers("also x"), "transaction_differs"),
        (ArtefactDiffers("swapped"), "artefact_swapped"),
        (DriverFailed("broken"), "tool"),
    ],
)
def test_each_failure_of_the_tool_is_a_result(
    site: Site, driver: FakeDriver, tmp_path: Path, error: DriverFailed, reason: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """With its own word, and what is installed after it."""
    does = actions(driver, from_world(site), tmp_path)
    staged = does.prepare(ORDER, change())

    def fail(_: object) -> None:
        raise error

    monkeypatch.setattr(driver, "upgrade", fail)
    done = does.act("n", change(), staged)
    assert (done.result, done.reason, done.observed) == ("failed", reason, {"libssl3": OLD})


def test_a_tool_that_only_says_it_did_is_not_believed(
    site: Site, driver: FakeDriver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The versions are looked up afterwards."""
    does = actions(driver, from_world(site), tmp_path)
    staged = does.prepare(ORDER, change())
    monkeypatch.setattr(driver, "upgrade", lambda _: None)
    assert does.act("n", change(), staged).result == "failed"


def test_what_this_host_has_no_tool_for_is_never_begun(
    site: Site, driver: FakeDriver, tmp_path: Path
) -> None:
    """Another ecosystem, no driver, an unknown check, a reboot."""
    fetch = from_world(site)
    for tool, one in (
        (driver, change(ecosystem="pypi")), (None, change()), (driver, change("reboot")),
        (driver, change("health", check="nginx")),
    ):  # fmt: skip
        with pytest.raises(CannotDo):
            actions(tool, fetch, tmp_path).prepare(ORDER, one)


def test_missing_bytes_are_the_worlds_fault(site: Site, driver: FakeDriver, tmp_path: Path) -> None:
    """No answer is no verdict on the artefact."""
    packages = [{"name": "libssl3", "from": OLD, "to": "9", "sha256": "ab" * 32}]
    with pytest.raises(HttpUnavailable):
        actions(driver, from_world(site), tmp_path).prepare(ORDER, change(packages=packages))


def test_health_and_restart_are_results(site: Site, tmp_path: Path) -> None:
    """The check that is named, from the host's own settings."""
    port = int(site.world.url.rpartition(":")[2])
    services = FakeServices(tmp_path)
    checks = {"up": Check("tcp", "127.0.0.1", port), "down": Check("tcp", "127.0.0.1", 1, within=0)}
    does = Actions(Tools(None, services, checks), from_world(site), tmp_path, lambda _: None)

    def act(one: Json) -> tuple[str, str]:
        done = does.act("n", one, does.prepare(ORDER, one))
        return done.result, done.reason

    assert act(change("health", check="up")) == ("succeeded", "")
    assert act(change("health", check="down")) == ("failed", "health")
    assert act(change("restart", unit="x")) == ("succeeded", "")
    services.broken = "no"
    assert act(change("restart", unit="x")) == ("failed", "service")
