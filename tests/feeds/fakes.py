"""A source and a place to fetch from that are held in memory, conforming to the ports."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from answerable.feeds.facts import Advisory, Artefact, Fact
from answerable.feeds.source import Bound, Collected, Origin, Relation, State, Unusable

ORIGIN = Origin("memory", "0" * 64, 0, 0)


@dataclass
class MemoryFetch:
    """Documents by path."""

    documents: dict[str, bytes] = field(default_factory=dict)
    place: str = "memory:"

    def stream(self, path: str, limit: int) -> Iterator[bytes]:
        """Give a document byte for byte in small pieces."""
        data = self.get(path, limit)
        yield from (data[at : at + 7] for at in range(0, len(data), 7))

    def get(self, path: str, limit: int) -> bytes:
        """Give a document."""
        if path not in self.documents:
            raise Unusable(State.MISSING, path, "not in memory")
        if len(self.documents[path]) > limit:
            raise Unusable(State.OVERSIZED, path, "too large")
        return self.documents[path]


@dataclass
class MemorySource:
    """Facts as given; `failure` makes it unusable."""

    facts: Sequence[Fact] = ()
    signed: bool = True
    failure: State | None = None
    relations: Sequence[Relation] = ()
    bounds: Sequence[Bound] = ()
    name: str = "memory"

    def collect(self, packages: Sequence[str], now: int) -> Collected:
        """Give the facts about these packages."""
        if self.failure:
            raise Unusable(self.failure, self.name, "as the test wants it")
        return Collected(
            tuple(fact for fact in self.facts if fact.package in packages),
            (ORIGIN,), self.signed, tuple(self.relations), tuple(self.bounds),
        )  # fmt: skip

    def obtain(self, artefact: Artefact) -> Path | None:
        """Keep nothing."""
        return None


def advisory(
    package: str = "openssl",
    fixed: str = "3.0.22-1",
    *,
    name: str = "",
    ecosystem: str = "debian:12",
    urgency: str = "high",
    cvss: int = -1,
    exploited: bool = False,
    source: str = "",
) -> Advisory:
    """Give an advisory."""
    source = source or package
    return Advisory(
        name or f"{source}@{fixed}", ecosystem, package, source, fixed, urgency,
        ("CVE-2026-0001",), cvss, exploited, 1_795_000_000,
    )  # fmt: skip


def artefact(
    package: str = "openssl",
    version: str = "3.0.22-1",
    *,
    ecosystem: str = "debian:12",
    arch: str = "amd64",
    source: str = "",
    sha256: str = "",
) -> Artefact:
    """Give an artefact; its hash follows from its name unless it is given."""
    letters = f"{package}{version}{arch}".encode().hex()
    path = f"pool/{package}_{version}.deb"
    digest = sha256 or (letters * 8)[:64]
    return Artefact(ecosystem, package, version, arch, digest, 7, source or package, path)
