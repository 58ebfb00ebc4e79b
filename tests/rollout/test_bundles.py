"""What the pull executor hands out is what the kernel permits, and nothing before people know."""

import json
from pathlib import Path

import pytest

from answerable.exposure.match import Snapshot
from answerable.kernel.checkpoint import cosigned
from answerable.kernel.errors import Unavailable
from answerable.kernel.verify import Permit
from answerable.rollout.bundles import Bundles, least
from answerable.rollout.executor import ExecutorUnavailable
from answerable.rollout.logs import Authority, LogView, Seen
from answerable.rollout.pull import PullExecutor
from tests.changes.test_permitted import Story
from tests.simulator import Simulator


class Plane:
    """A control plane that follows a story's log."""

    def __init__(self, *notes: str) -> None:
        self.story = Story()
        self.notes = notes or (self.story.sim.authorized, self.story.checkpoint)
        self.plan = self.story.plan.text.encode()
        self.bundles = Bundles(self.authority, lambda _: self.plan, self.snapshot)

    def authority(self) -> Authority:
        """Give what is followed."""
        state = self.story.sim.state
        law = state.law()
        opened = [
            (n, cosigned(n.encode(), law.origin, law.guards["witness"], law.quorum))
            for n in self.notes
        ]
        return Authority(state, [Seen(n, c.checkpoint.size, c.past, c.present) for n, c in opened])

    def snapshot(self, release: str) -> Snapshot:
        """Give a released snapshot."""
        return next(s for s in self.story.known.snapshots if s.release == release)


def test_the_kernel_permits_what_is_handed_out(tmp_path: Path) -> None:
    """From the view's orders through the files that a host downloads to a permit."""
    plane = Plane()
    view = LogView(plane.authority, lambda _: [], lambda _: plane.plan)
    executor = PullExecutor(tmp_path, plane.bundles)
    rings = view.rings(plane.story.notice)
    executor.publish(plane.story.notice, rings[0])
    (host,) = [order.host for order in rings[0]]
    (digest,) = json.loads(executor.listed(host))
    order, expected = plane.story.order(host)
    data = executor.read(digest)
    assert data
    given, whole = json.loads(data), json.loads(expected)
    assert len(given.pop("checkpoint")) < len(whole.pop("checkpoint"))
    assert len(given.pop("authorization_checkpoint")) < len(whole.pop("authorization_checkpoint"))
    assert given == whole
    verdict = plane.story.sim.ask(order, rings[0][0].changes[0], bundle=data)
    assert isinstance(verdict, Permit), verdict


def test_the_earliest_quorum_travels() -> None:
    """Of a checkpoint those guards' lines are left that date it, and its time is the same."""
    sim = Simulator()
    note = sim.checkpoint(times={"g1": sim.now + 9, "g2": sim.now - 3, "g3": sim.now + 5})
    law = sim.state.law()
    guards, quorum = law.guards["witness"], law.quorum
    before = cosigned(note.encode(), law.origin, guards, quorum)
    after = cosigned(least(note, law).encode(), law.origin, guards, quorum)
    assert (after.checkpoint, after.past) == (before.checkpoint, before.past)
    assert after.who == {"g2", "g3", "g4"}


def test_nothing_is_built_for_a_notice_that_reached_nobody() -> None:
    """Without a cosigned checkpoint over the deliveries there is no bundle."""
    plane = Plane()
    (order, *_), *_ = LogView(plane.authority, lambda _: [], lambda _: plane.plan).rings(
        plane.story.notice
    )
    plane.notes = plane.notes[:1]
    with pytest.raises(ExecutorUnavailable):
        plane.bundles(plane.story.notice, order)


def test_a_plan_or_a_fact_that_is_missing_is_unavailable() -> None:
    """The executor says so, and the rollout asks again."""
    plane = Plane()
    (order, *_), *_ = LogView(plane.authority, lambda _: [], lambda _: plane.plan).rings(
        plane.story.notice
    )
    plane.story.known.snapshots[0].candidate.index.clear()
    with pytest.raises(Unavailable):
        plane.bundles(plane.story.notice, order)
    plane.plan = b"{}"
    with pytest.raises(Unavailable):
        plane.bundles(plane.story.notice, order)
