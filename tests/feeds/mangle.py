"""Ways in which bytes are damaged or forged: cut, extended, flipped, repeated, swapped."""

from hypothesis import strategies as st
from hypothesis.strategies import DrawFn


@st.composite
def mangled(draw: DrawFn, data: bytes) -> bytes:
    """Give bytes that differ from these by one mutation."""
    at = draw(st.integers(0, len(data) - 1))
    to = draw(st.integers(at, min(len(data), at + 400)))
    other = draw(st.integers(0, len(data) - 1))
    kind = draw(st.sampled_from(["cut", "flip", "insert", "drop", "repeat", "swap"]))
    new = {
        "cut": data[:at],
        "flip": data[:at] + bytes([data[at] ^ (1 << draw(st.integers(0, 7)))]) + data[at + 1 :],
        "insert": data[:at] + draw(st.binary(min_size=1, max_size=40)) + data[at:],
        "drop": data[:at] + data[to:],
        "repeat": data[:to] + data[at:],
        "swap": data[:at] + data[other : other + 40] + data[at + 40 :],
    }
    return new[kind]
