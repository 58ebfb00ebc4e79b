"""Small packages, byte for byte real: a .deb by its parts, a wheel, and hosts that have them."""

import gzip
import io
import lzma
import sys
import tarfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LIBRARY: dict[str, bytes | str] = {
    "usr/lib/x/libssl.so.3": b"new code",
    "usr/lib/x/libssl.so": "-> libssl.so.3",
    "usr/lib/x/same.so": "= usr/lib/x/libssl.so.3",
    "etc/ssl/openssl.cnf": b"defaults",
    "usr/share/doc/libssl3/copyright": b"free",
}
"""Path -> bytes, `-> target` of a link, `= path` of a hard link."""
PACK: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": gzip.compress,
    ".xz": lzma.compress,
    ".zst": zstd.compress,
}


def tar(files: Mapping[str, bytes | str]) -> bytes:
    """Make an archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as made:
        for name, what in files.items():
            member = tarfile.TarInfo(f"./{name}")
            if isinstance(what, bytes):
                member.size = len(what)
                member.mode = 0o600 if name.endswith(".key") else 0o644
            else:
                member.type = tarfile.SYMTYPE if what.startswith("-> ") else tarfile.LNKTYPE
                member.linkname = what[3:] if what.startswith("-> ") else f"./{what[2:]}"
            made.addfile(member, io.BytesIO(what) if isinstance(what, bytes) else None)
    return out.getvalue()


def deb(
    files: Mapping[str, bytes | str] = LIBRARY, conffiles: str = "", packing: str = ".xz"
) -> bytes:
    """Make a .deb."""
    control = {"control": b"Package: x\n", "conffiles": conffiles.encode()}
    parts = {
        "debian-binary": b"2.0\n",
        f"control.tar{packing}": PACK[packing](tar(control)),
        f"data.tar{packing}": PACK[packing](tar(files)),
    }
    out = b"!<arch>\n"
    for name, data in parts.items():
        out += f"{name:<16}{0:<12}{0:<6}{0:<6}{'100644':<8}{len(data):<10}`\n".encode() + data
        out += b"\n" * (len(data) % 2)
    return out


def wheel(files: Mapping[str, str]) -> bytes:
    """Make a wheel."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        for name, text in files.items():
            made.writestr(name, text)
    return out.getvalue()


def unpack(root: Path, name: str, files: Mapping[str, bytes | str] = LIBRARY) -> None:
    """Put a package on a host's disk, as dpkg would."""
    for path, what in files.items():
        place = root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.unlink(missing_ok=True)
        if isinstance(what, bytes):
            place.write_bytes(what)
        elif what.startswith("-> "):
            place.symlink_to(what[3:])
        else:
            place.hardlink_to(root / what[2:])
    info = root / "var/lib/dpkg/info"
    info.mkdir(parents=True, exist_ok=True)
    (info / f"{name}.symbols").write_text("libssl.so.3 libssl3\n")
    rows = ["/.", "/usr", *(f"/{path}" for path in files)]
    (info / f"{name}.list").write_text("\n".join(rows) + "\n")
