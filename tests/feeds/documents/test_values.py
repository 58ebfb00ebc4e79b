"""JSON values out of documents of any size."""

import json
import math
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.feeds.documents.values import Cursor, values
from answerable.feeds.source import State, Unusable
from tests.feeds.documents.test_unpacked import zipped

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**60), 2**60) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=12,
)


def pieces(data: bytes, size: int) -> Iterator[bytes]:
    """Give bytes in small pieces."""
    return (data[at : at + size] for at in range(0, len(data), size))


def walk(cursor: Cursor) -> object:
    """Take a value apart with the cursor alone."""
    first = cursor.peek()
    if first == "{":
        return {key: walk(cursor) for key in cursor.entries()}
    if first == "[":
        return [walk(cursor) for _ in cursor.items()]
    return cursor.value()


@given(JSON, st.integers(1, 40), st.sampled_from([None, 1]), st.sampled_from([True, False]))
def test_a_walk_gives_what_the_whole_gives(
    value: object, size: int, indent: int | None, ascii_only: object
) -> None:
    """Step by step in pieces of any size, a text means the same as read at once."""
    data = json.dumps(value, ensure_ascii=bool(ascii_only), indent=indent).encode()
    assert walk(Cursor(pieces(data, size), "here")) == value
    assert Cursor(pieces(data, size), "here").value() == value


@given(JSON.filter(lambda value: isinstance(value, dict | list)), st.integers(1, 9), st.data())
def test_a_cut_text_is_truncated(value: object, size: int, data: st.DataObject) -> None:
    """Wherever an object or array is cut, it is `truncated`, step by step and at once."""
    text = json.dumps(value).encode()
    cut = text[: data.draw(st.integers(1, len(text) - 1))]
    for take in (walk, Cursor.value):
        with pytest.raises(Unusable) as failure:
            take(Cursor(pieces(cut, size), "here"))
        assert failure.value.state is State.TRUNCATED


@pytest.mark.parametrize(
    "text",
    [b"{'a': 1}", b"[1 2]" + b" " * 20, b'{"a" 1}' + b" " * 20 + b"x", b"[NaN]", b"[Infinity]",
     b'["\xff"]', b"{1: 2}", b"[1,]        ,", b'["a\nb"]' + b"." * 20, b"[" * 100_000,
     b"[" + b"1" * 5_000 + b"]"],
)  # fmt: skip
def test_what_is_no_json_is_malformed(text: bytes) -> None:
    """Looseness of other readers is refused, and depth does not crash ours."""
    for take in (walk, Cursor.value):
        if take is walk and text[:9] == b"[" * 9:
            continue  # adapters step to a known depth only
        with pytest.raises(Unusable) as failure:
            take(Cursor(iter((text,)), "here"))
        assert failure.value.state is State.MALFORMED


def test_a_value_above_the_limit_is_not_held() -> None:
    """An endless value is given up after its limit, not at the end of memory."""

    def endless() -> Iterator[bytes]:
        yield b'["'
        while True:
            yield b"x" * 1000

    with pytest.raises(Unusable) as failure:
        Cursor(endless(), "here", 50_000).value()
    assert failure.value.state is State.OVERSIZED


def test_numbers_with_a_point_stay_text() -> None:
    """`0.10` is not `0.1`: scores are shown as they were written."""
    assert Cursor(iter((b"[0.10, 7]",)), "here").value() == ["0.10", 7]
    assert not math.isnan(Cursor(iter((b"12",)), "here").value())


def test_a_byte_order_mark_is_passed_over() -> None:
    """Some publishers' tools write one."""
    assert Cursor(iter((b"\xef\xbb", b"\xbf[1]")), "here").value() == [1]


def test_a_number_is_not_cut_between_pieces() -> None:
    """`12` and `34` in two pieces are `1234`."""
    cursor = Cursor(iter((b"12", b"34 5")), "here")
    assert [cursor.value(), cursor.value()] == [1234, 5]


def test_documents_are_one_value_a_line_one_value_or_an_archive(tmp_path: Path) -> None:
    """Only `.json` members count, and each is exactly one value."""
    file = tmp_path / "x"
    forms = {b"1\n2\n": [1, 2], b'{\n "a": 1\n}': [{"a": 1}], b"[1, 2]": [[1, 2]],
             zipped({"a.json": b"3", "README.md": b"#"}): [3]}  # fmt: skip
    for data, found in forms.items():
        file.write_bytes(data)
        assert list(values(file, "here")) == found
    file.write_bytes(zipped({"a.json": b"3 4"}))
    with pytest.raises(Unusable) as failure:
        list(values(file, "here"))
    assert (failure.value.state, failure.value.source) == (State.MALFORMED, "here#a.json")
