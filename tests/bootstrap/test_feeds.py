"""Each party builds its sources from its own settings, or says what they lack."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from answerable.bootstrap.feeds import sources
from answerable.config import NotConfigured, Party
from answerable.feeds.curated import Curated
from answerable.feeds.debian import Debian
from answerable.feeds.fetch import Folder, Http
from answerable.feeds.pypi import Wheelhouse

SUITES = [
    {"name": "bookworm", "url": "http://deb.example/debian", "max_age": 9, "base": True},
    {"name": "bookworm-security", "folder": "/srv/mirror", "max_age": 5, "component": "contrib"},
]
DEBIAN = {"kind": "debian", "ecosystem": "debian:12", "keyring": "/k.gpg", "arch": "amd64",
          "suites": SUITES}  # fmt: skip


def _party(folder: Path) -> Party:
    return Party(folder, "guard", "g1", "team", "", "", {})


def _sources(folder: Path, **given: Any) -> Any:  # noqa: ANN401
    return sources(given, _party(folder), httpx.Client())


def test_suites_come_from_addresses_or_folders(tmp_path: Path) -> None:
    """A guard may look at the archive itself, another at a mirror that was carried to it."""
    (found,) = _sources(tmp_path, **DEBIAN)
    assert isinstance(found, Debian)
    base, security = found.suites
    assert isinstance(base.fetch, Http)
    assert isinstance(security.fetch, Folder)
    assert (base.base, base.max_age, base.component, base.arch) == (True, 9, "main", "amd64")
    assert (security.base, security.component) == (False, "contrib")


def test_applications_have_wheels_and_a_file_of_facts(tmp_path: Path) -> None:
    """Both are this party's own."""
    wheels, facts = _sources(
        tmp_path, kind="application", wheelhouse="/srv/wheels", facts="/srv/facts.json"
    )
    assert isinstance(wheels, Wheelhouse)
    assert isinstance(facts, Curated)
    assert (facts.fetch.place, facts.path) == ("/srv", "facts.json")


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({}, "`` is no kind"), ({"kind": "rumours"}, "`rumours` is no kind"),
        ({"kind": "application", "facts": "f"}, "lacks 'wheelhouse'"),
        ({**DEBIAN, "suites": [{"name": "bookworm"}]}, "lacks 'url'"),
        ({**DEBIAN, "suites": 7}, "lacks"),
        ({**DEBIAN, "suites": SUITES[1:]}, "exactly one suite with `base`"),
    ],
)  # fmt: skip
def test_what_is_missing_is_named(tmp_path: Path, given: dict[str, Any], named: str) -> None:
    """A misspelt setting is an error at the start and not a feed that finds nothing."""
    with pytest.raises(NotConfigured, match=named):
        _sources(tmp_path, **given)
