"""The machine's own sources are read as apt reads them; nothing about it is assumed."""

from pathlib import Path

import pytest

from answerable.demo.distribution import NoDistribution, sources, this_machine

ONE_LINE = """\
# deb http://off.example/debian trixie main
deb http://one.example/debian trixie main contrib # here
deb [arch=amd64 signed-by=/k.gpg] http://sec.example/debian-security/ trixie-security main
deb-src http://src.example/debian trixie main
deb http://other.example/apt stable extras
"""
STANZAS = """\
# a comment
Types: deb deb-src
URIs: http://two.example/ubuntu/
Suites: noble noble-updates
# another
Components: main universe

Types: deb
URIs: http://sec.example/ubuntu
Suites:
  noble-security
Components: main
Signed-By:
 -----BEGIN PGP PUBLIC KEY BLOCK-----
 .
 abc

Enabled: no
Types: deb
URIs: http://off.example/ubuntu
Suites: noble
Components: main
"""


def _root(folder: Path, release: str, **files: str) -> Path:
    (folder / "etc/apt/sources.list.d").mkdir(parents=True)
    (folder / "etc/os-release").write_text(release)
    for name, text in files.items():
        (folder / "etc/apt/sources.list.d" / name.replace("_", ".")).write_text(text)
    for family in ("debian", "ubuntu"):
        keyring = folder / f"usr/share/keyrings/{family}-archive-keyring.gpg"
        keyring.parent.mkdir(parents=True, exist_ok=True)
        keyring.touch()
    return folder


def test_one_line_sources(tmp_path: Path) -> None:
    """Options, comments, sources and other components are told apart."""
    assert list(sources(_root(tmp_path, "", a_list=ONE_LINE, b_save=STANZAS))) == [
        ("http://one.example/debian", "trixie"),
        ("http://sec.example/debian-security", "trixie-security"),
    ]


def test_stanza_sources(tmp_path: Path) -> None:
    """Several suites, folded values, embedded keys and switched-off stanzas are read."""
    assert list(sources(_root(tmp_path, "", a_sources=STANZAS))) == [
        ("http://two.example/ubuntu", "noble"),
        ("http://two.example/ubuntu", "noble-updates"),
        ("http://sec.example/ubuntu", "noble-security"),
    ]


@pytest.mark.needs("apt")
def test_distribution_is_put_together(tmp_path: Path) -> None:
    """Name, release, suites and keyring come from the machine."""
    release = 'ID=debian\nVERSION_ID="13"\nVERSION_CODENAME=trixie\n'
    found = this_machine(_root(tmp_path, release, a_list=ONE_LINE))
    assert (found.ecosystem, found.main.uri) == ("debian:13", "http://one.example/debian")
    assert found.security.name == "trixie-security"


@pytest.mark.parametrize(
    "release", ["ID=fedora\nVERSION_CODENAME=x\n", "ID=debian\nVERSION_CODENAME=sid\n", ""]
)
def test_what_cannot_be_used_is_named(tmp_path: Path, release: str) -> None:
    """Another family, or a release without the suites, is said and not guessed around."""
    with pytest.raises(NoDistribution):
        this_machine(_root(tmp_path, release, a_list=ONE_LINE))
