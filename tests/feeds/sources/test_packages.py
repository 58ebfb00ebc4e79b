"""The package index: unpacking within limits, and reading what was asked for."""

import contextlib
import gzip
import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.feeds.source import State, Unusable
from answerable.feeds.sources.packages import fields, read, unpack
from tests.feeds.mangle import mangled
from tests.feeds.real import KEYRING, needs_data, packed, unpacked

STANZA = (
    b"Package: libssl3\nSource: openssl (3.0.22-1)\nVersion: 3.0.22-1+b1\nArchitecture: amd64\n"
    b"Pre-Depends: dpkg\nDepends: libc6 (>= 2.34),\n debconf (>= 0.5) | debconf-2.0\n"
    b"Filename: pool/o/libssl3.deb\nSize: 7\nSHA256: " + b"a" * 64 + b"\n"
)
OTHER = STANZA.replace(b"libssl3", b"openssl").replace(b"3.0.22-1+b1", b"3.0.22-1")
ALIEN = STANZA.replace(b"libssl3", b"bash").replace(b"Source: openssl (3.0.22-1)\n", b"")
INDEX = STANZA + b"\n" + OTHER + b"\n" + ALIEN


def _state(data: bytes, asked: str = "libssl3") -> State:
    with pytest.raises(Unusable) as failure:
        read(data, [asked], "suite", base=True)
    return failure.value.state


def test_a_package_is_read_with_its_sources_others() -> None:
    """What is asked for comes with the packages of the same source, and no others."""
    first, second = read(INDEX, ["libssl3"], "suite", base=True)
    assert (first.package, second.package) == ("libssl3", "openssl")
    assert (first.source, first.source_version, first.version) == (
        "openssl",
        "3.0.22-1",
        "3.0.22-1+b1",
    )
    assert first.needs == ("dpkg", "libc6 (>= 2.34)", "debconf (>= 0.5) | debconf-2.0")
    assert first.base


def test_an_index_without_packages_is_empty() -> None:
    """Nothing in the index is a state of its own, never "nothing to patch"."""
    assert _state(b"") is State.EMPTY
    assert _state(b"Hello: world\n\nMore: of it\n") is State.EMPTY


def test_a_package_that_is_not_there_gives_nothing() -> None:
    """An index that holds other packages is no failure."""
    assert read(INDEX, ["nginx"], "suite", base=True) == []


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"Size: 7", b"Size: many"),
        (b"a" * 64, b"a" * 63),
        (b"pool/o/libssl3.deb", b"../../etc/passwd"),
        (b"pool/o/libssl3.deb", b"/etc/passwd"),
        (b"3.0.22-1+b1", b"; rm -rf /"),
        (b"Source: openssl (3.0.22-1)", b"Source: openssl (not a version!)"),
    ],
)
def test_a_stanza_with_a_bad_field_spoils_the_index(old: bytes, new: bytes) -> None:
    """Half an index does not pass for a whole one."""
    assert _state(STANZA.replace(old, new)) is State.MALFORMED


def test_the_first_of_two_fields_counts() -> None:
    """A field given twice cannot say two things."""
    assert fields(b"A: 1\nA: 2\n more\nB: 3")["A"] == "1"


@pytest.mark.parametrize("pack", [lzma.compress, gzip.compress])
def test_unpacking_stops_at_the_limit(pack: "type[bytes]") -> None:
    """A small file that unpacks to a huge one is cut off, not swallowed."""
    data = pack(bytes(1_000_000))
    name = "Packages.xz" if data[:1] == b"\xfd" else "Packages.gz"
    assert len(unpack(data, name, 1_000_000)) == 1_000_000
    with pytest.raises(Unusable) as failure:
        unpack(data, name, 999_999)
    assert failure.value.state is State.OVERSIZED
    with pytest.raises(Unusable) as failure:
        unpack(data[:-20], name, 2_000_000)
    assert failure.value.state is State.TRUNCATED


@pytest.mark.fuzz
@given(st.binary(max_size=400) | mangled(lzma.compress(INDEX)) | mangled(gzip.compress(INDEX)))
def test_unpacking_any_bytes_ends(data: bytes) -> None:
    """Untrusted packed bytes cause `Unusable` and nothing else."""
    for name in ("Packages.xz", "Packages.gz"):
        with contextlib.suppress(Unusable):
            unpack(data, name, 4096)


@pytest.mark.fuzz
@given(st.binary(max_size=400) | mangled(INDEX))
def test_reading_any_bytes_ends(data: bytes) -> None:
    """Untrusted bytes cause `Unusable` and nothing else."""
    with contextlib.suppress(Unusable):
        read(data, ["libssl3", "bash"], "suite", base=False)


@needs_data
def test_a_real_index_is_read_whole() -> None:
    """Debian's own security index gives openssl and its siblings, and hashes as signed."""
    data = unpack(packed("bookworm-security.main.amd64.Packages"), "Packages.xz", 64 << 20)
    found = {b.package: b for b in read(data, ["openssl"], "security", base=False)}
    assert {"openssl", "libssl3", "libssl-dev"} <= found.keys()
    assert any("libssl3 (>=" in need for need in found["openssl"].needs)
    assert KEYRING.is_file()


@needs_data
@pytest.mark.fuzz
@given(st.integers(0, 20_000))
def test_a_real_index_cut_anywhere_is_never_empty_handed(size: int) -> None:
    """A truncated index is read as far as it goes or is unusable; nothing else happens."""
    data = unpacked("bookworm-updates.main.amd64.Packages")
    with contextlib.suppress(Unusable):
        read(data[: min(size, len(data))], ["tzdata", "clamav"], "updates", base=False)
