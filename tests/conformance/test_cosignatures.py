"""Signatures cross the border both ways: what Go signs convinces the kernel, and the reverse."""

import base64
import hashlib
from pathlib import Path

import pytest

from answerable.kernel.checkpoint import Checkpoint, cosigned
from answerable.kernel.errors import Refused
from answerable.kernel.note import COSIGNATURE, ED25519, MLDSA44, Key, Note, parse_vkey
from answerable.keys.sign import Signer, cosign, sign_note
from answerable.witness.consistency import log_signed
from tests.conformance.foreign import ask

HEAD = Checkpoint("log.example/authority", 513, hashlib.sha256(b"root").digest())
GUARD = "g1.example/witness"
TIME = 1_790_000_000


def private(name: str, kind: int, seed: bytes) -> tuple[str, Key]:
    """Spell a key in Go's private form; also give its public half."""
    key = Signer.from_seed(name, kind, seed).key
    blob = base64.b64encode(bytes([kind]) + seed).decode()
    return f"PRIVATE+KEY+{name}+{key.id.hex()}+{blob}", key


def go_signs(verifier: Path, *secrets: str) -> bytes:
    """Have Go sign the checkpoint; cosignatures carry the machine's time."""
    (answer,) = ask(verifier, {"op": "sign", "text": HEAD.text(), "keys": list(secrets)})
    assert answer["ok"], answer
    return str(answer["note"]).encode()


def test_kernel_accepts_what_go_cosigns(verifier: Path) -> None:
    """Cosignatures 0x04 and 0x06 made by a foreign witness count as one guard's."""
    old, old_key = private(GUARD, COSIGNATURE, hashlib.sha256(b"04").digest())
    new, new_key = private(GUARD, MLDSA44, hashlib.sha256(b"06").digest())
    note = go_signs(verifier, old, new)
    found = cosigned(note, HEAD.origin, {"g1": (old_key, new_key)}, 1)
    assert found.checkpoint == HEAD
    assert found.present <= found.past <= found.present + 60


def test_kernel_accepts_a_log_that_go_signs(verifier: Path) -> None:
    """A checkpoint that a foreign log signed with 0x01 and 0x06 is a log's to the kernel."""
    old, old_key = private(HEAD.origin, ED25519, hashlib.sha256(b"01").digest())
    new, new_key = private(HEAD.origin, MLDSA44, hashlib.sha256(b"06").digest())
    assert log_signed(go_signs(verifier, old, new), HEAD.origin, (old_key, new_key))[0] == HEAD


def test_key_made_by_go_is_read(verifier: Path) -> None:
    """A verifier key of type 0x06 spelt by foreign code is read, and spelt the same by us."""
    (answer,) = ask(verifier, {"op": "generate", "origin": GUARD})
    assert parse_vkey(answer["text"]).vkey() == answer["text"]
    (signed,) = ask(verifier, {"op": "sign", "text": HEAD.text(), "keys": [answer["note"]]})
    assert Note(signed["note"].encode(), 10_000).lines[0][1] == parse_vkey(answer["text"]).id


@pytest.mark.parametrize("kind", [ED25519, COSIGNATURE, MLDSA44])
def test_go_accepts_what_we_sign(verifier: Path, kind: int) -> None:
    """Each type that we sign verifies with foreign code, and says the time that we meant."""
    signer = Signer.from_seed(GUARD, kind, hashlib.sha256(b"ours").digest())
    note = HEAD.text() + "\n" + cosign(HEAD, TIME, signer)
    (answer,) = ask(verifier, {"op": "open", "note": note, "keys": [signer.key.vkey()]})
    assert answer["ok"], answer
    assert answer["verified"][0]["time"] == (0 if kind == ED25519 else TIME)


@pytest.mark.parametrize("kind", [ED25519, COSIGNATURE, MLDSA44])
def test_no_changed_byte_of_a_line_survives(verifier: Path, kind: int) -> None:
    """Neither we nor foreign code take a signature of which one byte was changed."""
    signer = Signer.from_seed(GUARD, kind, hashlib.sha256(b"ours").digest())
    head, _, blob = cosign(HEAD, TIME, signer).rstrip("\n").rpartition(" ")
    raw = base64.b64decode(blob)
    notes = []
    for at in range(4, len(raw), 1 if len(raw) < 100 else 97):
        changed = base64.b64encode(raw[:at] + bytes([raw[at] ^ 4]) + raw[at + 1 :]).decode()
        notes.append(f"{HEAD.text()}\n{head} {changed}\n")
    jobs = [{"op": "open", "note": note, "keys": [signer.key.vkey()]} for note in notes]
    assert not any(answer["ok"] for answer in ask(verifier, *jobs))
    pair = (signer.key, signer.key)
    for note in notes:
        with pytest.raises(Refused) as refusal:
            log_signed(note.encode(), HEAD.origin, pair)
        assert refusal.value.reason == "bad_signature"


def test_lines_that_a_reader_does_not_know_are_ignored(verifier: Path) -> None:
    """A reader that knows Ed25519 alone reads our hybrid checkpoint, beside a person's line."""
    ours = [
        Signer.from_seed(HEAD.origin, kind, hashlib.sha256(b"log").digest())
        for kind in (ED25519, MLDSA44)
    ]
    person = "\u2014 dana " + base64.b64encode(b"\1\2\3\4SSHSIG").decode() + "\n"
    note = HEAD.text() + "\n" + cosign(HEAD, TIME, *ours) + person
    (answer,) = ask(verifier, {"op": "open", "note": note, "keys": [ours[0].key.vkey()]})
    assert answer["ok"], answer
    assert answer["ignored"] == [f"{HEAD.origin}+{ours[1].key.id.hex()}", "dana+01020304"]


def test_statement_of_a_machine_verifies_with_go(verifier: Path) -> None:
    """A log entry is a plain signed note: foreign code opens what a planner signs."""
    planner = Signer.from_seed("planner", ED25519, hashlib.sha256(b"planner").digest())
    text = '{"body":{},"type":"notice"}\n'
    note = sign_note(text, planner).decode()
    (answer,) = ask(verifier, {"op": "open", "note": note, "keys": [planner.key.vkey()]})
    assert answer["text"] == text
