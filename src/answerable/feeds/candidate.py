"""A candidate: what somebody proposes as the next snapshot of a feed; one file, named by its hash.

Canonical JSON of one object:

    {"bounds":[{"advisory":<leaf hash>,"introduced":"2.0"}],"facts":["<fact>",..],"feed":"debian",
     "gaps":[{"package":"..","reason":".."}],"packages":["libssl3",..],
     "relations":[{"needs":["libc6 (>= 2.34)"],"package":"libssl3","version":"3.0.22-1~deb12u2"}],
     "root":"<hex>","size":2,
     "sources":[{"name":"debian:12/bookworm","published":..,"sha256":"..","valid_until":..}]}

Rules: normalising is deterministic. Facts are sorted by their UTF-8 bytes and stand once; `root` is
the RFC 6962 root over them. Only facts are attested; bounds, relations and gaps are hints that a
planner may use and a host never sees. A feed of which any source is unusable gives no candidate,
and says why for each; nor does one without a single fact. Where a party keeps a world (world.py),
facts are stated as far as they are agreed (agree.py); what is not is a gap.

Left out: keeping old candidates apart from new ones (the released root says which counts).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from answerable.feeds.agree import Gather, agreed
from answerable.feeds.facts import Advisory, Artefact, Fact, leaf
from answerable.feeds.facts import read as read_fact
from answerable.feeds.source import (
    MIB,
    Bound,
    Collected,
    Gap,
    Origin,
    Relation,
    Source,
    State,
    Unusable,
)
from answerable.kernel import canon
from answerable.kernel.errors import Refused
from answerable.kernel.merkle import Tree

SIZE = 64 * MIB
"""Largest candidate that is read, bytes."""
_SHAPE = {
    "feed": "id", "facts": ["any"], "packages": ["name"], "root": "hex", "size": "int",
    "bounds": [{"advisory": "hex", "introduced": "name"}],
    "gaps": [{"package": "name", "reason": "text"}],
    "relations": [{"needs": ["text"], "package": "name", "version": "name"}],
    "sources": [{"name": "name", "published": "int", "sha256": "hex", "valid_until": "int"}],
}  # fmt: skip


@dataclass(frozen=True)
class Problem:
    """One source that could not be used."""

    state: State
    source: str
    detail: str


@dataclass(frozen=True)
class NoCandidate:
    """A feed that gives nothing now, and every reason."""

    feed: str
    problems: tuple[Problem, ...]


@dataclass(frozen=True)
class Candidate:
    """A proposed snapshot; its facts are sorted and stand once.

    Args:
        introduced: leaf hash (hex) of an advisory -> first version with the flaw.
    """

    feed: str
    packages: tuple[str, ...]
    facts: tuple[Fact, ...]
    origins: tuple[Origin, ...]
    relations: tuple[Relation, ...]
    introduced: dict[str, str]
    gaps: tuple[Gap, ...]

    @cached_property
    def tree(self) -> Tree:
        """The facts' tree."""
        return Tree(leaf(fact) for fact in self.facts)

    @cached_property
    def index(self) -> dict[str, int]:
        """Leaf hash (hex) -> place in the tree."""
        return {leaf(fact).hex(): place for place, fact in enumerate(self.facts)}

    @property
    def advisories(self) -> list[Advisory]:
        """The advisories among the facts."""
        return [fact for fact in self.facts if isinstance(fact, Advisory)]

    @property
    def artefacts(self) -> list[Artefact]:
        """The artefacts among the facts."""
        return [fact for fact in self.facts if isinstance(fact, Artefact)]

    @cached_property
    def text(self) -> str:
        """The one spelling."""
        return canon.encode({
            "feed": self.feed,
            "packages": list(self.packages),
            "facts": [fact.text for fact in self.facts],
            "root": self.tree.root().hex(),
            "size": len(self.facts),
            "sources": [_origin(origin) for origin in self.origins],
            "relations": [
                {"package": r.package, "version": r.version, "needs": list(r.needs)}
                for r in self.relations
            ],
            "bounds": [
                {"advisory": name, "introduced": version}
                for name, version in sorted(self.introduced.items())
            ],
            "gaps": [{"package": g.package, "reason": g.reason} for g in self.gaps],
        })  # fmt: skip

    @property
    def sha256(self) -> str:
        """The name of its file, hex."""
        return sha256(self.text.encode()).hexdigest()


def _origin(origin: Origin) -> dict[str, str | int]:
    return {
        "name": origin.name,
        "published": origin.published,
        "sha256": origin.sha256,
        "valid_until": origin.valid_until,
    }


def propose(
    feed: str,
    sources: Sequence[Source],
    packages: Iterable[str],
    now: int,
    gather: Gather | None = None,
    world: tuple[Origin, ...] = (),
) -> Candidate | NoCandidate:
    """Ask every source about these packages and normalise what they say.

    Args:
        gather: gives what is believed about facts; none where no world is kept.
        world: that world, so that what was believed can be replayed.
    """
    asked = tuple(sorted(set(packages)))
    collected, problems = collect_all(sources, asked, now)
    collected = believed(collected, gather)
    facts = {fact.text.encode(): fact for each in collected for fact in each.facts}
    if not problems and not facts:
        problems = (Problem(State.EMPTY, feed, "no fact about any package that was asked for"),)
    if problems:
        return NoCandidate(feed, problems)
    return Candidate(
        feed, asked, tuple(facts[text] for text in sorted(facts)),
        (*(origin for each in collected for origin in each.origins), *world),
        tuple(relation for each in collected for relation in each.relations),
        {_leaf(bound): bound.introduced for each in collected for bound in each.bounds},
        tuple(gap for each in collected for gap in each.gaps),
    )  # fmt: skip


def _leaf(bound: Bound) -> str:
    return leaf(read_fact(bound.advisory)).hex()


def collect_all(
    sources: Sequence[Source], packages: Sequence[str], now: int
) -> tuple[list[Collected], tuple[Problem, ...]]:
    """Ask every source, also after one was found unusable."""
    collected, problems = [], []
    for source in sources:
        try:
            collected.append(source.collect(packages, now))
        except Unusable as failure:
            problems.append(Problem(failure.state, failure.source, failure.detail))
    return collected, tuple(problems)


def believed(collected: list[Collected], gather: Gather | None) -> list[Collected]:
    """Give what was collected as far as it is agreed; as it is, where no world is kept."""
    if gather is None:
        return collected
    beliefs = gather([fact for each in collected for fact in each.facts])
    return [agreed(each, beliefs) for each in collected]


def read(data: bytes) -> Candidate:
    """Read a candidate that somebody else made.

    Raises:
        Unusable: `oversized` or `malformed`; also if its root is not that of its facts.
    """
    try:
        value = canon.read(data, SIZE, _SHAPE)
        facts = tuple(read_fact(text) for text in value["facts"] if isinstance(text, str))
    except Refused as refusal:
        state = State.OVERSIZED if refusal.reason == "too_large" else State.MALFORMED
        raise Unusable(state, "candidate", refusal.detail) from refusal
    candidate = Candidate(
        value["feed"], tuple(value["packages"]), facts,
        tuple(Origin(**source) for source in value["sources"]),
        tuple(Relation(r["package"], r["version"], tuple(r["needs"])) for r in value["relations"]),
        {bound["advisory"]: bound["introduced"] for bound in value["bounds"]},
        tuple(Gap(**gap) for gap in value["gaps"]),
    )  # fmt: skip
    texts = [fact.text.encode() for fact in facts]
    if candidate.text.encode() != data or texts != sorted(set(texts)):
        raise Unusable(State.MALFORMED, "candidate", "its facts, root or order are wrong")
    return candidate
