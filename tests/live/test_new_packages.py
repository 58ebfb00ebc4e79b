"""A metapackage's new kernel: found on a clone, installed just so, and taken away to the byte."""

import os
from pathlib import Path
from typing import Any

import pytest

from answerable.changes.rehearse import Unfit
from answerable.host.driver import Package
from answerable.host.versions import ABSENT
from tests.live.sabotage import _build
from tests.live.test_fleet import (  # noqa: F401  fixtures are found by their names here
    STATE,
    World,
    _ground,
    _world,
)
from tests.live.test_rehearsal import HOST, Planner, named, prepared
from tests.live.test_transaction import differing, drive, sweep

pytestmark = [
    pytest.mark.live,
    pytest.mark.needs("mount", "overlay", "stacked", "network", "uids", "mmdebstrap", "apt"),
]
Made = tuple[Package, Path]
META, IMAGE, MODULES = "our-image", "our-image-2", "our-modules-2"
LINKS = "#!/bin/sh\nln -sfn boot/vmlinuz-2-ours /vmlinuz\n"
EVIL = "#!/bin/sh\nmkdir -p /etc/cron.d && echo '* * * * * root id' >/etc/cron.d/ours\n"
GRUB = """\
#!/bin/sh
cd /boot
for kernel in vmlinuz-*; do echo "menuentry 'Linux $kernel' {"; echo }; done >grub/new
mv grub/new grub/grub.cfg
"""
TWO = "echo x >/boot/grub/other\n"
CLASSES = frozenset({"boot", "install", "module"})


def made(folder: Path, script: str = LINKS, release: str = "2-ours") -> dict[str, Made]:
    """Build both metapackages, and what the second needs; and a package that nobody needs."""
    folder.mkdir()
    kernel = {f"boot/vmlinuz-{release}": 0o600, "etc/default/our-image": 0o644}
    modules = {f"usr/lib/modules/{release}/kernel/x.ko": 0o644}
    return {
        "old": _build(folder, META, "1", "", ""),
        "meta": _build(folder, META, "2", "1", "", None, f"{IMAGE} (= 2)"),
        IMAGE: _build(folder, IMAGE, "2", ABSENT, script, kernel, f"{MODULES} | other"),
        MODULES: _build(folder, MODULES, "2", ABSENT, "", modules),
        "evil": _build(folder, "our-evil", "1", ABSENT, ""),
    }  # fmt: skip


def grub(*roots: Path) -> None:
    """Give hosts a kernel and a boot loader of the test's own, and its menu."""
    for root in roots:
        (root / "boot/grub").mkdir(parents=True)
        (root / "boot/vmlinuz-1-ours").touch()
        (root / "boot/grub/grub.cfg").write_text("menuentry 'Linux vmlinuz-1-ours' {\n}\n")
        (root / "usr/sbin/update-grub").write_text(GRUB)
        (root / "usr/sbin/update-grub").chmod(0o755)


def does(world: World, do: str, *moved: Made, undo: bool = False, **more: Any) -> dict[str, Any]:  # noqa: ANN401
    """Move packages of ours on the host."""
    urls, rows, place = {}, [], world.fleet.root(HOST) / STATE
    place.mkdir(mode=0o700, exist_ok=True)
    for package, file in moved:
        (place / file.name).write_bytes(file.read_bytes())
        ends = (package.before, package.after)
        rows.append([package.name, *(reversed(ends) if undo else ends), package.sha256])
        urls[package.sha256] = f"file:///{STATE}/{file.name}"
    return drive(world, HOST, do, packages=rows, urls=urls, undo=undo, **more)


def test_a_new_kernel_comes_as_it_was_noticed_and_goes_to_the_byte(
    world: World, tmp_path: Path
) -> None:
    """The clone's hash is the host's; its undo leaves identical bytes, and no package."""
    debs = made(tmp_path / "debs")
    moved = [debs["meta"], debs[IMAGE], debs[MODULES]]
    clone = prepared(world, tmp_path, debs["old"][1])
    grub(clone, world.fleet.root(HOST))
    planner = Planner(tmp_path, world.distribution.ecosystem, clone)
    (unnamed,) = planner.rehearse(moved, classes=CLASSES - {"install"})
    assert isinstance(unnamed, Unfit)
    assert "`install` are not allowed" in unnamed.reason
    found, smuggled = planner.rehearse(moved, [debs["evil"]], classes=CLASSES)
    assert isinstance(smuggled, Unfit)
    assert "needs `our-evil`" in smuggled.reason
    assert named(found)[1] == sorted(CLASSES)
    before = sweep(world, HOST)

    # what the order names not, what nobody needs, and what is of a class that people did not name
    for wrong in (moved[:2], [*moved, debs["evil"]]):
        refused = does(world, "upgrade", *wrong, named=named(found))
        assert refused["error"] == "TransactionDiffers", refused
    refused = does(world, "upgrade", *moved)
    assert "`install`" in refused["message"], refused
    assert differing(before, sweep(world, HOST)) == []

    done = does(world, "upgrade", *moved, named=named(found))
    assert done["installed"] == {META: "2", IMAGE: "2", MODULES: "2"}, done
    assert done["said"].startswith(f"effects {named(found)[0]},")
    assert world.said(HOST, "readlink", "/vmlinuz") == "boot/vmlinuz-2-ours\n"
    menu = world.fleet.root(HOST) / "boot/grub/grub.cfg"
    assert menu.read_text().count("menuentry") == 2
    assert world.said(HOST, "dpkg", "--verify", META, IMAGE, MODULES) == ""
    assert world.said(HOST, "dpkg", "--audit") == ""

    back = [(Package(META, "1", "2", debs["old"][0].sha256), debs["old"][1]), *moved[1:]]
    made_so = menu.read_bytes()
    menu.write_bytes(b"# by a person\n")
    refused = does(world, "undo", *back, undo=True, named=named(found))
    assert "/boot/grub/grub.cfg" in refused["message"], refused
    menu.write_bytes(made_so)
    undone = does(world, "undo", *back, undo=True, named=named(found))
    assert undone["installed"] == {META: "1"}, undone
    assert differing(before, sweep(world, HOST)) == []


def test_a_first_installation_that_does_more_or_runs_is_left_alone(
    world: World, tmp_path: Path
) -> None:
    """A script that nobody explains changes nothing; the kernel that runs is not taken away."""
    evil = made(tmp_path / "evil", EVIL)
    runs = made(tmp_path / "runs", "", os.uname().release)
    prepared(world, tmp_path, evil["old"][1])
    names, allowed = ("meta", IMAGE, MODULES), {"allow": sorted(CLASSES)}
    before = sweep(world, HOST)
    refused = does(world, "upgrade", *(evil[name] for name in names), transaction=allowed)
    assert "/etc/cron.d/ours: no named package ships it" in refused["also"], refused
    assert differing(before, sweep(world, HOST)) == []

    grub(world.fleet.root(HOST))
    before = sweep(world, HOST)
    tool = world.fleet.root(HOST) / "usr/sbin/update-grub"
    for script, why in (
        (GRUB + TWO, "/boot/grub/other: changed"), ("#!/bin/sh\n: >/boot/other\n", "failed"),
    ):  # fmt: skip
        tool.write_text(script)
        refused = does(world, "upgrade", *(runs[name] for name in names), transaction=allowed)
        assert why in refused["message"], refused
        tool.write_text(GRUB)
        os.utime(tool, (0, 0))
        assert differing(before, sweep(world, HOST)) == ["/usr/sbin/update-grub"]

    done = does(world, "upgrade", *(runs[name] for name in names), transaction=allowed)
    assert done["installed"] == {META: "2", IMAGE: "2", MODULES: "2"}, done
    back = [(Package(META, "1", "2", evil["old"][0].sha256), evil["old"][1])]
    back += [runs[IMAGE], runs[MODULES]]
    after = sweep(world, HOST)
    left = does(world, "undo", *back, undo=True, transaction=allowed)
    assert "boot the one before" in left["message"], left
    assert differing(after, sweep(world, HOST)) == []
