"""From what somebody wants to say to the record that goes into a log.

`text` spells what is signed; people sign exactly that file with `ssh-keygen -Y sign`; `assemble`
puts the signatures under it and opens it as the kernel will, so that nothing is logged in vain.
"""

from collections.abc import Callable, Iterable

from answerable.authority.written import NotWritten
from answerable.kernel.canon import Json, decode
from answerable.kernel.charter import Charter
from answerable.kernel.note import ENTRY
from answerable.kernel.sshsig import TAG, person_key
from answerable.kernel.statement import AUTHORITY, Statement, open_charter, open_statement
from answerable.keys.sign import Signer, sign_note, signature_line, ssh_blob, statement_text

Nonce = Callable[[], str]
"""Gives 32 random hex digits."""


def text(
    kind: str, body: Json, law: Charter, fleet: str, nonce: str, log: str = "authority"
) -> str:
    """Spell a statement under a charter; the fleet is the id of charter 1."""
    origin = law.body["logs"][log]["origin"]
    number = law.body["number"]
    return statement_text(kind, body, charter=number, fleet=fleet, origin=origin, nonce=nonce)


def charter_text(body: Json, nonce: str, fleet: str = "") -> str:
    """Spell a charter; `fleet` is empty for charter 1."""
    origin = body["logs"]["authority"]["origin"]
    return statement_text(
        "charter", body, charter=body["number"], fleet=fleet, origin=origin, nonce=nonce
    )


def assemble(
    said: str, signatures: Iterable[tuple[str, str]], law: Charter | None
) -> tuple[bytes, Statement]:
    """Put people's SSH signatures under a text.

    Args:
        said: the text that was signed.
        signatures: (person, what `ssh-keygen -Y sign` wrote).
        law: the charter in force; None for a charter, which names its own people.

    Raises:
        NotWritten: if somebody signed who may not, or with another key.
        Refused: why the statement is none.
    """
    people = (law.body if law else decode(said[:-1].encode(), ENTRY)["body"])["people"]
    lines = [_line(person, armoured, people) for person, armoured in signatures]
    note = (said + "\n" + "".join(lines)).encode()
    if law is None:
        return note, open_charter(note)[1]
    return note, open_statement(note, AUTHORITY, law.owners)


def _line(person: str, armoured: str, people: Json) -> str:
    if person not in people:
        raise NotWritten(f"`{person}` is not in the charter")
    blob = ssh_blob(armoured)
    wire = blob[14 : 14 + int.from_bytes(blob[10:14], "big")]
    for line in people[person]["keys"]:
        key = person_key(person, line)
        if key.public == TAG + wire:
            return signature_line(key, blob)
    raise NotWritten(f"`{person}` signed with a key that the charter does not list")


def machine(said: str, signer: Signer) -> bytes:
    """Sign a statement with a machine's key (type 0x01)."""
    return sign_note(said, signer)
