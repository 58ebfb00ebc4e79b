"""The advisories of an RPM repository (`updateinfo.xml`), one update after another.

    <updates><update from=".." status="final" type="security" version="1">
      <id>RLSA-2024:1234</id><title>..</title><severity>Important</severity>
      <issued date="2024-03-05 00:00:00"/><updated date="2024-03-06 00:00:00"/>
      <references><reference href=".." id="CVE-2024-1" type="cve" title=".."/></references>
      <pkglist><collection short=".."><name>..</name>
        <package name="curl" epoch="0" version="7.76.1" release="29.el9" arch="x86_64"
                 src="curl-7.76.1-29.el9.src.rpm"><filename>..</filename></package>
      </collection></pkglist></update></updates>

Rules: flaws are the CVE names in an update's references' `id` and `title`; a version is
`[epoch:]version-release` without an epoch of 0. A package without a name or version makes the
document malformed.

Left out: modules, `reboot_suggested`.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from answerable.feeds.documents.elements import Attributes, Elements, parsed
from answerable.feeds.documents.unpacked import WHOLE
from answerable.feeds.publication import is_cve, rated, time_of, word
from answerable.feeds.source import State, Unusable

PACKAGES: Final = 100_000
"""Most packages of one update."""
SOURCES = frozenset({"src", "nosrc"})
"""Architectures of source packages."""
_CVE = re.compile(r"CVE-\d{4}-\d{4,7}")
_SECONDS = re.compile(r"[0-9]{9,11}")
"""How SUSE writes a time; others write `2024-03-05 00:00:00`."""
_TEXTS = frozenset({"id", "title", "severity", "description"})
Built = tuple[str, str, str]
"""Name, version, architecture."""


@dataclass
class Update:
    """One update.

    Args:
        kind: `security`, `bugfix`, `enhancement`, ...
        status: `final`, `stable`, ...; `retracted` of one that was taken back.
        texts: of `id`, `title`, `severity`, `description`, as far as they are there.
        dates: of `issued` and `updated`, as written.
    """

    kind: str = ""
    status: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)
    cves: set[str] = field(default_factory=set)
    packages: dict[Built, None] = field(default_factory=dict)

    @property
    def mends(self) -> bool:
        """Whether it is an advisory: of type `security`, or naming a flaw."""
        return self.kind == "security" or bool(self.cves)

    @property
    def name(self) -> str:
        """Its id; raises `KeyError` or `ValueError` if it has none."""
        return word(self.texts["id"].strip())

    @property
    def urgency(self) -> str:
        """One of `facts.URGENCIES`."""
        return rated(self.texts.get("severity"))

    @property
    def issued(self) -> int:
        """POSIX seconds, or 0."""
        return _second(self.dates.get("issued", ""))

    @property
    def updated(self) -> int:
        """POSIX seconds, or 0."""
        return _second(self.dates.get("updated", "")) or self.issued


def read(file: Path, source: str, limit: int = WHOLE) -> Iterator[Update]:
    """Give each update.

    Args:
        limit: most bytes that the document may unpack to.

    Raises:
        Unusable: `empty`, or as `elements.parsed`; possibly after some updates.
    """
    reader, found = _Updates(), False
    for _ in parsed(file, source, reader, limit):
        found = found or bool(reader.done)
        yield from reader.done
        reader.done.clear()
    if not found:
        raise Unusable(State.EMPTY, source, "no update in it")


def version_of(attributes: Attributes) -> str:
    """Give the version that attributes `epoch`, `version` and `release` spell.

    Raises:
        KeyError, ValueError: one is missing, or none.
    """
    epoch = attributes.get("epoch", "") or "0"
    version = f"{word(attributes['version'])}-{word(attributes['release'])}"
    return word(version if epoch == "0" else f"{epoch}:{version}")


def _second(text: str) -> int:
    return int(text) if _SECONDS.fullmatch(text) else time_of(text.removesuffix(" UTC"))


class _Updates(Elements):
    def __init__(self) -> None:
        super().__init__("updates")
        self.now, self.done = Update(), list[Update]()

    def opened(self, name: str, attributes: Attributes) -> None:
        if name == "update":
            self.now = Update(attributes.get("type", ""), attributes.get("status", ""))
        elif name in ("issued", "updated"):
            self.now.dates[name] = attributes.get("date", "")
        elif name == "reference":
            told = f"{attributes.get('id', '')} {attributes.get('title', '')}"
            self.now.cves |= {cve for cve in _CVE.findall(told) if is_cve(cve)}
        elif name == "package":
            arch = attributes.get("arch", "")
            self.now.packages[word(attributes["name"]), version_of(attributes), arch] = None
            if len(self.now.packages) > PACKAGES:
                raise ValueError(f"more than {PACKAGES} packages in one update")

    def closed(self, name: str, text: str) -> None:
        if name == "update":
            self.done.append(self.now)
        elif name in _TEXTS and self.path[-1:] == ["update"]:
            self.now.texts[name] = text
