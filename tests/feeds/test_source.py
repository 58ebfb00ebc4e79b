"""What every source keeps, whatever it reads: one conformance test for all adapters."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from answerable.feeds.candidate import Candidate, propose
from answerable.feeds.documents.blobs import Blobs
from answerable.feeds.documents.fetch import Folder
from answerable.feeds.facts import Artefact, read
from answerable.feeds.source import Source, Unusable
from answerable.feeds.sources.curated import Curated
from answerable.feeds.sources.debian import Debian, Suite
from answerable.feeds.sources.published import Published
from answerable.feeds.sources.pypi import Listing, Wheelhouse
from answerable.feeds.world import Worlds
from tests.feeds.archive import DAY, NOW, Archive, entry
from tests.feeds.fakes import MemoryFetch, MemorySource, advisory, artefact
from tests.feeds.sources.test_curated import TEXT
from tests.feeds.sources.test_pypi import DATA, GOOD, LISTING
from tests.feeds.worlds import document, given, span

Made = tuple[Source, str]
"""A source, and a package that it knows."""


def _memory(folder: Path) -> Made:
    return MemorySource([advisory(), artefact(), advisory("bash")]), "openssl"


def _curated(folder: Path) -> Made:
    (folder / "facts.json").write_bytes(TEXT)
    return Curated(Folder(folder), "facts.json"), "waitress"


def _published(folder: Path) -> Made:
    worlds = Worlds(folder / "worlds")
    worlds.build(given(document("osv", [span()], NOW)), NOW)
    return Published(worlds, "pypi"), "flask"


def _wheelhouse(folder: Path) -> Made:
    (folder / GOOD).write_bytes(DATA)
    return Wheelhouse(folder), "flask-thing"


def _listing(folder: Path) -> Made:
    index = {f"{name}/": LISTING for name in ("flask-thing", "unknown-package")}
    files = MemoryFetch({"packages/ab/" + GOOD: DATA}, "https://files.test")
    fetch = MemoryFetch(index, "https://index.test/simple")
    return Listing(fetch, files, Blobs(folder / "blobs")), "flask-thing"


def _debian(folder: Path) -> Made:
    archive = Archive(folder / "mirror")
    log = entry("bash", "5.2-2", "bookworm-security", "high", "CVE-2026-0001")
    archive.add("bookworm", "bash", "5.2-2", changelog=log)
    archive.publish("bookworm", NOW)
    suite = Suite("bookworm", Folder(archive.root), "main", "amd64", DAY, base=True)
    blobs = Blobs(folder / "blobs")
    return Debian("debian:12", (suite,), archive.keyring(), blobs), "bash"


ADAPTERS = [_memory, _curated, _published, _wheelhouse, _listing, _debian]
adapters = pytest.mark.parametrize("make", ADAPTERS, ids=lambda make: make.__name__[1:])
Make = Callable[[Path], Made]


@adapters
def test_facts_are_about_what_was_asked_for_and_can_be_read(make: Make, tmp_path: Path) -> None:
    """Each fact is in its one spelling, within the kernel's bounds, and about a package asked."""
    source, package = make(tmp_path)
    found = source.collect([package], NOW)
    assert found.facts
    assert all(read(fact.text) == fact for fact in found.facts)
    assert {fact.package for fact in found.facts} == {package}
    assert found.origins


@adapters
def test_asking_twice_gives_the_same(make: Make, tmp_path: Path) -> None:
    """Two fetches of the same documents make the same candidate."""
    source, package = make(tmp_path)
    first, second = (propose("feed", [source], [package], NOW) for _ in range(2))
    assert isinstance(first, Candidate)
    assert first == second


@adapters
def test_nothing_is_said_about_others(make: Make, tmp_path: Path) -> None:
    """A package that the source does not know gives no fact."""
    source, _ = make(tmp_path)
    assert source.collect(["unknown-package"], NOW).facts == ()


@adapters
def test_artefacts_that_are_stated_can_be_obtained(make: Make, tmp_path: Path) -> None:
    """A source that states an artefact and keeps it gives exactly its bytes."""
    source, package = make(tmp_path)
    for fact in source.collect([package], NOW).facts:
        if isinstance(fact, Artefact) and not isinstance(source, MemorySource):
            place = source.obtain(fact)
            assert place is not None
            assert len(place.read_bytes()) == fact.size


@pytest.mark.parametrize("damage", ["remove", "empty", "garbage"])
@adapters
def test_a_damaged_source_is_unusable(make: Make, tmp_path: Path, damage: str) -> None:
    """Documents that vanish, empty or change into something else give a state, never no facts."""
    source, package = make(tmp_path)
    if isinstance(source, MemorySource | Listing):
        return
    for file in tmp_path.rglob("*"):
        if file.is_file() and "keyring" not in file.name and damage == "remove":
            file.unlink()
        elif file.is_file() and "keyring" not in file.name:
            file.write_bytes(b"" if damage == "empty" else gzip.compress(json.dumps(7).encode()))
    if isinstance(source, Wheelhouse) and damage != "remove":
        return
    with pytest.raises(Unusable):
        source.collect([package], NOW)
