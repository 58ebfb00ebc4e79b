"""What a guard does before it vouches for a candidate: fetch for itself, normalise, compare.

Rules:

1. The guard asks its own sources, by its own ways, about the candidate's packages. If one of them
   cannot be used, the guard abstains.
2. Facts under a publisher's signature must be exactly those that the guard finds: one more, one
   less or one other is a disagreement.
3. Facts of moving, unsigned sources need not all be there, and each that is there must equal the
   guard's own, or raise automation no more: no higher score, no higher urgency, not known to be
   exploited where the guard does not know it. An artefact must be equal: its hash is what a host
   will trust.
4. A disagreement names the first facts that differ, so that a person can look.

The answer is a value; signing it with the attester's key is somebody else's (bootstrap). Left out:
agreement among sources of one guard.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from answerable.feeds.candidate import Candidate, Problem, collect_all
from answerable.feeds.facts import URGENCIES, Advisory, Fact
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


Verdict = Agreed | Disagreed | Abstained


def attest(candidate: Candidate, sources: Sequence[Source], now: int) -> Verdict:
    """Compare a candidate with what the guard's own sources say at POSIX second `now`."""
    feed = candidate.feed
    if len(candidate.packages) > ASKED or not candidate.facts:
        return Disagreed(feed, "too many packages or no fact", ())
    own, problems = collect_all(sources, candidate.packages, now)
    if problems:
        return Abstained(feed, problems)
    signed, moving = _texts(own, signed=True), _texts(own, signed=False)
    scored = _by_flaw(moving.values())
    proposed = {fact.text: fact for fact in candidate.facts}
    missing = [signed[text] for text in sorted(signed.keys() - proposed.keys())]
    if missing:
        return _differ(feed, "signed facts are missing", missing)
    rest = [fact for text, fact in proposed.items() if text not in signed]
    strange = [fact for fact in rest if fact.text not in moving and not _tolerable(fact, scored)]
    if strange:
        return _differ(feed, "facts that my sources do not state", strange)
    return Agreed(feed, len(candidate.facts), candidate.tree.root())


def _differ(feed: str, reason: str, facts: Iterable[Fact]) -> Disagreed:
    texts = [fact.text for fact in facts]
    return Disagreed(feed, f"{len(texts)} {reason}", tuple(texts[:SHOWN]))


def _texts(own: Iterable[Collected], *, signed: bool) -> dict[str, Fact]:
    return {fact.text: fact for each in own if each.signed is signed for fact in each.facts}


def _flaw(fact: Advisory) -> str:
    return replace(fact, urgency="unknown", cvss=-1, exploited=False).text


def _by_flaw(facts: Iterable[Fact]) -> dict[str, list[Advisory]]:
    found: dict[str, list[Advisory]] = {}
    for fact in facts:
        if isinstance(fact, Advisory):
            found.setdefault(_flaw(fact), []).append(fact)
    return found


def _tolerable(fact: Fact, scored: dict[str, list[Advisory]]) -> bool:
    mine = scored.get(_flaw(fact), []) if isinstance(fact, Advisory) else []
    return isinstance(fact, Advisory) and any(_no_more(fact, own) for own in mine)


def _no_more(fact: Advisory, mine: Advisory) -> bool:
    calmer = URGENCIES.index(fact.urgency) <= URGENCIES.index(mine.urgency)
    return calmer and fact.cvss <= mine.cvss and fact.exploited <= mine.exploited
