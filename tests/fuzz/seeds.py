"""Valid bytes of every kind, as the simulator and the unit tests make them."""

import io
import json
import zipfile
from hashlib import sha256

from answerable.feeds import candidate
from answerable.kernel import sshsig
from answerable.kernel.canon import Json, encode
from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.note import ED25519
from answerable.keys.sign import sign_note
from answerable.ledger.heads import sign_head
from tests.changes.planning import plan
from tests.exposure.fleet import host
from tests.feeds.fakes import MemorySource, advisory, artefact
from tests.simulator import Simulator
from tests.simulator import constitution as law
from tests.simulator.keys import pair, signer, ssh
from tests.simulator.log import tree_of

SIM = Simulator()
ORDER = SIM.permitted(edit=law.effects())
SIM.act(ORDER)
FRESH, WEB1 = SIM.fresh("web1"), signer("web1").key
HOST = SIM.host(ORDER, "restart" if "restart" in ORDER.text else "up")
LAW, BUNDLE = SIM.state.law(), SIM.bundle(ORDER)
RECORDS = [entry for logged, entry in SIM.history if logged]
VETO = SIM.write("veto", law.veto(targets=["debian:12/libssl3@1"]), "lee")
SPACE, SIGNED = "answerable/approval/v1", b"approve this\n"
PEOPLE = {p: sshsig.person_key(p, ssh(p).line) for p in ("dana", "fay")}
CONSUME = SIM.acks["web1"]
BLOBS = [ssh(p).sign(SIGNED, SPACE) for p in PEOPLE]
LINES = [ssh(p).line.encode() for p in PEOPLE]
GUARD, LOG_KEY = signer("g1").key, pair("log.example/authority", 1)[0].key.vkey().encode()
HEAD, ENROLLED = SIM.checkpoint().encode(), SIM.members["web1"].enrolled
PROOF = {"enrolment": ENROLLED.enrolment, "index": ENROLLED.place,
         "path": [h.hex() for h in ENROLLED.path], "record": ENROLLED.record}  # fmt: skip
_PROPOSED = candidate.propose("debian", (MemorySource((artefact(), advisory())),), ["openssl"], 0)
assert isinstance(_PROPOSED, candidate.Candidate)
CANDIDATE = _PROPOSED.text.encode()
RELEASE = f"Suite: s\nCodename: c\nDate: Fri, 20 Nov 2026 00:12:41 UTC\nSHA256:\n {'a' * 64} 7 x\n"
PLAN = encode({"rings": [[ORDER.text]]}).encode()
LISTED = {"rings": [{"size": 1, "root": tree_of([ORDER.text]).root().hex()}]}
SETTINGS: Json = {
    "control": "http://c:1", "log": "http://l:1", "guards": {"g1": "http://g:1"}, "poll": 1,
    "zones": ["web"], "driver": {"kind": "venv", "path": "/v"}, "services": {"kind": "initd"},
    "checks": {"web": {"url": "http://127.0.0.1:80/health", "within": 6}},
}  # fmt: skip
METADATA = b"Metadata-Version: 2.1\nName: Flask_Thing\nVersion: 2.3.1\n\nWords.\n"
SIMULATED = b"Inst libssl3 [1.0] (2.0 Debian:12 [amd64])\nConf libssl3 (2.0 Debian:12 [amd64])\n"
LISTED_BUNDLES = json.dumps([sha256(b"x").hexdigest()]).encode()
OWN_HEAD = sign_head(
    Checkpoint(SIM.origin, SIM.state.tree.size, SIM.state.tree.root()), 7, pair(SIM.origin, ED25519)
)
WHOLE_PLAN = plan([host("web1"), host("web2")]).text.encode()
CARDS = [
    {"party": "log", "logs": LAW.body["logs"]},
    *({"party": "guard", "name": name, **card} for name, card in LAW.body["guards"].items()),
    *({"party": "observer", "name": n, **card} for n, card in LAW.body["observers"].items()),
    *({"party": "control", "name": n, "key": key} for n, key in LAW.body["planners"].items()),
]
FACTS = law.FACTS
RECEIPT = sign_note(
    encode({"fleet": SIM.fleet, "statement": "ab" * 32, "time": 7}) + "\n", signer("g1")
)
ADD = b"old 0\n\n" + HEAD
ASK = encode({"host": "web1", "nonce": "00" * 16, "consume": ""}).encode()
CONDITION = encode(law.authorization()["clauses"][0]["when"]).encode()


def wheel() -> bytes:
    """Make a wheel with what a driver reads of it."""
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        file.writestr("flask-2.3.1.dist-info/METADATA", METADATA)
        file.writestr("flask-2.3.1.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
    return made.getvalue()


def yaml(text: str) -> bytes:
    """Fill in what people leave open in the demo's rules."""
    given = {"dana": ssh("dana").line, "lee": ssh("lee").line, "feed": "updates",
             "vendor": "vendor", "expires": "2027-03-01", "review": "2027-02-01"}  # fmt: skip
    return text.format(**given).encode()
