"""Headers of RPM: their tags or `Damaged`, and no path that leads elsewhere or costs too much."""

from struct import pack

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.observe import rpmheader
from answerable.observe.rpmheader import Damaged, Header, Tag
from tests.host.transaction.rpms import header, package
from tests.kernel.near import near_bytes

GOOD = header(package(epoch=2))


def test_tags_are_read() -> None:
    """Version with its epoch, architecture, paths without the root."""
    found = Header(GOOD)
    assert (found.text(Tag.NAME), found.version, found.text(Tag.ARCH)) == (
        "tool",
        "2:2-1",
        "noarch",
    )
    assert list(found.paths()) == [
        "usr/bin/tool", "usr/bin/t", "usr/share/tool", "etc/tool.conf", "var/lib/ghost"
    ]  # fmt: skip
    assert Header(header(package(epoch=0))).version == "2-1"
    assert found.texts(Tag.CAPABILITIES) == []


def test_tag_twice_and_of_another_kind_is_damage() -> None:
    """Attack: two names in one header, so that two readers see two packages."""
    name = pack(">IIII", Tag.NAME, 6, 0, 1)
    twice = pack(">II", 2, 2) + name * 2 + b"a\0"
    other = pack(">II", 1, 2) + pack(">IIII", Tag.NAME, 4, 0, 1) + b"a\0"
    for blob in (twice, other, GOOD[:-1], GOOD + b"x", b""):
        with pytest.raises(Damaged):
            Header(blob)


@pytest.mark.parametrize("folder", ["/usr/../etc/", "usr/bin/", "", "/x" * 300])
def test_paths_lead_nowhere_else(folder: str) -> None:
    """Attack: a path that is none below the root."""
    with pytest.raises(Damaged, match="leads elsewhere"):
        list(Header(header({1116: [0], 1117: ["x"], 1118: [folder]})).paths())


def test_long_folder_of_many_files_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attack: a small header whose paths fill the memory."""
    found = Header(header({1116: [0] * 50, 1117: ["x"] * 50, 1118: [f"/{'y' * 4_000}/"]}))
    monkeypatch.setattr(rpmheader, "LISTED", 0)
    assert len(list(found.paths())) == 50
    with pytest.raises(Damaged, match="too long"):
        list(found.paths(100_000))
    with pytest.raises(Damaged, match="do not fit"):
        list(Header(header({1116: [1], 1117: ["x"], 1118: ["/"]})).paths())


@given(near_bytes(GOOD) | st.binary(max_size=200))
def test_nothing_else_leaves_it(blob: bytes) -> None:
    """Whatever the bytes, there is an answer or `Damaged`."""
    try:
        found = Header(blob)
        assert found.version
        assert all(".." not in path.split("/") for path in found.paths())
        found.raw(Tag.DESCRIPTION)
    except Damaged:
        return
