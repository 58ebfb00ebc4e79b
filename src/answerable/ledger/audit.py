"""Auditing a whole log under one checkpoint, offline and in one pass, naming what was changed.

The checkpoint's root is the truth; the caller has opened the checkpoint. From the root down, each
tile must give the hash that its parent has for it, and each entry the leaf hash of its tile. What
does not fit is named by the first record concerned:

* an entry whose bytes hash to another leaf: the record was changed, removed, or put in;
* a tile that its parent does not know, while the level below gives the right hash: a hash was
  changed, and which;
* both at once, so that entry and tile agree with each other and not with the root: one of the
  tile's records was changed together with its hashes.

A tile found changed is replaced by what the level below gives, so one change is reported once and
the rest of the log is still audited. Memory: 32 bytes for 256 records. Left out: signatures of
entries, and what they mean (evidence/).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import product

from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.errors import Refused
from answerable.kernel.merkle import HASH, Tree
from answerable.ledger.client import LedgerMissing, Source, fetch_tile
from answerable.ledger.frontier import RISE, WIDTH, Frontier, hashes
from answerable.ledger.store import LedgerDamaged
from answerable.ledger.tiles import ENTRIES, TileName, levels, row

REPORTED = 100
"""Most damages that are reported."""


@dataclass(frozen=True, order=True)
class Damage:
    """The first record concerned, by index, and what is wrong with it."""

    index: int
    how: str


@dataclass(frozen=True)
class Audit:
    """What was audited: the checkpoint, numbers of bundles and tiles read, and what was found."""

    checkpoint: Checkpoint
    bundles: int
    tiles: int
    damage: tuple[Damage, ...]

    @property
    def good(self) -> bool:
        """Whether every byte is as it was committed to."""
        return not self.damage


def audit(
    source: Source,
    checkpoint: Checkpoint,
    see: Callable[[int, Sequence[bytes]], None] = lambda _index, _entries: None,
) -> Audit:
    """Audit a log under an opened checkpoint.

    `see` is given each bundle that fits, with its first index, in order: a second pass over the
    entries is not needed.

    Raises:
        LedgerUnavailable: if the source fails otherwise than by missing or changed files.
    """
    work = _Work(source, checkpoint)
    work.edges()
    for level in reversed(levels(checkpoint.size)):
        if level:
            work.rows[level] = b"".join(work.tile(name) for name in row(level, checkpoint.size))
    for name in row(0, checkpoint.size):
        work.bundle(name, see)
    found = tuple(sorted(set(work.damage)))
    return Audit(checkpoint, work.bundles, work.tiles, found)


class _Work:
    def __init__(self, source: Source, checkpoint: Checkpoint) -> None:
        self.source, self.size, self.root = source, checkpoint.size, checkpoint.root
        self.rows: dict[int, bytes] = {}
        self.edge: dict[int, bytes] = {}
        self.damage: list[Damage] = []
        self.bundles = self.tiles = 0

    def report(self, index: int, how: str) -> None:
        if len(self.damage) < REPORTED:
            self.damage.append(Damage(index, how))

    def read(self, name: TileName) -> bytes:
        """Give a tile or bundle as far as it is there; say so if it is not."""
        try:
            return fetch_tile(self.source, name)
        except LedgerMissing:
            self.report(_first(name), f"`{name.path()}` is missing")
        except LedgerDamaged as damaged:
            self.report(damaged.index, damaged.how)
        except Refused as refusal:
            self.report(_first(name), f"`{name.path()}`: {refusal.detail}")
        return b""

    def edges(self) -> None:
        """Find the right edge that gives the root, as it is kept or as the level below gives it."""
        names = {level: name for level in levels(self.size) for name in row(level, self.size)
                 if name.width < WIDTH}  # fmt: skip
        choices = []
        for name in names.values():
            kept, below = self.read(name), self.below(name)
            self.tiles += 1
            choices.append([kept, below] if kept != below else [kept])
        for choice in product(*choices):
            self.edge = dict(zip(names, choice, strict=True))
            if self._edge_root() == self.root:
                break
        else:
            self.edge = dict(zip(names, (c[0] for c in choices), strict=True))
            first = min((_first(name) for name in names.values()), default=0)
            self.report(first, "the tiles do not give the checkpoint's root: from here on, one "
                               "record or more was changed together with its hashes")  # fmt: skip
            return
        for (level, used), kept in zip(self.edge.items(), (c[0] for c in choices), strict=True):
            self._compare(names[level], kept, used)

    def _edge_root(self) -> bytes:
        def edge(level: int, _: int) -> bytes:
            return self.edge[level]

        return Frontier.load(self.size, edge).root()

    def below(self, name: TileName) -> bytes:
        """Give a tile's hashes as the level below says, or the entries."""
        if name.level == 0:
            return b"".join(map(_leaf, self.entries(name)))
        first = name.index * WIDTH
        lower = (TileName(name.level - 1, i) for i in range(first, first + name.width))
        return b"".join(Tree([_quiet(self.source, one)]).root() for one in lower)

    def tile(self, name: TileName) -> bytes:
        """Give a tile's hashes as its parent knows them, as far as that can be found."""
        if name.width < WIDTH:
            return self.edge[name.level]
        self.tiles += 1
        kept, at = self.read(name), name.index * HASH
        wanted = self.rows[name.level + 1][at : at + HASH]
        if len(kept) == WIDTH * HASH and Tree([kept]).root() == wanted:
            return kept
        below = self.below(name)
        if Tree([below]).root() == wanted:
            self._compare(name, kept, below)
            return below
        how = f"`{name.path()}` is not under the checkpoint's root: from here to record "
        last = min(self.size, (name.index + 1) * WIDTH ** (name.level + 1)) - 1
        self.report(_first(name), f"{how}{last}, one or more was changed together with its hashes")
        return (kept + below[len(kept) :])[: WIDTH * HASH].ljust(WIDTH * HASH, b"\0")

    def bundle(self, name: TileName, see: Callable[[int, Sequence[bytes]], None]) -> None:
        known, first = hashes(self.tile(name)), name.index * WIDTH
        before = len(self.damage)
        entries = self.entries(name)
        self.bundles += 1
        if not entries and len(self.damage) > before:
            return  # it is missing, and that was said
        found = [_leaf(entry) for entry in entries]
        if found == known:
            see(first, entries)
            return
        for at, how in _differences(known, found):
            self.report(first + at, how)

    def entries(self, name: TileName) -> list[bytes]:
        """Give a bundle's entries as far as they can be told apart."""
        data, entries, at = self.read(TileName(ENTRIES, name.index, name.width)), list[bytes](), 0
        while at + 2 <= len(data):
            end = at + 2 + int.from_bytes(data[at : at + 2], "big")
            entries.append(data[at + 2 : end])
            at = end
        return entries

    def _compare(self, name: TileName, kept: bytes, right: bytes) -> None:
        """Report which hashes of a tile were changed."""
        for at, (old, new) in enumerate(zip(hashes(kept), hashes(right), strict=False)):
            if old != new:
                index = _first(name) + at * WIDTH**name.level
                self.report(
                    index, f"hash {at} of `{name.path()}` was changed; what it stands for was not"
                )
        if kept and len(kept) != len(right):
            index = _first(name) + min(len(kept), len(right)) // HASH * WIDTH**name.level
            self.report(index, f"`{name.path()}` has {len(kept)} bytes instead of {len(right)}")


def _quiet(source: Source, name: TileName) -> bytes:
    try:
        return fetch_tile(source, name)
    except (LedgerMissing, LedgerDamaged, Refused):
        return b""


def _differences(known: list[bytes], found: list[bytes]) -> Iterator[tuple[int, str]]:
    """Say how the entries of a bundle differ from what was logged, a shift only once."""
    shift = 0
    for at, leaf in enumerate(known):
        here = found[at + shift] if at + shift < len(found) else b""
        if here == leaf:
            continue
        if not here:
            yield at, "the record is missing"
        elif known[at + 1 : at + 2] == [here]:
            shift -= 1
            yield at, "the record was taken out"
        elif found[at + shift + 1 : at + shift + 2] == [leaf]:
            shift += 1
            yield at, "a record was put in before this one"
        else:
            found_as = f"its bytes hash to {here.hex()}, logged was {leaf.hex()}"
            yield at, f"the record was changed after it was logged: {found_as}"
    if len(found) > len(known) + shift:
        yield len(known), "more records than the checkpoint covers"


def _leaf(entry: bytes) -> bytes:
    return sha256(b"\x00" + entry).digest()


def _first(name: TileName) -> int:
    return name.index << RISE * (max(name.level, 0) + 1)
