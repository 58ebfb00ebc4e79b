"""Updaters besides this agent: found in files, each in its state, refused by the host's rule."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.host.actions.act import Actions, Competing, Tools
from answerable.host.competing import (
    SETTINGS,
    Competitor,
    apt_settings,
    find,
    own_updates,
    refusal,
)
from answerable.host.driver import DriverFailed
from answerable.host.files import HomeUnavailable
from answerable.host.settings import read_settings
from answerable.kernel.canon import Json
from tests.fakes.fake_driver import FakeDriver, FakeServices

PERIODIC = 'APT::Periodic::Update-Package-Lists "1";\nAPT::Periodic::Unattended-Upgrade "1";\n'


def put(root: Path, path: str, text: str = "") -> None:
    """Write a file of the root."""
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def enable(root: Path, unit: str, target: str = "timers") -> None:
    """Install a unit, and let a target want it as Debian's packages do."""
    put(root, f"lib/systemd/system/{unit}", "[Unit]\n")
    link = root / f"etc/systemd/system/{target}.target.wants/{unit}"
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(f"/lib/systemd/system/{unit}")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A Debian host as its installer leaves it, with automatic upgrades switched on."""
    put(tmp_path, "lib/systemd/systemd")
    for unit in ("apt-daily", "apt-daily-upgrade"):
        enable(tmp_path, f"{unit}.timer")
        put(tmp_path, f"lib/systemd/system/{unit}.service", "[Service]\n")
    enable(tmp_path, "unattended-upgrades.service", "multi-user")
    put(tmp_path, "usr/bin/unattended-upgrade")
    put(tmp_path, "etc/apt/apt.conf.d/20auto-upgrades", PERIODIC)
    return tmp_path


def states(root: Path) -> dict[str, str]:
    """Give name -> state."""
    return {one.name: one.state for one in find(root)}


def test_automatic_upgrades_are_active(root: Path) -> None:
    """The one that installs is active; what only refreshes or waits is idle."""
    assert states(root) == {
        "apt-daily": "idle", "apt-daily-upgrade": "active", "unattended-upgrades": "idle",
    }  # fmt: skip
    assert "apt-daily-upgrade" in refusal(find(root), "refuse")


@pytest.mark.parametrize(
    "text",
    [
        'APT::Periodic::Enable "0";',
        'APT { Periodic { Enable "0"; }; };',
        '// "1"\napt::periodic::enable 0; # no\n/* APT::Periodic::Enable "1"; */',
    ],
)
def test_apt_that_is_switched_off_is_disabled(root: Path, text: str) -> None:
    """In each spelling of apt.conf(5)."""
    put(root, "etc/apt/apt.conf.d/99off", text)
    assert states(root)["apt-daily-upgrade"] == "disabled"
    assert refusal(find(root), "refuse") == ""


def test_later_settings_hold(root: Path) -> None:
    """`apt.conf` comes last, and names that apt does not read are not read."""
    put(root, "etc/apt/apt.conf.d/99off.dpkg-old", 'APT::Periodic::Enable "0";')
    assert states(root)["apt-daily-upgrade"] == "active"
    put(root, "etc/apt/apt.conf", 'APT::Periodic::Unattended-Upgrade "0";')
    assert states(root)["apt-daily-upgrade"] == "idle"


def test_upgrades_at_shutdown_are_active(root: Path) -> None:
    """They need no timer."""
    put(root, "etc/apt/apt.conf.d/50x", 'Unattended-Upgrade::InstallOnShutdown "true";')
    assert states(root)["unattended-upgrades"] == "active"


def test_timers_do_nothing_without_systemd_and_cron_does(root: Path) -> None:
    """Debian's apt brings a cron script for hosts without systemd."""
    (root / "lib/systemd/systemd").unlink()
    assert states(root)["apt-daily-upgrade"] == "disabled"
    put(root, "etc/cron.daily/apt-compat")
    put(root, "usr/sbin/cron")
    assert states(root)["apt-daily-upgrade"] == "active"


def test_a_timer_that_is_not_wanted_is_disabled(root: Path) -> None:
    """And a mask of either spelling is a mask."""
    (root / "etc/systemd/system/timers.target.wants/apt-daily.timer").unlink()
    assert states(root)["apt-daily"] == "disabled"
    put(root, "etc/systemd/system/apt-daily.timer")
    assert states(root)["apt-daily"] == "masked"


@pytest.mark.parametrize(
    ("unit", "config", "state"),
    [
        ("dnf-automatic.timer", "[commands]\napply_updates = yes\n", "active"),
        ("dnf-automatic.timer", "[commands]\napply_updates = no\n", "idle"),
        ("dnf-automatic-install.timer", "", "active"),
        ("dnf-automatic-download.timer", "[commands]\napply_updates = yes\n", "idle"),
        ("dnf5-automatic.timer", "[commands]\napply_updates=1\n", "active"),
    ],
)
def test_dnf_automatic_by_its_timer(tmp_path: Path, unit: str, config: str, state: str) -> None:
    """Which timer is on, and what its configuration says."""
    put(tmp_path, "usr/lib/systemd/systemd")
    enable(tmp_path, unit)
    put(tmp_path, "etc/dnf/automatic.conf", config)
    assert states(tmp_path) == {"dnf-automatic": state}


def test_snapd_and_packagekit(tmp_path: Path) -> None:
    """Snaps refresh themselves; PackageKit is asked, or has prepared the next start."""
    put(tmp_path, "lib/systemd/systemd")
    enable(tmp_path, "snapd.socket", "sockets")
    enable(tmp_path, "dnf-makecache.timer")
    put(tmp_path, "lib/systemd/system/packagekit.service", "[Service]\n")
    put(tmp_path, "lib/systemd/system/packagekit-offline-update.service", "[Service]\n")
    found = {"dnf-makecache": "idle", "snapd": "active", "packagekit": "idle"}
    assert states(tmp_path) == found
    (tmp_path / "system-update").symlink_to("/var/lib/PackageKit/prepared-update")
    assert states(tmp_path) == {**found, "packagekit": "active"}


def test_owned_updates_are_masked_and_stay_so(root: Path) -> None:
    """Every unit, once; a second time there is nothing to do."""
    assert refusal(find(root), "own")
    done = own_updates(root, root / "log")
    assert done == [
        "apt-daily.timer", "apt-daily.service", "apt-daily-upgrade.timer",
        "apt-daily-upgrade.service", "unattended-upgrades.service",
    ]  # fmt: skip
    assert set(states(root).values()) == {"masked"}
    assert refusal(find(root), "own") == ""
    assert own_updates(root, root / "log") == []


def test_a_unit_of_the_administrators_own_is_not_overwritten(root: Path) -> None:
    """It is named instead."""
    put(root, "etc/systemd/system/apt-daily.timer", "[Timer]\n")
    with pytest.raises(DriverFailed, match=r"apt-daily\.timer"):
        own_updates(root, root / "log")
    assert (root / "etc/systemd/system/apt-daily.timer").read_text() == "[Timer]\n"


def test_rules_refuse_over_their_states() -> None:
    """`refuse` over what acts, `own` over what runs at all, `report` over nothing."""
    rows = {state: Competitor("x", state, "why", ()) for state in ("active", "idle", "masked")}
    said = {rule: [s for s, one in rows.items() if refusal([one], rule)]
            for rule in ("refuse", "own", "report")}  # fmt: skip
    assert said == {"refuse": ["active"], "own": ["active", "idle"], "report": []}


def test_an_upgrade_is_refused_and_an_undo_is_not(tmp_path: Path) -> None:
    """With a reason of its own, before anything is fetched."""
    driver = FakeDriver(tmp_path / "tool")
    tools = Tools(driver, FakeServices(tmp_path), {}, lambda: "`snapd` is active")

    def fetch(_: str) -> object:
        raise DriverFailed("fetched")

    actions = Actions(tools, fetch, tmp_path, lambda _: None)  # type: ignore[arg-type]  # never
    packages = [{"name": "tool", "from": "1", "to": "2", "sha256": "ab" * 32}]
    change: Json = {"type": "upgrade", "ecosystem": driver.ecosystem, "packages": packages}
    with pytest.raises(Competing) as refused:
        actions.prepare({"undo": []}, change)
    assert refused.value.reason == "competing_updater"
    with pytest.raises(DriverFailed, match="fetched"):
        actions.prepare({"undo": []}, {**change, "type": "undo"})


def test_a_rule_that_nobody_knows_is_an_error(tmp_path: Path) -> None:
    """A misspelt rule would be none."""
    put(tmp_path, "settings.json", '{"competing":"owned"}')
    with pytest.raises(HomeUnavailable, match="competing"):
        read_settings(tmp_path / "settings.json")


def test_a_comment_without_an_end_goes_on_to_the_end() -> None:
    """As apt reads it; a file full of such beginnings is read once and not once for each."""
    assert apt_settings(['A "1"; /* B "2"; */ C "3"; /* D "4";', 'E "5";']) == {
        "a": "1", "c": "3", "e": "5",
    }  # fmt: skip
    assert apt_settings(["/*x " * (SETTINGS // 4)]) == {}


@given(st.lists(st.text(alphabet='APT:{};"/*# \n01x'), max_size=4))
def test_any_text_is_read(texts: list[str]) -> None:
    """Settings are never a reason to stop."""
    assert all(isinstance(value, str) for value in apt_settings(texts).values())
