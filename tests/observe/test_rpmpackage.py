"""What a .rpm ships: hashes, links and capabilities of its header; nothing but `CannotRead`."""

import io
import stat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.observe.rpmheader import Damaged
from answerable.observe.rpmpackage import capabilities
from answerable.observe.shipped import CannotRead, read
from tests.host.transaction.rpms import package, rpm
from tests.kernel.near import near_bytes

GOOD = rpm(package())


def test_rpm_is_read() -> None:
    """Files and links are shipped, folders and ghosts are named, the flags say what may differ."""
    found = read(io.BytesIO(GOOD))
    assert set(found.files) == {"usr/bin/tool", "usr/bin/t", "etc/tool.conf"}
    assert found.files["usr/bin/t"] == "-> tool"
    assert found.conffiles == {"etc/tool.conf"}
    assert found.named == {"usr/bin/tool", "usr/bin/t", "etc/tool.conf", "usr/share/tool",
                           "var/lib/ghost"}  # fmt: skip
    assert (found.spare, found.private) == (set(), set())


def test_what_may_be_left_out_or_unread() -> None:
    """Documentation and what may be missing are spare; what others may not read is private."""
    modes = [0o100750, 0o120777, 0o040700, 0o100600, 0o100644]
    found = read(io.BytesIO(rpm(package(modes=modes, flags=[2, 8, 0, 0, 64]))))
    assert found.spare == {"usr/bin/tool", "usr/bin/t"}
    assert found.private == {"usr/bin/tool", "etc/tool.conf"}
    assert stat.S_ISDIR(modes[2])


def test_what_the_packager_expects_to_change_is_the_hosts_own() -> None:
    """A file or link that rpm is not to verify may differ; one that it is to verify may not."""
    every = (1 << 32) - 1
    found = read(io.BytesIO(rpm(package() | {1045: [every - 1, every - 16, 0, every, 0]})))
    assert {"usr/bin/tool", "usr/bin/t", "etc/tool.conf"} <= set(found.conffiles)
    found = read(io.BytesIO(rpm(package() | {1045: [every - 16, every - 1, 0, every, 0]})))
    assert not {"usr/bin/tool", "usr/bin/t"} & set(found.conffiles)


def test_capabilities_stand_behind_the_hash() -> None:
    """Words of every form are the bytes that Linux keeps."""
    words = ["cap_net_raw=ep", "", "", "", ""]
    found = read(io.BytesIO(rpm(package(capabilities=words))))
    raw = "0100000200200000000000000000000000000000"
    assert found.files["usr/bin/tool"].split(" ")[1] == raw
    assert capabilities("= cap_net_raw+ep") == capabilities("cap_net_raw+eip cap_net_raw-i") == raw
    assert capabilities("cap_net_raw+p").startswith("00000002")
    assert capabilities("all=p")[8:16] == "ffffffff"
    assert capabilities("") == capabilities("=") == ""
    for other in ("cap_new=ep", "net raw", "cap_kill=e", "x" * 5_000):
        with pytest.raises(Damaged):
            capabilities(other)


@pytest.mark.parametrize(
    "data",
    [
        GOOD[:300], GOOD.replace(b"/usr/bin/", b"/usr/../x"),
        rpm(package(digest_kind=1)), rpm(package(modes=[0o100644])), rpm(package(source="")),
        rpm(package(base_names=["tool", "tool", "tool", "tool.conf", "ghost"])),
        rpm(package(digests=["", "", "", "", ""])),
    ],
)  # fmt: skip
def test_what_is_no_package_cannot_be_read(data: bytes) -> None:
    """Cut short, other paths, other hashes, columns of another length, a path twice."""
    with pytest.raises(CannotRead):
        read(io.BytesIO(data))


@given(near_bytes(GOOD) | st.binary(max_size=200))
def test_nothing_else_leaves_it(data: bytes) -> None:
    """Whatever the bytes, there is an answer or `CannotRead`."""
    try:
        read(io.BytesIO(data))
    except CannotRead:
        return
