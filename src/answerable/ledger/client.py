"""Reading a log from outside, and nothing of it unchecked.

A `Source` gives the bytes at a path of the log, from a server or a folder of exported files. A
`Reader` is made for one checkpoint that the caller has opened (by the kernel's `cosigned`, or by
`open_head`) and gives out only what stands under its root:

1. the partial tiles of the right edge together must give the root;
2. a full tile must give the hash that its parent, checked before, has for it;
3. an entry must have the leaf hash of its tile.

Every read has a limit. Left out: what entries mean, and whether the checkpoint is new.
"""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import httpx

from answerable.kernel.canon import conforms, encode, shape
from answerable.kernel.checkpoint import CHECKPOINT, Checkpoint
from answerable.kernel.errors import demand
from answerable.kernel.merkle import HASH, Tree, leaf_hash
from answerable.kernel.note import ENTRY
from answerable.kernel.verify import Enrolled
from answerable.ledger.batch import frame
from answerable.ledger.frontier import FULL, RISE, WIDTH, Frontier, hashes
from answerable.ledger.log import LedgerBusy
from answerable.ledger.proofs import TileTree, consistency, inclusion
from answerable.ledger.store import LedgerUnavailable, Store
from answerable.ledger.tiles import ENTRIES, TileName, read_bundle, read_tile

BUNDLE = WIDTH * (ENTRY + 2)
"""Largest entry bundle, bytes."""
ANSWER = 1 << 20
"""Largest answer to `add` that is read, bytes."""
KEPT = 64
"""Checked tiles that a reader keeps, 8 KiB each."""
_REFUSAL = shape("reason:id detail:any")


class LedgerMissing(LedgerUnavailable):
    """The source answers, and has nothing at this path."""


class Source(Protocol):
    """Where a log is read. `read` raises `LedgerMissing` or `LedgerUnavailable`."""

    def read(self, path: str, limit: int) -> bytes:
        """Give at most `limit` bytes at a path below the log's prefix."""


class FolderSource:
    """A folder of exported files."""

    def __init__(self, folder: Path) -> None:
        """Read below this folder."""
        self._folder = folder

    def read(self, path: str, limit: int) -> bytes:
        """Give a file."""
        try:
            with (self._folder / path).open("rb") as file:
                data = file.read(limit + 1)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise LedgerMissing(f"`{path}` is missing in `{self._folder}`") from error
        except OSError as error:
            raise LedgerUnavailable(f"cannot read `{self._folder / path}`: {error}") from error
        return _bounded(data, path, limit)


class HttpSource:
    """A log server, or any web server that serves exported files."""

    def __init__(self, client: httpx.Client, url: str) -> None:
        """Read below this URL, the log's prefix."""
        self._client, self._url = client, url.rstrip("/")

    def read(self, path: str, limit: int) -> bytes:
        """Get a resource."""
        data, url = b"", f"{self._url}/{path}"
        try:
            with self._client.stream("GET", url) as answer:
                if answer.status_code in (404, 410):
                    raise LedgerMissing(f"`{url}` answers {answer.status_code}")
                if answer.status_code != 200:  # noqa: PLR2004
                    raise LedgerUnavailable(f"`{url}` answers {answer.status_code}")
                for part in answer.iter_bytes():
                    data += part
                    if len(data) > limit:
                        break
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise LedgerUnavailable(f"cannot read `{url}`: {error!r}") from error
        return _bounded(data, path, limit)


class StoreSource:
    """A store itself, for an audit or an export at the log server."""

    def __init__(self, store: Store, size: int) -> None:
        """Read a store as the log of this size."""
        self._store, self._size = store, size

    def read(self, path: str, limit: int) -> bytes:
        """Give a resource as the server would."""
        data = self._store.published() if path == "checkpoint" else b""
        return _bounded(data or read_tile(self._store, path, self._size), path, limit)


def _bounded(data: bytes, path: str, limit: int) -> bytes:
    if len(data) > limit:
        raise LedgerUnavailable(f"`{path}` is larger than {limit} bytes")
    return data


def fetch_checkpoint(source: Source) -> bytes:
    """Give a log's checkpoint note, not yet opened."""
    return source.read("checkpoint", CHECKPOINT)


def fetch_tile(source: Source, name: TileName) -> bytes:
    """Give a tile or bundle as it is; where a partial one is gone, the start of the full one."""
    limit = BUNDLE if name.level == ENTRIES else FULL
    try:
        return source.read(name.path(), limit)
    except LedgerMissing:
        if name.width == WIDTH:
            raise
        whole = source.read(TileName(name.level, name.index).path(), limit)
    return whole[: name.width * HASH] if name.level != ENTRIES else _first(whole, name.width)


def _first(bundle: bytes, count: int) -> bytes:
    at = 0
    for _ in range(count):
        at += 2 + int.from_bytes(bundle[at : at + 2], "big")
    return bundle[:at]


class Reader:
    """A log under one opened checkpoint."""

    def __init__(self, source: Source, checkpoint: Checkpoint) -> None:
        """Check the right edge.

        Raises:
            Refused: `bad_inclusion` if the tiles are not those of the checkpoint.
            LedgerUnavailable: if they cannot be read.
        """
        self.checkpoint, self._source = checkpoint, source
        self._tiles: OrderedDict[tuple[int, int], bytes] = OrderedDict()
        self._edge: dict[tuple[int, int], bytes] = {}
        root = Frontier.load(checkpoint.size, self._load_edge).root()
        demand(root == checkpoint.root, "bad_inclusion", "the tiles are not of this checkpoint")

    def entries(self, start: int, end: int) -> Iterator[bytes]:
        """Give entries `start` to `end - 1`, bundle by bundle.

        Raises:
            Refused: `malformed` or `bad_inclusion`, naming the record.
            LedgerUnavailable: if a file cannot be read.
        """
        assert 0 <= start <= end <= self.checkpoint.size, f"{start} to {end}"
        for index in range(start // WIDTH, (end + WIDTH - 1) // WIDTH):
            first = index * WIDTH
            name = TileName(ENTRIES, index, min(WIDTH, self.checkpoint.size - first))
            leaves = self.tile(0, index)
            bundle = read_bundle(fetch_tile(self._source, name), name.width)
            for at in range(max(start - first, 0), min(end - first, name.width)):
                same = leaf_hash(bundle[at]) == leaves[at * HASH : (at + 1) * HASH]
                demand(same, "bad_inclusion", f"record {first + at} is not the one that was logged")
                yield bundle[at]

    def leaf_hashes(self, start: int, end: int) -> Iterator[bytes]:
        """Give leaf hashes `start` to `end - 1`; raises as `entries` does."""
        assert 0 <= start <= end <= self.checkpoint.size, f"{start} to {end}"
        for index in range(start // WIDTH, (end + WIDTH - 1) // WIDTH):
            first = index * WIDTH
            yield from hashes(self.tile(0, index))[max(start - first, 0) : end - first]

    def inclusion(self, index: int) -> list[bytes]:
        """Prove a record under the checkpoint, from checked tiles."""
        return inclusion(self._subtree, index, self.checkpoint.size)

    def consistency(self, old: int) -> list[bytes]:
        """Prove that an older size is the start of this one, from checked tiles."""
        return consistency(self._subtree, old, self.checkpoint.size)

    def tile(self, level: int, index: int) -> bytes:
        """Give the hashes of a checked tile.

        Raises:
            Refused: `bad_inclusion` if its parent has another hash for it.
        """
        place = (level, index)
        if place in self._edge:
            return self._edge[place]
        if place not in self._tiles:
            at = index % WIDTH * HASH
            wanted = self.tile(level + 1, index // WIDTH)[at : at + HASH]
            data = fetch_tile(self._source, TileName(level, index))
            good = len(data) == FULL and Tree([data]).root() == wanted
            demand(good, "bad_inclusion", f"`{TileName(level, index).path()}`")
            self._tiles[place] = data
            if len(self._tiles) > KEPT:
                self._tiles.popitem(last=False)
        self._tiles.move_to_end(place)
        return self._tiles[place]

    def _load_edge(self, level: int, index: int) -> bytes:
        width = (self.checkpoint.size >> RISE * level) % WIDTH
        data = fetch_tile(self._source, TileName(level, index, width))
        demand(len(data) == width * HASH, "bad_inclusion", f"a tile of {len(data)} bytes")
        self._edge[level, index] = data
        return data

    def _subtree(self, start: int, end: int) -> bytes:
        return TileTree(self.tile).subtree(start, end)


def submit(client: httpx.Client, url: str, entries: Sequence[bytes]) -> dict[str, Any]:
    """Append entries to the log at this URL (its prefix); give `index`, `count` and `void`.

    Raises:
        Refused: what the log refused, in the log's words; nothing was appended.
        LedgerBusy: if the log asks to come back shortly.
        LedgerUnavailable: if it cannot be reached; the entries may or may not be in the log, and
            may be sent again: what is there already is refused as `duplicate`.
    """
    return _post(client, f"{url.rstrip('/')}/add", frame(entries))


def enrol(client: httpx.Client, url: str, enrolled: Enrolled) -> dict[str, Any]:
    """Tell the report log at this URL of an enrolled host; raises as `submit` does."""
    told = {"record": enrolled.record, "enrolment": enrolled.enrolment, "index": enrolled.place}
    body = encode({**told, "path": [step.hex() for step in enrolled.path]}).encode()
    return _post(client, f"{url.rstrip('/')}/enrol", body)


def _post(client: httpx.Client, url: str, body: bytes) -> dict[str, Any]:
    try:
        answer = client.post(url, content=body)
        told: Any = answer.json() if len(answer.content) <= ANSWER else None
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise LedgerUnavailable(f"cannot reach `{url}`: {error!r}") from error
    if answer.status_code == 200 and isinstance(told, dict):  # noqa: PLR2004
        return told
    if answer.status_code in (400, 403, 413) and conforms(told, _REFUSAL):
        reason, detail = told["reason"], str(told["detail"])
        demand(False, reason, detail)  # noqa: FBT003  the log's verdict, said again
    kind = LedgerBusy if answer.status_code == 503 else LedgerUnavailable  # noqa: PLR2004
    raise kind(f"`{url}` answers {answer.status_code}: {answer.text[:200]}")
