"""Which of several mirrors serves a site this week, and what the others say to it.

Rules:

1. Each week (Monday 00:00 UTC) the next mirror of the list serves; a site's own name says where in
   the list it begins. So over n weeks each of n mirrors serves each site once, and one mirror
   cannot serve a site for ever.
2. All mirrors are asked for root and timestamp. One that lags is `behind`, one that cannot be read
   has that state; both are recorded, and the next in turn serves instead.
3. Two mirrors with different roots or timestamps of one version are `split`: somebody signed two
   stories. Nobody is believed then; a person asks the publisher.

What is believed does not depend on the mirror (reader.py): rotation is there so that a mirror that
holds things back, within what a timestamp's expiry allows, is found out within a week.

Left out: how fast a mirror is.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from answerable.feeds.mirror.reader import Head, Kept, head
from answerable.feeds.source import Fetch, State, Unusable

WEEK, MONDAY = 604_800, 4 * 86_400
"""Seconds of a week; the first Monday after the epoch, a Thursday."""


def week(now: int) -> int:
    """Give the number of the week that POSIX second `now` is in; weeks begin on Monday, UTC."""
    return (now - MONDAY) // WEEK


def turn(mirrors: Sequence[str], site: str, now: int) -> tuple[str, ...]:
    """Give the mirrors in the order in which this site asks them this week.

    Args:
        mirrors: names, as configured; at least one.
    """
    assert mirrors, "a site has at least one mirror"
    own = int.from_bytes(hashlib.sha256(site.encode()).digest()[:8])
    first = (own + week(now)) % len(mirrors)
    return (*mirrors[first:], *mirrors[:first])


@dataclass(frozen=True)
class Heard:
    """What one mirror says.

    Args:
        state: `serves`, `agrees`, `behind`, or why it cannot be used.
        detail: for people.
    """

    mirror: str
    state: str
    detail: str


@dataclass(frozen=True)
class Counsel:
    """Which mirror serves, and what each said, in this week's order."""

    serves: str
    heard: tuple[Heard, ...]


def consult(mirrors: Mapping[str, Fetch], site: str, kept: Kept, now: int) -> Counsel:
    """Ask every mirror how far it is, and choose.

    Args:
        kept: what was believed last; it is not changed.

    Raises:
        Unusable: `split`; or the first mirror's own state if none can be used.
    """
    heads: dict[str, Head] = {}
    failures: dict[str, Unusable] = {}
    order = turn(tuple(mirrors), site, now)
    for name in order:
        try:
            heads[name] = head(mirrors[name], dict(kept), now)
        except Unusable as failure:
            failures[name] = failure
    if not heads:
        raise failures[order[0]]
    _demand_one_story(heads)
    newest = max((each.root, each.timestamp) for each in heads.values())
    able = [name for name in order if name in heads and _at(heads[name]) == newest]
    heard = [_heard(name, heads.get(name), failures.get(name), able) for name in order]
    return Counsel(able[0], tuple(heard))


def _at(one: Head) -> tuple[int, int]:
    return one.root, one.timestamp


def _heard(name: str, at: Head | None, failure: Unusable | None, able: Sequence[str]) -> Heard:
    if at is None:
        assert failure is not None, "a mirror answers or fails"
        return Heard(name, failure.state.value, failure.detail)
    state = "behind" if name not in able else "serves" if name == able[0] else "agrees"
    return Heard(name, state, f"root {at.root}, timestamp {at.timestamp}")


def _demand_one_story(heads: Mapping[str, Head]) -> None:
    roots: dict[int, tuple[str, str]] = {}
    timestamps: dict[int, tuple[str, str]] = {}
    for name, at in heads.items():
        told = ((roots, "root", at.root, at.law), (timestamps, "timestamp", at.timestamp, at.said))
        for seen, what, version, said in told:
            other, known = seen.setdefault(version, (name, said))
            if known != said:
                raise Unusable(
                    State.SPLIT, f"{other}, {name}",
                    f"two stories of {what} {version}; believe neither, ask the publisher",
                )  # fmt: skip
