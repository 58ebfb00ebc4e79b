"""A small RPM repository of our own: packages, advisories, an index and its signature."""

import gzip
import hashlib
import lzma
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from xml.sax.saxutils import quoteattr

from tests.feeds.archive import NOW, Publisher

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

COMMON = "http://linux.duke.edu/metadata"
_PACKERS: Mapping[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress, "xz": lzma.compress, "zst": zstd.compress, "": bytes
}  # fmt: skip


@dataclass
class Repository:
    """A repository below a folder.

    Args:
        pack: how its documents are packed: `gz`, `xz`, `zst`, or not.
    """

    root: Path
    publisher: Publisher = field(default_factory=Publisher)
    pack: str = "gz"
    packages: list[str] = field(default_factory=list)
    updates: list[str] = field(default_factory=list)

    def add(
        self,
        name: str,
        version: str,
        *,
        source: str = "",
        arch: str = "x86_64",
        requires: Sequence[str] = (),
        provides: Sequence[str] = (),
        files: Sequence[str] = (),
        data: bytes = b"",
    ) -> Path:
        """Put a package into it.

        Args:
            version: `[epoch:]version-release`.
            requires: capabilities, `name` or `name EQ version`; so are `provides`.
        """
        epoch, ver, release = split(version)
        data = data or f"{name} {version}".encode()
        path = f"Packages/{name[0].lower()}/{name}-{ver}-{release}.{arch}.rpm"
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        own = f"{name} EQ {version}"
        self.packages.append(
            f'<package type="rpm"><name>{name}</name><arch>{arch}</arch>'
            f'<version epoch="{epoch}" ver="{ver}" rel="{release}"/>'
            f'<checksum type="sha256" pkgid="YES">{sha256(data)}</checksum>'
            "<summary>Made by a test &amp; no more</summary>"
            f'<size package="{len(data)}" installed="1" archive="1"/>'
            f'<location href="{path}"/><format><rpm:license>none</rpm:license>'
            f"<rpm:sourcerpm>{source or name}-{ver}-{release}.src.rpm</rpm:sourcerpm>"
            f"<rpm:provides>{''.join(map(entry, (own, *provides)))}</rpm:provides>"
            f"<rpm:requires>{''.join(map(entry, requires))}</rpm:requires>"
            f"{''.join(f'<file>{each}</file>' for each in files)}</format></package>"
        )
        return file

    def update(
        self,
        name: str,
        *packages: str,
        cves: Sequence[str] = (),
        severity: str = "Important",
        kind: str = "security",
        status: str = "final",
        arch: str = "x86_64",
    ) -> None:
        """Say an update: `packages` are `<name> <version>`."""
        rows = ""
        for each in packages:
            package, version = each.split(" ")
            epoch, ver, release = split(version)
            rows += (
                f'<package name="{package}" epoch="{epoch}" version="{ver}" release="{release}" '
                f'arch="{arch}"><filename>x.rpm</filename></package>'
            )
        flaws = "".join(f'<reference href="x" id="{cve}" type="cve"/>' for cve in cves)
        self.updates.append(
            f'<update from="x" status="{status}" type="{kind}" version="1"><id>{name}</id>'
            f"<title>{name}</title><severity>{severity}</severity>"
            f'<issued date="2026-11-20 00:00:00"/><references>{flaws}</references>'
            f'<pkglist><collection short="x"><name>x</name>{rows}</collection></pkglist></update>'
        )

    def publish(self, when: int = NOW, *, signed: bool = True, revision: str = "") -> Path:
        """Write documents and index, dated and signed at POSIX second `when`; give the index."""
        (self.root / "repodata").mkdir(parents=True, exist_ok=True)
        rows = self._data("primary", self.primary(), when)
        if self.updates:
            rows += self._data("updateinfo", self.updateinfo(), when)
        file = self.root / "repodata/repomd.xml"
        file.write_text(
            f'<?xml version="1.0" encoding="UTF-8"?>\n<repomd xmlns="{COMMON}/repo">'
            f"<revision>{revision or when}</revision>{rows}</repomd>\n"
        )
        if signed:
            self.sign(when)
        return file

    def sign(self, when: int = NOW) -> None:
        """Sign the index as it lies there."""
        file = self.root / "repodata/repomd.xml"
        signature = self.publisher.detached(file.read_bytes(), when)
        file.with_name("repomd.xml.asc").write_bytes(signature)

    def primary(self) -> bytes:
        """Spell the list of packages."""
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<metadata xmlns="{COMMON}/common" '
            f'xmlns:rpm="{COMMON}/rpm" packages="{len(self.packages)}">'
            f"{''.join(self.packages)}</metadata>\n"
        ).encode()

    def updateinfo(self) -> bytes:
        """Spell the advisories."""
        return f"<updates>{''.join(self.updates)}</updates>\n".encode()

    def keyring(self, publisher: Publisher | None = None) -> Path:
        """Write a publisher's keyring and say where."""
        file = self.root / "keyring.gpg"
        file.write_bytes((publisher or self.publisher).keyring())
        return file

    def _data(self, kind: str, text: bytes, when: int) -> str:
        packed = _PACKERS[self.pack](text)
        end = f".{self.pack}" if self.pack else ""
        path = f"repodata/{sha256(packed)}-{kind}.xml{end}"
        (self.root / path).write_bytes(packed)
        return (
            f'<data type="{kind}"><checksum type="sha256">{sha256(packed)}</checksum>'
            f'<open-checksum type="sha256">{sha256(text)}</open-checksum>'
            f'<location href="{path}"/><timestamp>{when}</timestamp>'
            f"<size>{len(packed)}</size><open-size>{len(text)}</open-size></data>"
        )


def split(version: str) -> tuple[str, str, str]:
    """Give epoch, version and release."""
    epoch, _, rest = version.rpartition(":")
    ver, _, release = rest.rpartition("-")
    return epoch or "0", ver, release


def entry(said: str) -> str:
    """Spell a capability: `name`, or `name EQ version`."""
    name, _, rest = said.partition(" ")
    if not rest:
        return f"<rpm:entry name={quoteattr(name)}/>"
    flags, version = rest.split(" ")
    epoch, ver, release = split(version) if "-" in version else ("0", version, "")
    more = f' rel="{release}"' if release else ""
    return f'<rpm:entry name={quoteattr(name)} flags="{flags}" epoch="{epoch}" ver="{ver}"{more}/>'


def sha256(data: bytes) -> str:
    """Give the hash, hex."""
    return hashlib.sha256(data).hexdigest()
