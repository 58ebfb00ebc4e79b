"""The bundle of one order, made from what this control plane follows.

Everything in it is proof that the host checks for itself: nothing here can make a host do what was
not noticed. The checkpoint is the first cosigned one under which the notice had reached enough
people, so the host counts the window from as early as it may.
"""

from collections.abc import Callable

from answerable.changes.plan import NoPlan, Noticed, bundle, read
from answerable.exposure.match import Snapshot
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
        noticed = Noticed(notice, seen.note, self._authorization(known, said["authorization"]))
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
