"""An initial disk that a copy could not make as the host does is never committed."""

import os
from pathlib import Path

import pytest

from answerable.host.driver import TransactionDiffers
from answerable.host.transaction.initrd import Disks

NEW, OLD = "/boot/initrd.img-2", "/boot/initrd.img-1"
HELD = ["bin/sh", "conf/conf.d/cryptroot", "usr/lib/modules/1/x.ko", "lib/firmware/f.bin", ""]


class Copy:
    """A host's folder of disks, and what a copy would list of each."""

    def __init__(self, root: Path, *disks: str) -> None:
        self.root, self.disks = root, dict.fromkeys(disks, HELD)
        (root / "boot").mkdir()
        for time, disk in enumerate(disks):
            (root / disk[1:]).touch()
            os.utime(root / disk[1:], (time, time))

    def listed(self, disk: str) -> list[str]:
        """List a disk."""
        return self.disks[disk]

    def make(self, **disks: list[str]) -> None:
        """Make this disk in the copy, and look at it."""
        made = Disks([NEW, "/etc/ld.so.cache"], self.listed, self.root)
        self.disks |= {NEW: disks["new"]}
        made.demand()


def test_a_disk_with_all_that_the_last_one_had_passes(tmp_path: Path) -> None:
    """Each kernel has its own modules; what is new lacks nothing."""
    copy = Copy(tmp_path, OLD)
    copy.make(new=["bin/sh", "conf/conf.d/cryptroot", "usr/lib/modules/2/y.ko", "bin/new"])


def test_a_disk_that_does_not_find_the_key_of_the_root_is_refused(tmp_path: Path) -> None:
    """A copy sees no device, so the tool only warns; the host would not come back."""
    copy = Copy(tmp_path, OLD)
    with pytest.raises(TransactionDiffers, match="might not boot") as caught:
        copy.make(new=["bin/sh"])
    assert caught.value.also == (f"{NEW}: lacks `conf/conf.d/cryptroot`, which this host's has",)


def test_a_disk_in_place_is_compared_with_itself_and_else_with_the_last(tmp_path: Path) -> None:
    """The one of a kernel that was given up long ago is no measure."""
    copy = Copy(tmp_path, "/boot/initrd.img-0", OLD)
    copy.disks["/boot/initrd.img-0"] = ["bin/old"]
    copy.make(new=HELD)
    (tmp_path / "again").mkdir()
    again = Copy(tmp_path / "again", NEW, OLD)
    again.disks[NEW] = ["bin/of-its-own"]
    with pytest.raises(TransactionDiffers, match="of-its-own"):
        again.make(new=HELD)


def test_a_host_without_any_has_nothing_to_compare_with(tmp_path: Path) -> None:
    """A first kernel."""
    Copy(tmp_path).make(new=["bin/sh"])
