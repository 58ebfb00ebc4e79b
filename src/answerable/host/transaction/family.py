"""The port to a family of packages: what they ship, and what the host's own database says of it.

Rules:
* whatever a family says of a package follows from the bytes that were hashed;
* what it says of the host is read before anything of the host is changed;
* its locks are the package tool's own, so that no other tool works while the host is changed.

Adapters: `dpkg.py`, `rpm.py`.
"""

import fcntl
import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, Protocol

from answerable.host.driver import ArtefactDiffers, Locked
from answerable.host.transaction.effects import Change
from answerable.host.transaction.journal import Merge
from answerable.kernel.canon import Json

PATH = 4096
"""Longest path that a package ships, bytes."""


@dataclass(frozen=True)
class Shipped:
    """One member: `kind` as in `port.Look`; `owner` (user, group) by name, with the numbers.

    Args:
        attributes: as in `port.Look`, where the package says them; else they stay as they were.
        mtime: of a file, POSIX seconds, where the tool sets it even for the same bytes; else -1.
    """

    kind: str
    mode: int
    owner: tuple[str, str]
    ids: tuple[int, int]
    sha256: str = ""
    md5: str = ""
    target: str = ""
    attributes: tuple[tuple[str, str], ...] | None = None
    mtime: int = -1


def sound(path: str) -> str:
    """Give a path that a package ships; raises `ArtefactDiffers` if it is a strange one."""
    parts = path.split("/")[1:]
    strange = not path.startswith("/") or any(part in ("", ".", "..") for part in parts)
    if strange or len(path.encode("utf-8", "surrogateescape")) > PATH or "\n" in path:
        raise ArtefactDiffers(f"a file has the strange path `{path[:80]!r}`")
    return path


def hold(file: IO[bytes], how: int) -> None:
    """Take a package tool's lock, until the file is closed; nobody else's is waited for.

    Args:
        how: `fcntl.LOCK_SH` or `fcntl.LOCK_EX`.

    Raises:
        Locked: another program has it.
    """
    try:
        fcntl.lockf(file, how | fcntl.LOCK_NB)
    except OSError as error:
        raise Locked(f"another package tool holds `{file.name}`; end it, then try again") from error


class Folders:
    """Where paths lie on a host whose folders may be links (`/bin` to `usr/bin`).

    Args:
        root: the host's root.
    """

    def __init__(self, root: Path) -> None:
        self._root, self._known = root, dict[str, str]()

    def real(self, path: str) -> str:
        """Give a path with every link followed but, perhaps, the last part."""
        folder, _, name = path.rpartition("/")
        if folder not in self._known:
            found = os.path.realpath(self._root / folder.lstrip("/"))
            inside = os.path.relpath(found, os.path.realpath(self._root))
            self._known[folder] = "" if inside == "." else f"/{inside}"
        return f"{self._known[folder]}/{name}"


class Shipment(Protocol):
    """One package, as its hashed bytes say it."""

    @property
    def name(self) -> str:
        """The package's name."""

    @property
    def files(self) -> Mapping[str, Shipped]:
        """What it ships, by absolute path."""

    @property
    def conffiles(self) -> frozenset[str]:
        """The paths of its configuration files."""

    @property
    def effect(self) -> Json:
        """What the package database says of it afterwards, as one effect."""


class Taken(NamedTuple):
    """A change of the package database itself: what is wrong with it, and its effects."""

    problems: Sequence[str]
    effects: Sequence[Json] = ()


class Database(Protocol):
    """A host's package database, opened for a change of certain packages (the named ones)."""

    @property
    def sides(self) -> tuple[str, ...]:
        """Endings of a shipped configuration file beside the one that the host keeps."""

    @property
    def saved(self) -> tuple[str, ...]:
        """Endings of a host's own configuration file beside the shipped one."""

    @property
    def times(self) -> bool:
        """Whether the tool sets the times of files whose bytes stay the same."""

    @property
    def implied(self) -> Shipped | None:
        """How the tool makes a folder that no package ships and a shipped file needs."""

    def place(self, path: str, package: str) -> str:
        """Give where a file that a package ships lies on this host."""

    def override(self, path: str) -> tuple[str, str, int] | None:
        """Give (user, group, mode) that this host gives a path itself."""

    def listed(self) -> Mapping[str, str]:
        """Give path -> package of what the installed versions of the named packages ship."""

    def others(self) -> set[str]:
        """Give what all other packages ship."""

    def takes(self, change: Change) -> Taken | None:
        """Judge a change of what all packages share; nothing if it is none."""

    def why(self, change: Change) -> str | None:
        """Tell why a file of one package's part is not explained; nothing if it is no such file."""

    def settled(self, commit: Sequence[Change]) -> list[str]:
        """Tell what is wrong with the database as it will be committed."""


class Family(Protocol):
    """One family; raises `ArtefactDiffers` for a package that it cannot read."""

    @property
    def merge(self) -> Mapping[str, Merge]:
        """Paths that many transactions share, and how to bring them back (`journal.Merge`)."""

    def read(self, files: Sequence[Path], root: Path) -> tuple[Sequence[Shipment], Database]:
        """Read packages, and the database of the host below `root`."""

    def locked(self) -> AbstractContextManager[None]:
        """Hold the package tool's locks; raises `Locked`."""
