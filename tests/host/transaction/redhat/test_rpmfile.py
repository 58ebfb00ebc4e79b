"""What a .rpm ships is read from its header, and what no package should hold is refused."""

import contextlib
import io
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.host.driver import ArtefactDiffers
from answerable.host.transaction.redhat import rpmheader
from answerable.host.transaction.redhat.rpmfile import read_head, read_rpm
from answerable.host.transaction.redhat.rpmheader import Damaged, Header, Tag
from tests.host.rpms import File, build
from tests.host.transaction.rpms import Value, header, package, rpm
from tests.kernel.near import near_bytes

GOOD = rpm(package())


def test_files_are_read_with_hash_mode_owner_and_link() -> None:
    """Each file by its path; what is only named (`%ghost`) is not shipped."""
    found = read_head(io.BytesIO(GOOD))
    assert (found.name, found.version, found.arch) == ("tool", "2-1", "noarch")
    assert list(found.files) == ["/usr/bin/tool", "/usr/bin/t", "/usr/share/tool", "/etc/tool.conf"]
    assert found.conffiles == {"/etc/tool.conf"}
    tool = found.files["/usr/bin/tool"]
    assert (tool.kind, tool.mode, tool.owner) == ("file", 0o755, ("root", "root"))
    assert (tool.sha256, tool.attributes) == (sha256(b"two").hexdigest(), ())
    assert found.files["/usr/bin/t"].target == "tool"
    assert found.effect == {
        "arch": "noarch", "header": found.header, "is": "package", "name": "tool", "version": "2-1",
    }  # fmt: skip


@pytest.mark.needs("rpmbuild")
@pytest.mark.parametrize("payload", ["w9.gzdio", "w6.xzdio", "w3.zstdio"])
def test_real_packages_are_read_whatever_packs_them(tmp_path: Path, payload: str) -> None:
    """A package that rpmbuild built, with an epoch, hard links and capabilities."""
    files = {
        "/usr/bin/a": File(b"same", 0o755), "/usr/bin/b": File(twin="/usr/bin/a", mode=0o755),
        "/usr/bin/c": File(b"c", 0o4755, "%caps(cap_net_raw,cap_net_admin=ep)"),
        "/usr/share/d": File(folder=True, mode=0o750), "/usr/share/e": File(mark="%ghost"),
    }  # fmt: skip
    macros = [f"_binary_payload {payload}"]
    made = build(tmp_path, "trial", "1", files, lines=["Epoch: 3"], macros=macros)
    found = read_rpm(made[1])
    assert (found.name, found.version) == ("trial", "3:1-1")
    assert found.files["/usr/bin/a"] == found.files["/usr/bin/b"]
    assert found.files["/usr/bin/a"].sha256 == sha256(b"same").hexdigest()
    assert found.files["/usr/bin/c"].mode == 0o4755
    capable = (("security.capability", "0100000200300000000000000000000000000000"),)
    assert found.files["/usr/bin/c"].attributes == capable
    assert (found.files["/usr/share/d"].kind, found.files["/usr/share/d"].mode) == ("dir", 0o750)
    assert "/usr/share/e" not in found.files


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "not a binary package"),
        (b"!<arch>\ndebian-binary" * 9, "not a binary package"),
        (GOOD[:7] + b"\1" + GOOD[8:], "not a binary package"),
        (GOOD[:96] + bytes(16) + GOOD[112:], "no header"),
        (GOOD[:-400], "another length"),
        (rpm(package(), digest="0" * 64), "SHA-256 of its header"),
        (rpm(package(), digest="")[: len(GOOD) - 8] + b"x", "SHA-256 of its header"),
    ],
)
def test_other_bytes_are_refused(data: bytes, said: str) -> None:
    """Another file, a source package, a cut or a changed header."""
    with pytest.raises(ArtefactDiffers, match=said):
        read_head(io.BytesIO(data))


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"modes": [0o020644, 0o120777, 0o040755, 0o100644, 0o100644]}, "no file, folder or link"),
        ({"base_names": ["..", "t", "tool", "tool.conf", "ghost"]}, "strange path"),
        ({"base_names": ["a\nb", "t", "tool", "tool.conf", "ghost"]}, "strange path"),
        ({"base_names": ["a" * 5000, "t", "tool", "tool.conf", "ghost"]}, "strange path"),
        ({"folders": ["etc/", "usr/", "usr/share/", "var/"]}, "strange path"),
        ({"base_names": ["t", "t", "tool", "tool.conf", "ghost"]}, "twice"),
        ({"users": ["root"]}, "without all of their marks"),
        ({"folder_of": [9, 9, 9, 9, 9]}, "do not fit"),
        ({"digest_kind": 1}, "by SHA-256"),
        ({"old_files": ["/usr/bin/tool"]}, "rpm 3"),
        ({"name": "../tool"}, "sound name"),
        ({"source": ""}, "source package"),
        ({"capabilities": ["=ep", "", "", "", "cap_evil=ep"]}, "no capability"),
    ],
)
def test_strange_packages_are_refused(more: dict[str, Value], said: str) -> None:
    """What no package should hold, or what this reader would read otherwise than rpm does."""
    with pytest.raises(ArtefactDiffers, match=said):
        read_head(io.BytesIO(rpm(package() | {Tag[tag.upper()]: more[tag] for tag in more})))


def test_tags_twice_and_tags_of_another_type_are_damage() -> None:
    """One reader may take the first and another the last: a package has each tag once."""
    blob = header({Tag.NAME: "a", Tag.VERSION: "b"})
    with pytest.raises(Damaged, match="another form"):
        Header(blob.replace((1001).to_bytes(4, "big"), (1000).to_bytes(4, "big")))
    with pytest.raises(Damaged, match="another form"):
        Header(header({Tag.NAME: [1]}))
    with pytest.raises(Damaged, match="no end"):
        Header(header({Tag.NAME: "a"})[:-1] + b"b").text(Tag.NAME)


def test_sizes_have_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header that says it is huge is refused before it is read."""
    monkeypatch.setattr(rpmheader, "DATA", 64)
    with pytest.raises(ArtefactDiffers, match="too large"):
        read_head(io.BytesIO(GOOD))


@pytest.mark.fuzz
@given(near_bytes(GOOD) | st.binary(max_size=300))
def test_damaged_packages_are_refused(data: bytes) -> None:
    """Any damage ends in an answer or in `ArtefactDiffers`."""
    with contextlib.suppress(ArtefactDiffers):
        read_head(io.BytesIO(data))


@pytest.mark.fuzz
@given(near_bytes(header(package())) | st.binary(max_size=300))
def test_damaged_headers_are_refused(data: bytes) -> None:
    """A header of the database: an answer, or `Damaged`."""
    with contextlib.suppress(Damaged):
        found = Header(data)
        rpmheader.paths(found)
        rpmheader.version(found)


def test_a_long_folder_of_many_files_is_damage(monkeypatch: pytest.MonkeyPatch) -> None:
    """A header of a few megabytes would otherwise take all memory, as whole paths."""
    monkeypatch.setattr(rpmheader, "DATA", 4000)
    folder = "/" + "d" * 1000 + "/"
    tags: dict[int, Value] = {
        Tag.FOLDERS: [folder],
        Tag.FOLDER_OF: [0] * 4,
        Tag.BASE_NAMES: ["a", "b"] * 2,
    }
    with pytest.raises(Damaged, match="one long folder"):
        rpmheader.paths(Header(header(tags)))
