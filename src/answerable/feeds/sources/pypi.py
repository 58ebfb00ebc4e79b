"""The source `pypi`: wheels, by the SHA-256 that a listing gives or that we take ourselves.

Two adapters: a folder of wheels (an own wheelhouse, or one carried over an air gap) and a listing
in JSON (PEP 691 with the sizes of PEP 700; the server must be asked for
`application/vnd.pypi.simple.v1+json`). Wheel names: PEP 427, projects' names: PEP 503.

Rules: wheels only, since building a source archive runs its code; yanked files and versions that
PEP 440 does not know are left out; so are wheels for other platforms than those asked for. The
listing is not signed: an attester compares it with its own (attest.py).

Left out: what a wheel requires (the host's driver refuses a set that does not fit together).
"""

import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

from answerable.feeds.documents.blobs import Blobs
from answerable.feeds.facts import Artefact, read
from answerable.feeds.source import (
    ARTEFACT,
    LISTING,
    MIB,
    Collected,
    Fetch,
    Gap,
    Origin,
    State,
    Unusable,
)
from answerable.kernel.errors import Refused

JSON = "application/vnd.pypi.simple.v1+json"
FILES = 20_000
"""Most files that are read of one listing or folder."""
_WHEEL = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9._]{0,127})-([A-Za-z0-9][A-Za-z0-9._!+]{0,127})(?:-\d[A-Za-z0-9_]*)?"
    r"-([A-Za-z0-9_.]{1,64}-[A-Za-z0-9_.]{1,64}-[A-Za-z0-9_.]{1,128})\.whl"
)


def normal(name: str) -> str:
    """Give a project's normalised name (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()


def wheel(filename: str) -> tuple[str, str, str] | None:
    """Take a wheel's name apart: project, version, tag; nothing if it is no wheel's name."""
    found = _WHEEL.fullmatch(filename)
    return (normal(found[1]), found[2], found[3]) if found else None


def _artefact(filename: str, sha256: str, size: int, platforms: frozenset[str]) -> Artefact | None:
    parts = wheel(filename)
    if parts is None or not platforms & set(parts[2].rpartition("-")[2].split(".")):
        return None
    name, version, tag = parts
    fact = Artefact("pypi", name, version, tag, sha256, size, name, filename)
    try:
        read(fact.text)
    except Refused:
        return None
    return fact


def _ordered(found: Sequence[Artefact]) -> tuple[Artefact, ...]:
    return tuple(sorted(found, key=lambda fact: fact.text))


@dataclass(frozen=True)
class Wheelhouse:
    """A folder of wheels.

    Args:
        folder: holds `*.whl`.
        platforms: platform tags that are wanted, such as `any`.
    """

    folder: Path
    platforms: frozenset[str] = frozenset({"any"})
    name: str = field(default="wheelhouse", init=False)

    def collect(self, packages: Sequence[str], now: int) -> Collected:  # noqa: ARG002  undated
        """Hash the wheels of these packages.

        Raises:
            Unusable: `missing` folder, `empty`, `oversized`.
        """
        asked, found, listing = {normal(p) for p in packages}, [], hashlib.sha256()
        for file in self._wheels():
            parts = wheel(file.name)
            if parts is None or parts[0] not in asked:
                continue
            digest, size = _digest(file)
            listing.update(f"{digest}  {file.name}\n".encode())
            fact = _artefact(file.name, digest, size, self.platforms)
            found += [fact] if fact else []
        origin = Origin("wheelhouse", listing.hexdigest(), 0, 0)
        return Collected(_ordered(found), (origin,), signed=False, gaps=_gaps(asked, found))

    def obtain(self, artefact: Artefact) -> Path | None:
        """Give a wheel's place.

        Raises:
            Unusable: `forged` if its bytes are others by now.
        """
        file = self.folder / artefact.path
        if artefact.ecosystem != "pypi" or wheel(artefact.path) is None or not file.is_file():
            return None
        if _digest(file)[0] != artefact.sha256:
            raise Unusable(State.FORGED, str(file), f"it does not hash to `{artefact.sha256}`")
        return file

    def _wheels(self) -> list[Path]:
        try:
            files = sorted(self.folder.iterdir())
        except OSError as error:
            raise Unusable(State.MISSING, str(self.folder), f"{error.strerror}") from error
        wheels = [file for file in files[:FILES] if wheel(file.name) and file.is_file()]
        if not wheels:
            raise Unusable(State.EMPTY, str(self.folder), "no wheel in it")
        return wheels


def _digest(file: Path) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    with file.open("rb") as opened:
        while piece := opened.read(MIB):
            size += len(piece)
            digest.update(piece)
            if size > ARTEFACT:
                raise Unusable(State.OVERSIZED, str(file), f"more than {ARTEFACT} bytes")
    return digest.hexdigest(), size


def _gaps(asked: set[str], found: Sequence[Artefact]) -> tuple[Gap, ...]:
    missing = asked - {fact.package for fact in found}
    return tuple(Gap(name, "no wheel for these platforms") for name in sorted(missing))


@dataclass(frozen=True)
class Listing:
    """A simple index in JSON.

    Args:
        fetch: the index's top (the `simple` folder of a PEP 691 index), asking for `JSON`.
        files: the place that the files' addresses must lie below.
        blobs: where wheels are kept.
        platforms: platform tags that are wanted, such as `any`.
    """

    fetch: Fetch
    files: Fetch
    blobs: Blobs
    platforms: frozenset[str] = frozenset({"any"})
    name: str = field(default="pypi", init=False)

    def collect(self, packages: Sequence[str], now: int) -> Collected:  # noqa: ARG002  undated
        """Read the listings of these packages.

        Raises:
            Unusable: `malformed`, or as the fetch.
        """
        asked, found, origins = sorted({normal(p) for p in packages}), [], []
        for package in asked:
            data = self._listing(package)
            label = f"pypi/{package}"
            origins.append(Origin(label, hashlib.sha256(data).hexdigest(), 0, 0))
            found += [fact for fact, _ in self._files(package, data)]
        return Collected(
            _ordered(found), tuple(origins), signed=False, gaps=_gaps(set(asked), found)
        )

    def obtain(self, artefact: Artefact) -> Path | None:
        """Fetch a wheel from where the listing says it is.

        Raises:
            Unusable: as the fetch.
        """
        parts = wheel(artefact.path)
        if artefact.ecosystem != "pypi" or parts is None:
            return None
        for fact, address in self._files(parts[0], self._listing(parts[0])):
            place = f"{self.files.place}/"
            if fact == artefact and address.startswith(place):
                path = address.removeprefix(place)
                return self.blobs.fetch(self.files, path, artefact.sha256, artefact.size)
        return None

    def _listing(self, package: str) -> bytes:
        return self.fetch.get(f"{package}/", LISTING)

    def _files(self, package: str, data: bytes) -> Iterator[tuple[Artefact, str]]:
        source = f"{self.fetch.place}/{package}/"
        for value in _entries(data, source):
            try:
                sha256, size = value["hashes"]["sha256"], value["size"]
                if value.get("yanked") or wheel(value["filename"]) is None:
                    continue
                address = urljoin(source, value["url"]).partition("#")[0]
                fact = _artefact(value["filename"], sha256, size, self.platforms)
            except (KeyError, TypeError, AttributeError, ValueError) as error:
                raise Unusable(State.MALFORMED, source, f"a file: {error!r:.200}") from error
            if fact and fact.package == package:
                yield fact, address


def _entries(data: bytes, source: str) -> list[Any]:
    try:
        value = json.loads(data)
        files = value["files"]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise Unusable(State.MALFORMED, source, "no listing in JSON; ask for `JSON`") from error
    if not isinstance(files, list) or len(files) > FILES:
        raise Unusable(State.MALFORMED, source, "no list of files, or too long a one")
    if not files:
        raise Unusable(State.EMPTY, source, "no file in it")
    return files
