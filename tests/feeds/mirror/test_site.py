"""What a site takes in was published, is whole, and goes on across an air gap unchanged."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from answerable.feeds.documents.fetch import Folder
from answerable.feeds.mirror.crate import Crate
from answerable.feeds.mirror.site import Site
from answerable.feeds.source import State, Unusable
from tests.feeds.fakes import MemoryFetch
from tests.feeds.mirror.publisher import DAY, NOW, Publisher

ONE, TWO = "a" * 64, "b" * 64
LATER = NOW + DAY


@pytest.fixture
def publisher(tmp_path: Path) -> Publisher:
    """Publish once."""
    made = Publisher(tmp_path / "repo")
    made.world(ONE)
    return made


@pytest.fixture
def site(tmp_path: Path, publisher: Publisher) -> Site:
    """Pin the publisher's root."""
    made = Site(tmp_path / "site")
    made.trust(publisher.root, hashlib.sha256(publisher.root).hexdigest())
    return made


def _files(folder: Path) -> dict[str, bytes]:
    return {
        str(file.relative_to(folder)): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def test_files_come_in(publisher: Publisher, site: Site, tmp_path: Path) -> None:
    """Under the paths under which they were published."""
    site.take(Folder(publisher.folder), tmp_path / "in", NOW)
    assert _files(tmp_path / "in") == {
        f"worlds/{ONE}/manifest.json": b"{}\n",
        f"worlds/{ONE}/ranges.parquet": f"ranges of {ONE}".encode(),
    }


def test_across_an_air_gap(publisher: Publisher, site: Site, tmp_path: Path) -> None:
    """A crate brings another site, which never saw a network, to the same files and belief."""
    packed = site.pack(Folder(publisher.folder), tmp_path / "x.crate", NOW)
    inside = Site(tmp_path / "inside")
    inside.trust(publisher.root, hashlib.sha256(publisher.root).hexdigest())
    taken = inside.take(Crate(tmp_path / "x.crate"), tmp_path / "in", NOW)
    assert taken == packed
    assert f"worlds/{ONE}/ranges.parquet" in _files(tmp_path / "in")
    assert dict(inside.trusted) == dict(site.trusted)


def test_an_older_crate_is_found_out(publisher: Publisher, site: Site, tmp_path: Path) -> None:
    """Rollback over the air gap: last week's stick does not undo this week's."""
    site.pack(Folder(publisher.folder), tmp_path / "old.crate", NOW)
    publisher.world(TWO, LATER)
    site.take(Folder(publisher.folder), tmp_path / "in", LATER)
    with pytest.raises(Unusable) as caught:
        site.take(Crate(tmp_path / "old.crate"), tmp_path / "in", LATER)
    assert caught.value.state == State.ROLLED_BACK
    assert f"worlds/{TWO}/manifest.json" in _files(tmp_path / "in")


def test_a_crate_that_lay_too_long_is_expired(
    publisher: Publisher, site: Site, tmp_path: Path
) -> None:
    """Freeze over the air gap."""
    site.pack(Folder(publisher.folder), tmp_path / "x.crate", NOW)
    with pytest.raises(Unusable, match="expired"):
        site.take(Crate(tmp_path / "x.crate"), tmp_path / "in", NOW + 9 * DAY)


def test_what_is_here_is_not_fetched_again(
    publisher: Publisher, site: Site, tmp_path: Path
) -> None:
    """Only metadata travels if no file changed; a file that was damaged here is fetched anew."""
    served = publisher.served()
    site.take(MemoryFetch(served), tmp_path / "in", NOW)
    metadata = {path: data for path, data in served.items() if path.startswith("metadata")}
    site.take(MemoryFetch(metadata), tmp_path / "in", NOW)
    place = tmp_path / "in" / "worlds" / ONE / "ranges.parquet"
    place.write_bytes(place.read_bytes().replace(b"r", b"R"))
    with pytest.raises(Unusable, match="missing"):
        site.take(MemoryFetch(metadata), tmp_path / "in", NOW)
    site.take(MemoryFetch(served), tmp_path / "in", NOW)
    assert place.read_bytes() == f"ranges of {ONE}".encode()


@pytest.mark.parametrize(
    ("put", "state"),
    [
        (b"ranges of " + b"z" * 64, State.FORGED),
        (b"ranges", State.TRUNCATED),
        (b"ranges of " + b"a" * 65, State.OVERSIZED),
        (None, State.MISSING),
    ],
)
def test_a_file_that_is_not_the_signed_one(
    publisher: Publisher, site: Site, tmp_path: Path, put: bytes | None, state: State
) -> None:
    """Swapped, cut, grown or gone: the folder stays without `manifest.json`, so is no world."""
    served = publisher.served()
    path = next(path for path in served if path.endswith("ranges.parquet"))
    if put is None:
        del served[path]
    else:
        served[path] = put
    with pytest.raises(Unusable) as caught:
        site.take(MemoryFetch(served), tmp_path / "in", NOW)
    assert caught.value.state == state
    assert _files(tmp_path / "in") == {}


def test_a_swapped_file_is_not_packed(publisher: Publisher, site: Site, tmp_path: Path) -> None:
    """A stick is not carried before what is on it was checked."""
    served = publisher.served()
    path = next(path for path in served if path.endswith("ranges.parquet"))
    served[path] = served[path].replace(b"r", b"R")
    with pytest.raises(Unusable, match="forged"):
        site.pack(MemoryFetch(served), tmp_path / "x.crate", NOW)
    assert not list(tmp_path.glob("*crate*"))


class _Endless(MemoryFetch):
    asked = 0

    def stream(self, path: str, limit: int) -> Iterator[bytes]:
        """Go on for ever, unless the limit stops it."""
        while True:
            self.asked += 7
            if self.asked > limit:
                raise Unusable(State.OVERSIZED, path, "endless")
            yield b"endless"


def test_endless_data(publisher: Publisher, site: Site, tmp_path: Path) -> None:
    """A file that never ends is read up to its signed length."""
    fetch = _Endless(publisher.served())
    with pytest.raises(Unusable, match="oversized"):
        site.take(fetch, tmp_path / "in", NOW)
    assert fetch.asked < 100


def test_a_link_does_not_lead_out(publisher: Publisher, site: Site, tmp_path: Path) -> None:
    """Whoever may write into the folder cannot make an import write elsewhere."""
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "worlds").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Unusable, match="forged"):
        site.take(Folder(publisher.folder), tmp_path / "in", NOW)
    assert not (tmp_path / "elsewhere").exists()


def test_a_root_is_pinned_by_its_hash(publisher: Publisher, tmp_path: Path) -> None:
    """The file that came with a mirror is no root until a person compared its hash."""
    site = Site(tmp_path / "other")
    with pytest.raises(Unusable, match="no root yet"):
        site.follow(Folder(publisher.folder), NOW)
    with pytest.raises(Unusable, match="hash that you gave"):
        site.trust(publisher.root, "0" * 64)
    other = Publisher(tmp_path / "repo2", root=100).root
    site.trust(publisher.root, hashlib.sha256(publisher.root).hexdigest())
    with pytest.raises(Unusable, match="split"):
        site.trust(other, hashlib.sha256(other).hexdigest())


def test_what_changes_while_it_is_packed_is_no_crate(
    publisher: Publisher, site: Site, tmp_path: Path
) -> None:
    """A crate is one publication or none."""
    served = publisher.served()
    publisher.world(TWO, NOW)
    stamp = "metadata/timestamp.json"

    class Changing(MemoryFetch):
        def stream(self, path: str, limit: int) -> Iterator[bytes]:
            """Serve the next timestamp once it comes to packing."""
            self.documents = {**served, stamp: publisher.served()[stamp]}
            return super().stream(path, limit)

    with pytest.raises(Unusable):
        site.pack(Changing(served), tmp_path / "x.crate", NOW)
    assert not list(tmp_path.glob("*crate*"))
