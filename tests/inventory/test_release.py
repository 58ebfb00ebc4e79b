"""Which release a root is."""

from pathlib import Path

import pytest

from answerable.inventory.installed import Unreadable
from answerable.inventory.release import ecosystem, of
from answerable.inventory.tree import Folder


@pytest.mark.parametrize(
    ("name", "version", "expected"),
    [
        ("debian", "12", "debian:12"),
        ("Debian", "12.15", "debian:12"),
        ("debian", "bookworm", "debian:12"),
        ("ubuntu", "22.04", "ubuntu:22.04"),
        ("almalinux", "9.4", "almalinux:9"),
        ("redhat", "8.4", "redhat:8"),
        ("amzn", "2023", "amazon:2023"),
        ("alpine", "v3.19.1", "alpine:3.19"),
        ("opensuse.leap", "15.5", "opensuse-leap:15.5"),
        ("opensuse-tumbleweed", "20241120", "opensuse-tumbleweed:rolling"),
        ("sles", "15", "sles:15.0"),
        ("sle_hpc", "15.3", "sles:15.3"),
        ("debian", "sid", ""),
        ("de bian", "12", ""),
    ],
)
def test_a_release_is_spelled_as_feeds_do(name: str, version: str, expected: str) -> None:
    """As much of the number is kept as advisories tell apart."""
    assert ecosystem(name, version) == expected


def test_a_root_says_which_it_is(tmp_path: Path) -> None:
    """Quotes are a shell's; a root without a number is asked for, not guessed."""
    file = tmp_path / "usr/lib/os-release"
    file.parent.mkdir(parents=True)
    file.write_text("NAME='Rocky Linux'\nID=\"rocky\"\nVERSION_ID='9.3'\n# more\n")
    assert of(Folder(tmp_path)) == "rocky:9"
    file.write_text("ID=debian\nPRETTY_NAME=sid\n")
    with pytest.raises(Unreadable, match="name one"):
        of(Folder(tmp_path))


def test_no_root_is_unreadable(tmp_path: Path) -> None:
    """An empty folder is no system."""
    with pytest.raises(Unreadable):
        of(Folder(tmp_path))
