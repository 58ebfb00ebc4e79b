"""Capabilities of files: the words of a package, and the bytes that Linux keeps."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.host.driver import ArtefactDiffers
from answerable.host.transaction.redhat.rpmcaps import attribute


@pytest.mark.parametrize(
    ("words", "bytes_"),
    [
        ("cap_net_raw=ep", "0100000200200000000000000000000000000000"),
        ("cap_net_admin,cap_net_raw=ep", "0100000200300000000000000000000000000000"),
        ("cap_net_raw+p", "0000000200200000000000000000000000000000"),
        ("= cap_setuid+ep", "0100000280000000000000000000000000000000"),
        ("cap_bpf=ei", "0100000200000000000000000000000080000000"),
        ("cap_chown=p cap_kill+p cap_chown-p", "0000000220000000000000000000000000000000"),
        ("all=ep", "01000002ffffffff00000000ff01000000000000"),
    ],
)
def test_words_become_bytes(words: str, bytes_: str) -> None:
    """As setcap(8) of libcap writes them."""
    assert attribute(words) == bytes_


@pytest.mark.parametrize(
    "words", ["cap_evil=ep", "cap_net_raw", "CAP_NET_RAW=ep", "cap_kill=e", "cap_kill=p " * 9999]
)
def test_other_words_are_refused(words: str) -> None:
    """What is not known, or what a file cannot keep."""
    with pytest.raises(ArtefactDiffers):
        attribute(words)


@pytest.mark.fuzz
@given(st.text(alphabet="abcp_,=+-ei \n", max_size=60) | st.text(max_size=60))
def test_any_words_are_read_or_refused(words: str) -> None:
    """Twenty bytes, or a refusal."""
    with contextlib.suppress(ArtefactDiffers):
        assert len(attribute(words)) == 40
