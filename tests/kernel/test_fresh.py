"""Fresh replies and consume notes: only what guards and the host itself signed."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.canon import Json, decode, encode
from answerable.kernel.errors import Refused
from answerable.kernel.fresh import Freshness, read_consume, read_head
from answerable.keys.sign import consume_text, sign_note
from tests.kernel.near import near_bytes, near_value
from tests.simulator import Simulator
from tests.simulator.keys import signer

SIM = Simulator()
WEB1 = signer("web1")
SIM.act(SIM.permitted())
FRESH = SIM.fresh("web1")
HEAD = read_head(FRESH, SIM.state, WEB1.key, FRESH.sent)
NOTE = SIM.acks["web1"]


def test_head() -> None:
    """Four guards, one time, one action."""
    assert (HEAD.present, HEAD.latest) == (SIM.now, SIM.now)
    assert {seq for seq, _ in HEAD.acks.values()} == {1}


def test_elapsed_time_is_added_to_the_latest_alone() -> None:
    """What has surely come is what guards said; what may have come grows with the clock."""
    later = read_head(FRESH, SIM.state, WEB1.key, FRESH.sent + 99.9)
    assert (later.present, later.latest) == (SIM.now, SIM.now + 99)


@given(st.lists(st.integers(-100, 100), min_size=3, max_size=3), st.integers(-(1 << 40), 1 << 40))
def test_one_liar_about_the_time(honest: list[int], lie: int) -> None:
    """`present` is never after, and `latest` never before, an honest guard's time."""
    drifts = dict(zip(("g1", "g2", "g3", "g4"), [*honest, lie], strict=True))
    times = {g: max(1, SIM.now + drift) for g, drift in drifts.items()}
    fresh = SIM.fresh("web1", times=times)
    head = read_head(fresh, SIM.state, WEB1.key, fresh.sent)
    low, middle, high = sorted(SIM.now + drift for drift in honest)
    assert low <= head.present <= middle
    assert middle <= head.latest <= high


@pytest.mark.fuzz
@given(st.data())
def test_changed_replies_never_pass_for_others(data: st.DataObject) -> None:
    """With one reply changed in any byte the head is what the other three say, or refused."""
    replies = [data.draw(near_bytes(*FRESH.replies)), *FRESH.replies[1:3]]
    with suppress(Refused):
        head = read_head(FRESH._replace(replies=tuple(replies)), SIM.state, WEB1.key, FRESH.sent)
        assert (head.present, head.latest) == (HEAD.present, HEAD.latest)
        assert head.acks.items() <= HEAD.acks.items()


@pytest.mark.fuzz
@given(st.data())
def test_changed_members_of_a_reply(data: st.DataObject) -> None:
    """The same, with whole members exchanged."""
    value: Json = decode(FRESH.replies[0], 1 << 16)
    leaf: Json = decode(value["leaf"].encode(), 1 << 16)
    if data.draw(st.booleans()):
        value["leaf"] = encode(data.draw(near_value(leaf)))
    else:
        value = data.draw(near_value(value))
    fresh = Freshness(FRESH.nonce, FRESH.sent, (encode(value).encode(), *FRESH.replies[1:3]))
    with suppress(Refused):
        head = read_head(fresh, SIM.state, WEB1.key, FRESH.sent)
        assert head.acks.items() <= HEAD.acks.items()


@pytest.mark.fuzz
@given(st.binary(max_size=200) | near_bytes(NOTE, sign_note("x\n", WEB1)))
def test_any_consume_note_is_refused_or_the_hosts_own(data: bytes) -> None:
    """Nobody makes a host believe that it acted, or that it did not."""
    with suppress(Refused):
        assert read_consume(data, SIM.fleet, WEB1.key) == (1, SIM.members["web1"].consumed[0])


@pytest.mark.parametrize(("fleet", "host"), [("ab" * 32, "web1"), (SIM.fleet, "web2")])
def test_consume_note_of_another(fleet: str, host: str) -> None:
    """Of another fleet, or under another host's name."""
    note = sign_note(consume_text(fleet, host, 1, "x"), WEB1)
    with pytest.raises(Refused, match="not_mine"):
        read_consume(note, SIM.fleet, WEB1.key)
