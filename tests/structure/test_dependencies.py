"""Every package that we stand on is named, locked by hash, and has a reason."""

import re
import tomllib

import pytest

from tests.structure.source import ROOT

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
_LOCK = (ROOT / "requirements.lock").read_text("utf-8")
_DEV = (ROOT / "requirements-dev.lock").read_text("utf-8")
_PINNED = re.compile(r"^([a-z0-9._-]+==[^ \n]+)", re.MULTILINE)


def _direct() -> set[str]:
    groups = [_PROJECT["project"]["dependencies"], *_PROJECT["dependency-groups"].values()]
    words = (word for group in groups for word in group if isinstance(word, str))
    names = (re.match(r"[A-Za-z0-9._-]+", word) for word in words)
    return {match[0].lower() for match in names if match}


def test_each_dependency_is_locked() -> None:
    """The lock file was written after the last dependency was added (`make lock`)."""
    locked = {pin.partition("==")[0] for pin in _PINNED.findall(_DEV)}
    assert _direct() <= locked


def test_tests_run_what_users_run() -> None:
    """What a user installs is pinned to the very versions that the tests ran with."""
    assert set(_PINNED.findall(_LOCK)) <= set(_PINNED.findall(_DEV))


@pytest.mark.parametrize("lock", [_LOCK, _DEV], ids=["requirements", "requirements-dev"])
def test_each_locked_package_has_hashes_and_no_address(lock: str) -> None:
    """What is installed is what was looked at, wherever it is fetched from."""
    stanzas = [s for s in re.split(r"^(?=[a-z0-9])", lock, flags=re.MULTILINE) if s]
    assert [s for s in stanzas if "--hash=sha256:" not in s] == []
    assert "://" not in lock


def test_each_dependency_has_its_reason() -> None:
    """A dependency that nobody can explain is not kept."""
    table = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    assert {name for name in _direct() if f"| `{name}` |" not in table} == set()
