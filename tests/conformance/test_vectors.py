"""The published vectors: unchanged, believed by the kernel, and by code that is not ours."""

import base64
import json
from itertools import chain
from pathlib import Path
from typing import Any

import pytest

from answerable.kernel.canon import decode, encode
from answerable.kernel.checkpoint import cosignature_message, cosigned
from answerable.kernel.errors import Refused
from answerable.kernel.merkle import (
    EMPTY,
    Tree,
    leaf_hash,
    verify_inclusion,
)
from answerable.kernel.note import ED25519, Key, Note, parse_vkey, signature_holds
from answerable.kernel.sshsig import check_sshsig, person_key
from answerable.keys.sign import Signer
from answerable.witness.consistency import log_signed, verify_consistency
from tests.conformance.foreign import ask, b64
from tests.conformance.make_vectors import HERE, everything, spell

STRICTER = {
    "a good and a bad line of one key": "a known key's line must hold; Go reads one line a key",
    "base64 with stray bits": "the signed-note page says standard base64; Go reads it loosely",
    "sixty-five lines": "a limit is left to the reader; Go's is a hundred",
}
"""Notes that Go takes and the kernel does not."""

VECTORS = {path.stem: json.loads(path.read_text()) for path in sorted(HERE.glob("*.json"))}


def raw(text: str) -> bytes:
    """Read base64."""
    return base64.b64decode(text, validate=True)


def name_of(case: dict[str, Any]) -> str:
    """Name a case in the test's output."""
    return str(case.get("case", case.get("name", "")))


def test_files_are_what_the_generator_writes() -> None:
    """The committed vectors come out of the generator byte for byte: nobody edited them by hand."""
    assert {path.stem for path in HERE.glob("*.json")} == set(VECTORS)
    for stem, content in everything().items():
        assert (HERE / f"{stem}.json").read_text() == spell(content), stem


@pytest.mark.parametrize("case", VECTORS["canonical"]["good"], ids=range(13))
def test_canonical_text_is_read_and_written_back(case: dict[str, str]) -> None:
    """A value in its one spelling is read, and written back as the same bytes."""
    text = raw(case["text"])
    assert encode(decode(text, len(text))).encode() == text


@pytest.mark.parametrize("case", VECTORS["canonical"]["bad"], ids=name_of)
def test_other_spellings_are_refused(case: dict[str, str]) -> None:
    """A second spelling of a value, or none of any, is refused: signed bytes mean one thing."""
    with pytest.raises(Refused) as refusal:
        decode(raw(case["text"]), 65_535)
    assert refusal.value.reason == "malformed"


@pytest.mark.parametrize("case", VECTORS["keys"]["good"], ids=name_of)
def test_keys_have_their_ids(case: dict[str, Any]) -> None:
    """A key's id and spelling follow from name, type and public key as C2SP says."""
    signer = Signer.from_seed(case["name"], case["type"], bytes.fromhex(case["seed"]))
    assert signer.key.vkey() == case["vkey"]
    assert parse_vkey(case["vkey"]) == signer.key
    assert signer.key.id.hex() == case["id"]


@pytest.mark.parametrize("case", VECTORS["keys"]["people"], ids=name_of)
def test_people_have_their_key_ids(case: dict[str, str]) -> None:
    """A person's key id covers our long type name and the SSH public key."""
    assert person_key(case["name"], case["line"]).id.hex() == case["id"]


@pytest.mark.parametrize("case", VECTORS["keys"]["bad"], ids=name_of)
def test_bad_keys_are_refused(case: dict[str, str]) -> None:
    """A key whose id is not its own, or that is none, is refused."""
    with pytest.raises(Refused) as refusal:
        parse_vkey(case["vkey"])
    assert refusal.value.reason in {"bad_key", "malformed"}


def opened(case: dict[str, Any]) -> str:
    """Open a note with the kernel; give the reason word, empty for success."""
    try:
        Note(raw(case["note"])).open([parse_vkey(text) for text in case["keys"]])
    except Refused as refusal:
        return refusal.reason
    return ""


@pytest.mark.parametrize("case", VECTORS["notes"]["notes"], ids=name_of)
def test_notes_are_opened_or_refused(case: dict[str, Any]) -> None:
    """Each note is accepted, or refused by the word that stands beside it."""
    assert opened(case) == case["reason"]


def utf8(case: dict[str, Any]) -> bool:
    """Tell whether a note can be put into JSON at all."""
    try:
        raw(case["note"]).decode()
    except UnicodeDecodeError:
        return False
    return True


def test_go_opens_and_refuses_the_same_notes(verifier: Path) -> None:
    """golang.org/x/mod/sumdb/note gives the same verdict on each note, but where we say so."""
    cases = [case for case in VECTORS["notes"]["notes"] if utf8(case)]
    jobs = [
        {"op": "open", "note": raw(case["note"]).decode(), "keys": case["keys"]} for case in cases
    ]
    answers = ask(verifier, *jobs)
    differing = {
        case["case"]
        for case, answer in zip(cases, answers, strict=True)
        if answer["ok"] != (not case["reason"])
    }
    assert differing == set(STRICTER)


def pairs(case: dict[str, Any]) -> tuple[str, dict[str, tuple[Key, Key]]]:
    """Sort a checkpoint's keys into pairs by name; also give the origin it names."""
    keys = [parse_vkey(text) for text in case["keys"]]
    origin = raw(case["note"]).decode().split("\n", 1)[0]
    return origin, {k.name: (k, v) for k, v in zip(keys[::2], keys[1::2], strict=True)}


def verdict(case: dict[str, Any]) -> str:
    """Have the kernel check all pairs of a checkpoint; give the reason word, empty for success."""
    note = raw(case["note"])
    origin, found = pairs(case)
    log = found.pop(origin, None)
    try:
        if log:
            log_signed(note, origin, log)
        if found:
            cosigned(note, origin, found, len(found))
    except Refused as refusal:
        return refusal.reason
    return ""


CHECKPOINTS = [*VECTORS["checkpoints"]["good"], *VECTORS["checkpoints"]["bad"]]


@pytest.mark.parametrize("case", CHECKPOINTS, ids=name_of)
def test_checkpoints_are_opened_or_refused(case: dict[str, Any]) -> None:
    """A checkpoint whose log and guards all signed is accepted, any other is refused."""
    assert verdict(case) == case["reason"]


def test_go_opens_and_refuses_the_same_checkpoints(verifier: Path) -> None:
    """github.com/transparency-dev/formats verifies 0x01, 0x04 and 0x06 and reads the same times."""
    jobs = [
        {"op": "open", "note": raw(case["note"]).decode(), "keys": case["keys"]}
        for case in CHECKPOINTS
    ]
    for case, answer in zip(CHECKPOINTS, ask(verifier, *jobs), strict=True):
        assert answer["ok"] == (not case["reason"]), (case["case"], answer)
        if answer["ok"]:
            seen = [(one["id"], one["name"], one["time"]) for one in answer["verified"]]
            assert seen == [(one["id"], one["name"], one["time"]) for one in case["times"]]


def test_cosigned_messages_are_those_of_the_vectors() -> None:
    """The bytes under each signature are the published ones."""
    for case in VECTORS["checkpoints"]["good"]:
        text = raw(case["note"]).decode().partition("\n\n")[0].encode() + b"\n"
        for key, said in zip(map(parse_vkey, case["keys"]), case["times"], strict=True):
            plain = key.kind == ED25519
            message = text if plain else cosignature_message(key.kind, key.name, said["time"], text)
            assert raw(said["message"]) == message


def test_ml_dsa_signatures_hold() -> None:
    """Each stored ML-DSA-44 signature is good for its message and key."""
    for entry in VECTORS["mldsa44"]["signatures"]:
        public, message = raw(entry["public"]), raw(entry["message"])
        assert signature_holds(6, public, raw(entry["signature"]), message)


def test_roots_of_the_vectors() -> None:
    """Leaf hashes and the roots of every size are the published ones."""
    tree = Tree()
    roots = [EMPTY.hex()]
    for leaf in VECTORS["merkle"]["leaves"]:
        assert leaf_hash(bytes.fromhex(leaf["entry"])).hex() == leaf["hash"]
        tree.extend([bytes.fromhex(leaf["hash"])])
        roots.append(tree.root().hex())
    assert roots == VECTORS["merkle"]["roots"]
    assert VECTORS["merkle"]["empty"] == roots[0]


def unhex(case: dict[str, Any]) -> dict[str, Any]:
    """Read the hashes of a proof vector."""
    hashes = {name: bytes.fromhex(text) for name, text in case.items() if isinstance(text, str)}
    return {**case, **hashes, "proof": [bytes.fromhex(step) for step in case["proof"]]}


def test_proofs_of_the_vectors_hold() -> None:
    """The kernel accepts each inclusion proof of the vectors, guards each consistency proof."""
    for case in map(unhex, VECTORS["merkle"]["inclusion"]):
        verify_inclusion(case["leaf"], case["index"], case["size"], case["proof"], case["root"])
    for case in map(unhex, VECTORS["merkle"]["consistency"]):
        old, size = case["old"], case["size"]
        verify_consistency(old, size, case["proof"], case["old_root"], case["root"])


def test_go_accepts_the_proofs_of_the_vectors(verifier: Path) -> None:
    """Two Merkle libraries in Go accept each proof of the vectors."""
    inclusion = [
        {
            "op": "included", "index": case["index"], "size": case["size"],
            "leaf": b64(case["leaf"]), "root": b64(case["root"]),
            "proof": [b64(step) for step in case["proof"]],
        }
        for case in map(unhex, VECTORS["merkle"]["inclusion"])
    ]  # fmt: skip
    consistency = [
        {
            "op": "consistent", "old": case["old"], "size": case["size"],
            "old_root": b64(case["old_root"]), "root": b64(case["root"]),
            "proof": [b64(step) for step in case["proof"]],
        }
        for case in map(unhex, VECTORS["merkle"]["consistency"])
    ]  # fmt: skip
    for answer in ask(verifier, *chain(inclusion, consistency)):
        assert answer["ok"], answer


def ssh_verdict(case: dict[str, str]) -> str:
    """Have the kernel check an SSH signature of the vectors."""
    text, space = raw(VECTORS["sshsig"]["text"]), VECTORS["sshsig"]["namespace"]
    person = person_key(case["person"], case["line"])
    try:
        return "accepted" if check_sshsig(person, text, raw(case["blob"]), space) else "refused"
    except Refused as refusal:
        return "refused" if refusal.reason == "malformed" else refusal.reason


@pytest.mark.parametrize("case", VECTORS["sshsig"]["signatures"], ids=name_of)
def test_ssh_signatures_of_the_vectors(case: dict[str, str]) -> None:
    """Each SSH signature of the vectors gets the verdict that stands beside it."""
    assert ssh_verdict(case) == case["verdict"]
