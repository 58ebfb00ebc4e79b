"""A plan: every discrete change that is proposed, host by host and ring by ring, and every undo.

Canonical JSON, frozen once written; its SHA-256 is what is previewed, noticed and applied:

    {"author":"planner","basis":"authorization","clause":"urgent","escalated":[{"host":"..",
     "reason":".."}],"exposures":[..],"fleet":"<hex>","releases":["<id>"],
     "rings":[["<order text>",..],..],"title":".."}

Each ring is a tree of its own (RFC 6962 over the order texts), so that size and membership are
fixed and every host checks its own order with one short path. What a notice says of a plan, and the
bundle that a host downloads, follow from the document alone.

Left out: who may authorise it (authority/), telling people (notice/), doing it (host/).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256

from answerable.exposure.match import Snapshot
from answerable.feeds.facts import Advisory, Artefact
from answerable.host.versions import ABSENT
from answerable.kernel import canon
from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused, Unavailable
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.order import BUNDLE, read_order
from answerable.ledger.proofs import inclusion

PLAN = 256 << 20
"""Largest plan that is read, bytes."""
RINGS = 64
"""Most rings; what the fold of the authority log takes."""
_EXPOSURE = canon.shape(
    "host:id ecosystem:name package:name from:name to:name score:int",
    zones=["id"], advisories=["hex"], cves=["name"], reasons=["text"],
)  # fmt: skip
_SHAPE = {
    "author": "id", "basis": ("authorization", "approvals"), "clause": "id?", "fleet": "hex",
    "title": "text", "releases": ["hex"], "rings": [["any"]], "exposures": [_EXPOSURE],
    "escalated": [{"host": "id", "reason": "text"}],
}  # fmt: skip


class NoPlan(Unavailable):
    """A plan that is not one, or not the one that was asked for."""


@dataclass(frozen=True)
class Terms:
    """What a notice adds to a plan; times in POSIX seconds, durations in seconds.

    Args:
        authorization: id of the standing authorization, or empty for approvals.
    """

    authorization: str
    window: int
    soak: int
    not_before: int
    not_after: int
    undo_not_after: int
    emergency: bool = False


class Plan:
    """A plan that can be noticed: well-formed, its orders typed, made by `read` or `build`."""

    def __init__(self, text: str) -> None:
        """Take a plan's text apart.

        Raises:
            NoPlan: if it is not in the one spelling, or an order is outside the closed schema.
        """
        try:
            self.body: Json = canon.read(text.encode(), PLAN, _SHAPE)
            self.rings: list[list[str]] = self.body["rings"]
            self.orders: list[list[Json]] = [[_order(o) for o in ring] for ring in self.rings]
        except Refused as refusal:
            raise NoPlan(f"not a plan: {refusal}; make it again") from refusal
        if not 1 <= len(self.rings) <= RINGS or not all(self.rings):
            raise NoPlan("a plan has 1 to 64 rings, none of them empty; nothing can be noticed")
        numbers = [(order["ring"], at) for at, ring in enumerate(self.orders) for order in ring]
        hosts = [order["host"] for ring in self.orders for order in ring]
        if any(said != at for said, at in numbers) or len(set(hosts)) < len(hosts):
            raise NoPlan("an order stands in another ring than it says, or a host stands twice")
        self.text = text

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the plan's bytes, hex."""
        return sha256(self.text.encode()).hexdigest()

    @cached_property
    def trees(self) -> list[Tree]:
        """Each ring's tree."""
        return [Tree(leaf_hash(order.encode()) for order in ring) for ring in self.rings]

    @property
    def sizes(self) -> list[Json]:
        """Each ring's size and root, as a notice says them."""
        return [{"size": tree.size, "root": tree.root().hex()} for tree in self.trees]

    def _moved(self, part: str, kind: str) -> list[tuple[Json, Json]]:
        return [
            (change, package)
            for ring in self.orders
            for order in ring
            for change in order[part]
            if change["type"] == kind
            for package in change["packages"]
        ]

    @property
    def artefacts(self) -> list[str]:
        """Hashes of everything that would be installed, sorted."""
        return sorted({p["sha256"] for _, p in self._moved("changes", "upgrade")})

    @property
    def undo_artefacts(self) -> list[str]:
        """Hashes of everything that an undo would go back to, sorted."""
        return sorted({p["sha256"] for _, p in self._moved("undo", "undo")})

    @property
    def targets(self) -> list[str]:
        """Every version that would be installed, as `<ecosystem>/<name>@<version>`, sorted."""
        moved = self._moved("changes", "upgrade")
        return sorted({f"{c['ecosystem']}/{p['name']}@{p['to']}" for c, p in moved})

    @property
    def upgrades(self) -> list[tuple[str, Json]]:
        """Every upgrade, with its host."""
        orders = (order for ring in self.orders for order in ring)
        return [(o["host"], c) for o in orders for c in o["changes"] if c["type"] == "upgrade"]

    @property
    def effects(self) -> dict[str, Json]:
        """Hash of each list of effects that the orders name -> an upgrade that has it."""
        return {c["effects"]: c for _, c in self.upgrades if "effects" in c}

    @property
    def reboots(self) -> int:
        """How many hosts would be rebooted."""
        orders = (order for ring in self.orders for order in ring)
        return sum(any(c["type"] == "reboot" for c in o["changes"]) for o in orders)

    @property
    def zones(self) -> list[str]:
        """Zones of every host in a ring, sorted."""
        hosts = {order["host"] for ring in self.orders for order in ring}
        rows = [row for row in self.body["exposures"] if row["host"] in hosts]
        return sorted({zone for row in rows for zone in row["zones"]})

    def find(self, host: str) -> tuple[int, int] | None:
        """Give a host's ring and place in it, or nothing if it is in none."""
        for ring, orders in enumerate(self.orders):
            for place, order in enumerate(orders):
                if order["host"] == host:
                    return ring, place
        return None

    def notice(self, terms: Terms) -> Json:
        """Give the body of the notice that would announce this plan."""
        return {
            "plan": self.digest,
            "author": self.body["author"],
            "basis": self.body["basis"],
            "authorization": terms.authorization,
            "clause": self.body["clause"],
            "rings": self.sizes,
            "artefacts": self.artefacts,
            "targets": self.targets,
            "undo_artefacts": self.undo_artefacts,
            "releases": self.body["releases"],
            "zones": self.zones,
            "window": terms.window,
            "soak": terms.soak,
            "not_before": terms.not_before,
            "not_after": terms.not_after,
            "undo_not_after": terms.undo_not_after,
            "emergency": terms.emergency,
        }


def _order(text: object) -> Json:
    if not isinstance(text, str):
        raise NoPlan("not a plan: an order is text")
    return read_order(text)


def read(data: bytes) -> Plan:
    """Read a plan's bytes.

    Raises:
        NoPlan: if it is none.
    """
    try:
        return Plan(data.decode())
    except UnicodeDecodeError as error:
        raise NoPlan("not a plan: not UTF-8") from error


@dataclass(frozen=True)
class Noticed:
    """What every bundle of a plan repeats: where its notice stands and who saw it when.

    Args:
        notice: leaf hash of the notice, hex.
        checkpoint: cosigned checkpoint of the authority log that covers notice and deliveries.
        authorization_checkpoint: one that covers the authorization; empty for approvals.
    """

    notice: str
    checkpoint: str
    authorization_checkpoint: str


def bundle(
    plan: Plan, ring: int, place: int, noticed: Noticed, snapshots: Sequence[Snapshot]
) -> str:
    """Build what one host downloads: its order, with every proof that it will ask for.

    Args:
        ring: counted from 0.
        place: of the order in its ring.
        snapshots: of the releases that the plan names.

    Raises:
        NoPlan: if a fact is in none of the snapshots, or the bundle would be too large to be read.
    """
    order = plan.orders[ring][place]
    text = canon.encode({
        "order": plan.rings[ring][place],
        "index": place,
        "path": _path(plan.trees[ring], place),
        "notice": noticed.notice,
        "checkpoint": noticed.checkpoint,
        "authorization_checkpoint": noticed.authorization_checkpoint,
        "facts": [_proven(fact, snapshots) for fact in _cited(plan, order, snapshots)],
    })  # fmt: skip
    if len(text.encode()) > BUNDLE:
        raise NoPlan(f"the bundle of `{order['host']}` is too large; plan fewer changes at once")
    return text


def _cited(plan: Plan, order: Json, snapshots: Sequence[Snapshot]) -> list[str]:
    """Name what an order rests on: both ways' artefacts, what it cites, what undoing reopens."""
    facts = {
        name: snapshot.candidate.facts[at]
        for snapshot in snapshots
        for name, at in snapshot.candidate.index.items()
    }
    artefacts = {_place(f): name for name, f in facts.items() if isinstance(f, Artefact)}
    names: dict[str, None] = {}
    for change in order["changes"] + order["undo"]:
        for package in change.get("packages", ()):
            names.update(dict.fromkeys(package.get("advisories", ())))
            version = package["from" if package["to"] == ABSENT else "to"]
            place = (change["ecosystem"], package["name"], version, package["sha256"])
            if place not in artefacts:
                raise NoPlan(f"no snapshot holds `{place[1]}` `{place[2]}`; make the plan again")
            names[artefacts[place]] = None
    for row in plan.body["exposures"]:
        for name in row["advisories"] if row["host"] == order["host"] else ():
            fact = facts.get(name)
            if isinstance(fact, Advisory) and fact.exploited:
                names[name] = None
    return list(names)


def _place(artefact: Artefact) -> tuple[str, str, str, str]:
    return (artefact.ecosystem, artefact.package, artefact.version, artefact.sha256)


def _proven(name: str, snapshots: Sequence[Snapshot]) -> Json:
    for snapshot in snapshots:
        at = snapshot.candidate.index.get(name)
        if at is not None:
            path = _path(snapshot.candidate.tree, at)
            text = snapshot.candidate.facts[at].text
            return {"fact": text, "release": snapshot.release, "index": at, "path": path}
    raise NoPlan(f"no snapshot holds the fact `{name}`; make the plan again")


def _path(tree: Tree, index: int) -> list[str]:
    return [step.hex() for step in inclusion(tree.subtree, index, tree.size)]
