"""The fleet of the simulator: charter, people, zones, guards, hosts, facts, standing authorization.

Four guards of four operators, one of which may lie; two observers; a planner; five approvers, of
whom Lee, Mo and Kim may object. `charter()`, `authorization()` and `order()` give fresh values that
a test may change before they are signed.
"""

from collections.abc import Callable

from answerable.kernel.canon import Json, encode
from answerable.kernel.merkle import leaf_hash
from answerable.kernel.note import COSIGNATURE, ED25519
from tests.simulator.keys import pair, signer, ssh, vkeys

T0 = 1_800_000_000
HOUR, DAY, WEEK = 3_600, 86_400, 604_800
GUARDS = ("g1", "g2", "g3", "g4")
OBSERVERS = ("o1", "o2")
ROLES = ("witness", "post", "attester")
PEOPLE = {
    "dana": ["approver", "fleet"],
    "lee": ["approver", "fleet"],
    "kim": ["approver"],
    "mo": ["approver"],
    "fay": ["approver"],
    "ava": ["auditor"],
}
OBJECTORS = {"web": ["lee"], "api": ["kim", "lee"], "pci": ["lee", "mo"], "legacy": ["mo"]}
HOSTS: dict[str, list[str]] = {
    "web1": ["web"], "web2": ["web"], "web3": ["web"], "api1": ["api"], "api2": ["api"],
    "legacy1": ["legacy"], "pci1": ["pci"], "pci2": ["pci"], "bare1": [],
}  # fmt: skip
RINGS = (("web1",), ("web2", "api1"), ("web3", "api2"))
FEED = "debian-security"
DEBIAN = "debian:12"
OLD, NEW = "3.0.11-1~deb12u1", "3.0.17-1~deb12u2"


def authority_origin(number: int = 1) -> str:
    """Name the authority log; another number is the log that the fleet moves to."""
    return "log.example/authority" + (f"-{number}" if number > 1 else "")


def charter() -> Json:
    """Give the body of charter 1, of mode `standard`."""
    guards = {
        g: {
            "operator": f"{g}-operator",
            "url": f"https://{g}.example",
            **guard_keys(g),
        }
        for g in GUARDS
    }
    zones = {z: {"objectors": p, "approvers": p, "threshold": 2} for z, p in OBJECTORS.items()}
    zones["web"] = {"objectors": ["lee"], "approvers": [], "threshold": 2}
    zones["*"] = {"objectors": ["dana", "lee"], "approvers": [], "threshold": 2}
    steps = ("charter", "enrolment", "authorization", "approval", "lift", "release")
    return {
        "name": "simulated fleet",
        "mode": "standard",
        "number": 1,
        "previous": "",
        "expires": T0 + 52 * WEEK,
        "faults": 1,
        "people": {p: {"keys": _lines(p), "roles": roles} for p, roles in PEOPLE.items()},
        "zones": zones,
        "guards": guards,
        "observers": {o: {"operator": o, "key": signer(o).key.vkey()} for o in OBSERVERS},
        "planners": {"planner1": signer("planner1").key.vkey()},
        "logs": {
            "authority": _log(authority_origin()),
            "report": _log("log.example/report"),
        },
        "start": "",
        "thresholds": dict.fromkeys(steps, 2),
        "feeds": {FEED: {"max_age": DAY}, "pypi": {"max_age": DAY}},
        "limits": _limits(),
        "caps": {"veto": {"bytes": 2048, "per_hour": 100}},
    }


def guard_keys(guard: str) -> Json:
    """Give a guard's keys, one a role."""
    roles = {r: vkeys(pair(f"{guard}.example/{r}", COSIGNATURE)) for r in ROLES}
    return {**roles, "herald": signer(f"{guard}.example/herald").key.vkey()}


def _lines(person: str) -> list[str]:
    return [ssh(person, number).line for number in (1, 2)]


def _log(origin: str) -> Json:
    return {"origin": origin, "keys": vkeys(pair(origin, ED25519))}


def _limits() -> Json:
    return {
        "window": 1800, "grace": 60, "validity": DAY, "undo_validity": 4 * WEEK, "freshness": 300,
        "soak": 600, "authorization_delay": HOUR, "hosts_day": 20, "hosts_week": 40,
        "hosts_artefact": 60, "approvals": [{"hosts": 25, "people": 2}], "opens": "accepted",
        "emergency": {"people": 3, "window": 300, "grace": 0, "hosts": 6, "validity": 4 * HOUR},
    }  # fmt: skip


def authorization() -> Json:
    """Give a standing authorization: urgent fixes, not pci, not legacy, in rings of 1, 2 and 9."""
    when = {"any": [{"fact": "urgency", "in": ["high", "critical"]},
                    {"fact": "exploited", "is": True}]}  # fmt: skip
    clauses = [{"name": "urgent", "when": when, "rings": [1, 2, 9], "validity": DAY}]
    return {
        "name": "urgent-security", "owner": "dana", "window": 1800, "max_hosts": 15, "ticket": "",
        "review_by": T0 + 26 * WEEK, "excludes": ["legacy", "pci"], "clauses": clauses,
        "undo": {"share_permille": 400}, "effects": ["reboot"],
        "recipients": ["lee", "kim"], "hours": [],
    }  # fmt: skip


def advisory(name: str, package: str, fixed: str, **other: Json) -> str:
    """Spell an advisory fact."""
    fact = {
        "kind": "advisory", "id": name, "ecosystem": DEBIAN, "package": package, "source": package,
        "fixed": fixed, "urgency": "high", "cves": [name], "cvss": 75, "exploited": False,
        "published": T0 - DAY,
    }  # fmt: skip
    return encode({**fact, **other})


def artefact(package: str, version: str) -> str:
    """Spell an artefact fact; the bytes' hash follows from the name."""
    return encode({
        "kind": "artefact", "ecosystem": DEBIAN, "package": package, "version": version,
        "arch": "amd64", "sha256": blob(package, version), "size": 4096, "source": package,
        "path": f"pool/{package}_{version}.deb",
    })  # fmt: skip


def blob(package: str, version: str) -> str:
    """Give the hash of a package's bytes."""
    return leaf_hash(f"{package}={version}".encode()).hex()


SSL_FIX = advisory("CVE-2026-0001", "libssl3", NEW)
FACTS = tuple(sorted((
    SSL_FIX,
    advisory("CVE-2026-0002", "libssl3", "3.0.16-1~deb12u1", urgency="low"),
    advisory("CVE-2026-0003", "libssl3", "3.0.20-1"),
    advisory("CVE-2026-0004", "liblzma5", "5.4.2-0", urgency="low", exploited=True),
    advisory("CVE-2026-0005", "curl", "7.88.1-10+deb12u9", urgency="low"),
    *(artefact(p, v) for p in ("libssl3", "openssl") for v in (OLD, NEW)),
    artefact("liblzma5", "5.4.1-0"), artefact("liblzma5", "5.4.2-0"),
    artefact("curl", "7.88.1-10+deb12u5"), artefact("curl", "7.88.1-10+deb12u9"),
), key=str.encode))  # fmt: skip


def fact_id(text: str) -> str:
    """Give a fact's leaf hash."""
    return leaf_hash(text.encode()).hex()


def move(package: str, old: str, new: str) -> Json:
    """Give what one package is moved from and to."""
    return {"name": package, "from": old, "to": new, "sha256": blob(package, new)}


def upgrade(name: str, *packages: Json, caused_by: str = "") -> Json:
    """Give an upgrade change."""
    return {"id": name, "type": "upgrade", "caused_by": caused_by, "risk": "medium",
            "ecosystem": DEBIAN, "packages": list(packages)}  # fmt: skip


def fix(package: str, old: str, new: str, *facts: str, dependency_of: str = "") -> Json:
    """Give one package of an upgrade, citing advisories."""
    cited = [fact_id(fact) for fact in facts]
    return {**move(package, old, new), "advisories": cited, "for": dependency_of}


def order(fleet: str, host: str, instance: str, ring: int) -> Json:
    """Give the order that the simulator plans for a host: a fix, a restart, a health check."""
    ssl = fix("libssl3", OLD, NEW, SSL_FIX)
    tool = fix("openssl", OLD, NEW, dependency_of="libssl3")
    back = [move("libssl3", NEW, OLD), move("openssl", NEW, OLD)]
    after = {"caused_by": "up", "risk": "low"}
    return {
        "fleet": fleet, "host": host, "instance": instance, "ring": ring,
        "changes": [
            upgrade("up", ssl, tool),
            {"id": "restart", "type": "restart", "unit": "nginx.service", **after},
            {"id": "health", "type": "health", "check": "nginx", **after},
        ],
        "undo": [
            {"id": "undo-up", "type": "undo", "undoes": "up", "caused_by": "health",
             "risk": "high", "ecosystem": DEBIAN, "packages": back},
            {"id": "undo-restart", "type": "restart", "unit": "nginx.service", "risk": "low",
             "caused_by": "undo-up"},
        ],
    }  # fmt: skip


EFFECTS = leaf_hash(b"what the upgrade does to files").hex()


def effects(*classes: str, told: str = EFFECTS) -> Callable[[Json], None]:
    """Let an order name what its upgrade, and so its undo, does to files."""

    def edit(order: Json) -> None:
        for change in (order["changes"][0], order["undo"][0]):
            change |= {"effects": told, "classes": list(classes)}

    return edit


def demanding(charter: Json) -> None:
    """Let a charter demand that every upgrade names its effects."""
    charter["limits"]["effects"] = "demanded"


def reverse(order: Json) -> None:
    """Let the order's undo move its upgrade exactly back."""
    up, back = order["changes"][0], order["undo"][0]
    back["packages"] = [move(p["name"], p["to"], p["from"]) for p in up["packages"]]


def veto(**fields: Json) -> Json:
    """Give a veto's body."""
    return {"notice": "", "artefacts": [], "targets": [], "undo": False, "authorization": "",
            "reason": "not tonight"} | fields  # fmt: skip


def approval(notice: str, *, undo: bool = False) -> Json:
    """Give an approval's body."""
    return {"notice": notice, "reason": "I have read it", "undo": undo}


def withdrawal(artefacts: tuple[str, ...] = (), facts: tuple[str, ...] = ()) -> Json:
    """Give a withdrawal's body."""
    return {"artefacts": list(artefacts), "facts": list(facts), "reason": "it was replaced"}


def by_people(notice: Json) -> None:
    """Turn a notice into one that relies on approvals."""
    notice |= {"basis": "approvals", "authorization": "", "clause": ""}
