"""Drafting a charter from the rules that people wrote and the cards that parties made.

The rules are YAML: mode, name, expires, faults, people, zones, thresholds, feeds, limits, caps, as
in the charter's body (docs/spec/charter.md). Guards, observers, planners and logs come from the
cards (`answerable init`). Durations may be written `15m`, `4h`, `30d`; a moment as a date or POSIX
seconds.

Left out: signing, which people do with `ssh-keygen -Y sign -n answerable/charter/v1`.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from answerable.authority.written import NotWritten, duration, moment
from answerable.kernel.canon import Json
from answerable.kernel.charter import Charter

_TIMES = (
    "window", "grace", "validity", "undo_validity", "freshness", "soak", "authorization_delay",
)  # fmt: skip


def draft(rules: Mapping[str, Any], cards: Iterable[Mapping[str, Any]]) -> Json:
    """Give the body of a charter that keeps its own rules.

    Raises:
        NotWritten: if something is missing.
        Refused: which rule it would break, as the kernel says it.
    """
    body: Json = {"number": 1, "previous": "", "start": "", "caps": {}, **rules}
    body |= {"guards": {}, "observers": {}, "planners": {}, "logs": {}}
    for card in cards:
        _join(body, card)
    try:
        body["expires"] = moment(body["expires"])
        limits = dict(body["limits"])
        limits |= {name: duration(limits[name]) for name in _TIMES}
        urgent = dict(limits["emergency"])
        urgent |= {name: duration(urgent[name]) for name in ("window", "grace", "validity")}
        body["limits"] = {**limits, "emergency": urgent}
        feeds = body["feeds"].items()
        body["feeds"] = {n: {**feed, "max_age": duration(feed["max_age"])} for n, feed in feeds}
    except (KeyError, TypeError, AttributeError) as error:
        raise NotWritten(f"the rules of the charter lack {error}") from error
    Charter(body, "")
    return body


def _join(body: Json, card: Mapping[str, Any]) -> None:
    party = card["party"]
    if party == "log":
        body["logs"] = card["logs"]
    elif party == "guard":
        body["guards"][card["name"]] = {
            k: card[k] for k in ("operator", "url", "witness", "post", "attester", "herald")
        }
    elif party == "observer":
        body["observers"][card["name"]] = {k: card[k] for k in ("operator", "key")}
    else:
        body["planners"][card["name"]] = card["key"]
