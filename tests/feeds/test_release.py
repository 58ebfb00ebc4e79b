"""Releases: a quorum of attesters, or none."""

import pytest

from answerable.feeds.candidate import Candidate, propose
from answerable.feeds.release import body, checkpoint, joined
from answerable.kernel.charter import Charter
from answerable.kernel.errors import Refused
from answerable.kernel.note import COSIGNATURE
from answerable.keys.sign import cosign
from tests.feeds.fakes import MemorySource, advisory
from tests.simulator.constitution import FEED, charter
from tests.simulator.keys import pair

FLEET = "f" * 64


def _candidate() -> Candidate:
    made = propose(FEED, [MemorySource([advisory()])], ["openssl"], 0)
    assert isinstance(made, Candidate)
    return made


def _note(*guards: str) -> str:
    agreed = checkpoint(_candidate(), FLEET, 1)
    return joined(
        agreed,
        [
            cosign(agreed, 100 + n, *pair(f"{g}.example/attester", COSIGNATURE))
            for n, g in enumerate(guards)
        ],
    )


def test_a_quorum_makes_a_release() -> None:
    """Three of four attesters put the snapshot into service, at a time none of them can move."""
    note = _note("g4", "g1", "g2")
    made, agreed = body(FEED, note, Charter(charter(), FLEET), FLEET)
    assert (made["feed"], made["checkpoint"], made["model"]) == (FEED, note, "")
    assert agreed.checkpoint.root == _candidate().tree.root()


@pytest.mark.parametrize(
    ("guards", "feed", "fleet", "reason"),
    [
        (("g4", "g1"), FEED, FLEET, "no_quorum"),
        (("g4", "g1", "g1"), FEED, FLEET, "no_quorum"),
        (("g4", "g1", "g2"), "pypi", FLEET, "wrong_origin"),
        (("g4", "g1", "g2"), FEED, "e" * 64, "wrong_origin"),
    ],
)
def test_less_than_a_quorum_or_another_feed_makes_none(
    guards: tuple[str, ...], feed: str, fleet: str, reason: str
) -> None:
    """Too few attesters, one counted twice, or words for another feed or fleet do not count."""
    with pytest.raises(Refused) as refusal:
        body(feed, _note(*guards), Charter(charter(), FLEET), fleet)
    assert refusal.value.reason == reason
