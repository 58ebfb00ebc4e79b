"""The verdict: a permit for the noticed order, `Refused` for every other bytes, never a failure."""

import ast
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel import verify as module
from answerable.kernel.canon import Json, decode, encode
from answerable.kernel.errors import Refused
from answerable.kernel.verify import CHECKS, Permit
from tests.kernel.near import near_bytes, near_value
from tests.simulator import NEW, Order, Simulator
from tests.simulator.constitution import blob, by_people
from tests.simulator.log import tree_of

SIM = Simulator()
ORDER = SIM.permitted()
BUNDLE = SIM.bundle(ORDER)
HOST = SIM.host(ORDER)
VALUE: Json = decode(BUNDLE, 1 << 20)


def ask(bundle: bytes, change: str = "up") -> Permit | Refused:
    """Ask with these bytes."""
    return module.verify(bundle, change, SIM.state, HOST, HOST.freshness.sent)


def test_permit_is_for_one_change() -> None:
    """It names the change, and how it is consumed."""
    verdict = ask(BUNDLE)
    assert isinstance(verdict, Permit)
    assert verdict.change == decode(ORDER.text.encode(), 1 << 20)["changes"][0]
    assert verdict.consumed == f"{ORDER.notice}/{ORDER.hash}/up"


def test_same_question_same_answer() -> None:
    """Pure: asking changes nothing, not even the state's digest."""
    before = SIM.state.digest()
    assert ask(BUNDLE) == ask(BUNDLE)
    assert SIM.state_at(SIM.state.tree.size).digest() == before


@pytest.mark.fuzz
@given(near_bytes(BUNDLE))
def test_changed_bytes(data: bytes) -> None:
    """Any change of any byte of a bundle: refused, or the very same order is permitted."""
    same_order(ask(data), data)


@pytest.mark.fuzz
@given(near_value(VALUE))
def test_changed_members(value: Json) -> None:
    """Any member exchanged, dropped or repeated."""
    same_order(ask(encode(value).encode()), encode(value).encode())


def same_order(verdict: Permit | Refused, data: bytes) -> None:
    """Demand that nothing but the noticed order, by its true path, was permitted."""
    if isinstance(verdict, Permit):
        given_, true = decode(data, 1 << 20), VALUE
        for member in ("order", "path", "index", "notice"):
            assert given_[member] == true[member]


@pytest.mark.fuzz
@given(st.data())
def test_changed_notices(data: st.DataObject) -> None:
    """Any notice that a planner may sign, told and waited for: a verdict, never a failure."""
    sim = Simulator()
    people = data.draw(st.booleans())

    def edit(notice: Json) -> None:
        if people:
            by_people(notice)
        changed = data.draw(near_value(notice))
        notice.clear()
        notice.update(changed)

    body = sim.notice_body(sim.orders([["web1"], ["web2", "api1"]]))
    edit(body)
    entry = sim.write("notice", body, "planner1")
    if sim.append(entry) is None:
        leaf = bytes(sim.state.tree.levels[0][-32:]).hex()
        sim.deliver(leaf)
        order = sim.play()
        order.more["notice"] = leaf
        assert isinstance(sim.ask(order), Permit | Refused)


@pytest.mark.fuzz
@given(st.data())
def test_changed_orders(data: st.DataObject) -> None:
    """Any order that a planner may notice: a verdict, and a permit for the lawful bytes alone."""
    sim = Simulator()
    value = decode(sim.orders([["web1"]])[0][0].encode(), 1 << 20)
    text = encode(data.draw(near_value(value)))
    leaf = sim.notice(sim.notice_body([[encode(value)]]) | {"rings": [ring_of(text)]})
    sim.deliver(leaf)
    order = Order("web1", text, 0, 0, [], leaf, sim.checkpoint(), ORDER.facts)
    sim.now += 2_000
    host = HOST._replace(enrolled=sim.members["web1"].enrolled, freshness=sim.fresh("web1"))
    verdict = sim.ask(order, host=host)
    assert isinstance(verdict, Permit | Refused)
    if isinstance(verdict, Permit):
        moved = {(p["name"], p["to"], p["sha256"]) for p in verdict.change["packages"]}
        assert moved <= {(p, NEW, blob(p, NEW)) for p in ("libssl3", "openssl")}


def ring_of(text: str) -> Json:
    """Give a ring of one order."""
    return {"size": 1, "root": tree_of([text]).root().hex()}


def test_twelve_numbered_checks() -> None:
    """Their names carry their numbers, and the module's docstring lists each."""
    assert [check.__name__.split("_")[1] for check in CHECKS] == [str(n) for n in range(1, 13)]
    for number in range(1, 13):
        assert f"\n{number:2}. " in str(module.__doc__)


SPEC = Path(__file__).parents[2] / "docs" / "spec"


def words_of_the_kernel() -> set[str]:
    """Find every reason word in the kernel's source: the words that `Refused` is made with."""
    found, at = {"bad_inclusion"}, {"Refused": 0, "demand": 1, "verify_inclusion": 5}
    for path in Path(str(module.__file__)).parent.glob("*.py"):
        calls = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, ast.Call)]
        for call in calls:
            place = at.get(getattr(call.func, "id", ""), 99)
            words = call.args[place : place + 1]
            found |= {str(w.value) for w in words if isinstance(w, ast.Constant)}
    return found


def test_every_reason_is_published() -> None:
    """docs/spec/reasons.md explains each word that the kernel can say, and no other."""
    page = (SPEC / "reasons.md").read_text().partition("## Of other rooms")[0]
    lines = page.splitlines()
    published = {line.split("`")[1] for line in lines if line.startswith("| `")}
    assert published == words_of_the_kernel()
