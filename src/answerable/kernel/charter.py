"""The charter: who may say what, as one closed structure, and the rules it must keep itself.

No key material stands twice, and (`bad_charter` names the first that is broken):

1. n guards are at least 3f+1
2. every objector and approver of a zone is a listed person
3. the zone `*` has objectors
4. every threshold is at least one person; and in a `standard` charter
5. f is at least one, and every threshold at least two persons, also of zones with approvers
6. every guard has an operator of its own
7. more than f operators observe
8. the notice window is at least 15 minutes

`demo` and `single-operator` charters are weaker and say so on every page.
"""

from collections.abc import Iterator

from answerable.kernel.canon import Json, conforms, shape
from answerable.kernel.checkpoint import Pair
from answerable.kernel.errors import demand
from answerable.kernel.note import COSIGNATURE, ED25519, MLDSA44, Key, parse_vkey
from answerable.kernel.sshsig import person_key

# Somebody whose signature a charter knows: (`person|guard|observer|planner|host`, name).
Signatory = tuple[str, str]
ROLES = ("witness", "post", "attester")
# Of a standard charter: shortest notice window, seconds; fewest persons of a threshold.
WINDOW, MANY = 900, 2

_LIMITS = shape(
    "window:int grace:int validity:int undo_validity:int freshness:int soak:int "
    "authorization_delay:int hosts_day:int hosts_week:int hosts_artefact:int",
    approvals=[shape("hosts:int people:int")], opens=("accepted", "acknowledged"),
    emergency=shape("people:int window:int grace:int hosts:int validity:int"))  # fmt: skip
CHARTER = shape("name:text number:int previous:hex? start:hex? expires:int faults:int",
    mode=("standard", "demo", "single-operator"),
    people={"*": {"keys": ["text"], "roles": ["id"]}},
    zones={"*": shape("threshold:int", objectors=["id"], approvers=["id"])},
    guards={"*": shape("operator:id url:name herald:vkey", **{role: ["vkey"] for role in ROLES})},
    observers={"*": shape("operator:id key:vkey")},
    planners={"*": "vkey"},
    logs=dict.fromkeys(("authority", "report"), shape("origin:name", keys=["vkey"])),
    thresholds=shape("charter:int enrolment:int authorization:int approval:int release:int "
                     "lift:int"),
    feeds={"*": (shape("max_age:int"), shape("max_age:int", provenance=("required",)))},
    limits=(_LIMITS, _LIMITS | {"effects": ("demanded",)}),
    caps={"*": shape("bytes:int per_hour:int")})  # fmt: skip


class Charter:
    """A charter that keeps its own rules.

    `guards[role][name]` and `logs[name]` are pairs of keys, `owners` says whose key signs
    statements, `quorum` is ceil((n+f+1)/2).
    """

    def __init__(self, body: Json, charter_id: str) -> None:
        """Check a charter's body and make it usable.

        Raises:
            Refused: `malformed`, `bad_key` or `bad_charter`.
        """
        demand(conforms(body, CHARTER), "malformed", "a charter of another shape")
        self.body, self.id, self.limits = body, charter_id, body["limits"]
        self.origin: str = body["logs"]["authority"]["origin"]
        named, people, self.faults = body["guards"].items(), body["people"].items(), body["faults"]
        self.quorum = (len(named) + self.faults + 2) // 2
        self.logs = {log: _pair(v["keys"], ED25519) for log, v in body["logs"].items()}
        self.guards = {r: {g: _pair(v[r], COSIGNATURE) for g, v in named} for r in ROLES}
        keys = [(parse_vkey(v["herald"]), ("guard", g)) for g, v in named]
        keys += [(parse_vkey(v["key"]), ("observer", o)) for o, v in body["observers"].items()]
        keys += [(parse_vkey(v), ("planner", p)) for p, v in body["planners"].items()]
        demand({key.kind for key, _ in keys} <= {ED25519}, "bad_key", "statements need type 1")
        keys += [(person_key(p, line), ("person", p)) for p, v in people for line in v["keys"]]
        pairs = [*self.logs.values(), *(p for role in self.guards.values() for p in role.values())]
        material = [key.public for key, _ in keys] + [key.public for pair in pairs for key in pair]
        demand(len(set(material)) == len(material), "bad_charter", "a key stands twice")
        self.owners: dict[Key, Signatory] = dict(keys)
        for number, kept in enumerate(self._rules(), 1):
            demand(kept, "bad_charter", f"rule {number} of a charter is broken")

    def _rules(self) -> Iterator[object]:
        b, f, n = self.body, self.faults, len(self.body["guards"])
        yield n >= 3 * f + 1
        zones = b["zones"].values()
        yield {p for z in zones for p in z["objectors"] + z["approvers"]} <= b["people"].keys()
        yield b["zones"].get("*", {}).get("objectors")
        yield (least := min(b["thresholds"].values())) >= 1
        if b["mode"] == "standard":
            yield f and min([least, *(z["threshold"] for z in zones if z["approvers"])]) >= MANY
            yield len({guard["operator"] for guard in b["guards"].values()}) == n
            yield len({observer["operator"] for observer in b["observers"].values()}) > f
            yield b["limits"]["window"] >= WINDOW

    def zone(self, zone: str) -> Json:
        """Give a zone's people; an unknown zone is the zone `*`."""
        return self.body["zones"].get(zone) or self.body["zones"]["*"]

    def with_role(self, people: set[str], role: str) -> set[str]:
        """Keep those who are listed now and hold a role (any, if it is empty)."""
        listed = self.body["people"]
        return {p for p in people if p in listed and role in ["", *listed[p]["roles"]]}

    def enough(self, people: set[str], what: str) -> set[str]:
        """Give those who may decide on `what`, if they reach its threshold.

        Raises:
            Refused: `not_enough_people`.
        """
        able = self.with_role(people, {"enrolment": "fleet", "charter": ""}.get(what, "approver"))
        need = self.body["thresholds"][what]
        demand(len(able) >= need, "not_enough_people", f"{len(able)} of {need} for {what}")
        return able

    def zone_agrees(self, people: set[str], zone: str) -> bool:
        """Tell whether enough of a zone's approvers are among these people."""
        rule = self.zone(zone)
        return bool(len(people & set(rule["approvers"])) >= max(1, rule["threshold"]))


def _pair(vkeys: list[str], first: int) -> Pair:
    keys = [parse_vkey(v) for v in vkeys]
    demand([k.kind for k in keys] == [first, MLDSA44], "bad_key", f"needs types {first} and 6")
    return keys[0], keys[1]
