"""A small distribution of our own: keys, signed releases, indexes and packages, byte for byte real.

The OpenPGP parts are written here (RFC 4880 version 4 packets, Ed25519 as algorithm 22), so that no
key of a real distribution and no gpg is needed to make what gpgv then checks.
"""

import base64
import gzip
import hashlib
import io
import lzma
import struct
import sys
import tarfile
import textwrap
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

NOW = 1_795_300_000
"""2026-11-22, the day of the tests' story."""
DAY = 86_400
_CURVE = bytes.fromhex("092b06010401da470f01")


def _mpi(data: bytes) -> bytes:
    data = data.lstrip(b"\0")
    return struct.pack(">H", (len(data) - 1) * 8 + data[0].bit_length()) + data


def _packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + struct.pack(">I", len(body)) + body


def _armour(data: bytes) -> str:
    crc = 0xB704CE
    for byte in data:
        crc ^= byte << 16
        for _ in range(8):
            crc = (crc << 1) ^ (0x1864CFB if crc & 0x800000 else 0)
    lines = textwrap.wrap(base64.b64encode(data).decode(), 64)
    check = base64.b64encode((crc & 0xFFFFFF).to_bytes(3, "big")).decode()
    return "\n".join(["-----BEGIN PGP SIGNATURE-----", "", *lines, f"={check}",
                      "-----END PGP SIGNATURE-----", ""])  # fmt: skip


class Publisher:
    """Holds one signing key."""

    def __init__(self, seed: int = 1, made: int = NOW - 900 * DAY) -> None:
        """Make the key that this seed gives."""
        self.key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        public = b"\x40" + self.key.public_key().public_bytes_raw()
        self.body = struct.pack(">BIB", 4, made, 22) + _CURVE + _mpi(public)
        self.made = made
        framed = b"\x99" + struct.pack(">H", len(self.body)) + self.body
        self.print = hashlib.sha1(framed).digest()  # noqa: S324  what version 4 keys are named by
        self.framed = framed

    def _signature(self, kind: int, data: bytes, when: int, digest: int = 8) -> bytes:
        hashed = struct.pack(">BBI", 5, 2, when) + bytes([22, 33, 4]) + self.print
        head = bytes([4, kind, 22, digest]) + struct.pack(">H", len(hashed)) + hashed
        name = {8: "sha256", 2: "sha1"}[digest]
        whole = data + head + b"\x04\xff" + struct.pack(">I", len(head))
        value = hashlib.new(name, whole).digest()
        made = self.key.sign(value)
        loose = bytes([9, 16]) + self.print[-8:]
        tail = struct.pack(">H", len(loose)) + loose + value[:2]
        return _packet(2, head + tail + _mpi(made[:32]) + _mpi(made[32:]))

    def keyring(self) -> bytes:
        """Give a keyring with this one key."""
        name = b"Archive of the tests <archive@example.test>"
        certified = self.framed + b"\xb4" + struct.pack(">I", len(name)) + name
        bound = self._signature(0x13, certified, self.made)
        return _packet(6, self.body) + _packet(13, name) + bound

    def sign(self, text: str, when: int, digest: int = 8) -> bytes:
        """Give a text, clearsigned at POSIX second `when`."""
        lines = text.rstrip("\n").split("\n")
        canonical = "\r\n".join(line.rstrip(" \t") for line in lines).encode()
        escaped = "\n".join("- " + line if line.startswith("-") else line for line in lines)
        name = {8: "SHA256", 2: "SHA1"}[digest]
        head = f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: {name}\n\n"
        signature = self._signature(0x01, canonical, when, digest)
        return (head + escaped + "\n" + _armour(signature)).encode()

    def detached(self, data: bytes, when: int, *, armoured: bool = True, digest: int = 8) -> bytes:
        """Give a signature over bytes, to lie beside them."""
        made = self._signature(0x00, data, when, digest)
        return _armour(made).encode() if armoured else made


def deb(files: dict[str, bytes], control: str, pack: str = "xz") -> bytes:
    """Give a .deb with these files (paths such as `./usr/share/doc/x/changelog.Debian.gz`)."""
    members = [
        ("debian-binary", b"2.0\n"),
        ("control.tar.gz", gzip.compress(_tar({"./control": control.encode()}), mtime=0)),
        (f"data.tar.{pack}", _pack(_tar(files), pack)),
    ]
    out = b"!<arch>\n"
    for name, data in members:
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data
        out += b"\n" * (len(data) % 2)
    return out


def _pack(data: bytes, pack: str) -> bytes:
    if pack == "zst":
        return zstd.compress(data)
    return lzma.compress(data, preset=0) if pack == "xz" else gzip.compress(data, mtime=0)


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return out.getvalue()


def entry(source: str, version: str, suite: str, urgency: str, *lines: str) -> str:
    """Give one changelog entry, dated 2026-11-20."""
    body = "".join(f"  * {line}\n" for line in lines)
    tail = " -- A Person <person@example.test>  Fri, 20 Nov 2026 12:00:00 +0100\n"
    return f"{source} ({version}) {suite}; urgency={urgency}\n\n{body}\n{tail}\n"


@dataclass
class Archive:
    """A mirror below a folder."""

    root: Path
    publisher: Publisher = field(default_factory=Publisher)
    stanzas: dict[str, list[str]] = field(default_factory=dict)

    def add(
        self,
        suite: str,
        package: str,
        version: str,
        *,
        source: str = "",
        changelog: str | None = None,
        depends: str = "",
        arch: str = "amd64",
        pack: str = "xz",
    ) -> Path:
        """Put a package into a suite."""
        name = source.partition(" ")[0] or package
        control = f"Package: {package}\nVersion: {version}\nArchitecture: {arch}\n"
        document = f"./usr/share/doc/{package}/changelog.Debian.gz"
        files = {"./usr/bin/x": package.encode()}
        if changelog is not None:
            files[document] = gzip.compress(changelog.encode(), mtime=0)
        data = deb(files, control, pack)
        path = f"pool/main/{name}/{package}_{version.rpartition(':')[2]}_{arch}.deb"
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        stanza = control + (f"Source: {source}\n" if source else "")
        stanza += f"Depends: {depends}\n" if depends else ""
        stanza += f"Filename: {path}\nSize: {len(data)}\nSHA256: {_sha256(data)}\n"
        self.stanzas.setdefault(suite, []).append(stanza)
        return file

    def publish(
        self, suite: str, date: int = NOW, valid_until: int = 0, *, by_hash: bool = False
    ) -> Path:
        """Write index and signed release of a suite."""
        index = "\n".join(self.stanzas.get(suite, [])).encode()
        folder = self.root / "dists" / suite / "main/binary-amd64"
        folder.mkdir(parents=True, exist_ok=True)
        packed = lzma.compress(index)
        (folder / "Packages.xz").write_bytes(packed)
        if by_hash:
            (folder / "by-hash/SHA256").mkdir(parents=True, exist_ok=True)
            (folder / "by-hash/SHA256" / _sha256(packed)).write_bytes(packed)
        lines = [
            f"Suite: {suite}", f"Codename: {suite}", f"Date: {_date(date)}",
            *([f"Valid-Until: {_date(valid_until)}"] if valid_until else []),
            f"Acquire-By-Hash: {'yes' if by_hash else 'no'}", "SHA256:",
            f" {_sha256(index)} {len(index)} main/binary-amd64/Packages",
            f" {_sha256(packed)} {len(packed)} main/binary-amd64/Packages.xz",
        ]  # fmt: skip
        file = self.root / "dists" / suite / "InRelease"
        file.write_bytes(self.publisher.sign("\n".join(lines) + "\n", date))
        return file

    def keyring(self) -> Path:
        """Write the publisher's keyring and say where."""
        file = self.root / "keyring.gpg"
        file.write_bytes(self.publisher.keyring())
        return file


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _date(when: int) -> str:
    return datetime.fromtimestamp(when, UTC).strftime("%a, %d %b %Y %H:%M:%S UTC")
