"""Packages of a root that rpm keeps: Fedora, RHEL and its rebuilds, SUSE.

Form of a package's header in the database (rpm docs/manual/format_header.md): two counts, both
big-endian, entries of 16 bytes (tag, type, offset, count), and the data that they point into. Read
are NAME, EPOCH, VERSION, RELEASE, ARCH, SOURCERPM. Example of a version: `1:3.0.7-27.el9_4`; an
epoch of 0 is not written. Rules: a package without name, version or release is damage, never
skipped; imported keys (`gpg-pubkey`) are no packages. The same name may be there in several
versions (kernels) and architectures.

Left out: whether rpm's own digests of a header hold (`rpm -V` looks at those), and of which module
stream a package is.
"""

import re
from collections.abc import Iterable, Iterator
from struct import Struct

from answerable.inventory import rpmdb
from answerable.inventory.installed import Found, Installed, Unreadable, gathered
from answerable.inventory.tree import Tree

DATABASE = 1 << 30
"""Largest database file, bytes."""
ENTRIES = 65_536
"""Most entries of one header."""
PACKAGES = 200_000
"""Most packages of one root."""
FOLDERS = ("usr/lib/sysimage/rpm", "var/lib/rpm", "usr/share/rpm")
"""Where databases lie, the newest place first."""
_COUNTS, _ENTRY = Struct(">II"), Struct(">IIII")
_NAME, _VERSION, _RELEASE, _EPOCH, _ARCH, _SOURCE = 1000, 1001, 1002, 1003, 1022, 1044
_INT32, _STRING = 4, 6
_TAGS = {_NAME: _STRING, _VERSION: _STRING, _RELEASE: _STRING, _EPOCH: _INT32, _ARCH: _STRING,
         _SOURCE: _STRING}  # fmt: skip
_KEYS = "gpg-pubkey"
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+~^-]{0,254}")
_SOURCE_RPM = re.compile(r"(.+)-([^-]+-[^-]+)\.(?:no)?src\.rpm")


def found(tree: Tree, ecosystem: str) -> Found:
    """Read what is installed in a root.

    Raises:
        Unreadable: no database, or a damaged one.
    """
    packages = [row for blob in _blobs(tree) for row in read(blob, ecosystem)]
    if not packages:
        raise Unreadable(f"the rpm database of `{tree}` holds no package")
    return gathered(packages)


def present(tree: Tree) -> bool:
    """Tell whether a root has an rpm database."""
    kept = {"rpmdb.sqlite", "Packages.db", "Packages"}
    return any(kept & set(tree.names(folder)) for folder in FOLDERS)


def _blobs(tree: Tree) -> Iterator[bytes]:
    for folder in FOLDERS:
        names = tree.names(folder)
        for name in ("rpmdb.sqlite", "Packages.db", "Packages"):
            data = tree.read(f"{folder}/{name}", DATABASE) if name in names else None
            if data is not None:
                log = tree.read(f"{folder}/{name}-wal", DATABASE) or b""
                return _limited(_form(name, data, log))
    raise Unreadable(f"`{tree}` has no rpm database in `{FOLDERS[0]}` or `{FOLDERS[1]}`")


def _form(name: str, data: bytes, log: bytes) -> Iterator[bytes]:
    if name == "rpmdb.sqlite":
        return rpmdb.sqlite_blobs(data, log)
    return rpmdb.ndb_blobs(data) if name == "Packages.db" else rpmdb.bdb_blobs(data)


def _limited(blobs: Iterable[bytes]) -> Iterator[bytes]:
    for count, blob in enumerate(blobs, 1):
        if count > PACKAGES:
            raise Unreadable(f"an rpm database of more than {PACKAGES} packages")
        yield blob


def read(blob: bytes, ecosystem: str) -> Iterator[Installed]:
    """Read the header of one package; nothing for an imported key.

    Raises:
        Unreadable: it is damaged.
    """
    fields = header(blob)
    name, version, release = (fields.get(tag, "") for tag in (_NAME, _VERSION, _RELEASE))
    if name == _KEYS:
        return
    for word in (name, version, release):
        if not _WORD.fullmatch(word):
            raise Unreadable(f"a package without a sound name or version: `{name[:64]!r}`")
    epoch = f"{fields[_EPOCH]}:" if fields.get(_EPOCH, "0") != "0" else ""
    whole, source = f"{epoch}{version}-{release}", _SOURCE_RPM.fullmatch(fields.get(_SOURCE, ""))
    made = epoch + source[2] if source else whole
    yield Installed(
        ecosystem, name, whole, fields.get(_ARCH, "")[:32], source[1] if source else name,
        source_version="" if made == whole else made,
    )  # fmt: skip


def header(blob: bytes) -> dict[int, str]:
    """Read the entries of a header that are needed, as text.

    Raises:
        Unreadable: an entry points out of the data.
    """
    if len(blob) < _COUNTS.size:
        raise Unreadable("a header cut short")
    entries, length = _COUNTS.unpack_from(blob)
    start = _COUNTS.size + entries * _ENTRY.size
    if entries > ENTRIES or start + length != len(blob):
        raise Unreadable("a header of another length than it says")
    fields = dict[int, str]()
    for at in range(_COUNTS.size, start, _ENTRY.size):
        tag, kind, offset, count = _ENTRY.unpack_from(blob, at)
        if tag not in _TAGS:
            continue
        if kind != _TAGS[tag] or offset >= length or count != 1 or tag in fields:
            raise Unreadable(f"entry {tag} of a header is of another form")
        fields[tag] = _value(blob, start + offset, kind)
    return fields


def _value(blob: bytes, at: int, kind: int) -> str:
    if kind == _INT32:
        if at + 4 > len(blob):
            raise Unreadable("a number of a header is cut short")
        return str(int.from_bytes(blob[at : at + 4], "big"))
    end = blob.find(b"\0", at)
    if end < 0:
        raise Unreadable("a text of a header has no end")
    return blob[at:end].decode(errors="replace")
