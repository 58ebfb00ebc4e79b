"""The source `debian`: a distribution's own signed archive, from InRelease to the changelogs.

From each suite: InRelease, opened with the distribution's keyring and judged fresh (inrelease.py);
the index whose hash it names (packages.py); and for each source package asked for the changelog
inside its newest .deb, whose hash the index names (deb.py, changelog.py). So the publisher's
signature covers every fact, and everybody who asks the same archive gets the same facts.

Facts: an artefact for each version of each package asked for, in any suite (the older ones are what
an undo goes back to); an advisory for each changelog entry that states a fix, for each package
asked for of that source. A package whose version is not its source's gets one advisory, fixed in
its own newest version. A source without a readable changelog is a gap, and said so. What only the
newest version of such a package needs, and nobody asked for, has its artefacts too, with what that
needs in turn: an upgrade may bring it new (a kernel's image, a library under another name).

Left out: Sources, Contents, the security tracker (a moving, unsigned source of its own).
"""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from answerable.feeds.documents.blobs import Blobs
from answerable.feeds.documents.dates import require_fresh
from answerable.feeds.facts import CVES, URGENCIES, Advisory, Artefact, Fact
from answerable.feeds.source import (
    ARTEFACT,
    ASKED,
    INDEX,
    PACKED,
    RELEASE,
    Collected,
    Fetch,
    Gap,
    Origin,
    Relation,
    State,
    Unusable,
)
from answerable.feeds.sources import changelog, deb, inrelease
from answerable.feeds.sources.packages import Binary, order_of, unpack
from answerable.feeds.sources.packages import read as read_index

TRIES = 3
"""Most packages of one source that are opened to find its changelog."""
COMING, DEEP = 500, 8
"""Most packages that come new with upgrades, and how far from one that was asked for."""
_REBUILD = re.compile(r"\+b\d{1,3}")


@dataclass(frozen=True)
class Suite:
    """One suite of the archive.

    Args:
        name: such as `bookworm-security`.
        fetch: the archive's top, below which `dists/` and `pool/` lie.
        component: such as `main`.
        arch: such as `amd64`.
        max_age: how old its InRelease may be, seconds.
        base: whether this is the release itself, which the others update.
    """

    name: str
    fetch: Fetch
    component: str
    arch: str
    max_age: int
    base: bool = False


@dataclass(frozen=True)
class Index:
    """What the suites hold of the packages asked for, checked."""

    binaries: tuple[Binary, ...]
    origins: tuple[Origin, ...]
    codename: str
    coming: frozenset[str] = frozenset()
    """Packages that nobody asked for, and newest versions of others need."""

    def versions(self, package: str) -> list[Binary]:
        """Give every version of a package, newest first."""
        found = [binary for binary in self.binaries if binary.package == package]
        return sorted(found, key=lambda b: order_of(b.version), reverse=True)


@dataclass(frozen=True)
class Debian:
    """The adapter.

    Args:
        ecosystem: how the release is named in facts, such as `debian:12`.
        suites: one of them with `base`.
        keyring: the distribution's own, such as `debian-archive-keyring.gpg`.
        blobs: where indexes and packages are kept.
    """

    ecosystem: str
    suites: tuple[Suite, ...]
    keyring: Path
    blobs: Blobs
    name: str = field(default="debian", init=False)

    def collect(self, packages: Sequence[str], now: int) -> Collected:
        """Fetch, check and normalise what concerns these packages.

        Raises:
            Unusable: if any suite, or any package that must be opened, cannot be used.
        """
        assert len(packages) <= ASKED, "too many packages are asked for"
        index, asked = self.index(packages, now), frozenset(packages)
        named = asked | index.coming
        wanted = [binary for binary in index.binaries if binary.package in named]
        facts: list[Fact] = [*self._artefacts(wanted)]
        gaps = []
        for source in sorted({binary.source for binary in wanted if binary.package in asked}):
            found = self._advisories(source, index, asked, named)
            if isinstance(found, Gap):
                gaps.append(found)
            else:
                facts += found
        relations = [Relation(b.package, b.version, b.needs) for b in wanted]
        return Collected(
            tuple(facts), index.origins, signed=True, relations=tuple(relations), gaps=tuple(gaps)
        )

    def obtain(self, artefact: Artefact) -> Path | None:
        """Give the place of a .deb, from the first suite that keeps it.

        Raises:
            Unusable: if none does, or its bytes are others.
        """
        if artefact.ecosystem != self.ecosystem:
            return None
        for suite in self.suites:
            try:
                path, size = artefact.path, artefact.size
                return self.blobs.fetch(suite.fetch, path, artefact.sha256, size)
            except Unusable as failure:
                if failure.state is not State.MISSING:
                    raise
        raise Unusable(State.MISSING, artefact.path, "no suite keeps it; check the mirrors")

    def pending(self, installed: Mapping[str, Iterable[str]], now: int) -> tuple[str, ...]:
        """Name the packages of which a newer version is available than one that is installed.

        Args:
            installed: package -> versions on any host.

        Raises:
            Unusable: as `collect`.
        """
        index = self.index(sorted(installed), now)
        newest: dict[str, bytes] = {}
        for binary in index.binaries:
            key = order_of(binary.version)
            newest[binary.package] = max(key, newest.get(binary.package, key))
        return tuple(
            package
            for package in sorted(installed.keys() & newest.keys())
            if any(order_of(v) < newest[package] for v in installed[package])
        )

    def index(self, packages: Sequence[str], now: int) -> Index:
        """Fetch and check every suite's index, for these packages and others of theirs.

        Raises:
            Unusable: naming the suite.
        """
        texts, origins, codename = [], [], ""
        for suite in self.suites:
            release = self._release(suite, now)
            label = f"{self.ecosystem}/{suite.name}"
            until = release.valid_until
            origins.append(Origin(label, release.sha256, release.published, until))
            codename = release.codename if suite.base else codename
            texts.append((self._packages(suite, release), label, suite.base))
        assert codename, "one suite is the base"
        asked, coming = frozenset(packages), frozenset[str]()
        for _ in range(DEEP):
            read = (read_index(t, asked | coming, of, base=base) for t, of, base in texts)
            binaries = _consistent(one for each in read for one in each)
            found = _coming(binaries, asked, coming)
            if found == coming:
                break
            coming = found
        return Index(binaries, tuple(origins), codename, coming)

    def _release(self, suite: Suite, now: int) -> inrelease.Release:
        source = f"{suite.fetch.place}/dists/{suite.name}/InRelease"
        data = suite.fetch.get(f"dists/{suite.name}/InRelease", RELEASE)
        release = inrelease.open_release(data, self.keyring, source)
        if suite.name not in release.names:
            raise Unusable(State.FORGED, source, f"signed for `{release.codename}`, another suite")
        label, published = f"{self.ecosystem}/{suite.name}", release.published
        floor = self.blobs.newest(label)
        require_fresh(published, release.valid_until, source, suite.max_age, now, floor)
        self.blobs.saw(label, published)
        return release

    def _packages(self, suite: Suite, release: inrelease.Release) -> bytes:
        plain = f"{suite.component}/binary-{suite.arch}/Packages"
        whole = release.files.get(plain, ("", INDEX))[1]
        for packed in (f"{plain}.xz", f"{plain}.gz"):
            if packed in release.files:
                break
        else:
            raise Unusable(State.MISSING, suite.name, f"the release names no `{plain}.xz`")
        sha256, size = release.files[packed]
        if size > PACKED or whole > INDEX:
            raise Unusable(State.OVERSIZED, suite.name, f"an index of {size} bytes")
        folder = f"dists/{suite.name}"
        by_hash = f"{folder}/{suite.component}/binary-{suite.arch}/by-hash/SHA256/{sha256}"
        try:
            first = by_hash if release.by_hash else f"{folder}/{packed}"
            file = self.blobs.fetch(suite.fetch, first, sha256, size)
        except Unusable as failure:
            if failure.state is not State.MISSING or not release.by_hash:
                raise
            file = self.blobs.fetch(suite.fetch, f"{folder}/{packed}", sha256, size)
        return unpack(file.read_bytes(), packed, whole)

    def _artefacts(self, binaries: Iterable[Binary]) -> list[Artefact]:
        return [
            Artefact(
                self.ecosystem, b.package, b.version, b.arch, b.sha256, b.size, b.source, b.path
            )
            for b in binaries
        ]  # fmt: skip

    def _advisories(
        self, source: str, index: Index, asked: frozenset[str], named: frozenset[str]
    ) -> list[Advisory] | Gap:
        ours = [b for b in index.binaries if b.source == source]
        newest = max((b.source_version for b in ours), key=order_of)
        bases = [b.source_version for b in ours if b.base]
        base = max(bases, key=order_of, default=None)
        latest = [b for b in ours if b.source_version == newest]
        try:
            text = self._changelog(latest, named)
        except _Unreadable as unreadable:
            return Gap(source, str(unreadable))
        if text is None:
            return Gap(source, "no package of this source carries a changelog")
        found = changelog.advisories(text, source, index.codename, base)
        return [
            advisory
            for binary in latest
            if binary.package in asked
            for advisory in self._of(binary, found)
        ]

    def _changelog(self, binaries: Iterable[Binary], named: frozenset[str]) -> bytes | None:
        suites = {f"{self.ecosystem}/{suite.name}": suite for suite in self.suites}
        order = sorted(binaries, key=lambda b: (b.package not in named, b.size, b.package))
        for binary in order[:TRIES]:
            if binary.size > ARTEFACT:
                continue
            fetch = suites[binary.suite].fetch
            try:
                file = self.blobs.fetch(fetch, binary.path, binary.sha256, binary.size)
            except Unusable as failure:
                if failure.state is State.MISSING and binary.package not in named:
                    continue  # a mirror need not keep what nobody asked for
                raise
            text = _changelog_of(file)
            if text is not None:
                return text
        return None

    def _of(self, binary: Binary, found: list[changelog.Entry]) -> list[Advisory]:
        # What a source signs gives its binaries their versions, and not the signing source.
        signed = [self._advisory(binary, e, e.version) for e in found if e.source != binary.source]
        found = [entry for entry in found if entry.source == binary.source]
        rest = binary.version.removeprefix(binary.source_version)
        follows = binary.version == binary.source_version or _REBUILD.fullmatch(rest)
        if follows or not found:
            return [*signed, *(self._advisory(binary, entry, entry.version) for entry in found)]
        cves = {cve for entry in found for cve in entry.cves}
        urgency = max((entry.urgency for entry in found), key=URGENCIES.index)
        top = found[0]
        whole = changelog.Entry(
            top.source, top.version, top.suites, urgency, tuple(sorted(cves)[:CVES]), top.published
        )
        return [*signed, self._advisory(binary, whole, binary.version)]

    def _advisory(self, binary: Binary, entry: changelog.Entry, fixed: str) -> Advisory:
        return Advisory(
            f"{entry.source}@{entry.version}", self.ecosystem, binary.package, entry.source, fixed,
            entry.urgency, entry.cves, -1, exploited=False, published=entry.published,
        )  # fmt: skip


class _Unreadable(Exception):
    """A package with the publisher's own hash, whose inside cannot be read."""


def _changelog_of(file: Path) -> bytes | None:
    try:
        return deb.changelog(file)
    except Unusable as failure:
        if failure.state is State.UNREACHABLE:
            raise
        raise _Unreadable(str(failure)) from failure


def _coming(
    binaries: Iterable[Binary], asked: frozenset[str], coming: frozenset[str]
) -> frozenset[str]:
    """Name what newest versions need and nobody asked for: of each need its first alternative."""
    found = set(coming)
    versions: dict[str, list[Binary]] = {}
    for binary in binaries:
        if binary.package in asked | coming:
            versions.setdefault(binary.package, []).append(binary)
    for package, rows in versions.items():
        *older, newest = sorted(rows, key=lambda row: order_of(row.version))
        if older or package in coming:
            before = {name for row in older for need in row.needs for name in _names(need)}
            needs = (_names(need) for need in newest.needs)
            found.update(n[0] for n in needs if not before & {*n} and not asked & {*n})
    return frozenset(sorted(found)[:COMING])


def _names(need: str) -> list[str]:
    return [re.split(r"[ (:\[]", part.strip(), maxsplit=1)[0] for part in need.split("|")]


def _consistent(binaries: Iterable[Binary]) -> tuple[Binary, ...]:
    """Keep one of each version and architecture, and refuse two that differ in their bytes."""
    kept: dict[tuple[str, str, str], Binary] = {}
    for binary in binaries:
        place = (binary.package, binary.version, binary.arch)
        first = kept.setdefault(place, binary)
        if first.sha256 != binary.sha256:
            detail = f"`{binary.package}` `{binary.version}` differs from `{first.suite}`"
            raise Unusable(State.FORGED, binary.suite, detail)
    return tuple(kept.values())
