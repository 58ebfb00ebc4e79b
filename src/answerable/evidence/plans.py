"""Plan documents as an audit reads them: what was noticed, order by order.

1. the bytes are those whose SHA-256 the notice names, in their one spelling
2. fleet, author, basis and clause are the notice's
3. each ring has the size and the RFC 6962 root that the notice names

Orders are bound by 3; each is taken apart when a report names it. Left out: whether orders are of
the closed schema and move exactly what the notice names, which heralds check before they deliver,
and hosts before they act.
"""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256

from answerable.evidence.folder import PLAN
from answerable.evidence.trail import Ordered
from answerable.kernel.canon import Json, conforms, decode
from answerable.kernel.errors import Refused, demand
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.order import ORDER

_CHANGE = {"id": "id", "type": "id"}
_WHY = {"host": "id", "package": "name", "cves": ["name"], "reasons": ["text"]}
_SHAPE = {
    "author": "id", "basis": ("authorization", "approvals"), "clause": "id?", "fleet": "hex",
    "title": "text", "releases": ["hex"], "rings": [["order"]], "exposures": "any",
    "escalated": [{"host": "id", "reason": "text"}],
}  # fmt: skip


@dataclass
class Plan:
    """A plan that is what its notice says: title, who was escalated and why, orders by digest.

    `exposures`: why, as its author says; nobody has checked these against the facts.
    """

    title: str
    escalated: list[tuple[str, str]]
    texts: dict[str, str]
    exposures: Json

    def order(self, digest: str) -> Ordered | None:
        """Take an order apart; None if the plan has none of this digest, or it is none."""
        text = self.texts.get(digest)
        with suppress(Refused, KeyError, TypeError, AttributeError):
            if text is not None:
                return _ordered(decode(text.encode(), ORDER))
        return None

    def why(self, host: str) -> Iterator[tuple[str, list[str], list[str]]]:
        """Give for each package of a host the flaws and reasons that the plan names."""
        for row in self.exposures if isinstance(self.exposures, list) else ():
            said: Json = {n: row.get(n) for n in _WHY} if isinstance(row, dict) else None
            if conforms(said, _WHY) and said["host"] == host:
                yield said["package"], said["cves"], said["reasons"]


def read_plan(notice: Json, fleet: str, data: bytes) -> Plan:
    """Read the plan of a notice's body.

    Raises:
        Refused: saying what differs.
    """
    same = sha256(data).hexdigest() == notice["plan"]
    demand(same, "not_in_ring", "other bytes than the plan that was noticed")
    body = decode(data, PLAN)
    demand(conforms(body, _SHAPE), "malformed", "the plan is none")
    said = {**{k: notice[k] for k in ("author", "basis", "clause")}, "fleet": fleet}
    for what, value in said.items():
        demand(body[what] == value, "malformed", f"the plan has another `{what}` than the notice")
    claims, texts = notice["rings"], dict[str, str]()
    demand(len(body["rings"]) == len(claims), "not_in_ring", "other rings than the notice")
    for number, (ring, claim) in enumerate(zip(body["rings"], claims, strict=True)):
        tree = Tree(leaf_hash(text.encode()) for text in ring)
        good = [tree.size, tree.root().hex()] == [claim["size"], claim["root"]]
        demand(good, "not_in_ring", f"ring {number} is not the one that was noticed")
        texts |= {sha256(text.encode()).hexdigest(): text for text in ring}
    escalated = [(e["host"], e["reason"]) for e in body["escalated"]]
    return Plan(body["title"], escalated, texts, body["exposures"])


def _ordered(order: Json) -> Ordered:
    both = [(part, change) for part in ("changes", "undo") for change in order[part]]
    named = [{"id": change["id"], "type": change["type"]} for _, change in both]
    sound = conforms(named, [_CHANGE]) and conforms([order["ring"]], ["int"])
    demand(sound and conforms(order["host"], "id"), "malformed", "not an order")
    used = {package["sha256"] for _, change in both for package in change.get("packages", ())}
    changes = {change["id"]: f"{part} {change['type']}" for part, change in both}
    what = {change["id"]: tuple(_what(change)) for _, change in both}
    return Ordered(order["host"], order["ring"], changes, frozenset(used), what)


def _what(change: Json) -> Iterator[str]:
    if subject := change.get("unit") or change.get("check"):
        yield str(subject)
    for package in change.get("packages", ()):
        yield f"{package['name']} {package['from']} -> {package['to']}"
