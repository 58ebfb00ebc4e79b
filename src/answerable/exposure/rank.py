"""How urgent an exposure is: a floor that no score can lower, then points, each with its reason.

    BOD 26-04 timeline (bod2604.py)                10000 x its strictness, 0 .. 4
    known to be exploited                           1000
    exploitation seen / shown by others (SSVC)       600 / 300
    used by ransomware                               200
    EPSS                                            0 .. 500, by percentile, else by probability
    learned tie-breaker (model.py)                  0 .. 490, 70 a band
    urgency critical / high / medium / low          400 / 300 / 200 / 100
    urgency not stated (counted as medium)           200
    publicly exposed, or not known not to be         200
    CVSS base score, in tenths                      0 .. 100
    on many hosts                                   0 .. 200, 10 a doubling
    the host stands in a zone that weighs more      as configured, 0 .. 1000 in all

Rules:

1. The directive's table decides first and sets the date. What it asks and nobody knows counts as
   worse. Points move an exposure within its timeline only.
2. Every part is 0 or more, the model's too: a model may raise and never lower.
3. A value counts when it is agreed (beliefs.py). What one channel alone says counts only where
   there is but one publisher (`ALONE`); what is disputed or held back is shown and does not count.
   So a compromised feed that adds what nobody else says moves nothing.
4. Of several flaws in one advisory the most urgent one speaks. Equals stand by host, package and
   advisory, so the same input always gives the same order.
5. Without a model in service the rules decide alone, and the ranking says so.

The order decides what people see first, and nothing else: a rank never authorises (house contract).
No text of a feed is interpreted. Left out: reachability.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

from answerable.exposure import bod2604
from answerable.exposure.bod2604 import Floor
from answerable.exposure.features import Features, Flaw, Listings, features
from answerable.exposure.match import Exposure
from answerable.exposure.model import SHARES, Model
from answerable.feeds import cvss
from answerable.feeds.facts import Advisory

TIMELINE, EXPLOITED, ACTIVE, SHOWN, RANSOMWARE = 10_000, 1_000, 600, 300, 200
EPSS, BAND, PUBLIC, DOUBLING = 500, 70, 200, 10
MOST_ZONES, MOST_HOSTS = 1_000, 200
URGENCY = {"critical": 400, "high": 300, "medium": 200, "low": 100, "unknown": 200}
ALONE = frozenset({
    "cna", "cvss", "cwe", "description", "epss", "epss_percentile", "product", "published",
    "references", "rejected", "ssvc_automatable", "ssvc_exploitation", "ssvc_technical_impact",
    "title", "vendor",
})  # fmt: skip
"""Fields that have one publisher by nature; for the others two channels must agree."""


@dataclass(frozen=True, slots=True)
class Said:
    """What is believed of one field of a flaw.

    Args:
        value: as feeds/rows.py spells it; untrusted text.
        state: `agreed`, `single`, `disputed` or `held`.
        channels: who says so.
        said: since when, POSIX seconds; 0 if not known.
        more: what somebody says beyond it, which does not count; empty if nobody does.
    """

    value: str
    state: str
    channels: tuple[str, ...] = ()
    said: int = 0
    more: str = ""


Sayings = Mapping[str, Said]
"""Field -> what is believed."""


Kind = Literal["directive", "exploitation", "forecast", "model", "severity", "place"]
"""What a part of the score is about."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Some points, why, and whose word it is since when (POSIX seconds; 0 if not known)."""

    kind: Kind
    points: int
    because: str
    channels: tuple[str, ...] = ()
    said: int = 0


@dataclass(frozen=True)
class Context:
    """What ranking knows beside the exposures.

    Args:
        now: POSIX seconds.
        weights: zone -> points.
        public: zone -> whether its hosts can be reached from public networks; absent if not known.
        flaws: flaw -> what is believed of it.
        listed: whether a catalogue of exploited flaws was read, so that absence from it means no.
        alone: fields for which one channel is enough.
        model: the model in service, if there is one.
        listings: earlier listings, for the model.
        without: why there is no model.
    """

    now: int = 0
    weights: Mapping[str, int] = field(default_factory=dict)
    public: Mapping[str, bool] = field(default_factory=dict)
    flaws: Mapping[str, Sayings] = field(default_factory=dict)
    listed: bool = False
    alone: frozenset[str] = ALONE
    model: Model | None = None
    listings: Listings = field(default_factory=lambda: Listings(()))
    without: str = "no model was released"

    def believed(self, cve: str, name: str) -> Said | None:
        """Give what counts of a field, if anything does."""
        said = self.flaws.get(cve, {}).get(name)
        if said is None or said.state == "agreed":
            return said
        return said if said.state == "single" and name in self.alone else None

    def waiting(self, cve: str) -> Iterator[tuple[str, Said]]:
        """Give what was said and does not count: it waits for another channel, or for a person."""
        for name, said in sorted(self.flaws.get(cve, {}).items()):
            if self.believed(cve, name) is None:
                yield name, said
            elif said.more:
                yield name, replace(said, value=said.more, state="claimed")


@dataclass(frozen=True, slots=True)
class Learned:
    """What the model says of a flaw; `band` counts from 0."""

    cve: str
    said: Features
    score: int
    band: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What holds for an advisory on every host of the same zones.

    Args:
        cve: the flaw that speaks for it; empty if the advisory names none.
        since: from when the timeline runs, POSIX seconds.
        due: by when, POSIX seconds; 0 for no date.
    """

    cve: str
    floor: Floor
    since: int
    due: int
    reasons: tuple[Reason, ...]
    learned: Learned | None


@dataclass(frozen=True, slots=True)
class Ranked:
    """An exposure with its points."""

    exposure: Exposure
    verdict: Verdict

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """Every part of the score."""
        return self.verdict.reasons

    @property
    def score(self) -> int:
        """The sum of the points."""
        return sum(reason.points for reason in self.verdict.reasons)


def rank(
    exposures: Iterable[Exposure], context: Context, hosts: Mapping[Advisory, int] | None = None
) -> list[Ranked]:
    """Put the most urgent exposure first.

    Args:
        hosts: on how many hosts each advisory is, if exposures stand for several hosts each.
    """
    rows = list(exposures)
    return sorted(Ranker(rows, context, hosts).rows(rows), key=_place)


def _place(ranked: Ranked) -> tuple[int, str, str, str, str]:
    exposure = ranked.exposure
    package, advisory = exposure.installed.package, exposure.advisory.id
    return (-ranked.score, exposure.host, package, advisory, exposure.fact)


Subject = tuple[Advisory, frozenset[str]]


class Ranker:
    """Weighs each advisory once for all hosts of the same zones."""

    def __init__(
        self, exposures: Iterable[Exposure], context: Context, hosts: Mapping[Advisory, int] | None
    ) -> None:
        """Count the hosts of each advisory, unless they were counted."""
        pairs = {(each.advisory, each.host) for each in exposures} if hosts is None else ()
        self.context = context
        self._hosts: Mapping[Advisory, int] = hosts or Counter(advisory for advisory, _ in pairs)
        self._verdicts: dict[Subject, Verdict] = {}
        self._learned: dict[str, Learned | None] = {}

    def rows(self, exposures: Iterable[Exposure]) -> Iterator[Ranked]:
        """Give each exposure with its points."""
        for exposure in exposures:
            subject = (exposure.advisory, exposure.zones)
            if subject not in self._verdicts:
                self._verdicts[subject] = self._verdict(*subject)
            yield Ranked(exposure, self._verdicts[subject])

    def _verdict(self, advisory: Advisory, zones: frozenset[str]) -> Verdict:
        found = [self._of(cve, advisory, zones) for cve in advisory.cves or ("",)]
        return max(found, key=lambda v: (sum(r.points for r in v.reasons), v.cve))

    def _of(self, cve: str, advisory: Advisory, zones: frozenset[str]) -> Verdict:
        weighed = Weighed(cve, advisory, zones, self.context)
        learned = self.learned(cve)
        reasons = [*weighed.reasons(), *_learned(learned), *self._many(advisory)]
        return Verdict(
            cve, weighed.floor, weighed.since, weighed.due, tuple(reasons), learned
        )  # fmt: skip

    def _many(self, advisory: Advisory) -> Iterator[Reason]:
        count = self._hosts[advisory]
        if count > 1:
            points = min(MOST_HOSTS, DOUBLING * (count.bit_length() - 1))
            yield Reason("place", points, f"it is on {count} hosts")

    def learned(self, cve: str) -> Learned | None:
        """Ask the model about a flaw, once."""
        if cve not in self._learned:
            self._learned[cve] = learned(cve, self.context)
        return self._learned[cve]


def learned(cve: str, context: Context) -> Learned | None:
    """Ask the model about a flaw; nothing if there is no model, or nothing is said of the flaw."""
    if context.model is None or cve not in context.flaws:
        return None
    said = features(flaw_of(cve, context), context.listings)
    score = context.model.score(said)
    return Learned(cve, said, score, context.model.band(score))


def flaw_of(cve: str, context: Context) -> Flaw:
    """Give what counts of a flaw, as a model sees it."""

    def text(name: str) -> str:
        said = context.believed(cve, name)
        return said.value if said else ""

    refs = text("references")
    count = int(refs) if refs.isdecimal() else len(refs.split(",")) if refs else -1
    return Flaw(
        cve, _number(text("published")), text("cvss"), tuple(filter(None, text("cwe").split(","))),
        text("cna"), text("vendor"), text("product"), text("title"), text("description"), count,
    )  # fmt: skip


def _learned(found: Learned | None) -> Iterator[Reason]:
    if found and found.band:
        share = SHARES[found.band - 1] / 10
        because = f"the model puts {found.cve} in its first {share:g} %"
        yield Reason("model", BAND * found.band, because)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0  # noqa: PLR2004


def _share(said: Said | None) -> float | None:
    try:
        number = float(said.value) if said else -1.0
    except ValueError:
        return None
    return number if 0 <= number <= 1 else None


class Weighed:
    """One flaw of one advisory on hosts of some zones, weighed."""

    def __init__(
        self, cve: str, advisory: Advisory, zones: frozenset[str], context: Context
    ) -> None:
        """Keep what is weighed."""
        self.cve, self.advisory, self.zones, self.context = cve, advisory, zones, context

    def _said(self, name: str) -> Said | None:
        return self.context.believed(self.cve, name)

    def _is(self, name: str, value: str) -> bool:
        said = self._said(name)
        return said is not None and said.value.lower() == value

    @cached_property
    def exploited(self) -> bool | None:
        """Whether it is known to be; None if no catalogue was read."""
        if self.advisory.exploited or self._is("exploited", "yes"):
            return True
        return False if self.context.listed else None

    @cached_property
    def public(self) -> bool | None:
        """Whether the hosts can be reached from public networks; any such zone is enough."""
        known = [self.context.public.get(zone) for zone in sorted(self.zones)]
        if True in known:
            return True
        return False if known and None not in known else None

    @cached_property
    def floor(self) -> Floor:
        """What the directive's table says."""
        asked = {"in KEV": self.exploited, "publicly exposed": self.public}
        known = {name: "NY"[said] for name, said in asked.items() if said is not None}
        for question, name, letters in (
            ("automatable", "ssvc_automatable", {"yes": "Y", "no": "N"}),
            ("technical impact", "ssvc_technical_impact", {"total": "T", "partial": "P"}),
        ):
            said = self._said(name)
            if said and said.value.lower() in letters:
                known[question] = letters[said.value.lower()]
        return bod2604.floor(known)

    @cached_property
    def since(self) -> int:
        """From when the timeline runs, POSIX seconds."""
        listed = self._said("kev_added")
        if self.exploited and listed and _number(listed.value):
            return _number(listed.value)
        published = self._said("published")
        dates = [self.advisory.published, _number(published.value) if published else 0]
        return min((date for date in dates if date), default=self.context.now)

    @cached_property
    def due(self) -> int:
        """By when; the catalogue's own date if that is earlier."""
        own = self._said("kev_due") if self.exploited else None
        dates = (self.floor.due(self.since), _number(own.value) if own else 0)
        return min((date for date in dates if date), default=0)

    def reasons(self) -> Iterator[Reason]:
        """Give every part of the score but the model's and the number of hosts."""
        yield self._directive()
        yield from self._exploitation()
        yield from self._epss()
        urgency = self.advisory.urgency
        if urgency == "unknown":
            yield Reason("severity", URGENCY[urgency], "no urgency is stated, counted as medium")
        else:
            yield Reason("severity", URGENCY[urgency], f"its urgency is {urgency}")
        yield self._cvss()
        if self.public is not False:
            how = "can be reached" if self.public else "is not known not to be reached"
            yield Reason("place", PUBLIC, f"the host {how} from public networks")
        yield from self._zones()

    def _directive(self) -> Reason:
        floor = self.floor
        row = ", ".join(
            f"{question} {'not known, taken as ' if question in floor.unknown else ''}{letter}"
            for question, letter in floor.row.items()
        )
        words = bod2604.WORDS[floor.timeline]
        return Reason("directive", TIMELINE * floor.strictness, f"BOD 26-04: {words} ({row})")

    def _exploitation(self) -> Iterator[Reason]:
        if self.exploited:
            said = self._said("exploited") or Said("", "", ("released fact",))
            yield Reason(
                "exploitation", EXPLOITED, "it is known to be exploited", said.channels, said.said
            )
        seen = self._said("ssvc_exploitation")
        points = {"active": ACTIVE, "poc": SHOWN}.get(seen.value.lower(), 0) if seen else 0
        if seen and points:
            what = "exploitation was seen" if points == ACTIVE else "an exploit was shown"
            yield Reason("exploitation", points, f"{what} (SSVC)", seen.channels, seen.said)
        used = self._said("kev_ransomware")
        if used and used.value.lower() == "yes":
            yield Reason("exploitation", RANSOMWARE, "ransomware uses it", used.channels, used.said)

    def _epss(self) -> Iterator[Reason]:
        for name, words in (("epss_percentile", "percentile"), ("epss", "probability")):
            said = self._said(name)
            share = _share(said)
            if said and share is not None:
                because = f"its EPSS {words} is {share:.3f}"
                points = round(EPSS * share)
                yield Reason("forecast", points, because, said.channels, said.said)
                return
        yield Reason("forecast", 0, "no EPSS is known")

    def _cvss(self) -> Reason:
        said = self._said("cvss")
        theirs = cvss.tenths(said.value) if said else -1
        score = max(theirs, self.advisory.cvss)
        if score < 0:
            return Reason("severity", 0, "no CVSS score is stated")
        because = f"its CVSS base score is {score // 10}.{score % 10}"
        if said and theirs == score:
            return Reason("severity", score, because, said.channels, said.said)
        return Reason("severity", score, because)

    def _zones(self) -> Iterator[Reason]:
        left = MOST_ZONES
        for zone in sorted(self.zones & self.context.weights.keys()):
            points = max(0, min(left, self.context.weights[zone]))
            left -= points
            yield Reason("place", points, f"the host stands in zone {zone}")


def explain(ranked: Ranked) -> dict[str, Any]:
    """Say in one flat structure what applies, why it ranks so, and what would close it."""
    exposure, fact, verdict = ranked.exposure, ranked.exposure.advisory, ranked.verdict
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
        "timeline": verdict.floor.timeline,
        "due": verdict.due,
        "not_known": list(verdict.floor.unknown),
        "speaks": verdict.cve,
        "score": ranked.score,
        "reasons": [
            {"kind": r.kind, "points": r.points, "because": r.because, "channels": list(r.channels),
             "said": r.said} for r in ranked.reasons
        ],
    }  # fmt: skip
