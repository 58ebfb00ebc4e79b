"""Small .rpms and rpm databases made by hand, byte for byte, without any tool of rpm's."""

import sqlite3
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from struct import pack

from answerable.host.transaction.redhat.rpmheader import Tag

MAGIC = b"\x8e\xad\xe8\x01\0\0\0\0"
LEAD = b"\xed\xab\xee\xdb\3\0\0\0" + bytes(88)
Value = str | int | Sequence[str] | Sequence[int]
_NARROW = {int(Tag.MODES): (3, "H")}


def header(tags: Mapping[int, Value]) -> bytes:
    """Make a header: texts, lists of texts, numbers and lists of numbers by tag."""
    entries, data = b"", b""
    for tag, value in sorted(tags.items()):
        kind, raw, count = _entry(tag, value)
        entries += pack(">IIII", tag, kind, len(data), count)
        data += raw
    return pack(">II", len(tags), len(data)) + entries + data


def _entry(tag: int, value: Value) -> tuple[int, bytes, int]:
    if isinstance(value, str):
        return 6, value.encode() + b"\0", 1
    values = [value] if isinstance(value, int) else list(value)
    if values and isinstance(values[0], str):
        return 8, b"".join(str(text).encode() + b"\0" for text in values), len(values)
    kind, letter = _NARROW.get(tag, (4, "I"))
    return kind, pack(f">{len(values)}{letter}", *values), len(values)


def package(name: str = "tool", version: str = "2", **more: Value) -> dict[int, Value]:
    """Give the tags of a package with a program, a link, a folder and some configuration."""
    rows: list[tuple[str, str, int, str, str, int]] = [
        ("/usr/bin/", "tool", 0o100755, sha256(b"two").hexdigest(), "", 0),
        ("/usr/bin/", "t", 0o120777, "", "tool", 0),
        ("/usr/share/", "tool", 0o040755, "", "", 0),
        ("/etc/", "tool.conf", 0o100644, sha256(b"new").hexdigest(), "", 17),
        ("/var/lib/", "ghost", 0o100644, "", "", 64),
    ]
    folders = sorted({row[0] for row in rows})
    tags: dict[int, Value] = {
        Tag.NAME: name, Tag.VERSION: version, Tag.RELEASE: "1", Tag.ARCH: "noarch",
        Tag.SOURCE: f"{name}-{version}-1.src.rpm", Tag.FOLDERS: folders,
        Tag.FOLDER_OF: [folders.index(row[0]) for row in rows],
        Tag.BASE_NAMES: [row[1] for row in rows], Tag.MODES: [row[2] for row in rows],
        Tag.DIGESTS: [row[3] for row in rows], Tag.LINKS: [row[4] for row in rows],
        Tag.FLAGS: [row[5] for row in rows], Tag.TIMES: [1_795_000_000] * len(rows),
        Tag.USERS: ["root"] * len(rows), Tag.GROUPS: ["root"] * len(rows), Tag.DIGEST_KIND: 8,
    }  # fmt: skip
    return tags | {Tag[word.upper()]: value for word, value in more.items()}


def rpm(tags: Mapping[int, Value], digest: str = "") -> bytes:
    """Make a .rpm up to its payload."""
    main = MAGIC + header(tags)
    signed = header({Tag.SHA256_HEADER: digest or sha256(main).hexdigest(), 1004: "other"})
    return LEAD + MAGIC + signed + bytes(-len(signed) % 8) + main + b"payload"


def database(root: Path, *packages: Mapping[int, Value]) -> Path:
    """Write a database of these packages below a root; give its file."""
    file = root / "var/lib/rpm/rpmdb.sqlite"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with sqlite3.connect(file) as store:
        store.execute("create table Packages (hnum integer primary key autoincrement, blob blob)")
        for tags in packages:
            digest = sha256(MAGIC + header(tags)).hexdigest()
            blob = header({**tags, Tag.SHA256_HEADER: digest})
            store.execute("insert into Packages (blob) values (?)", (blob,))
    store.close()
    return file
