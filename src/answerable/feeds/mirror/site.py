"""A site that reads mirrors: what it trusts, and how files come in and go on.

    <folder>/trusted/root.json   the newest root, from the one that a person gave
    <folder>/trusted/..          what was believed last: timestamp.json, snapshot.json, targets.json

Rules:

1. The first root is pinned by its SHA-256, which a person got by another way than the file.
2. A file is fetched up to its signed length, hashed, and put under its published path only then;
   of each folder `manifest.json` comes last, so that a folder with one is whole.
3. What is here already, and hashes right, is not fetched again.
4. A crate is written from a publication that was believed here, and read back before it is handed
   out. It carries all roots, since the other side may stand at any.

Left out: throwing away what is published no more; which mirror to ask (rotation.py).
"""

import hashlib
import os
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from answerable.feeds.documents.blobs import Blobs
from answerable.feeds.documents.fetch import PIECE
from answerable.feeds.mirror.crate import Crate, pack
from answerable.feeds.mirror.reader import LIMITS, File, Published, follow, read_root
from answerable.feeds.source import Fetch, State, Unusable

LAST = "manifest.json"
"""The file that comes last of its folder."""


class Trusted(MutableMapping[str, bytes]):
    """What a site believes: a folder with one file a role."""

    def __init__(self, folder: Path) -> None:
        """Use a folder."""
        self.folder = folder

    def _file(self, role: str) -> Path:
        assert role in LIMITS, "one of the four roles"
        return self.folder / f"{role}.json"

    def __getitem__(self, role: str) -> bytes:
        """Read what was believed; `KeyError` if nothing was."""
        try:
            return self._file(role).read_bytes()
        except FileNotFoundError as error:
            raise KeyError(role) from error

    def __setitem__(self, role: str, data: bytes) -> None:
        """Believe something from now on, whatever happens to this process."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self.folder / f".{role}.{os.getpid()}"
        with beside.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(self._file(role))

    def __delitem__(self, role: str) -> None:
        """Forget."""
        self._file(role).unlink()

    def __iter__(self) -> Iterator[str]:
        """Name the roles that are known."""
        return (role for role in LIMITS if self._file(role).exists())

    def __len__(self) -> int:
        """Count them."""
        return sum(1 for _ in self)


class Site:
    """A site's folder."""

    def __init__(self, folder: Path) -> None:
        """Use a folder; see `trust`."""
        self.folder = folder
        self.trusted = Trusted(folder / "trusted")

    def trust(self, root: bytes, sha256: str) -> None:
        """Pin the first root.

        Raises:
            Unusable: `forged` if it is not the one with this hash, or breaks a rule; `malformed`;
                `split` if another root is trusted already.
        """
        if hashlib.sha256(root).hexdigest() != sha256:
            raise Unusable(State.FORGED, "root", "it is not the one with the hash that you gave")
        read_root(root)
        if self.trusted.get("root", root) != root:
            raise Unusable(State.SPLIT, "root", f"`{self.folder}` trusts another one already")
        self.trusted["root"] = root

    def follow(self, fetch: Fetch, now: int) -> Published:
        """Read what is published.

        Raises:
            Unusable: as reader.py says.
        """
        return follow(fetch, self.trusted, now)

    def take(self, fetch: Fetch, into: Path, now: int) -> Published:
        """Read what is published, and bring every file in.

        Raises:
            Unusable: as `follow`, and of files: `missing`, `truncated`, `oversized` or `forged`.
        """
        published = self.follow(fetch, now)
        fetched = Blobs(into / ".fetched")
        for file in sorted(published.files, key=_last_comes_last):
            place = into / file.path
            if not place.resolve().is_relative_to(into.resolve()):
                raise Unusable(State.FORGED, str(place), "a link leads out of the folder")
            if not _is(place, file):
                blob = fetched.fetch(fetch, file.place, file.sha256, file.length)
                place.parent.mkdir(parents=True, exist_ok=True)
                blob.replace(place)
        return published

    def pack(self, fetch: Fetch, crate: Path, now: int) -> Published:
        """Write what is published into one file.

        Raises:
            Unusable: as `follow`, and of files as `take`.
        """
        published = self.follow(fetch, now)
        beside = crate.with_name(f".{crate.name}.unread")
        try:
            pack(beside, fetch, documents(fetch, published))
            packed = Crate(beside)
            if follow(packed, dict(self.trusted), now) != published:
                raise Unusable(State.MIXED, fetch.place, "it changed meanwhile; export again")
            for file in published.files:
                if _sha256(packed.stream(file.place, file.length)) != file.sha256:
                    told = f"its bytes do not hash to `{file.sha256}`"
                    raise Unusable(State.FORGED, f"{fetch.place}/{file.place}", told)
            beside.replace(crate)
        finally:
            beside.unlink(missing_ok=True)
        return published


def documents(fetch: Fetch, published: Published) -> list[tuple[str, int]]:
    """Give paths and lengths of everything that makes up a publication, all roots included.

    Raises:
        Unusable: as the fetch.
    """
    versions = published.versions
    metadata = [(f"metadata/{n}.root.json", "root") for n in range(1, versions["root"] + 1)]
    metadata += [(f"metadata/{versions[r]}.{r}.json", r) for r in ("snapshot", "targets")]
    metadata.append(("metadata/timestamp.json", "timestamp"))
    found = [(path, len(fetch.get(path, LIMITS[role]))) for path, role in metadata]
    return found + [(file.place, file.length) for file in published.files]


def _last_comes_last(file: File) -> tuple[bool, str]:
    return file.path.rpartition("/")[2] == LAST, file.path


def _is(place: Path, file: File) -> bool:
    if not place.is_file() or place.stat().st_size != file.length:
        return False
    with place.open("rb") as opened:
        return _sha256(iter(lambda: opened.read(PIECE), b"")) == file.sha256


def _sha256(pieces: Iterator[bytes]) -> str:
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece)
    return digest.hexdigest()
