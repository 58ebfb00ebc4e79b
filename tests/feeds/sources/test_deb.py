"""The changelog inside a .deb, which is opened but not believed."""

import contextlib
import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from answerable.feeds.source import CHANGELOG, State, Unusable
from answerable.feeds.sources.deb import changelog, gunzip
from tests.feeds.archive import deb
from tests.feeds.mangle import mangled

CONTROL = "Package: x\nVersion: 1\nArchitecture: all\n"
DEBIAN = "./usr/share/doc/x/changelog.Debian.gz"
NATIVE = "./usr/share/doc/x/changelog.gz"
GOOD = deb({"./usr/bin/x": b"x" * 2000, DEBIAN: gzip.compress(b"of Debian", mtime=0)}, CONTROL)


def _write(folder: Path, data: bytes) -> Path:
    file = folder / "x.deb"
    file.write_bytes(data)
    return file


@pytest.mark.parametrize("pack", ["xz", "gz"])
def test_the_debian_changelog_is_found(tmp_path: Path, pack: str) -> None:
    """Debian's changelog is preferred to the upstream one, whatever packs the archive."""
    files = {NATIVE: gzip.compress(b"upstream"), DEBIAN: gzip.compress(b"of Debian")}
    assert changelog(_write(tmp_path, deb(files, CONTROL, pack))) == b"of Debian"


def test_a_native_package_has_one_changelog(tmp_path: Path) -> None:
    """Without a Debian changelog the package's own is taken."""
    files = {"./a": b"", NATIVE: gzip.compress(b"native")}
    assert changelog(_write(tmp_path, deb(files, CONTROL))) == b"native"


def test_a_package_without_one_says_so(tmp_path: Path) -> None:
    """No changelog is an answer, not a failure."""
    assert changelog(_write(tmp_path, deb({"./a": b"b"}, CONTROL))) is None


def test_a_long_name_is_read(tmp_path: Path) -> None:
    """Names beyond the header's hundred letters are found too."""
    name = f"./usr/share/doc/{'n' * 120}/changelog.Debian.gz"
    assert changelog(_write(tmp_path, deb({name: gzip.compress(b"long")}, CONTROL))) == b"long"


def test_other_paths_are_not_taken(tmp_path: Path) -> None:
    """A changelog elsewhere is not the package's word."""
    files = {f"./tmp/{DEBIAN}": gzip.compress(b"1"), f"{DEBIAN}.d/x": gzip.compress(b"2")}
    assert changelog(_write(tmp_path, deb(files, CONTROL))) is None


def test_a_changelog_that_unpacks_too_far_is_oversized() -> None:
    """A bomb in the changelog is cut off."""
    with pytest.raises(Unusable) as failure:
        gunzip(gzip.compress(bytes(CHANGELOG + 1)), "x")
    assert failure.value.state is State.OVERSIZED


@pytest.mark.fuzz
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=600) | mangled(GOOD))
def test_any_bytes_end_in_an_answer_or_a_state(tmp_path: Path, data: bytes) -> None:
    """Untrusted packages cause `Unusable` and nothing else."""
    with contextlib.suppress(Unusable):
        assert changelog(_write(tmp_path, data)) in (None, b"of Debian")


@pytest.mark.fuzz
@given(st.binary(max_size=600) | mangled(gzip.compress(b"of Debian" * 100)))
def test_any_packed_changelog_ends_in_an_answer_or_a_state(data: bytes) -> None:
    """Untrusted packed text causes `Unusable` and nothing else."""
    with contextlib.suppress(Unusable):
        gunzip(data, "x")
