"""Which distribution a root is, in the words that feeds use: `debian:12`, `almalinux:9`.

Form: os-release(5): `KEY=value` lines, values as a shell would quote them. Rules: a distribution
keeps as much of its version as its advisories tell apart (`debian` and the RPM family the major
number, `ubuntu` and `alpine` two numbers); one that is not known is named as it names itself.

Left out: testing and unstable releases, which have no number: they are `debian:sid` to nobody.
"""

import re

from answerable.inventory.installed import Unreadable
from answerable.inventory.tree import Tree

OS_RELEASE = 65_536
"""Largest os-release file, bytes."""
_FILES = ("etc/os-release", "usr/lib/os-release")
_NAMES = {
    "alma": "almalinux", "amzn": "amazon", "azurelinux": "azure linux", "mariner": "azure linux",
    "ol": "oracle", "opensuse.leap": "opensuse-leap", "photon": "photon os", "red-hat": "redhat",
    "rhel": "redhat", "rockylinux": "rocky", "sle-micro": "sles", "sl-micro": "sles",
    "sle_hpc": "sles", "sle_rt": "sles", "sled": "sles", "sles_sap": "sles", "suse": "sles",
}  # fmt: skip
_CODENAMES = {
    ("debian", "buster"): "10", ("debian", "bullseye"): "11", ("debian", "bookworm"): "12",
    ("debian", "trixie"): "13", ("ubuntu", "bionic"): "18.04", ("ubuntu", "focal"): "20.04",
    ("ubuntu", "jammy"): "22.04", ("ubuntu", "noble"): "24.04",
}  # fmt: skip
_TWO = frozenset({"alpine", "ubuntu", "opensuse-leap", "sles", "wolfi", "chainguard"})
_ROLLING = frozenset({"opensuse-tumbleweed"})
"""What has a day for a version, and advisories that name none."""
_ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,31}")
_VERSION = re.compile(r"v?(\d{1,8})(?:\.(\d{1,8}))?(?:[.~+_-].{0,60})?")
_LINE = re.compile(r"""([A-Z][A-Z0-9_]*)=(?:"([^"]*)"|'([^']*)'|(\S*))\s*""")


def ecosystem(name: str, version: str) -> str:
    """Spell a distribution's release; empty if it has no name or number.

    Args:
        name: its id, as in os-release or in a package URL.
        version: its number as it writes it, or a code name.
    """
    name = name.lower()
    if not _ID.fullmatch(name):
        return ""
    name = _NAMES.get(name, name)
    if name in _ROLLING:
        return f"{name}:rolling"
    number = _VERSION.fullmatch(_CODENAMES.get((name, version.lower()), version))
    if not number:
        return ""
    return f"{name}:{number[1]}.{number[2] or 0}" if name in _TWO else f"{name}:{number[1]}"


def of(tree: Tree) -> str:
    """Read which release a root is.

    Raises:
        Unreadable: it does not say so.
    """
    for file in _FILES:
        data = tree.read(file, OS_RELEASE)
        if data is not None:
            lines = map(_LINE.fullmatch, data.decode(errors="replace").splitlines())
            said = {line[1]: line[2] or line[3] or line[4] or "" for line in lines if line}
            if found := ecosystem(said.get("ID", ""), said.get("VERSION_ID", "")):
                return found
            raise Unreadable(f"`{file}` of `{tree}` names no release with a number; name one")
    raise Unreadable(f"`{tree}` has no `{_FILES[0]}`; is it the root of a system? else name it")
