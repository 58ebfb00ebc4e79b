"""The source `rpm`: repositories of the RPM family, from their signed index to the advisories.

From each repository, as dnf reads it: `repodata/repomd.xml`, held to a pinned keyring by the
signature beside it (`repomd.xml.asc`); the packages (primary.py) and the advisories
(documents/updates.py) whose hashes it names. So the publisher's signature covers every fact, and
everybody who asks the same repositories gets the same facts.

Facts: an artefact for each version of each package asked for; an advisory for each update that
mends a flaw and each package asked for that it names. Its id is `<source>@<update's id>`. What only
the newest version of such a package needs, and nobody asked for, has its artefacts too, with what
that needs in turn: an upgrade may bring it new.

Rules:

1. A repository without a signature is `unsigned`, and of no use: neither TLS nor the signatures of
   its packages say that its list of them is whole and of today.
2. An index is as young as its newest document or its revision, whichever is later. One that is
   older than the last one seen is `rolled_back`; the same one for two repositories is `forged`,
   since an index does not name its repository.
3. A document is the one that the index names, by hash and size, or `forged`, `truncated`,
   `oversized`; it unpacks to what the index says at most.
4. What a publisher has retracted is neither an advisory nor an artefact. Packages of module
   streams, and those that are kept side by side (kernels), give no artefact, and the former no
   advisory: a later version may be of another stream. They are gaps, and said so.
5. Repositories of which none has advisories are `missing`, never without flaws.
6. A package belongs to the keyring of the first repository that has it. What is signed by other
   keys under its name is not read: a vendor of one tool must not replace the C library.

Left out: hashes other than SHA-256 (openSUSE Tumbleweed has SHA-512), metalinks and lists of
mirrors, which repository an artefact came from (all are asked for its path).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path

from answerable.feeds.documents import repomd, updates
from answerable.feeds.documents.blobs import Blobs
from answerable.feeds.documents.dates import require_fresh
from answerable.feeds.documents.openpgp import require_detached
from answerable.feeds.documents.repomd import REPOMD, Document
from answerable.feeds.documents.updates import Update
from answerable.feeds.facts import CVES, Advisory, Artefact, Fact
from answerable.feeds.facts import read as read_fact
from answerable.feeds.publication import well_formed
from answerable.feeds.source import (
    ASKED,
    INDEX,
    KIB,
    PACKED,
    Collected,
    Fetch,
    Gap,
    Origin,
    Relation,
    State,
    Unusable,
)
from answerable.feeds.sources import primary, requires
from answerable.feeds.sources.primary import NOARCH, Package
from answerable.host import versions
from answerable.kernel.errors import Refused

SIGNATURE = 64 * KIB
"""Largest signature file, bytes."""
COMING, DEEP = 500, 8
"""Most packages that come new with upgrades, and how far from one that was asked for."""
RETRACTED = "retracted"


@dataclass(frozen=True)
class Repository:
    """One repository.

    Args:
        name: unique among those of a feed, such as `baseos`.
        fetch: its top, below which `repodata/` lies.
        keyring: whose keys may sign its index; binary (documents/openpgp.py).
        max_age: how old its index may be, seconds.
    """

    name: str
    fetch: Fetch
    keyring: Path
    max_age: int


@dataclass(frozen=True)
class _Opened:
    """A repository whose documents are here and are those that its index names."""

    label: str
    keyring: Path
    origin: Origin
    primary: tuple[Path, int]
    updates: tuple[Path, int] | None


@dataclass(frozen=True)
class Rpm:
    """The adapter.

    Args:
        ecosystem: how the release is named in facts, such as `rocky:9`.
        repositories: at least one of them has advisories.
        arch: of the hosts, such as `x86_64`.
        blobs: where documents and packages are kept.
    """

    ecosystem: str
    repositories: tuple[Repository, ...]
    arch: str
    blobs: Blobs
    name: str = field(default="rpm", init=False)

    def collect(self, packages: Sequence[str], now: int) -> Collected:
        """Fetch, check and normalise what concerns these packages.

        Raises:
            Unusable: if any repository cannot be used.
        """
        assert len(packages) <= ASKED, "too many packages are asked for"
        opened, asked, coming = self._opened(now), frozenset(packages), frozenset[str]()
        for _ in range(DEEP):
            found, owners = self._read(opened, sorted(asked | coming))
            found.sort(key=self._order)
            sources = {p: p for p in asked | coming} | {each.name: each.source for each in found}
            retracted, advisories = self._updates(opened, sources, owners)
            kept = [p for p in found if not _gap(p) and (p.name, p.version) not in retracted]
            relations = tuple(self._relations(opened, kept))
            further = _coming(relations, asked, coming)
            if further == coming:
                break
            coming = further
        gaps = dict.fromkeys(gap for gap in map(_gap, found) if gap)
        facts: dict[str, Fact] = {fact.text: fact for fact in map(self._artefact, kept)}
        facts |= {fact.text: fact for fact in advisories if fact.package in asked}
        return Collected(
            tuple(facts.values()), tuple(each.origin for each in opened), signed=True,
            relations=relations, gaps=tuple(gaps),
        )  # fmt: skip

    def obtain(self, artefact: Artefact) -> Path | None:
        """Give the place of an .rpm, from the first repository that keeps it.

        Raises:
            Unusable: if none does, or its bytes are others.
        """
        if artefact.ecosystem != self.ecosystem:
            return None
        why = Unusable(State.MISSING, artefact.path, "no repository keeps it; check the mirrors")
        for each in self.repositories:
            try:
                return self.blobs.fetch(each.fetch, artefact.path, artefact.sha256, artefact.size)
            except Unusable as failure:
                why = why if failure.state is State.MISSING else failure
        raise why

    def pending(self, installed: Mapping[str, Iterable[str]], now: int) -> tuple[str, ...]:
        """Name the packages of which a newer version is available than one that is installed.

        Args:
            installed: package -> versions on any host.

        Raises:
            Unusable: as `collect`.
        """
        newest: dict[str, bytes] = {}
        for each in self._read(self._opened(now), sorted(installed))[0]:
            newest[each.name] = max(self._order(each), newest.get(each.name, b""))
        return tuple(
            package
            for package in sorted(newest)
            if any(self._below(version, newest[package]) for version in installed[package])
        )

    def _opened(self, now: int) -> list[_Opened]:
        opened = [self._open(each, now) for each in self.repositories]
        if len({each.origin.sha256 for each in opened}) < len(opened):
            raise Unusable(State.FORGED, self.ecosystem, "two repositories have one index")
        if not any(each.updates for each in opened):
            raise Unusable(State.MISSING, self.ecosystem, "no repository has advisories")
        return opened

    def _open(self, repository: Repository, now: int) -> _Opened:
        fetch, label = repository.fetch, f"{self.ecosystem}/{repository.name}"
        source = f"{fetch.place}/{REPOMD}"
        data = fetch.get(REPOMD, repomd.INDEX)
        try:
            signature = fetch.get(f"{REPOMD}.asc", SIGNATURE)
        except Unusable as failure:
            if failure.state is not State.MISSING:
                raise
            detail = "no `repomd.xml.asc`; sign a mirror of your own"
            raise Unusable(State.UNSIGNED, source, detail) from failure
        require_detached(data, signature, repository.keyring, source)
        index = repomd.read(self.blobs.path(self.blobs.put(data)), source)
        published = max(index.revision, index.made)
        require_fresh(published, 0, source, repository.max_age, now, self.blobs.newest(label))
        with well_formed(source, "repomd"):
            packages, told = index.documents("primary"), index.documents("updateinfo")
        if len(packages) != 1 or len(told) > 1:
            raise Unusable(State.MALFORMED, source, "it names not one list of packages")
        origin = Origin(label, sha256(data).hexdigest(), published, 0)
        places = [self._document(fetch, each) for each in (*packages, *told)]
        self.blobs.saw(label, published)
        second = places[1] if told else None
        return _Opened(label, repository.keyring, origin, places[0], second)

    def _document(self, fetch: Fetch, named: Document) -> tuple[Path, int]:
        if not 0 < named.size <= PACKED or named.whole > INDEX:
            detail = f"`{named.path}` of {named.size} bytes, {named.whole} unpacked"
            raise Unusable(State.OVERSIZED, fetch.place, detail)
        file = self.blobs.fetch(fetch, named.path, named.sha256, named.size)
        return file, named.whole or INDEX

    def _read(
        self, opened: Iterable[_Opened], packages: Sequence[str]
    ) -> tuple[list[Package], dict[str, Path]]:
        """Give the packages asked for, and to which keyring each name belongs."""
        found, owners = list[Package](), dict[str, Path]()
        for each in opened:
            file, whole = each.primary
            where = (self.ecosystem, self.arch, whole)
            for package in primary.read(file, each.label, packages, *where):
                if owners.setdefault(package.name, each.keyring) == each.keyring:
                    found.append(package)
        return found, owners

    def _artefact(self, package: Package) -> Artefact:
        return Artefact(
            self.ecosystem, package.name, package.version, package.arch, package.sha256,
            package.size, package.source, package.path,
        )  # fmt: skip

    def _updates(
        self, opened: Iterable[_Opened], sources: Mapping[str, str], owners: Mapping[str, Path]
    ) -> tuple[set[tuple[str, str]], list[Advisory]]:
        """Give what was retracted, and the advisories.

        Args:
            sources: package asked for -> name of its source package.
            owners: package -> keyring that it belongs to.
        """
        retracted, found = set[tuple[str, str]](), list[Advisory]()
        for each in opened:
            if each.updates is None:
                continue
            own = {p: s for p, s in sources.items() if owners.get(p, each.keyring) == each.keyring}
            for update in updates.read(each.updates[0], each.label, each.updates[1]):
                if update.status == RETRACTED:
                    retracted |= {(name, v) for name, v, _ in update.packages if name in own}
                elif update.mends:
                    with well_formed(each.label, update.texts.get("id", "")):
                        found += self._mended(update, own)
        return retracted, found

    def _mended(self, update: Update, sources: Mapping[str, str]) -> Iterator[Advisory]:
        for name, version, arch in update.packages:
            if name not in sources or arch not in (self.arch, NOARCH) or primary.modular(version):
                continue
            fact = Advisory(
                f"{sources[name]}@{update.name}", self.ecosystem, name, sources[name], version,
                update.urgency, tuple(sorted(update.cves)[:CVES]), -1, exploited=False,
                published=update.issued,
            )  # fmt: skip
            try:
                read_fact(fact.text)
            except Refused as refusal:
                raise ValueError(str(refusal)) from refusal
            yield fact

    def _relations(self, opened: Iterable[_Opened], kept: Sequence[Package]) -> Iterator[Relation]:
        wanted = requires.wanted(kept)
        providers = requires.by_name(
            provider
            for each in opened
            for provider in primary.providers(
                each.primary[0], each.label, wanted, self.ecosystem, self.arch, each.primary[1]
            )
        )
        for each in kept:
            needs = requires.needs(each, providers, self.ecosystem)
            yield Relation(each.name, each.version, needs)

    def _order(self, package: Package) -> bytes:
        return versions.key(self.ecosystem, package.version)

    def _below(self, version: str, newest: bytes) -> bool:
        """Tell whether a version is older; one without an order is not (the fleet lists those)."""
        with suppress(Refused):
            return versions.key(self.ecosystem, version) < newest
        return False


def _coming(
    relations: Iterable[Relation], asked: frozenset[str], coming: frozenset[str]
) -> frozenset[str]:
    """Name what newest versions need and nobody asked for: of each need its first alternative.

    Args:
        relations: those of each package in the order of its versions.
    """
    found, versions_of = set(coming), dict[str, list[Relation]]()
    for relation in relations:
        versions_of.setdefault(relation.package, []).append(relation)
    for package, (*older, newest) in versions_of.items():
        if older or package in coming:
            before = {name for row in older for need in row.needs for name in requires.names(need)}
            needs = [requires.names(need) for need in newest.needs]
            found |= {n[0] for n in needs if (before | asked).isdisjoint(n)}
    return frozenset(sorted(found)[:COMING])


def _gap(package: Package) -> Gap | None:
    if primary.modular(package.version):
        return Gap(package.name, "of a module stream: its updates are not told apart")
    if package.side_by_side:
        return Gap(package.name, "kept in several versions side by side: people update it")
    return None
