"""Files by their hash: there as a whole, or not there."""

import hashlib
from pathlib import Path

import pytest

from answerable.feeds.documents.blobs import Blobs
from answerable.feeds.source import State, Unusable
from tests.feeds.fakes import MemoryFetch

DATA = b"a package" * 100
NAME = hashlib.sha256(DATA).hexdigest()


def test_bytes_come_back_by_their_hash(tmp_path: Path) -> None:
    """What was put in is found under its hash, in a folder that others cannot read."""
    blobs = Blobs(tmp_path / "blobs")
    assert blobs.put(DATA) == NAME
    assert blobs.get(NAME) == DATA
    assert blobs.get("0" * 64) is None
    assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700


def test_bytes_changed_on_disk_are_not_given_out(tmp_path: Path) -> None:
    """Somebody who writes into the folder changes nothing that is believed."""
    blobs = Blobs(tmp_path)
    blobs.put(DATA)
    blobs.path(NAME).write_bytes(DATA + b"!")
    assert blobs.get(NAME) is None


@pytest.mark.parametrize(
    ("sent", "state"),
    [
        (DATA[:-1], State.TRUNCATED),
        (DATA[:-1] + b"?", State.FORGED),
        (DATA + b"!", State.OVERSIZED),
        (b"", State.TRUNCATED),
    ],
)
def test_other_bytes_than_promised_are_not_kept(tmp_path: Path, sent: bytes, state: State) -> None:
    """A mirror that swaps, cuts or extends a file leaves no trace in the folder."""
    with pytest.raises(Unusable) as failure:
        Blobs(tmp_path).fetch(MemoryFetch({"x": sent}), "x", NAME, len(DATA))
    assert failure.value.state is state
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_there_is_not_fetched_again(tmp_path: Path) -> None:
    """What is known by its hash needs no mirror."""
    blobs = Blobs(tmp_path)
    fetched = blobs.fetch(MemoryFetch({"x": DATA}), "x", NAME, len(DATA))
    assert blobs.fetch(MemoryFetch(), "x", NAME, len(DATA)) == fetched
    assert fetched.read_bytes() == DATA
