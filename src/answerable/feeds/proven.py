"""Where an artefact comes from, by its makers' own signed word; and that the word is missing.

Rules:

1. Each artefact of a source is asked for evidence: a document beside it, signed by whoever built or
   published it, that names its SHA-256. It is `Proven` under the one identity that is expected of
   its package, or it is `Unproven` and why. No word is no pass.
2. Unproven is recorded: a gap of the candidate, which people see.
3. Where the charter demands provenance of a feed, an artefact that is not proven is no fact of it:
   it is in no release, so no host installs it. Guards do the same with what they fetch themselves.
4. Where it does not, and nothing is configured, nothing is asked.

    {"root": "/etc/answerable/trusted_root.json", "sha256": "<hex>", "bundles": "/srv/wheels",
     "identities": {"waitress": {"issuer": "https://token.actions.githubusercontent.com",
        "identity": "https://github.com/Pylons/waitress/.github/workflows/ci.yml@refs/tags/*"}}}

Left out: checking signatures (provenance.py); what a builder says about how it built.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, Protocol

from answerable.feeds.facts import Artefact, Fact
from answerable.feeds.source import MIB, Collected, Fetch, Gap, Source, State, Unusable

DOCUMENT = 4 * MIB
"""Largest document of provenance, bytes."""
SUFFIXES = (".provenance", ".sigstore.json", ".sigstore")
"""What is put behind an artefact's path to find its document, in this order: PEP 740's object, a
Sigstore bundle in its newer and its older name."""
DETAIL = 300
"""Longest detail, characters."""
PUBLISH = "https://docs.pypi.org/attestations/publish/v1"
SLSA = ("https://slsa.dev/provenance/v1", "https://slsa.dev/provenance/v0.2")
Reason = Literal["absent", "malformed", "refused", "another artefact", "unexpected"]


@dataclass(frozen=True, slots=True)
class Expected:
    """Who must have signed.

    Args:
        issuer: who vouches for the identity, exactly: `https://accounts.google.com`.
        identity: an address of mail or a URI, exactly; a `*` at the end is allowed behind `@refs/`
            only, since a workflow's own name stays while its tags change.
        predicates: what the statement must be about; a bare signature has none. Empty: any known.
    """

    issuer: str
    identity: str
    predicates: tuple[str, ...] = ()

    def names(self, identity: str) -> bool:
        """Tell whether this is the one."""
        stem, star, rest = self.identity.partition("*")
        if star and not rest and "@refs/" in stem:
            return identity.startswith(stem)
        return identity == self.identity


@dataclass(frozen=True, slots=True)
class Proven:
    """Somebody who was expected signed for exactly these bytes.

    Args:
        identity: who, as the certificate names them.
        predicate: what about; empty for a bare signature.
        issued: when the certificate was issued that signed it, POSIX seconds; it lives minutes.
    """

    identity: str
    predicate: str
    issued: int


@dataclass(frozen=True, slots=True)
class Unproven:
    """Nobody is known to have signed for these bytes, and why."""

    reason: Reason
    detail: str

    def __str__(self) -> str:
        """Spell it for people, on one line."""
        clean = "".join(c if c.isprintable() else " " for c in self.detail)
        return f"provenance {self.reason}: {clean}"[:DETAIL]


Verdict = Proven | Unproven


class Judge(Protocol):
    """Checks one document."""

    def check(self, document: bytes, sha256: str, expected: Expected) -> Verdict:
        """Judge a document about the artefact with this hash."""


@dataclass(frozen=True)
class Evidence:
    """What a feed's settings say about provenance.

    Args:
        judge: checks documents.
        bundles: where they lie.
        identities: package -> who must have signed.
    """

    judge: Judge
    bundles: Fetch
    identities: Mapping[str, Expected]

    def about(self, artefact: Artefact) -> Verdict:
        """Judge an artefact."""
        expected = self.identities.get(artefact.package)
        if expected is None:
            return Unproven("unexpected", f"no identity is configured for `{artefact.package}`")
        for suffix in SUFFIXES:
            try:
                document = self.bundles.get(artefact.path + suffix, DOCUMENT)
            except Unusable as failure:
                if failure.state is State.MISSING:
                    continue
                return Unproven("malformed", str(failure))
            return self.judge.check(document, artefact.sha256, expected)
        return Unproven("absent", f"no document beside `{artefact.path}`")


NOTHING = Unproven("absent", "nothing is configured to check it with")


@dataclass(frozen=True)
class ProvenSource:
    """A source whose artefacts are asked where they come from.

    Args:
        source: the source itself.
        evidence: how they are asked; nothing if nothing is configured.
        demanded: whether the charter now in force demands provenance of this feed.
    """

    source: Source
    evidence: Evidence | None
    demanded: Callable[[], bool]
    name: str = field(init=False)

    def __post_init__(self) -> None:
        """Keep the source's name."""
        object.__setattr__(self, "name", self.source.name)

    def collect(self, packages: Sequence[str], now: int) -> Collected:
        """Give the source's facts, less the artefacts that are demanded to be proven and are not.

        Raises:
            Unusable: as the source.
        """
        collected, demanded = self.source.collect(packages, now), self.demanded()
        if self.evidence is None and not demanded:
            return collected
        facts: list[Fact] = []
        gaps: list[Gap] = []
        for fact in collected.facts:
            verdict = self._about(fact) if isinstance(fact, Artefact) else None
            if isinstance(fact, Artefact) and isinstance(verdict, Unproven):
                gaps.append(Gap(fact.package, f"{fact.path}: {verdict}"))
            if not (demanded and isinstance(verdict, Unproven)):
                facts.append(fact)
        return replace(collected, facts=tuple(facts), gaps=(*collected.gaps, *gaps))

    def _about(self, artefact: Artefact) -> Verdict:
        return self.evidence.about(artefact) if self.evidence else NOTHING

    def obtain(self, artefact: Artefact) -> Path | None:
        """Give an artefact's bytes, as the source does.

        Raises:
            Unusable: as the source.
        """
        return self.source.obtain(artefact)
