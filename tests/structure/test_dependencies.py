"""Every package that we stand on is named, locked by hash, and has a reason."""

import re
import tomllib

from tests.structure.source import ROOT

_PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
_LOCK = (ROOT / "requirements.lock").read_text("utf-8")


def _direct() -> set[str]:
    groups = [_PROJECT["project"]["dependencies"], *_PROJECT["dependency-groups"].values()]
    names = (re.match(r"[A-Za-z0-9._-]+", word) for group in groups for word in group)
    return {match[0].lower() for match in names if match}


def test_each_dependency_is_locked() -> None:
    """The lock file was written after the last dependency was added (`make lock`)."""
    locked = set(re.findall(r"^([a-z0-9._-]+)==", _LOCK, re.MULTILINE))
    assert _direct() <= locked


def test_each_locked_package_has_hashes_and_no_address() -> None:
    """What is installed is what was looked at, wherever it is fetched from."""
    stanzas = [s for s in re.split(r"^(?=[a-z0-9])", _LOCK, flags=re.MULTILINE) if s]
    assert [s for s in stanzas if "--hash=sha256:" not in s] == []
    assert "://" not in _LOCK


def test_each_dependency_has_its_reason() -> None:
    """A dependency that nobody can explain is not kept."""
    table = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
    assert {name for name in _direct() if f"| `{name}` |" not in table} == set()
