"""A standing authorization from the YAML that its owner wrote, and what it says of hosts and fixes.

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

`judge` asks the kernel's own `holds`, so that what is planned is what hosts will permit; it decides
nothing: every host asks again for itself.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from answerable.authority.written import NotWritten, duration, moment
from answerable.kernel.canon import Json, conforms
from answerable.kernel.condition import holds
from answerable.kernel.errors import Refused
from answerable.kernel.fold import State
from answerable.kernel.statement import AUTHORITY

_DEFAULTS: Mapping[str, Any] = {
    "effects": [], "excludes": [], "hours": [], "recipients": [], "ticket": "",
    "undo": {"share_permille": 0},
}  # fmt: skip


def draft(written: Mapping[str, Any]) -> Json:
    """Give the body of an authorization.

    Raises:
        NotWritten: with what is missing or unknown.
    """
    body = {**_DEFAULTS, **written}
    try:
        body["window"], body["review_by"] = duration(body["window"]), moment(body["review_by"])
        body["clauses"] = [{**c, "validity": duration(c["validity"])} for c in body["clauses"]]
    except (KeyError, TypeError) as error:
        raise NotWritten(f"the authorization lacks {error}") from error
    odd = set(body) ^ set(AUTHORITY["authorization"])
    if odd or not conforms(body, AUTHORITY["authorization"]):
        what = f"`{min(odd)}` is unknown or missing" if odd else "a member of another form"
        raise NotWritten(f"{what}; see docs/spec/statement.md")
    for clause in body["clauses"]:
        _try(clause)
    return body


def _try(clause: Json) -> None:
    known = {
        "urgency": "high", "cvss": 0, "exploited": False, "package": "p", "source": "p",
        "ecosystem": "e", "id": "i", "cves": ["c"], "fixed": "1", "published": 0, "zones": ["z"],
        "kind": "advisory",
    }  # fmt: skip
    if not clause["rings"] or min(clause["rings"]) < 1:
        raise NotWritten(f"clause `{clause['name']}` allows no host in a ring")
    try:
        holds(clause["when"], known)
    except Refused as refusal:
        raise NotWritten(
            f"clause `{clause['name']}` names an unknown fact or is no condition"
        ) from refusal


def find(state: State, name: str, now: int) -> tuple[str, Json]:
    """Give the newest authorization of a name that is in force at POSIX second `now`.

    Raises:
        NotWritten: if there is none.
    """
    found = [
        (row["index"], number, row["body"])
        for number, row in state.authorizations.items()
        if row["body"]["name"] == name
        and number not in state.revoked
        and row["body"]["review_by"] > now
    ]
    if not found:
        raise NotWritten(f"no authorization `{name}` is in force")
    _, number, body = max(found, key=lambda row: row[0])
    return number, body


def clause_of(body: Json, name: str) -> Json:
    """Give a clause by its name.

    Raises:
        NotWritten: if there is none.
    """
    for clause in body["clauses"]:
        if clause["name"] == name:
            return clause
    raise NotWritten(f"`{body['name']}` has no clause `{name}`")


def judge(
    body: Json, clause: Json, zones: Iterable[str], facts: Mapping[str, Json]
) -> tuple[frozenset[str], str]:
    """Say which advisories a clause covers on a host, and why it must be left alone if it must.

    Args:
        zones: of the host; none counts as every zone.
        facts: leaf hash to advisory.

    Returns: the leaf hashes that are covered, and the reason, empty if there is none.
    """
    mine = set(zones)
    shut = mine & set(body["excludes"]) if mine else set(body["excludes"])
    if shut:
        return frozenset(), f"zone `{min(shut)}` is excluded by `{body['name']}`: people decide"
    covered = set()
    for leaf, fact in facts.items():
        try:
            if holds(clause["when"], {**fact, "zones": sorted(mine)}):
                covered.add(leaf)
        except Refused:
            continue  # an unknown fact opens nothing
    return frozenset(covered), ""
