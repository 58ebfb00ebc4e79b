"""What a .deb ships: every file of it by content, mode, owner and link, and its control members.

Rules:
* the .deb has been hashed; `dpkg-deb` unpacks the two tar streams, which are read once, in pieces;
* a member that is no plain file, folder, link or hard link, or whose path is strange, is refused.

Sources: deb(5), deb-control(5), dpkg-deb(1). Left out: devices in packages; other compressions
than this host's dpkg-deb knows.
"""

import contextlib
import hashlib
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TypeVar

from answerable.host.driver import ArtefactDiffers
from answerable.host.transaction.family import Shipped, sound
from answerable.host.transaction.port import CHUNK
from answerable.kernel.canon import Json

MEMBERS = 200_000
"""Most members of a .deb."""
CONTROL = 32 << 20
"""Largest control member that is read, bytes."""
UNPACKED = 8 << 30
"""Most that a .deb may unpack to, bytes."""
_Read = TypeVar("_Read")
_ENV = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}


@dataclass(frozen=True)
class Deb:
    """A package: its control fields, its control members, its files by absolute path."""

    fields: dict[str, str]
    members: dict[str, bytes]
    files: dict[str, Shipped] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The package's name."""
        return self.fields["Package"]

    @property
    def effect(self) -> Json:
        """See `family.Shipment`."""
        return {"is": "package", "name": self.name, "version": self.fields["Version"]}

    @property
    def conffiles(self) -> frozenset[str]:
        """The paths of its configuration files."""
        lines = self.members.get("conffiles", b"").decode("utf-8", "replace").splitlines()
        return frozenset(line.split()[-1] for line in lines if line.strip())


def read_deb(path: Path) -> Deb:
    """Read a .deb.

    Raises:
        ArtefactDiffers: it is none, or holds what no package should.
    """
    members = _unpack(path, "--ctrl-tarfile", read_control)
    files = _unpack(path, "--fsys-tarfile", read_files)
    fields = read_fields(members.get("control", b"").decode("utf-8", "replace"))
    if not fields.get("Package") or not fields.get("Version"):
        raise ArtefactDiffers(f"`{path.name}` does not say which package it is")
    return Deb(fields, members, files)


def read_control(stream: IO[bytes]) -> dict[str, bytes]:
    """Read the tar stream of control members: name -> bytes; raises `ArtefactDiffers`."""
    found = dict[str, bytes]()
    with _tar(stream) as tar:
        for member in tar:
            if len(found) > MEMBERS or member.size > CONTROL:
                raise ArtefactDiffers(f"control member `{member.name[:80]}` is too large")
            opened = tar.extractfile(member) if member.isreg() else None
            if opened:
                found[member.name.removeprefix("./")] = opened.read(CONTROL)
    return found


def read_files(stream: IO[bytes]) -> dict[str, Shipped]:
    """Read the tar stream of files: absolute path -> what is shipped; raises `ArtefactDiffers`."""
    found, size = dict[str, Shipped](), 0
    with _tar(stream) as tar:
        for member in tar:
            path = absolute(member.name)
            size += max(member.size, 0)
            if len(found) > MEMBERS or size > UNPACKED:
                raise ArtefactDiffers("the package unpacks to more than is allowed")
            found[path] = _shipped(tar, member, path, found)
    return found


def read_fields(text: str) -> dict[str, str]:
    """Read the fields of a stanza: name -> value with its further lines."""
    fields, name = dict[str, str](), ""
    for line in text.splitlines():
        if line[:1] in (" ", "\t") and name:
            fields[name] += f"\n{line}"
        elif ":" in line:
            name, _, value = line.partition(":")
            fields[name] = value.strip()
    return fields


def absolute(name: str) -> str:
    """Give a member's absolute path; raises `ArtefactDiffers` if it is a strange one."""
    path = name.removeprefix(".").rstrip("/") or "/"
    path = path if path.startswith("/") else f"/{path}"
    return path if path == "/" else sound(path)


def _shipped(
    tar: tarfile.TarFile, member: tarfile.TarInfo, path: str, found: dict[str, Shipped]
) -> Shipped:
    about = (member.mode & 0o7777, (member.uname, member.gname), (member.uid, member.gid))
    if member.isdir():
        return Shipped("dir", *about)
    if member.issym():
        return Shipped("link", *about, target=member.linkname)
    if member.islnk():
        first = found.get(absolute(member.linkname))
        if first is None or first.kind != "file":
            raise ArtefactDiffers(f"`{path}` is a second name of a file that is not there")
        return first
    opened = tar.extractfile(member) if member.isreg() else None
    if opened is None:
        raise ArtefactDiffers(f"`{path}` is neither file, folder nor link")
    sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
    while piece := opened.read(CHUNK):
        sha256.update(piece)
        # dpkg's own database holds configuration files by MD5.
        if path.startswith("/etc/"):
            md5.update(piece)
    return Shipped("file", *about, sha256.hexdigest(), md5.hexdigest())


@contextlib.contextmanager
def _tar(stream: IO[bytes]) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(fileobj=stream, mode="r|", bufsize=CHUNK) as tar:
            yield tar
    except (tarfile.TarError, OSError, EOFError, ValueError, OverflowError) as error:
        raise ArtefactDiffers(f"not a package's tar stream: {error}") from error


def _unpack(path: Path, what: str, read: Callable[[IO[bytes]], _Read]) -> _Read:
    with subprocess.Popen(
        ["/usr/bin/dpkg-deb", what, str(path)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env=_ENV,
    ) as process:  # fmt: skip
        assert process.stdout
        found = read(process.stdout)
        while process.stdout.read(CHUNK):
            pass
    if process.returncode:
        raise ArtefactDiffers(f"`{path.name}` is no package that dpkg-deb can unpack")
    return found
