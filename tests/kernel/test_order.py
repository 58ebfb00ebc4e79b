"""Orders and bundles: a closed schema, and `Refused` for anything outside it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.canon import Json, decode, encode
from answerable.kernel.errors import Refused
from answerable.kernel.order import CHANGES, read_bundle, read_order
from tests.kernel.near import JSON, near_bytes, near_value
from tests.simulator import Simulator
from tests.simulator.constitution import effects

SIM = Simulator()
ORDER = SIM.play(edit=effects("unit"))
VALUE: Json = decode(ORDER.text.encode(), 1 << 20)
BUNDLE = SIM.bundle(ORDER)


def test_order_and_bundle() -> None:
    """What was planned is what is read."""
    assert read_order(ORDER.text) == VALUE
    bundle = read_bundle(BUNDLE)
    assert bundle.hash == ORDER.hash
    assert bundle.find("up") == (VALUE["changes"][0], "changes")
    assert bundle.find("undo-up") == (VALUE["undo"][0], "undo")


def test_too_many_changes() -> None:
    """An order has a limit."""
    one = {"type": "snapshot", "caused_by": "", "risk": "low"}
    changes = [{"id": f"c{n}", **one} for n in range(CHANGES + 1)]
    read_order(encode(VALUE | {"changes": changes[:-1], "undo": []}))
    with pytest.raises(Refused, match="malformed"):
        read_order(encode(VALUE | {"changes": changes, "undo": []}))


@pytest.mark.parametrize("part", ["changes", "undo"])
@pytest.mark.parametrize(
    "more",
    [{"argv": ["-y"]}, {"path": "/etc"}, {"type": "run"}, {"risk": "none"}, {"id": "A"},
     {"caused_by": None}],
)  # fmt: skip
def test_no_further_keys_and_no_further_types(part: str, more: Json) -> None:
    """Never a path, a flag, a shell string, a type of a newer kernel."""
    order = decode(ORDER.text.encode(), 1 << 20)
    order[part][0] |= more
    with pytest.raises(Refused, match="action_not_allowed"):
        read_order(encode(order))


@pytest.mark.parametrize("fact", ["", "{}", '{"kind":"advisory"}', "[" * 4_000])
def test_facts_of_another_shape(fact: str) -> None:
    """A fact is read with the bundle that carries it, whatever release it claims to stand in."""
    body = decode(BUNDLE, 1 << 20)
    body["facts"][0]["fact"] = fact
    with pytest.raises(Refused, match="malformed"):
        read_bundle(encode(body).encode())


@pytest.mark.fuzz
@given(near_value(VALUE) | JSON)
def test_any_order_is_refused_or_typed(value: Json) -> None:
    """Every action that is read is of a known type, and every undo is an exact reversal."""
    with suppress(Refused):
        order = read_order(encode(value))
        kinds = {change["type"] for change in order["changes"]}
        assert kinds <= {"snapshot", "upgrade", "restart", "health", "reboot"}
        assert {change["type"] for change in order["undo"]} <= {"undo", "restart", "health"}
        named = [one for one in order["changes"] + order["undo"] if {"effects", "classes"} & {*one}]
        assert all(one.keys() >= {"effects", "classes", "ecosystem"} for one in named)
        assert order == value


@pytest.mark.fuzz
@given(st.binary(max_size=200) | near_bytes(BUNDLE))
def test_any_bundle_is_refused_or_read(data: bytes) -> None:
    """Untrusted bundles cause `Refused` and nothing else."""
    with suppress(Refused):
        assert encode(read_bundle(data).body).encode() == data
