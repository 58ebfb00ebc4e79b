"""A real Debian in a virtual machine: what no container can show.

One machine goes through these tests in their order, since each boot takes minutes under emulation;
`make test-vm` stops at the first failure. Kernel, boot loader, device-mapper, systemd and packages
are the distribution's; the fleet around the machine is the simulator's.

Left out: power that fails in the middle of a write, which this machine's own disk cache would hide.
"""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest

from answerable.host.actions.reboot import MARKER
from answerable.host.install import UNITS as AGENTS
from answerable.kernel.errors import Refused
from tests.structure.source import ROOT
from tests.vm.orders import BROKEN
from tests.vm.story import ANSWERABLE, HOME, Story, patiently

pytestmark = pytest.mark.vm
NAME = "0123456789abcdef-fedcba9876543210-snapshot-1"
DATA, LOOK, MEGABYTE = "/srv/data", "/media", 1 << 20
WEEKS = 7 * 24 * 3600
WIDER = ROOT / "docs/operate/privileges.md"
"""Where it stands what the agent's unit needs for snapshots by LVM."""


def drive(story: Story, do: str, **given: object) -> dict[str, Any]:
    """Let the driver of snapshots do something with the volume `vg/data`."""
    job = {"do": do, "name": NAME, "bytes": 16 * MEGABYTE, "volume": "vg/data", "root": DATA,
           "state": f"/{HOME}"} | given  # fmt: skip
    said = story.machine.do("python3", "-I", "-S", "/mnt/volume.py", "/mnt/agent", json.dumps(job))
    found: dict[str, Any] = json.loads(said.splitlines()[-1])
    return found


def change(story: Story) -> None:
    """Do what an upgrade does, and what users do meanwhile."""
    story.machine.do("sh", "-ec", f"cd {DATA}; echo two > tool; rm gone; mkdir new; "
                     "echo new > new/file; chmod 600 mode; sync")  # fmt: skip


def test_a_volume_is_snapshotted_and_merged_back(story: Story) -> None:
    """Read-only, at one instant, once; identical to the byte after `lvconvert --merge`; removed."""
    vm = story.machine
    vm.do("mount", "/dev/vg/data", DATA)
    vm.do("sh", "-ec", f"cd {DATA}; for one in tool gone mode; do echo one > $one; done; sync")
    assert drive(story, "ready") == {"kept": []}
    before = vm.sweep(DATA)
    assert drive(story, "take")["taken"] == f"lvm snapshot vg/answerable-{NAME}"
    change(story)
    assert vm.sweep(DATA) != before
    assert drive(story, "take")["kept"] == [[NAME, 16 * MEGABYTE, True]]
    snapshot = f"/dev/vg/answerable-{NAME}"
    assert vm.run("dd", "if=/dev/zero", f"of={snapshot}", "count=1")[0] != 0
    vm.do("mount", "-o", "ro,noload", snapshot, LOOK)
    assert vm.sweep(LOOK) == before
    vm.do("umount", LOOK)
    digest = vm.do("b2sum", snapshot).split()[0]
    vm.do("umount", DATA)
    vm.do("lvconvert", "--merge", f"vg/answerable-{NAME}")
    patiently(lambda: drive(story, "look")["kept"] == [], "the snapshot is merged")
    assert vm.do("b2sum", "/dev/vg/data").split()[0] == digest
    vm.do("mount", "/dev/vg/data", DATA)
    assert vm.sweep(DATA) == before
    drive(story, "take")
    assert drive(story, "drop") == drive(story, "drop") == {"kept": []}
    assert vm.sweep(DATA) == before


def test_a_snapshot_that_cannot_be_is_none(story: Story) -> None:
    """No room in the group; the agent's own folder on the volume; no such volume; room used up."""
    vm = story.machine
    error = drive(story, "take", bytes=8 << 30)["error"]
    assert error == f"`vg` has no {8 << 30} bytes left; make room"
    vm.do("mkdir", "-p", f"{DATA}/state")
    assert "of its own" in drive(story, "take", state=f"{DATA}/state")["error"]
    assert "vg/none" in drive(story, "take", volume="vg/none")["error"]
    assert drive(story, "take", bytes=4 * MEGABYTE)["kept"] == [[NAME, 4 * MEGABYTE, True]]
    vm.do("dd", "if=/dev/urandom", f"of={DATA}/much", "bs=1M", "count=12", "conv=fsync")
    assert drive(story, "look")["kept"] == [[NAME, 4 * MEGABYTE, False]]
    assert drive(story, "drop")["kept"] == []
    vm.do("umount", DATA)


def test_posture_knows_the_security_modules(story: Story) -> None:
    """AppArmor in force with its profiles, and kernel settings, as a foot reads them."""
    words = ("from answerable.observe.foot import answer; from pathlib import Path; "
             "print(answer('posture', Path('/')))")  # fmt: skip
    text = f"import sys; sys.path.insert(0, '/usr/local/lib/answerable'); {words}"
    said = story.machine.do("python3", "-I", "-S", "-c", text)
    sections = json.loads(said)["sections"]
    confinement = sections["confinement"]
    assert confinement["module/apparmor/parameters/enabled"] == "Y", confinement
    assert "apparmor" in confinement["kernel/security/lsm"].split(",")
    assert sections["settings"]["kernel/randomize_va_space"] == "2"
    assert "dm_snapshot" in sections["loaded"]


def test_a_newer_kernel_is_proved_by_its_boot(
    story: Story, record_property: Callable[[str, object], None]
) -> None:
    """Snapshot, upgrade, one reboot by the host's own boot loader, and another kernel runs."""
    vm, world = story.machine, story.world
    older, newer = story.disk.release, story.plans.release
    assert vm.do("uname", "-r").strip() == older != newer
    boot, since = vm.boots[-1][0], len(world.said())
    said = WIDER.read_text().partition("Snapshots by LVM")[2].splitlines()
    unit = "".join(f"{line.strip()}\n" for line in said if line.startswith("    "))
    folder = f"/etc/systemd/system/{AGENTS[1]}.d"
    vm.do("sh", "-ec", f"mkdir {folder}; cat > {folder}/lvm.conf; systemctl daemon-reload",
          given=unit)  # fmt: skip
    story.order(story.plans.kernel)
    story.start()
    story.heard(since, "up")
    vm.restarting()
    after = vm.up()
    record_property("told", f"boots {vm.boots}")
    assert story.heard(since, "health") == [
        ("snap", "succeeded", ""), ("up", "succeeded", "reboot_required"),
        ("boot", "succeeded", "rebooted"), ("health", "succeeded", ""),
    ]  # fmt: skip
    bodies = {body["change"]: body for body in world.reports.values()}
    assert f"kernel `{older}` runs, `{newer}` is installed" in bodies["up"]["detail"]
    found = re.fullmatch("boot `([^`]+)` after `([^`]+)`, kernel `([^`]+)`",
                         bodies["boot"]["detail"])  # fmt: skip
    assert found, bodies["boot"]
    assert (found[1][:36], found[2][:36], found[3]) == (after, boot, newer)
    assert after != boot
    assert vm.do("uname", "-r").strip() == newer
    assert vm.run("test", "-e", f"/{MARKER}")[0] != 0
    patiently(story.snapshots, "status shows the snapshot")
    (name,) = story.snapshots()
    assert bodies["snap"]["detail"] == f"lvm snapshot vg/answerable-{name}"
    assert name in vm.do(*ANSWERABLE, "status", "--dir", f"/{HOME}")
    assert "mlock failed" not in vm.do("cat", f"/{HOME}/snapshot.log")


def test_a_host_whose_kernel_is_none_stays_away(story: Story) -> None:
    """The boot loader finds no kernel in what an update brought: nobody hears of the host again."""
    vm, world = story.machine, story.world
    since = len(world.said())
    order = story.order(story.plans.broken)
    assert story.heard(since, "up")[-1][1:] == ("succeeded", "reboot_required")
    patiently(lambda: "invalid magic number" in vm.said(), "the boot loader says why")
    vm.end()
    assert [row[0] for row in story.heard(since, "up")] == ["snap", "up"]
    # Without what it would say no observer lets the next ring begin, and hosts there refuse.
    later = world.sim.order(order.notice, "web2", order.checkpoint)
    verdict = world.sim.ask(later, "snap")
    assert isinstance(verdict, Refused)
    assert (later.ring, verdict.reason) == (1, "ring_not_open")


def test_a_person_brings_the_host_back(story: Story) -> None:
    """From a rescue system, by the documented command; identical to the byte; the agent knows."""
    world, since = story.world, len(story.world.said())
    rescue = story.disk.rescue(story.place / "rescue", *story.disks)
    story.machine = rescue
    rescue.up()
    rescue.do("vgchange", "-ay", "vg")
    rows = [row.split() for row in rescue.do("lvs", "--noheadings", "-o", "lv_name,lv_time",
            "--sort", "lv_time", "vg").splitlines()]  # fmt: skip
    first, name = [row[0] for row in rows if row[0].startswith("answerable-")]
    digest = rescue.do("b2sum", f"/dev/vg/{name}").split()[0]
    rescue.do("lvconvert", "--merge", f"vg/{name}")
    patiently(lambda: name not in rescue.do("lvs", "-a", "vg"), "the snapshot is merged")
    assert rescue.do("b2sum", "/dev/vg/root").split()[0] == digest
    rescue.off()
    vm = story.boot("back")
    assert vm.do("uname", "-r").strip() == story.plans.release
    assert vm.run("test", "-e", f"/boot/vmlinuz-{BROKEN.removeprefix('linux-image-')}")[0]
    assert story.heard(since, "health")[0] == ("boot", "succeeded", "rebooted")
    assert story.snapshots() == [first.removeprefix("answerable-")]
    world.sim.now += 6 * WEEKS
    patiently(lambda: not story.snapshots(), "the snapshot is thrown away")
    assert "answerable-" not in vm.do("lvs", "vg")
