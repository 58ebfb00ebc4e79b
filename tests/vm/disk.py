"""The disk from which virtual machines start: this distribution, installed. Not a test.

It is laid out as an installer does it, in the machine itself: a boot sector with GRUB, one
partition for LVM, and in its group `vg` the volumes `root` (with /boot), `state` (the agent's own
folder) and `data`. The release suite's packages are on it, and an older kernel of the distribution.
It is made once and kept, for a release, a kernel, and this file.
"""

import hashlib
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from answerable.demo import basetree, mirror
from answerable.demo.alone import alone
from answerable.demo.distribution import Distribution, fetch
from answerable.demo.mirror import Artefact
from answerable.host.versions import key
from tests.vm.machine import Machine, running

PACKAGES = (
    "python3", "bubblewrap", "systemd-sysv", "udev", "kmod", "lvm2", "grub-pc", "initramfs-tools",
    "linux-base", "zstd", "apparmor",
)  # fmt: skip
DISK, ROOT_SIZE = 4 << 30, 1 << 30
_SECTOR, _START = 512, 2048
# A busy machine emulates slowly: nothing here fails because it was late, not even a first tick of
# the clock, for want of which the kernel panics.
_LINE = "console=ttyS0 quiet no_timer_check"
_FILES = {
    "etc/fstab": "/dev/vg/root / ext4 defaults 0 0\n"
                 "/dev/vg/state /var/lib/answerable ext4 x-systemd.device-timeout=1h 0 0\n",
    "etc/hostname": "vm\n",
    "etc/default/grub": "GRUB_TIMEOUT=0\nGRUB_TERMINAL=serial\nGRUB_DISABLE_OS_PROBER=true\n"
                        f'GRUB_CMDLINE_LINUX="{_LINE}"\n',
    "etc/systemd/system.conf.d/slow.conf": "[Manager]\nDefaultTimeoutStartSec=1h\n",
    "etc/initramfs-tools/conf.d/small": "MODULES=list\n",
    "etc/initramfs-tools/modules": "virtio_pci\nvirtio_blk\next4\ndm_mod\ndm_snapshot\n",
    "etc/systemd/network/a.network": "[Match]\nType=ether\n[Network]\nAddress=10.0.2.15/24\n"
                                     "Gateway=10.0.2.2\n",
    "etc/systemd/system/door.service": "[Service]\nExecStart=/usr/bin/python3 /opt/inside.py\n"
                                       "Restart=always\n",
    "etc/systemd/system/web.service": "[Service]\nExecStart=/usr/bin/python3 -m http.server "
                                      "--directory /usr/share/common-licenses 80\n",
}  # fmt: skip
_WANTED = {
    "door.service": "/etc/systemd/system/door.service",
    "web.service": "/etc/systemd/system/web.service",
    "systemd-networkd.service": "/usr/lib/systemd/system/systemd-networkd.service",
}
_MASKED = (
    "dpkg-db-backup.timer", "e2scrub_all.timer", "systemd-tmpfiles-clean.timer", "getty@.service",
    "getty-static.service",
    "serial-getty@.service", "fstrim.timer", "e2scrub_reap.service", "apt-daily.timer",
)  # fmt: skip


def kernels(cache: Path, distribution: Distribution) -> tuple[Artefact, Artefact]:
    """Give the two newest kernels that the distribution has today, older and newer.

    Of the flavour for virtual machines, of the series that the release itself follows, with
    different releases in their names.
    """
    found, follows = dict[str, Artefact](), "linux-image-cloud-amd64"
    for suite in (distribution.main, distribution.security):
        release = mirror.fetch_release(cache, suite).decode("utf-8", "replace")
        folder = cache / suite.label / "dists" / suite.name
        index = mirror._fetch_index(folder, suite, release, distribution.arch)
        names = re.findall(rb"(?m)^Package: (linux-image-(?:\d\S*-)?cloud-amd64)$", index)
        wanted = {name.decode(): ("", distribution.arch) for name in names}
        for one in mirror.read_index(index, suite.label, wanted):
            if one.package not in found or key("debian:", one.version) > _version(
                found[one.package]
            ):
                found[one.package] = one
    series = found.pop(follows).source
    older, newer = sorted((a for a in found.values() if a.source == series), key=_version)[-2:]
    uris = {s.label: s.uri for s in (distribution.main, distribution.security)}
    fetch([(f"{uris[a.suite]}/{a.path}", cache / a.path, a.sha256) for a in (older, newer)
           if not (cache / a.path).is_file()])  # fmt: skip
    return older, newer


def _version(one: Artefact) -> bytes:
    return key("debian:", one.version)


def build(
    folder: Path, name: str, version: str, files: Mapping[str, bytes] | None = None,
    script: str = "", arch: str = "all",
) -> Path:  # fmt: skip
    """Build a package with these files, and what its `postinst` does; the same bytes each time."""
    deb = folder / f"{name}_{version}_{arch}.deb"
    with TemporaryDirectory(dir=folder) as place:
        root = Path(place) / "root"
        (root / "DEBIAN").mkdir(parents=True)
        (root / "DEBIAN/control").write_text(
            f"Package: {name}\nVersion: {version}\nArchitecture: {arch}\n"
            "Maintainer: Test <test@example.invalid>\nDescription: made by a test\n"
        )
        if script:
            (root / "DEBIAN/postinst").write_text(f"#!/bin/sh\nset -e\n{script}\n")
        for name_in, data in (files or {}).items():
            (root / name_in).parent.mkdir(parents=True, exist_ok=True)
            (root / name_in).write_bytes(data)
        for path in [root, *root.rglob("*")]:
            path.chmod(0o755 if path.is_dir() or path.name == "postinst" else 0o644)
            os.utime(path, (0, 0))
        env = {"PATH": "/usr/bin:/bin", "SOURCE_DATE_EPOCH": "0"}
        words = ["dpkg-deb", "--root-owner-group", "--build", str(root), str(deb)]
        subprocess.run(words, check=True, capture_output=True, env=env)
    return deb


class Disk:
    """What machines start from: made once for a release, an older kernel and this file.

    Args:
        cache: where it is kept.
        distribution: whose.
    """

    def __init__(self, cache: Path, distribution: Distribution) -> None:
        self.older, self.newer = kernels(cache / "mirror", distribution)
        self.debs = {a.sha256: cache / "mirror" / a.path for a in (self.older, self.newer)}
        self.release = self.older.package.removeprefix("linux-image-")
        main = cache / f"mirror/main/dists/{distribution.main.name}/InRelease"
        deb = build(cache, "vm-base", "1")
        tree = basetree.base_tree(cache, distribution, main.read_bytes(), deb, print, PACKAGES)
        inside = Path(__file__).with_name("inside.py")
        parts = (Path(__file__), inside, self.debs[self.older.sha256])
        made = hashlib.sha256(str(tree).encode() + b"".join(p.read_bytes() for p in parts))
        self.place = cache / f"disk-{made.hexdigest()[:16]}"
        with alone(cache / "disks"):
            if not self.place.is_dir():
                self._make(tree, inside)

    def copy(self, into: Path) -> Path:
        """Give a fresh copy of the disk."""
        subprocess.run(["cp", "--sparse=always", self.place / "disk", into], check=True)
        return into

    def rescue(self, place: Path, *disks: Path, made: Path | None = None) -> Machine:
        """Start another system, which has nothing of the disks in use; `vda` is the first."""
        kernel, initrd = ((made or self.place) / name for name in ("vmlinuz", "initrd.img"))
        last = f"/dev/vd{'abcdef'[len(disks)]}"
        line = f"root={last} ro init=/opt/inside.py {_LINE}"
        root = place.with_suffix(".rescue")
        subprocess.run(["cp", "--sparse=always", (made or self.place) / "root", root], check=True)
        return Machine(place, (*disks, root), (kernel, initrd, line))

    def _make(self, tree: Path, inside: Path) -> None:
        place = self.place.with_suffix(".part")
        shutil.rmtree(place, ignore_errors=True)
        root = place / "tree"
        place.mkdir()
        subprocess.run(["cp", "--archive", tree, root], check=True)
        _settle(root, inside)
        shutil.copy(self.debs[self.older.sha256], root / "kernel.deb")
        _within(root, "dpkg", "--install", "/kernel.deb")
        (root / "kernel.deb").unlink()
        for name in ("vmlinuz", "initrd.img"):
            shutil.copy(root / f"boot/{name}-{self.release}", place / name)
        words = ["mke2fs", "-q", "-t", "ext4", "-d", str(root), str(place / "root")]
        subprocess.run([*words, f"{ROOT_SIZE >> 20}M"], check=True, stdout=subprocess.DEVNULL)
        shutil.rmtree(root)
        with (place / "disk").open("wb") as file:
            entry = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0x8E, b"\xff" * 3, _START,
                                DISK // _SECTOR - _START)  # fmt: skip
            file.write(b"\0" * 446 + entry + b"\0" * 48 + b"\x55\xaa")
            file.truncate(DISK)
        self._install(place)
        for old in set(self.place.parent.glob("disk-*")) - {place}:
            shutil.rmtree(old)
        place.rename(self.place)

    def _install(self, place: Path) -> None:
        with running(self.rescue(place / "installer", place / "disk", made=place)) as machine:
            machine.up()
            for line in _LAYOUT:
                machine.do("sh", "-ec", line)
            machine.off()
        (place / "installer.rescue").unlink()


_LAYOUT = (
    "vgcreate vg /dev/vda1",
    f"lvcreate -y -n root -L {ROOT_SIZE}b vg",
    "lvcreate -y -n state -L 256m vg; lvcreate -y -n data -L 64m vg",
    "dd if=/dev/vdb of=/dev/vg/root bs=4M conv=sparse status=none",
    "mkfs.ext4 -q /dev/vg/state; mkfs.ext4 -q /dev/vg/data",
    "mount /dev/vg/root /mnt; for one in dev proc sys; do mount --bind /$one /mnt/$one; done",
    "chroot /mnt grub-install /dev/vda",
    "chroot /mnt update-grub",
    "umount -R /mnt; vgchange -an vg",
)


def _settle(root: Path, inside: Path) -> None:
    for name, text in _FILES.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    (root / "opt/inside.py").write_text("#!/usr/bin/python3\n" + inside.read_text())
    (root / "opt/inside.py").chmod(0o755)
    for name in ("var/lib/answerable", "etc/lvm/backup", "etc/lvm/archive", "srv/data"):
        (root / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    units = root / "etc/systemd/system"
    (units / "multi-user.target.wants").mkdir(exist_ok=True)
    for name, target in _WANTED.items():
        (units / "multi-user.target.wants" / name).symlink_to(target)
    for name in _MASKED:
        (units / name).unlink(missing_ok=True)
        (units / name).symlink_to("/dev/null")


def _within(root: Path, *argv: str) -> None:
    done = subprocess.run(["chroot", root, *argv], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"{argv}: {done.stdout}{done.stderr}")
