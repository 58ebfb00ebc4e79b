"""Paths of tiles have one spelling, and a bundle comes apart only if it is one."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.witness.tiles import SPAN, read_path, split_bundle, tile_path


@pytest.mark.parametrize(
    ("level", "number", "width", "path"),
    [
        ("0", 0, 256, "tile/0/000"),
        ("0", 273, 112, "tile/0/273.p/112"),
        ("1", 1234067, 256, "tile/1/x001/x234/067"),
        ("entries", 1000, 1, "tile/entries/x001/000.p/1"),
    ],
)
def test_paths_are_those_of_the_specification(
    level: str, number: int, width: int, path: str
) -> None:
    """The examples of c2sp.org/tlog-tiles are spelt and read so."""
    assert tile_path(level, number, width) == path
    assert read_path(path) == (-1 if level == "entries" else int(level), number, width)


@pytest.mark.parametrize(
    "path",
    [
        "tile/00/000", "tile/64/000", "tile/0/0", "tile/0/x000/000", "tile/0/001/000",
        "tile/0/000.p/256", "tile/0/000.p/0", "tile/0/000.p/01", "tile/0/000/", "tile/0/../head",
        "tile/entries/000\n", "checkpoint", "tile/-1/000", "tile/0/x001/000.p/999", "",
        "tile/0/" + "x001/" * 6 + "000",
    ],
)  # fmt: skip
def test_other_spellings_are_no_path(path: str) -> None:
    """A tile has one address, so a cache holds it once and nobody walks out of the mirror."""
    assert read_path(path) is None


@given(st.binary(max_size=2000))
def test_any_bytes_come_apart_or_are_no_bundle(data: bytes) -> None:
    """A bundle from the network is read without an exception, and loses no byte."""
    entries = split_bundle(data)
    if entries is not None:
        assert b"".join(len(e).to_bytes(2, "big") + e for e in entries) == data
        assert len(entries) <= SPAN


def test_bundle_of_too_many_entries_is_none() -> None:
    """A bundle that holds more than its place is refused."""
    assert split_bundle(bytes(2 * SPAN)) == [b""] * SPAN
    assert split_bundle(bytes(2 * SPAN + 2)) is None
