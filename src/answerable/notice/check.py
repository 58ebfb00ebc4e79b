"""Whether a notice says what its plan does: everything in it is recomputed from the plan's bytes.

In this order; the first difference is the finding:

1. the bytes are those whose SHA-256 the notice names, and a plan in its one spelling
2. fleet, author, basis, clause and releases are the notice's
3. every ring: number of orders and RFC 6962 root; every order typed (kernel/order.py), of this
   fleet and ring; no host twice
4. artefacts, targets and undo artefacts are exactly those that the orders move
5. zones are exactly those that the plan gives for the hosts in its rings

Left out: whether the hosts are in those zones. A host knows its own, and refuses a change whose
notice reached nobody who objects for them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256

from answerable.kernel.canon import Json, conforms, read
from answerable.kernel.errors import Refused
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.order import read_order

PLAN = 64 << 20
"""Largest plan that is read, bytes."""
_SHAPE = {
    "author": "id", "basis": ("authorization", "approvals"), "clause": "id?", "fleet": "hex",
    "title": "text", "releases": ["hex"], "rings": [["order"]], "exposures": ["any"],
    "escalated": [{"host": "id", "reason": "text"}],
}  # fmt: skip


@dataclass(frozen=True)
class Checked:
    """A plan that is what its notice says, with its orders read, ring by ring.

    `unlabelled`: a host stands in it for which the plan gives no zone, so that every zone counts.
    """

    body: Json
    orders: list[list[Json]]
    unlabelled: bool


@dataclass(frozen=True)
class Mismatch:
    """What differs; `withheld` if these are not the plan's bytes at all."""

    detail: str
    withheld: bool = False


def check(notice: Json, fleet: str, data: bytes) -> Checked | Mismatch:
    """Compare a notice's body with the bytes that are said to be its plan."""
    if sha256(data).hexdigest() != notice["plan"]:
        return Mismatch("other bytes than the plan that was noticed", withheld=True)
    try:
        body = read(data, PLAN, _SHAPE)
        orders = [[read_order(text) for text in ring] for ring in body["rings"]]
    except Refused as refused:
        return Mismatch(f"the plan is none: {refused.reason} {refused.detail}")
    for what, said in _said(notice, fleet).items():
        if body[what] != said:
            return Mismatch(f"the plan has another `{what}` than the notice")
    zones = _zones(body["exposures"], orders)
    found = _rings(notice["rings"], body["rings"], orders, fleet) or _moved(notice, orders)
    named = sorted({zone for of_host in zones.values() for zone in of_host})
    if not found and named != sorted(notice["zones"]):
        found = f"the plan's hosts are in the zones {named}"
    return Mismatch(found) if found else Checked(body, orders, not all(zones.values()))


def _said(notice: Json, fleet: str) -> Json:
    return {**{k: notice[k] for k in ("author", "basis", "clause", "releases")}, "fleet": fleet}


def _rings(
    said: Sequence[Json], texts: list[list[str]], orders: list[list[Json]], fleet: str
) -> str:
    if len(said) != len(texts):
        return f"the plan has {len(texts)} rings, the notice {len(said)}"
    for number, (ring, claim) in enumerate(zip(texts, said, strict=True)):
        root = Tree(leaf_hash(text.encode()) for text in ring).root().hex()
        if len(ring) != claim["size"] or root != claim["root"]:
            return f"ring {number} has {len(ring)} orders of root `{root}`, unlike the notice"
        if any((o["ring"], o["fleet"]) != (number, fleet) for o in orders[number]):
            return f"an order in ring {number} is of another ring or fleet"
    hosts = [order["host"] for ring in orders for order in ring]
    return "" if len(set(hosts)) == len(hosts) else "a host stands twice"


def moves(orders: Sequence[Sequence[Json]], part: str) -> Iterator[tuple[Json, Json]]:
    """Give every change of a part that moves a package, with the package."""
    for ring in orders:
        for order in ring:
            for change in order[part]:
                yield from ((change, package) for package in change.get("packages", ()))


def _moved(notice: Json, orders: Sequence[Sequence[Json]]) -> str:
    forth, back = list(moves(orders, "changes")), list(moves(orders, "undo"))
    computed = {
        "artefacts": {p["sha256"] for _, p in forth},
        "targets": {f"{c['ecosystem']}/{p['name']}@{p['to']}" for c, p in forth},
        "undo_artefacts": {p["sha256"] for _, p in back},
    }
    for what, found in computed.items():
        if sorted(found) != sorted(notice[what]):
            return f"the orders move other `{what}` than the notice says"
    return ""


def _zones(exposures: Sequence[Json], orders: Sequence[Sequence[Json]]) -> dict[str, set[str]]:
    zones: dict[str, set[str]] = {order["host"]: set() for ring in orders for order in ring}
    for row in exposures:
        if conforms(row, {"host": "id", "zones": ["id"], **_others(row)}) and row["host"] in zones:
            zones[row["host"]].update(row["zones"])
    return zones


def _others(exposure: Json) -> Json:
    keys = exposure.keys() - {"host", "zones"} if isinstance(exposure, dict) else ()
    return dict.fromkeys(keys, "any")
