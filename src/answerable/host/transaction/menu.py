"""GRUB's menu: written anew on the host itself, since only there its disks are to be seen.

Packages of kernels call `update-grub`, which asks the disks; a copy has none, so a stand-in is
called there and does nothing (sandbox.py). Where a change touches a kernel or an initial disk, the
host's own `update-grub` runs once all else of it is in place. Rules:

* nothing that runs for it comes with the same change
* it runs once before, when the change is rehearsed, with the folder in memory: where it fails, the
  change is never begun

* every disk is read-only to it but for `/boot/grub`; no network, no capability, no process, socket
  or folder of the agent's; the host's devices are there, for root to read
* `/boot/grub` is kept before, durably, and brought back by an undo, or if anything here fails
* only the menu may differ afterwards, and it must hold every entry that it had before
* an undo is refused if the menu is no longer what this change left

Sources: grub-mkconfig(8), bwrap(1). Left out: roots on LVM or RAID, whose tools need capabilities,
so that `update-grub` fails; other boot loaders.
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path

from answerable.host.confine.sandbox import FRESH, sockets
from answerable.host.driver import (
    CHANGE_SECONDS,
    DriverFailed,
    TransactionDiffers,
    hear,
    last_lines,
)
from answerable.host.transaction import data
from answerable.host.transaction.port import Files, Look
from answerable.kernel.canon import Json

FOLDER, MENU, TOOL = "/boot/grub", "/boot/grub/grub.cfg", "/usr/sbin/update-grub"
LIMIT = 16 << 20
"""Largest menu that is read, bytes."""
EFFECT: Json = {"by": "update-grub", "is": "live", "path": FOLDER}
_KERNELS = re.compile(r"/boot/(vmlinu[xz]|initrd\.img)-[^/]+")
_WRITERS = re.compile(r"/etc/default/grub(\.d/.*)?|/etc/grub\.d/.*|/usr/sbin/(update-grub|grub-.*)")
_ENTRY = re.compile(rb"^\s*(?:menuentry|submenu)\s+(['\"])(.*?)\1", re.MULTILINE)
_NAMED = 20


def due(paths: Iterable[str], root: Path) -> bool:
    """Tell whether a change of these paths needs a menu that the host below `root` has."""
    has = (root / MENU.lstrip("/")).is_file() and (root / TOOL.lstrip("/")).is_file()
    return has and any(_KERNELS.fullmatch(path) for path in paths)


def take(effects: list[Json], sensitive: dict[str, list[str]], *, live: bool) -> None:
    """Count it among a change's effects.

    Raises:
        TransactionDiffers: the change is live besides, or brings what would write the menu.
    """
    # What a package brings must not run on the host itself, with its disks, in the same change.
    own = [line["path"] for line in effects if _WRITERS.fullmatch(line.get("path", ""))]
    if live or own:
        also = f"brings {own[0]}" if own else "is live"
        raise TransactionDiffers(f"this change {also} and writes {MENU} anew; a person must do it")
    effects.append(EFFECT)
    sensitive.setdefault("boot", []).append(MENU)


def rehearse(log: Path, env: Mapping[str, str], hidden: Sequence[Path]) -> None:
    """Run the tool over the host as it is, its folder in memory; raises `TransactionDiffers`."""
    done = hear(_words(hidden, "--tmpfs", FOLDER), log, env, CHANGE_SECONDS)
    if done.code:
        raise TransactionDiffers(
            f"`{TOOL}` failed here in its sandbox: {last_lines(done.output)}; a person must "
            "do this change",
            done.output.splitlines()[-20:],
        )


def renew(
    files: Files, place: str, log: Path, env: Mapping[str, str], hidden: Sequence[Path]
) -> None:
    """Write the menu anew.

    Args:
        files: of the host.
        place: the transaction's folder.
        hidden: folders that the tool must not see.

    Raises:
        DriverFailed, TransactionDiffers: it could not be, or is not as it must be: bring all back.
    """
    data.keep(files, place, [FOLDER])
    done = hear(_words(hidden, "--bind", FOLDER, FOLDER), log, env, CHANGE_SECONDS)
    if done.code:
        raise DriverFailed(f"`{TOOL}` failed: {last_lines(done.output)}")
    if wrong := [*_others(files, place), *_lost(files, place)]:
        raise TransactionDiffers(f"the boot menu is not as it must be: {'; '.join(wrong)}", wrong)
    left = (path for path, look in data.walk(files, FOLDER) if look.kind in ("file", "dir"))
    files.sync(*left)
    files.write(f"{place}/menu", [_hash(files).encode()])
    files.sync(f"{place}/menu", place)


def drifted(files: Files, place: str) -> list[str]:
    """Give the menu's path, if a transaction has written it and it is another one now."""
    if files.look(f"{place}/menu") is None:
        return []
    left = b"".join(files.read(f"{place}/menu", 0, 64)).decode("ascii", "replace")
    return [] if _hash(files) == left else [MENU]


def _words(hidden: Sequence[Path], *place: str) -> list[str]:
    words = ["bwrap", "--die-with-parent", "--unshare-ipc", "--unshare-pid", "--unshare-net"]
    words += ["--unshare-uts", "--unshare-cgroup-try", "--cap-drop", "ALL", "--ro-bind", "/", "/"]
    words += ["--dev-bind", "/dev", "/dev", "--proc", "/proc"]
    words += ["--ro-bind", "/proc/sys", "/proc/sys"]
    fresh = (*FRESH, *map(str, hidden))
    for folder in fresh:
        words += ["--tmpfs", folder]
    for path in sockets():
        if not path.startswith(("/dev/", *(f"{folder}/" for folder in fresh))):
            words += ["--ro-bind-try", "/dev/null", path]
    return [*words, *place, "--chdir", "/", "--", TOOL]


def _others(files: Files, place: str) -> list[str]:
    now = dict(data.walk(files, FOLDER))
    saved = f"{place}/data"
    then = {path.removeprefix(saved): look for path, look in data.walk(files, saved + FOLDER)}
    menu, was = now.pop(MENU, None), then.pop(MENU, None)
    sound = menu and was and menu.kind == "file" and not menu.mode & 0o7022 and not menu.attributes
    odd = [] if sound and menu and (menu.uid, menu.gid) == (0, 0) else [f"{MENU}: no plain file"]
    differ = [p for p in now.keys() | then.keys() if not _same(now.get(p), then.get(p))]
    return [*odd, *(f"{path}: changed" for path in sorted(differ)[:_NAMED])]


def _lost(files: Files, place: str) -> list[str]:
    before, after = (_entries(files, path) for path in (f"{place}/data{MENU}", MENU))
    names = (name.decode("utf-8", "backslashreplace") for name in sorted(before - after)[:_NAMED])
    return [f"it lost the entry `{name}`" for name in names]


def _entries(files: Files, path: str) -> set[bytes]:
    text = b"".join(files.read(path, 0, LIMIT)) if files.look(path) else b""
    return {found[2] for found in _ENTRY.finditer(text)}


def _same(one: Look | None, other: Look | None) -> bool:
    return one.same(other) if one else other is None


def _hash(files: Files) -> str:
    look = files.look(MENU)
    return look.sha256 if look else sha256(b"").hexdigest()
