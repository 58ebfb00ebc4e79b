"""Checkpoints: what a quorum of guards said, and never a byte more."""

from contextlib import suppress
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.checkpoint import Checkpoint, cosigned, parse_checkpoint
from answerable.kernel.errors import Refused
from answerable.kernel.merkle import EMPTY
from answerable.kernel.note import COSIGNATURE
from tests.kernel.near import near_bytes
from tests.simulator import GUARDS
from tests.simulator.keys import pair, public
from tests.simulator.log import cosigned_note, with_lines

ORIGIN = "log.example/authority"
AT = Checkpoint(ORIGIN, 7, b"\x07" * 32)
KEYS = {g: public(pair(f"{g}.example/witness", COSIGNATURE)) for g in GUARDS}
NOTE = cosigned_note(AT, "witness", dict.fromkeys(GUARDS, 1_000), log=ORIGIN)


def test_quorum() -> None:
    """Four guards at one time."""
    seen = cosigned(NOTE, ORIGIN, KEYS, 3)
    assert seen == (AT, 1_000, 1_000, frozenset(GUARDS))


@pytest.mark.parametrize("times", list(permutations((10, 20, 30, 40))))
def test_liars_only_delay(times: tuple[int, ...]) -> None:
    """Past is the third smallest of four, present the third largest: q = 3."""
    note = cosigned_note(AT, "witness", dict(zip(GUARDS, times, strict=True)))
    seen = cosigned(note, ORIGIN, KEYS, 3)
    assert (seen.past, seen.present) == (30, 20)


@given(st.lists(st.integers(1, 100), min_size=3, max_size=3), st.integers(1, 1 << 62))
def test_one_liar_stays_within_the_honest(honest: list[int], lie: int) -> None:
    """Whatever one of four says, past is at least and present at most an honest time that matters.

    No quorum of three says so before the second smallest honest clock has struck.
    """
    times = dict(zip(GUARDS, [*honest, lie], strict=True))
    seen = cosigned(cosigned_note(AT, "witness", times), ORIGIN, KEYS, 3)
    low, middle, high = sorted(honest)
    assert middle <= seen.past <= high
    assert low <= seen.present <= middle


def test_guard_counts_once_with_its_later_and_its_earlier_time() -> None:
    """Renewed lines of the same guard add nothing, and neither of its times helps a thief."""
    once = cosigned_note(AT, "witness", {"g1": 500, "g2": 1_000, "g3": 1_000})
    again = cosigned_note(AT, "witness", {"g1": 2_000})
    seen = cosigned(with_lines(once, again), ORIGIN, KEYS, 3)
    assert (seen.past, seen.present) == (2_000, 500)
    with pytest.raises(Refused, match="no_quorum"):
        cosigned(with_lines(once, again), ORIGIN, KEYS, 4)


def test_guard_without_both_kinds_does_not_count() -> None:
    """Ed25519 alone is a downgrade."""
    lines = NOTE.decode().split("\n")
    bare = "\n".join(line for line in lines if len(line) < 1_000).encode()
    with pytest.raises(Refused, match="no_quorum"):
        cosigned(bare, ORIGIN, KEYS, 1)


def test_time_zero_does_not_count() -> None:
    """A cosignature without a time says nothing about time."""
    note = cosigned_note(AT, "witness", dict.fromkeys(GUARDS, 0))
    with pytest.raises(Refused, match="no_quorum"):
        cosigned(note, ORIGIN, KEYS, 1)


def test_time_past_the_limit() -> None:
    """A timestamp of more than 63 bits is a bad signature."""
    note = cosigned_note(AT, "witness", {"g1": 1 << 63})
    with pytest.raises(Refused, match="bad_signature"):
        cosigned(note, ORIGIN, KEYS, 1)


def test_another_origin() -> None:
    """A checkpoint of another log."""
    with pytest.raises(Refused, match="wrong_origin"):
        cosigned(NOTE, "log.example/report", KEYS, 3)


@pytest.mark.parametrize(
    "text",
    [
        "", "\n", "a\n1\n", "a\n01\n{}\n", "a\n-1\n{}\n", "a\n1\n{}", "a\n1\n{}\nmore\n",
        "\n1\n{}\n", "a\n1\nAAAA\n", "a\n0\n{}\n", f"{'a' * 256}\n1\n{{}}\n",
        "a\n9999999999999999999\n{}\n", "a\n1 \n{}\n", "a\n\uff11\n{}\n",
    ],
)  # fmt: skip
def test_what_is_no_checkpoint(text: str) -> None:
    """Three lines, no extension, decimal without zeros, 32 bytes, and the empty tree's own root."""
    root = "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc="
    with pytest.raises(Refused, match="malformed"):
        parse_checkpoint(text.replace("{}", root).encode())


def test_empty_tree() -> None:
    """The empty tree has one root."""
    empty = Checkpoint("a", 0, EMPTY)
    assert parse_checkpoint(empty.text().encode()) == empty


@pytest.mark.fuzz
@given(st.binary(max_size=200) | near_bytes(AT.text().encode()))
def test_any_text_is_refused_or_read(data: bytes) -> None:
    """A checkpoint that is read spells itself the same."""
    with suppress(Refused):
        assert parse_checkpoint(data).text().encode() == data


@pytest.mark.fuzz
@given(near_bytes(NOTE, cosigned_note(AT._replace(size=8), "witness", {"g1": 5, "g2": 5})))
def test_changed_note_is_refused_or_what_guards_signed(data: bytes) -> None:
    """Truncated, extended, bit-flipped, spliced: no quorum for anything that was not cosigned."""
    with suppress(Refused):
        seen = cosigned(data, ORIGIN, KEYS, 3)
        assert seen.checkpoint == AT
        assert (seen.past, seen.present) == (1_000, 1_000)
