"""The strict sandbox on real hosts: the same effects, and the same refusals, under gVisor."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.live import sabotage
from tests.live.test_fleet import World, _ground, _world  # noqa: F401  fixtures, found by name
from tests.live.test_transaction import differing, drive, sweep

pytestmark = [
    pytest.mark.live,
    pytest.mark.needs(
        "mount", "overlay", "stacked", "network", "uids", "mmdebstrap", "apt", "runsc"
    ),
]


def test_a_vendor_s_package_under_gvisor(world: World, tmp_path: Path) -> None:
    """A benign one has the same effects as under bubblewrap; a hostile one changes not one byte."""
    world.up("a", "b")
    runsc = shutil.which("runsc")
    assert runsc
    debs = sabotage.build(tmp_path)
    urls = {package.sha256: f"file:///{file.name}" for package, file in debs.values()}
    for host in ("a", "b"):
        root = world.fleet.root(host)
        shutil.copy(runsc, root / "usr/bin/runsc")
        for _, file in debs.values():
            (root / file.name).write_bytes(file.read_bytes())
        world.said(host, "dpkg", "--install", f"/{debs['1.0'][1].name}")

    def upgrade(host: str, version: str, **more: object) -> dict[str, Any]:
        p = debs[version][0]
        row = [p.name, p.before, p.after, p.sha256]
        transaction = {"allow": [], **more}
        return drive(world, host, "upgrade", packages=[row], urls=urls, transaction=transaction)

    strict = upgrade("a", "1.1", sandbox="gvisor")
    usual = upgrade("b", "1.1")
    assert strict["installed"] == {sabotage.NAME: "1.1"}, strict
    assert strict["said"].partition(",")[0] == usual["said"].partition(",")[0]
    before = sweep(world, "a")
    done = upgrade("a", "1.2", sandbox="gvisor")
    assert done["error"] == "TransactionDiffers", done
    assert differing(before, sweep(world, "a")) == []
    named = {line.partition(":")[0] for line in done["also"]}
    # gVisor sets no file capability, so there is nothing to find of that one act.
    assert named >= set(sabotage.PATHS) - {"/usr/bin/dpkg"}, set(sabotage.PATHS) - named
