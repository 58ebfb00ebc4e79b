"""The charter: its rules, its quorum, its people; nothing but `Refused` on anything else."""

from contextlib import nullcontext, suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.canon import Json
from answerable.kernel.charter import Charter
from answerable.kernel.errors import Refused
from answerable.kernel.note import COSIGNATURE
from tests.kernel.near import JSON, near_value
from tests.simulator import constitution
from tests.simulator.keys import pair, signer, vkeys

BODY = constitution.charter()


def test_the_simulated_charter() -> None:
    """It keeps its rules, and its keys are found."""
    law = Charter(BODY, "ab" * 32)
    assert law.quorum == 3
    assert {kind for kind, _ in law.owners.values()} == {"person", "guard", "observer", "planner"}
    assert law.zone("web")["objectors"] == ["lee"]
    assert law.zone("unheard-of") == law.zone("*")


@pytest.mark.parametrize(
    ("guards", "faults", "quorum"),
    [(1, 0, 1), (2, 0, 2), (3, 0, 2), (4, 1, 3), (5, 1, 4), (7, 2, 5)],
)
def test_quorum_is_more_than_half_of_guards_and_liars(
    guards: int, faults: int, quorum: int
) -> None:
    """Q = ceil((n+f+1)/2): two quorums share an honest guard, and n-f guards are enough."""
    assert quorum == -(-(guards + faults + 1) // 2)
    assert 2 * quorum - guards >= faults + 1
    assert quorum <= guards - faults
    names = [*constitution.GUARDS, "g5", "g6", "g7"][:guards]
    body = BODY | {"guards": {g: _guard(g) for g in names}, "faults": faults, "mode": "demo"}
    assert Charter(body, "").quorum == quorum


def _guard(name: str) -> Json:
    roles = {r: vkeys(pair(f"{name}.example/{r}", COSIGNATURE)) for r in constitution.ROLES}
    herald = signer(f"{name}.example/herald").key.vkey()
    return {"operator": name, "url": "https://x", "herald": herald, **roles}


def test_thresholds_count_those_who_may() -> None:
    """Listed people of the role that a threshold asks for."""
    law = Charter(BODY, "")
    assert law.enough({"dana", "kim", "ava", "eve"}, "approval") == {"dana", "kim"}
    assert law.enough({"dana", "lee", "kim"}, "enrolment") == {"dana", "lee"}
    for people, what in (({"dana", "ava"}, "approval"), ({"dana", "kim"}, "enrolment")):
        with pytest.raises(Refused, match="not_enough_people"):
            law.enough(people, what)


def test_zone_with_a_threshold_of_zero_still_needs_one() -> None:
    """A zone that forgot its threshold is not open to everybody."""
    body = constitution.charter()
    body["mode"] = "demo"
    body["zones"]["pci"]["threshold"] = 0
    law = Charter(body, "")
    assert not law.zone_agrees(set(), "pci")
    assert law.zone_agrees({"mo"}, "pci")


@pytest.mark.parametrize(
    ("feed", "sound"),
    [
        ({"max_age": 9}, True),
        ({"max_age": 9, "provenance": "required"}, True),
        ({"max_age": 9, "provenance": "optional"}, False),
        ({"max_age": 9, "provenance": True}, False),
        ({"provenance": "required"}, False),
        ({"max_age": 9, "province": "required"}, False),
        ({"max_age": "int"}, False),
    ],
)
def test_a_feed_demands_provenance_or_does_not(feed: Json, *, sound: bool) -> None:
    """The one word, or nothing: a misspelt demand is no charter, rather than no demand."""
    body = BODY | {"feeds": {"app": feed}}
    with nullcontext() if sound else pytest.raises(Refused, match="malformed"):
        assert Charter(body, "").body["feeds"]["app"] == feed


@pytest.mark.parametrize(
    ("more", "sound"),
    [
        ({}, True),
        ({"effects": "demanded"}, True),
        ({"effects": "demand"}, False),
        ({"effects": ""}, False),
        ({"effects": True}, False),
        ({"effect": "demanded"}, False),
    ],
)
def test_a_charter_demands_effects_or_does_not(more: Json, *, sound: bool) -> None:
    """As with provenance, a misspelt demand is no charter; and no emergency takes it back."""
    body = BODY | {"limits": BODY["limits"] | more}
    with nullcontext() if sound else pytest.raises(Refused, match="malformed"):
        assert Charter(body, "").limits == body["limits"]
    urgent = BODY["limits"]["emergency"] | {"effects": "demanded"}
    with pytest.raises(Refused, match="malformed"):
        Charter(BODY | {"limits": BODY["limits"] | {"emergency": urgent}}, "")


@pytest.mark.fuzz
@given(near_value(BODY) | JSON)
def test_any_body_is_refused_or_a_charter(body: Json) -> None:
    """A charter changed anywhere keeps its rules or is refused."""
    with suppress(Refused):
        law = Charter(body, "ab" * 32)
        assert len(body["guards"]) >= 3 * law.faults + 1
        assert len(set(law.owners)) == len(law.owners)


@given(st.sampled_from(["charter", "witness", "herald", "people"]))
def test_one_key_in_two_places(where: str) -> None:
    """One key material never speaks for two: not for two people, guards or roles."""
    body = constitution.charter()
    guards = body["guards"]
    if where == "witness":
        guards["g1"]["post"] = guards["g1"]["witness"]
    elif where == "herald":
        guards["g1"]["herald"] = guards["g2"]["herald"]
    elif where == "people":
        body["people"]["kim"]["keys"] = [
            *body["people"]["kim"]["keys"],
            *body["people"]["lee"]["keys"],
        ]
    else:
        body["logs"]["report"]["keys"] = body["logs"]["authority"]["keys"]
    with pytest.raises(Refused, match="bad_charter"):
        Charter(body, "")
