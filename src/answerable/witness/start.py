"""Where a new host starts: the state of the authority log as this guard folds it.

`GET /start?host=<id>&nonce=<32 hex>` gives canonical JSON

    {"leaves":"<base64 of all leaf hashes>","reply":"<REPLY of kernel/fresh.py>","tables":{..}}

The reply is signed over the caller's nonce like any other, so that `State(fleet, tables, Tree(..))`
is one that a quorum vouches for as soon as `read_head` counts a quorum of such replies. A host that
the guard knows is answered with its true last consume note: this is no way around it.

Left out: a proof that the tables follow from the records; who wants that folds them all.
"""

import base64
from collections.abc import Callable

from answerable.kernel.canon import Json, conforms, encode
from answerable.kernel.errors import Refused
from answerable.kernel.fold import State
from answerable.witness.follower import Follower
from answerable.witness.fresh import Ask, Fresh, head_of_state, last_of
from answerable.witness.store import Store
from answerable.witness.wire import JSON, Answer, problem


class Start:
    """Answers new hosts; what is costly is made once for each head."""

    def __init__(
        self, store: Store, follower: Follower, fresh: Fresh, clock: Callable[[], int]
    ) -> None:
        """Share the guard's parts."""
        self._store, self._follower, self._fresh, self._clock = store, follower, fresh, clock
        self._made: tuple[Json, tuple[str, str]] = ({}, ("", ""))

    def answer(self, host: str, nonce: str) -> Answer:
        """Answer one new host."""
        if not (conforms(host, "id") and conforms(nonce, "nonce")):
            return problem(400, "malformed", "needs `host`, an id, and `nonce`, 32 hex digits")
        if withheld := self._follower.overdue(self._clock()):
            return problem(403, withheld.reason, withheld.detail)
        try:
            head, rest = self._follower.look(self._make)
        except Refused as refused:
            return problem(503, refused.reason, refused.detail)
        with self._store.read() as db:
            last = last_of(db, host)
        reply = self._fresh.sign(head, [(Ask(host, nonce), last)])[0].decode()
        body = '{"leaves":' + rest[0] + ',"reply":' + encode(reply) + ',"tables":' + rest[1] + "}"
        return Answer(200, body.encode(), JSON)

    def _make(self, state: State) -> tuple[Json, tuple[str, str]]:
        head = head_of_state(state)
        if self._made[0] != head:
            leaves = base64.b64encode(bytes(state.tree.levels[0])).decode()
            self._made = (head, (encode(leaves), encode(state.tables)))
        return self._made
