"""Packages of a Python virtual environment, from the metadata that installers leave.

Form: `lib/python3.*/site-packages/*.dist-info/METADATA`, of which `Name` and `Version` are read
(core metadata 2.x; PEP 376). Rules: a distribution that two folders claim, or whose version PEP 440
does not know, makes the environment unreadable: nobody could say what an upgrade would replace. In
a whole root with many environments it is a `Gap`, so that one of them does not hide the others.

Left out: eggs, editable installs without metadata, what lies in other folders of `sys.path`; what a
distribution's package tool put into `dist-packages`, which it counts itself.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from answerable.host import versions
from answerable.inventory.installed import Found, Gap, Installed, Unreadable, gathered
from answerable.inventory.tree import Folder, Tree
from answerable.kernel.errors import Refused

METADATA = 16 << 20
"""Largest METADATA file, bytes."""
DISTRIBUTIONS = 10_000
"""Most distributions in one environment."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")
_LIB = re.compile(r"python(\d)\.(\d{1,3})")
_SITE = re.compile(r"(?:.*/)?lib(?:64)?/python(\d)(?:\.(\d{1,3}))?/site-packages")
_INFO = ".dist-info"


def installed(root: Path) -> tuple[Installed, ...]:
    """Read what is installed in an environment.

    Raises:
        Unreadable: no environment, damaged, or ambiguous.
    """
    tree, rows = Folder(root), dict[str, Installed]()
    libs = [lib for lib in tree.names("lib") if _LIB.fullmatch(lib)]
    sites = [f"lib/{lib}/site-packages" for lib in libs if not (root / "lib" / lib).is_symlink()]
    if not any((root / site).is_dir() for site in sites):
        raise Unreadable(f"`{root}` has no `lib/python3.*/site-packages`; is it an environment?")
    for row in (row for site in sites for row in _site(tree, site)):
        if row.package in rows:
            raise Unreadable(f"`{row.package}` is installed twice below `{root}`")
        rows[row.package] = row
    return tuple(rows[name] for name in sorted(rows))


def found(tree: Tree, but: tuple[str, ...] = ()) -> Found:
    """Read every environment that a tree has; two of them may hold one project.

    Args:
        but: folders with these beginnings are left to somebody else.

    Raises:
        Unreadable: a folder of one cannot be looked into, or holds too much.
    """
    sites = (site for site in tree.environments() if not site.startswith(but))
    rows = (_row(*each) for site in sites for each in _metadata(tree, site))
    return gathered(rows)


def _row(metadata: bytes, place: str, tag: str) -> Installed | Gap:
    try:
        return read(metadata, place, tag)
    except Unreadable as error:
        return Gap(place[:512], str(error)[:512])


def _site(tree: Tree, site: str) -> Iterator[Installed]:
    return (read(*each) for each in _metadata(tree, site))


def _metadata(tree: Tree, site: str) -> Iterator[tuple[bytes, str, str]]:
    names = [name for name in tree.names(site) if name.endswith(_INFO)]
    if len(names) > DISTRIBUTIONS:
        raise Unreadable(f"`{site}` of `{tree}` holds more than {DISTRIBUTIONS} distributions")
    version = _SITE.fullmatch(site)
    tag = f"cp{version[1]}{version[2] or ''}" if version else ""
    for name in names:
        data = tree.read(f"{site}/{name}/METADATA", METADATA)
        if data is not None:
            yield data, f"{name} in {site}", tag


def read(metadata: bytes, place: str, tag: str) -> Installed:
    """Read the head of a METADATA file.

    Args:
        place: what to call it in a message.
        tag: of the interpreter, such as `cp311`.

    Raises:
        Unreadable: it names no project with a version.
    """
    lines = metadata.partition(b"\n\n")[0].decode(errors="replace").splitlines()
    fields = dict(line.split(": ", 1) for line in reversed(lines) if ": " in line)
    name, version = fields.get("Name", ""), fields.get("Version", "")
    try:
        versions.key("pypi", version)
    except Refused as refusal:
        raise Unreadable(f"`{place}`: {refusal.detail}") from refusal
    if not _NAME.fullmatch(name):
        raise Unreadable(f"`{place}` names no project")
    normal = re.sub(r"[-_.]+", "-", name).lower()
    return Installed("pypi", normal, version, tag, normal)
