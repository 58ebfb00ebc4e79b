"""What the host knows of the authority log, kept on its own disk.

    log/leaves       the leaf hashes in order, 32 bytes each
    log/state.json   {"fleet","offset","root","size","tables"}: the fold of the first `size` of them

`save` first appends and syncs the new leaf hashes, then replaces `state.json`; leaf hashes beyond
its `size` are an unfinished save and are cut off. `root` must be the root of those leaf hashes, or
the state is damaged and nothing is done with it. `offset` is how many bytes of the last, partial
entry bundle were read already (follow.py).

Left out: an older state put back in its place; that is found by the guards' heads and receipts.
"""

from pathlib import Path

from answerable.host.files import (
    HomeUnavailable,
    append_synced,
    make_private,
    read_file,
    read_json,
    write_file,
)
from answerable.kernel.canon import encode
from answerable.kernel.errors import Refused
from answerable.kernel.fold import State
from answerable.kernel.merkle import HASH, Tree

LEAVES = 1 << 27
"""Largest file of leaf hashes that is read, bytes: four million records."""
TABLES = 1 << 28
"""Largest file of folded tables that is read, bytes."""


class LogState:
    """The followed log in memory, `state`, and on disk."""

    def __init__(self, directory: Path, fleet: str) -> None:
        """Read what is there, or start empty.

        Raises:
            HomeUnavailable: it is another fleet's, or damaged.
        """
        self._leaves, self._tables = directory / "leaves", directory / "state.json"
        make_private(directory)
        self.fleet, self.offset, self._saved = fleet, 0, 0
        self.state = State(fleet)
        if self._tables.exists():
            self._load()

    def _load(self) -> None:
        kept = read_json(self._tables, TABLES)
        leaves = read_file(self._leaves, LEAVES) if self._leaves.exists() else b""
        damaged = f"`{self._tables.parent}` is damaged; remove it, and the log is followed anew"
        try:
            size = int(kept["size"])
            tree = Tree([leaves[: size * HASH]]) if 0 <= size * HASH <= len(leaves) else Tree()
            if kept["fleet"] != self.fleet:
                raise HomeUnavailable(
                    f"`{self._tables}` is of another fleet; use another directory"
                )
            if tree.size != size or tree.root().hex() != kept["root"]:
                raise HomeUnavailable(damaged)
            self.state = State(self.fleet, kept["tables"], tree)
            self.offset, self._saved = int(kept["offset"]), size
        except (Refused, KeyError, TypeError, ValueError) as error:
            raise HomeUnavailable(damaged) from error

    def save(self) -> None:
        """Make the state durable; what was saved before stays if this fails."""
        tree = self.state.tree
        fresh = bytes(tree.levels[0][self._saved * HASH :])
        append_synced(self._leaves, fresh, self._saved * HASH)
        kept = {
            "fleet": self.fleet, "offset": self.offset, "root": tree.root().hex(),
            "size": tree.size, "tables": self.state.tables,
        }  # fmt: skip
        write_file(self._tables, encode(kept).encode())
        self._saved = tree.size

    def start_from(self, state: State) -> None:
        """Take a state that a quorum of guards vouches for, in place of an empty one."""
        assert not self.state.tree.size, "only an empty state is replaced"
        self.state, self.offset, self._saved = state, 0, 0
        self.save()
