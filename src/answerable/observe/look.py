"""Looking at a host from outside: what its disk says is installed.

Rules:

1. Own readers, which share nothing with those that planned or acted. `dpkg`: stanzas of
   `var/lib/dpkg/status` below the root whose state is installed (dpkg(1)); two architectures of one
   package at two versions are spelt `1.0|1.1`, which equals no version. `python`: `METADATA` of
   every `*.dist-info` in `lib/python3.*/site-packages`, names as PEP 503 normalises them; a project
   claimed twice at two versions is spelt likewise. The RPM family has its own (rpmdb.py).
2. What cannot be read is `Unseen`, never an empty list: silence proves nothing.

Needs the standard library alone, since the foot on a host reads so too (foot.py). Left out: posture
(posture.py), other ways than a disk that is mounted here (ways.py).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from answerable.kernel.errors import Unavailable

STATUS = 256 << 20
"""Largest dpkg status file that is read, bytes."""
METADATA = 1 << 20
"""How much of a METADATA file is read, bytes; name and version stand at its head."""
PROJECTS = 20_000
"""Most dist-info folders that are read."""
KINDS = ("dpkg", "rpm", "python", "ssh")
_INSTALLED = frozenset({"installed", "triggers-awaited", "triggers-pending"})
_FIELD = re.compile(r"(?m)^(Package|Status|Version): *(.*)$")
_HEAD = re.compile(r"(?m)^(Name|Version): *(.*?)\r?$")


class Unseen(Unavailable):
    """A host cannot be looked at now."""


@dataclass(frozen=True)
class Place:
    """Where a host is looked at: by which way, and its health URL or none.

    Args:
        root: the host's disk (`dpkg`, `rpm`), its environment (`python`), or the ssh_config(5) file
            that leads to it (`ssh`).
        kind: one of `KINDS`.
        proc: a `/proc` in which the programs of a disk that is mounted here can be seen, if any.
    """

    root: Path
    kind: str
    health: str = ""
    proc: Path | None = None


class Sight(NamedTuple):
    """Versions by package name, and why the service does not answer, empty if it does.

    `stale` names programs that still use what was replaced, where that can be seen.
    """

    installed: Mapping[str, str]
    trouble: str
    stale: Sequence[str] = ()


def dpkg(root: Path) -> dict[str, str]:
    """Read what is installed below a Debian root."""
    text = _read(root / "var/lib/dpkg/status", STATUS).decode(errors="replace")
    found: dict[str, str] = {}
    for stanza in text.split("\n\n"):
        fields = dict(_FIELD.findall(stanza))
        if fields.get("Status", "").split(" ")[-1] in _INSTALLED:
            add(found, fields.get("Package", ""), fields.get("Version", ""))
    if not found:
        raise Unseen(f"`{root}` has no installed package; is it a Debian root?")
    return found


def python(root: Path) -> dict[str, str]:
    """Read what is installed in a Python environment."""
    found: dict[str, str] = {}
    for file in list(_metadata(root))[:PROJECTS]:
        head = _read(file, METADATA, whole=False).partition(b"\n\n")[0].decode(errors="replace")
        fields = dict(reversed(_HEAD.findall(head)))
        name = re.sub(r"[-_.]+", "-", fields.get("Name", "")).lower()
        add(found, name, fields.get("Version", ""))
    if not found:
        raise Unseen(f"`{root}` has no installed project; is it a Python environment?")
    return found


def of_project(root: Path, name: str) -> Path:
    """Give the `dist-info` of a project.

    Raises:
        Unseen: if it is not there, or there twice.
    """
    found = [file.parent for file in _metadata(root) if _project(file.parent.name) == name]
    if len(found) != 1:
        raise Unseen(f"`{root}` has `{name}` {len(found)} times")
    return found[0]


def _project(folder: str) -> str:
    """Give the project of a `<name>-<version>.dist-info`, as PEP 503 normalises it."""
    return re.sub(r"[-_.]+", "-", folder.partition("-")[0]).lower()


def _metadata(root: Path) -> Iterator[Path]:
    try:
        yield from sorted(root.glob("lib/python3.*/site-packages/*.dist-info/METADATA"))
    except OSError as error:
        raise Unseen(f"`{root}`: {error.strerror}") from error


def add(found: dict[str, str], name: str, version: str) -> None:
    """Add a package; a name that is there at another version equals no version from then on."""
    same = found.get(name, version) == version
    found[name] = version if same else f"{found[name]}|{version}"


def _read(file: Path, limit: int, *, whole: bool = True) -> bytes:
    try:
        with file.open("rb") as opened:
            data = opened.read(limit + 1)
    except OSError as error:
        raise Unseen(f"`{file}`: {error.strerror}; may this user read it?") from error
    if whole and len(data) > limit:
        raise Unseen(f"`{file}` has more than {limit} bytes")
    return data[:limit]
