"""The bundle of one order, made from what this control plane follows.

Everything in it is proof that the host checks for itself: nothing here can make a host do what was
not noticed. The checkpoint is the first cosigned one under which the notice had reached enough
people, so the host counts the window from as early as it may; of its lines only those travel that
the host needs.
"""

from collections.abc import Callable

from answerable.changes.plan import NoPlan, Noticed, bundle, read
from answerable.exposure.match import Snapshot
from answerable.kernel.charter import Charter
from answerable.kernel.checkpoint import CHECKPOINT, check_cosignature
from answerable.kernel.note import Note
from answerable.rollout.executor import ExecutorUnavailable
from answerable.rollout.logs import Authority
from answerable.rollout.view import Order


class Bundles:
    """`pull.Build` on the followed log.

    Args:
        authority: gives what is known of the authority log now.
        plan: gives a plan's bytes by digest.
        snapshot: gives the released snapshot of a release id; all three may raise `Unavailable`.
    """

    def __init__(
        self,
        authority: Callable[[], Authority],
        plan: Callable[[str], bytes],
        snapshot: Callable[[str], Snapshot],
    ) -> None:
        self._authority = authority
        self._plan = plan
        self._snapshot = snapshot

    def __call__(self, notice: str, order: Order) -> bytes:
        """Give the bundle's bytes.

        Raises:
            Unavailable: the notice has not reached enough people, or something cannot be read.
        """
        known = self._authority()
        said, seen = known.find(notice)["body"], known.noticed(notice)
        if seen is None:
            raise ExecutorUnavailable(f"the notice `{notice}` has not reached enough people")
        granted = self._authorization(known, said["authorization"])
        law = known.state.law()
        noticed = Noticed(notice, least(seen.note, law), granted and least(granted, law))
        try:
            plan = read(self._plan(said["plan"]))
            snapshots = [self._snapshot(release) for release in said["releases"]]
            text = bundle(plan, order.ring, order.place, noticed, snapshots)
        except NoPlan as error:
            raise ExecutorUnavailable(f"no bundle for `{order.host}`: {error}") from error
        return text.encode()

    @staticmethod
    def _authorization(known: Authority, name: str) -> str:
        grant = known.state.authorizations.get(name)
        seen = known.first(grant["index"]) if grant else None
        return seen.note if seen else ""


def least(note: str, law: Charter) -> str:
    """Keep those lines of a cosigned checkpoint that date it: the first guards to make a quorum.

    A host checks every line of a guard that it knows, so the others would cost it time and change
    nothing: `Cosigned.past` is the latest time of the earliest quorum.
    """
    pairs = law.guards["witness"].values()
    taken = Note(note.encode(), CHECKPOINT)
    _, good = taken.open([key for pair in pairs for key in pair], check_cosignature)
    whole = [pair for pair in pairs if all(key in good for key in pair)]
    whole.sort(key=lambda pair: max(line[:8] for key in pair for line in good[key]))
    kept = {(key.name, key.id) for pair in whole[: law.quorum] for key in pair}
    text, _, lines = note.rpartition("\n\n")
    rows = zip(taken.lines, lines.splitlines(keepends=True), strict=True)
    lines = "".join(line for (name, number, _), line in rows if (name, number) in kept)
    return f"{text}\n\n{lines}"
