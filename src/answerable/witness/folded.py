"""The fold of the authority log, kept beside its records, so that a guard starts in seconds.

One row: size, root, tables (canonical JSON) and the SHA-256 of root and tables. It is used only if
that hash holds and the leaf hashes kept of the records have that root; otherwise everything is
folded again. A charter from elsewhere, or records left behind, throw it away.

Left out: defence against whoever writes to the guard's own database; that is the guard.
"""

import json
import sqlite3
from hashlib import sha256

from answerable.kernel.canon import encode
from answerable.kernel.errors import Refused
from answerable.kernel.fold import State
from answerable.kernel.merkle import HASH, Tree

STEP = 4096
"""Records after which the fold is kept again."""


def save(db: sqlite3.Connection, state: State) -> None:
    """Keep a state that stands on all records kept, within a transaction."""
    root, tables = state.tree.root(), encode(state.tables).encode()
    row = (0, state.tree.size, root, tables, sha256(root + tables).digest())
    db.execute("REPLACE INTO folded VALUES (?,?,?,?,?)", row)


def load(db: sqlite3.Connection, fleet: str) -> State | None:
    """Give the state that was kept, None if there is none or it does not hold."""
    row = db.execute("SELECT size, root, tables, hash FROM folded").fetchone()
    if not row or sha256(row[1] + row[2]).digest() != row[3]:
        return None
    ask = "SELECT data FROM tile JOIN authority USING (origin) WHERE level=0 ORDER BY number"
    leaves = b"".join(data for (data,) in db.execute(ask))[: row[0] * HASH]
    tree = Tree([leaves])
    if (tree.size, tree.root()) != (row[0], row[1]):
        return None
    try:
        return State(fleet, json.loads(row[2]), tree)
    except Refused:  # kept by another version
        return None
