"""Follow the authority log: the whole of it, and nothing that a quorum of guards has not cosigned.

Rules, in this order:
1. a checkpoint is taken from the log, or from the guards' mirrors, whose signature lines over the
   same text are put together; a quorum of witnesses must have cosigned it;
2. leaf hashes up to its size (C2SP level 0 tiles) must lead from the host's own tree to its root;
3. records (entry bundles) must have exactly those leaf hashes; only then are they folded;
4. a cosigned checkpoint of a size that the host has passed must have the host's own root.

Who cosigns is said by the charter in force. A checkpoint that its guards did not cosign is tried
once more with the charters that stand among the new records, for a charter binds by its people's
signatures, wherever it comes from. A source that fails is left for the next one; records that were
folded before it failed stay, since every prefix of a cosigned log is cosigned.

What is fetched again for a few new records is little: the rest of a bundle and of a tile is asked
for by byte range, and cut here where a server gives the whole. Left out: consistency proofs, which
nobody needs who has every leaf hash; the report log.
"""

import base64
from collections.abc import Callable, Iterator, Mapping, Sequence
from hashlib import sha256
from typing import NamedTuple

from answerable.host.log.state import LogState
from answerable.host.network.client import Absent, Client, HttpUnavailable
from answerable.kernel.charter import Charter
from answerable.kernel.checkpoint import CHECKPOINT, Checkpoint, cosigned, parse_checkpoint
from answerable.kernel.errors import Refused, demand
from answerable.kernel.fold import State, fold, succeed
from answerable.kernel.merkle import HASH, Tree, leaf_hash
from answerable.kernel.note import ENTRY, Note
from answerable.kernel.statement import open_charter

SPAN = 256
"""Hashes in a full tile, records in a full bundle."""
TILE = SPAN * HASH
BUNDLE = SPAN * (ENTRY + 2)
"""Largest tile and entry bundle, bytes."""
STEP = 1 << 20
"""Most new records that one checkpoint may bring; more are followed checkpoint by checkpoint."""
LAWS = 64
"""Most new charters that are tried for one checkpoint."""
SCAN = 16_384
"""How many records are searched for them."""
SOURCE_SECONDS = 120
"""Longest that one source is read for one checkpoint before another is tried."""


class Source(NamedTuple):
    """Where the log is read: a name for people, and the URL below which its tiles lie."""

    name: str
    base: str


class _New(NamedTuple):
    checkpoint: Checkpoint
    note: bytes


def mirror_url(guard_url: str, origin: str) -> str:
    """Give where a guard mirrors the log of an origin."""
    return f"{guard_url.rstrip('/')}/mirror/{sha256(origin.encode()).hexdigest()}"


class Follower:
    """Keeps `kept.state` up with the authority log.

    Args:
        client: asks servers.
        kept: the state and its place on disk.
        pinned: the charter note that the host was enrolled with; it names the guards until the
            log does, and the log must come to it or to a later one.
        clock: boot-time clock, seconds.
        log: URL of the authority log, or nothing to use mirrors only.
        urls: guards' addresses that differ from the charter's.
    """

    def __init__(
        self,
        client: Client,
        kept: LogState,
        pinned: bytes,
        clock: Callable[[], float],
        log: str,
        urls: Mapping[str, str],
    ) -> None:
        self._client, self._kept, self._clock, self._until = client, kept, clock, 0.0
        self._pinned_note, self._pinned = pinned, open_charter(pinned)[0]
        self._log, self._urls, self.doubt = log.rstrip("/"), urls, ""

    @property
    def law(self) -> Charter:
        """The charter in force, or the pinned one."""
        return self._kept.state.charter or self._pinned

    @property
    def origin(self) -> str:
        """The log's origin."""
        return str(self.law.body["logs"]["authority"]["origin"])

    def guards(self) -> dict[str, str]:
        """Give each guard's address."""
        return {g: self._urls.get(g, v["url"]) for g, v in self.law.body["guards"].items()}

    def mirrors(self) -> list[Source]:
        """Give the guards' mirrors of the log."""
        return [Source(g, mirror_url(url, self.origin)) for g, url in self.guards().items()]

    def follow(self, *, everywhere: bool = False) -> int:
        """Follow as far as any source goes, and save.

        Args:
            everywhere: ask the mirrors even if the log has answered.

        Returns: the size that is followed now; `doubt` says what was wrong with a source that
        another one stood in for.

        Raises:
            HttpUnavailable: no source has a usable checkpoint.
            Refused: what was found instead of one: `no_quorum`, `split_view`, `malformed`, ...
        """
        own = [Source("the log", self._log)] if self._log else []
        trouble: Exception = HttpUnavailable("no source of the log is known; name one in settings")
        reached = False
        for sources in (own, self.mirrors()):
            if sources and (everywhere or not reached):
                try:
                    self._through(sources)
                    reached = True
                except (Refused, HttpUnavailable) as error:
                    trouble = _worse(trouble, error)
        if not reached:
            raise trouble
        self.doubt = ""
        if isinstance(trouble, Refused):
            self.doubt = f"{trouble.reason}: {trouble.detail}"
        self._check_pinned()
        return self._kept.state.tree.size

    def take(self, note: bytes) -> Charter:
        """Take a charter into force that did not come from the log, and save.

        Raises:
            Refused: if it may not be obeyed.
        """
        succeed(self._kept.state, note)
        self._kept.save()
        return self._kept.state.law()

    def _check_pinned(self) -> None:
        law, pinned = self._kept.state.law(), self._pinned
        older = law.body["number"] - pinned.body["number"]
        if older < 0:
            self.take(self._pinned_note)
        demand(older or law.id == pinned.id, "bad_charter", "the log has another charter than mine")

    def _through(self, sources: Sequence[Source]) -> None:
        trouble: Exception = HttpUnavailable("no checkpoint of the log can be had; retry later")
        news, reached = [], False
        for source in sources:
            try:
                note = self._client.get(f"{source.base}/checkpoint", CHECKPOINT)
                news.append(_New(_unverified(note), note))
            except (Refused, HttpUnavailable) as error:
                trouble = _worse(trouble, error)
        news += self._together(news)
        for new in sorted(news, key=lambda n: -n.checkpoint.size):
            for source in sources:
                try:
                    self._advance(new, source)
                    reached = True
                    break
                except (Refused, HttpUnavailable) as error:
                    trouble = _worse(trouble, error)
        if not reached:
            raise trouble

    def _together(self, news: Sequence[_New]) -> list[_New]:
        guards, good = self.law.guards["witness"], dict[bytes, dict[tuple[str, bytes], bytes]]()
        ids = {(key.name, key.id) for pair in guards.values() for key in pair}
        for new in news if len(news) > 1 else ():
            try:
                cosigned(new.note, self.origin, guards, 1)
            except Refused:
                # One liar's line must not spoil what the others signed.
                continue
            kept = good.setdefault(new.note.rpartition(b"\n\n")[0], {})
            for name, key, payload in Note(new.note, CHECKPOINT).lines:
                if (name, key) in ids:
                    kept.setdefault((name, key), _line(name, key + payload))
        return [
            _New(_unverified(text + b"\n\n"), text + b"\n\n" + b"".join(lines.values()))
            for text, lines in good.items()
        ]

    def _advance(self, new: _New, source: Source) -> None:
        state, size = self._kept.state, new.checkpoint.size
        if size <= state.tree.size:
            if state.tree.root(size) != new.checkpoint.root:
                cosigned(new.note, self.origin, self.law.guards["witness"], self.law.quorum)
                demand(not size, "split_view", f"guards cosigned another root of size {size}")
            return
        demand(size - state.tree.size <= STEP, "too_large", f"{size} records in one checkpoint")
        self._until = self._clock() + SOURCE_SECONDS
        self._agreed(new, source)
        leaves = self._leaves(source, state.tree.size, size)
        grown = Tree()
        grown.levels = [bytearray(level) for level in state.tree.levels]
        grown.extend([leaves])
        demand(grown.root() == new.checkpoint.root, "split_view", f"{source.name} at size {size}")
        try:
            self._fold(source, state.tree.size, leaves)
        finally:
            self._kept.save()

    def _agreed(self, new: _New, source: Source) -> None:
        origin, law = self.origin, self.law
        try:
            cosigned(new.note, origin, law.guards["witness"], law.quorum)
        except Refused as refusal:
            moved = (
                f"{refusal.detail}; if people moved it, let this host take their charter by hand"
            )
            demand(refusal.reason != "wrong_origin", "wrong_origin", moved)
            for later in self._laws(source, new.checkpoint.size):
                try:
                    cosigned(new.note, origin, later.guards["witness"], later.quorum)
                except Refused:
                    continue
                return
            raise

    def _laws(self, source: Source, size: int) -> Iterator[Charter]:
        state = self._kept.state
        scratch, found = State(state.fleet), 0
        scratch.tables["charter"], scratch.charter = state.tables["charter"], state.charter
        for entry, _ in self._entries(source, state.tree.size, min(size, state.tree.size + SCAN)):
            if _is_charter(entry) and found < LAWS:
                try:
                    succeed(scratch, entry)
                except Refused:
                    continue
                found += 1
                yield scratch.law()

    def _fold(self, source: Source, start: int, leaves: bytes) -> None:
        state, at = self._kept.state, 0
        for entry, offset in self._entries(source, start, start + len(leaves) // HASH):
            same = leaf_hash(entry) == leaves[at : at + HASH]
            demand(same, "bad_inclusion", f"{source.name} gives another record {state.tree.size}")
            fold(state, [entry])
            self._kept.offset, at = offset, at + HASH

    def _leaves(self, source: Source, start: int, end: int) -> bytes:
        parts = []
        for number in range(start // SPAN, (end + SPAN - 1) // SPAN):
            first, width = number * SPAN, min(SPAN, end - number * SPAN)
            skip = max(start - first, 0) * HASH
            data = self._tile(source, "0", number, width, TILE, skip)[: width * HASH - skip]
            demand(len(data) == width * HASH - skip, "malformed", f"tile {number} is too short")
            parts.append(data)
        return b"".join(parts)

    def _entries(self, source: Source, start: int, end: int) -> Iterator[tuple[bytes, int]]:
        # Each record with the offset behind it in its bundle, nothing if the bundle ends there.
        for number in range(start // SPAN, (end + SPAN - 1) // SPAN):
            first, width = number * SPAN, min(SPAN, end - number * SPAN)
            skip = self._kept.offset if first < start else 0
            data, at = self._tile(source, "entries", number, width, BUNDLE, skip), 0
            # A host that started from a guard's state has not read the bundle's beginning.
            for index in range(start if skip else first, first + width):
                length = int.from_bytes(data[at : at + 2], "big")
                entry = data[at + 2 : at + 2 + length]
                whole = len(data) >= at + 2 and len(entry) == length
                demand(whole, "malformed", f"bundle {number} of {source.name} is too short")
                at += 2 + length
                if index >= start:
                    yield entry, 0 if index + 1 == first + SPAN else skip + at

    def _tile(
        self, source: Source, level: str, number: int, width: int, limit: int, skip: int
    ) -> bytes:
        path = f"{source.base}/{tile_path(level, number)}"
        if self._clock() > self._until:
            raise HttpUnavailable(f"{source.name} is too slow; another source is asked")
        if width < SPAN:
            try:
                return self._client.get(f"{path}.p/{width}", limit, skip=skip)
            except Absent:
                # tlog-tiles: a partial tile may be gone once the full one is there.
                pass
        return self._client.get(path, limit, skip=skip)


def _is_charter(entry: bytes) -> bool:
    return entry.rpartition(b"\n\n")[0].endswith(b'"type":"charter","version":1}')


def tile_path(level: str, number: int) -> str:
    """Spell the path of a full tile (`level` in decimal) or bundle (`entries`), C2SP tlog-tiles."""
    digits = str(number)
    digits = digits.rjust((len(digits) + 2) // 3 * 3, "0")
    groups = [digits[i : i + 3] for i in range(0, len(digits), 3)]
    return f"tile/{level}/" + "/".join([*("x" + group for group in groups[:-1]), groups[-1]])


def _unverified(note: bytes) -> Checkpoint:
    # Says only how much to fetch, before the signatures are checked.
    return parse_checkpoint(note.rpartition(b"\n\n")[0] + b"\n")


def _worse(one: Exception, other: Exception) -> Exception:
    # Bad evidence says more than a server that is away.
    return one if isinstance(one, Refused) else other


def _line(name: str, blob: bytes) -> bytes:
    return f"\u2014 {name} {base64.b64encode(blob).decode()}\n".encode()
