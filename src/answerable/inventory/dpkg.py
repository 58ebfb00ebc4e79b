"""Packages of a Debian root, from dpkg's own status file.

Form: `var/lib/dpkg/status`, deb822 stanzas (dpkg(1)); `Status` is want, error flag, state. Rules:
only stanzas whose state says that files are there count; `hold` is kept as a wish of whoever runs
the host; half installed states are kept as broken. A stanza with a state but no version is damage.

Left out: packages of a foreign architecture (their names would stand twice).
"""

import re
from collections.abc import Iterator
from pathlib import Path

from answerable.host import versions
from answerable.inventory.installed import Installed, State, Unreadable
from answerable.kernel.errors import Refused

STATUS = 256 << 20
"""Largest status file that is read, bytes."""
_THERE = ("installed", "unpacked", "half-configured", "half-installed", "triggers-awaited",
          "triggers-pending")  # fmt: skip
_WHOLE = ("installed", "triggers-awaited", "triggers-pending")
_NAME = re.compile(r"[a-z0-9][a-z0-9+.-]{1,127}")
_ARCH = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


def installed(root: Path, ecosystem: str) -> tuple[Installed, ...]:
    """Read what is installed below a root directory.

    Raises:
        Unreadable: missing, damaged or too large.
    """
    file = root / "var/lib/dpkg/status"
    try:
        with file.open("rb") as opened:
            data = opened.read(STATUS + 1)
    except OSError as error:
        raise Unreadable(f"`{file}`: {error.strerror}; is this a Debian root?") from error
    if len(data) > STATUS:
        raise Unreadable(f"`{file}` has more than {STATUS} bytes")
    return read(data, ecosystem)


def read(status: bytes, ecosystem: str) -> tuple[Installed, ...]:
    """Read a status file's bytes.

    Raises:
        Unreadable: not a status file, or no package in it.
    """
    rows = list(_rows(status.decode(errors="replace"), ecosystem))
    native = next((row.arch for row in rows if row.package == "dpkg"), "")
    kept = {row.package: row for row in rows if row.arch in (native, "all") or not native}
    if not kept:
        raise Unreadable("a status file without an installed package")
    return tuple(kept[name] for name in sorted(kept))


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
        source = fields.get("Source", name).split(" ")[0]
        provides = tuple(_names(fields.get("Provides", "")))
        yield Installed(ecosystem, name, version, arch, source, state, provides)


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
