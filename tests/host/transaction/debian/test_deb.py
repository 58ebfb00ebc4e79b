"""What a .deb ships is read to the byte, and what no package should hold is refused."""

import contextlib
import io
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.host.driver import ArtefactDiffers
from answerable.host.transaction.debian.deb import read_control, read_deb, read_fields, read_files
from tests.host.debs import build
from tests.host.transaction.debs import sha, tar

GOOD = tar(("./", None), ("./usr/", None), ("./usr/tool", b"bytes"))


def test_files_are_read_with_hash_mode_and_owner() -> None:
    """Each member by its absolute path."""
    found = read_files(io.BytesIO(GOOD))
    assert list(found) == ["/", "/usr", "/usr/tool"]
    tool = found["/usr/tool"]
    assert (tool.kind, tool.mode, tool.owner) == ("file", 0o755, ("root", "root"))
    assert tool.sha256 == sha(b"bytes")


@pytest.mark.needs("apt")
def test_real_package_is_read(tmp_path: Path) -> None:
    """A package that dpkg-deb built gives its fields."""
    made = read_deb(build(tmp_path, "trial", "1")[1])
    assert (made.name, made.fields["Version"], list(made.files)) == ("trial", "1", ["/"])
    (tmp_path / "evil.deb").write_bytes(b"!<arch>\nno package")
    with pytest.raises(ArtefactDiffers):
        read_deb(tmp_path / "evil.deb")


@pytest.mark.parametrize(
    "name", ["./../etc/passwd", "./a/./b", "./a//b", "./a\nb", "./" + "a" * 5000]
)
def test_strange_paths_are_refused(name: str) -> None:
    """A path that means another place than it says is no path."""
    with pytest.raises(ArtefactDiffers, match="strange"):
        read_files(io.BytesIO(tar((name, b"x"))))


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE])
def test_devices_and_dangling_links_are_refused(kind: bytes) -> None:
    """A package brings files, folders and links."""
    with pytest.raises(ArtefactDiffers):
        read_files(io.BytesIO(tar(("./dev/x", b""), kind=kind)))


def test_fields_of_a_stanza() -> None:
    """Further lines belong to their field."""
    assert read_fields("A: 1\nB: x\n y\n z\n") == {"A": "1", "B": "x\n y\n z"}


@pytest.mark.fuzz
@given(st.data())
def test_damaged_streams_are_refused(data: st.DataObject) -> None:
    """Any damage to a tar stream ends in an answer or in `ArtefactDiffers`."""
    bytes_ = bytearray(GOOD)
    for _ in range(data.draw(st.integers(0, 6))):
        bytes_[data.draw(st.integers(0, len(bytes_) - 1))] = data.draw(st.integers(0, 255))
    cut = bytes(bytes_[: data.draw(st.integers(0, len(bytes_)))])
    for read in (read_files, read_control):
        with contextlib.suppress(ArtefactDiffers):
            read(io.BytesIO(cut))
