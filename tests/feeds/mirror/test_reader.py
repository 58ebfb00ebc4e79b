"""A reader believes what enough persons signed last, and nothing that a mirror can do to it."""

import contextlib
import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from securesystemslib.exceptions import FormatError
from securesystemslib.formats import encode_canonical
from tuf.api.metadata import DelegatedRole, Delegations, TargetFile

from answerable.feeds.mirror import reader
from answerable.feeds.mirror.people import tuf_key
from answerable.feeds.mirror.writer import _Hand
from answerable.feeds.source import State, Unusable
from answerable.kernel.canon import Json
from tests.feeds.fakes import MemoryFetch
from tests.feeds.mirror import stock
from tests.feeds.mirror.publisher import (
    DAY,
    NOW,
    SERVER,
    Files,
    Publisher,
    both,
    hands,
    named,
    read,
    reissue,
    roster,
    write,
)
from tests.kernel.near import near_bytes, near_value

LATER = NOW + DAY
ONE, TWO = "a" * 64, "b" * 64


@dataclass
class World:
    """Two publications, one after the other, and a site that read the first."""

    publisher: Publisher
    first: Files
    second: Files
    kept: dict[str, bytes]
    history: list[tuple[Files, int]] = field(default_factory=list)

    def read(self, files: Files, now: int = LATER) -> reader.Published:
        """Read what a mirror serves."""
        published = reader.follow(MemoryFetch(files), self.kept, now)
        self.history.append((dict(files), now))
        return published

    def state(self, files: Files, now: int = LATER) -> State | None:
        """Tell as what a mirror's lie is found out."""
        try:
            self.read(files, now)
        except Unusable as failure:
            return failure.state
        return None


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Publish twice; read once."""
    publisher = Publisher(tmp_path / "repo")
    publisher.world(ONE)
    first = publisher.served()
    publisher.world(TWO, LATER)
    made = World(publisher, first, publisher.served(), {"root": publisher.root})
    made.read(first, NOW)
    return made


def test_what_is_published_is_read(world: World) -> None:
    """Files, versions, signers and expiries come out as they went in."""
    published = world.read(world.second)
    assert [file.path for file in published.files] == [
        f"worlds/{name}/{file}"
        for name in (ONE, TWO)
        for file in ("manifest.json", "ranges.parquet")
    ]
    assert published.versions == {"root": 1, "timestamp": 2, "snapshot": 2, "targets": 2}
    assert published.signers["targets"] == {"dana", "lee"}
    assert published.expires["timestamp"] == LATER + 2 * DAY
    assert {file.made for file in published.files} == {NOW, LATER}


def test_another_client_reads_the_same(world: World, tmp_path: Path) -> None:
    """What we publish is plain TUF: python-tuf's own client reads it and fetches a file."""
    client = stock.updater(tmp_path / "x", world.second, world.publisher.root, LATER)
    client.refresh()
    info = client.get_targetinfo(f"worlds/{TWO}/ranges.parquet")
    assert info
    assert Path(client.download_target(info)).read_bytes() == f"ranges of {TWO}".encode()


# Each attack: what a mirror (or a thief of some keys) serves a site that read the first
# publication, and the state as which it ends. All are also put to python-tuf's own client.


def _rollback(world: World, files: Files) -> None:
    world.read(world.second)
    files.clear()
    files.update(world.first)


def _rollback_of_targets(world: World, files: Files) -> None:
    world.read(world.second)
    reissue(files, both(SERVER), targets=1, snapshot=3)


def _rollback_of_snapshot(world: World, files: Files) -> None:
    world.read(world.second)
    metadata = read(files, "metadata/timestamp.json")
    metadata.signed.version = 3
    metadata.signed.snapshot_meta = named(files, "metadata/1.snapshot.json", 1)
    write(files, "metadata/timestamp.json", metadata, both(SERVER))


def _old_snapshot(_world: World, files: Files) -> None:
    files["metadata/2.snapshot.json"] = files["metadata/1.snapshot.json"]


def _old_targets(_world: World, files: Files) -> None:
    files["metadata/2.targets.json"] = files["metadata/1.targets.json"]


def _renamed_version(_world: World, files: Files) -> None:
    metadata = read(files, "metadata/2.snapshot.json")
    metadata.signed.meta["targets.json"] = named(files, "metadata/1.targets.json", 2)
    files["metadata/2.targets.json"] = files["metadata/1.targets.json"]
    write(files, "metadata/2.snapshot.json", metadata, both(SERVER))
    stamp = read(files, "metadata/timestamp.json")
    stamp.signed.snapshot_meta = named(files, "metadata/2.snapshot.json", 2)
    write(files, "metadata/timestamp.json", stamp, both(SERVER))


def _split(world: World, files: Files) -> None:
    world.read(world.second)
    stamp = read(files, "metadata/timestamp.json")
    stamp.signed.expires = stamp.signed.expires.replace(minute=1)
    write(files, "metadata/timestamp.json", stamp, both(SERVER))


def _no_signature(_world: World, files: Files) -> None:
    write(files, "metadata/timestamp.json", read(files, "metadata/timestamp.json"), [])


def _stripped(_world: World, files: Files) -> None:
    stamp = read(files, "metadata/timestamp.json")
    write(files, "metadata/timestamp.json", stamp, hands(SERVER)[:1])


def _targets_by_one_person(_world: World, files: Files) -> None:
    targets = read(files, "metadata/2.targets.json")
    write(files, "metadata/2.targets.json", targets, both("lee"))
    reissue(files, both(SERVER), targets=2, snapshot=3)


def _targets_by_the_server(_world: World, files: Files) -> None:
    targets = read(files, "metadata/2.targets.json")
    write(files, "metadata/2.targets.json", targets, both(SERVER))
    reissue(files, both(SERVER), targets=2, snapshot=3)


def _other_bytes(_world: World, files: Files) -> None:
    stamp = files["metadata/timestamp.json"]
    files["metadata/timestamp.json"] = stamp.replace(b'"version":2', b'"version":9')


def _junk(_world: World, files: Files) -> None:
    files["metadata/timestamp.json"] = b"<html>welcome to the airport's network</html>"


def _another_role(_world: World, files: Files) -> None:
    files["metadata/timestamp.json"] = files["metadata/2.snapshot.json"]


def _withheld(_world: World, files: Files) -> None:
    del files["metadata/2.targets.json"]


def _endless(_world: World, files: Files) -> None:
    files["metadata/timestamp.json"] += b" " * reader.LIMITS["timestamp"]


def _grown(_world: World, files: Files) -> None:
    files["metadata/2.targets.json"] += b" "


def _root_of_one(world: World, files: Files) -> None:
    root = read(world.first, "metadata/1.root.json")
    root.signed.version = 2
    write(files, "metadata/2.root.json", root, both("lee"))


def _root_of_strangers(_world: World, files: Files) -> None:
    keys = [tuf_key(hand.key) for name in ("mallory", "trudy") for hand in hands(name)]
    root = read(files, "metadata/1.root.json")
    for role in root.signed.roles.values():
        role.keyids, role.threshold = [key.keyid for key in keys], 4
    root.signed.version, root.signed.keys = 2, {key.keyid: key for key in keys}
    write(files, "metadata/2.root.json", root, both("mallory", "trudy"))


def _root_skips(world: World, files: Files) -> None:
    root = read(world.first, "metadata/1.root.json")
    root.signed.version = 3
    write(files, "metadata/2.root.json", root, both("lee", "dana"))


ATTACKS: dict[str, tuple[Callable[[World, Files], None], State]] = {
    "rollback: the mirror serves last week's timestamp": (_rollback, State.ROLLED_BACK),
    "rollback: the server's thief lists old targets": (_rollback_of_targets, State.ROLLED_BACK),
    "rollback: a new timestamp names an old snapshot": (_rollback_of_snapshot, State.ROLLED_BACK),
    "mix and match: an old snapshot under a new name": (_old_snapshot, State.MIXED),
    "mix and match: old targets under a new name": (_old_targets, State.MIXED),
    "mix and match: a snapshot lies about a version": (_renamed_version, State.MIXED),
    "split: two timestamps of one version": (_split, State.SPLIT),
    "arbitrary: nobody signed": (_no_signature, State.FORGED),
    "arbitrary: the post-quantum signature is stripped": (_stripped, State.FORGED),
    "arbitrary: one of two persons signed": (_targets_by_one_person, State.FORGED),
    "arbitrary: a key of another role signed": (_targets_by_the_server, State.FORGED),
    "arbitrary: a byte is changed": (_other_bytes, State.FORGED),
    "arbitrary: no metadata at all": (_junk, State.MALFORMED),
    "arbitrary: metadata of another role": (_another_role, State.MALFORMED),
    "withheld: targets are not there": (_withheld, State.MISSING),
    "endless data: a timestamp that goes on": (_endless, State.OVERSIZED),
    "endless data: one byte more than is signed": (_grown, State.OVERSIZED),
    "root: one of two persons signed the next": (_root_of_one, State.FORGED),
    "root: only its own persons signed the next": (_root_of_strangers, State.FORGED),
    "root: a version is skipped": (_root_skips, State.ROLLED_BACK),
}


OURS_ALONE = {"split: two timestamps of one version"}
"""What python-tuf's own client takes, or overlooks."""


@pytest.mark.parametrize("attack", ATTACKS)
def test_each_attack_ends_in_its_state(world: World, attack: str) -> None:
    """A hostile mirror, or a thief of some keys, is found out by name."""
    change, state = ATTACKS[attack]
    files = dict(world.second)
    change(world, files)
    assert world.state(files) == state


@pytest.mark.parametrize("attack", ATTACKS)
def test_another_client_finds_no_more(world: World, tmp_path: Path, attack: str) -> None:
    """We walk the workflow ourselves, and believe nothing that python-tuf's client does not."""
    change, _ = ATTACKS[attack]
    files = dict(world.second)
    change(world, files)
    folder, root = tmp_path / "x", world.publisher.root
    for before, now in world.history:
        assert stock.accepts(folder, before, root, now)
    assert stock.accepts(folder, files, root, LATER) == (attack in OURS_ALONE)


@pytest.mark.parametrize("role", reader.LIMITS)
def test_freeze(tmp_path: Path, role: str) -> None:
    """A mirror that serves what was valid for ever is found out when any of it expires."""
    days = dict.fromkeys(reader.LIMITS, 300) | {role: 1}
    publisher = Publisher(tmp_path / "repo", **days)
    publisher.world(ONE)
    frozen = World(publisher, {}, publisher.served(), {"root": publisher.root})
    assert frozen.state(frozen.second, LATER - 1) is None
    assert frozen.state(frozen.second, LATER) == State.EXPIRED


def test_a_thiefs_high_version_is_left_behind_with_his_key(world: World) -> None:
    """Fast forward: a version that a thief signed counts no more once the key was replaced."""
    files = dict(world.second)
    stamp = read(files, "metadata/timestamp.json")
    stamp.signed.version = 1 << 40
    write(files, "metadata/timestamp.json", stamp, both(SERVER))
    assert world.state(files) is None
    assert world.state(world.second) == State.ROLLED_BACK
    fresh = hands(SERVER, "after the theft")
    given = roster()
    given["holders"][-2:] = [hand.key.vkey() for hand in fresh]
    repository = world.publisher.repository
    repository.draft_root(given, LATER)
    assert world.publisher.sign("root", *both("dana", "sam")).issued
    repository.issue(fresh, LATER)
    published = world.read(world.publisher.served())
    assert (published.versions["root"], published.versions["timestamp"]) == (2, 3)


def test_a_root_is_followed_over_several_versions(world: World) -> None:
    """People come and go; each root is vouched for by the one before."""
    repository = world.publisher.repository
    for people, signing in (
        (("dana", "lee", "ann"), "dana lee"),
        (("ann", "bob"), "ann lee dana bob"),
    ):
        repository.draft_root(roster(people), LATER)
        done = world.publisher.sign("root", *both(*signing.split()))
        assert done.issued
    with pytest.raises(Unusable, match="0 of 2 persons"):
        repository.issue(both(SERVER), LATER)  # those who signed the targets are gone
    repository.draft_targets({}, 2, LATER)
    world.publisher.sign("targets", *both("ann", "bob"))
    repository.issue(both(SERVER), LATER)
    published = world.read(world.publisher.served())
    assert published.versions["root"] == 3
    assert published.signers["root"] == {"ann", "bob"}


def test_delegations_are_refused(world: World, tmp_path: Path) -> None:
    """Whoever delegates is not believed: see reader.py, rule 6, for what python-tuf failed at."""
    files = dict(world.second)
    targets = read(files, "metadata/2.targets.json")
    key = tuf_key(hands("lee")[0].key)
    role = DelegatedRole("more", [key.keyid], 1, terminating=False, paths=["worlds/*"])
    targets.signed.delegations = Delegations({key.keyid: key}, {"more": role})
    write(files, "metadata/2.targets.json", targets, both("lee", "dana"))
    reissue(files, both(SERVER), targets=2, snapshot=3)
    assert stock.accepts(tmp_path / "x", files, world.publisher.root, LATER)
    assert world.state(files) == State.FORGED


@pytest.mark.parametrize(
    ("path", "sha256"),
    [
        ("../../etc/cron.d/x", "0" * 64),
        ("/etc/passwd", "0" * 64),
        ("worlds//x", "0" * 64),
        ("worlds/x", "0" * 63),
        ("worlds/x", "Z" * 64),
        ("worlds/x", "A" * 64),
    ],
)
def test_a_file_has_a_sane_path_and_hash(world: World, path: str, sha256: str) -> None:
    """Even people who sign cannot make a site write outside of its folder."""
    files = dict(world.second)
    targets = read(files, "metadata/2.targets.json")
    targets.signed.targets[path] = TargetFile(3, {"sha256": sha256}, path)
    write(files, "metadata/2.targets.json", targets, both("lee", "dana"))
    reissue(files, both(SERVER), targets=2, snapshot=3)
    assert world.state(files) == State.FORGED


@pytest.mark.parametrize("missing", ["length", "hashes"])
def test_what_is_named_has_length_and_hash(world: World, missing: str) -> None:
    """TUF lets a timestamp name a snapshot by version alone; ours does not."""
    files = dict(world.second)
    stamp = read(files, "metadata/timestamp.json")
    setattr(stamp.signed.snapshot_meta, missing, None)
    write(files, "metadata/timestamp.json", stamp, both(SERVER))
    assert world.state(files) == State.FORGED


def test_too_much_is_named(world: World) -> None:
    """A signed length is no licence: each document has a largest length of its own."""
    files = dict(world.second)
    stamp = read(files, "metadata/timestamp.json")
    stamp.signed.snapshot_meta.length = reader.LIMITS["snapshot"] + 1
    write(files, "metadata/timestamp.json", stamp, both(SERVER))
    assert world.state(files) == State.OVERSIZED


def test_what_is_kept_and_damaged_stops(world: World) -> None:
    """A site that lost its memory does not start to believe older things."""
    world.kept["timestamp"] = world.kept["timestamp"][:-9]
    assert world.state(world.second) == State.MALFORMED


def test_heads_are_compared_without_believing(world: World) -> None:
    """Asking how far a mirror is needs root and timestamp only."""
    only = {path: data for path, data in world.second.items() if "targets" not in path}
    at = reader.head(MemoryFetch(only), dict(world.kept), LATER)
    assert (at.root, at.timestamp, at.expires) == (1, 2, LATER + 2 * DAY)


@cache
def seed() -> tuple[bytes, Files]:
    """Give the root and the files of one publication."""
    with tempfile.TemporaryDirectory() as folder:
        publisher = Publisher(Path(folder) / "repo")
        publisher.world(ONE)
        return publisher.root, publisher.served()


@pytest.mark.fuzz
@given(st.sampled_from(["2.root", "timestamp", "1.snapshot", "1.targets"]), st.data())
def test_any_bytes_are_refused_or_read(name: str, data: st.DataObject) -> None:
    """Untrusted bytes in the place of any document cause `Unusable` and nothing else."""
    root, files = seed()
    path = f"metadata/{name}.json"
    served = data.draw(near_bytes(files.get(path, root)) | st.binary(max_size=300))
    with contextlib.suppress(Unusable):
        reader.follow(MemoryFetch({**files, path: served}), {"root": root}, NOW)


def _resigned(role: str, signed: Json) -> bytes:
    """Sign anything at all with the right keys, whether or not a library would."""
    signers = both(SERVER) if role in ("timestamp", "snapshot") else both("dana", "lee")
    payload = encode_canonical(signed)
    assert isinstance(payload, str)
    made = [_Hand(signer).sign(payload.encode()) for signer in signers]
    rows = [{"keyid": each.keyid, "sig": each.signature} for each in made]
    return json.dumps({"signatures": rows, "signed": signed}).encode()


@pytest.mark.fuzz
@given(st.sampled_from(["root", "timestamp", "snapshot", "targets"]), st.data())
def test_what_insiders_sign_is_refused_or_read(role: str, data: st.DataObject) -> None:
    """Enough keys over any content cause `Unusable` and nothing else."""
    root, files = seed()
    path = "metadata/timestamp.json" if role == "timestamp" else f"metadata/1.{role}.json"
    signed = data.draw(near_value(json.loads(files[path])["signed"]))
    if role == "root" and isinstance(signed, dict):
        path, signed = "metadata/2.root.json", {**signed, "version": 2}
    try:
        served = {**files, path: _resigned(role, signed)}
    except FormatError:  # what cannot be spelled cannot be signed
        return
    if role in ("snapshot", "targets"):
        for above in ("snapshot", "timestamp")[role == "snapshot" :]:
            own = "metadata/timestamp.json" if above == "timestamp" else "metadata/1.snapshot.json"
            metadata = json.loads(served[own])["signed"]
            (name,) = metadata["meta"]
            digest = hashlib.sha256(served[path]).hexdigest()
            metadata["meta"][name] |= {"length": len(served[path]), "hashes": {"sha256": digest}}
            served[own], path = _resigned(above, metadata), own
    with contextlib.suppress(Unusable):
        published = reader.follow(MemoryFetch(served), {"root": root}, NOW)
        assert published.versions["targets"] >= 1
