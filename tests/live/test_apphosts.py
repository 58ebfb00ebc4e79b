"""Application hosts for real: old releases of real projects, a real upgrade, a real removed API."""

import hashlib
from pathlib import Path
from typing import BinaryIO

import pytest

from answerable.demo import appliance, ground
from answerable.demo.apphosts import RELEASES, AppHosts
from answerable.host.driver import Package
from answerable.host.drivers.venv import VenvDriver, wheel_name
from answerable.host.services.service import Check, health
from tests.live.wheels import emptied

pytestmark = pytest.mark.live


def test_upgrade_breaks_the_pinned_service_and_undo_mends_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The fix removes a name that one host's service uses: it refuses, and runs after the undo."""
    monkeypatch.setattr("answerable.demo.fleet.probe", lambda _: "a test asks for them")
    laid = ground.lay(emptied("apphosts"), ["a", "b"], 0, print)
    assert isinstance(laid.hosts, AppHosts)
    with laid.hosts as hosts:
        assert (laid.kind, laid.why) == ("application", "a test asks for them")
        wheels = {hashlib.sha256(f.read_bytes()).hexdigest(): f for f in laid.feed.glob("*.whl")}
        hashes = {wheel_name(file)[1]: sha256 for sha256, file in wheels.items()}

        def fetch(sha256: str) -> BinaryIO:
            return wheels[sha256].open("rb")

        laid.pin("b", RELEASES[0].package)
        laid.start_services()
        for host, works in (("a", True), ("b", False)):
            root = hosts.root(host)
            driver = VenvDriver(root / "venv", _made(root / "agent"))
            forth = [Package(p.package, p.before, p.after, hashes[p.package, p.after])
                     for p in laid.pending]  # fmt: skip
            back = [Package(p.package, p.after, p.before, hashes[p.package, p.before])
                    for p in laid.pending]  # fmt: skip
            staged, undo = driver.stage(forth, fetch), driver.stage(back, fetch)
            check = Check("http", "127.0.0.1", hosts.port(host), "/health", within=5)
            assert health(check) == ""
            driver.upgrade(staged)
            assert {p.after for p in forth} <= set(driver.installed().values())
            hosts.services(host).restart(appliance.UNIT)
            assert (health(check) == "") == works
            driver.undo(undo)
            assert {p.after for p in back} <= set(driver.installed().values())
            hosts.services(host).restart(appliance.UNIT)
            assert health(check) == ""
        said = (hosts.root("b") / "services" / f"{appliance.UNIT}.log").read_text()
        assert "refuses to start" in said


def _made(folder: Path) -> Path:
    folder.mkdir(mode=0o700)
    return folder
