"""Scene 1: a charter that its own threshold signs, hosts that people enrol, an authorization.

People write YAML and sign what `draft` spelt with `ssh-keygen -Y sign`; `assemble` puts the
signatures under it. Every time in charter and authorization is seconds here, and the story says so.
"""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from answerable.bootstrap.serve import clock
from answerable.demo import appliance, vendor
from answerable.demo.distribution import this_machine
from answerable.demo.scenes.cast import (
    CONTROL,
    GUARDS,
    LOG,
    OBSERVERS,
    PEOPLE,
    READER,
    Cast,
    at_once,
)
from answerable.demo.scenes.hosts import ZONES, Agents

FEED, VENDOR = "updates", "vendor"
AUTHORIZATION = "urgent-security"
RECONCILE = 60
"""How often observers look for changes that nobody ordered, seconds."""
CHARTER = """\
name: answerable-demo
mode: demo            # not `standard`: every time below is seconds, to be watched
expires: {expires}
faults: 1
people:
  dana: {{roles: [approver, fleet], keys: ["{dana}"]}}
  lee: {{roles: [approver, fleet], keys: ["{lee}"]}}
zones:
  "*": {{objectors: [dana, lee], approvers: [], threshold: 1}}
  legacy: {{objectors: [dana, lee], approvers: [dana], threshold: 1}}
  pci: {{objectors: [lee, dana], approvers: [dana, lee], threshold: 2}}
thresholds: {{charter: 2, authorization: 2, approval: 2, enrolment: 2, lift: 2, release: 1}}
feeds: {{{feed}: {{max_age: 1d}}, {vendor}: {{max_age: 1d}}}}
limits:
  window: 8s          # a standard charter has 15 minutes at least
  grace: 1s
  validity: 4h
  undo_validity: 4h
  freshness: 20s
  soak: 3s
  authorization_delay: 2s
  hosts_day: 500
  hosts_week: 500
  hosts_artefact: 500
  approvals: [{{hosts: 50, people: 2}}]
  opens: accepted
  emergency: {{people: 2, window: 4s, grace: 1s, hosts: 5, validity: 1h}}
"""
POLICY = """\
name: urgent-security
owner: dana
clauses:
  - name: urgent
    when: {{any: [{{fact: urgency, in: [high, critical]}}, {{fact: exploited, is: true}}]}}
    rings: [1, 2, 1, 500]
    validity: 4h
  - name: medium
    when: {{fact: urgency, in: [medium, high, critical]}}
    rings: [1, 2, 1, 500]
    validity: 4h
excludes: [pci, legacy]
max_hosts: 500
window: 8s            # seconds, for this demo
undo: {{share_permille: 400}}
recipients: [lee]
ticket: CHG-1042
review_by: {review}
"""


def play(cast: Cast, agents: Agents, cache: Path) -> None:
    """Found the fleet; at its end log, guards, observers and control plane run, all agents too."""
    tell = cast.tell
    tell.scene(1, "Founding: who may say what, and who said so")
    if cast.ground.kind == "real":
        vendor.publish(cast.ground.feed / vendor.SUITE, this_machine().arch, clock())
    charter = _charter(cast)
    tell.line("this is a demo charter: window, grace, renewal, freshness and soak are seconds")
    cast.start(LOG, "log", "serve")
    for name in GUARDS:
        cast.start(name, "guard", "run")
    records = agents.install(charter, cache)
    cast.reach(LOG)
    _enrol(cast, agents, records)
    _authorize(cast)
    _start(cast, agents)
    shown = cast.run("dana", "charter", "show", "charter.note")
    tell.quote(shown.out)


def _charter(cast: Cast) -> Path:
    for person in PEOPLE:
        key = str(cast.place(person) / "id_ed25519")
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", f"{person}@demo", "-f", key]
        cast.run_program(person, words)
    keys = {p: _public(cast, p) for p in PEOPLE}
    cards = _cards(cast)
    for name, card in cards.items():
        cast.write("dana", f"{name}.card", card)
    expires = (datetime.fromtimestamp(clock(), UTC) + timedelta(days=90)).date()
    rules = cast.write(
        "dana", "charter.yaml", CHARTER.format(expires=expires, feed=FEED, vendor=VENDOR, **keys)
    )
    given = [word for name in cards for word in ("--card", cast.place("dana") / f"{name}.card")]
    cast.tell.command("dana", ["answerable", "charter", "draft", "--rules", rules.name,
                               f"--card .. ({len(cards)})", "--out", "charter.txt"])  # fmt: skip
    cast.run(
        "dana", "charter", "draft", "--rules", rules, *given, "--out", "charter.txt", show=False
    )
    _sign(cast, "charter", "charter.txt")
    words = [
        "charter",
        "assemble",
        "charter.txt",
        *_signatures("charter.txt"),
        "--out",
        "charter.note",
    ]
    cast.tell.good(cast.run("dana", *words).err.strip())
    note = cast.place("dana") / "charter.note"
    cast.hand(note, LOG, CONTROL, READER, "lee", *GUARDS, *OBSERVERS)
    return note


def _public(cast: Cast, person: str) -> str:
    words = (cast.place(person) / "id_ed25519.pub").read_text("ascii").split()
    return " ".join(words[:2])


def _cards(cast: Cast) -> dict[str, str]:
    kinds: dict[str, tuple[str, dict[str, object]]] = {
        LOG: ("log", {"renewal": 2}), **dict.fromkeys(GUARDS, ("guard", _guard(cast))),
        **dict.fromkeys(OBSERVERS, ("observer", {})), CONTROL: ("control", {}),
    }  # fmt: skip
    made = at_once(lambda name: cast.init(kinds[name][0], name, kinds[name][1]), kinds)
    return dict(zip(kinds, made, strict=True))


def _guard(cast: Cast) -> dict[str, object]:
    return {
        "log": cast.url(LOG), "control": cast.url(CONTROL), "feeds": feeds(cast),
        "addresses": {person: {"channel": "file", "at": person} for person in PEOPLE},
        "veto_hold": 6, "renew": 2, "retry": 2, "rate": 100, "burst": 200,
    }  # fmt: skip


def feed(cast: Cast) -> dict[str, object]:
    """Give the settings of the feed, as each party has it for itself."""
    ground = cast.ground
    if ground.kind == "application":
        facts = Path(appliance.__file__).parents[1] / "facts.json"
        return {"kind": "application", "ecosystem": "pypi", "wheelhouse": str(ground.feed),
                "facts": str(facts)}  # fmt: skip
    machine = this_machine()
    base = _mirror(cast)
    suites = [
        {"name": suite.name, "url": f"{base}/{suite.label}", "component": "main",
         "max_age": days * 86_400, "base": suite is machine.main}
        for suite, days in ((machine.main, 400), (machine.security, 30))
    ]  # fmt: skip
    return {"kind": "debian", "ecosystem": machine.ecosystem, "keyring": str(machine.keyring),
            "arch": machine.arch, "suites": suites}  # fmt: skip


def feeds(cast: Cast) -> dict[str, object]:
    """Give the settings of all feeds; the vendor's archive is there for real hosts only."""
    if cast.ground.kind == "application":
        return {FEED: feed(cast)}
    machine, url = this_machine(), f"{_mirror(cast)}/{vendor.SUITE}"
    suites = [
        {"name": name, "url": url, "component": "main", "max_age": 86_400,
         "base": name == vendor.SUITE} for name in vendor.SUITES
    ]  # fmt: skip
    ring = cast.ground.feed / vendor.SUITE / vendor.KEYRING
    own = {"kind": "debian", "ecosystem": machine.ecosystem, "keyring": str(ring),
           "arch": machine.arch, "suites": suites}  # fmt: skip
    return {FEED: feed(cast), VENDOR: own}


def _mirror(cast: Cast) -> str:
    return f"http://{cast.ground.hosts.hub_address}:8000"


def _sign(cast: Cast, kind: str, text: str) -> None:
    draft = cast.place("dana") / text
    cast.hand(draft, "lee")
    for person in PEOPLE:
        words = [
            "ssh-keygen",
            "-q",
            "-Y",
            "sign",
            "-f",
            "id_ed25519",
            "-n",
            f"answerable/{kind}/v1",
        ]
        cast.run_program(person, [*words, text])
    signature = cast.place("lee") / f"{text}.sig"
    cast.hand(signature, "dana", called=f"{text}.sig.lee")


def _signatures(text: str) -> list[str]:
    return ["--signature", f"dana={text}.sig", "--signature", f"lee={text}.sig.lee"]


def _enrol(cast: Cast, agents: Agents, records: dict[str, Path]) -> None:
    given: list[object] = []
    for host, record in records.items():
        cast.hand(record, "dana", called=f"{host}.record")
        given += ["--record", f"{host}.record"]
    cast.run("dana", "host", "enrol", *given, "--charter", "charter.note", "--out", "enrol.txt")
    _sign(cast, "enrolment", "enrol.txt")
    words = ["host", "assemble", "enrol.txt", *_signatures("enrol.txt"), *given]
    words += ["--charter", "charter.note", "--out", "enrol.note", "--hosts", "hosts.json"]
    done = cast.run("dana", *words, "--proofs", "proofs", show=False)
    cast.tell.good(done.err.strip())
    cast.run("dana", "log", "submit", "enrol.note", "--log", cast.url(LOG))
    cast.run("dana", "host", "register", "hosts.json", "--log", cast.url(LOG))
    agents.prove({host: cast.place("dana") / "proofs" / f"{host}.json" for host in records})
    groups = {
        z: [h for h, zone in ZONES.items() if zone == z] for z in dict.fromkeys(ZONES.values())
    }
    listed = "; ".join(f"{zone}: {', '.join(hosts)}" for zone, hosts in groups.items())
    cast.tell.good(f"{len(records)} hosts hold the proof that people enrolled them ({listed})")


def _authorize(cast: Cast) -> None:
    review = (datetime.fromtimestamp(clock(), UTC) + timedelta(days=60)).date()
    cast.write("dana", "policy.yaml", POLICY.format(review=review))
    more = ["--charter", "charter.note", "--out"]
    cast.run("dana", "authorization", "draft", "policy.yaml", *more, "policy.txt")
    _sign(cast, "authorization", "policy.txt")
    words = ["authorization", "assemble", "policy.txt", *_signatures("policy.txt"), *more]
    cast.tell.good(cast.run("dana", *words, "policy.note").err.strip())
    cast.run("dana", "log", "submit", "policy.note", "--log", cast.url(LOG))


def _start(cast: Cast, agents: Agents) -> None:
    hosts = cast.place("dana") / "hosts.json"
    cast.hand(hosts, CONTROL, READER)
    proven = {json.loads(row["record"])["host"]: row for row in json.loads(hosts.read_text())}
    cast.init("control", CONTROL, _control(cast, agents.clone))
    for name in OBSERVERS:
        seen = {host: {**_place(cast, host), **proven[host]} for host in proven}
        given = {"log": cast.url(LOG), "control": cast.url(CONTROL), "poll": 1, "hosts": seen,
                 "reconcile": RECONCILE}  # fmt: skip
        cast.init("observer", name, given)
        cast.start(name, "observe", "run")
    cast.start(CONTROL, "serve")
    cast.reach(CONTROL)
    for host in proven:
        agents.start(host)


def _place(cast: Cast, host: str) -> dict[str, object]:
    hosts, real = cast.ground.hosts, cast.ground.kind == "real"
    root = hosts.root_in_hub(host)
    health = f"http://{hosts.address(host)}:{hosts.port(host)}/health"
    return {"root": str(root if real else root / "venv"), "kind": "dpkg" if real else "python",
            "health": health}  # fmt: skip


def _clone(cast: Cast, root: Path) -> dict[str, object]:
    """Serve a clone of the hosts to whoever has no right to do what a rehearsal does."""
    line = cast.directory / "clone.sock"
    words = [sys.executable, "-m", "answerable.demo.rehearser", str(line), str(root)]
    with (cast.directory / "output" / "clone.txt").open("ab") as file:
        cast.running["clone"] = cast.ground.hosts.run_in_hub(words, 0, None, file)
    return {"hosts": {"ecosystem": cast.ground.ecosystem, "socket": str(line)}}


def _control(cast: Cast, clone: Path | None) -> dict[str, object]:
    unit, kind = [appliance.UNIT], {"clone": "hosts"} if clone else {}
    rows = {}
    for host in cast.ground.hosts.names:
        place = _place(cast, host)
        rows[host] = {"root": place["root"], "kind": place["kind"], "units": unit, "checks": unit,
                      "ecosystem": cast.ground.ecosystem, **kind}  # fmt: skip
    clones = _clone(cast, clone) if clone else {}
    pace = {"busy": 1, "idle": 2, "patience": 120}
    return {"log": cast.url(LOG), "feeds": feeds(cast), "hosts": rows, "pace": pace,
            "clones": clones}  # fmt: skip
