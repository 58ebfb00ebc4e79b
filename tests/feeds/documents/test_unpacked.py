"""Archives and packed files: within limits, and nothing in them is trusted."""

import gzip
import io
import lzma
import tarfile
import tempfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.feeds.documents import unpacked
from answerable.feeds.source import State, Unusable
from tests.feeds.mangle import mangled

FILES = {"a/CVE-1.json": b"{}", "b.json": b"[1]" * 400}


def zipped(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Give a zip."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", method) as file:
        file.mkdir("a")
        for name, data in files.items():
            file.writestr(name, data)
    return made.getvalue()


def tarred(files: dict[str, bytes], form: int = tarfile.PAX_FORMAT, mode: str = "w:gz") -> bytes:
    """Give a tar, packed."""
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode=mode, format=form) as file:  # type: ignore[call-overload]
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            file.addfile(info, io.BytesIO(data))
    return made.getvalue()


ZIP, TAR = zipped(FILES), tarred(FILES)


def members(data: bytes, folder: Path, limit: int = 10_000) -> dict[str, bytes] | None:
    """Give an archive's files."""
    file = folder / "archive"
    file.write_bytes(data)
    found = unpacked.members(file, "here", limit)
    return None if found is None else dict(found)


def state_of(data: bytes, folder: Path, limit: int = 10_000) -> State:
    """Give the state that an archive is refused with."""
    with pytest.raises(Unusable) as failure:
        members(data, folder, limit)
    return failure.value.state


@pytest.mark.parametrize(
    "data",
    [ZIP, zipped(FILES, zipfile.ZIP_STORED), TAR, tarred(FILES, tarfile.GNU_FORMAT),
     tarred(FILES, tarfile.USTAR_FORMAT, "w:xz"), tarred(FILES, mode="w")],
)  # fmt: skip
def test_each_archive_gives_its_files(data: bytes, tmp_path: Path) -> None:
    """Zip and tar, in each usual dialect, give names and bytes and no folders."""
    assert members(data, tmp_path) == FILES


def test_long_names_are_read(tmp_path: Path) -> None:
    """A name that does not fit a tar's header stands in a block before it."""
    files = {"x/" * 120 + "é.json": b"{}", "y.json": b"1"}
    assert members(tarred(files), tmp_path) == files
    assert members(tarred(files, tarfile.GNU_FORMAT), tmp_path) == files


def test_other_files_are_no_archives(tmp_path: Path) -> None:
    """A document that is none is told apart, packed or not."""
    assert members(b'{"id": 1}', tmp_path) is None
    assert members(gzip.compress(b'{"id": 1}' * 999), tmp_path) is None


@pytest.mark.parametrize("name", ["/etc/passwd", "../../x", "a/../../b", "c:/x", "a\\b"])
def test_a_name_that_climbs_is_refused(name: str, tmp_path: Path) -> None:
    """An archive whose member would land elsewhere is malformed, though nothing is written."""
    assert state_of(tarred({name: b"x"}), tmp_path) is State.MALFORMED
    if "\\" not in name:  # the zip writer mends this one by itself
        assert state_of(zipped({name: b"x"}), tmp_path) is State.MALFORMED


def test_two_members_of_one_name_are_refused(tmp_path: Path) -> None:
    """Readers disagree about which of two would count."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("a", "1")
        with pytest.warns(UserWarning, match="Duplicate"):
            file.writestr("a", "2")
    assert state_of(made.getvalue(), tmp_path) is State.MALFORMED


def test_a_member_above_the_limit_is_not_read(tmp_path: Path) -> None:
    """Neither a large member nor one that lies about its size is held."""
    assert state_of(ZIP, tmp_path, 100) is State.OVERSIZED
    assert state_of(TAR, tmp_path, 100) is State.OVERSIZED


def test_many_members_and_a_large_directory_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of members is limited before they are held in memory."""
    monkeypatch.setattr(unpacked, "MEMBERS", 1)
    assert state_of(ZIP, tmp_path) is State.OVERSIZED
    assert state_of(TAR, tmp_path) is State.OVERSIZED
    monkeypatch.setattr(unpacked, "MEMBERS", 10)
    monkeypatch.setattr(unpacked, "DIRECTORY", 10)
    assert state_of(ZIP, tmp_path) is State.OVERSIZED


def test_a_zip_bomb_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Many members that each stay below the limit do not add up to more than a document may."""
    monkeypatch.setattr(unpacked, "SMALL", 1 << 16)
    bomb = zipped({f"{n}.json": b" " * 9_000 for n in range(200)})
    assert members(bomb, tmp_path) is not None  # 250 times its size is still allowed
    monkeypatch.setattr(unpacked, "RATIO", 2)
    assert state_of(bomb, tmp_path) is State.OVERSIZED


def test_a_cut_archive_is_truncated_wherever_it_was_cut(tmp_path: Path) -> None:
    """No cut makes an archive of fewer members."""
    plain = tarred(FILES, mode="w").rstrip(b"\0")  # what pads it at its end may be missing
    for data, first in ((ZIP, 4), (TAR, 80), (plain, 600)):
        for at in (*range(first, len(data), 37), len(data) - 1):
            assert state_of(data[:at], tmp_path) is State.TRUNCATED


def test_an_encrypted_member_is_refused(tmp_path: Path) -> None:
    """What we cannot read is not passed over."""
    data = bytearray(ZIP)
    for at in (data.find(b"PK\x03\x04"), data.find(b"PK\x01\x02")):
        flags = at + (6 if data[at + 2] == 3 else 8)
        data[flags] |= 1
    while (at := data.find(b"PK\x01\x02", at + 1)) >= 0:
        data[at + 8] |= 1
    assert state_of(bytes(data), tmp_path) is State.MALFORMED


def test_two_streams_one_after_the_other_are_one_document(tmp_path: Path) -> None:
    """As the tools of gzip and xz read them."""
    for pack in (gzip.compress, lzma.compress):
        file = tmp_path / "x"
        file.write_bytes(pack(b"one ") + pack(b"two"))
        assert b"".join(unpacked.stream(file, "here")) == b"one two"


def test_pieces_are_small(tmp_path: Path) -> None:
    """However large a document is, it is held piece by piece."""
    file = tmp_path / "x"
    file.write_bytes(gzip.compress(bytes(3 << 20)))
    assert max(map(len, unpacked.stream(file, "here"))) <= unpacked.PIECE


@pytest.mark.fuzz
@given(mangled(ZIP) | mangled(TAR) | mangled(tarred(FILES, mode="w")) | st.binary(max_size=700))
def test_any_bytes_are_files_or_unusable(data: bytes) -> None:
    """Damaged archives cause `Unusable` and nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = members(data, Path(folder))
        except Unusable:
            return
    assert found is None or all(".." not in name.split("/") for name in found)
