"""Statements: what people and machines say in the logs, and the shapes of the authority log's.

An entry is a signed note whose text is one line of canonical JSON,

    {"body":{..},"charter":1,"fleet":"<hex>","nonce":"<32 hex>","origin":"<log>","type":"veto",
     "version":1}

so every signature covers type, format version, fleet, log, charter version and nonce. Machines sign
with type 0x01; people with SSH, namespace `answerable/<type>/v1`. A statement's id is the SHA-256
of its text (the same words signed again are the same statement), its leaf hash that of the whole
entry. The fleet id is the id of charter 1, whose own `fleet` is empty.
"""

from collections.abc import Mapping
from functools import partial
from hashlib import sha256
from typing import NamedTuple

from answerable.kernel.canon import Json, conforms, read, shape
from answerable.kernel.charter import CHARTER, Charter, Signatory
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
        hours=[shape("from:int to:int")]),
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
    "failure": shape(_HOST + "report:hex", cause=("health", "unreachable", "version"))}  # fmt: skip


class Statement(NamedTuple):
    """A statement whose signatures hold; made only by `open_statement`.

    `people` are the persons who signed, each once however many keys they used; `known` is false
    for a type or format version that this kernel does not know.
    """

    id: str
    leaf: str
    kind: str
    body: Json
    envelope: Json
    signers: frozenset[Signatory]
    people: set[str]
    known: bool

    def one(self, kind: str) -> str:
        """Name the only signer, who must be of this kind (`Refused`, `not_admissible`, if not)."""
        who = [name for k, name in self.signers if k == kind]
        demand(len(who) == len(self.signers) == 1, "not_admissible", f"not by one {kind} alone")
        return who[0]


def _check(namespace: str, key: Key, text: bytes, raw: bytes) -> bool:
    return check_sshsig(key, text, raw, namespace) if key.kind == OTHER else plain(key, text, raw)


def open_statement(entry: bytes, shapes: Json, owners: Mapping[Key, Signatory]) -> Statement:
    """Open one entry of a log whose statements have these shapes (`AUTHORITY`).

    Raises:
        Refused: `too_large`, `malformed`, `bad_signature` or `no_user_verification`.
    """
    note = Note(entry)
    said = read(entry.rpartition(b"\n\n")[0], ENTRY, ENVELOPE)
    kind, body, version = said["type"], said["body"], said["version"]
    text, good = note.open(owners, partial(_check, f"answerable/{kind}/v{version}"))
    form = shapes.get(kind) if version == VERSION else None
    demand(form is None or conforms(body, form), "malformed", f"a `{kind}` of another shape")
    who, number = frozenset(owners[key] for key in good), sha256(text).hexdigest()
    people, known = {name for sort, name in who if sort == "person"}, form is not None
    return Statement(number, leaf_hash(entry).hex(), kind, body, said, who, people, known)


def open_charter(entry: bytes) -> tuple[Charter, Statement]:
    """Open a charter with the keys that it names itself.

    Whether it is one to obey is for `fold.succeed` to say.

    Raises:
        Refused: `too_large`, `malformed`, `bad_key`, `bad_charter` or `bad_signature`.
    """
    head = entry.rpartition(b"\n\n")[0]
    body = read(head, ENTRY, {**ENVELOPE, "type": ("charter",)})["body"]
    charter = Charter(body, sha256(head + b"\n").hexdigest())
    statement = open_statement(entry, AUTHORITY, charter.owners)
    demand(statement.known, "malformed", "a charter of another format version")
    return charter, statement
