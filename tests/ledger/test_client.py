"""A reader gets what the checkpoint commits to, from a folder or a server, or nothing."""

from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from answerable.kernel.canon import Json
from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.errors import Refused
from answerable.kernel.merkle import Tree, leaf_hash, verify_inclusion
from answerable.ledger import client
from answerable.ledger.client import (
    FolderSource,
    HttpSource,
    LedgerMissing,
    Reader,
    StoreSource,
    fetch_checkpoint,
    submit,
)
from answerable.ledger.heads import open_head
from answerable.ledger.log import LedgerBusy
from answerable.ledger.store import LedgerUnavailable
from answerable.witness.consistency import verify_consistency
from tests.fakes.ledger_store import MemoryStore
from tests.ledger.logs import KEYS, ORIGIN, entry, exported, fill

SIZE = 1_300


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An exported log."""
    return exported(tmp_path_factory.mktemp("log"), SIZE)


@pytest.fixture(scope="module")
def url(folder: Path) -> Iterator[str]:
    """The same folder behind a web server that knows nothing of logs."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def opened(source: client.Source) -> Reader:
    """Read a log under its own signed head."""
    return Reader(source, open_head(fetch_checkpoint(source), ORIGIN, KEYS))


def check(reader: Reader) -> None:
    """Read from the middle, prove, and compare."""
    wanted = [entry(n) for n in range(SIZE)]
    for start, end in ((0, SIZE), (255, 257), (700, 701), (1_299, SIZE), (5, 5)):
        assert list(reader.entries(start, end)) == wanted[start:end]
        assert list(reader.leaf_hashes(start, end)) == [leaf_hash(e) for e in wanted[start:end]]
    root, tree = reader.checkpoint.root, Tree(map(leaf_hash, wanted))
    for index in (0, 256, SIZE - 1):
        verify_inclusion(leaf_hash(wanted[index]), index, SIZE, reader.inclusion(index), root)
    for old in (1, 256, 1_000):
        verify_consistency(old, SIZE, reader.consistency(old), tree.root(old), root)


def test_from_a_folder(folder: Path) -> None:
    """An exported log is read and proven offline."""
    check(opened(FolderSource(folder)))


def test_over_http(url: str) -> None:
    """A folder behind any web server is a log."""
    with httpx.Client() as http:
        check(opened(HttpSource(http, url)))


def test_partial_tiles_that_are_gone() -> None:
    """Where a server has only the full tile left, its start is taken."""
    store = MemoryStore()
    fill(store, 1_024)
    small = Checkpoint(ORIGIN, 600, Tree(leaf_hash(entry(n)) for n in range(600)).root())

    class Pruned(StoreSource):
        def read(self, path: str, limit: int) -> bytes:
            if path in ("tile/0/002.p/88", "tile/entries/002.p/88"):
                raise LedgerMissing(path)
            return super().read(path, limit)

    reader = Reader(Pruned(store, 1_024), small)
    assert list(reader.entries(590, 600)) == [entry(n) for n in range(590, 600)]


@pytest.mark.parametrize(
    ("name", "at"),
    [("tile/entries/001", 9), ("tile/0/001", 0), ("tile/0/005.p/20", 3), ("tile/1/000.p/5", 33)],
)
def test_changed_files_are_refused(folder: Path, name: str, at: int) -> None:
    """What does not stand under the root is never given out."""

    class Changed(FolderSource):
        def read(self, path: str, limit: int) -> bytes:
            data = super().read(path, limit)
            return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :] if path == name else data

    with pytest.raises(Refused) as refusal:
        list(opened(Changed(folder)).entries(256, 512))
    assert refusal.value.reason == "bad_inclusion"


def test_missing_and_oversized(folder: Path, url: str) -> None:
    """A file that is not there is said to be missing, one that is too large is not read."""
    with httpx.Client() as http:
        for source in (FolderSource(folder), HttpSource(http, url)):
            with pytest.raises(LedgerMissing):
                source.read("tile/0/999", 100)
            with pytest.raises(LedgerUnavailable, match="larger than 100"):
                source.read("tile/0/000", 100)
            assert len(source.read("tile/0/000", 8_192)) == 8_192
        with pytest.raises(LedgerUnavailable):
            HttpSource(http, "http://127.0.0.1:9/log").read("checkpoint", 100)
    with pytest.raises(LedgerUnavailable):
        FolderSource(folder).read("tile", 100)


def answers(status: int, told: Json) -> httpx.Client:
    """Give a client of a log that answers so."""
    return httpx.Client(transport=httpx.MockTransport(lambda _: httpx.Response(status, json=told)))


def test_what_a_log_answers() -> None:
    """A refusal comes back in the log's words; anything odd is a log that cannot be used."""
    good = {"index": 4, "count": 1, "void": []}
    assert submit(answers(200, good), "http://log/authority", [b"a"]) == good
    with pytest.raises(Refused) as refusal:
        submit(answers(403, {"reason": "duplicate", "detail": "x"}), "http://log", [b"a"])
    assert (refusal.value.reason, refusal.value.detail) == ("duplicate", "x")
    with pytest.raises(LedgerBusy):
        submit(answers(503, {"reason": "unavailable", "detail": ""}), "http://log", [b"a"])
    for status, told in ((403, {"reason": "a b"}), (200, []), (500, {}), (403, None)):
        with pytest.raises(LedgerUnavailable):
            submit(answers(status, told), "http://log", [b"a"])
    large = {"index": 1, "void": "x" * client.ANSWER}
    with pytest.raises(LedgerUnavailable):
        submit(answers(200, large), "http://log", [b"a"])
