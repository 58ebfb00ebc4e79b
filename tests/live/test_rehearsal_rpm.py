"""What a clone of the RPM family finds before notice is what a host of it does."""

import subprocess
from pathlib import Path

import pytest

from answerable.changes.rehearse import Unfit
from tests.live.test_rehearsal import HOST, Planner, named
from tests.live.test_rpm import (  # noqa: F401  fixtures are found by their names here
    Hosts,
    Rocky,
    _ground,
    _hosts,
)

pytestmark = [
    pytest.mark.live,
    pytest.mark.needs(
        "mount", "overlay", "stacked", "network", "uids", "mmdebstrap", "apt", "rpmbuild"
    ),
]


def test_rpm_hosts_do_exactly_what_the_clone_found(hosts: Hosts, tmp_path: Path) -> None:
    """Two upgrades one after another, and a hostile one between them that is left out."""
    hosts.up(HOST)
    hosts.said(HOST, "rpm", "--install", hosts.give(HOST, hosts.made["demo-1"]))
    clone = tmp_path / "clone"
    subprocess.run(["cp", "-ax", str(hosts.world.fleet.root(HOST)), str(clone)], check=True)
    made = [hosts.made[name] for name in ("tool-2", "evil", "demo-2")]
    planner = Planner(tmp_path, Rocky.ecosystem, clone, "rpm")
    first, hostile, last = planner.rehearse(*([one] for one in made))
    assert isinstance(hostile, Unfit), hostile
    for one, found in ((made[0], first), (made[2], last)):
        done = hosts.drive(HOST, "upgrade", one, named=named(found))
        assert done.get("said", "").startswith(f"effects {named(found)[0]},"), done
    assert "error" in hosts.drive(HOST, "upgrade", hosts.made["tool-3"], named=named(first))
