"""The packages of an RPM repository (`primary.xml`), read for those that are asked for.

    <metadata xmlns="http://linux.duke.edu/metadata/common"
              xmlns:rpm="http://linux.duke.edu/metadata/rpm" packages="1">
      <package type="rpm"><name>curl</name><arch>x86_64</arch>
        <version epoch="0" ver="7.76.1" rel="29.el9"/>
        <checksum type="sha256" pkgid="YES">..</checksum> ..
        <size package="301245" installed="704712" archive="707436"/>
        <location href="Packages/c/curl-7.76.1-29.el9.x86_64.rpm"/>
        <format><rpm:sourcerpm>curl-7.76.1-29.el9.src.rpm</rpm:sourcerpm>
          <rpm:provides><rpm:entry name="curl" flags="EQ" epoch="0" ver="7.76.1" rel="29.el9"/>
          </rpm:provides>
          <rpm:requires><rpm:entry name="libcurl.so.4()(64bit)"/> ..</rpm:requires>
          <file>/usr/bin/curl</file></format></package></metadata>

Rules: the bytes are those whose hash a signed index names (documents/repomd.py), and unpack to no
more than it says. A package is read for its own architecture and `noarch`; one that is asked for
and lacks what we need makes the whole document malformed: half of it must not pass for a whole one.
Everything is read twice at most, in a stream, so memory does not grow with the repository.

Left out: source packages; weak dependencies, conflicts, obsoletes; hashes other than SHA-256;
`xml:base` (packages that lie elsewhere).
"""

import re
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from answerable.feeds.documents.elements import Attributes, Elements, parsed
from answerable.feeds.documents.fetch import sane
from answerable.feeds.documents.updates import version_of
from answerable.feeds.publication import word
from answerable.feeds.source import State, Unusable
from answerable.host import versions
from answerable.kernel.errors import Refused

NOARCH = "noarch"
CAPABILITIES = 20_000
"""Most capabilities of one package."""
_SIDE_BY_SIDE = "installonlypkg("
_MODULE = re.compile(r"\.module[_+]")
_SOURCE = re.compile(r"(.+)-[^-]+-[^-]+\.(?:no)?src\.rpm")
_ENTRY = "rpm:entry"


class Capability(NamedTuple):
    """What a package requires or provides: a name, and `EQ`, `GE`, .. with a version, or nothing.

    `version` is `[epoch:]version[-release]`.
    """

    name: str
    flags: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Package:
    """One version of a package.

    Args:
        version: `[epoch:]version-release`, without an epoch of 0.
        source: name of its source package.
        sha256: of the .rpm, hex.
        size: of the .rpm, bytes.
        path: of the .rpm below its repository.
        side_by_side: whether several versions of it are installed at once (kernels).
    """

    name: str
    version: str
    arch: str
    source: str
    sha256: str
    size: int
    path: str
    requires: tuple[Capability, ...]
    side_by_side: bool


def modular(version: str) -> bool:
    """Tell whether a version is of a module stream, by the release that such builds have."""
    return bool(_MODULE.search(version))


class Provider(NamedTuple):
    """A package that provides what is asked for."""

    package: str
    version: str
    capability: Capability


def read(
    file: Path, source: str, asked: Collection[str], ecosystem: str, arch: str, whole: int
) -> list[Package]:
    """Read the packages asked for.

    Args:
        arch: of the hosts, such as `x86_64`.
        whole: what the document unpacks to, bytes.

    Raises:
        Unusable: `malformed`, `truncated`, `oversized`, or `empty` if there is no package at all.
    """
    reader = _Packages(asked, ecosystem, arch)
    for _ in parsed(file, source, reader, whole):
        pass
    if not reader.seen:
        raise Unusable(State.EMPTY, source, "no package in it; use another mirror")
    return reader.found


def providers(
    file: Path, source: str, wanted: Collection[str], ecosystem: str, arch: str, whole: int
) -> list[Provider]:
    """Read which packages provide capabilities, by these names; raises as `read`."""
    reader = _Providers(wanted, ecosystem, arch)
    for _ in parsed(file, source, reader, whole):
        pass
    return reader.found


@dataclass
class _Raw:
    """A package while it is read."""

    texts: dict[str, str] = field(default_factory=dict)
    said: dict[str, Attributes] = field(default_factory=dict)
    capabilities: dict[Capability, None] = field(default_factory=dict)
    side_by_side: bool = False

    def add(self, capability: Capability) -> None:
        """Keep one that matters: a kernel has tens of thousands that do not."""
        self.capabilities[capability] = None
        if len(self.capabilities) > CAPABILITIES:
            raise ValueError(f"more than {CAPABILITIES} capabilities of one package")


class _Reader(Elements):
    """What both ways of reading need."""

    def __init__(self, ecosystem: str, arch: str) -> None:
        super().__init__("metadata")
        self.now, self.keep, self.seen = _Raw(), False, False
        self.ecosystem, self.archs = ecosystem, (arch, NOARCH)

    def version(self) -> str:
        """Give the version of the package, which has an order; raises `KeyError`, `ValueError`."""
        told = self.now.said["version"]
        found = version_of({"epoch": told.get("epoch", ""), "version": told["ver"],
                            "release": told["rel"]})  # fmt: skip
        try:
            versions.key(self.ecosystem, found)
        except Refused as error:
            raise ValueError(str(error)) from error
        return found

    def opened(self, name: str, attributes: Attributes) -> None:
        if name == "package":
            self.now, self.keep, self.seen = _Raw(), True, True
        elif self.keep:
            self.attributes(name, attributes)

    def closed(self, name: str, text: str) -> None:
        if not self.keep:
            return
        if name == "package":
            self.done()
            self.keep = False
        elif self.path[-1:] == ["package"] or name == "rpm:sourcerpm":
            self.now.texts[name] = text.strip()
            if name == "name":
                self.keep = self.asked(self.now.texts["name"])
            elif name == "arch":
                self.keep = self.now.texts["arch"] in self.archs
        elif name == "file":
            self.file(text)

    def asked(self, _name: str) -> bool:
        """Tell whether a package of this name matters."""
        return True

    def attributes(self, name: str, attributes: Attributes) -> None:
        """Take what an element of a package says of itself."""

    def file(self, path: str) -> None:
        """Take the path of a file of a package."""

    def done(self) -> None:
        """Take a package."""


class _Packages(_Reader):
    def __init__(self, asked: Collection[str], ecosystem: str, arch: str) -> None:
        super().__init__(ecosystem, arch)
        self.names, self.found = frozenset(asked), list[Package]()

    def asked(self, name: str) -> bool:
        return name in self.names

    def attributes(self, name: str, attributes: Attributes) -> None:
        if self.path[-2:] == ["rpm:requires", _ENTRY]:
            self.now.add(_capability(attributes))
        elif self.path[-2:] == ["rpm:provides", _ENTRY]:
            alike = attributes.get("name", "").startswith(_SIDE_BY_SIDE)
            self.now.side_by_side = self.now.side_by_side or alike
        elif self.path[-2:-1] == ["package"]:
            self.now.said[name] = attributes

    def done(self) -> None:
        texts, said, version = self.now.texts, self.now.said, self.version()
        sha256, path = texts["checksum"], said["location"]["href"]
        if said["checksum"]["type"] != "sha256" or not re.fullmatch(r"[0-9a-f]{64}", sha256):
            raise ValueError(f"no SHA-256 of `{texts['name']:.80}`")
        if not sane(path) or not re.fullmatch(r"\d{1,12}", said["size"]["package"], re.ASCII):
            raise ValueError(f"no path or size of `{texts['name']:.80}`")
        origin = _SOURCE.fullmatch(texts.get("rpm:sourcerpm", ""))
        self.found.append(Package(
            word(texts["name"]), version, texts["arch"],
            word(origin[1]) if origin else texts["name"], sha256, int(said["size"]["package"]),
            path, tuple(self.now.capabilities), self.now.side_by_side,
        ))  # fmt: skip


class _Providers(_Reader):
    def __init__(self, wanted: Collection[str], ecosystem: str, arch: str) -> None:
        super().__init__(ecosystem, arch)
        self.wanted, self.found = frozenset(wanted), list[Provider]()

    def attributes(self, name: str, attributes: Attributes) -> None:
        if name == "version":
            self.now.said[name] = attributes
        elif self.path[-2:] == ["rpm:provides", _ENTRY] and attributes.get("name") in self.wanted:
            self.now.add(_capability(attributes))

    def file(self, path: str) -> None:
        if path in self.wanted:
            self.now.add(Capability(path))

    def done(self) -> None:
        if kept := self.now.capabilities:
            name, version = word(self.now.texts["name"]), self.version()
            self.found += [Provider(name, version, capability) for capability in kept]


def _capability(attributes: Attributes) -> Capability:
    flags, version = attributes.get("flags", ""), attributes.get("ver", "")
    if not flags or not version:
        return Capability(attributes["name"])
    epoch, release = attributes.get("epoch", "") or "0", attributes.get("rel", "")
    version = f"{version}-{release}" if release else version
    return Capability(attributes["name"], flags, version if epoch == "0" else f"{epoch}:{version}")
