"""How urgent an exposure is: a sum of points, each with its reason.

    known to be exploited                          1000
    urgency critical / high / medium / low          400 / 300 / 200 / 100
    urgency not stated (counted as medium)          200
    CVSS base score, in tenths                      0 .. 100
    the host stands in a zone that weighs more      as configured

So an exploited flaw always comes first, and among equals the publisher's word, then the score. No
score or urgency is made up: an absent one is named as absent. The order decides what people see
first, and nothing else: a rank never authorises (house contract).

Left out: learned ranking, exploit prediction, reachability.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from answerable.exposure.match import Exposure

EXPLOITED = 1000
URGENCY = {"critical": 400, "high": 300, "medium": 200, "low": 100, "unknown": 200}


@dataclass(frozen=True, slots=True)
class Reason:
    """Some points, and why."""

    points: int
    because: str


@dataclass(frozen=True, slots=True)
class Ranked:
    """An exposure with its points."""

    exposure: Exposure
    reasons: tuple[Reason, ...]

    @property
    def score(self) -> int:
        """The sum of the points."""
        return sum(reason.points for reason in self.reasons)


def rank(exposures: Iterable[Exposure], weights: Mapping[str, int]) -> list[Ranked]:
    """Put the most urgent exposure first; equals by host, package and advisory.

    Args:
        weights: zone -> points.
    """
    ranked = [Ranked(exposure, tuple(_reasons(exposure, weights))) for exposure in exposures]
    return sorted(ranked, key=_place)


def _place(ranked: Ranked) -> tuple[int, str, str, str, str]:
    exposure = ranked.exposure
    package, advisory = exposure.installed.package, exposure.advisory.id
    return (-ranked.score, exposure.host, package, advisory, exposure.fact)


def _reasons(exposure: Exposure, weights: Mapping[str, int]) -> Iterable[Reason]:
    fact = exposure.advisory
    if fact.exploited:
        yield Reason(EXPLOITED, "it is known to be exploited")
    if fact.urgency == "unknown":
        yield Reason(URGENCY["unknown"], "no urgency is stated, counted as medium")
    else:
        yield Reason(URGENCY[fact.urgency], f"its urgency is {fact.urgency}")
    if fact.cvss < 0:
        yield Reason(0, "no CVSS score is stated")
    else:
        yield Reason(fact.cvss, f"its CVSS base score is {fact.cvss // 10}.{fact.cvss % 10}")
    for zone in sorted(exposure.zones & weights.keys()):
        yield Reason(weights[zone], f"the host stands in zone {zone}")


def explain(ranked: Ranked) -> dict[str, Any]:
    """Say in one flat structure what applies, why it ranks so, and what would close it."""
    exposure, fact = ranked.exposure, ranked.exposure.advisory
    fix, back = exposure.fix, exposure.back
    return {
        "host": exposure.host,
        "zones": sorted(exposure.zones),
        "ecosystem": fact.ecosystem,
        "package": fact.package,
        "installed": exposure.installed.version,
        "advisory": fact.id,
        "fact": exposure.fact,
        "release": exposure.release,
        "cves": list(fact.cves),
        "urgency": fact.urgency,
        "exploited": fact.exploited,
        "fixed": fact.fixed,
        "available": fix.version if fix else "",
        "undo": back.version if back else "",
        "score": ranked.score,
        "reasons": [{"points": r.points, "because": r.because} for r in ranked.reasons],
    }
