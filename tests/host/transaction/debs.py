"""Small packages in memory, and changes as a rehearsal would find them."""

import hashlib
import io
import tarfile
from pathlib import Path

from answerable.host.transaction.debian.deb import Deb
from answerable.host.transaction.effects import Change
from answerable.host.transaction.family import Shipped
from answerable.host.transaction.port import Look

CONTROL = """\
Package: tool
Version: 2
Architecture: amd64
Maintainer: Test <test@example.invalid>
Depends: libc6 (>= 2.36),
 libtool (= 2)
Description: made by a test
"""
STATUS = b"""\
Package: other
Status: install ok installed
Architecture: all
Version: 7

Package: tool
Status: install ok installed
Maintainer: Test <test@example.invalid>
Architecture: amd64
Version: 1
Depends: libc6 (>= 2.36), libtool (= 1)
Description: made by a test

"""
NEW_STATUS = STATUS.replace(b"Version: 1\n", b"Version: 2\n").replace(b"(= 1)", b"(= 2)")


def sha(data: bytes) -> str:
    """SHA-256 in hex."""
    return hashlib.sha256(data).hexdigest()


def shipped(data: bytes, mode: int = 0o644) -> Shipped:
    """A shipped file of root's."""
    md5 = hashlib.md5(data, usedforsecurity=False).hexdigest()
    return Shipped("file", mode, ("root", "root"), (0, 0), sha(data), md5)


def deb() -> Deb:
    """A package `tool` that ships a program, a folder, a link and a configuration file."""
    fields = dict(
        line.split(": ", 1) for line in CONTROL.replace(",\n", ",").splitlines() if ": " in line
    )
    folder = Shipped("dir", 0o755, ("root", "root"), (0, 0))
    link = Shipped("link", 0o777, ("root", "root"), (0, 0), target="tool")
    return Deb(
        fields,
        {"control": CONTROL.encode(), "conffiles": b"/etc/tool.conf\n", "postinst": b"#!/bin/sh\n"},
        {
            "/": folder, "/usr": folder, "/usr/bin": folder, "/etc": folder,
            "/usr/bin/tool": shipped(b"two", 0o755), "/usr/bin/t": link,
            "/etc/tool.conf": shipped(b"new"),
        },
    )  # fmt: skip


def file(data: bytes, mode: int = 0o644) -> Look:
    """The look of a file of root's."""
    return Look("file", mode, sha256=sha(data), size=len(data))


def change(path: str, before: Look | None, after: Look | None, source: Path = Path()) -> Change:
    """One change of a rehearsal."""
    return Change(path, before, after, source)


def tar(*members: tuple[str, bytes | None], kind: bytes = tarfile.REGTYPE) -> bytes:
    """A tar stream of files (bytes) and folders (None)."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as made:
        for name, data in members:
            member = tarfile.TarInfo(name)
            member.type = tarfile.DIRTYPE if data is None else kind
            member.size = len(data or b"") if kind == tarfile.REGTYPE else 0
            member.mode, member.uname, member.gname = 0o755, "root", "root"
            made.addfile(member, io.BytesIO(data or b""))
    return out.getvalue()
