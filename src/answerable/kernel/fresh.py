"""Fresh heads: what the guards say right now to one host's random nonce.

A guard answers many hosts at once by cosigning, with its `post` keys, a small tree under the origin
`answerable/fresh/v1/<fleet>`, one leaf a host:

    {"head":{"origin":"<log>","root":"<hex>","size":7,"state":"<hex>"},"host":"web1",
     "last":"<SHA-256 of the note, or empty>","nonce":"<32 hex>"}

A reply carries the cosigned checkpoint, the leaf with its path, and `last`: the host's own latest
consume note, `{"consumed":"<action>","fleet":"<hex>","host":"web1","seq":3}` signed with its key.
It is how a host that was restored from a snapshot finds out that it has acted since.

Only guards whose head lies within the host's own history are counted. A record that a quorum
cosigned is therefore known to at least one honest guard among those counted. More than f of them
must stand exactly where the host stands: a history that only this host was shown counts nothing.
"""

from hashlib import sha256
from typing import Any, NamedTuple

from answerable.kernel.canon import read, shape, unhex
from answerable.kernel.checkpoint import cosigned
from answerable.kernel.errors import Refused, demand
from answerable.kernel.fold import State
from answerable.kernel.merkle import leaf_hash, verify_inclusion
from answerable.kernel.note import Key, Note

LEAF = shape("host:id last:hex? nonce:nonce", head=shape("origin:name root:hex size:int state:hex"))
CONSUME = shape("consumed:name fleet:hex host:id seq:int")
REPLY = shape("checkpoint:note index:int last:note leaf:text", path=["hex"])
# Largest reply that is read, bytes.
SIZE = 65_536


class Freshness(NamedTuple):
    """A nonce, when it was sent (boot-time clock, seconds), and the replies as received."""

    nonce: str
    sent: float
    replies: tuple[bytes, ...]


class Head(NamedTuple):
    """What a quorum of guards vouches for; made only by `read_head`.

    `present`: a POSIX second that has surely come. `latest`: one that no f liars can keep from
    having come. `acks`: for each guard counted, the (seq, consumed) it holds of this host.
    """

    present: int
    latest: int
    acks: dict[str, tuple[int, str]]


def fresh_origin(fleet: str) -> str:
    """Give the origin of freshness trees."""
    return f"answerable/fresh/v1/{fleet}"


def read_consume(note: bytes, fleet: str, key: Key) -> tuple[int, str]:
    """Open a consume note of the host that owns the key.

    Raises:
        Refused: `too_large`, `malformed`, `bad_signature` or `not_mine`.
    """
    value = read(Note(note, 4096).open([key])[0][:-1], 4096, CONSUME)
    demand([value["fleet"], value["host"]] == [fleet, key.name], "not_mine", "another host's note")
    return value["seq"], value["consumed"]


def read_head(fresh: Freshness, state: State, key: Key, now: float) -> Head:
    """Count the guards that answered this nonce and whose head this state includes.

    `now` is the boot-time clock, seconds; what has passed since the nonce was sent is added.

    Raises:
        Refused: if no quorum is left: `split_view` or `state_diverged` if a guard's signed head
            contradicts mine, `behind` if guards know more than this state, else `stale_head`.
    """
    law, said, acks, doubt = state.law(), {}, {}, Refused("stale_head", "too few guards answered")
    for data in fresh.replies:
        try:
            guard, said[guard], acks[guard] = _reply(data, fresh.nonce, state, key)
        except Refused as refusal:
            if refusal.reason in ("split_view", "state_diverged", "behind", "wrong_origin"):
                doubt = refusal
    sizes, times = [n for _, n in said.values()], sorted((-t for t, _ in said.values()))
    if len(acks) < law.quorum or sizes.count(state.tree.size) <= law.faults:
        raise doubt
    return Head(-times[law.quorum - 1], -times[law.faults] + int(now - fresh.sent), acks)


def _reply(data: bytes, nonce: str, state: State, key: Key) -> tuple[str, list[int], Any]:
    law, reply = state.law(), read(data, SIZE, REPLY)
    note, origin = reply["checkpoint"].encode(), fresh_origin(state.fleet)
    seen, text, last = cosigned(note, origin, law.guards["post"], 1), reply["leaf"], reply["last"]
    demand(len(seen.who) == 1, "stale_head", "a reply speaks for one guard")
    root, path = seen.checkpoint.root, unhex(reply["path"])
    verify_inclusion(leaf_hash(text.encode()), reply["index"], seen.checkpoint.size, path, root)
    leaf = read(text.encode(), SIZE, LEAF)
    head, digest = leaf["head"], sha256(last.encode()).hexdigest() if last else ""
    mine = [leaf["host"], leaf["nonce"], leaf["last"]] == [key.name, nonce, digest]
    demand(mine, "stale_head", "an answer to another nonce or host")
    demand(head["origin"] == law.origin, "wrong_origin", f"a guard follows `{head['origin']}`")
    size, tree = head["size"], state.tree
    demand(size <= tree.size, "behind", f"a guard is at {size}, I am at {tree.size}")
    demand(tree.root(size).hex() == head["root"], "split_view", f"a guard's root of size {size}")
    same = size < tree.size or head["state"] == state.digest()
    demand(same, "state_diverged", f"a guard folds size {size} into another state")
    ack = read_consume(last.encode(), state.fleet, key) if last else (0, "")
    return min(seen.who), [seen.present, size], ack
