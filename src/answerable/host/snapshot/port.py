"""The port to snapshots of a file system, which an order's `snapshot` takes before a change.

Rules:
* what is snapshotted stands in the host's own settings; an order names nothing but the action;
* a snapshot that is there is taken: the same action may be done again at any time;
* the agent's own directory lies outside (`apart`): a host that were set back together with what it
  remembers of itself would forget what it has done;
* what may be thrown away is retention.py's to say; a driver removes only what it made.

A snapshot brings back everything, also what users wrote since, and mostly needs a restart: to
restore one is a person's act (docs/operate/recovery.md), never an order's. The package level needs
no driver here: versions are written down (act.py), old packages kept by hash and named by hash.

Adapters: `btrfs.py`, `overlay.py`, `lvm.py`. Left out: ZFS, disks of clouds and of virtual
machines; a pause of services while a snapshot is taken.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from answerable.host.driver import DriverFailed, Ran, last_lines, run
from answerable.host.retention import Kept

SECONDS = 600
"""Longest that a snapshot may take."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_ENVIRONMENT: Mapping[str, str] = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}


class SnapshotFailed(DriverFailed):
    """No snapshot can be taken, or it could not be removed."""


class Snapshots(Protocol):
    """What the agent asks; also a `retention.Keeper`. Each call may raise `SnapshotFailed`."""

    @property
    def kind(self) -> str:
        """What it makes, for people."""

    def ready(self) -> None:
        """Find that a snapshot could be taken now; changes nothing."""

    def take(self, name: str) -> str:
        """Take one, durably, unless there is one of that name; say where it lies."""

    def kept(self) -> Sequence[Kept]:
        """Give those that this driver made."""

    def drop(self, name: str) -> None:
        """Remove one."""


def apart(state: Path, root: Path) -> None:
    """Find that the agent's own directory is not in the file system that is snapshotted.

    Raises:
        SnapshotFailed: it is, or one of them is not there.
    """
    try:
        # Folders of one subvolume, overlay or volume have one device number of their own.
        same = state.stat().st_dev == root.stat().st_dev
    except OSError as error:
        raise SnapshotFailed(f"cannot use `{error.filename}`: {error.strerror}") from error
    if same:
        raise SnapshotFailed(
            f"the agent's `{state}` lies in `{root}`, which would be snapshotted: put it on a "
            "subvolume or disk of its own, so that a restore does not make it forget"
        )


def checked(name: str) -> str:
    """Give a name of a snapshot that is safe as the last part of a path."""
    if not _NAME.fullmatch(name):
        raise SnapshotFailed(f"`{name[:100]}` is no name of a snapshot; correct the plan")
    return name


def tool(argv: Sequence[str], log: Path) -> Ran:
    """Run a tool of the system.

    Raises:
        SnapshotFailed: it is missing, failed, or took longer than `SECONDS`.
    """
    try:
        done = run(argv, log, _ENVIRONMENT, SECONDS)
    except DriverFailed as error:
        raise SnapshotFailed(str(error)) from error
    if done.code:
        raise SnapshotFailed(f"`{' '.join(argv[:3])}` failed: {last_lines(done.output)}")
    return done


def belonging(name: str) -> frozenset[str]:
    """Give what a snapshot's name says that it belongs to: the start of its notice."""
    return frozenset({name[:16]})
