"""Databases of rpm, in the forms in which it has kept them."""

import sqlite3
from pathlib import Path
from struct import pack
from zlib import adler32

from answerable.inventory.rpmdb import bdb_blobs
from tests.inventory.generated import sample

BLOBS = sorted(bdb_blobs(sample("Packages.xz")), key=len)
"""Four headers as rpm itself wrote them."""


def header(**fields: str | int) -> bytes:
    """Make a header of these tags (`t1000="bash"`)."""
    entries, data = b"", b""
    for name, value in fields.items():
        raw = pack(">I", value) if isinstance(value, int) else value.encode() + b"\0"
        kind = 4 if isinstance(value, int) else 6
        entries += pack(">IIII", int(name[1:]), kind, len(data), 1)
        data += raw
    return pack(">II", len(fields), len(data)) + entries + data


def sqlite(file: Path, blobs: list[bytes]) -> bytes:
    """Write a `rpmdb.sqlite` and give its bytes."""
    store = sqlite3.connect(file)
    store.execute("create table Packages (hnum integer primary key, blob blob not null)")
    store.executemany("insert into Packages (blob) values (?)", [(blob,) for blob in blobs])
    store.commit()
    store.close()
    return file.read_bytes()


def ndb(blobs: list[bytes], pages: int = 1) -> bytes:
    """Give a `Packages.db`, as lib/backend/ndb/rpmpkg.c writes one."""
    slots, body, at = b"", b"", pages * 256
    for index, blob in enumerate(blobs, 1):
        count = (16 + len(blob) + 12 + 15) // 16
        head = pack("<4sIII", b"BlbS", index, 1, len(blob)) + blob
        head += bytes(count * 16 - len(head) - 12)
        body += head + pack("<II4s", adler32(head), len(blob), b"BlbE")
        slots += pack("<4sIII", b"Slot", index, at, count)
        at += count
    slots += pack("<4sIII", b"Slot", 0, 0, 0) * (pages * 256 - 2 - len(blobs))
    return pack("<4sIIII12x", b"RpmP", 0, 1, pages, len(blobs) + 1) + slots + body
