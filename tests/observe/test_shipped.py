"""An observer reads packages itself, whatever packs them; nothing but `CannotRead` leaves it."""

import io
from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.observe.shipped import CannotRead, read
from tests.kernel.near import near_bytes
from tests.observe.packages import LIBRARY, PACK, deb, wheel

CODE = sha256(b"new code").hexdigest()
WHEEL = wheel({"x/a.py": "a = 1", "x-1.dist-info/RECORD": "x/a.py,,",
               "x-1.dist-info/METADATA": "Name: x", "x-1.data/scripts/x": "#!python"})  # fmt: skip


@pytest.mark.parametrize("packing", PACK)
def test_deb_is_read(packing: str) -> None:
    """Files by their content, links by their target, hard links as the file that they name."""
    found = read(io.BytesIO(deb(conffiles="/etc/ssl/openssl.cnf\n", packing=packing)))
    assert found.files["usr/lib/x/libssl.so.3"] == found.files["usr/lib/x/same.so"] == CODE
    assert found.files["usr/lib/x/libssl.so"] == "-> libssl.so.3"
    assert set(found.files) == set(LIBRARY)
    assert found.conffiles == {"etc/ssl/openssl.cnf"}


def test_wheel_is_read_without_what_installers_rewrite() -> None:
    """RECORD and scripts are written anew by whoever installs."""
    found = read(io.BytesIO(WHEEL))
    assert set(found.files) == {"x/a.py", "x-1.dist-info/METADATA"}


@pytest.mark.parametrize(
    "data",
    [
        b"", b"neither", deb()[:-100], deb().replace(b"data.tar.xz", b"data.tar.q "),
        deb({"../etc/passwd": b"x"}), wheel({"../x": "x"}), deb({"a": "= nowhere"}),
    ],
)  # fmt: skip
def test_what_is_no_package_cannot_be_read(data: bytes) -> None:
    """Bytes that are no whole package, or whose names lead elsewhere, are no table."""
    with pytest.raises(CannotRead):
        read(io.BytesIO(data))


@given(near_bytes(deb(packing=""), deb(packing=".gz"), WHEEL) | st.binary(max_size=200))
def test_nothing_else_leaves_it(data: bytes) -> None:
    """Whatever the bytes, there is an answer or `CannotRead`."""
    try:
        read(io.BytesIO(data))
    except CannotRead:
        return
