"""What a guard does before it vouches for a candidate: fetch for itself, normalise, compare.

Rules:

1. The guard asks its own sources, by its own ways, about the candidate's packages. If one of them
   cannot be used, the guard abstains. So does one that keeps a world and has none that is good.
2. While the guard's own world shows a shock (shock.py) it vouches for nothing: people release.
3. Facts under a publisher's signature must be those that the guard finds: none more, less or other.
   What agreement adds to them may be less than the guard's own, never more (agree.py).
4. Facts of moving, unsigned sources need not all be there, and each that is there must equal the
   guard's own, or raise automation no more: no higher score, no higher urgency, not known to be
   exploited where the guard does not know it. An artefact must be equal: its hash is what a host
   will trust.
5. Nothing that stands is lowered: an advisory of the released snapshot that is in force, about a
   package that was asked for, must be there and be no less. A publisher may drop its own signed
   word; anything else is for people to release.
6. A disagreement names the first facts that differ, so that a person can look.

The answer is a value; signing it with the attester's key is somebody else's (bootstrap). Left out:
packages that a candidate does not ask about (what is installed and never asked about shows in the
inventory).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from answerable.feeds.agree import Gather, no_less
from answerable.feeds.candidate import Candidate, Problem, believed, collect_all
from answerable.feeds.facts import URGENCIES, Advisory, Artefact, Fact
from answerable.feeds.shock import Shock
from answerable.feeds.source import ASKED, Collected, Source

SHOWN = 5
"""How many facts a disagreement names."""


@dataclass(frozen=True)
class Agreed:
    """The guard found nothing against the candidate; this is the root to vouch for."""

    feed: str
    size: int
    root: bytes


@dataclass(frozen=True)
class Disagreed:
    """The guard found something else.

    Args:
        reason: in words.
        facts: the first that differ, as they stand in the candidate or, if missing there, here.
    """

    feed: str
    reason: str
    facts: tuple[str, ...]


@dataclass(frozen=True)
class Abstained:
    """The guard's own sources cannot be used, so it knows nothing."""

    feed: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Stopped:
    """The guard's own world has moved in a way that people should look at first."""

    feed: str
    shocks: tuple[Shock, ...]


Verdict = Agreed | Disagreed | Abstained | Stopped


@dataclass(frozen=True)
class Own:
    """What a guard holds a candidate against, beside its sources.

    Args:
        gather: gives what its own world makes it believe; none if it keeps no world.
        shocks: how that world differs from the last that was found good for the feed.
        standing: the released snapshot that is in force, if there is one.
    """

    gather: Gather | None = None
    shocks: tuple[Shock, ...] = ()
    standing: Candidate | None = None


ALONE = Own()
"""No world, and no release yet."""


@dataclass(frozen=True)
class _Range:
    """Between what a fact may say."""

    least: Advisory
    most: Advisory


def attest(candidate: Candidate, sources: Sequence[Source], now: int, own: Own = ALONE) -> Verdict:
    """Compare a candidate with what the guard itself finds at POSIX second `now`."""
    feed = candidate.feed
    if len(candidate.packages) > ASKED or not candidate.facts:
        return Disagreed(feed, "too many packages or no fact", ())
    if own.shocks:
        return Stopped(feed, own.shocks)
    found, problems = collect_all(sources, candidate.packages, now)
    return Abstained(feed, problems) if problems else _compare(candidate, found, own)


def _compare(candidate: Candidate, found: list[Collected], own: Own) -> Agreed | Disagreed:
    feed = candidate.feed
    artefacts, advisories = _known(found, own.gather)
    signed = [fact for each in found if each.signed for fact in each.facts]
    named = {_place(fact) for fact in candidate.facts}
    if missing := [fact for fact in signed if _place(fact) not in named]:
        return _differ(feed, "signed facts are missing", missing)
    strange = [
        fact
        for fact in candidate.facts
        if fact.text not in artefacts and not _within(fact, advisories.get(_place(fact), ()))
    ]
    if strange:
        return _differ(feed, "facts that my sources do not state", strange)
    ecosystems = {fact.ecosystem for fact in signed}
    if lowered := _lowered(candidate, own.standing, ecosystems):
        return _differ(feed, "facts that stand are lowered or left out", lowered)
    return Agreed(feed, len(candidate.facts), candidate.tree.root())


def _known(
    found: list[Collected], gather: Gather | None
) -> tuple[set[str], dict[str, list[_Range]]]:
    """Give the artefacts' texts, and between what each advisory of one's own may say."""
    artefacts, advisories = set[str](), dict[str, list[_Range]]()
    for plain, full in zip(found, believed(found, gather), strict=True):
        stated = {_place(fact): fact for fact in plain.facts}
        for fact in full.facts:
            if isinstance(fact, Artefact):
                artefacts.add(fact.text)
                continue
            base = stated[_place(fact)]
            least = base if plain.signed and isinstance(base, Advisory) else _calmest(fact)
            advisories.setdefault(_place(fact), []).append(_Range(least, fact))
    return artefacts, advisories


def _differ(feed: str, reason: str, facts: Iterable[Fact]) -> Disagreed:
    texts = [fact.text for fact in facts]
    return Disagreed(feed, f"{len(texts)} {reason}", tuple(texts[:SHOWN]))


def _calmest(fact: Advisory) -> Advisory:
    return replace(fact, urgency="unknown", cvss=-1, exploited=False)


def _place(fact: Fact) -> str:
    """Name a fact by what it is about, without what may move."""
    return _calmest(fact).text if isinstance(fact, Advisory) else fact.text


def _within(fact: Fact, ranges: Iterable[_Range]) -> bool:
    return isinstance(fact, Advisory) and any(
        _no_more(one.least, fact) and _no_more(fact, one.most) for one in ranges
    )


def _no_more(fact: Advisory, mine: Advisory) -> bool:
    calmer = URGENCIES.index(fact.urgency) <= URGENCIES.index(mine.urgency)
    return calmer and fact.cvss <= mine.cvss and fact.exploited <= mine.exploited


def _lowered(candidate: Candidate, standing: Candidate | None, signed: set[str]) -> list[Advisory]:
    if standing is None:
        return []
    asked = frozenset(candidate.packages)
    said: dict[tuple[str, str, str], list[Advisory]] = {}
    for fact in candidate.advisories:
        said.setdefault((fact.ecosystem, fact.package, fact.id), []).append(fact)
    lowered = []
    for old in standing.advisories:
        new = said.get((old.ecosystem, old.package, old.id), [])
        dropped = not new and old.ecosystem in signed and old.id.startswith(f"{old.source}@")
        if old.package in asked and not dropped and not any(no_less(fact, old) for fact in new):
            lowered.append(old)
    return lowered
