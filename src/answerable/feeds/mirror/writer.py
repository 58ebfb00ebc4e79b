"""Publish under TUF: drafts that people sign, each on their own machine, and what a server issues.

    <folder>/metadata/   1.root.json, 5.targets.json, 9.snapshot.json, .., timestamp.json
    <folder>/targets/    worlds/<root>/<sha256>.ranges.parquet, ..
    <folder>/draft/      root.json, targets.json: not yet signed by enough persons

`metadata` and `targets` are what a mirror serves, as plain files. Rules:

1. Root and targets are drafted, and carried to those who sign; a draft becomes metadata once enough
   persons signed (a new root: enough of the old root's and of its own).
2. Snapshot and timestamp are issued together, by keys that may stand on a server.
3. Nothing is issued that a reader would not believe (reader.py reads it first), and the timestamp
   is written last: who reads meanwhile sees the old publication, whole.
4. Of each top folder the newest few parts (`worlds/<root>`, `candidates/<sha256>`) stay published;
   files leave the disk one publication after they left the list.

Left out: serving (any web server, or a copied folder), and choosing what to publish.
"""

import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from securesystemslib.signer import Key as TufKey
from securesystemslib.signer import SecretsHandler, Signature
from securesystemslib.signer import Signer as TufSigner
from tuf.api.metadata import (
    Metadata,
    MetaFile,
    Role,
    Root,
    Snapshot,
    TargetFile,
    Targets,
    Timestamp,
)

from answerable.feeds.documents.fetch import PIECE, Folder, sane
from answerable.feeds.mirror.people import (
    DAYS,
    EACH,
    HOLDER,
    check_root,
    days,
    persons,
    signed_by,
    tuf_key,
)
from answerable.feeds.mirror.reader import FILE, LIMITS, File, follow, parse, read_root
from answerable.feeds.source import State, Unusable
from answerable.kernel.canon import Json, conforms, shape
from answerable.kernel.errors import Refused, Unavailable
from answerable.kernel.note import MLDSA44, parse_vkey
from answerable.keys.sign import Signer

ROSTER = {
    "holders": ["vkey"],
    "roles": {
        role: shape("persons:int days:int", holders=["id"])
        for role in ("root", "targets", "snapshot", "timestamp")
    },
}
"""Who signs what: verifier keys (their names are the holders'), and per role its holders, how many
of them sign, and for how many days its metadata is good."""
STAY = 8
"""Versions of snapshot and of targets that stay on disk, for who reads meanwhile."""
DAY, LONGEST = 86_400, 3_650
"""Seconds of a day; most days that metadata is good for."""


class Unready(Unavailable):
    """Something is missing before this can be published."""


class _Hand(TufSigner):
    """One of our keys, signing as TUF does."""

    def __init__(self, signer: Signer) -> None:
        self._signer = signer
        self._key = tuf_key(signer.key)

    @property
    def public_key(self) -> TufKey:
        return self._key

    @classmethod
    def from_priv_key_uri(
        cls, priv_key_uri: str, public_key: TufKey, secrets_handler: SecretsHandler | None = None
    ) -> "_Hand":
        raise NotImplementedError("keys are read by keys/store.py")

    def sign(self, payload: bytes) -> Signature:
        if self._signer.key.kind == MLDSA44:  # TAP 21, version 1
            payload = b"tuf\x01" + hashlib.sha512(payload).digest()
        return Signature(self._key.keyid, self._signer.sign_raw(payload).hex())


@dataclass(frozen=True)
class Signing:
    """How far a draft is.

    Args:
        need: persons; of a new root, of its own persons.
        issued: whether it became metadata now.
    """

    role: str
    version: int
    signed: frozenset[str]
    need: int
    issued: bool


@dataclass(frozen=True)
class _Ahead:
    """A folder in which the timestamp is already the next one."""

    folder: Folder
    timestamp: bytes
    place: str

    def get(self, path: str, limit: int) -> bytes:
        return self.timestamp if path == _TIMESTAMP else self.folder.get(path, limit)

    def stream(self, path: str, limit: int) -> Iterator[bytes]:
        yield self.get(path, limit)


_TIMESTAMP = "metadata/timestamp.json"


class Repository:
    """A publication's folder at its publisher."""

    def __init__(self, folder: Path) -> None:
        """Use a folder; it is made when something is written."""
        self.folder = folder
        self._read = Folder(folder)

    def draft_root(self, roster: Json, now: int) -> Signing:
        """Draft the first or the next root from a roster.

        Raises:
            Unready: the roster has another shape.
            Unusable: `forged`, if it breaks a rule of people.py.
        """
        try:
            if not conforms(roster, ROSTER):
                raise Unready("no roster: it has `holders` and `roles` (docs/spec/mirror.md)")
            if not all(0 < role["days"] <= LONGEST for role in roster["roles"].values()):
                raise Unready(f"`days` are 1 to {LONGEST}")
            keys = [tuf_key(parse_vkey(text)) for text in roster["holders"]]
        except Refused as refusal:
            raise Unready(f"a holder's key: {refusal.detail}") from refusal
        last = self._newest("root")
        root = Root(
            last + 1, None, _after(now, roster["roles"]["root"]["days"]),
            {key.keyid: key for key in keys},
            {name: _role(role, keys) for name, role in roster["roles"].items()},
            consistent_snapshot=True,
            unrecognized_fields={DAYS: {n: r["days"] for n, r in roster["roles"].items()}},
        )  # fmt: skip
        check_root(root, "roster")
        self._write("draft/root.json", Metadata(root).to_bytes())
        return Signing("root", root.version, frozenset(), persons(root, "root"), issued=False)

    def draft_targets(self, files: Mapping[str, Path], keep: int, now: int) -> Signing:
        """Copy files in and draft the next list of them.

        Args:
            files: path as published -> where it lies now.
            keep: how many parts of each top folder stay published.
        """
        root = self._root()
        number = self._newest("targets")
        old = self._listed(number)
        self._forget(old.values())
        fresh = {path: self._bring(path, file, now) for path, file in files.items()}
        listed = _newest_parts({**old, **fresh}, keep)
        targets = Targets(number + 1, None, _after(now, _days(root, "targets")), listed)
        self._write("draft/targets.json", Metadata(targets).to_bytes())
        return Signing(
            "targets", targets.version, frozenset(), persons(root, "targets"), issued=False
        )

    def draft(self, role: str) -> Metadata[Any]:
        """Give a draft, for people to look at.

        Raises:
            Unready: there is none.
        """
        try:
            data = self._read.get(f"draft/{role}.json", LIMITS[role])
        except Unusable as failure:
            raise Unready(f"no draft of {role}: {failure.detail}") from failure
        place = f"draft of {role}"
        return parse(Root, data, place) if role == "root" else parse(Targets, data, place)

    def sign(self, role: str, hands: Sequence[Signer], digest: str) -> Signing:
        """Add signatures to a draft; issue it if that makes enough persons.

        Args:
            digest: of the draft that was looked at (`digest`); exactly that is signed or nothing.

        Raises:
            Unready: no draft, another draft, or a key that does not sign this role.
            Unusable: `forged`: a draft of a root that breaks a rule.
        """
        metadata = self.draft(role)
        if digest_of(metadata) != digest:
            raise Unready(f"the draft of {role} is another one by now: look at it again")
        laws = [self._root()] if self._newest("root") else []
        if role == "root":
            check_root(metadata.signed, "draft of root")
            laws.append(metadata.signed)
        able = {keyid for law in laws for keyid in law.roles[role].keyids}
        for hand in map(_Hand, hands):
            if hand.public_key.keyid not in able:
                owner = hand.public_key.unrecognized_fields[HOLDER]
                raise Unready(f"the key of `{owner}` signs no {role}")
            metadata.sign(hand, append=True)
        data = metadata.to_bytes()
        enough = all(len(signed_by(law, role, metadata)) >= persons(law, role) for law in laws)
        version = metadata.signed.version
        if enough:
            self._write(f"metadata/{version}.{role}.json", data)
            (self.folder / "draft" / f"{role}.json").unlink()
        else:
            self._write(f"draft/{role}.json", data)
        law = laws[-1]
        return Signing(role, version, signed_by(law, role, metadata), persons(law, role), enough)

    def issue(self, hands: Sequence[Signer], now: int) -> None:
        """Issue snapshot and timestamp over the newest targets.

        Raises:
            Unready: no targets yet, or these keys do not suffice.
            Unusable: a reader would not believe it.
        """
        root, number = self._root(), self._newest("targets")
        if not number:
            raise Unready("nothing is published yet: see `publish`")
        named = self._named(f"metadata/{number}.targets.json", number, LIMITS["targets"])
        version = self._newest("snapshot") + 1
        snapshot = Snapshot(
            version, None, _after(now, _days(root, "snapshot")), {"targets.json": named}
        )
        data = _signed(snapshot, root, hands)
        path = f"metadata/{version}.snapshot.json"
        self._write(path, data)
        named = self._named(path, version, LIMITS["snapshot"])
        timestamp = Timestamp(
            self._last_timestamp() + 1, None, _after(now, _days(root, "timestamp")), named
        )
        data = _signed(timestamp, root, hands)
        kept = {"root": self._read.get(f"metadata/{root.version}.root.json", LIMITS["root"])}
        follow(_Ahead(self._read, data, str(self.folder)), kept, now)
        self._write(_TIMESTAMP, data)
        self._prune("snapshot", version)
        self._prune("targets", number)

    def _root(self) -> Root:
        number = self._newest("root")
        if not number:
            raise Unready("no root yet: draft one from a roster, and have it signed")
        path = f"metadata/{number}.root.json"
        return read_root(self._read.get(path, LIMITS["root"]), path).signed

    def _listed(self, number: int) -> dict[str, TargetFile]:
        if not number:
            return {}
        path = f"metadata/{number}.targets.json"
        return parse(Targets, self._read.get(path, LIMITS["targets"]), path).signed.targets

    def _newest(self, role: str) -> int:
        names = (file.name.split(".") for file in self.folder.glob(f"metadata/*.{role}.json"))
        return max((int(name[0]) for name in names if name[0].isdigit()), default=0)

    def _prune(self, role: str, newest: int) -> None:
        for file in self.folder.glob(f"metadata/*.{role}.json"):
            number = file.name.split(".")[0]
            if number.isdigit() and int(number) <= newest - STAY:
                file.unlink()

    def _last_timestamp(self) -> int:
        try:
            data = self._read.get(_TIMESTAMP, LIMITS["timestamp"])
        except Unusable as failure:
            if failure.state is State.MISSING:
                return 0
            raise
        return parse(Timestamp, data, _TIMESTAMP).signed.version

    def _named(self, path: str, version: int, limit: int) -> MetaFile:
        data = self._read.get(path, limit)
        return MetaFile(version, len(data), {"sha256": hashlib.sha256(data).hexdigest()})

    def _bring(self, path: str, file: Path, now: int) -> TargetFile:
        """Copy a file to the place that its hash names."""
        assert sane(path), "a published path is a sane one"
        beside = self.folder / "targets" / f".new.{os.getpid()}"
        beside.parent.mkdir(parents=True, exist_ok=True)
        digest, length = hashlib.sha256(), 0
        with file.open("rb") as source, beside.open("wb") as out:
            while piece := source.read(PIECE):
                digest.update(piece)
                length += out.write(piece)
        if length > FILE:
            beside.unlink()
            raise Unready(f"`{file}` has more than {FILE} bytes")
        place = self.folder / File(path, length, digest.hexdigest(), now).place
        place.parent.mkdir(parents=True, exist_ok=True)
        beside.replace(place)
        made = {"custom": {"made": now}}
        return TargetFile(length, {"sha256": digest.hexdigest()}, path, made)

    def _forget(self, listed: Iterable[TargetFile]) -> None:
        named = {
            self.folder / File(one.path, one.length, one.hashes["sha256"], 0).place
            for one in listed
        }
        for file in (self.folder / "targets").rglob("*"):
            if file.is_file() and file not in named:
                file.unlink()

    def _write(self, path: str, data: bytes) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        beside = file.with_name(f".{file.name}.{os.getpid()}")
        beside.write_bytes(data)
        beside.replace(file)


def digest_of(metadata: Metadata[Any]) -> str:
    """Give the SHA-256 of what is signed, hex; signatures do not change it."""
    return hashlib.sha256(metadata.signed_bytes).hexdigest()


def read_roster(data: bytes) -> Json:
    """Read a roster's JSON.

    Raises:
        Unready: it is none.
    """
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Unready(f"the roster is no JSON: {error}") from error


def _after(now: int, good: int) -> datetime:
    return datetime.fromtimestamp(now + good * DAY, UTC)


def _days(root: Root, role: str) -> int:
    return days(root).get(role, 1)


def _role(role: Json, keys: Sequence[TufKey]) -> Role:
    chosen = [
        key.keyid
        for name in role["holders"]
        for key in keys
        if key.unrecognized_fields[HOLDER] == name
    ]
    return Role(chosen, EACH * role["persons"])


def _signed(signed: Snapshot | Timestamp, root: Root, hands: Sequence[Signer]) -> bytes:
    metadata: Metadata[Any] = Metadata(signed)
    role = signed.type
    for hand in map(_Hand, hands):
        if hand.public_key.keyid in root.roles[role].keyids:
            metadata.sign(hand, append=True)
    have, need = signed_by(root, role, metadata), persons(root, role)
    if len(have) < need:
        raise Unready(f"{role} needs the keys of {need} persons, here are {len(have)}")
    return metadata.to_bytes()


def _part(path: str) -> tuple[str, str]:
    top, _, rest = path.partition("/")
    return top, rest.partition("/")[0]


def _newest_parts(files: Mapping[str, TargetFile], keep: int) -> dict[str, TargetFile]:
    made: dict[tuple[str, str], int] = {}
    for path, file in files.items():
        made[_part(path)] = max(made.get(_part(path), 0), file.custom["made"])
    kept: set[tuple[str, str]] = set()
    for top in {top for top, _ in made}:
        parts = sorted((part for part in made if part[0] == top), key=lambda p: (-made[p], p))
        kept.update(parts[:keep])
    return {path: file for path, file in sorted(files.items()) if _part(path) in kept}
