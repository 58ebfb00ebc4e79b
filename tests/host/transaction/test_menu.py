"""GRUB's menu is written anew where a kernel changes, keeps its entries, and nothing else moves.

Left out: the tool itself, in its sandbox (`tests/live/test_new_packages.py`).
"""

from collections.abc import Iterator
from pathlib import Path

import pytest

from answerable.host.driver import TransactionDiffers
from answerable.host.transaction import data, menu
from answerable.host.transaction.disk import Disk
from answerable.kernel.canon import Json

PLACE = "/kept"
BEFORE = """\
menuentry 'Debian' --class x {
}
submenu "More 'of' it" {
\tmenuentry 'Debian, with 1' {
}
"""


@pytest.fixture(name="disk")
def _disk(tmp_path: Path) -> Iterator[Disk]:
    for folder in ("boot/grub/fonts", "usr/sbin", "kept"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "boot/grub/grub.cfg").write_text(BEFORE)
    (tmp_path / "boot/grub/fonts/a").touch()
    (tmp_path / "usr/sbin/update-grub").touch()
    with Disk(tmp_path) as disk:
        data.keep(disk, PLACE, [menu.FOLDER])
        yield disk


def test_it_is_due_where_a_kernel_changes_and_a_menu_is(disk: Disk, tmp_path: Path) -> None:
    """Whatever scripts ask for: some do not, where they believe to be in a container."""
    assert disk
    assert menu.due(["/usr/bin/x", "/boot/vmlinuz-2"], tmp_path)
    assert menu.due(["/boot/initrd.img-2"], tmp_path)
    assert not menu.due(["/usr/bin/x", "/boot/grub/x", "/vmlinuz"], tmp_path)
    (tmp_path / "boot/grub/grub.cfg").unlink()
    assert not menu.due(["/boot/vmlinuz-2"], tmp_path)


def test_nothing_that_came_with_the_change_runs_on_the_host() -> None:
    """Attack: the kernel's package ships a script that update-grub calls."""
    found: dict[str, list[str]] = {}
    effects: list[Json] = [{"is": "file", "path": "/etc/grub.d/99_evil"}]
    with pytest.raises(TransactionDiffers, match=r"brings /etc/grub\.d/99_evil"):
        menu.take(effects, found, live=False)
    with pytest.raises(TransactionDiffers, match="is live"):
        menu.take([], found, live=True)
    clean: list[Json] = []
    menu.take(clean, found, live=False)
    assert (clean, found) == ([menu.EFFECT], {"boot": [menu.MENU]})


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        (BEFORE + "menuentry 'Debian, with 2' {\n}\n", []),
        (BEFORE.replace("Debian, with 1", "Debian, with 2"), ["Debian, with 1"]),
        ("", ["Debian", "Debian, with 1", "More 'of' it"]),
    ],
)
def test_every_entry_is_kept(disk: Disk, tmp_path: Path, text: str, lost: list[str]) -> None:
    """A kernel that the host could boot before, it can boot afterwards."""
    (tmp_path / "boot/grub/grub.cfg").write_text(text)
    assert menu._lost(disk, PLACE) == [f"it lost the entry `{name}`" for name in lost]


def test_only_the_menu_moves(disk: Disk, tmp_path: Path) -> None:
    """Modules, fonts and the environment of the loader are as they were."""
    grub = tmp_path / "boot/grub"
    (grub / "grub.cfg").write_text("menuentry 'Debian' {")
    mine = [] if grub.owner() == "root" else [f"{menu.MENU}: no plain file"]
    assert menu._others(disk, PLACE) == mine
    (grub / "fonts/a").write_text("x")
    (grub / "b").touch()
    changed = ["/boot/grub/b: changed", "/boot/grub/fonts/a: changed"]
    assert menu._others(disk, PLACE) == [*mine, *changed]
    (grub / "grub.cfg").chmod(0o666)
    assert menu._others(disk, PLACE)[0] == f"{menu.MENU}: no plain file"


def test_a_menu_that_somebody_wrote_since_is_drift(disk: Disk, tmp_path: Path) -> None:
    """An undo would take a person's entry away."""
    assert menu.drifted(disk, PLACE) == []
    (tmp_path / "kept/menu").write_text(menu._hash(disk))
    assert menu.drifted(disk, PLACE) == []
    (tmp_path / "boot/grub/grub.cfg").write_text("# by a person")
    assert menu.drifted(disk, PLACE) == [menu.MENU]
