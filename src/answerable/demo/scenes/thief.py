"""What a thief does who took control plane and log server: keys, disks, ports.

    python -m answerable.demo.scenes.thief forge STOLEN {"base": "<digest>", "edit": "..", ..}
    python -m answerable.demo.scenes.thief bundle STOLEN {"notice": .., "host": .., "edit": ..}
    python -m answerable.demo.scenes.thief swallow LOG-DIRECTORY

`forge` writes a plan beside the stolen ones, `bundle` a bundle into what the thief serves in place
of the control plane, `swallow` runs the log server without its vetoes. Each prints one JSON line.
Everything is made with the stolen files and reaches hosts, guards and log over their real ports.
"""

import base64
import json
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from answerable.bootstrap.log import run_log
from answerable.bootstrap.planning import Planning, Wish
from answerable.bootstrap.serve import http_client
from answerable.changes.build import Fleet, Services, build
from answerable.changes.plan import Noticed, Plan, bundle, read
from answerable.config import read_party, write_private
from answerable.kernel.canon import Json, decode, encode
from answerable.kernel.errors import Unavailable
from answerable.ledger.admission import Admitted, AuthorityGate

Edit = dict[str, Any]
PLAN = 256 << 20
OWN = b"not what anybody built or released"


def forge(planning: Planning, edit: Edit) -> Json:
    """Make a plan from an honest one; give its digest."""
    if edit["edit"] == "relabel":
        text = _relabelled(planning, edit["host"], edit["not"]).text
    else:
        honest = read((planning.party.directory / "plans" / edit["base"]).read_bytes())
        text = encode(_FORGED[edit["edit"]](honest, edit))
    made = Plan(text)
    write_private(planning.party.directory / "plans" / made.digest, text.encode())
    return {"digest": made.digest}


def _title(honest: Plan, edit: Edit) -> Json:
    return {**honest.body, "title": edit["title"]}


def _together(honest: Plan, _: Edit) -> Json:
    orders = [_order(text, 0) for ring in honest.rings for text in ring]
    return {**honest.body, "rings": [orders]}


def _alone(honest: Plan, edit: Edit) -> Json:
    texts = [text for ring in honest.rings for text in ring]
    mine = [_order(text, 0) for text in texts if json.loads(text)["host"] == edit["host"]]
    return {**honest.body, "rings": [mine], "title": edit["title"]}


def _own(honest: Plan, _: Edit) -> Json:
    order = json.loads(honest.rings[0][0])
    upgrade = next(c for c in order["changes"] if c["type"] == "upgrade")
    upgrade["packages"][0]["sha256"] = sha256(OWN).hexdigest()
    return {**honest.body, "rings": [[encode(order)]]}


def _effects(honest: Plan, edit: Edit) -> Json:
    first = json.loads(honest.rings[0][0])["host"]
    alone = _alone(honest, {"host": first, "title": honest.body["title"], **edit})
    order = json.loads(alone["rings"][0][0])
    for change in order["changes"] + order["undo"]:
        if "effects" in change:
            change["effects"] = sha256(OWN).hexdigest()
    return {**alone, "rings": [[encode(order)]]}


_FORGED: dict[str, Callable[[Plan, Edit], Json]] = {
    "title": _title, "together": _together, "alone": _alone, "own": _own,
    "effects": _effects,
}  # fmt: skip


def _order(text: str, ring: int) -> str:
    return encode({**json.loads(text), "ring": ring})


def _relabelled(planning: Planning, host: str, but: Sequence[str]) -> Plan:
    known, ranked, inventories, _ = planning.exposures()
    mine = [replace(i, zones=frozenset({"web"})) for i in inventories if i.host == host]
    seen = [r for r in ranked if r.exposure.host == host]
    seen = [r for r in seen if r.exposure.installed.package not in but]
    shown = [replace(r, exposure=replace(r.exposure, zones=frozenset({"web"}))) for r in seen]
    mandate, judge = planning._mandate(Wish("routine", "urgent-security", "medium"))  # noqa: SLF001
    services = {host: Services(("appliance",), ("appliance",))}
    return build(mandate, Fleet(mine, services), shown, known, judge)


def make_bundle(planning: Planning, edit: Edit, served: Path) -> Json:
    """Make a bundle and serve it to a host; give what the host's refusal will name."""
    known = planning.logs.authority()
    row = known.find(edit["notice"])
    plan = planning.read_plan(row["body"]["plan"])
    found = plan.find(edit.get("order") or edit["host"])
    assert found is not None, edit
    told = None if edit["edit"] == "nobody" else known.noticed(edit["notice"])
    seen = told or known.first(row["index"]) or known.seen[-1]
    grant = known.state.authorizations.get(row["body"]["authorization"])
    first = known.first(grant["index"]) if grant else None
    noticed = Noticed(edit["notice"], seen.note, first.note if first else "")
    snapshots = [planning.snapshot(release) for release in row["body"]["releases"]]
    body = _bundled(plan, found, noticed, snapshots)
    if edit["edit"] in _BENT:
        body = _BENT[edit["edit"]](body)
    return serve(served, [edit["host"]], body)


def _bundled(plan: Plan, found: tuple[int, int], noticed: Noticed, snapshots: Any) -> Json:  # noqa: ANN401
    own = sha256(OWN).hexdigest()
    if own not in plan.artefacts:
        return decode(bundle(plan, *found, noticed, snapshots).encode(), 1 << 20)
    # No snapshot holds the thief's package, so nothing that is true can be said for it.
    ring, place = found
    return {"order": plan.rings[ring][place], "index": place, "path": [], "facts": [],
            "notice": noticed.notice, "checkpoint": noticed.checkpoint,
            "authorization_checkpoint": noticed.authorization_checkpoint}  # fmt: skip


def serve(served: Path, hosts: Iterable[str], body: Json) -> Json:
    """Serve a bundle to hosts, and nothing else to them."""
    data = encode(body).encode()
    digest = sha256(data).hexdigest()
    for folder in ("bundle", "bundles"):
        (served / folder).mkdir(exist_ok=True)
    (served / "bundle" / digest).write_bytes(data)
    for host in hosts:
        (served / "bundles" / host).write_text(json.dumps([digest]))
    order = sha256(body["order"].encode()).hexdigest()
    return {"digest": digest, "order": order, "notice": body["notice"]}


def _no_notice(body: Json) -> Json:
    return {**body, "notice": sha256(b"never said").hexdigest()}


def _backdated(body: Json) -> Json:
    """Set each cosignature's time back by an hour (tlog-cosignature: the first 8 bytes)."""

    def back(found: "re.Match[str]") -> str:
        blob = bytearray(base64.b64decode(found[2]))
        then = int.from_bytes(blob[4:12], "big") - 3600
        blob[4:12] = then.to_bytes(8, "big")
        return f"{found[1]}{base64.b64encode(bytes(blob)).decode()}"

    bent = re.sub(r"(?m)^(\u2014 \S+/witness )(\S+)$", back, body["checkpoint"])
    return {**body, "checkpoint": bent}


def _forged_facts(body: Json) -> Json:
    facts = []
    for given in body["facts"]:
        fact = json.loads(given["fact"])
        if fact["kind"] == "advisory":
            fact |= {"urgency": "critical", "exploited": True}
        facts.append({**given, "fact": encode(fact)})
    return {**body, "facts": facts}


_BENT: dict[str, Callable[[Json], Json]] = {
    "no_notice": _no_notice, "backdated": _backdated, "facts": _forged_facts,
}  # fmt: skip


def swallow(directory: Path) -> None:
    """Run the log server; it takes everything except vetoes."""
    honest = AuthorityGate.submit

    def submit(self: AuthorityGate, entries: Sequence[bytes]) -> Admitted:
        if any(b'"type":"veto"' in entry for entry in entries):
            raise Unavailable("the log is busy")
        return honest(self, entries)

    AuthorityGate.submit = submit  # type: ignore[method-assign]
    run_log(read_party(directory, "log"))


def main(argv: Sequence[str]) -> None:
    """Do one thing."""
    what, directory = argv[0], Path(argv[1])
    if what == "swallow":
        swallow(directory)
        return
    edit: Edit = json.loads(argv[2])
    planning = Planning(read_party(directory, "control"), http_client())
    planning.logs.refresh()
    if what == "forge":
        done = forge(planning, edit)
    else:
        done = make_bundle(planning, edit, Path(edit["served"]))
    sys.stdout.write(json.dumps(done) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
