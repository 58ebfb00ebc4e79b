"""Links to the newest kernel are explained by the package that ships it, and by nothing else."""

from pathlib import Path

import pytest

from answerable.host.transaction.debian.deb import Deb
from answerable.host.transaction.debian.dpkg import Host
from answerable.host.transaction.port import Look
from tests.host.transaction.debs import change, shipped

KERNEL = Deb({"Package": "linux-image-2", "Version": "2"}, {}, {"/boot/vmlinuz-2": shipped(b"k")})


@pytest.fixture(name="host")
def _host(tmp_path: Path) -> Host:
    (tmp_path / "boot").mkdir()
    for name in ("vmlinuz", "initrd.img"):
        (tmp_path / name).symlink_to(f"boot/{name}-1")
        (tmp_path / "boot" / name).symlink_to(f"{name}-1")
    return Host(tmp_path, [KERNEL])


def _link(target: str, **more: object) -> Look:
    return Look("link", 0o777, target=target, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "target"),
    [
        ("/vmlinuz", "boot/vmlinuz-2"), ("/initrd.img", "boot/initrd.img-2"),
        ("/boot/vmlinuz", "vmlinuz-2"), ("/boot/initrd.img", "initrd.img-2"),
        ("/vmlinuz.old", "boot/vmlinuz-1"), ("/boot/initrd.img.old", "initrd.img-1"),
    ],
)  # fmt: skip
def test_links_to_the_kernel_that_comes_and_the_one_before(
    host: Host, path: str, target: str
) -> None:
    """As linux-update-symlinks keeps them."""
    assert host.why(change(path, None, _link(target))) == ""
    assert host.why(change(path, None, _link(target, uid=1))) is None


@pytest.mark.parametrize(
    ("path", "after"),
    [
        ("/vmlinuz", _link("boot/vmlinuz-3")), ("/vmlinuz", _link("vmlinuz-2")),
        ("/vmlinuz", _link("tmp/../boot/vmlinuz-2")), ("/initrd.img", _link("boot/vmlinuz-2")),
        ("/vmlinuz.old", _link("boot/vmlinuz-0")), ("/vmlinuz", None),
        ("/vmlinuz", Look("file", 0o644)), ("/vmlinux", _link("boot/vmlinuz-2")),
    ],
)  # fmt: skip
def test_anything_else_there_is_unexplained(host: Host, path: str, after: Look | None) -> None:
    """Another kernel, another place, no link: a person looks."""
    assert host.why(change(path, None, after)) is None
