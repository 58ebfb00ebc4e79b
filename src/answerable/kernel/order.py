"""Orders and the bundle that carries one to its host.

An order is one host's part of a plan: typed actions of a closed schema, never a path, flag or shell
string. Its text is a leaf of its ring's tree, whose root stands in the notice. `changes` are done
in their order; `undo` is what reverses them, each change with its own id, risk and cause.
"""

from dataclasses import dataclass
from hashlib import sha256

from answerable.kernel.canon import Json, conforms, read, shape
from answerable.kernel.errors import Refused, demand

BUNDLE = 1_048_576
"""Largest bundle that is read, bytes."""
ORDER = 262_144
"""Largest order that is read, bytes."""
CHANGES = 256
"""Most changes in one order."""

_RISK, _MOVE = ("low", "medium", "high"), "name:name from:name to:name sha256:hex "
_MORE = {
    "snapshot": shape(""),
    "upgrade": shape("ecosystem:name", packages=[shape(_MOVE + "for:text", advisories=["hex"])]),
    "restart": shape("unit:id"),
    "health": shape("check:id"),
    "reboot": shape(""),
    "undo": shape("undoes:id ecosystem:name", packages=[shape(_MOVE)]),
}
_ACTIONS = {t: shape("id:id type:id caused_by:id?", risk=_RISK, **m) for t, m in _MORE.items()}
_ALLOWED = {"changes": _MORE.keys() - {"undo"}, "undo": {"undo", "restart", "health"}}
_ORDER = shape("fleet:hex host:id instance:hex ring:int", changes=["any"], undo=["any"])
_FACT = shape("fact:text release:hex index:int", path=["hex"])
_BUNDLE = shape("order:order index:int notice:hex checkpoint:note authorization_checkpoint:note",
                path=["hex"], facts=[_FACT])  # fmt: skip


@dataclass(frozen=True)
class Bundle:
    """A bundle taken apart: well-formed, not yet believed; `hash` is the order text's SHA-256."""

    body: Json
    order: Json
    hash: str

    def find(self, change: str) -> tuple[Json, str]:
        """Give a change by its id, and the part it belongs to: `changes` or `undo`.

        Raises:
            Refused: `action_not_allowed` if the order has no such change.
        """
        for part in _ALLOWED:
            for one in self.order[part]:
                if one["id"] == change:
                    return one, part
        raise Refused("action_not_allowed", f"the order has no change `{change}`")


def read_order(text: str) -> Json:
    """Read an order's text.

    Raises:
        Refused: `too_large`, `malformed`, or `action_not_allowed` for anything outside the schema.
    """
    order = read(text.encode(), ORDER, _ORDER)
    sound = [
        isinstance(one, dict)
        and one.get("type") in list(allowed)
        and conforms(one, _ACTIONS[one["type"]])
        for part, allowed in _ALLOWED.items()
        for one in order[part]
    ]
    demand(order["changes"] and all(sound), "action_not_allowed", "an action outside the schema")
    ids = {one["id"] for one in order["changes"] + order["undo"]}
    demand(len(ids) == len(sound) <= CHANGES, "malformed", "change ids must differ")
    return order


def read_bundle(data: bytes) -> Bundle:
    """Take a bundle apart.

    Raises:
        Refused: `too_large`, `malformed` or `action_not_allowed`.
    """
    body = read(data, BUNDLE, _BUNDLE)
    return Bundle(body, read_order(body["order"]), sha256(body["order"].encode()).hexdigest())
