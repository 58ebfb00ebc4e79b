"""Following both logs as an observer does: only what a quorum of guards cosigned, and no fork.

1. A checkpoint counts only if it is cosigned under the charter in force.
2. Every newer tree must contain the one before: its own tiles, checked under its root, must give
   the old root at the old size (RFC 6962 section 2.1.2 holds then by construction).
3. Authority records are folded by the kernel; reports are opened with the keys of the charter under
   which they were signed, and of the hosts whose enrolment this observer was given.

What is remembered between runs (memory.py) only says where to go on; it is checked as in 2.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from answerable.kernel.charter import Charter, Signatory
from answerable.kernel.checkpoint import Checkpoint, Cosigned, cosigned
from answerable.kernel.errors import Refused, demand
from answerable.kernel.fold import State, fold
from answerable.kernel.merkle import leaf_hash
from answerable.kernel.note import LINES, Key
from answerable.kernel.statement import Statement, open_charter
from answerable.ledger.client import Reader, Source, fetch_checkpoint
from answerable.ledger.proofs import TileTree
from answerable.ledger.reports import open_report

Named = dict[str, dict[Key, Signatory]]
"""Whose keys bear a name."""
Keep = Callable[[str, int, bytes], None]
"""(log, size, checkpoint note): told of the first checkpoint seen of each size."""


class Record(NamedTuple):
    """A record of the report log that holds: place, leaf hash, and what it says."""

    place: int
    leaf: str
    said: Statement


def grown(reader: Reader, old: Checkpoint) -> None:
    """Demand that a log under a new checkpoint contains the old one.

    Raises:
        Refused: `split_view`.
    """
    root = TileTree(reader.tile).root(old.size) if old.size else old.root
    demand(root == old.root, "split_view", f"`{old.origin}` has another history below {old.size}")


class Authority:
    """The authority log, folded as far as it is cosigned."""

    def __init__(self, source: Source, charter: bytes, keep: Keep) -> None:
        """Begin with a charter from elsewhere: charter 1, or the newest one.

        Raises:
            Refused: if it is no charter.
        """
        self._given, said = open_charter(charter)
        self.fleet = said.envelope["fleet"] or said.id
        self.state, self._source, self._keep = State(self.fleet), source, keep
        self.laws: dict[int, Charter] = {}

    @property
    def law(self) -> Charter:
        """The newer of the charter in force and the one given."""
        known: Charter | None = self.state.charter
        newer = known is not None and known.body["number"] >= self._given.body["number"]
        return known if known is not None and newer else self._given

    def follow(self, remembered: Checkpoint | None = None) -> Cosigned:
        """Fold what is new; give the head.

        Raises:
            Refused: if the checkpoint is not cosigned or the log not the one that was followed.
            LedgerUnavailable: if it cannot be read.
        """
        note, law, tree = fetch_checkpoint(self._source), self.law, self.state.tree
        head = cosigned(note, law.origin, law.guards["witness"], law.quorum)
        _, size, root = head.checkpoint
        if size <= tree.size:
            demand(tree.root(size) == root, "split_view", f"another root of size {size}")
            return head
        reader = Reader(self._source, head.checkpoint)
        grown(reader, Checkpoint(law.origin, tree.size, tree.root()))
        if remembered:
            demand(remembered.size <= size, "behind", "the log is shorter than it was")
            grown(reader, remembered)
        for entry in reader.entries(tree.size, size):
            fold(self.state, [entry])
            if self.state.charter:
                self.laws[self.state.charter.body["number"]] = self.state.charter
        self._keep("authority", size, note)
        return head


class Reports:
    """The report log, read as far as it is cosigned.

    `next` is the first record not read yet, `known` the newest checkpoint, `note` its bytes,
    `refused` how many records did not hold.
    """

    def __init__(self, source: Source, start: int = 0, known: Checkpoint | None = None) -> None:
        """Read from record `start` on; `known` is the newest checkpoint remembered."""
        self._source, self.next = source, start
        self.known, self.note, self.refused = known, b"", 0
        self._named: Named = {}
        self._of: tuple[int, int] = (0, 0)

    def follow(
        self, authority: Authority, hosts: Mapping[Key, Signatory]
    ) -> tuple[Cosigned, list[Record]]:
        """Give the head, and what is new and holds.

        Raises:
            Refused, LedgerUnavailable: as `Authority.follow` does.
        """
        note, law = fetch_checkpoint(self._source), authority.law
        origin = law.body["logs"]["report"]["origin"]
        head = cosigned(note, origin, law.guards["witness"], law.quorum)
        new, old = head.checkpoint, self.known
        demand(old is None or new.size >= old.size, "behind", "the log is shorter than it was")
        if old is None or new != old or self.next < new.size:
            reader = Reader(self._source, new)
            if old is not None:
                grown(reader, old)
            found = list(self._read(reader, authority, hosts))
        else:
            found = []
        self.note, self.known = note, new
        return head, found

    def _read(
        self, reader: Reader, authority: Authority, hosts: Mapping[Key, Signatory]
    ) -> Iterator[Record]:
        self._name(authority, hosts)
        size = reader.checkpoint.size
        for index, entry in enumerate(reader.entries(min(self.next, size), size), self.next):
            try:
                yield Record(index, leaf_hash(entry).hex(), self._open(entry, authority))
            except Refused:
                self.refused += 1
        self.next = max(self.next, size)

    def _name(self, authority: Authority, hosts: Mapping[Key, Signatory]) -> None:
        """Sort the keys by name: an entry is opened with the few that it names."""
        if self._of == (len(authority.laws), len(hosts)):
            return
        self._of, self._named = (len(authority.laws), len(hosts)), {}
        every = [authority.law.owners, hosts, *(law.owners for law in authority.laws.values())]
        for owners in every:
            for key, who in owners.items():
                self._named.setdefault(key.name, {})[key] = who

    def _open(self, entry: bytes, at: Authority) -> Statement:
        owners: dict[Key, Signatory] = {}
        for line in entry.rpartition(b"\n\n")[2].split(b"\n", LINES)[:LINES]:
            name = line.split(b" ", 2)[1:2]
            owners |= self._named.get(name[0].decode(errors="replace") if name else "", {})
        said = open_report(entry, owners)
        told, laws = said.envelope, [at.law, *at.laws.values()]
        demand(told["fleet"] == at.fleet, "wrong_fleet", f"`{told['fleet']}`")
        # Reports of a log that the fleet has moved from are carried over.
        known = told["origin"] in {law.body["logs"]["report"]["origin"] for law in laws}
        demand(known, "wrong_origin", f"`{told['origin']}`")
        return said
