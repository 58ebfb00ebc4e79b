"""A reboot as a change of its own: asked for at most once, and proved by another boot.

    <home>/reboot.json    {"action": "<name of the change>", "asked": <s>, "boot": "<boot>"}

Rules:
* the note is on disk, synced, before the reboot is asked for; by then the action is begun in the
  journal and a quorum of guards hold its consume note (agent.py);
* a boot is the kernel's boot id (random(4)) and the start of the first process (proc(5)), since a
  system container reboots without its kernel; both stay when systemd executes itself anew;
* an agent that finds a note of another boot is back: it reports that once, and never asks again; of
  the same boot it waits, and after `RETURN_SECONDS` of that boot the change has failed;
* a host that is back must show it: if the distribution's marker is still there, or an older kernel
  runs than is installed, the change has failed;
* only a health check may follow a reboot in its order: services are restarted first.

Whether a reboot is needed (`needed`) is reported and does not stand in the way of one that people
ordered: a marker and a kernel's name are hints. Read for it: `/run/reboot-required` and
`reboot-required.pkgs` (update-notifier-common and unattended-upgrades write them),
`/boot/vmlinuz-<release>`, `/proc/sys/kernel/osrelease`. A kernel that is not installed at all (a
container's) says nothing. Left out: kexec, live patches, firmware; rebuilt kernels of one release.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from answerable.host.files import read_file, read_json, write_file
from answerable.host.records.report import Ended
from answerable.kernel.canon import Json, conforms, encode, shape

RETURN_SECONDS = 900
"""How long a host may still be in the boot in which a reboot was asked for."""
MARKER = "run/reboot-required"
REQUIRED, REBOOTED = "reboot_required", "rebooted"
"""Reason words of reports: in effect only after a reboot; that reboot."""
_NOTE = 4096
_LISTED = 20
_SHAPE = shape("action:text asked:int boot:text")
_FLAVOUR = re.compile(r"[-.+](?!rc[0-9])(?:[a-z][a-z0-9_-]*)$")


class Left(NamedTuple):
    """A reboot that was asked for: in which boot, and at which of its seconds."""

    boot: str
    asked: int


class Machine:
    """The machine as far as a reboot goes.

    Args:
        note: the file of the note, on a disk that outlives the reboot.
        clock: boot-time clock, seconds.
        ask: asks for the reboot and returns; raises `ServiceFailed`. None: this host cannot.
        root: where the machine's files are, for tests.
    """

    def __init__(
        self,
        note: Path,
        clock: Callable[[], float],
        ask: Callable[[], None] | None,
        root: Path = Path("/"),
    ) -> None:
        self._note, self._clock, self._ask, self._root = note, clock, ask, root

    @property
    def able(self) -> bool:
        """Tell whether this host can reboot itself."""
        return self._ask is not None

    def boot(self) -> str:
        """Give the id of this boot, `<boot id>/<clock ticks>`."""
        first = _line(self._root / "proc/1/stat").rpartition(")")[2].split()
        return f"{_line(self._root / 'proc/sys/kernel/random/boot_id')}/{first[19]}"

    def needed(self) -> list[str]:
        """Give the reasons for which a reboot is needed; none if it is not."""
        found = []
        if (self._root / MARKER).exists():
            listed = self._root / f"{MARKER}.pkgs"
            text = read_file(listed).decode("utf-8", "replace") if listed.exists() else ""
            names = sorted(set(text.split()))[:_LISTED]
            found.append(f"`/{MARKER}` is there" + (f" for {', '.join(names)}" if names else ""))
        runs = _line(self._root / "proc/sys/kernel/osrelease")
        names = [p.name.removeprefix("vmlinuz-") for p in (self._root / "boot").glob("vmlinuz-*")]
        if (newest := newer_kernel(runs, names)) != runs:
            found.append(f"kernel `{runs}` runs, `{newest}` is installed")
        return found

    def leave(self, action: str) -> None:
        """Write down which boot is left, durably, and ask for the reboot.

        Raises:
            ServiceFailed: it could not be asked for; the note is gone again.
        """
        assert self._ask is not None, "prepare refuses where nobody can reboot"
        note = {"action": action, "asked": int(self._clock()), "boot": self.boot()}
        write_file(self._note, encode(note).encode())
        try:
            self._ask()
        except BaseException:
            self._note.unlink(missing_ok=True)
            raise

    def left(self, action: str) -> Left | None:
        """Give what is noted of a reboot that was asked for, None if it was not."""
        if not self._note.exists():
            return None
        note = read_json(self._note, _NOTE)
        if not conforms(note, _SHAPE) or note["action"] != action:
            return None
        return Left(note["boot"], note["asked"])

    def back(self, left: Left) -> Ended | None:
        """Tell how a reboot that was asked for ended; None if the machine is still going down."""
        boot = self.boot()
        if boot == left.boot:
            waited = int(self._clock()) - left.asked
            if waited <= RETURN_SECONDS:
                return None
            why = f"asked for {waited} seconds ago and still in boot `{boot}`; look at this host"
            return Ended("failed", "reboot", why)
        runs = _line(self._root / "proc/sys/kernel/osrelease")
        if why := "; ".join(self.needed()):
            return Ended("failed", "reboot", f"booted anew as `{boot}`, and still: {why}")
        return Ended("succeeded", REBOOTED, f"boot `{boot}` after `{left.boot}`, kernel `{runs}`")


def newer_kernel(runs: str, installed: list[str]) -> str:
    """Give the newest installed kernel of the running one's flavour, or the running one.

    Args:
        runs: the running kernel's release, `6.1.0-37-amd64`.
        installed: releases; if the running one is not among them they are none of this machine's.
    """
    if runs not in installed:
        return runs
    same = [name for name in installed if _flavour(name) == _flavour(runs)]
    return max(same, key=_release)


def only_health_after(order: Json, change: Mapping[str, Json]) -> bool:
    """Tell whether nothing but health checks follows a change in its order."""
    kinds = [one["type"] for one in order["changes"]]
    ids = [one["id"] for one in order["changes"]]
    return set(kinds[ids.index(change["id"]) + 1 :]) <= {"health"}


def _release(name: str) -> list[tuple[bool, int, str]]:
    """Give what sorts as releases do: numbers by value, and above words (`rc`)."""
    runs = re.findall(r"[0-9]+|[a-z]+", name)
    return [(run.isdigit(), int(run) if run.isdigit() else 0, run) for run in runs]


def _flavour(release: str) -> str:
    found = _FLAVOUR.search(release)
    return found[0] if found else ""


def _line(path: Path) -> str:
    return read_file(path, _NOTE).decode("ascii", "replace").strip()
