"""Frames between applyd and agentd: what is spelt is read, and nothing else is."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.host.network.client import Call, HttpUnavailable
from answerable.host.network.frames import HEAD, PIECE, Answered, Broken, ask, asked, no_answer
from tests.fakes.carrier import said

CALLS = st.builds(
    Call, st.sampled_from(["GET", "POST"]),
    st.text("abcdefghij:/.?=&-_0123456789", max_size=200), st.binary(max_size=300),
    st.integers(0, 1 << 30), st.integers(0, 1 << 30), st.integers(0, 1800).map(float),
)  # fmt: skip
QUESTION = ask(Call("GET", "http://log.example/x", b"", 0, 100, 30.0))


def of(data: bytes) -> Callable[[int], bytes]:
    """Give what reads from these bytes, as `frames.reader` does from a socket."""
    left = [data]

    def exactly(size: int) -> bytes:
        part, left[0] = left[0][:size], left[0][size:]
        if len(part) < size:
            raise Broken("broke off early")
        return part

    return exactly


def whole(data: bytes, most: int = 1 << 20) -> tuple[int, bytes]:
    """Read a whole answer."""
    answered = Answered(of(data))
    body = b""
    while piece := answered.read(most):
        body += piece
    assert not answered.length
    return answered.status, body


@given(CALLS)
def test_a_question_is_read_as_it_was_asked(call: Call) -> None:
    """Every question that can be spelt."""
    assert asked(of(ask(call))) == call


@given(st.integers(1, 599), st.binary(max_size=3 * PIECE), st.integers(1, PIECE + 1))
def test_an_answer_is_read_as_it_was_given(status: int, body: bytes, most: int) -> None:
    """Every answer, in pieces of whatever size."""
    assert whole(said(status, body), max(most, len(body) // 50 + 1)) == (status, body)


@given(st.integers(0, len(QUESTION) - 1))
def test_a_question_that_is_cut_is_broken(at: int) -> None:
    """At every byte."""
    with pytest.raises(Broken):
        asked(of(QUESTION[:at]))


@given(st.integers(0, len(said(200, b"x" * 99)) - 1))
def test_an_answer_that_is_cut_is_never_whole(at: int) -> None:
    """A server's half answer never counts as all of it."""
    with pytest.raises(Broken):
        whole(said(200, b"x" * 99)[:at])


@pytest.mark.parametrize(
    "data",
    [
        (HEAD + 1).to_bytes(4, "big"),
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x02{}",
        QUESTION.replace(b'"GET"', b'"PUT"'),
        QUESTION.replace(b'"limit":100', b'"limit":1e2'),
        ask(Call("GET", "x", b"", 0, (1 << 30) + 1, 1.0)),
        ask(Call("GET", "x", b"", 0, 1, 1801.0)),
        said(200, b"x")[:-9] + b"\xff\xff\xff\xffx",
        no_answer("x").replace(b'"status":0', b'"status":600'),
        no_answer("x").replace(b'"status":0', b'"status":-1'),
    ],
)
def test_what_is_no_frame_is_broken(data: bytes) -> None:
    """Too long, another shape, another word, over a limit."""
    with pytest.raises(HttpUnavailable):
        asked(of(data))
    with pytest.raises(HttpUnavailable):
        whole(data)


def test_why_nothing_was_answered_is_plain_text() -> None:
    """Whatever a server's error holds, it is one short line."""
    with pytest.raises(HttpUnavailable, match=r"^a b\?{0,1}c$|^a bc$"):
        Answered(of(no_answer("a b\n\x1b\ud800c")))
    with pytest.raises(HttpUnavailable) as raised:
        Answered(of(no_answer("x" * 10_000)))
    assert len(str(raised.value)) == 300
