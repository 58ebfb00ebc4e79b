"""Shocks: a new snapshot that differs from the one before in a way that people should look at.

A shock stops automation until people release the snapshot (or it passes). It says what it saw, and
never that this is an attack: most shocks are a publisher's new model, file or mistake.

Rules, each about one channel:

1. `collapse`: more than `LOST` of the flaws or advisories that it spoke of are gone (ten at least,
   or all). A file cut short that still reads well ends here; any other is unusable (sync.py).
2. `flood`: new ones a day are more than `DAILY` and than `TIMES` the busiest day of the last `PAST`
   snapshots; without such a past, than a tenth of all.
3. `mass_move`: of those whose value is at least `MOVE` before or after (the scale being 0 to 1),
   `SHARE` or more moved by `MOVE` or more. Counting only these, a mass of low values, or of added
   junk, cannot thin out the share.
4. `out_of_history`: the mean of all values lies further outside the means of the last `PAST`
   snapshots than those lie apart, and `LEAST` at least.

How the numbers were chosen: they are round, and few. On the daily EPSS of the known-exploited flaws
(2022-10 to 2025-06, 691 steps) the three real shocks moved 69, 50 and 24 of 100, and on every other
day but two fewer than 12 of 100 moved; `SHARE` lies between, and any share from 8 to 24 of 100
stops on the three days and keeps quiet on 99 of 100 others. `LOST`, `TIMES`
and `LEAST` are the same "one in ten", "several times" and "a fiftieth of the scale" for every
channel, fitted to none. `tests/feeds/test_shock.py` prints the figures.

Left out: slow drift in steps below these limits (the two-channel rule of agree.py bounds what it
can do), and who is behind a shock.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache
from math import isfinite

from answerable.feeds import cvss
from answerable.feeds.tables import Flow

DAY = 86_400
LOST = 0.1
"""Share of a channel's subjects."""
FEW = 10
"""So many lost subjects are no collapse yet, unless they are all."""
DAILY = 50
"""New subjects a day that are never a flood."""
TIMES = 4
"""How many times the busiest day before."""
MOVE = 0.1
"""A move that counts, as a part of the scale; also the least value that is looked at."""
SHARE = 0.15
"""Share of the values looked at."""
ENOUGH = 20
"""Fewer values are no mass."""
LEAST = 0.02
"""Of the scale, that a mean may always move."""
PAST = 30
"""Snapshots that are remembered, at most one a day."""
WARM = 7
"""Snapshots before the past says anything."""
SCALED = ("cvss", "epss", "exploited", "ssvc_exploitation")
"""Fields whose values have a level."""
_WORDS = {"no": 0.0, "none": 0.0, "poc": 0.5, "yes": 1.0, "active": 1.0}


class Kind(StrEnum):
    """What was seen."""

    COLLAPSE = "collapse"
    FLOOD = "flood"
    MASS_MOVE = "mass_move"
    OUT_OF_HISTORY = "out_of_history"


@dataclass(frozen=True, slots=True)
class Shock:
    """One reason to stop, with its numbers.

    Args:
        what: table or field.
        detail: for people.
    """

    kind: Kind
    channel: str
    what: str
    detail: str


@dataclass(frozen=True, slots=True)
class Moves:
    """Of the values of a channel's field that are looked at, how many moved."""

    channel: str
    field: str
    looked: int
    moved: int


@dataclass(frozen=True, slots=True)
class Day:
    """What is remembered of the snapshots of one day.

    Args:
        since: when the day began, POSIX seconds.
        fresh: (table, channel) -> new subjects.
        means: (channel, field) -> mean level, millionths of the scale.
    """

    since: int
    fresh: Mapping[tuple[str, str], int] = field(default_factory=dict)
    means: Mapping[tuple[str, str], int] = field(default_factory=dict)


@lru_cache(maxsize=100_000)
def level(name: str, value: str) -> float | None:
    """Give a value's place on a scale from 0 to 1; nothing if it has none."""
    if name == "cvss":
        score = cvss.tenths(value)
        return score / 100 if score >= 0 else None
    if name == "epss":
        try:
            found = float(value)
        except ValueError:
            return None
        return found if isfinite(found) and 0 <= found <= 1 else None
    return _WORDS.get(value)


def moves(pairs: Iterable[tuple[str, str, str, str, str]]) -> list[Moves]:
    """Count what moved, of (channel, field, flaw, old value, new value)."""
    found: dict[tuple[str, str], list[int]] = {}
    for channel, name, _, before, after in pairs:
        old, new = level(name, before), level(name, after)
        if old is None or new is None or max(old, new) < MOVE:
            continue
        tally = found.setdefault((channel, name), [0, 0])
        tally[0] += 1
        tally[1] += round(abs(new - old), 9) >= MOVE
    return [Moves(*key, *tally) for key, tally in sorted(found.items())]


def means(values: Iterable[tuple[str, str, str, int]]) -> dict[tuple[str, str], int]:
    """Give each channel's and field's mean level in millionths, of (channel, field, value, n)."""
    found: dict[tuple[str, str], list[float]] = {}
    for channel, name, value, count in values:
        place = level(name, value)
        if place is not None:
            tally = found.setdefault((channel, name), [0.0, 0.0])
            tally[0] += place * count
            tally[1] += count
    return {key: round(1_000_000 * total / count) for key, (total, count) in sorted(found.items())}


def shocks(
    flows: Iterable[Flow],
    moved: Iterable[Moves],
    now: Mapping[tuple[str, str], int],
    past: Sequence[Day],
    seconds: int,
) -> tuple[Shock, ...]:
    """Judge a new snapshot.

    Args:
        flows: from the last snapshot that was accepted to this one.
        moved: the same.
        now: means of this one.
        past: the days before this one.
        seconds: between the two.
    """
    found = [shock for flow in flows for shock in _flow(flow, past, seconds)]
    for one in moved:
        if one.looked >= ENOUGH and one.moved >= SHARE * one.looked:
            detail = f"{one.moved} of {one.looked} values moved by a tenth of the scale or more"
            found.append(Shock(Kind.MASS_MOVE, one.channel, one.field, detail))
    for (channel, name), mean in now.items():
        before = [day.means[channel, name] for day in past if (channel, name) in day.means]
        low, high = min(before, default=mean), max(before, default=mean)
        room = max(LEAST * 1_000_000, high - low)
        if len(before) >= WARM and not low - room <= mean <= high + room:
            detail = f"its mean is {mean / 1e6:.4f}, after {low / 1e6:.4f} to {high / 1e6:.4f}"
            found.append(Shock(Kind.OUT_OF_HISTORY, channel, name, detail))
    return tuple(found)


def _flow(flow: Flow, past: Sequence[Day], seconds: int) -> Iterable[Shock]:
    if flow.lost > LOST * flow.before and (flow.lost >= FEW or flow.lost == flow.before):
        detail = f"{flow.lost} of {flow.before} are no longer there"
        yield Shock(Kind.COLLAPSE, flow.channel, flow.table, detail)
    days = max(1.0, seconds / DAY)
    known = [day.fresh[flow.table, flow.channel] for day in past
             if (flow.table, flow.channel) in day.fresh]  # fmt: skip
    usual = TIMES * max(known) if len(known) >= WARM else flow.before / 10
    limit = max(DAILY, usual)
    if flow.before and flow.fresh > limit * days:
        detail = f"{flow.fresh} new ones in {days:.1f} days, where {limit:.0f} a day are usual"
        yield Shock(Kind.FLOOD, flow.channel, flow.table, detail)
