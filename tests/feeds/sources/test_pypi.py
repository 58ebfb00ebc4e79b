"""Wheels: from a folder, and from a listing."""

import contextlib
import hashlib
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.feeds.documents.blobs import Blobs
from answerable.feeds.facts import Artefact
from answerable.feeds.source import State, Unusable
from answerable.feeds.sources.pypi import Listing, Wheelhouse, normal, wheel
from tests.feeds.fakes import MemoryFetch
from tests.feeds.mangle import mangled

GOOD = "Flask_Thing-2.3.1-py3-none-any.whl"
DATA = b"a wheel"
SHA256 = hashlib.sha256(DATA).hexdigest()
FILE = {
    "filename": GOOD, "url": "https://files.test/packages/ab/" + GOOD, "size": len(DATA),
    "hashes": {"sha256": SHA256}, "yanked": False,
}  # fmt: skip
LISTING = json.dumps({"files": [FILE]}).encode()


def _listing(data: bytes, folder: Path) -> Listing:
    files = MemoryFetch({"packages/ab/" + GOOD: DATA}, "https://files.test")
    index = MemoryFetch({"flask-thing/": data}, "https://index.test/simple")
    return Listing(index, files, Blobs(folder))


def test_names_are_taken_apart_and_normalised() -> None:
    """A wheel's name says project, version and tag; another name says nothing."""
    assert wheel(GOOD) == ("flask-thing", "2.3.1", "py3-none-any")
    assert wheel("x-1-2build-cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64.whl") == (
        "x",
        "1",
        "cp311-abi3-manylinux_2_17_x86_64.manylinux2014_x86_64",
    )
    assert wheel("flask-2.3.1.tar.gz") is None
    assert wheel("../x-1-py3-none-any.whl") is None
    assert normal("Zope.Interface_x") == "zope-interface-x"


def test_a_wheelhouse_gives_what_it_holds(tmp_path: Path) -> None:
    """Wheels of the projects asked for are hashed; other platforms and projects are left out."""
    for name in (GOOD, "flask_thing-2.3.2-cp311-cp311-win_amd64.whl", "other-1-py3-none-any.whl"):
        (tmp_path / name).write_bytes(DATA)
    house = Wheelhouse(tmp_path)
    found = house.collect(["flask-thing", "missing"], 0)
    (fact,) = found.facts
    assert isinstance(fact, Artefact)
    assert (fact.package, fact.version, fact.sha256) == ("flask-thing", "2.3.1", SHA256)
    assert [gap.package for gap in found.gaps] == ["missing"]
    assert house.obtain(fact) == tmp_path / GOOD


def test_a_wheel_swapped_after_it_was_hashed_is_not_given_out(tmp_path: Path) -> None:
    """Bytes are hashed again when they are fetched for a host."""
    (tmp_path / GOOD).write_bytes(DATA)
    house = Wheelhouse(tmp_path)
    (fact,) = house.collect(["flask-thing"], 0).facts
    assert isinstance(fact, Artefact)
    (tmp_path / GOOD).write_bytes(b"another")
    with pytest.raises(Unusable) as failure:
        house.obtain(fact)
    assert failure.value.state is State.FORGED


def test_an_empty_or_missing_wheelhouse_has_its_state(tmp_path: Path) -> None:
    """A folder that is not there is told from one that holds nothing."""
    for folder, state in ((tmp_path, State.EMPTY), (tmp_path / "none", State.MISSING)):
        with pytest.raises(Unusable) as failure:
            Wheelhouse(folder).collect(["x"], 0)
        assert failure.value.state is state


def test_a_listing_gives_wheels_and_where_they_are(tmp_path: Path) -> None:
    """Hash and size come from the listing, the bytes from where it points."""
    listing = _listing(LISTING, tmp_path)
    (fact,) = listing.collect(["flask_thing"], 0).facts
    assert isinstance(fact, Artefact)
    found = listing.obtain(fact)
    assert found is not None
    assert found.read_bytes() == DATA


@pytest.mark.parametrize(
    ("file", "count"),
    [
        ({**FILE, "yanked": "bad"}, 0),
        ({**FILE, "filename": "flask_thing-2.3.1.tar.gz"}, 0),
        ({**FILE, "filename": "other-2.3.1-py3-none-any.whl"}, 0),
        ({**FILE, "filename": "flask_thing-soon!-py3-none-any.whl"}, 0),
        ({**FILE, "size": 1.5}, 0),
        ({**FILE, "url": "https://elsewhere.test/x.whl"}, 1),
    ],
)
def test_what_cannot_be_installed_is_left_out(
    tmp_path: Path, file: dict[str, object], count: int
) -> None:
    """Yanked files, source archives and other projects' files are no artefacts."""
    listing = _listing(json.dumps({"files": [file]}).encode(), tmp_path)
    facts = listing.collect(["flask-thing"], 0).facts
    assert len(facts) == count
    for fact in facts:
        assert isinstance(fact, Artefact)
        assert listing.obtain(fact) is None


@pytest.mark.parametrize(
    ("data", "state"),
    [
        (b"<html>", State.MALFORMED),
        (b'{"files":[]}', State.EMPTY),
        (b'{"files":{}}', State.MALFORMED),
        (b'{"files":[{"filename":"x-1-py3-none-any.whl"}]}', State.MALFORMED),
    ],
)
def test_a_listing_that_is_none_has_its_state(tmp_path: Path, data: bytes, state: State) -> None:
    """An index that does not speak JSON, or lists nothing, is not an empty answer."""
    with pytest.raises(Unusable) as failure:
        _listing(data, tmp_path).collect(["flask-thing"], 0)
    assert failure.value.state is state


@pytest.mark.fuzz
@given(st.binary(max_size=300) | mangled(LISTING))
def test_any_listing_is_artefacts_or_unusable(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    """Untrusted listings cause `Unusable` and nothing else."""
    with contextlib.suppress(Unusable):
        _listing(data, tmp_path_factory.getbasetemp() / "blobs").collect(["flask-thing"], 0)
