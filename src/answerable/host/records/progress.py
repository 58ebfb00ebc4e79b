"""How far an order is, by the journal alone: `next_change`.

Rules:
* changes are done in their order, one by one; an action that has ended is never done again;
* after a failed change nothing more of `changes` is done, and `undo` is next, in its order;
* an order is at its end when everything of the part that is due has ended, an undo has failed, or
  an action that was begun and never acted on was refused afterwards.

What may be done is not said here: each step is for the kernel to permit.
"""

from collections.abc import Mapping
from typing import NamedTuple

from answerable.kernel.canon import Json
from answerable.kernel.order import Bundle
from answerable.kernel.verify import consumption


class Work(NamedTuple):
    """A bundle taken apart: its digest, its bytes, and what stands in it (not believed)."""

    digest: str
    data: bytes
    bundle: Bundle

    @property
    def notice(self) -> str:
        """Leaf hash of the notice that it names."""
        return str(self.bundle.body["notice"])

    def action(self, change: Json) -> str:
        """Name one of its actions as the kernel does."""
        return consumption(self.notice, self.bundle.hash, change["id"])


def failed_change(work: Work, ended: Mapping[str, Json]) -> str:
    """Give the id of the change that failed, nothing if none has."""
    for change in work.bundle.order["changes"]:
        body = ended.get(work.action(change))
        if body and body["result"] == "failed":
            return str(change["id"])
    return ""


def next_change(work: Work, ended: Mapping[str, Json]) -> Json | None:
    """Give the change whose turn it is, None if the order is at its end."""
    undo = bool(failed_change(work, ended))
    for change in work.bundle.order["undo" if undo else "changes"]:
        body = ended.get(work.action(change))
        if body is None:
            return change
        if body["result"] == "refused" or (undo and body["result"] == "failed"):
            return None
    return None
