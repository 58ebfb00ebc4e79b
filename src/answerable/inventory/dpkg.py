"""Packages of a Debian root, from dpkg's own status file.

Form: `var/lib/dpkg/status`, deb822 stanzas (dpkg(1)); `Status` is want, error flag, state. Images
without dpkg itself have one stanza a file in `var/lib/dpkg/status.d`, without a state. Rules: only
stanzas whose state says that files are there count; `hold` is kept as a wish of whoever runs the
host; half installed states are kept as broken. A stanza with a state but no version is damage.
`Source` names the source package, and its version where that is another: `gcc-12 (12.2.0-14)`.
A package of a foreign architecture is a `Gap`, since its name would stand twice.

Left out: whether files are still what dpkg put there (`dpkg --verify` looks at those).
"""

import re
from collections.abc import Iterator
from pathlib import Path

from answerable.host import versions
from answerable.inventory.installed import Found, Gap, Installed, State, Unreadable, gathered
from answerable.inventory.tree import Folder, Tree
from answerable.kernel.errors import Refused

STATUS = 256 << 20
"""Largest status file that is read, bytes."""
STANZA = 1 << 20
"""Largest file of `status.d`, bytes."""
FILE, FILES = "var/lib/dpkg/status", "var/lib/dpkg/status.d"
_THERE = ("installed", "unpacked", "half-configured", "half-installed", "triggers-awaited",
          "triggers-pending")  # fmt: skip
_WHOLE = ("installed", "triggers-awaited", "triggers-pending")
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}")
_ARCH = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")
_SOURCE = re.compile(r"([a-z0-9][a-z0-9+.-]{1,127})(?: \(([^()\s]{1,255})\))?")
_ALONE = "install ok installed"


def installed(root: Path, ecosystem: str) -> tuple[Installed, ...]:
    """Read what is installed below a root directory.

    Raises:
        Unreadable: missing, damaged or too large.
    """
    return found(Folder(root), ecosystem).packages


def found(tree: Tree, ecosystem: str) -> Found:
    """Read what is installed in a root.

    Raises:
        Unreadable: missing, damaged or too large.
    """
    status = tree.read(FILE, STATUS)
    alone = [name for name in tree.names(FILES) if not name.endswith(".md5sums")]
    if status is None and not alone:
        raise Unreadable(f"`{tree}` has no `{FILE}`; is this a Debian root?")
    rows = list(_rows(status.decode(errors="replace"), ecosystem)) if status else []
    for name in alone:
        stanza = (tree.read(f"{FILES}/{name}", STANZA) or b"").decode(errors="replace")
        rows += _rows(f"Status: {_ALONE}\n{stanza.strip()}", ecosystem)
    return _native(rows)


def present(tree: Tree) -> bool:
    """Tell whether a root has a database of dpkg's."""
    return "status" in tree.names("var/lib/dpkg") or bool(tree.names(FILES))


def read(status: bytes, ecosystem: str) -> tuple[Installed, ...]:
    """Read a status file's bytes.

    Raises:
        Unreadable: not a status file, or no package in it.
    """
    return _native(list(_rows(status.decode(errors="replace"), ecosystem))).packages


def _native(rows: list[Installed]) -> Found:
    native = next((row.arch for row in rows if row.package == "dpkg"), "")
    own = {row.package: row for row in rows if row.arch in (native, "all") or not native}
    if not own:
        raise Unreadable("a status file without an installed package")
    gaps = (
        Gap(f"{row.package}:{row.arch} {row.version}", f"of another architecture than `{native}`")
        for row in rows
        if native and row.arch not in (native, "all")
    )
    return gathered((*own.values(), *gaps))


def _rows(text: str, ecosystem: str) -> Iterator[Installed]:
    for stanza in text.split("\n\n"):
        fields = _fields(stanza)
        status = fields.get("Status", "").split(" ")
        if len(status) != 3 or status[2] not in _THERE:  # noqa: PLR2004  want, flag, state
            if fields and "Status" not in fields:
                raise Unreadable(f"a stanza without a status: `{stanza[:60]!r}`")
            continue
        name, version, arch = (
            fields.get(key, "") for key in ("Package", "Version", "Architecture")
        )
        if not _NAME.fullmatch(name) or not _ARCH.fullmatch(arch):
            raise Unreadable(f"a stanza with a bad name: `{stanza[:60]!r}`")
        _require_version(ecosystem, name, version)
        state: State = "installed" if status[2] in _WHOLE else "broken"
        if status[0] == "hold" and state == "installed":
            state = "held"
        source = _SOURCE.fullmatch(fields.get("Source", name))
        if not source:
            raise Unreadable(f"`{name}` names no sound source package")
        made = source[2] if source[2] and source[2] != version else ""
        provides = tuple(_names(fields.get("Provides", "")))
        yield Installed(ecosystem, name, version, arch, source[1], state, provides, made)


def _fields(stanza: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in stanza.split("\n"):
        name, colon, value = line.partition(":")
        if colon and name[:1] not in ("", " ", "\t", "#"):
            fields.setdefault(name, value.strip())
    return fields


def _names(provides: str) -> Iterator[str]:
    for each in provides.split(","):
        name = each.strip().partition(" ")[0]
        if _NAME.fullmatch(name):
            yield name


def _require_version(ecosystem: str, name: str, version: str) -> None:
    try:
        versions.key(ecosystem, version)
    except Refused as refusal:
        raise Unreadable(f"`{name}`: {refusal.detail}") from refusal
