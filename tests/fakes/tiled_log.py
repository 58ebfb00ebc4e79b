"""A log over HTTP that does what the test wants: appends anything, forks, swallows, withholds.

It serves C2SP tiles and `add` through an httpx transport, so that the real client reads it; heads
are signed with the log's real keys. Consistency proofs are made by RFC 6962's own words
(tests/conformance/rfc6962.py).
"""

import base64
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from struct import pack

import httpx

from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.note import ED25519
from answerable.keys.sign import cosign
from answerable.witness.http_log import HttpLog
from answerable.witness.tiles import SPAN, read_path
from tests.conformance import rfc6962
from tests.simulator.keys import pair


def taken(_: bytes) -> str:
    """Take every record."""
    return ""


@dataclass
class TiledLog:
    """One log; `admit` says why a record is not taken, `silent` makes it answer 500 to all."""

    origin: str
    entries: list[bytes] = field(default_factory=list)
    admit: Callable[[bytes], str] = taken
    silent: bool = False
    gone: set[str] = field(default_factory=set)
    """Paths that are served no more."""
    served: list[str] = field(default_factory=list)
    """Paths that were asked for."""

    @property
    def tree(self) -> Tree:
        """The tree of all entries."""
        return Tree(map(leaf_hash, self.entries))

    def head(self, size: int | None = None, root: bytes | None = None, keys: int = 2) -> bytes:
        """Sign a head with the first `keys` of the log's keys; another root is a lie."""
        size = len(self.entries) if size is None else size
        at = Checkpoint(self.origin, size, self.tree.root(size) if root is None else root)
        signers = pair(self.origin, ED25519)[:keys]
        return f"{at.text()}\n{cosign(at, 0, *signers)}".encode()

    def ask(self, old: int, size: int | None = None, note: bytes = b"") -> bytes:
        """Make an add-checkpoint body."""
        size = len(self.entries) if size is None else size
        leaves = list(map(rfc6962.leaf, self.entries[:size]))
        proof = rfc6962.proof(old, leaves) if 0 < old < size else []
        return body(old, proof, note or self.head(size))

    def reach(self) -> HttpLog:
        """Give the real client of this log."""
        return HttpLog(httpx.Client(transport=httpx.MockTransport(self._answer)), "http://log/x")

    def _answer(self, request: httpx.Request) -> httpx.Response:
        path = request.url.path.removeprefix("/x/")
        self.served.append(path)
        if self.silent:
            return httpx.Response(500, content=iter([b""]))
        if request.method == "POST":
            return self._add(request.content)
        wanted = read_path(path)
        if wanted is None or wanted[0] >= 0 or path in self.gone:
            return httpx.Response(404, content=iter([b""]))
        _, number, width = wanted
        part = self.entries[number * SPAN : number * SPAN + width]
        if len(part) < width:
            return httpx.Response(404, content=iter([b""]))
        data = b"".join(pack(">H", len(e)) + e for e in part)
        return httpx.Response(200, content=iter([data]))

    def _add(self, data: bytes) -> httpx.Response:
        entry = data[4:]
        assert int.from_bytes(data[:4], "big") == len(entry), "one framed record"
        if entry in self.entries:
            return _json(403, {"reason": "duplicate", "detail": ""})
        if reason := self.admit(entry):
            return _json(403, {"reason": reason, "detail": ""})
        self.entries.append(entry)
        return _json(200, {"count": 1, "index": len(self.entries) - 1, "void": []})


def body(old: int | str, proof: Sequence[bytes], note: bytes) -> bytes:
    """Spell an add-checkpoint body."""
    lines = "".join(base64.b64encode(step).decode() + "\n" for step in proof)
    return f"old {old}\n{lines}\n".encode() + note


def _json(status: int, value: object) -> httpx.Response:
    return httpx.Response(status, content=iter([json.dumps(value).encode()]))
