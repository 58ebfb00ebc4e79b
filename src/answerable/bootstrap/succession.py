"""Beginning where another log ends, and going on under new keys: what log servers and guards do.

A log is read at any place that has its tiles: a log server's URL (`/authority` and `/report` below
it), a guard's URL (its mirrors), a log's own URL, or folders as `answerable log export` writes
them. Nothing is believed for its place: the charter that people signed says in `start` which
records are the old log's (witness/succession.py), or a quorum of its guards cosigned them.

| what | for |
|---|---|
| `old_end` | people who draft such a charter: where the old log ends |
| `log_charter` | a log server: begins with the old records, or goes on under new keys |
| `guard_charter` | a guard that is not running |

Left out: reports are carried over as somebody gives them; guards do not compare the new report log
with the old one, which stays on their mirrors for whoever does.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import httpx

from answerable.bootstrap.log import fleet_of
from answerable.bootstrap.parties import LOGS, pair_of
from answerable.bootstrap.serve import clock
from answerable.config import NotConfigured, Party, only_one, write_party
from answerable.kernel.charter import Charter
from answerable.kernel.checkpoint import Checkpoint, cosigned, parse_checkpoint
from answerable.kernel.errors import Refused, demand
from answerable.kernel.fold import State, fold
from answerable.kernel.merkle import leaf_hash
from answerable.kernel.statement import open_charter
from answerable.ledger.client import (
    FolderSource,
    HttpSource,
    LedgerMissing,
    Reader,
    Source,
    fetch_checkpoint,
)
from answerable.ledger.frontier import Frontier
from answerable.ledger.heads import open_head, own_keys, sign_head
from answerable.ledger.proofs import TileTree
from answerable.ledger.sqlite import SqliteStore
from answerable.ledger.store import Commit, LedgerDamaged, Stored
from answerable.notice.register import Register
from answerable.witness.mirror import log_name
from answerable.witness.store import Store
from answerable.witness.succession import adopt, reach

MOST = 1 << 22
"""Most records of a log that is read whole."""


class Given(NamedTuple):
    """A log as somebody gives it: its newest checkpoint note, and a reader under that."""

    note: bytes
    reader: Reader

    @property
    def origin(self) -> str:
        """What the log calls itself."""
        return self.reader.checkpoint.origin

    @property
    def size(self) -> int:
        """How many records."""
        return self.reader.checkpoint.size

    def entries(self, size: int) -> list[bytes]:
        """Give the first `size` records."""
        return list(self.reader.entries(0, size))


def read_log(client: httpx.Client, place: str, log: str, origins: Iterable[str]) -> Given:
    """Read a log at a place, under the checkpoint that is there, which nobody has checked yet.

    Args:
        client: asks servers.
        place: URL or folder.
        log: `authority` or `report`.
        origins: that it may have, to find it among a guard's mirrors.

    Raises:
        LedgerMissing: if there is none.
        Refused, LedgerUnavailable: if it is damaged or cannot be read.
    """
    for source in _sources(client, place, log, origins):
        try:
            note = fetch_checkpoint(source)
        except LedgerMissing:
            continue
        at = parse_checkpoint(note.rpartition(b"\n\n")[0] + b"\n")
        demand(at.size <= MOST, "too_large", f"{at.size} records in `{place}`")
        return Given(note, Reader(source, at))
    raise LedgerMissing(f"`{place}` has no {log} log; give a URL, or a folder of an export")


def _sources(client: httpx.Client, place: str, log: str, origins: Iterable[str]) -> list[Source]:
    if not place.startswith(("http://", "https://")):
        return [FolderSource(Path(place) / log), FolderSource(Path(place))]
    base = place.rstrip("/")
    mirrors = [f"{base}/mirror/{log_name(origin)}" for origin in origins]
    return [HttpSource(client, url) for url in (f"{base}/{log}", *mirrors, base)]


class End(NamedTuple):
    """Where a log ends: its size, the digest of the state there, and the guards that have it."""

    size: int
    digest: str
    guards: tuple[str, ...]


def old_end(client: httpx.Client, places: Sequence[str], law: Charter, fleet: str) -> End:
    """Find where a log ends: the last record that a quorum of guards has, by their own heads.

    Args:
        client: asks servers.
        places: guards' URLs, or copies of the log that a quorum cosigned.
        law: the charter in force there.
        fleet: the fleet's id.

    Raises:
        Refused: `no_quorum` if these places do not show what a quorum has; `split_view`.
        LedgerUnavailable: if a place cannot be read.
    """
    found = [read_log(client, place, "authority", [law.origin]) for place in places]
    sizes = dict[str, int]()
    for given in found:
        for guard in cosigned(given.note, law.origin, law.guards["witness"], 1).who:
            sizes[guard] = max(given.size, sizes.get(guard, 0))
    enough = len(sizes) >= law.quorum
    demand(enough, "no_quorum", f"{len(sizes)} guards' heads are known here, {law.quorum} must be")
    size = sorted(sizes.values())[-law.quorum]
    longer = [given for given in found if given.size >= size]
    roots = {TileTree(given.reader.tile).root(size) for given in longer}
    demand(len(roots) == 1, "split_view", f"guards have other records below {size}")
    state = State(fleet)
    fold(state, longer[0].entries(size))
    same = state.law().id == law.id
    demand(same, "stale_charter", f"charter {state.law().body['number']} is in force there")
    return End(size, state.digest(), tuple(sorted(g for g, n in sizes.items() if n >= size)))


def log_charter(
    client: httpx.Client, party: Party, note: bytes, places: Sequence[str]
) -> list[str]:
    """Let a log server begin, or go on under new keys, as a charter says; tells what was done.

    Raises:
        Refused: if the charter is none to obey, or the old log not the one that it names.
        Unavailable: if it names other keys than the directory has, or a log cannot be read.
    """
    law, said = open_charter(note)
    law.enough(said.people, "charter")
    for log in LOGS:
        own = own_keys(f"{party.name}/{log}", pair_of(party, log))
        if law.logs[log] != own:
            raise NotConfigured(f"the charter names other keys for `{own[0].name}` than are here")
    store = SqliteStore(party.directory / "authority.db")
    try:
        if store.head():
            return _resign(store, party, law)
        if not places:
            raise NotConfigured("a log that begins needs the old one: give `--from`")
        return _begin(client, store, party, note, places)
    finally:
        store.close()


def _begin(
    client: httpx.Client, store: SqliteStore, party: Party, note: bytes, places: Sequence[str]
) -> list[str]:
    first, law = open_charter(party.charter())[0], open_charter(note)[0]
    old = _longest(client, places, "authority", (first, law))
    assert old, "the authority log was read"
    reached = reach(old.entries(old.size), note, fleet_of(party.charter()))
    size = reached.state.tree.size
    entries = old.entries(size) + ([] if reached.inside else [note])
    reports = _longest(client, places, "report", (first, law))
    if reports:
        beside = SqliteStore(party.directory / "report.db")
        try:
            if not beside.head():
                _fill(beside, party, "report", reports.entries(reports.size))
        finally:
            beside.close()
    # Last, since it says that all is done.
    _fill(store, party, "authority", entries)
    carried = f"{reports.size} reports carried over" if reports else "no reports were given"
    where = f"`{party.name}/authority` goes on from record {size} of `{old.origin}`"
    return [where, carried]


def _longest(
    client: httpx.Client, places: Sequence[str], log: str, laws: Iterable[Charter]
) -> Given | None:
    origins, found = [law.body["logs"][log]["origin"] for law in laws], list[Given]()
    for place in places:
        try:
            found.append(read_log(client, place, log, dict.fromkeys(origins)))
        except LedgerMissing:
            if log == "authority":
                raise
    return max(found, key=lambda given: given.size, default=None)


def _fill(store: SqliteStore, party: Party, log: str, entries: Sequence[bytes]) -> None:
    """Make a log of these records at once: all of them, or none."""
    edge = Frontier()
    tiles = edge.extend([leaf_hash(entry) for entry in entries])
    store.commit(Commit(0, entries, tiles, _signed(party, log, edge)))


def _signed(party: Party, log: str, edge: Frontier) -> Stored:
    at = Checkpoint(f"{party.name}/{log}", edge.size, edge.root())
    return Stored(edge.size, at.root, sign_head(at, clock(), pair_of(party, log)))


def _resign(store: SqliteStore, party: Party, law: Charter) -> list[str]:
    size = _published(store)
    state = State(fleet_of(party.charter()))
    fold(state, store.entries(0, size))
    if state.law().id != law.id:
        raise NotConfigured(
            f"charter {law.body['number']} is not the newest of the {size} records that a quorum "
            "has cosigned: hand it in, and let the server run under its old keys until it is"
        )
    told = []
    for log in LOGS:
        beside = store if log == "authority" else SqliteStore(party.directory / f"{log}.db")
        try:
            if _sign_again(beside, party, log):
                told.append(f"the head of `{party.name}/{log}` bears the new keys")
        finally:
            if beside is not store:
                beside.close()
    return told or ["both heads bear these keys already"]


def _published(store: SqliteStore) -> int:
    text = store.published().rpartition(b"\n\n")[0] + b"\n"
    return parse_checkpoint(text).size if len(text) > 1 else 0


def _sign_again(store: SqliteStore, party: Party, log: str) -> bool:
    head, origin = store.head(), f"{party.name}/{log}"
    if head is None:
        return False
    try:
        open_head(head.note, origin, own_keys(origin, pair_of(party, log)))
    except Refused:
        edge = Frontier.load(head.size, store.tile)
        if edge.root() != head.root:
            why = "the tiles do not give the root of the stored head"
            raise LedgerDamaged(head.size, why) from None
        store.commit(Commit(head.size, (), (), _signed(party, log, edge)))
        return True
    return False


def guard_charter(
    client: httpx.Client, party: Party, note: bytes, place: str, log: str
) -> list[str]:
    """Let a guard that is not running take a charter that its log does not bring it.

    Args:
        client: asks servers.
        party: the guard's directory.
        note: the charter.
        place: a log that has the records, if the guard lacks some.
        log: URL of the log server from now on; nothing leaves it as it is.

    Raises:
        Refused: if it is none to obey, or says another thing than this guard has followed.
        Unavailable: if the guard runs, or a log cannot be read.
    """
    law, first = open_charter(note)[0], open_charter(party.charter())[0]
    with only_one(party.directory):
        given = read_log(client, place, "authority", (law.origin, first.origin)) if place else None
        entries = given.entries(given.size) if given else None
        fleet = fleet_of(party.charter())
        if given and reach(given.entries(given.size), note, fleet).inside:
            cosigned(given.note, law.origin, law.guards["witness"], law.quorum)
        size, left = _adopted(party, note, entries)
        if log:
            write_party(replace(party, settings={**party.settings, "log": log}))
    told = [f"charter {law.body['number']} is in force; the guard stands on {size} records"]
    return told + ([f"{left} records beyond that were left behind"] if left else [])


def _adopted(party: Party, note: bytes, entries: Sequence[bytes] | None) -> tuple[int, int]:
    fleet = fleet_of(party.charter())
    store = Store(party.directory / "guard.db")
    try:
        size, left = adopt(store, fleet, party.charter(), note, entries)
    finally:
        store.close()
    if left:
        register = Register(party.directory / "herald.db")
        register.forget(size)
        register.close()
    return size, left
