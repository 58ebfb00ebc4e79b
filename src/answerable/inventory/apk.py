"""Packages of an Alpine root, from apk's own file of what is installed.

Form: `lib/apk/db/installed`, stanzas of one-letter fields, of which `P` (name), `V` (version), `A`
(architecture) and `o` (the source package) are read. Unverified: written after apk's own manual
(apk-package(5)), no real file at hand. Rule: a stanza without name or version is damage.

Left out: `world`, which says what somebody asked for.
"""

import re
from collections.abc import Iterator

from answerable.inventory.installed import Found, Installed, Unreadable, gathered
from answerable.inventory.tree import Tree

DATABASE = 256 << 20
"""Largest file, bytes."""
FILES = ("lib/apk/db/installed", "usr/lib/apk/db/installed")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~-]{0,254}")


def found(tree: Tree, ecosystem: str) -> Found:
    """Read what is installed in a root.

    Raises:
        Unreadable: missing, damaged, or nothing is installed.
    """
    for file in FILES:
        data = tree.read(file, DATABASE)
        if data is not None:
            return read(data, ecosystem)
    raise Unreadable(f"`{tree}` has no `{FILES[0]}`; is this an Alpine root?")


def present(tree: Tree) -> bool:
    """Tell whether a root has apk's database."""
    return any("installed" in tree.names(file.rpartition("/")[0]) for file in FILES)


def read(data: bytes, ecosystem: str) -> Found:
    """Read the file's bytes.

    Raises:
        Unreadable: damaged, or nothing is installed.
    """
    rows = gathered(_rows(data.decode(errors="replace"), ecosystem))
    if not rows.packages:
        raise Unreadable("an apk database without a package")
    return rows


def _rows(text: str, ecosystem: str) -> Iterator[Installed]:
    for stanza in text.split("\n\n"):
        lines = [line for line in stanza.split("\n") if line[1:2] == ":"]
        fields = {line[0]: line[2:] for line in reversed(lines)}
        if not stanza.strip():
            continue
        name, version = fields.get("P", ""), fields.get("V", "")
        origin = fields.get("o", "") or name
        if not all(map(_WORD.fullmatch, (name, version, origin))):
            raise Unreadable(f"a stanza without a sound name or version: `{stanza[:60]!r}`")
        yield Installed(ecosystem, name, version, fields.get("A", "")[:32], origin)
