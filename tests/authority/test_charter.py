"""A charter is drafted from what people wrote and what parties gave, or it says what to mend."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from answerable.authority.charter import draft
from answerable.authority.written import NotWritten
from answerable.bootstrap.parties import found
from answerable.config import Party
from answerable.kernel.canon import Json
from answerable.kernel.charter import Charter
from answerable.kernel.errors import Refused
from tests.authority.desk import Desk

RULES = """
name: example fleet
mode: standard
expires: 2027-12-31
faults: 1
people:
  dana: {keys: [DANA], roles: [approver, fleet]}
  lee: {keys: [LEE], roles: [approver, fleet]}
zones:
  "*": {objectors: [lee], approvers: [], threshold: 2}
  pci: {objectors: [lee, dana], approvers: [lee, dana], threshold: 2}
thresholds: {charter: 2, enrolment: 2, authorization: 2, approval: 2, release: 2, lift: 2}
feeds:
  debian: {max_age: 10d}
limits:
  window: 15m
  grace: 1m
  validity: 1d
  undo_validity: 30d
  freshness: 5m
  soak: 10m
  authorization_delay: 1h
  hosts_day: 500
  hosts_week: 1000
  hosts_artefact: 2000
  approvals: [{hosts: 500, people: 2}]
  opens: accepted
  emergency: {people: 2, window: 5m, grace: 0, hosts: 10, validity: 1d}
"""


def cards(folder: Path) -> list[Any]:
    """Found four guards of four operators, two observers, a log and a control plane."""

    def card(kind: str, name: str, operator: str) -> Any:  # noqa: ANN401  JSON
        url = f"https://{name}.example"
        return found(Party(folder / name, kind, name, operator, url, "", {}))

    made = [card("guard", f"g{n}", f"team{n}") for n in range(1, 5)]
    made += [card("observer", f"o{n}", f"team{n}") for n in (1, 2)]
    return [*made, card("log", "log.example", "infra"), card("control", "planner", "infra")]


def rules(desk: Desk) -> Json:
    """Read the rules, with real keys in them."""
    text = RULES.replace("DANA", desk.line("dana")).replace("LEE", desk.line("lee"))
    return yaml.safe_load(text)


def test_rules_and_cards_become_a_charter(tmp_path: Path) -> None:
    """Who runs what comes from the cards, what they may comes from people, times in seconds."""
    body = draft(rules(Desk(tmp_path)), cards(tmp_path))
    law = Charter(body, "ab" * 32)
    assert (sorted(body["guards"]), law.quorum, law.faults) == (["g1", "g2", "g3", "g4"], 3, 1)
    assert body["guards"]["g2"]["operator"] == "team2"
    assert body["logs"]["authority"]["origin"] == "log.example/authority"
    assert sorted(body["planners"]) == ["planner"]
    assert (body["limits"]["window"], body["limits"]["emergency"]["window"]) == (900, 300)
    assert body["feeds"] == {"debian": {"max_age": 864_000}}
    assert body["expires"] == 1_830_211_200
    assert (body["number"], body["previous"], body["start"], body["caps"]) == (1, "", "", {})


def test_the_charter_of_a_party_twice_is_one(tmp_path: Path) -> None:
    """Asking a party for its card again gives the same keys, so the charter is the same."""
    written = rules(Desk(tmp_path))
    assert draft(written, cards(tmp_path)) == draft(written, cards(tmp_path))


def test_provenance_is_demanded_by_feed(tmp_path: Path) -> None:
    """What people wrote stands in the body; what they misspelt makes it no charter."""
    written = rules(Desk(tmp_path))
    written["feeds"]["app"] = {"max_age": "2d", "provenance": "required"}
    body = draft(written, cards(tmp_path))
    assert body["feeds"]["app"] == {"max_age": 172_800, "provenance": "required"}
    written["feeds"]["app"] = {"max_age": "2d", "provenence": "required"}
    with pytest.raises(Refused, match="malformed"):
        draft(written, cards(tmp_path))


@pytest.mark.parametrize("lost", ["expires", "limits", "feeds"])
def test_what_was_left_out_is_named(tmp_path: Path, lost: str) -> None:
    """A rule that nobody wrote is never filled in with a default."""
    written = rules(Desk(tmp_path))
    del written[lost]
    with pytest.raises(NotWritten, match=lost):
        draft(written, cards(tmp_path))


@pytest.mark.parametrize("lost", ["window", "soak", "freshness", "authorization_delay"])
def test_a_limit_that_was_left_out_is_named(tmp_path: Path, lost: str) -> None:
    """No limit is zero because it was forgotten."""
    written = rules(Desk(tmp_path))
    del written["limits"][lost]
    with pytest.raises(NotWritten, match=lost):
        draft(written, cards(tmp_path))


def _misspelt(written: Json) -> None:
    written["limits"]["window"] = "a quarter"


def test_a_misspelt_time_is_named(tmp_path: Path) -> None:
    """A window that cannot be read stops the draft."""
    written = rules(Desk(tmp_path))
    _misspelt(written)
    with pytest.raises(NotWritten, match="a quarter"):
        draft(written, cards(tmp_path))


FAULTS: dict[str, tuple[str, Any]] = {
    "1: three guards for one liar": ("cards", lambda c: c[1:]),
    "2: an objector who is not listed": (
        "rules", lambda r: r["zones"]["pci"]["objectors"].append("mallory")),
    "2: an approver who is not listed": (
        "rules", lambda r: r["zones"]["pci"]["approvers"].append("mallory")),
    "3: nobody may object": ("rules", lambda r: r["zones"]["*"].update(objectors=[])),
    "4: a threshold of nobody": ("rules", lambda r: r["thresholds"].update(lift=0)),
    "5: a threshold of one person": ("rules", lambda r: r["thresholds"].update(approval=1)),
    "5: a guarded zone that one person opens": (
        "rules", lambda r: r["zones"]["pci"].update(threshold=1)),
    "6: two guards of one operator": (
        "cards", lambda c: [{**c[0], "operator": "team2"}, *c[1:]]),
    "7: observers of one operator": (
        "cards", lambda c: [{**x, "operator": "team1"} if x["party"] == "observer" else x
                            for x in c]),
    "8: a window of seconds": ("rules", lambda r: r["limits"].update(window="20s")),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_charter_that_breaks_a_rule_is_not_drafted(tmp_path: Path, fault: str) -> None:
    """Each of the eight rules of a standard charter is refused by its number, as hosts would."""
    which, edit = FAULTS[fault]
    written, given = rules(Desk(tmp_path)), cards(tmp_path)
    if which == "rules":
        edit(written)
    else:
        given = edit(given)
    with pytest.raises(Refused, match=f"rule {fault[0]} of a charter") as refused:
        draft(written, given)
    assert refused.value.reason == "bad_charter"


def test_a_demo_charter_may_be_weak_and_says_so(tmp_path: Path) -> None:
    """Windows of seconds and one person's word exist only under a mode that names itself."""
    written = rules(Desk(tmp_path))
    written["mode"] = "demo"
    written["limits"]["window"] = "20s"
    written["thresholds"] = dict.fromkeys(written["thresholds"], 1)
    assert draft(written, cards(tmp_path))["mode"] == "demo"


def test_one_key_of_two_people_is_refused(tmp_path: Path) -> None:
    """A person who lends a key cannot be two persons of a threshold."""
    written = rules(Desk(tmp_path))
    written["people"]["lee"]["keys"] = written["people"]["dana"]["keys"]
    with pytest.raises(Refused, match="a key stands twice"):
        draft(written, cards(tmp_path))


def test_a_misspelt_member_is_refused(tmp_path: Path) -> None:
    """A rule under a name that no host knows is not silently no rule."""
    written = {**rules(Desk(tmp_path)), "treshold": 2}
    with pytest.raises(Refused, match="another shape"):
        draft(written, cards(tmp_path))


def test_a_fleet_without_logs_is_refused(tmp_path: Path) -> None:
    """A card that is missing is seen before people sign."""
    given = [card for card in cards(tmp_path) if card["party"] != "log"]
    with pytest.raises(Refused):
        draft(rules(Desk(tmp_path)), given)
