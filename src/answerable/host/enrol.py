"""How a host enters a fleet: its key, its record, the fleet's proof of it, and where it starts.

1. `make_record` makes the host's key and instance identity, and spells the record that people
   enrol: `{"host":"web1","instance":"<hex>","key":"<vkey>","zones":["web"]}`. Doing it again
   gives the same record.
2. people of the fleet role sign a batch of records (an `enrolment` in the authority log); whoever
   made the batch gives each host a proof file:
   `{"enrolment":"<statement id>","index":0,"path":["<hex>"],"record":"<text>"}`
3. `take_proof` keeps the proof of this host's own record. A newer one may drop a zone only with
   that zone's threshold (kernel, `replace_record`).
4. the log is followed from its first record (nothing needs to be trusted for that but the charter),
   or from a state that a quorum of guards vouches for with this host's own nonce (`start`).

Rules: the charter file is what the person at the keyboard trusts; the guards' state must stand
under that very charter. Left out: finding the proof in a directory service.
"""

import base64
import json
from collections.abc import Mapping
from pathlib import Path

from answerable.host.files import HomeUnavailable, read_file, read_json, write_file
from answerable.host.network.client import Client, HttpUnavailable
from answerable.kernel.canon import Json, conforms, encode, shape, unhex
from answerable.kernel.charter import Charter
from answerable.kernel.errors import demand
from answerable.kernel.fold import State
from answerable.kernel.fresh import Freshness, read_head
from answerable.kernel.merkle import HASH, Tree
from answerable.kernel.note import ED25519, Key
from answerable.kernel.statement import open_charter
from answerable.kernel.verify import Enrolled, replace_record
from answerable.keys.store import load_or_make

PROOF = shape("enrolment:hex index:int record:text", path=["hex"])
START = 1 << 28
"""Largest start state that is read, bytes."""
START_SECONDS = 300
"""Longest that one guard may take to give it."""


def read_charter(note: bytes) -> tuple[Charter, str]:
    """Open the charter that a host is enrolled with; give it and the fleet's id.

    Raises:
        Refused: it is no charter, or its own threshold of people did not sign it.
    """
    charter, statement = open_charter(note)
    charter.enough(statement.people, "charter")
    return charter, statement.envelope["fleet"] or charter.id


def make_record(directory: Path, name: str, zones: list[str], instance: str) -> str:
    """Make key and record, or give the record that was made before.

    Args:
        directory: the agent's own.
        name: the host's id.
        zones: as people shall enrol it; none means that every zone's rules count.
        instance: 64 random hex digits for a new record.

    Raises:
        HomeUnavailable: the directory is another host's, or the names are none.
    """
    path = directory / "record.json"
    if path.exists():
        text = read_file(path).decode()
        made = read_json(path)
        if [made["host"], made["zones"]] != [name, sorted(zones)]:
            raise HomeUnavailable(f"`{directory}` is of `{made['host']}` in {made['zones']}")
        return text
    key = load_or_make(directory / "key", name, ED25519).key
    record = {"host": name, "instance": instance, "key": key.vkey(), "zones": sorted(zones)}
    if not conforms([name, *zones], ["id"]):
        raise HomeUnavailable(f"`{name}` or one of {zones} is no id: a-z, 0-9, `.`, `_`, `-`")
    write_file(path, encode(record).encode())
    return encode(record)


def read_proof(path: Path) -> Enrolled:
    """Read a proof file.

    Raises:
        HomeUnavailable: it is none.
    """
    given = read_json(path)
    if not conforms(given, PROOF):
        raise HomeUnavailable(f"`{path}` is no proof of enrolment; see docs/spec/host.md")
    return Enrolled(given["record"], given["enrolment"], given["index"], unhex(given["path"]))


def take_proof(directory: Path, proof: Path, state: State) -> Enrolled:
    """Keep the proof of this host's record, in place of an older one if there is one.

    Raises:
        HomeUnavailable: it is no proof, or of another record than this directory's.
        Refused: the log does not enrol it, or it drops a zone without that zone's threshold.
    """
    new, kept = read_proof(proof), directory / "enrolled.json"
    own = json.loads(read_file(directory / "record.json"))
    same = [new.body[m] for m in ("host", "instance", "key")]
    if same != [own[m] for m in ("host", "instance", "key")]:
        raise HomeUnavailable(f"`{proof}` is of another key or instance than `{directory}`")
    if kept.exists():
        replace_record(read_proof(kept), new, state)
    new.prove(state)
    write_file(kept, read_file(proof))
    return new


def start(
    client: Client, urls: Mapping[str, str], pinned: Charter, fleet: str, asked: tuple[Key, str]
) -> State:
    """Take the state that a quorum of guards vouches for.

    Args:
        client: asks servers.
        urls: address by guard.
        pinned: the charter that this host was given; the guards must stand under it.
        fleet: the fleet's id.
        asked: this host's key and a new nonce.

    Raises:
        Refused: `no_quorum`, `bad_start` or why their answers are none.
        HttpUnavailable: too few guards answer.
    """
    replies: dict[str, list[bytes]] = {}
    bodies: dict[str, Json] = {}
    for url in urls.values():
        try:
            given = _given(client, url, *asked)
        except (HttpUnavailable, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            # Also one that says what is no start state.
            continue
        head = encode(given["head"])
        replies.setdefault(head, []).append(given["reply"])
        bodies.setdefault(head, given)
    if not replies:
        raise HttpUnavailable("no guard gives a start state; follow the log from its start instead")
    head = max(replies, key=lambda h: len(replies[h]))
    state = State(fleet, bodies[head]["tables"], Tree([bodies[head]["leaves"]]))
    # The whole charter, not its id: its keys are what the next line believes.
    same = [state.law().id, state.law().body] == [pinned.id, pinned.body]
    demand(same, "bad_start", "the guards are under another charter")
    # One answer a head: every counted guard stands exactly at this size and vouches for the digest.
    read_head(Freshness(asked[1], 0.0, tuple(replies[head])), state, asked[0], 0.0)
    return state


def _given(client: Client, url: str, key: Key, nonce: str) -> Json:
    where = f"{url.rstrip('/')}/start?host={key.name}&nonce={nonce}"
    given = json.loads(client.get(where, START, seconds=START_SECONDS))
    head = json.loads(json.loads(given["reply"])["leaf"])["head"]
    leaves = base64.b64decode(given["leaves"], validate=True)
    if len(leaves) != head["size"] * HASH:
        raise ValueError(head["size"])
    reply = given["reply"].encode()
    return {"head": head, "leaves": leaves, "reply": reply, "tables": given["tables"]}
