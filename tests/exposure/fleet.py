"""A small fleet and its released facts, for matching and planning."""

from answerable.exposure.match import Known, Snapshot
from answerable.feeds.candidate import Candidate, propose
from answerable.feeds.facts import Fact
from answerable.feeds.source import Bound, Relation
from answerable.inventory.installed import Installed, Inventory
from tests.feeds.fakes import MemorySource, advisory, artefact

RELEASE = "ab" * 32
OLD, MID, NEW = "3.0.20-1", "3.0.22-1", "3.0.22-2"
FACTS: tuple[Fact, ...] = (
    *(artefact(p, v, source="openssl") for p in ("openssl", "libssl3") for v in (OLD, NEW)),
    *(advisory(p, MID, source="openssl", urgency="medium") for p in ("openssl", "libssl3")),
    *(advisory(p, NEW, source="openssl", urgency="high") for p in ("openssl", "libssl3")),
    artefact("bash", "5.2-1"),
    artefact("bash", "5.2-2"),
    advisory("bash", "5.2-2", urgency="low"),
)
NEEDS = (Relation("openssl", NEW, (f"libssl3 (= {NEW})", "libc6 (>= 2.34)")),)


def installed(
    package: str, version: str, *, source: str = "", state: str = "installed", arch: str = "amd64"
) -> Installed:
    """Give a package as it is on a host."""
    return Installed("debian:12", package, version, arch, source or package, state)  # type: ignore[arg-type]


LIBC = installed("libc6", "2.36-9", source="glibc")
BASH = installed("bash", "5.2-1")


def host(name: str, *packages: Installed, zones: tuple[str, ...] = ("web",)) -> Inventory:
    """Give a host; without packages it has openssl, libssl3, bash and libc6, openssl unpatched."""
    ssl = tuple(installed(p, OLD, source="openssl") for p in ("libssl3", "openssl"))
    return Inventory(name, "cd" * 32, frozenset(zones), packages or (*ssl, BASH, LIBC))


def known(
    *facts: Fact, needs: tuple[Relation, ...] = NEEDS, bounds: tuple[Bound, ...] = ()
) -> Known:
    """Give released facts, ready to be asked."""
    facts = facts or FACTS
    source = MemorySource(facts, relations=needs, bounds=bounds)
    made = propose("debian", [source], {fact.package for fact in facts}, 0)
    assert isinstance(made, Candidate)
    return Known([Snapshot(RELEASE, made)])
