"""Notes: the text is given out only under a good signature of a known key, whatever the bytes."""

from base64 import b64encode
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.errors import Refused
from answerable.kernel.note import ED25519, LINES, MLDSA44, Note, parse_vkey, unbase64
from answerable.keys.sign import sign_note
from tests.kernel.near import near_bytes
from tests.simulator.keys import signer

DANA, LEE = signer("dana.example"), signer("lee.example")
TEXT = "hello\n\nworld\n"
NOTE = sign_note(TEXT, DANA, LEE)


def test_two_good_lines() -> None:
    """Text and both keys come out."""
    text, payloads = Note(NOTE).open([DANA.key, LEE.key])
    assert (text, list(payloads)) == (TEXT.encode(), [DANA.key, LEE.key])


def test_unknown_line_is_ignored() -> None:
    """Only the known key is named."""
    assert list(Note(NOTE).open([LEE.key])[1]) == [LEE.key]


def test_known_key_whose_line_fails() -> None:
    """A bad line of a known key refuses the note, however many good ones stand beside it."""
    other = sign_note("other\n", DANA)
    mixed = NOTE + other.rpartition(b"\n\n")[2]
    with pytest.raises(Refused, match="bad_signature"):
        Note(mixed).open([DANA.key, LEE.key])
    assert Note(mixed).open([LEE.key])


def test_no_known_key() -> None:
    """A note that nobody known has signed."""
    with pytest.raises(Refused, match="bad_signature"):
        Note(NOTE).open([signer("eve.example").key])


def test_name_and_id_must_both_match() -> None:
    """The same key under another name is another key."""
    renamed = signer("dana.example").key._replace(name="dana.test")
    with pytest.raises(Refused, match="bad_signature"):
        Note(NOTE).open([renamed])


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\n", b"\n\n", b"text\n", b"text\n\n", b"\n\n\xe2\x80\x94 a AAAAAAA=\n",
        b"text\n\n- a AAAAAAA=\n", b"text\n\n\xe2\x80\x94 a AAAA=\n",
        b"text\n\n\xe2\x80\x94 a b c\n", b"text\n\n\xe2\x80\x94 a\xff AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 \xed\xa0\x80 AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 \xe2\x80\x83a AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 a AAAAAAB=\n", b"text\n\n\xe2\x80\x94 a+b AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 a\x01 AAAAAAA=\n", b"text\n\n\xe2\x80\x94 \0a AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 a AAAAAA\x01A=\n", b"text\n\n\xe2\x80\x94 a\x01\n",
        b"te\rxt\n\n\xe2\x80\x94 a AAAAAAA=\n", b"te\xffxt\n\n\xe2\x80\x94 a AAAAAAA=\n",
        b"text\n\n\xe2\x80\x94 a AAAAAAA=", b"text\n\n\xe2\x80\x94 a AAAAAA==\n",
        NOTE + b"\n", NOTE + b"\xe2\x80\x94 a AAAAAAA=\n" * LINES,
    ],
)  # fmt: skip
def test_what_is_no_note(data: bytes) -> None:
    """C2SP signed-note, rule by rule."""
    with pytest.raises(Refused, match="malformed"):
        Note(data)


def test_too_large_is_refused_unread() -> None:
    """A note has a limit."""
    with pytest.raises(Refused, match="too_large"):
        Note(NOTE, limit=len(NOTE) - 1)


@pytest.mark.fuzz
@given(st.binary(max_size=300) | near_bytes(NOTE, sign_note("x\n", DANA)))
def test_any_bytes_are_refused_or_the_signed_text(data: bytes) -> None:
    """Cut, flipped or spliced, a note gives a text that was signed, or `Refused`."""
    with suppress(Refused):
        text, keys = Note(data).open([DANA.key, LEE.key])
        assert text in (TEXT.encode(), b"x\n")
        assert set(keys) <= {DANA.key, LEE.key}


@pytest.mark.parametrize("kind", [ED25519, 4, MLDSA44])
def test_vkey_round_trip(kind: int) -> None:
    """A verifier key is read back from its spelling."""
    key = signer("x.example", kind).key
    assert parse_vkey(key.vkey()) == key


VKEYS = [signer("x.example", kind).key.vkey().encode() for kind in (ED25519, MLDSA44)]


@pytest.mark.fuzz
@given(st.text(max_size=80) | near_bytes(*VKEYS).map(lambda b: b.decode(errors="replace")))
def test_any_vkey_is_refused_or_read(text: str) -> None:
    """A verifier key that is read spells itself the same."""
    with suppress(Refused):
        assert parse_vkey(text).vkey() == text


@pytest.mark.parametrize("text", ["x+00000000+AQ==", "x+5c1ae0a4+AA==", "+5c1ae0a4+AQ==", "x++"])
def test_bad_vkey(text: str) -> None:
    """Wrong id, unknown type, no name, nothing."""
    with pytest.raises(Refused, match=r"bad_key|malformed"):
        parse_vkey(text)


@pytest.mark.fuzz
@given(st.text(max_size=30))
def test_base64_has_one_spelling(text: str) -> None:
    """No trailing bits, no white space, no other alphabet."""
    with suppress(Refused):
        assert b64encode(unbase64(text)).decode() == text
