"""Tar archives of strangers."""

import contextlib
import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.inventory.installed import Unreadable
from answerable.inventory.tar import HEADER, Tar
from tests.feeds.mangle import mangled
from tests.inventory.images import Entry, tar

LONG = "folder/" * 60 + "name"
ENTRIES: list[Entry] = [("a", None), ("a/file", b"x" * 700), ("./a/link", "/a/file"),
                        (LONG, b"long"), ("a/hard", "=a/file"), ("é/ü", b"")]  # fmt: skip


class Bytes:
    """Bytes as a stream."""

    def __init__(self, data: bytes) -> None:
        """Begin at their start."""
        self._data = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        """Give some."""
        return self._data.read(min(size, 333))

    def skip(self, size: int) -> None:
        """Pass over some."""
        if len(self._data.read(size)) != size:
            raise Unreadable("cut short")


def listed(data: bytes, limit: int = 1 << 20) -> list[tuple[str, str, bytes, str]]:
    """Read everything."""
    return [(m.name, m.kind, m.read(limit) if m.kind == "file" else b"", m.target)
            for m in Tar(Bytes(data)).members()]  # fmt: skip


@pytest.mark.parametrize("form", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_what_python_writes_is_read(form: int) -> None:
    """Long names, links and folders of both usual forms."""
    assert listed(tar(*ENTRIES, form=form)) == [
        ("a", "folder", b"", ""), ("a/file", "file", b"x" * 700, ""),
        ("a/link", "link", b"", "/a/file"), (LONG, "file", b"long", ""),
        ("a/hard", "hard", b"", "a/file"), ("é/ü", "file", b"", ""),
    ]  # fmt: skip


def test_names_and_prefixes_of_ustar_are_put_together() -> None:
    """The older form splits long names at a slash."""
    name = f"{'p' * 100}/{'n' * 90}"
    assert listed(tar((name, b"1"), form=tarfile.USTAR_FORMAT))[0][0] == name


def test_what_is_not_read_is_skipped() -> None:
    """Members that nobody asks for do not shift those after them."""
    assert [m.name for m in Tar(Bytes(tar(*ENTRIES))).members()][-1] == "é/ü"


@pytest.mark.parametrize("name", ["../x", "a/../../x", "a/..", "/../x"])
def test_a_name_that_climbs_out_is_refused(name: str) -> None:
    """Path traversal is refused, not repaired; a leading slash is only the root."""
    with pytest.raises(Unreadable, match="climbs out"):
        listed(tar((name, b"x")))
    assert listed(tar(("/etc/x", b"x")))[0][0] == "etc/x"


def test_headers_have_a_limit() -> None:
    """A pax header of a gigabyte is not read into memory."""
    head = bytearray(tar(("x" * 200, b""))[:512])
    head[124:136] = b"%011o\0" % (HEADER + 1)
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    with pytest.raises(Unreadable, match="header of more than"):
        listed(bytes(head) + b"x" * 4096)
    with pytest.raises(Unreadable, match="more than 4096 characters"):
        listed(tar(("x" * 5000, b"")))
    with pytest.raises(Unreadable, match="more than 10 bytes"):
        listed(tar(("x", b"x" * 11)), limit=10)


GOOD = tar(*ENTRIES)


@pytest.mark.parametrize("cut", [0, 1, 511, 512, 1024, 1500, 2048, len(GOOD) // 2])
def test_an_archive_without_its_end_is_unreadable(cut: int) -> None:
    """What is missing would be taken for not installed."""
    whole = GOOD.rstrip(b"\0")
    with pytest.raises(Unreadable):
        listed(whole[:cut])


def test_a_changed_header_ends_the_reading() -> None:
    """A header whose checksum does not hold is damage."""
    with pytest.raises(Unreadable, match="checksum"):
        listed(b"b" + GOOD[1:])


@pytest.mark.parametrize(
    "records", [b"5 path=x\n", b"x path=x\n", b"9 path=x\n9 ", b"99999999999999999999 a=b\n", b"\n"]
)
def test_a_pax_header_of_no_form_is_damage(records: bytes) -> None:
    """Lengths that lie are not followed."""
    head = bytearray(tar(("x", b"y" * len(records)))[:512])
    head[156:157] = b"x"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    with pytest.raises(Unreadable):
        listed(bytes(head) + records.ljust(512, b"\0") + GOOD)


@pytest.mark.fuzz
@given(st.binary(max_size=2000) | mangled(GOOD))
def test_any_bytes_are_members_or_unreadable(data: bytes) -> None:
    """Untrusted bytes cause `Unreadable` and nothing else."""
    with contextlib.suppress(Unreadable):
        listed(data)
