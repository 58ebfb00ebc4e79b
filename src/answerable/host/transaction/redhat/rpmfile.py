"""What a .rpm ships: every file of it by SHA-256, mode, owner, link and capabilities.

    lead                96 bytes, of which only the first four and the kind are looked at
    signatures          a header, filled up to a multiple of eight bytes
    header              one header: the package
    payload             a packed cpio archive

Rules:
* the .rpm has been hashed, and what it ships stands in its header, each file with its SHA-256: so
  the payload is never unpacked here, whatever packs it; a file is explained only if what rpm has
  unpacked has that very hash;
* files that the package names and does not bring (`%ghost`) are not shipped;
* devices, and packages that hash their files in another way, are refused.

Source: rpm's docs/manual/format.md. Left out: source packages; signatures: who may sign what is the
feed's affair, and rpm's own on the host.
"""

import re
import stat
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import IO

from answerable.host.driver import ArtefactDiffers
from answerable.host.transaction.family import Shipped, sound
from answerable.host.transaction.redhat import rpmcaps, rpmheader
from answerable.host.transaction.redhat.rpmheader import Damaged, Header, Tag
from answerable.kernel.canon import Json

FILES = 200_000
"""Most files of a .rpm."""
CONFIG, GHOST = 1, 64
"""Flags of files."""
_LEAD, _LEAD_MAGIC, _BINARY = 96, b"\xed\xab\xee\xdb", b"\0\0"
_MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"
_COUNTS = 8
_SHA256 = 8
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._+~^-]{0,254}")
_KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "link"}


@dataclass(frozen=True)
class Rpm:
    """A package; conforms to `family.Shipment`.

    Args:
        version: `<epoch>:<version>-<release>`, an epoch of 0 left out.
        header: SHA-256 of its header, hex, as rpm's database keeps it.
        requires: names of capabilities, without versions; so are `provides`.
    """

    name: str
    version: str
    arch: str
    header: str
    files: dict[str, Shipped] = field(default_factory=dict)
    conffiles: frozenset[str] = frozenset()
    requires: frozenset[str] = frozenset()
    provides: frozenset[str] = frozenset()

    @property
    def effect(self) -> Json:
        """See the port."""
        told = {"header": self.header, "name": self.name, "version": self.version}
        return {"arch": self.arch, "is": "package", **told}


def read_rpm(path: Path) -> Rpm:
    """Read a .rpm.

    Raises:
        ArtefactDiffers: it is none, or holds what no package should.
    """
    with path.open("rb") as stream:
        return read_head(stream)


def read_head(stream: IO[bytes]) -> Rpm:
    """Read a .rpm up to its payload; raises as `read_rpm`."""
    lead = stream.read(_LEAD)
    if len(lead) < _LEAD or lead[:4] != _LEAD_MAGIC or lead[6:8] != _BINARY:
        raise ArtefactDiffers("not a binary package of rpm")
    try:
        # Here the same numbers mean other things.
        _, signed, size = _header(stream, (Tag.SHA256_HEADER,))
        stream.read(-size % 8)
        digest, header, _ = _header(stream, rpmheader.TAGS)
        if signed.text(Tag.SHA256_HEADER) != digest:
            raise ArtefactDiffers("the SHA-256 of its header is not there, or is another")
        return _package(header, digest)
    except Damaged as error:
        raise ArtefactDiffers(f"not a package of rpm: {error}") from error


def _header(stream: IO[bytes], wanted: Collection[int]) -> tuple[str, Header, int]:
    start = stream.read(len(_MAGIC) + _COUNTS)
    if not start.startswith(_MAGIC):
        raise ArtefactDiffers("not a package of rpm: no header where one should be")
    counts = start[len(_MAGIC) :]
    size = rpmheader.length(counts)
    rest = stream.read(size)
    return sha256(start + rest).hexdigest(), Header(counts + rest, wanted), size


def _package(header: Header, digest: str) -> Rpm:
    name, arch, version = header.text(Tag.NAME), header.text(Tag.ARCH), rpmheader.version(header)
    if not all(_WORD.fullmatch(word) for word in (name, arch, version.rpartition(":")[2])):
        raise ArtefactDiffers(f"a package without a sound name or version: `{name[:64]!r}`")
    if not header.text(Tag.SOURCE):
        raise ArtefactDiffers(f"`{name}` is a source package")
    flags = header.numbers(Tag.FLAGS)
    files, configured = dict[str, Shipped](), set[str]()
    for number, (path, shipped) in enumerate(_members(header)):
        if flags[number] & GHOST:
            continue
        if path in files or shipped is None:
            raise ArtefactDiffers(f"`{path}` is there twice, or is no file, folder or link")
        files[path] = shipped
        if flags[number] & CONFIG:
            configured.add(path)
    needs, gives = (frozenset(header.texts(tag)) for tag in (Tag.REQUIRES, Tag.PROVIDES))
    return Rpm(name, version, arch, digest, files, frozenset(configured), needs, gives)


def _members(header: Header) -> Iterator[tuple[str, Shipped | None]]:
    paths, modes = rpmheader.paths(header), header.numbers(Tag.MODES)
    hashes, links = header.texts(Tag.DIGESTS), header.texts(Tag.LINKS)
    users, groups = header.texts(Tag.USERS), header.texts(Tag.GROUPS)
    capable = header.texts(Tag.CAPABILITIES) or [""] * len(paths)
    times, flags = header.numbers(Tag.TIMES), header.numbers(Tag.FLAGS)
    columns = (modes, hashes, links, users, groups, capable, times, flags)
    if len(paths) > FILES or any(len(column) != len(paths) for column in columns):
        raise ArtefactDiffers("a package with too many files, or without all of their marks")
    if paths and header.numbers(Tag.DIGEST_KIND) != [_SHA256]:
        raise ArtefactDiffers("the package does not hash its files by SHA-256; build it anew")
    for path, mode, found, link, user, group, words, mtime, _ in zip(paths, *columns, strict=True):
        sound(path)
        kind, bits = _KINDS.get(stat.S_IFMT(mode), ""), stat.S_IMODE(mode)
        owner = (user, group)
        if kind == "file":
            attributes = (("security.capability", rpmcaps.attribute(words)),) if words else ()
            told = Shipped("file", bits, owner, (0, 0), found, attributes=attributes, mtime=mtime)
            yield path, told
        else:
            target = link if kind == "link" else ""
            yield path, Shipped(kind, bits, owner, (0, 0), target=target) if kind else None
