"""Canonical JSON: one spelling, closed shapes, and nothing but `Refused` on anything else."""

import json
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from answerable.kernel.canon import DEPTH, Json, conforms, decode, encode, read, shape
from answerable.kernel.errors import Refused
from tests.kernel.near import JSON, near_bytes

LIMIT = 1 << 16
GOOD = encode({"a": [1, True, None], "b": {"é": "x"}, "c": -3}).encode()


@given(JSON.filter(lambda value: decode_or_none(value) is not None))
def test_round_trip(value: Json) -> None:
    """What was written is read back the same."""
    assert decode(encode(value).encode(), LIMIT) == value


def decode_or_none(value: Json) -> Json:
    """Give a value that canonical JSON can hold, in a list."""
    with suppress(Refused):
        return [decode(encode(value).encode(), LIMIT)]
    return None


@given(st.integers())
def test_integers_are_bounded(number: int) -> None:
    """Sixteen digits, so that no reader of another language rounds them."""
    with suppress(Refused):
        assert abs(decode(str(number).encode(), LIMIT)) < 10**16
        return
    assert abs(number) >= 10**16


@given(JSON)
def test_another_spelling_is_refused(value: Json) -> None:
    """White space, escapes and unsorted keys would let one meaning have two hashes."""
    for loose in (json.dumps(value), json.dumps(value, indent=1), json.dumps([value, "é"])):
        if loose != encode(json.loads(loose)):
            with pytest.raises(Refused, match="malformed"):
                decode(loose.encode(), LIMIT)


@pytest.mark.parametrize(
    "text",
    [
        "", " ", "{", "nul", "NaN", "Infinity", "-Infinity", "1.0", "1e3", "-0", "01", "+1",
        '{"a":1,"a":1}', '{"b":1,"a":2}', '"\\u0041"', '"\\/"', '"\\ud800"', "[1 ,2]", "1\n",
        "\ufeff1", "[" * 100_000, '{"a":' * 50_000, "9" * 100_000, "1" + "0" * 16, "'a'", "[1,]",
        "\x00", '"\x01"', '"\t"', "[" * (DEPTH + 1) + "]" * (DEPTH + 1),
    ],
)  # fmt: skip
def test_what_is_not_the_one_spelling(text: str) -> None:
    """Each of these is refused, and none of them breaks the parser."""
    with pytest.raises(Refused, match=r"malformed|too_large"):
        decode(text.encode(), LIMIT)


def test_depth_is_bounded() -> None:
    """Nesting is read to a named depth."""
    deep = "[" * DEPTH + "]" * DEPTH
    assert encode(decode(deep.encode(), LIMIT)) == deep


@pytest.mark.fuzz
@given(st.binary(max_size=300) | near_bytes(GOOD))
@example(b"\xff")
def test_any_bytes_are_refused_or_read(data: bytes) -> None:
    """Untrusted bytes cause `Refused` and nothing else; what is read has one spelling."""
    with suppress(Refused):
        assert encode(decode(data, LIMIT)).encode() == data


FORM = shape(
    "a:int b:bool c:hex d:hex? e:id f:text",
    g=["id"],
    h={"*": "int"},
    i=("x", "y"),
    j=(shape("k:int"), shape("l:int")),
)
VALUE: Json = {
    "a": 1, "b": True, "c": "ab" * 32, "d": "", "e": "x.1", "f": "hello", "g": ["a"],
    "h": {"*": 1, "z": 2}, "i": "y", "j": {"l": 4},
}  # fmt: skip


def test_shape() -> None:
    """A closed object with every kind of member."""
    assert conforms(VALUE, FORM)
    assert read(encode(VALUE).encode(), LIMIT, FORM) == VALUE


WRONG: dict[str, list[Json]] = {
    "a": [True, -1, 1 << 53, "1", None, [1]],
    "b": [1, 0, "true", None],
    "c": ["", "AB" * 32, "ab" * 31, "ab" * 32 + "\n", 7],
    "d": ["x", None, " "],
    "e": ["", "X", "-a", "a" * 65, "a b", "a\n", "é", None],
    "f": ["\x00", "\t", "\x7f", "x" * 4_097, 3],
    "g": ["a", [1], {"a": 1}, ["a", "B"]],
    "h": [{"A": 1}, {"a": "1"}, [1], {"": 1}],
    "i": ["z", "", None, ["x"]],
    "j": [{"k": 1, "l": 2}, {}, {"k": "1"}, {"k": "int"}, [{"k": 1}], "k"],
}


@pytest.mark.parametrize("member", WRONG)
def test_another_shape(member: str) -> None:
    """Each wrong member is found, and so are a missing and a further one."""
    for value in WRONG[member]:
        assert not conforms(VALUE | {member: value}, FORM), value
    assert not conforms({k: v for k, v in VALUE.items() if k != member}, FORM)
    assert not conforms(VALUE | {"more": 1}, FORM)
