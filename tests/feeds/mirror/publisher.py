"""A publisher, its holders and their keys, and ways to sign what an honest one would not."""

import hashlib
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from tuf.api.metadata import Metadata, MetaFile

from answerable.feeds.mirror.writer import Repository, Signing, _Hand, digest_of
from answerable.kernel.canon import Json
from answerable.kernel.note import ED25519, MLDSA44
from answerable.keys.sign import Signer

NOW = 1_795_305_600
"""2026-11-22 00:00 UTC."""
DAY = 86_400
PEOPLE = ("dana", "lee", "sam")
SERVER = "server"
Files = dict[str, bytes]


@cache
def hands(name: str, salt: str = "") -> tuple[Signer, Signer]:
    """Give somebody's two keys."""
    seeds = (hashlib.sha256(f"{name}{salt}{kind}".encode()).digest() for kind in "em")
    return (
        Signer.from_seed(name, ED25519, next(seeds)),
        Signer.from_seed(name, MLDSA44, next(seeds)),
    )


def both(*names: str) -> list[Signer]:
    """Give the keys of several holders."""
    return [hand for name in names for hand in hands(name)]


def roster(people: Iterable[str] = PEOPLE, **days: int) -> Json:
    """Give a roster: two of three people sign root and targets, a server the rest."""
    people = list(people)
    roles: dict[str, Any] = {
        "root": {"holders": people, "persons": 2, "days": 365},
        "targets": {"holders": people, "persons": 2, "days": 90},
        "snapshot": {"holders": [SERVER], "persons": 1, "days": 7},
        "timestamp": {"holders": [SERVER], "persons": 1, "days": 2},
    }
    for role, good in days.items():
        roles[role]["days"] = good
    return {"holders": [hand.key.vkey() for hand in both(*people, SERVER)], "roles": roles}


def sign(repository: Repository, role: str, *signers: Signer) -> Signing:
    """Sign the draft that is there."""
    return repository.sign(role, signers, digest_of(repository.draft(role)))


class Publisher:
    """An honest publisher in a folder."""

    def __init__(self, folder: Path, **days: int) -> None:
        """Found it: the first root is signed."""
        self.folder = folder
        self.repository = Repository(folder)
        self.repository.draft_root(roster(PEOPLE, **days), NOW)
        assert self.sign("root", *both("dana", "lee")).issued

    def sign(self, role: str, *signers: Signer) -> Signing:
        """Sign the draft that is there."""
        return sign(self.repository, role, *signers)

    @property
    def root(self) -> bytes:
        """The first root."""
        return (self.folder / "metadata" / "1.root.json").read_bytes()

    def world(self, name: str, now: int = NOW, keep: int = 2, **files: bytes) -> None:
        """Publish a world snapshot of these files."""
        given = {"ranges.parquet": f"ranges of {name}".encode(), "manifest.json": b"{}\n"} | files
        outbox = self.folder.with_name("outbox") / name
        outbox.mkdir(parents=True, exist_ok=True)
        for each, data in given.items():
            (outbox / each).write_bytes(data)
        found = {f"worlds/{name}/{each}": outbox / each for each in given}
        self.repository.draft_targets(found, keep, now)
        self.sign("targets", *both("dana", "lee"))
        self.repository.issue(both(SERVER), now)

    def served(self) -> Files:
        """Give what a mirror serves now: path -> bytes."""
        return {
            str(file.relative_to(self.folder)): file.read_bytes()
            for top in ("metadata", "targets")
            for file in (self.folder / top).rglob("*")
            if file.is_file()
        }


def read(files: Files, path: str) -> Metadata[Any]:
    """Give metadata that a mirror serves."""
    return Metadata.from_bytes(files[path])


def write(files: Files, path: str, metadata: Metadata[Any], signers: Iterable[Signer]) -> None:
    """Serve metadata, signed anew."""
    metadata.signatures.clear()
    for signer in signers:
        metadata.sign(_Hand(signer), append=True)
    files[path] = metadata.to_bytes()


def named(files: Files, path: str, version: int) -> MetaFile:
    """Name a document by length and hash."""
    data = files[path]
    return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})


def reissue(files: Files, signers: Iterable[Signer], *, targets: int, snapshot: int) -> None:
    """Sign snapshot and timestamp over targets as they are served now, one version further."""
    signers = list(signers)
    last = max(n for n in range(1, 20) if f"metadata/{n}.snapshot.json" in files)
    metadata = read(files, f"metadata/{last}.snapshot.json")
    metadata.signed.version = snapshot
    metadata.signed.meta["targets.json"] = named(files, f"metadata/{targets}.targets.json", targets)
    write(files, f"metadata/{snapshot}.snapshot.json", metadata, signers)
    metadata = read(files, "metadata/timestamp.json")
    metadata.signed.version += 1
    metadata.signed.snapshot_meta = named(files, f"metadata/{snapshot}.snapshot.json", snapshot)
    write(files, "metadata/timestamp.json", metadata, signers)
