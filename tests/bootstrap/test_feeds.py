"""Each party builds its sources from its own settings, or says what they lack."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from answerable.bootstrap.feeds import demands, sources
from answerable.config import NotConfigured, Party
from answerable.feeds.documents.fetch import Folder, Http
from answerable.feeds.proven import Expected
from answerable.feeds.source import Unusable
from answerable.feeds.sources.curated import Curated
from answerable.feeds.sources.debian import Debian
from answerable.feeds.sources.published import Published
from answerable.feeds.sources.pypi import Wheelhouse
from answerable.feeds.sources.rpm import Rpm
from answerable.kernel.charter import Charter
from tests.feeds.test_provenance import root
from tests.simulator import constitution

SUITES = [
    {"name": "bookworm", "url": "http://deb.example/debian", "max_age": 9, "base": True},
    {"name": "bookworm-security", "folder": "/srv/mirror", "max_age": 5, "component": "contrib"},
]
DEBIAN = {"kind": "debian", "ecosystem": "debian:12", "keyring": "/k.gpg", "arch": "amd64",
          "suites": SUITES}  # fmt: skip

RPM = {"kind": "rpm", "ecosystem": "rocky:9", "keyring": "/k.gpg", "arch": "x86_64",
       "repositories": [
           {"name": "baseos", "url": "https://rpm.example/9/BaseOS", "max_age": 9},
           {"name": "epel", "folder": "/srv/epel", "max_age": 5, "keyring": "/e.gpg"},
       ]}  # fmt: skip
APPLICATION = {"kind": "application", "wheelhouse": "/srv/wheels", "facts": "/srv/facts.json"}


def _party(folder: Path) -> Party:
    return Party(folder, "guard", "g1", "team", "", "", {})


def _sources(folder: Path, **given: Any) -> Any:  # noqa: ANN401
    found = sources(given, _party(folder), httpx.Client(), lambda: False)
    return [each.source for each in found]


def test_suites_come_from_addresses_or_folders(tmp_path: Path) -> None:
    """A guard may look at the archive itself, another at a mirror that was carried to it."""
    (found,) = _sources(tmp_path, **DEBIAN)
    assert isinstance(found, Debian)
    base, security = found.suites
    assert isinstance(base.fetch, Http)
    assert isinstance(security.fetch, Folder)
    assert (base.base, base.max_age, base.component, base.arch) == (True, 9, "main", "amd64")
    assert (security.base, security.component) == (False, "contrib")


def test_repositories_may_have_keys_of_their_own(tmp_path: Path) -> None:
    """Whoever signs additional packages cannot sign the distribution's."""
    (found,) = _sources(tmp_path, **RPM)
    assert isinstance(found, Rpm)
    base, more = found.repositories
    assert isinstance(base.fetch, Http)
    assert isinstance(more.fetch, Folder)
    assert (base.name, base.keyring, base.max_age) == ("baseos", Path("/k.gpg"), 9)
    assert (more.keyring, found.ecosystem, found.arch) == (Path("/e.gpg"), "rocky:9", "x86_64")


def test_applications_have_wheels_and_a_file_of_facts(tmp_path: Path) -> None:
    """Both are this party's own."""
    wheels, facts = _sources(
        tmp_path, kind="application", wheelhouse="/srv/wheels", facts="/srv/facts.json"
    )
    assert isinstance(wheels, Wheelhouse)
    assert isinstance(facts, Curated)
    assert (facts.fetch.place, facts.path) == ("/srv", "facts.json")


def test_a_published_feed_reads_this_partys_own_world(tmp_path: Path) -> None:
    """Whoever names no publication has no world, and such a feed would find nothing for ever."""
    feed = {"kind": "published", "ecosystem": "pypi", "wheelhouse": "/srv/wheels"}
    with pytest.raises(NotConfigured, match="needs `publications`"):
        _sources(tmp_path, **feed)
    party = replace(_party(tmp_path), settings={"publications": [{"name": "kev", "kind": "kev"}]})
    _, found = (s.source for s in sources(feed, party, httpx.Client(), lambda: False))
    assert isinstance(found, Published)
    assert (found.worlds.home, found.ecosystem) == (tmp_path / "worlds", "pypi")


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


def _with_provenance(folder: Path, **changes: Any) -> Any:  # noqa: ANN401
    place = folder / "root.json"
    place.write_bytes(root())
    given = {
        "root": str(place),
        "sha256": hashlib.sha256(root()).hexdigest(),
        "bundles": str(folder),
        "identities": {"waitress": {"issuer": "https://i", "identity": "a@b.c"}},
    }
    feed = {**APPLICATION, "provenance": {**given, **changes}}
    return sources(feed, _party(folder), httpx.Client(), lambda: True)


def test_provenance_is_checked_by_a_judge(tmp_path: Path) -> None:
    """Its trust root is the pinned one, its bundles lie where the settings say."""
    wheels, _ = _with_provenance(tmp_path)
    assert wheels.evidence.bundles.place == str(tmp_path)
    assert wheels.evidence.identities == {"waitress": Expected("https://i", "a@b.c")}
    assert wheels.demanded()


def test_a_trust_root_that_was_swapped_stops_the_feed(tmp_path: Path) -> None:
    """A pinned hash that is not the file's is an error at the start."""
    with pytest.raises(Unusable, match="forged"):
        _with_provenance(tmp_path, sha256="0" * 64)


@pytest.mark.parametrize("lost", ["root", "sha256", "bundles", "identities"])
def test_provenance_is_configured_whole(tmp_path: Path, lost: str) -> None:
    """Half a configuration checks nothing, so it is none."""
    place, sha256 = tmp_path / "root.json", hashlib.sha256(root()).hexdigest()
    place.write_bytes(root())
    given = {"root": str(place), "sha256": sha256, "bundles": "b", "identities": {}}
    del given[lost]
    feed = {**APPLICATION, "provenance": given}
    with pytest.raises(NotConfigured, match=lost):
        sources(feed, _party(tmp_path), httpx.Client(), lambda: False)


def test_a_charter_demands_provenance_of_a_feed() -> None:
    """Of the one that it names, and of no other."""
    body = constitution.charter()
    body["feeds"] = {"app": {"max_age": 9, "provenance": "required"}, "debian": {"max_age": 9}}
    law = Charter(body, "")
    assert [demands(law, feed) for feed in ("app", "debian", "else")] == [True, False, False]
