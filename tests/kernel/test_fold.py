"""The fold: total over any entries, the same for everybody, changed by nothing that is refused."""

from copy import deepcopy
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.canon import Json, decode, encode
from answerable.kernel.errors import Refused
from answerable.kernel.fold import TABLES, State, fold, succeed
from answerable.kernel.merkle import leaf_hash
from answerable.kernel.statement import AUTHORITY
from tests.kernel.near import JSON, near_bytes, near_value
from tests.simulator import Simulator
from tests.simulator.constitution import approval, veto, withdrawal


def story() -> Simulator:
    """Play a bit of everything."""
    sim = Simulator()
    order = sim.permitted()
    held = sim.tell("veto", veto(notice=order.notice), "lee")
    halted = sim.tell("halt", {"zones": ["web"], "reason": ""}, "lee")
    sim.tell("lift", {"lifts": [held, halted], "reason": ""}, "kim", "mo")
    sim.tell("seen", {"notice": order.notice}, "lee")
    sim.tell("approval", approval(order.notice), "kim")
    sim.tell("withdrawal", withdrawal(artefacts=("ab" * 32,)), "g1")
    sim.advance(order, 1)
    sim.act(order)
    sim.fail(order, "up")
    sim.succeed(lambda body: body.update(name="next"), "dana", "lee")
    sim.tell("revocation", {"authorization": sim.authorization, "reason": ""}, "dana")
    return sim


SIM = story()
ENTRIES = [entry for _, entry in SIM.history]
SIGNERS = {
    "enrolment": ("dana", "lee"), "authorization": ("dana", "kim"), "release": ("planner1",),
    "notice": ("planner1",), "delivery": ("g1",), "withdrawal": ("g1",), "advance": ("o1",),
    "failure": ("o1",), "charter": ("dana", "lee"), "lift": ("kim", "mo"),
}  # fmt: skip


def folded(entries: list[bytes]) -> tuple[State, list[str]]:
    """Fold from the founding; give the verdicts' reasons."""
    state = State(SIM.fleet)
    return state, [v.reason if v else "" for v in fold(state, entries)]


def test_every_type_was_said() -> None:
    """The story below is about all of them."""
    kinds = {decode(e.rpartition(b"\n\n")[0], 1 << 16)["type"] for e in ENTRIES}
    assert kinds == set(AUTHORITY)
    assert not any(folded(ENTRIES)[1])


entries = st.lists(
    st.sampled_from(ENTRIES) | near_bytes(*ENTRIES) | st.binary(max_size=60), max_size=14
)


@pytest.mark.fuzz
@given(entries)
def test_total_and_deterministic(mixed: list[bytes]) -> None:
    """Valid and garbage entries in any order: a verdict each, a leaf each, one state for all."""
    begun = ENTRIES[:3] + mixed
    (one, verdicts), (two, again) = folded(begun), folded(begun)
    assert verdicts == again
    assert one.digest() == two.digest()
    assert one.tree.size == len(begun)
    assert one.tree.levels[0] == b"".join(map(leaf_hash, begun))


@given(entries, st.integers(0, 17))
def test_folding_in_parts(mixed: list[bytes], cut: int) -> None:
    """Who follows the log step by step knows what one knows who reads it all at once."""
    begun = ENTRIES[:3] + mixed
    state, verdicts = folded(begun[:cut])
    state.weights()
    rest = fold(state, begun[cut:])
    assert verdicts + [v.reason if v else "" for v in rest] == folded(begun)[1]
    assert state.digest() == folded(begun)[0].digest()
    assert state.weights() == folded(begun)[0].weights()


@given(entries)
def test_refused_entries_change_nothing_but_the_size(mixed: list[bytes]) -> None:
    """A no-op is a no-op, but that an unknown record stops."""
    state, _ = folded(ENTRIES[:3])
    for entry in mixed:
        before = deepcopy(state.tables)
        (verdict,) = fold(state, [entry])
        if verdict and verdict.reason != "unknown_record":
            assert state.tables == before


@pytest.mark.fuzz
@given(st.data())
def test_signed_statements_of_any_body(data: st.DataObject) -> None:
    """Everybody who may sign signs nonsense: a verdict, never another failure."""
    known = data.draw(st.sampled_from(ENTRIES[1:]))
    said = decode(known.rpartition(b"\n\n")[0], 1 << 16)
    body = data.draw(near_value(said["body"]))
    by = SIGNERS.get(said["type"], ("lee",))
    envelope = {"charter": said["charter"], "nonce": f"{data.draw(st.integers(0, 9)):032x}"}
    entry = SIM.write(said["type"], body, *by, **envelope)
    at = ENTRIES.index(known)
    state, _ = folded(ENTRIES[:at])
    fold(state, [entry])
    fold(state, ENTRIES[at:])
    again = State(SIM.fleet, decode(encode(state.tables).encode(), 1 << 22), state.tree)
    assert again.digest() == state.digest()


def test_digest_tells_tables_and_histories_apart() -> None:
    """Each record moves the digest, and a changed table does."""
    digests = [folded(ENTRIES[:size])[0].digest() for size in range(len(ENTRIES) + 1)]
    assert len(set(digests)) == len(digests)
    state, _ = folded(ENTRIES)
    forged = deepcopy(state.tables)
    forged["vetoes"] = {}
    assert State(SIM.fleet, forged, state.tree).digest() != state.digest()
    assert all(a != b for a, b in pairwise(digests))


def test_digest_after_a_charter_from_elsewhere() -> None:
    """A charter that comes by another way than the log changes the digest at the same size."""
    state, _ = folded(ENTRIES[:3])
    before = state.digest()
    sim = Simulator()
    succeed(state, sim.next_charter(lambda body: body.update(name="next"), "dana", "lee"))
    assert state.digest() != before


@pytest.mark.parametrize("table", [*TABLES, "charter", "stopped"])
def test_tables_that_are_none(table: str) -> None:
    """A start state of another shape is refused."""
    state, _ = folded(ENTRIES)
    odds: list[Json] = [7, [], {"A B": 1}, None]
    for odd in odds:
        with pytest.raises(Refused, match="bad_start"):
            State(SIM.fleet, state.tables | {table: odd})


@pytest.mark.fuzz
@given(JSON | near_value(SIM.state.tables))
def test_any_tables_are_refused_or_a_state(tables: Json) -> None:
    """What a thief hands to a new host is refused or has a digest."""
    try:
        state = State(SIM.fleet, tables, SIM.state.tree)
    except Refused:
        return
    assert state.digest() == SIM.state.digest() or state.tables != SIM.state.tables


@pytest.mark.fuzz
@given(near_bytes(ENTRIES[0]) | st.binary(max_size=50))
def test_any_first_charter_is_refused_or_the_fleets(entry: bytes) -> None:
    """A fleet is known by its first charter, byte by byte of its text."""
    state = State(SIM.fleet)
    try:
        succeed(state, entry)
    except Refused:
        assert state.charter is None
        return
    assert entry.rpartition(b"\n\n")[0] == ENTRIES[0].rpartition(b"\n\n")[0]
