"""What crosses an air gap in one file is read as strictly as it is written."""

import contextlib
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.feeds.mirror.crate import _END, BLOCK, Crate, _header, pack
from answerable.feeds.source import State, Unusable
from tests.feeds.fakes import MemoryFetch
from tests.kernel.near import near_bytes

FILES = {"metadata/1.root.json": b"{}", "targets/worlds/x/y.z": b"A" * 1000, "targets/empty": b""}


def _packed(file: Path, files: dict[str, bytes] | None = None) -> bytes:
    files = FILES if files is None else files
    pack(file, MemoryFetch(files), [(name, len(data)) for name, data in files.items()])
    return file.read_bytes()


def _state(file: Path, data: bytes) -> State | None:
    file.write_bytes(data)
    try:
        crate = Crate(file)
    except Unusable as failure:
        return failure.state
    assert crate.place == str(file)
    return None


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    """Every document comes out, up to the limit that is asked for."""
    _packed(tmp_path / "x")
    crate = Crate(tmp_path / "x")
    for name, data in FILES.items():
        assert crate.get(name, len(data)) == data
    with pytest.raises(Unusable, match="oversized"):
        crate.get("targets/worlds/x/y.z", 999)
    with pytest.raises(Unusable, match="missing"):
        crate.get("targets/worlds/x", 999)


def test_the_same_documents_make_the_same_bytes(tmp_path: Path) -> None:
    """Two people can compare one hash over the telephone."""
    turned = dict(reversed(FILES.items()))
    assert _packed(tmp_path / "x") == _packed(tmp_path / "y", turned)


def test_tar_lists_it(tmp_path: Path) -> None:
    """A crate is a plain tar file for whoever wants to look."""
    _packed(tmp_path / "x")
    listed = subprocess.run(
        ["tar", "-tf", tmp_path / "x"], capture_output=True, text=True, check=True
    ).stdout.split()
    assert listed == sorted(FILES)


def test_a_document_of_another_length_is_not_packed(tmp_path: Path) -> None:
    """A crate is whole, or there is none."""
    with pytest.raises(Unusable, match="mixed"):
        pack(tmp_path / "x", MemoryFetch({"a": b"12"}), [("a", 3)])
    with pytest.raises(Unusable, match="oversized"):
        pack(tmp_path / "x", MemoryFetch({"a": b"12"}), [("a", 1)])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("cut", [0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 5 * BLOCK, -1, -BLOCK])
def test_a_crate_that_was_cut_is_truncated(tmp_path: Path, cut: int) -> None:
    """A stick that was pulled too early is found out at once."""
    assert _state(tmp_path / "y", _packed(tmp_path / "x")[:cut]) == State.TRUNCATED


def _entry(name: str, data: bytes = b"", **changes: tuple[int, bytes]) -> bytes:
    block = bytearray(_header(name, len(data)))
    for at, put in changes.values():
        block[at : at + len(put)] = put
    return bytes(block) + data + bytes(-len(data) % BLOCK)


@pytest.mark.parametrize(
    ("entries", "state"),
    [
        ([_entry("../x")], State.MALFORMED),
        ([_entry("/etc/passwd")], State.MALFORMED),
        ([_entry("a"), _entry("a")], State.MALFORMED),
        ([_entry("b"), _entry("a")], State.MALFORMED),
        ([_entry("a", kind=(156, b"2"), to=(157, b"/etc/passwd"))], State.MALFORMED),
        ([_entry("a", mode=(100, b"0004755"))], State.MALFORMED),
        ([_entry("a", size=(124, b"77777777777"))], State.MALFORMED),
        ([_entry("a", size=(124, b"\x80\0\0\0\xff"))], State.MALFORMED),
        ([_header("a", 1 << 30)], State.TRUNCATED),
        ([b"\xff" * BLOCK], State.MALFORMED),
        ([_entry("a"), _END, b"more"], State.TRUNCATED),
    ],
)
def test_what_export_does_not_write_is_not_read(
    tmp_path: Path, entries: list[bytes], state: State
) -> None:
    """No link, no device, no path out of the folder, no second entry of one name, nothing after."""
    assert _state(tmp_path / "y", b"".join(entries) + _END) == state


def test_a_crate_that_is_not_there(tmp_path: Path) -> None:
    """The stick is not in."""
    with pytest.raises(Unusable, match="missing"):
        Crate(tmp_path / "x")


GOOD = b"".join(_entry(name, data) for name, data in sorted(FILES.items())) + _END


@pytest.mark.fuzz
@given(near_bytes(GOOD) | st.binary(max_size=2000))
def test_any_bytes_are_refused_or_read(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """Untrusted bytes cause `Unusable` and nothing else."""
    file = tmp_path_factory.getbasetemp() / "any.crate"
    file.write_bytes(data)
    with contextlib.suppress(Unusable):
        crate = Crate(file)
        for name in FILES:
            with contextlib.suppress(Unusable):
                crate.get(name, 2000)
