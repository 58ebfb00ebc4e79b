"""Near misses: valid bytes and values, changed a little, as strategies for property tests."""

from copy import deepcopy

from hypothesis import strategies as st

from answerable.kernel.canon import Json

_ODD: list[Json] = [
    None, True, False, 0, 1, -1, 1 << 53, 10**16, "", "*", "x", "\n", "\u2014", "x" * 300,
    "ab" * 32, "web1", "debian:12", [], {}, [[]], [{}], {"*": 1}, ["x"], {"all": []},
    {"fact": "cvss", "at_least": 1}, "ssh-ed25519 AAAA", "a+00000000+AAAA",
]  # fmt: skip
ODD = st.sampled_from(_ODD).map(deepcopy)


@st.composite
def near_bytes(draw: st.DrawFn, *valid: bytes) -> bytes:
    """Cut, extend, flip, drop, repeat or splice valid bytes, up to three times; always change."""
    data = draw(st.sampled_from(valid))
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, max(0, len(data) - 1)))
        size = draw(st.integers(1, 40))
        how = draw(st.integers(0, 6))
        if how == 0 and data:
            flipped = data[at] ^ (1 << draw(st.integers(0, 7)))
            data = data[:at] + bytes([flipped]) + data[at + 1 :]
        elif how == 1:
            data = data[:at]
        elif how == 2:
            data += draw(st.binary(min_size=1, max_size=40))
        elif how == 3:
            data = data[:at] + data[at + size :]
        elif how == 4:
            data = data[:at] + data[at : at + size] * 2 + data[at + size :]
        elif how == 5:
            other = draw(st.sampled_from(valid))
            data = data[:at] + other[draw(st.integers(0, len(other))) :]
        else:
            data = data[:at] + draw(st.binary(min_size=1, max_size=8)) + data[at:]
    return data


def _nodes(value: Json, trail: tuple[Json, ...] = ()) -> list[tuple[Json, ...]]:
    found = [trail] if trail else []
    if isinstance(value, dict | list):
        steps = list(value) if isinstance(value, dict) else range(len(value))
        for step in steps:
            found += _nodes(value[step], (*trail, step))
    return found


@st.composite
def near_value(draw: st.DrawFn, valid: Json) -> Json:
    """Replace, drop, repeat or add one or two members of a JSON value, anywhere in it."""
    value = deepcopy(valid)
    for _ in range(draw(st.integers(1, 2))):
        nodes = _nodes(value)
        if not nodes:
            break
        *trail, last = draw(st.sampled_from(nodes))
        owner = value
        for step in trail:
            owner = owner[step]
        how = draw(st.integers(0, 4))
        if how == 0:
            del owner[last]
        elif how == 1 and isinstance(owner, list):
            owner.append(deepcopy(owner[last]))
        elif how == 2 and isinstance(owner, dict):
            owner[draw(st.sampled_from(["x", "*", "zz", "id"]))] = draw(ODD)
        else:
            owner[last] = draw(ODD)
    return value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**17), 10**17) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
