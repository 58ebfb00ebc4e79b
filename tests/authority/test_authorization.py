"""A standing authorization says what its owner wrote; what is unknown opens nothing."""

from copy import deepcopy
from typing import Any

import pytest
import yaml

from answerable.authority.authorization import clause_of, draft, find, judge
from answerable.authority.written import NotWritten
from answerable.kernel.canon import Json, conforms
from answerable.kernel.statement import AUTHORITY
from tests.simulator import constitution as law
from tests.simulator.world import Simulator

WRITTEN = """
name: urgent-security
owner: dana
clauses:
  - name: urgent
    when: {fact: urgency, in: [high, critical]}
    rings: [1, 3, 500]
    validity: 4h
excludes: [pci, legacy]
max_hosts: 500
window: 15m
undo: {share_permille: 100}
recipients: [lee]
ticket: CHG-1042
review_by: 2027-03-01
"""
HIGH = {"kind": "advisory", "id": "CVE-2026-0001", "ecosystem": law.DEBIAN, "package": "libssl3",
        "source": "openssl", "fixed": law.NEW, "urgency": "high", "cves": ["CVE-2026-0001"],
        "cvss": 75, "exploited": False, "published": law.T0}  # fmt: skip
LOW = {**HIGH, "urgency": "low"}


def written() -> Json:
    """Read the example of the module's docstring."""
    return yaml.safe_load(WRITTEN)


def clause(when: Json) -> Json:
    """Give a clause with a condition."""
    return {"name": "c", "when": when, "rings": [1], "validity": 3600}


def test_yaml_becomes_the_body_that_is_signed() -> None:
    """Durations are seconds, the date a second; what was left out is empty, never wider."""
    body = draft(written())
    assert conforms(body, AUTHORITY["authorization"])
    assert (body["window"], body["clauses"][0]["validity"]) == (900, 14_400)
    assert body["review_by"] == 1_803_859_200
    assert (body["effects"], body["hours"]) == ([], [])


def test_what_is_optional_grants_nothing() -> None:
    """Leaving out undo and recipients grants no undo and tells nobody but the objectors."""
    short = {k: v for k, v in written().items() if k not in ("undo", "recipients", "ticket")}
    body = draft(short)
    assert (body["undo"], body["recipients"]) == ({"share_permille": 0}, [])


@pytest.mark.parametrize("lost", ["name", "owner", "clauses", "max_hosts", "window", "review_by"])
def test_what_is_missing_is_named(lost: str) -> None:
    """An authorization without an owner, an end or a size is not drafted."""
    short = written()
    del short[lost]
    with pytest.raises(NotWritten, match=f"{lost}"):
        draft(short)


BAD: dict[str, tuple[Any, str]] = {
    "a misspelt member": (lambda w: w.update(exclude=["pci"]), "exclude"),
    "a misspelt window": (lambda w: w.update(window="soon"), "soon"),
    "a review date in words": (lambda w: w.update(review_by="next year"), "next year"),
    "a zone that is no id": (lambda w: w.update(excludes=["PCI zone"]), "another form"),
    "everything excluded in one word": (lambda w: w.update(excludes="pci"), "another form"),
    "a size that is no number": (lambda w: w.update(max_hosts="many"), "another form"),
    "an undo without a share": (lambda w: w.update(undo={}), "another form"),
    "a clause without a validity": (lambda w: w["clauses"][0].pop("validity"), "validity"),
    "a clause without a condition": (lambda w: w["clauses"][0].pop("when"), "another form"),
    "a clause without rings": (lambda w: w["clauses"][0].update(rings=[]), "no host in a ring"),
    "a ring of nobody": (lambda w: w["clauses"][0].update(rings=[1, 0]), "no host in a ring"),
    "a fact that is not known": (
        lambda w: w["clauses"][0].update(when={"fact": "severity", "in": ["high"]}),
        "unknown fact"),
    "a condition that is none": (
        lambda w: w["clauses"][0].update(when="urgency == high"), "no condition"),
    "an empty condition": (lambda w: w["clauses"][0].update(when={"all": []}), "no condition"),
    "a matcher of another type": (
        lambda w: w["clauses"][0].update(when={"fact": "cvss", "at_least": "7.0"}),
        "no condition"),
    "clauses that are no list": (lambda w: w.update(clauses=5), "not iterable"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD)
def test_a_fault_is_named_before_anybody_signs(fault: str) -> None:
    """A rule that would never hold, or always, is said to its owner and not to the hosts."""
    edit, word = BAD[fault]
    wrong = written()
    edit(wrong)
    with pytest.raises(NotWritten, match=word):
        draft(wrong)


def test_nested_conditions_are_tried_to_their_last_part() -> None:
    """An unknown fact is found inside any, all and not."""
    wrong = written()
    inner = {"not": {"fact": "severity", "is": True}}
    known = {"fact": "urgency", "in": ["high"]}
    wrong["clauses"][0]["when"] = {"any": [known, {"all": [known, inner]}]}
    with pytest.raises(NotWritten, match="unknown fact"):
        draft(wrong)


def test_what_is_covered_is_what_the_clause_says() -> None:
    """An advisory that the condition does not hold for is left to people."""
    body = draft(written())
    covered, reason = judge(body, body["clauses"][0], ["web"], {"aa": HIGH, "bb": LOW})
    assert (covered, reason) == (frozenset({"aa"}), "")


def test_an_excluded_zone_escalates() -> None:
    """A host of an excluded zone is neither changed nor forgotten: the reason names the zone."""
    body = draft(written())
    covered, reason = judge(body, body["clauses"][0], ["pci", "web"], {"aa": HIGH})
    assert covered == frozenset()
    assert reason == "zone `pci` is excluded by `urgent-security`: people decide"


def test_a_missing_label_counts_as_every_zone() -> None:
    """A host that lost its labels is escalated if anything at all is excluded."""
    body = draft(written())
    assert "is excluded" in judge(body, body["clauses"][0], [], {"aa": HIGH})[1]
    body["excludes"] = []
    assert judge(body, body["clauses"][0], [], {"aa": HIGH}) == (frozenset({"aa"}), "")


@pytest.mark.parametrize(
    "when",
    [
        {"fact": "severity", "in": ["high"]},
        {"not": {"fact": "severity", "in": ["high"]}},
        {"any": [{"fact": "urgency", "in": ["high"]}, {"fact": "severity", "is": True}]},
    ],
)
def test_an_unknown_fact_opens_nothing(when: Json) -> None:
    """A flaw of which something is not known is not closed on a guess, also under not and any."""
    body = draft(written())
    assert judge(body, clause(when), ["web"], {"aa": HIGH}) == (frozenset(), "")


def test_an_unknown_fact_of_one_advisory_does_not_close_the_other() -> None:
    """Each advisory is judged by itself."""
    body = draft(written())
    bare = {k: v for k, v in HIGH.items() if k != "urgency"}
    covered, _ = judge(body, body["clauses"][0], ["web"], {"aa": bare, "bb": HIGH})
    assert covered == frozenset({"bb"})


def test_zones_are_facts() -> None:
    """A condition may ask for the host's own zones."""
    body = draft(written())
    only = clause({"fact": "zones", "in": ["web"]})
    assert judge(body, only, ["web"], {"aa": HIGH})[0] == frozenset({"aa"})
    assert judge(body, only, ["api"], {"aa": HIGH})[0] == frozenset()


def test_the_newest_in_force_is_found() -> None:
    """A later authorization of the same name counts; a revoked or lapsed one is not found."""
    sim = Simulator()
    name, first = law.authorization()["name"], sim.authorization
    assert find(sim.state, name, sim.now)[0] == first
    again = deepcopy(law.authorization()) | {"max_hosts": 7}
    second = sim.tell("authorization", again, "dana", "kim")
    assert find(sim.state, name, sim.now) == (second, again)
    body = {"authorization": second, "reason": "too wide"}
    sim.tell("revocation", body, "dana")
    assert find(sim.state, name, sim.now)[0] == first
    with pytest.raises(NotWritten, match="in force"):
        find(sim.state, name, law.authorization()["review_by"])
    with pytest.raises(NotWritten, match="no authorization `other`"):
        find(sim.state, "other", sim.now)


def test_a_clause_is_found_by_its_name() -> None:
    """A clause that is not there is said, with the authorization's name."""
    body = draft(written())
    assert clause_of(body, "urgent")["rings"] == [1, 3, 500]
    with pytest.raises(NotWritten, match="`urgent-security` has no clause `medium`"):
        clause_of(body, "medium")
