"""The world as we know it: an immutable snapshot of what all publications say, named by its root.

    <home>/<root>/manifest.json     what is below, with the hash of every file
    <home>/<root>/documents.json    the documents that were read: publication, path, sha256, ..
    <home>/<root>/{ranges,claims,ranges_past,claims_past}.parquet    tables.py
    <home>/newest                   the root of the newest one
    <home>/accepted.json            feed -> root of the last one that was found good for it
    <home>/pinned/<root>            one that a candidate was made from

Rules:

1. The root is the RFC 6962 root over the leaves, each one line of JSON: the header, then the
   documents, claims, past claims, ranges and past ranges, as lists of their columns and sorted by
   them. A table's leaf is `["claims","epss","CVE-2024-3094","epss","0.95",1790000000,<document>,
   <seen>]`. Whoever has the documents, their times and the world before makes the same bytes.
2. A folder appears under its root when all its files are there, and is never changed.
3. The header says when it was made, from which world, and what `shock.py` remembers of the past.
4. A world is opened by the hashes of its files; `verify` reads every row and recomputes the root.
5. The newest `KEPT` stay, and those that are pinned or accepted: a decision is replayed on the
   world of its time.

Worlds say what was said. They are no facts and no host sees them; the model may rank by them, and
candidate.py takes from them what agree.py believes. Left out: when a pin may go.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import file_digest
from pathlib import Path
from typing import TYPE_CHECKING, Any

from answerable.feeds import shock, tables
from answerable.feeds.rows import Row
from answerable.feeds.shock import DAY, PAST, Day, Shock
from answerable.feeds.source import MIB, State, Unusable
from answerable.kernel import canon
from answerable.kernel.errors import Refused
from answerable.kernel.merkle import Tree, leaf_hash

if TYPE_CHECKING:  # it brings a client of HTTP, which nobody who only reads a world needs
    from answerable.feeds.sync import Kept

FORMAT = 1
MANIFEST = 16 * MIB
"""Largest manifest or list of accepted worlds, bytes."""
DOCUMENTS = 128 * MIB
"""Largest list of documents, bytes."""
CHUNK = 1 << 16
"""Leaves whose tree is held at once; a power of two, so chunks are subtrees of RFC 6962."""
KEPT = 30
"""Worlds that stay although nothing was decided on them."""
EVERY = 50_000
"""Rows between two calls of `progress`."""
FILES = ("documents.json", *(f"{name}.parquet" for name in tables.NAMES))
_spell = json.JSONEncoder(ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode
_ROOT = re.compile(r"[0-9a-f]{64}")
_DOCUMENT = {
    "publication": "text", "path": "text", "sha256": "hex", "size": "int", "rows": "int",
    "published": "int", "seen": "int",
}  # fmt: skip
_MANIFEST = {
    "format": "int", "time": "int", "previous": "hex?", "cleared": "int", "root": "hex",
    "size": "int", "made_by": "text", "past": ["any"],
    "files": {key: {"sha256": "hex", "size": "int"} for key in FILES},
}  # fmt: skip
_DAY = {"since": "int", "fresh": ["any"], "means": ["any"]}

Progress = Callable[[str, int], None]
"""Told what is done (`read`, `write`, `hash`) and how many rows so far."""


@dataclass(frozen=True)
class Header:
    """What a world says of itself; as in `World`."""

    time: int
    previous: str
    cleared: int
    past: tuple[Day, ...]


@dataclass(frozen=True)
class World:
    """One snapshot.

    Args:
        folder: where its files lie.
        root: its name, hex.
        size: number of leaves.
        time: when it was made, POSIX seconds.
        previous: root of the one it followed; empty for the first.
        cleared: what was gone by this second, people have settled.
        past: what shock.py remembers, its own day last.
        documents: what was read.
    """

    folder: Path
    root: str
    size: int
    time: int
    previous: str
    cleared: int
    past: tuple[Day, ...]
    documents: tuple[Mapping[str, Any], ...]


class Worlds:
    """The folder of all worlds of one party."""

    def __init__(self, home: Path) -> None:
        """Use a folder; it is made (mode 0700) if it is not there."""
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.home = home

    def newest(self) -> World | None:
        """Give the newest world, if there is any.

        Raises:
            Unusable: as `get`.
        """
        try:
            return self.get(_read(self.home / "newest", 64).decode("ascii", "replace"))
        except Unusable as failure:
            if failure.state is State.MISSING and not (self.home / "newest").exists():
                return None
            raise

    def get(self, root: str) -> World:
        """Open a world by its root.

        Raises:
            Unusable: `missing`, `forged` or `malformed`.
        """
        if not _ROOT.fullmatch(root):
            raise Unusable(State.MALFORMED, str(self.home), f"`{root[:80]!r}` is no root")
        found = open_world(self.home / root)
        if found.root != root:
            raise Unusable(State.FORGED, str(found.folder), f"it is the world `{found.root}`")
        return found

    def adopt(self, root: str) -> World:
        """Take a world that was put here as the newest, unless a newer one is here already.

        Whoever put it here vouched for its bytes; that its rows give its root is checked here.

        Returns: the newest.

        Raises:
            Unusable: as `get` and `verify`.
        """
        found, newest = self.get(root), self.newest()
        if newest is not None and newest.time >= found.time:
            return newest
        verify(found)
        _replace(self.home / "newest", root.encode())
        return found

    def accepted(self, feed: str) -> World | None:
        """Give the last world that was found good for a feed, if any.

        Raises:
            Unusable: as `get`.
        """
        root = self._accepted().get(feed)
        return self.get(root) if isinstance(root, str) else None

    def accept(self, feed: str, world: World) -> None:
        """Take a world as the one that the next is compared with, for a feed."""
        roots = {**self._accepted(), feed: world.root}
        _replace(self.home / "accepted.json", canon.encode(roots).encode())

    def _accepted(self) -> Mapping[str, Any]:
        place = self.home / "accepted.json"
        found = _json(place, MANIFEST, {"*": "hex"}) if place.exists() else {}
        return dict(found)

    def pin(self, world: World) -> None:
        """Keep a world, since something was decided on it."""
        (self.home / "pinned").mkdir(mode=0o700, exist_ok=True)
        (self.home / "pinned" / world.root).touch()

    def prune(self) -> list[str]:
        """Throw away worlds that nobody needs (rule 5); give their roots, the oldest first."""
        needed = {file.name for file in self.home.glob("pinned/*")} | set(self._accepted().values())
        folders = [each for each in self.home.iterdir() if _ROOT.fullmatch(each.name)]
        folders.sort(key=lambda each: (each / "manifest.json").stat().st_mtime_ns)
        gone = [each for each in folders[:-KEPT] if each.name not in needed]
        for folder in gone:
            aside = folder.with_name(f".old-{folder.name}")
            folder.rename(aside)
            shutil.rmtree(aside)
        return [folder.name for folder in gone]

    def shocks(self, feed: str, world: World) -> tuple[Shock, ...]:
        """Say how a world differs from the last accepted one in a way that people should look at.

        Raises:
            Unusable: as `get`.
        """
        before = self.accepted(feed)
        return () if before is None or before.root == world.root else differ(before, world)

    def build(
        self,
        given: Iterable[tuple["Kept", Iterator[Row]]],
        now: int,
        cleared: int = 0,
        progress: Progress = lambda _what, _done: None,
    ) -> World:
        """Make the newest world of these documents; the same as before if nothing changed.

        Args:
            given: as `sync.rows` gives it: each document that is in service, and its rows.
            now: POSIX seconds.
            cleared: when people last settled what had gone.

        Raises:
            Unusable: a document cannot be read to its end, or there is none; nothing is made then.
        """
        before = self.newest()
        if before is not None:
            cleared = max(cleared, before.cleared)
            if now < before.time:
                why = f"`{before.root}` was made {before.time - now} seconds later; set the clock"
                raise Unusable(State.POSTDATED, str(self.home), why)
        found = list(given)
        documents = sorted((_document(kept) for kept, _ in found), key=_place)
        if not documents:
            raise Unusable(State.EMPTY, str(self.home), "no document to make a world of")
        if before and (documents, cleared) == (list(before.documents), before.cleared):
            return before
        header = Header(now, before.root if before else "", cleared, ())
        with tempfile.TemporaryDirectory(dir=self.home, prefix=".new-") as scratch:
            work, out = Path(scratch) / "work", Path(scratch) / "out"
            for folder in (work, out):
                folder.mkdir(mode=0o700)
            _tables(found, work, out, before, header, progress)
            header = replace(header, past=_remember(before, out, now))
            root = _finish(out, header, documents, progress)
            if not (self.home / root).exists():
                out.rename(self.home / root)
        _replace(self.home / "newest", root.encode())
        return self.get(root)


def _document(kept: "Kept") -> dict[str, Any]:
    return {name: getattr(kept, name) for name in _DOCUMENT}


def _place(document: Mapping[str, Any]) -> tuple[str, str]:
    return document["publication"], document["path"]


def _tables(
    found: Iterable[tuple["Kept", Iterator[Row]]], work: Path, out: Path, before: World | None,
    header: Header, progress: Progress,
) -> None:  # fmt: skip
    staged = tables.Staging(work)
    try:
        for kept, rows in found:
            for row in rows:
                staged.add(row, kept.sha256, kept.seen)
                if staged.count % EVERY == 0:
                    progress("read", staged.count)
    finally:
        staged.close()
    progress("write", staged.count)
    folder = before.folder if before else None
    tables.write(staged, folder, out, header.time, header.cleared)


def _remember(before: World | None, out: Path, now: int) -> tuple[Day, ...]:
    """Give what the next worlds are judged by: at most one entry a day, this world in the last."""
    level = shock.means(tables.values(out, shock.SCALED))
    if before is None:
        return (Day(now, {}, level),)
    fresh = {(flow.table, flow.channel): flow.fresh for flow in tables.flows(before.folder, out)
             if flow.before}  # fmt: skip
    last = before.past[-1]
    if now - last.since >= DAY:
        return (*before.past, Day(now, fresh, level))[-PAST:]
    both = {key: fresh.get(key, 0) + last.fresh.get(key, 0) for key in fresh | dict(last.fresh)}
    return (*before.past[:-1], Day(last.since, both, level))


def _finish(
    out: Path, header: Header, documents: Sequence[Mapping[str, Any]], progress: Progress
) -> str:
    """Write the list of documents and the manifest; give the root."""
    (out / "documents.json").write_text(canon.encode(list(documents)), encoding="utf-8")
    root, size = _root(_leaves(out, header, documents, progress))
    files = {name: _hashed(out / name) for name in FILES}
    body = {"format": FORMAT, "root": root, "size": size, "made_by": tables.MADE_BY, "files": files,
            "time": header.time, "previous": header.previous, "cleared": header.cleared,
            "past": [_spelt(day) for day in header.past]}  # fmt: skip
    (out / "manifest.json").write_text(canon.encode(body), encoding="utf-8")
    return root


def _spelt(day: Day) -> dict[str, Any]:
    fresh = [[*key, n] for key, n in sorted(day.fresh.items())]
    return {"since": day.since, "fresh": fresh, "means": [[*k, n] for k, n in day.means.items()]}


def _leaves(
    folder: Path, header: Header, documents: Iterable[Mapping[str, Any]], progress: Progress
) -> Iterator[bytes]:
    past = [_spelt(day) for day in header.past]
    yield _spell(["world", FORMAT, header.time, header.previous, header.cleared, past]).encode()
    for document in documents:
        yield _spell(["document", *(document[name] for name in sorted(_DOCUMENT))]).encode()
    for done, row in enumerate(tables.every(folder, *tables.NAMES), 1):
        if done % EVERY == 0:
            progress("hash", done)
        yield _spell(row).encode()


def _root(leaves: Iterable[bytes]) -> tuple[str, int]:
    """Give root and number of leaves, with the tree of one chunk in memory."""
    whole, chunk, size = Tree(), list[bytes](), 0
    for leaf in leaves:
        chunk.append(leaf_hash(leaf))
        size += 1
        if len(chunk) == CHUNK:
            whole.extend([Tree(chunk).root()])
            chunk.clear()
    if chunk:
        whole.extend([Tree(chunk).root()])
    return whole.root().hex(), size


def _hashed(file: Path) -> dict[str, Any]:
    with file.open("rb") as opened:
        return {"sha256": file_digest(opened, "sha256").hexdigest(), "size": file.stat().st_size}


def open_world(folder: Path) -> World:
    """Open a world by its manifest and the hashes of its files.

    Raises:
        Unusable: `missing`, `oversized`, `malformed`, or `forged` if a file is another.
    """
    body = _json(folder / "manifest.json", MANIFEST, _MANIFEST)
    if body["format"] != FORMAT:
        why = f"format {body['format']}; a newer version of this program made it"
        raise Unusable(State.MALFORMED, str(folder), why)
    for name, expected in body["files"].items():
        try:
            same = _hashed(folder / name) == expected
        except OSError as error:
            raise Unusable(State.MISSING, str(folder / name), f"{error.strerror}") from error
        if not same:
            raise Unusable(State.FORGED, str(folder / name), "not the file that the manifest names")
    documents = _json(folder / "documents.json", DOCUMENTS, [_DOCUMENT])
    try:
        past = tuple(_day(day) for day in body["past"])
    except (TypeError, ValueError, KeyError) as error:
        raise Unusable(State.MALFORMED, str(folder), f"its past: {error!r:.200}") from error
    return World(
        folder, body["root"], body["size"], body["time"], body["previous"], body["cleared"], past,
        tuple(documents),
    )  # fmt: skip


def _day(value: Any) -> Day:  # noqa: ANN401  decoded JSON
    if not canon.conforms(value, _DAY):
        raise ValueError(value)
    fresh, level = ({(a, b): n for a, b, n in value[name]} for name in ("fresh", "means"))
    if not all(type(n) is int for n in (*fresh.values(), *level.values())):
        raise TypeError(value)
    return Day(value["since"], fresh, level)


def verify(world: World, progress: Progress = lambda _what, _done: None) -> None:
    """Read every row of a world, and recompute its root.

    Raises:
        Unusable: `forged` if it is another.
    """
    header = Header(world.time, world.previous, world.cleared, world.past)
    try:
        found = _root(_leaves(world.folder, header, world.documents, progress))
    except tables.Unreadable as error:
        raise Unusable(State.MALFORMED, str(world.folder), f"{error}") from error
    if found != (world.root, world.size):
        raise Unusable(State.FORGED, str(world.folder), f"its rows give the root `{found[0]}`")


def differ(before: World, after: World) -> tuple[Shock, ...]:
    """Say how one world differs from an earlier one in a way that people should look at."""
    pairs = tables.pairs(before.folder, after.folder, shock.SCALED)
    return shock.shocks(
        tables.flows(before.folder, after.folder),
        shock.moves(pairs),
        shock.means(tables.values(after.folder, shock.SCALED)),
        before.past,
        after.time - before.time,
    )


def _read(place: Path, limit: int) -> bytes:
    try:
        with place.open("rb") as file:
            data = file.read(limit + 1)
    except OSError as error:
        state = State.MISSING if isinstance(error, FileNotFoundError) else State.UNREACHABLE
        raise Unusable(state, str(place), f"{error.strerror}; sync again") from error
    if len(data) > limit:
        raise Unusable(State.OVERSIZED, str(place), f"more than {limit} bytes")
    return data


def _json(place: Path, limit: int, form: Any) -> Any:  # noqa: ANN401  decoded JSON
    try:
        return canon.read(_read(place, limit), limit, form)
    except Refused as refusal:
        raise Unusable(State.MALFORMED, str(place), refusal.detail) from refusal


def _replace(place: Path, data: bytes) -> None:
    fresh = place.with_name(f".{place.name}.new")
    fresh.write_bytes(data)
    fresh.replace(place)
