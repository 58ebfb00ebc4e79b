"""Orders and the bundle that carries one to its host.

An order is one host's part of a plan: typed actions of a closed schema, never a path, flag or shell
string. Its text is a leaf of its ring's tree, whose root stands in the notice. `changes` are done
in their order; `undo` is what reverses them, each change with its own id, risk and cause. An undo
names an upgrade of the same order and moves exactly its packages exactly back.

An upgrade or undo may name its `effects`, one hash over every change of a file, and their sensitive
`classes`, sorted (docs/spec/effects.md): both or neither, and an undo exactly its upgrade's.
"""

from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from answerable.kernel.canon import Json, conforms, decode, read, shape
from answerable.kernel.errors import demand
from answerable.kernel.merkle import leaf_hash

# Largest bundle and largest order that are read, bytes; most changes in an order.
BUNDLE, ORDER, CHANGES = 1_048_576, 262_144, 256

_MOVE = "name:name from:name to:name sha256:hex "


_RISK = ("low", "medium", "high")


def _action(kind: str, text: str = "", **more: Json) -> Json:
    return shape(f"id:id caused_by:id? {text}", type=(*kind.split(),), risk=_RISK, **more)


_SAME = (_action("restart", "unit:id"), _action("health", "check:id"))
_SEEN = shape("effects:hex", classes=["id"])
_UP = _action("upgrade", "ecosystem:name",
              packages=[shape(_MOVE + "for:text", advisories=["hex"])])  # fmt: skip
_UNDO = _action("undo", "undoes:id ecosystem:name", packages=[shape(_MOVE)])
_ORDER = shape("fleet:hex host:id instance:hex ring:int", undo=[(_UNDO, _UNDO | _SEEN, *_SAME)],
               changes=[(_UP, _UP | _SEEN, *_SAME, _action("snapshot reboot"))])  # fmt: skip
_OF = "ecosystem:name package:name source:name "
_FILE = shape(_OF + "version:name arch:name sha256:hex size:int path:text", kind=("artefact",))
_FIX = shape(_OF + "id:name fixed:name urgency:id cvss:any exploited:bool published:int",
             cves=["name"], kind=("advisory",))  # fmt: skip
_FACT = shape("fact:text release:hex index:int", path=["hex"])
_BUNDLE = shape("order:order index:int notice:hex checkpoint:note authorization_checkpoint:note",
                path=["hex"], facts=[_FACT])  # fmt: skip


class Bundle(NamedTuple):
    """A bundle taken apart: well-formed, not yet believed.

    `hash` is the order text's SHA-256, `facts` the facts' leaf hashes and values.
    """

    body: Json
    order: Json
    hash: str
    facts: list[tuple[bytes, Json]]

    def find(self, change: str) -> tuple[Json, str]:
        """Give a change by its id, and the part it belongs to: `changes` or `undo`.

        Raises:
            Refused: `action_not_allowed` if the order has no such change.
        """
        found = [(c, p) for p in ("changes", "undo") for c in self.order[p] if c["id"] == change]
        demand(found, "action_not_allowed", f"the order has no change `{change}`")
        return found[0]


def read_order(text: str) -> Json:
    """Read an order's text.

    Raises:
        Refused: `too_large`, `malformed`, or `action_not_allowed` for anything outside the schema.
    """
    order = decode(text.encode(), ORDER)
    demand(conforms(order, _ORDER), "action_not_allowed", "an order outside the closed schema")
    changes = order["changes"] + order["undo"]
    sound = len({one["id"] for one in changes}) == len(changes) <= CHANGES
    demand(sound, "malformed", "too many changes, or two of one id")
    forth = {one["id"]: _moves(one, "from", "to") for one in order["changes"]}
    moves = [(one, forth.get(one["undoes"])) for one in order["undo"] if one["type"] == "undo"]
    exact = all(_moves(one, "to", "from") == moved for one, moved in moves)
    demand(exact, "action_not_allowed", "an undo moves an upgrade of this order exactly back")
    return order


def _moves(change: Json, old: str, new: str) -> list[Json]:
    packages = [(p["name"], p[old], p[new]) for p in change.get("packages", ())]
    return [packages, *map(change.get, ("ecosystem", "effects", "classes"))]


@lru_cache(maxsize=1)  # a host asks about one bundle again and again
def read_bundle(data: bytes) -> Bundle:
    """Take a bundle apart.

    Raises:
        Refused: `too_large`, `malformed` or `action_not_allowed`.
    """
    body = read(data, BUNDLE, _BUNDLE)
    order, texts = body["order"], [given["fact"].encode() for given in body["facts"]]
    facts = [(leaf_hash(text), read(text, BUNDLE, (_FIX, _FILE))) for text in texts]
    return Bundle(body, read_order(order), sha256(order.encode()).hexdigest(), facts)
