"""A new host starts at a size, a root and a state that a quorum of guards signed for it."""

import base64
from pathlib import Path

import pytest

from answerable.kernel.canon import Json, decode
from answerable.kernel.errors import Refused
from answerable.kernel.fold import State
from answerable.kernel.fresh import Freshness, read_head
from answerable.kernel.merkle import Tree
from tests.fakes.guards import Town
from tests.simulator.keys import signer
from tests.witness.test_fresh import NONCE, consume, heads

LIMIT = 1 << 24


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A fleet with a notice, whose guards have cosigned the log so far."""
    town = Town(tmp_path)
    before = len(town.sim.history)
    town.sim.play()
    town.told(town.sim.history[before:])
    for guard in town.everybody():
        assert town.offer(guard).status == 200
    return town


def start(town: Town, guard: str = "g1", host: str = "web1") -> Json:
    """Ask one guard where to start."""
    answer = town.guards[guard].start.answer(host, NONCE)
    assert answer.status == 200, answer
    return decode(answer.body, LIMIT)


def state_of(town: Town, given: Json) -> State:
    """Make a state of what a guard gave."""
    leaves = base64.b64decode(given["leaves"])
    return State(town.sim.fleet, given["tables"], Tree([leaves]))


def test_quorum_signs_the_state_that_a_new_host_starts_at(town: Town) -> None:
    """Tables and leaves of one guard stand if a quorum's signed heads have their digest."""
    given = [start(town, guard) for guard in town.guards]
    state = state_of(town, given[0])
    replies = tuple(g["reply"].encode() for g in given)
    assert read_head(Freshness(NONCE, 0.0, replies), state, signer("web1").key, 0.0)
    assert state.digest() == town.sim.state.digest()


def test_bad_start_state_is_seen(town: Town) -> None:
    """A guard that slips something into the tables, or leaves a veto out, has no quorum."""
    given = [start(town, guard) for guard in town.guards]
    replies = tuple(g["reply"].encode() for g in given)
    given[0]["tables"]["notices"].clear()
    lied = state_of(town, given[0])
    with pytest.raises(Refused) as refused:
        read_head(Freshness(NONCE, 0.0, replies), lied, signer("web1").key, 0.0)
    assert refused.value.reason == "state_diverged"


def test_start_does_not_hide_what_a_host_has_done(town: Town) -> None:
    """The other endpoint is no way to get an answer without the last consume note."""
    heads(town, consume=consume(town, 1, "n/o/c"))
    given = start(town)
    assert "n/o/c" in decode(given["reply"].encode(), LIMIT)["last"]


@pytest.mark.parametrize(
    ("host", "nonce"),
    [("", ""), ("web1", "x"), ("../x", NONCE), ("web1", NONCE + "\n"), ("\x00", NONCE)],
)
def test_malformed_queries_are_400(tmp_path: Path, host: str, nonce: str) -> None:
    """Whatever is asked, the guard answers."""
    assert Town(tmp_path).guard().start.answer(host, nonce).status == 400
