"""The fleet's own mirror: the distribution's signed metadata as published, and the files needed.

Layout: `<label>/dists/<suite>/InRelease`, `<label>/dists/<suite>/main/binary-<arch>/Packages.xz`
and `<label>/pool/...`, for the labels `main` and `security`; every file is byte-identical to the
publisher's.

Rules:
* which updates are pending is computed: for each installed package the newest version of the
  security suite, if it is above the installed one;
* of each pending update the new file is kept, and the installed version's file, for undo;
* files are found by the hashes of Packages, and Packages by the hash in InRelease; the signature is
  for hosts and guards to check, each by itself;
* dates are kept as published; a suite past its Valid-Until is reported, not hidden.

Left out: everything that no host of the fleet needs; translations, sources, diffs.
"""

import email.utils
import lzma
import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from answerable.demo.alone import alone
from answerable.demo.distribution import Distribution, Suite, fetch
from answerable.host.versions import key
from answerable.kernel.errors import Unavailable

INDEX_LIMIT = 512 << 20
"""Largest package index once unpacked, bytes."""


class NoMirror(Unavailable):
    """The mirror could not be made."""


@dataclass(frozen=True)
class Artefact:
    """One .deb as its suite's Packages names it; `path` is below the suite's label."""

    suite: str
    package: str
    version: str
    arch: str
    source: str
    path: str
    sha256: str
    size: int


@dataclass(frozen=True)
class Update:
    """A pending update of an installed package: the file to install, and the one to go back to."""

    new: Artefact
    old: Artefact


@dataclass(frozen=True)
class Mirror:
    """The mirror's directory, what is pending, and which suites are past their Valid-Until."""

    root: Path
    updates: tuple[Update, ...]
    expired: tuple[str, ...]

    def serve(self, python: str, address: str, port: int) -> list[str]:
        """Give the argv of a static server for it."""
        words = ["-m", "http.server", "--bind", address, "--directory", str(self.root), str(port)]
        return [python, "-I", *words]


def fetch_release(root: Path, suite: Suite) -> bytes:
    """Fetch a suite's InRelease as it is today, and give it."""
    path = root / suite.label / "dists" / suite.name / "InRelease"
    fresh = path.with_suffix(".new")
    with alone(root):
        fresh.unlink(missing_ok=True)
        fetch([(f"{suite.uri}/dists/{suite.name}/InRelease", fresh, "")])
        fresh.replace(path)
        return path.read_bytes()


def make_mirror(
    root: Path, distribution: Distribution, installed: Mapping[str, tuple[str, str]], now: int
) -> Mirror:
    """Complete the mirror below `root` for what is installed; the InReleases are there already.

    Args:
        root: where `fetch_release` put the InReleases.
        distribution: whose mirror.
        installed: name -> (version, architecture).
        now: POSIX seconds, to compare with Valid-Until.

    Raises:
        NoMirror: a suite's metadata contradict themselves.
        Unavailable: a file could not be fetched.
    """
    with alone(root):
        return _made(root, distribution, installed, now)


def _made(
    root: Path, distribution: Distribution, installed: Mapping[str, tuple[str, str]], now: int
) -> Mirror:
    expired, listed = [], {}
    suites = {s.label: s for s in (distribution.main, distribution.security)}
    for suite in suites.values():
        release = root / suite.label / "dists" / suite.name / "InRelease"
        text = release.read_text("utf-8", "replace")
        index = _fetch_index(release.parent, suite, text, distribution.arch)
        if valid_until(text) < now:
            expired.append(suite.name)
        listed[suite.label] = list(read_index(index, suite.label, installed))
    updates = pending(listed["main"], listed["security"], installed)
    files = [a for update in updates for a in (update.new, update.old)]
    wanted = {a.path: a for a in files if not (root / a.suite / a.path).is_file()}
    for artefact in wanted.values():
        (root / artefact.suite / artefact.path).parent.mkdir(parents=True, exist_ok=True)
    fetch([(f"{suites[a.suite].uri}/{a.path}", root / a.suite / a.path, a.sha256)
           for a in wanted.values()])  # fmt: skip
    return Mirror(root, tuple(updates), tuple(expired))


def valid_until(release: str) -> int:
    """Give the time until which a Release text is meant to be used; far away if it says nothing."""
    found = re.search(r"^Valid-Until: (.+)$", release, re.MULTILINE)
    return int(email.utils.parsedate_to_datetime(found[1]).timestamp()) if found else 1 << 62


def pending(
    main: Iterable[Artefact],
    security: Iterable[Artefact],
    installed: Mapping[str, tuple[str, str]],
) -> list[Update]:
    """Compute the updates: newest security version above the installed one, and the way back."""
    everything = [*main, *security]
    at = {a.package: a for a in everything if a.version == installed[a.package][0]}
    newest: dict[str, Artefact] = {}
    for artefact in everything:
        best = newest.get(artefact.package) or at.get(artefact.package)
        if best and _key(artefact) > _key(best):
            newest[artefact.package] = artefact
    return [Update(newest[name], at[name]) for name in sorted(newest)]


def _key(artefact: Artefact) -> bytes:
    return key("debian:", artefact.version)


def read_index(
    index: bytes, label: str, installed: Mapping[str, tuple[str, str]]
) -> Iterator[Artefact]:
    """Read those stanzas of a Packages text that are about installed packages."""
    names = {name.encode() for name in installed}
    for stanza in index.split(b"\n\n"):
        first, _, _rest = stanza.partition(b"\n")
        if first.removeprefix(b"Package: ").strip() not in names:
            continue
        text = stanza.decode("utf-8", "replace")
        row: dict[str, str] = dict(re.findall(r"^([A-Za-z0-9-]+): (.*)$", text, re.MULTILINE))
        if row["Architecture"] != installed[row["Package"]][1]:
            continue
        source = row.get("Source", row["Package"]).split()[0]
        yield Artefact(
            label, row["Package"], row["Version"], row["Architecture"], source,
            row["Filename"], row["SHA256"], int(row["Size"]),
        )  # fmt: skip


def _fetch_index(folder: Path, suite: Suite, release: str, arch: str) -> bytes:
    name = f"main/binary-{arch}/Packages.xz"
    hashes = release.partition("\nSHA256:\n")[2]
    found = re.search(rf"^ ([0-9a-f]{{64}}) +\d+ {re.escape(name)}$", hashes, re.MULTILINE)
    if not found:
        raise NoMirror(f"the InRelease of `{suite.name}` does not list `{name}`")
    path = folder / name
    by_hash = path.parent / "by-hash/SHA256" / found[1]
    if not by_hash.is_file():
        shutil.rmtree(by_hash.parent, ignore_errors=True)
        partial = path.with_suffix(".part")
        partial.unlink(missing_ok=True)
        fetch([(f"{suite.uri}/dists/{suite.name}/{name}", partial, found[1])])
        by_hash.parent.mkdir(parents=True, exist_ok=True)
        partial.replace(path)
        by_hash.hardlink_to(path)
    with lzma.open(path) as opened:
        return opened.read(INDEX_LIMIT)
