"""The charter: who may say what, as one closed structure, and the rules it must keep itself.

A charter is refused (`bad_charter`) unless n guards >= 3f+1, every threshold is at least one, every
named person and key exists and no key material stands twice. A `standard` charter further needs
f >= 1, guards of n operators, f+1 observers of as many, thresholds of two persons, and a notice
window of 15 minutes. `demo` and `single-operator` charters are weaker and say so on every page.
"""

from answerable.kernel.canon import Json, conforms, shape
from answerable.kernel.checkpoint import Pair
from answerable.kernel.errors import demand
from answerable.kernel.note import COSIGNATURE, ED25519, MLDSA44, Key, parse_vkey
from answerable.kernel.sshsig import person_key

Signatory = tuple[str, str]
"""Somebody whose signature a charter knows: (`person|guard|observer|planner|host`, name)."""
ROLES = ("witness", "post", "attester")
WINDOW = 900
"""Shortest notice window of a standard charter, seconds."""

_PAIRS = dict.fromkeys(ROLES, ["vkey"])
SHAPE = shape(
    "name:text number:int previous:hex? expires:int faults:int",
    mode=("standard", "demo", "single-operator"),
    people={"*": {"keys": ["text"], "roles": ["id"]}},
    zones={"*": shape("threshold:int", objectors=["id"], approvers=["id"])},
    guards={"*": shape("operator:id url:name herald:vkey", **_PAIRS)},
    observers={"*": shape("operator:id key:vkey")},
    planners={"*": "vkey"},
    logs=dict.fromkeys(("authority", "report"), shape("origin:name", keys=["vkey"])),
    start=shape("origin:text size:int root:hex? state:hex?"),
    thresholds=shape("charter:int authorization:int approval:int enrolment:int lift:int release:int"),
    feeds={"*": shape("max_age:int")},
    limits=shape(
        "window:int grace:int validity:int undo_validity:int freshness:int soak:int "
        "authorization_delay:int hosts_day:int hosts_week:int hosts_artefact:int",
        approvals=[["int"]], opens=("accepted", "acknowledged"),
        emergency=shape("people:int window:int hosts:int validity:int")),
    caps={"*": shape("bytes:int per_hour:int")},
)  # fmt: skip


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
        demand(conforms(body, SHAPE), "malformed", "a charter of another shape")
        self.body, self.id, self.limits = body, charter_id, body["limits"]
        named, self.faults = body["guards"].items(), body["faults"]
        self.quorum = (len(named) + self.faults + 2) // 2
        self.logs = {log: _pair(v["keys"], ED25519) for log, v in body["logs"].items()}
        self.guards = {r: {g: _pair(v[r], COSIGNATURE) for g, v in named} for r in ROLES}
        self.owners: dict[Key, Signatory] = {}
        for person, v in body["people"].items():
            self.owners |= {person_key(person, line): ("person", person) for line in v["keys"]}
        plain = [("guard", g, v["herald"]) for g, v in named]
        plain += [("observer", o, v["key"]) for o, v in body["observers"].items()]
        plain += [("planner", p, v) for p, v in body["planners"].items()]
        for kind, name, vkey in plain:
            demand((key := parse_vkey(vkey)).kind == ED25519, "bad_key", f"`{name}` needs type 1")
            self.owners[key] = (kind, name)
        for rule, kept in self._rules().items():
            demand(kept, "bad_charter", rule)

    def _rules(self) -> dict[str, object]:
        b, f, n = self.body, self.faults, len(self.body["guards"])
        pairs = [*self.logs.values(), *(p for role in self.guards.values() for p in role.values())]
        keys = [key.public for pair in pairs for key in pair] + [key.public for key in self.owners]
        spoken = sum(len(p["keys"]) for p in b["people"].values())
        spoken += n + len(b["observers"]) + len(b["planners"]) + 2 * len(pairs)
        named = {p for z in b["zones"].values() for p in z["objectors"] + z["approvers"]}
        lax, least = b["mode"] != "standard", min(b["thresholds"].values())
        watchers = {o["operator"] for o in b["observers"].values()}
        return {
            "n guards must be at least 3f+1": n >= 3 * f + 1,
            "a key stands twice": len(set(keys)) == spoken,
            "a zone names a person who is not listed": named <= b["people"].keys(),
            "the zone `*` must name objectors": b["zones"].get("*", {}).get("objectors"),
            "an approval step is [hosts, people]": {len(s) for s in b["limits"]["approvals"]} <= {2},
            "a threshold below one": least >= 1,
            "standard: f and thresholds too small": lax or (f >= 1 and least >= 2),
            "standard: guards of n operators": lax
            or len({g["operator"] for g in b["guards"].values()}) == n,
            "standard: f+1 observers of as many operators": lax or len(watchers) > f,
            "standard: a window of 15 minutes": lax or b["limits"]["window"] >= WINDOW,
        }

    def zone(self, zone: str) -> Json:
        """Give a zone's people; an unknown zone is the zone `*`."""
        return self.body["zones"].get(zone) or self.body["zones"]["*"]

    def with_role(self, people: set[str], role: str) -> set[str]:
        """Keep those who are listed now and hold a role."""
        listed = self.body["people"]
        return {p for p in people if p in listed and role in listed[p]["roles"]}

    def zone_agrees(self, people: set[str], zone: str) -> bool:
        """Tell whether enough of a zone's approvers are among these people."""
        rule = self.zone(zone)
        return len(people & set(rule["approvers"])) >= max(1, rule["threshold"])


def _pair(vkeys: list[str], first: int) -> Pair:
    keys = [parse_vkey(v) for v in vkeys]
    demand([k.kind for k in keys] == [first, MLDSA44], "bad_key", f"needs types {first} and 6")
    return keys[0], keys[1]
