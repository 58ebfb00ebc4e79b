"""Statements: what was signed is what is read, by whom, for which type."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.canon import Json, decode, encode
from answerable.kernel.errors import Refused
from answerable.kernel.statement import AUTHORITY, open_charter, open_statement
from tests.kernel.near import near_bytes
from tests.simulator import Simulator
from tests.simulator.constitution import veto

SIM = Simulator()
OWNERS = SIM.state.law().owners
VETO = SIM.write("veto", veto(), "lee", "fay")
ENTRIES = [VETO, *(entry for _, entry in SIM.history)]
TEXTS = {entry.rpartition(b"\n\n")[0] for entry in ENTRIES}


def test_both_people_signed() -> None:
    """Each person once."""
    statement = open_statement(VETO, AUTHORITY, OWNERS)
    assert statement.people == {"lee", "fay"}
    assert statement.kind == "veto"


def test_two_keys_are_one_person() -> None:
    """A person who signs with both keys is one."""
    twice = SIM.write("veto", veto(), "lee", "lee:2")
    assert open_statement(twice, AUTHORITY, OWNERS).people == {"lee"}


def test_same_words_signed_by_another_are_the_same_statement() -> None:
    """The id is of the text, the leaf of the whole entry."""
    one, two = (SIM.write("veto", veto(), who, nonce="00" * 16) for who in ("lee", "mo"))
    first, second = (open_statement(entry, AUTHORITY, OWNERS) for entry in (one, two))
    assert first.id == second.id
    assert first.leaf != second.leaf


@pytest.mark.parametrize("kind", sorted(AUTHORITY))
def test_body_of_another_type(kind: str) -> None:
    """A statement whose body is not of its type's shape is malformed."""
    entry = SIM.write(kind, {"never": 1}, "lee")
    with pytest.raises(Refused, match="malformed"):
        open_statement(entry, AUTHORITY, OWNERS)


def test_unknown_type_and_version_are_known_to_be_unknown() -> None:
    """They open, and say so; what is in them is anybody's guess."""
    for entry in (SIM.write("novelty", [1], "lee"), SIM.write("veto", 7, "lee", version=2)):
        assert not open_statement(entry, AUTHORITY, OWNERS).known


ENVELOPE: Json = decode(VETO.rpartition(b"\n\n")[0], 1 << 16)


@pytest.mark.parametrize("member", sorted(ENVELOPE))
def test_every_word_of_the_envelope_is_signed(member: str) -> None:
    """Type, version, fleet, log, charter and nonce cannot be exchanged under a signature."""
    value = ENVELOPE[member]
    other: Json = value + 1 if isinstance(value, int) else "halt" if member == "type" else "ab" * 16
    other = "cd" * 32 if member == "fleet" else {} if member == "body" else other
    forged = encode(ENVELOPE | {member: other}).encode() + b"\n\n" + VETO.rpartition(b"\n\n")[2]
    with pytest.raises(Refused, match="bad_signature"):
        open_statement(forged, AUTHORITY, OWNERS)


@pytest.mark.fuzz
@given(st.binary(max_size=300) | near_bytes(*ENTRIES))
def test_any_entry_is_refused_or_was_signed(entry: bytes) -> None:
    """Truncated, extended, flipped, spliced: never a text that its people did not sign."""
    with suppress(Refused):
        statement = open_statement(entry, AUTHORITY, OWNERS)
        assert encode(statement.envelope).encode() in TEXTS
        true = {open_statement(e, AUTHORITY, OWNERS).id: e for e in ENTRIES}
        signed = open_statement(true[statement.id], AUTHORITY, OWNERS)
        assert statement.signers <= signed.signers


@pytest.mark.fuzz
@given(near_bytes(ENTRIES[1]))
def test_any_charter_is_refused_or_was_signed(entry: bytes) -> None:
    """The same for a charter, which brings its own keys."""
    with suppress(Refused):
        open_charter(entry)
        assert entry.rpartition(b"\n\n")[0] in TEXTS
