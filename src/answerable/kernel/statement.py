"""Statements: what people and machines say in the two logs.

An entry is a signed note whose text is one line of canonical JSON,

    {"body":{..},"charter":1,"fleet":"<hex>","nonce":"<32 hex>","origin":"<log>","type":"veto","version":1}

so every signature covers type, format version, fleet, log, charter version and nonce. Machines sign
with type 0x01; people with SSH, namespace `answerable/<type>/v1`. A statement's id is the SHA-256 of
its text (the same words signed again are the same statement), its leaf hash that of the whole entry.
The fleet id is the id of charter 1, whose own `fleet` is empty.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from hashlib import sha256

from answerable.kernel.canon import Json, conforms, encode, read, shape
from answerable.kernel.charter import SHAPE as CHARTER
from answerable.kernel.charter import Charter, Signatory
from answerable.kernel.errors import demand
from answerable.kernel.merkle import leaf_hash
from answerable.kernel.note import ENTRY, OTHER, Key, Note, plain
from answerable.kernel.sshsig import check_sshsig

VERSION = 1
ENVELOPE = shape("body:any charter:int fleet:hex? nonce:nonce origin:name type:id version:int")
_CLAUSE = shape("name:id when:any validity:int", rings=["int"])
_HOST = "notice:hex order:hex change:id host:id "
AUTHORITY: Mapping[str, Json] = {
    "charter": CHARTER,
    "authorization": shape(
        "name:id owner:id window:int max_hosts:int ticket:text review_by:int", excludes=["id"],
        clauses=[_CLAUSE], undo=shape("share_permille:int"), effects=["id"], recipients=["id"],
        hours=[["int"]]),
    "revocation": shape("authorization:hex reason:text"),
    "enrolment": shape("size:int root:hex"),
    "release": shape("feed:id checkpoint:note model:hex? time:int"),
    "withdrawal": shape("reason:text", artefacts=["hex"], facts=["hex"]),
    "notice": shape(
        "plan:hex author:id authorization:hex? clause:id? window:int soak:int not_before:int "
        "not_after:int undo_not_after:int emergency:bool", basis=("authorization", "approvals"),
        rings=[shape("size:int root:hex")], artefacts=["hex"], targets=["name"],
        undo_artefacts=["hex"], releases=["hex"], zones=["id"]),
    "delivery": shape("notice:hex plan:hex person:id channel:id time:int",
                      status=("accepted", "acknowledged")),
    "seen": shape("notice:hex"),
    "approval": shape("notice:hex reason:text undo:bool"),
    "veto": shape("notice:hex? undo:bool authorization:hex? reason:text", artefacts=["hex"],
                  targets=["name"]),
    "halt": shape("reason:text", zones=["zone"]),
    "lift": shape("reason:text", lifts=["hex"]),
    "advance": shape("notice:hex ring:int since:int until:int", seen=["hex"]),
    "failure": shape(_HOST + "report:hex", cause=("health", "unreachable", "version")),
}  # fmt: skip
REPORT: Mapping[str, Json] = {
    "report": shape(
        _HOST + "type:id reason:text detail:text caused_by:id? seq:int started:int ended:int",
        result=("succeeded", "failed", "refused", "outcome_unknown"), observed={"*": "text"}),
    "observation": shape(_HOST + "saw:any time:int", result=("succeeded", "failed", "unreachable")),
    "finding": shape("kind:id subject:text detail:text time:int"),
    "outcome": shape("notice:hex state:id detail:text time:int"),
    "decision": shape("subject:text state:id owner:id reason:text until:int time:int"),
    "drill": shape("commitment:hex reveal:text time:int"),
}  # fmt: skip
SHAPES = {"authority": AUTHORITY, "report": REPORT}


def text_of(kind: str, body: Json, charter: int, fleet: str, origin: str, nonce: str) -> str:
    """Spell the text that is signed."""
    envelope = {"body": body, "charter": charter, "fleet": fleet, "nonce": nonce, "origin": origin}
    return encode({**envelope, "type": kind, "version": VERSION}) + "\n"


@dataclass(frozen=True)
class Statement:
    """A statement whose signatures hold; made only by `open_statement`.

    `known` is false for a type or format version that this kernel does not know.
    """

    id: str
    leaf: str
    envelope: Json
    signers: frozenset[Signatory]
    known: bool

    @property
    def kind(self) -> str:
        """The statement's type."""
        return str(self.envelope["type"])

    @property
    def body(self) -> Json:
        """What is said."""
        return self.envelope["body"]

    @property
    def people(self) -> set[str]:
        """The persons who signed, each once however many keys they used."""
        return {name for kind, name in self.signers if kind == "person"}

    def one(self, kind: str) -> str:
        """Name the only signer, who must be of this kind (`Refused`, `not_admissible`, if not)."""
        kinds, names = {k for k, _ in self.signers}, [name for _, name in self.signers]
        sound = kinds == {kind} and len(names) == 1
        demand(sound, "not_admissible", f"`{self.kind}` must be signed by one {kind} alone")
        return names[0]


def _check(namespace: str, key: Key, text: bytes, payload: bytes) -> bool:
    ssh = key.kind == OTHER
    return check_sshsig(key, text, payload, namespace) if ssh else plain(key, text, payload)


def open_statement(entry: bytes, log: str, owners: Mapping[Key, Signatory]) -> Statement:
    """Open one entry of a log (`authority` or `report`).

    Raises:
        Refused: `too_large`, `malformed`, `bad_signature` or `no_user_verification`.
    """
    note = Note(entry)
    envelope = read(entry.rpartition(b"\n\n")[0], ENTRY, ENVELOPE)
    kind, version = envelope["type"], envelope["version"]
    text, good = note.open(owners, partial(_check, f"answerable/{kind}/v{version}"))
    form = SHAPES[log].get(kind) if version == VERSION else None
    sound = form is None or conforms(envelope["body"], form)
    demand(sound, "malformed", f"a `{kind}` of another shape")
    who = frozenset(owners[key] for key in good)
    leaf = leaf_hash(entry).hex()
    return Statement(sha256(text).hexdigest(), leaf, envelope, who, form is not None)


def open_charter(entry: bytes) -> tuple[Charter, Statement]:
    """Open a charter with the keys that it names itself.

    Whether it is one to obey is for `fold.succeed` to say.

    Raises:
        Refused: `too_large`, `malformed`, `bad_key`, `bad_charter` or `bad_signature`.
    """
    head = entry.rpartition(b"\n\n")[0]
    body = read(head, ENTRY, {**ENVELOPE, "type": ("charter",)})["body"]
    charter = Charter(body, sha256(head + b"\n").hexdigest())
    statement = open_statement(entry, "authority", charter.owners)
    sound = statement.known and statement.envelope["charter"] == body["number"]
    demand(sound, "malformed", "a charter's envelope carries its own number")
    return charter, statement
