"""Packages of a Python virtual environment, from the metadata that installers leave.

Form: `lib/python3.*/site-packages/*.dist-info/METADATA`, of which `Name` and `Version` are read
(core metadata 2.x; PEP 376). Rules: a distribution that two folders claim, or whose version PEP 440
does not know, makes the environment unreadable: nobody could say what an upgrade would replace.

Left out: eggs, editable installs without metadata, what lies in other folders of `sys.path`.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from answerable.host import versions
from answerable.inventory.installed import Installed, Unreadable
from answerable.kernel.errors import Refused

METADATA = 1 << 20
"""How much of a METADATA file is read, bytes; names stand at its head."""
DISTRIBUTIONS = 10_000
"""Most distributions in one environment."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LIB = re.compile(r"python(\d)\.(\d{1,3})")


def installed(root: Path) -> tuple[Installed, ...]:
    """Read what is installed in an environment.

    Raises:
        Unreadable: no environment, damaged, or ambiguous.
    """
    found: dict[str, Installed] = {}
    folders = list(_folders(root))
    if not folders:
        raise Unreadable(f"`{root}` has no `lib/python3.*/site-packages`; is it an environment?")
    for place, tag in folders:
        for file in sorted(place.glob("*.dist-info/METADATA"))[:DISTRIBUTIONS]:
            row = _row(file, tag)
            if row.package in found:
                raise Unreadable(f"`{row.package}` is installed twice below `{root}`")
            found[row.package] = row
    return tuple(found[name] for name in sorted(found))


def _folders(root: Path) -> Iterator[tuple[Path, str]]:
    for lib in sorted(root.glob("lib/python*")):
        version = _LIB.fullmatch(lib.name)
        place = lib / "site-packages"
        if version and place.is_dir() and not lib.is_symlink():
            yield place, f"cp{version[1]}{version[2]}"


def _row(file: Path, tag: str) -> Installed:
    try:
        with file.open("rb") as opened:
            head = opened.read(METADATA).partition(b"\n\n")[0]
    except OSError as error:
        raise Unreadable(f"`{file}`: {error.strerror}") from error
    lines = head.decode(errors="replace").splitlines()
    fields = dict(line.split(": ", 1) for line in reversed(lines) if ": " in line)
    name, version = fields.get("Name", ""), fields.get("Version", "")
    try:
        versions.key("pypi", version)
    except Refused as refusal:
        raise Unreadable(f"`{file.parent.name}`: {refusal.detail}") from refusal
    if not _NAME.fullmatch(name):
        raise Unreadable(f"`{file.parent.name}` names no project")
    normal = re.sub(r"[-_.]+", "-", name).lower()
    return Installed("pypi", normal, version, tag, normal)
