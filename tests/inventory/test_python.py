"""Packages of a Python environment."""

import contextlib
import importlib.metadata
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.inventory.installed import Unreadable
from answerable.inventory.python import installed
from tests.feeds.mangle import mangled

METADATA = b"Metadata-Version: 2.1\nName: Zope.Interface\nVersion: 5.4.0\n\nVersion: 9\nbody\n"


def _put(root: Path, name: str, data: bytes) -> None:
    folder = root / "lib/python3.11/site-packages" / f"{name}.dist-info"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "METADATA").write_bytes(data)


def test_metadata_is_read(tmp_path: Path) -> None:
    """Name and version come from the head of METADATA, normalised; the body says nothing."""
    _put(tmp_path, "zope", METADATA)
    (row,) = installed(tmp_path)
    assert (row.package, row.version, row.arch) == ("zope-interface", "5.4.0", "cp311")


def test_one_project_twice_is_unreadable(tmp_path: Path) -> None:
    """Nobody could say what an upgrade of it would replace."""
    _put(tmp_path, "one", METADATA)
    _put(tmp_path, "two", METADATA.replace(b"Zope.Interface", b"zope_interface"))
    with pytest.raises(Unreadable):
        installed(tmp_path)


@pytest.mark.parametrize(
    "data", [b"", b"Name: x\n\n", b"Name: x\nVersion: soon\n\n", b"Name: ../x\nVersion: 1\n\n"]
)
def test_damaged_metadata_is_unreadable(tmp_path: Path, data: bytes) -> None:
    """A project without a version is no project without flaws."""
    _put(tmp_path, "x", data)
    with pytest.raises(Unreadable):
        installed(tmp_path)


def test_a_folder_without_environment_is_unreadable(tmp_path: Path) -> None:
    """An empty directory is no environment with nothing in it."""
    with pytest.raises(Unreadable):
        installed(tmp_path)


def test_the_environment_of_the_tests_is_read() -> None:
    """What is read is what the interpreter itself finds installed."""
    rows = {row.package: row.version for row in installed(Path(sys.prefix))}
    for name in ("cryptography", "pytest", "httpx"):
        assert rows[name] == importlib.metadata.version(name)


@pytest.mark.fuzz
@given(st.binary(max_size=300) | mangled(METADATA))
def test_any_metadata_is_a_package_or_unreadable(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """Untrusted bytes cause `Unreadable` and nothing else."""
    root = tmp_path_factory.getbasetemp() / "fuzzed"
    _put(root, "x", data)
    with contextlib.suppress(Unreadable):
        installed(root)
