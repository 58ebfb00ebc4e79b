"""What our keys sign is what the kernel believes, and nothing that was not signed is believed."""

import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.checkpoint import Checkpoint, check_cosignature, cosigned
from answerable.kernel.errors import Refused
from answerable.kernel.fresh import read_consume
from answerable.kernel.merkle import Tree, leaf_hash
from answerable.kernel.note import COSIGNATURE, ED25519, MLDSA44, Note
from answerable.kernel.sshsig import person_key
from answerable.kernel.statement import AUTHORITY, open_statement
from answerable.keys.sign import (
    Signer,
    consume_text,
    cosign,
    sign_note,
    ssh_blob,
    ssh_line,
    statement_text,
)
from tests.authority.desk import FLEET, NONCE, Desk

SEED = bytes(range(32))
ROOT = Tree([leaf_hash(b"leaf")]).root()
AT = Checkpoint("log.example/authority", 1, ROOT)
TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc"]), min_size=1, max_size=200)


def _pair(name: str) -> tuple[Signer, Signer]:
    seed = name.encode().ljust(32, b"-")
    return Signer.from_seed(name, COSIGNATURE, seed), Signer.from_seed(name, MLDSA44, seed)


def _guards(*names: str) -> Mapping[str, tuple[Signer, Signer]]:
    return {name: _pair(f"{name}.example/witness") for name in names}


@given(TEXTS)
def test_a_signed_note_opens_with_its_key_and_no_other(text: str) -> None:
    """A note is believed under the key that signed it only."""
    ours, theirs = (Signer.from_seed("n.example", ED25519, bytes([n]) * 32) for n in (1, 2))
    note = sign_note(text + "\n", ours)
    opened, signed = Note(note).open([ours.key])
    assert (opened, [*signed]) == ((text + "\n").encode(), [ours.key])
    with pytest.raises(Refused, match="bad_signature"):
        Note(note).open([theirs.key])


def test_several_keys_sign_one_note() -> None:
    """Each signer has a line of its own."""
    signers = [Signer.from_seed(name, ED25519, SEED) for name in ("a.example", "b.example")]
    keys = [signer.key for signer in signers]
    assert Note(sign_note("text\n", *signers)).open(keys)[1].keys() == set(keys)


def test_a_cosigner_never_signs_bare_text() -> None:
    """A guard's key is of no use to somebody who wants a statement signed with it."""
    with pytest.raises(AssertionError, match="only type 0x01"):
        sign_note("text\n", Signer.from_seed("g1.example/post", COSIGNATURE, SEED))


@pytest.mark.parametrize("kind", [ED25519, COSIGNATURE, MLDSA44])
def test_a_checkpoint_is_signed_as_the_kernel_checks_it(kind: int) -> None:
    """Types 0x01, 0x04 and 0x06 over one checkpoint hold, and over no other."""
    signer = Signer.from_seed("log.example/authority", kind, SEED)
    note = Note((AT.text() + "\n" + cosign(AT, 1_800_000_000, signer)).encode())
    name, key_id, payload = note.lines[0]
    assert (name, key_id) == (signer.key.name, signer.key.id)
    if kind == ED25519:
        assert [*note.open([signer.key])[1]] == [signer.key]
        return
    other = AT._replace(size=2).text().encode()
    assert check_cosignature(signer.key, AT.text().encode(), payload)
    assert not check_cosignature(signer.key, other, payload)
    later = (int.from_bytes(payload[:8], "big") + 1).to_bytes(8, "big") + payload[8:]
    assert not check_cosignature(signer.key, AT.text().encode(), later)


def test_a_quorum_of_pairs_is_counted() -> None:
    """Both kinds of each guard's cosignatures, and the smallest and largest of their times."""
    guards = _guards("g1", "g2", "g3")
    lines = "".join(cosign(AT, 100 + n, *pair) for n, pair in enumerate(guards.values()))
    law = {name: (pair[0].key, pair[1].key) for name, pair in guards.items()}
    seen = cosigned((AT.text() + "\n" + lines).encode(), AT.origin, law, 3)
    assert (seen.checkpoint, seen.past, seen.present, seen.who) == (AT, 102, 100, frozenset(guards))


def test_half_a_pair_does_not_count() -> None:
    """A guard whose ML-DSA-44 line is missing says nothing: both signatures are required."""
    guards = _guards("g1", "g2", "g3")
    lines = "".join(cosign(AT, 100, *pair[: 1 if n == 2 else 2])
                    for n, pair in enumerate(guards.values()))  # fmt: skip
    law = {name: (pair[0].key, pair[1].key) for name, pair in guards.items()}
    with pytest.raises(Refused, match="no_quorum"):
        cosigned((AT.text() + "\n" + lines).encode(), AT.origin, law, 3)


def test_a_statement_is_spelled_as_the_kernel_reads_it() -> None:
    """What `statement_text` spells opens, with every member of the envelope as it was given."""
    planner = Signer.from_seed("planner1", ED25519, SEED)
    body = {"authorization": FLEET, "reason": "no longer needed"}
    text = statement_text(
        "revocation", body, charter=3, fleet=FLEET, origin="log.example/authority", nonce=NONCE
    )
    owners = {planner.key: ("planner", "planner1")}
    said = open_statement(sign_note(text, planner), AUTHORITY, owners)
    assert said.envelope == {
        "body": body, "charter": 3, "fleet": FLEET, "nonce": NONCE,
        "origin": "log.example/authority", "type": "revocation", "version": 1,
    }  # fmt: skip


def test_a_consume_note_is_the_hosts_own() -> None:
    """A host's word on its last action is read back; another host's or fleet's is refused."""
    host = Signer.from_seed("web1", ED25519, SEED)
    note = sign_note(consume_text(FLEET, "web1", 3, "notice/order/up"), host)
    assert read_consume(note, FLEET, host.key) == (3, "notice/order/up")
    with pytest.raises(Refused, match="not_mine"):
        read_consume(note, "00" * 32, host.key)
    stolen = sign_note(consume_text(FLEET, "web2", 3, "notice/order/up"), host)
    with pytest.raises(Refused, match="not_mine"):
        read_consume(stolen, FLEET, host.key)


def test_the_line_of_a_real_ssh_signature_convinces_the_kernel(tmp_path: Path) -> None:
    """What `ssh-keygen -Y sign` writes becomes a signature line, and ssh-keygen still agrees."""
    desk = Desk(tmp_path)
    text = statement_text("seen", {"notice": FLEET}, charter=1, fleet=FLEET, nonce=NONCE,
                          origin="log.example/authority")  # fmt: skip
    armoured = desk.sign("dana", text, "answerable/seen/v1")
    key = person_key("dana", desk.line("dana"))
    entry = (text + "\n" + ssh_line(key, armoured)).encode()
    assert open_statement(entry, AUTHORITY, {key: ("person", "dana")}).people == {"dana"}
    (tmp_path / "sig").write_text(armoured)
    (tmp_path / "signers").write_text(f"dana {desk.line('dana')}\n")
    words = ["ssh-keygen", "-Y", "verify", "-f", str(tmp_path / "signers"), "-I", "dana", "-n",
             "answerable/seen/v1", "-s", str(tmp_path / "sig")]  # fmt: skip
    subprocess.run(words, input=text.encode(), check=True, capture_output=True)


@given(st.text(max_size=300))
def test_what_is_no_armour_is_refused(text: str) -> None:
    """A file that ssh-keygen did not write is `malformed`, whatever it holds."""
    with pytest.raises(Refused, match="malformed"):
        ssh_blob(text)
    with pytest.raises(Refused, match="malformed"):
        ssh_blob(f"-----BEGIN SSH SIGNATURE-----\n{text}!\n-----END SSH SIGNATURE-----\n")
