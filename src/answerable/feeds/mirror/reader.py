"""Read a mirror as a TUF client: which files are published now, by whom, and until when.

The workflow is that of the TUF specification, section 5.3 to 5.6, over python-tuf's metadata:

1. root: each next version is signed by enough persons of the last one and of itself, and follows it
2. the newest root is not expired
3. timestamp: signed, of no lower version than the last one that was read and naming no older
   snapshot (else `rolled_back`), not expired; two of one version that say different things are
   `split`
4. snapshot: exactly the bytes that the timestamp names (else `mixed`), signed, not rolled back, not
   expired
5. targets: exactly the bytes that the snapshot names, signed, not expired
6. targets delegate to nobody. python-tuf before its fix of August 2026 took a delegated role that
   one delegator had vouched for as vouched for by another (tuf-conformance,
   `test_cached_role_is_verified_against_current_delegator`); a role that is not there cannot be
7. each file has a sane path, a length and a SHA-256

Persons are counted, not keys (people.py). Every document has a length limit, signed or named below;
what a mirror sends beyond it is not read (`oversized`). Time is an argument. What was believed is
kept at once, document by document, so that a later lie of the mirror cannot be older.

A kept document that the newest root's persons did not sign is forgotten: that is how a publisher
recovers from a stolen key (section 5.3.11).

Left out: delegations, succinct roles, DSSE envelopes; a clock that stands wrong (bootstrap).
"""

import hashlib
import re
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar

from securesystemslib.exceptions import Error as SignatureLibraryError
from tuf.api.exceptions import RepositoryError
from tuf.api.metadata import Metadata, MetaFile, Root, Signed, Snapshot, Targets, Timestamp

from answerable.feeds.documents.fetch import sane
from answerable.feeds.mirror.people import check_root, persons, signed_by
from answerable.feeds.source import KIB, MIB, Fetch, State, Unusable

LIMITS = {"root": 512 * KIB, "timestamp": 64 * KIB, "snapshot": 64 * KIB, "targets": 8 * MIB}
"""Largest metadata of each role, bytes; three holders sign a timestamp with 16 KiB."""
FILE = 2048 * MIB
"""Largest published file, bytes."""
FILES = 10_000
"""Most files that are published at once."""
ROOTS = 256
"""Most versions of root that are walked at once."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
T = TypeVar("T", Root, Timestamp, Snapshot, Targets)
Kept = MutableMapping[str, bytes]
"""What was believed last: role -> metadata; `root` is there from the start, given by a person."""


@dataclass(frozen=True)
class File:
    """One published file.

    Args:
        path: relative, as published: `worlds/<root>/ranges.parquet`.
        length: bytes.
        sha256: hex.
        made: when it was published, POSIX seconds; 0 if that is not said.
    """

    path: str
    length: int
    sha256: str
    made: int

    @property
    def place(self) -> str:
        """Where a mirror keeps it (consistent snapshots put the hash before the name)."""
        folder, _, name = self.path.rpartition("/")
        return "/".join(("targets", *filter(None, [folder]), f"{self.sha256}.{name}"))


@dataclass(frozen=True)
class Head:
    """How far a mirror is.

    Args:
        root: version of the newest root; `timestamp` likewise.
        law: SHA-256 of what the root's persons signed; equal versions must have equal ones.
        said: the same of the timestamp.
        expires: when the timestamp expires, POSIX seconds.
    """

    root: int
    timestamp: int
    law: str
    said: str
    expires: int


@dataclass(frozen=True)
class Published:
    """What is published now.

    Args:
        versions: role -> version.
        expires: role -> POSIX seconds.
        signers: role -> holders who signed.
    """

    head: Head
    versions: Mapping[str, int]
    expires: Mapping[str, int]
    signers: Mapping[str, frozenset[str]]
    files: tuple[File, ...]


def read_root(data: bytes, source: str = "root") -> Metadata[Root]:
    """Read a root that a person gave us: one that its own persons signed.

    Raises:
        Unusable: `malformed` or `forged`.
    """
    root = parse(Root, data, source)
    check_root(root.signed, source)
    _vouch(root.signed, "root", root, source)
    return root


def head(fetch: Fetch, kept: Kept, now: int) -> Head:
    """Follow root and timestamp only, to compare mirrors.

    Raises:
        Unusable: as `follow`.
    """
    root = _follow_root(fetch, kept, now)
    return _head(root, _follow_timestamp(fetch, kept, root.signed, now))


def follow(fetch: Fetch, kept: Kept, now: int) -> Published:
    """Read what a mirror publishes at POSIX second `now`, and keep what was believed.

    Raises:
        Unusable: `missing`, `unreachable`, `truncated`, `oversized`, `malformed`, `forged`,
            `expired`, `rolled_back`, `mixed` or `split`.
    """
    root = _follow_root(fetch, kept, now)
    timestamp = _follow_timestamp(fetch, kept, root.signed, now)
    snapshot = _follow_snapshot(fetch, kept, root.signed, timestamp.signed.snapshot_meta, now)
    named = snapshot.signed.meta["targets.json"]
    targets, data = _fetch_named(fetch, root.signed, (Targets, named), now)
    source = f"{fetch.place}: targets"
    if targets.signed.delegations is not None:
        raise Unusable(State.FORGED, source, "it delegates, which ours never does")
    kept["targets"] = data
    roles: dict[str, Metadata[Any]] = {
        "root": root, "timestamp": timestamp, "snapshot": snapshot, "targets": targets
    }  # fmt: skip
    return Published(
        _head(root, timestamp),
        {role: one.signed.version for role, one in roles.items()},
        {role: int(one.signed.expires.timestamp()) for role, one in roles.items()},
        {role: signed_by(root.signed, role, one) for role, one in roles.items()},
        _files(targets.signed, source),
    )


def _head(root: Metadata[Root], timestamp: Metadata[Timestamp]) -> Head:
    law, said = (hashlib.sha256(one.signed_bytes).hexdigest() for one in (root, timestamp))
    expires = int(timestamp.signed.expires.timestamp())
    return Head(root.signed.version, timestamp.signed.version, law, said, expires)


def _follow_root(fetch: Fetch, kept: Kept, now: int) -> Metadata[Root]:
    if "root" not in kept:
        raise Unusable(State.MISSING, "trusted root", "no root yet: see `feed mirror trust`")
    root = read_root(kept["root"], "the root that is trusted")
    for _ in range(ROOTS):
        number = root.signed.version + 1
        path = f"metadata/{number}.root.json"
        source = f"{fetch.place}/{path}"
        try:
            data = fetch.get(path, LIMITS["root"])
        except Unusable as failure:
            if failure.state is not State.MISSING:
                raise
            break
        fresh = read_root(data, source)
        _vouch(root.signed, "root", fresh, source)  # 1
        if fresh.signed.version != number:
            raise Unusable(State.ROLLED_BACK, source, f"it is version {fresh.signed.version}")
        root = fresh
        kept["root"] = data
    _demand_fresh(root.signed, f"{fetch.place}: root", now)  # 2
    return root


def _follow_timestamp(fetch: Fetch, kept: Kept, root: Root, now: int) -> Metadata[Timestamp]:
    path = "metadata/timestamp.json"
    source = f"{fetch.place}/{path}"
    data = fetch.get(path, LIMITS["timestamp"])
    fresh = _open(Timestamp, data, root, source)
    last = _last(Timestamp, kept, root)
    if last:
        _demand_forward(last, fresh, source)  # 3
    _demand_fresh(fresh.signed, source, now)
    kept["timestamp"] = data
    return fresh


def _demand_forward(last: Metadata[Timestamp], fresh: Metadata[Timestamp], source: str) -> None:
    old, new = last.signed, fresh.signed
    if new.version < old.version or new.snapshot_meta.version < old.snapshot_meta.version:
        told = f"version {new.version} where {old.version} was read; the mirror serves old things"
        raise Unusable(State.ROLLED_BACK, source, told)
    if new.version == old.version and fresh.signed_bytes != last.signed_bytes:
        told = f"two timestamps of version {new.version}; ask the publisher before you go on"
        raise Unusable(State.SPLIT, source, told)


def _follow_snapshot(
    fetch: Fetch, kept: Kept, root: Root, named: MetaFile, now: int
) -> Metadata[Snapshot]:
    last = _last(Snapshot, kept, root)
    snapshot, data = _fetch_named(fetch, root, (Snapshot, named), now)
    source = f"{fetch.place}: snapshot"
    if snapshot.signed.meta.keys() != {"targets.json"}:
        raise Unusable(State.FORGED, source, "it names other metadata than targets")
    if last:
        old, new = (each.signed.meta["targets.json"].version for each in (last, snapshot))
        if new < old:
            raise Unusable(State.ROLLED_BACK, source, f"targets {new} where {old} was read")
    kept["snapshot"] = data
    return snapshot


def _fetch_named(
    fetch: Fetch, root: Root, what: tuple[type[T], MetaFile], now: int
) -> tuple[Metadata[T], bytes]:
    """Fetch metadata whose version, length and hash are signed."""
    kind, named = what
    role, sha256 = kind.type, (named.hashes or {}).get("sha256", "")
    path = f"metadata/{named.version}.{role}.json"
    source = f"{fetch.place}/{path}"
    if not sha256 or not named.length:
        raise Unusable(State.FORGED, source, "it is named without length and SHA-256")
    if named.length > LIMITS[role]:
        raise Unusable(State.OVERSIZED, source, f"{named.length} bytes are named")
    data = fetch.get(path, named.length)
    if len(data) != named.length or hashlib.sha256(data).hexdigest() != sha256:
        raise Unusable(State.MIXED, source, "not the bytes that are named; try another mirror")
    fresh = _open(kind, data, root, source)
    if fresh.signed.version != named.version:
        raise Unusable(State.MIXED, source, f"it is version {fresh.signed.version}")
    _demand_fresh(fresh.signed, source, now)
    return fresh, data


def _files(targets: Targets, source: str) -> tuple[File, ...]:
    if len(targets.targets) > FILES:
        raise Unusable(State.OVERSIZED, source, f"{len(targets.targets)} files")
    found = []
    for path, target in sorted(targets.targets.items()):
        sha256, made = target.hashes.get("sha256", ""), target.custom
        if not sane(path) or not _SHA256.fullmatch(sha256):
            raise Unusable(State.FORGED, source, f"`{path[:80]!r}` has no sane path or SHA-256")
        if target.length > FILE:
            raise Unusable(State.OVERSIZED, source, f"`{path}` has {target.length} bytes")
        when = made.get("made") if isinstance(made, dict) else 0
        found.append(File(path, target.length, sha256, when if type(when) is int else 0))
    return tuple(found)


def _last(kind: type[T], kept: Kept, root: Root) -> Metadata[T] | None:
    data = kept.get(kind.type)
    if data is None:
        return None
    last = parse(kind, data, f"the {kind.type} that was read last")
    enough = len(signed_by(root, kind.type, last)) >= persons(root, kind.type)
    return last if enough else None


def _open(kind: type[T], data: bytes, root: Root, source: str) -> Metadata[T]:
    metadata = parse(kind, data, source)
    _vouch(root, kind.type, metadata, source)
    return metadata


def _vouch(root: Root, role: str, metadata: Metadata[Any], source: str) -> None:
    """Demand that enough persons signed, and (a second count) enough keys."""
    signed, need = signed_by(root, role, metadata), persons(root, role)
    if len(signed) < need:
        told = f"{len(signed)} of {need} persons signed it: {', '.join(sorted(signed)) or 'nobody'}"
        raise Unusable(State.FORGED, source, told)
    root.verify_delegate(role, metadata.signed_bytes, metadata.signatures)


def parse(kind: type[T], data: bytes, source: str) -> Metadata[T]:
    """Read metadata of a role, whoever signed it.

    Raises:
        Unusable: `malformed`.
    """
    try:
        metadata = Metadata[T].from_bytes(data)
        metadata.signed_bytes  # noqa: B018  spelling it again fails here or nowhere
    except (
        RepositoryError, SignatureLibraryError, ValueError, TypeError, KeyError, AttributeError,
        OverflowError, RecursionError,
    ) as error:  # fmt: skip
        raise Unusable(State.MALFORMED, source, f"no metadata: {error!r:.200}") from error
    if metadata.signed.type != kind.type:
        told = f"it is `{metadata.signed.type}` metadata, not `{kind.type}`"
        raise Unusable(State.MALFORMED, source, told)
    return metadata


def _demand_fresh(signed: Signed, source: str, now: int) -> None:
    if signed.is_expired(datetime.fromtimestamp(now, UTC)):
        told = f"since {signed.expires:%Y-%m-%d %H:%M} UTC; the mirror is frozen or abandoned"
        raise Unusable(State.EXPIRED, source, told)
