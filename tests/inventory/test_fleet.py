"""The fleet's store."""

from pathlib import Path

import pytest

from answerable.inventory.fleet import Fleet, NoFleet
from answerable.inventory.installed import Installed, Inventory

OPENSSL = Installed("debian:12", "openssl", "3.0.20-1", "amd64", "openssl")
BASH = Installed("debian:12", "bash", "5.2-1", "amd64", "bash", "held", ("sh",))
FLASK = Installed("pypi", "flask", "2.3.1", "cp311", "flask")


def _inventory(host: str, *packages: Installed, zones: tuple[str, ...] = ("web",)) -> Inventory:
    return Inventory(host, "ab" * 32, frozenset(zones), packages)


def test_an_inventory_comes_back_as_it_was(tmp_path: Path) -> None:
    """Zones, states and provided names survive the store, in a file that another run opens."""
    Fleet(tmp_path / "fleet.db").record(
        _inventory("web1", BASH, OPENSSL, zones=("web", "pci")), 100
    )
    fleet = Fleet(tmp_path / "fleet.db")
    (host,) = fleet.hosts(now=110, silence=60)
    assert fleet.inventory(host) == _inventory("web1", BASH, OPENSSL, zones=("web", "pci"))


def test_a_newer_inventory_replaces_the_whole(tmp_path: Path) -> None:
    """What a host no longer has is no longer there."""
    fleet = Fleet(tmp_path / "fleet.db")
    fleet.record(_inventory("web1", BASH, OPENSSL), 100)
    assert fleet.record(_inventory("web1", FLASK), 101)
    (host,) = fleet.hosts(now=101, silence=60)
    assert fleet.inventory(host).packages == (FLASK,)


def test_an_older_inventory_changes_nothing(tmp_path: Path) -> None:
    """A replayed inventory cannot bring an old package back."""
    fleet = Fleet(tmp_path / "fleet.db")
    fleet.record(_inventory("web1", OPENSSL), 100)
    assert not fleet.record(_inventory("web1", BASH), 99)
    (host,) = fleet.hosts(now=100, silence=60)
    assert fleet.inventory(host).packages == (OPENSSL,)


def test_a_silent_host_is_unknown(tmp_path: Path) -> None:
    """A host that was not heard of for too long is not counted as patched."""
    fleet = Fleet(tmp_path / "fleet.db")
    fleet.record(_inventory("web1", OPENSSL), 100)
    fleet.record(_inventory("web2", OPENSSL), 150)
    states = {h.host: h.state for h in fleet.hosts(now=161, silence=60)}
    assert states == {"web1": "unknown", "web2": "known"}


def test_versions_are_gathered_over_the_fleet(tmp_path: Path) -> None:
    """Each package of an ecosystem comes with every version that any host has."""
    fleet = Fleet(tmp_path / "fleet.db")
    newer = Installed("debian:12", "openssl", "3.0.22-1", "amd64", "openssl")
    fleet.record(_inventory("web1", OPENSSL, FLASK), 100)
    fleet.record(_inventory("web2", newer, BASH), 100)
    assert fleet.versions("debian:12") == {"openssl": {"3.0.20-1", "3.0.22-1"}, "bash": {"5.2-1"}}


def test_a_host_that_left_is_forgotten(tmp_path: Path) -> None:
    """Nothing of it stays behind."""
    fleet = Fleet(tmp_path / "fleet.db")
    fleet.record(_inventory("web1", OPENSSL), 100)
    fleet.forget("web1")
    assert fleet.hosts(now=100, silence=60) == []
    assert fleet.versions("debian:12") == {}


def test_a_damaged_store_is_said(tmp_path: Path) -> None:
    """A file that is no store is no empty fleet."""
    (tmp_path / "fleet.db").write_bytes(b"not a database" * 100)
    with pytest.raises(NoFleet):
        Fleet(tmp_path / "fleet.db")
