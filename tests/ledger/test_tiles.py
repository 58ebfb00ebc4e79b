"""Paths and bytes of tiles are those of c2sp.org/tlog-tiles, in one spelling each."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.errors import Refused
from answerable.ledger.tiles import (
    ENTRIES,
    SIZE,
    TileName,
    levels,
    pack_bundle,
    parse_tile,
    read_bundle,
    read_tile,
    row,
)
from tests.fakes.ledger_store import MemoryStore
from tests.ledger.logs import entry, fill

names = st.builds(
    TileName,
    st.integers(ENTRIES, 63),
    st.one_of(st.integers(0, 2_000_000), st.integers(0, SIZE)),
    st.integers(1, 256),
)


def test_the_specs_examples() -> None:
    """Index 1234067 and a tree of 70,000 look as the specification says."""
    assert TileName(0, 1_234_067).path() == "tile/0/x001/x234/067"
    assert TileName(ENTRIES, 0, 1).path() == "tile/entries/000.p/1"
    widths = {level: [name.width for name in row(level, 70_000)] for level in levels(70_000)}
    assert widths == {0: [256] * 273 + [112], 1: [256, 17], 2: [1]}
    assert {level: [name.width for name in row(level, 256)] for level in levels(256)} == {
        0: [256],
        1: [1],
    }
    assert [*levels(0)] == []


@given(names)
def test_every_name_is_read_back(name: TileName) -> None:
    """What is spelled is read as the same tile."""
    assert parse_tile(name.path()) == name


@pytest.mark.parametrize(
    "path",
    [
        "", "tile", "tile/0", "tile/0/", "tile/0/0", "tile/0/00", "tile/0/0000", "tile/00/000",
        "tile/64/000", "tile/-1/000", "tile/0/x000/000", "tile/0/x000", "tile/0/001/002",
        "tile/0/000.p/0", "tile/0/000.p/256", "tile/0/000.p/01", "tile/0/000.p/", "tile/0/000.p",
        "tile/0/000/", "/tile/0/000", "tile//000", "tile/entry/000", "tile/0/../0/000",
        "tile/0/\u0661\u0662\u0663", "tile/0/x\u0661\u0661\u0661/000", "tile/0/000\n",
        "tile/0/" + "x999/" * 9 + "999",
    ],
)  # fmt: skip
def test_no_second_spelling(path: str) -> None:
    """A path that a file system or proxy could read differently is no tile."""
    with pytest.raises(Refused) as refusal:
        parse_tile(path)
    assert refusal.value.reason == "malformed"


@pytest.mark.fuzz
@given(st.text())
def test_any_text_is_a_tile_or_refused(text: str) -> None:
    """No path makes anything but a tile or a refusal."""
    try:
        assert parse_tile(text).path() == text
    except Refused as refusal:
        assert refusal.reason == "malformed"  # noqa: PT017


@given(st.lists(st.binary(max_size=300), min_size=1, max_size=256))
def test_bundles_are_read_back(entries: list[bytes]) -> None:
    """A bundle gives back its entries, also empty ones."""
    assert read_bundle(pack_bundle(entries), len(entries)) == entries


@pytest.mark.fuzz
@given(st.binary(max_size=600), st.integers(1, 256))
def test_any_bytes_are_a_bundle_or_refused(data: bytes, width: int) -> None:
    """A bundle cut short, extended or made up is refused and nothing else."""
    try:
        assert pack_bundle(read_bundle(data, width)) == data
    except Refused as refusal:
        assert refusal.reason == "malformed"  # noqa: PT017


def test_reading_from_a_store() -> None:
    """A store serves full tiles, each width of a partial one, and nothing past its size."""
    store = MemoryStore()
    fill(store, 300)
    assert len(read_tile(store, "tile/0/000", 300)) == 8_192
    assert read_tile(store, "tile/0/000.p/5", 300) == store.tile(0, 0)[: 5 * 32]
    assert read_tile(store, "tile/0/001.p/44", 300) == store.tile(0, 1)
    assert read_tile(store, "tile/1/000.p/1", 300) == store.tile(1, 0)
    assert read_tile(store, "tile/entries/001.p/2", 300) == pack_bundle([entry(256), entry(257)])
    for path in ("tile/0/001", "tile/0/001.p/45", "tile/1/000.p/2", "tile/2/000.p/1",
                 "tile/entries/001", "tile/63/000.p/1"):  # fmt: skip
        with pytest.raises(Refused):
            read_tile(store, path, 300)
