"""People's SSH signatures: the kernel and OpenSSH side by side, and the one place they differ."""

import base64
import hashlib
import subprocess
from pathlib import Path

import pytest

from answerable.kernel.errors import Refused
from answerable.kernel.sshsig import check_sshsig, person_key
from answerable.kernel.statement import AUTHORITY, open_statement
from answerable.keys.sign import signature_line, ssh_line, statement_text
from tests.conformance.authenticator import PRESENT, VERIFIED, SshKey, armour, dearmour

TEXT = b'{"body":{"notice":"ab"},"type":"approval"}\n'
NAMESPACE = "answerable/approval/v1"
PLAIN = SshKey(hashlib.sha256(b"dana").digest())
FIDO = SshKey(hashlib.sha256(b"lee").digest(), b"ssh:")


def openssh_accepts(
    folder: Path, line: str, blob: bytes, namespace: str = NAMESPACE, text: bytes = TEXT
) -> bool:
    """Ask `ssh-keygen -Y verify`, with an allowed_signers file for one person and namespace."""
    (folder / "signature").write_text(armour(blob))
    (folder / "signers").write_text(f'dana namespaces="{NAMESPACE}" {line}\n')
    command = ["ssh-keygen", "-Y", "verify", "-f", str(folder / "signers"), "-I", "dana"]
    done = subprocess.run(
        [*command, "-n", namespace, "-s", str(folder / "signature")],
        input=text,
        capture_output=True,
        check=False,
    )
    return done.returncode == 0


def openssh_signs(folder: Path, namespace: str, text: bytes = TEXT) -> tuple[str, bytes]:
    """Make a key with `ssh-keygen`, sign the text with it; gives public line and raw blob."""
    key, message = folder / "key", folder / "message"
    message.write_bytes(text)
    make = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "dana@desk", "-f", str(key)]
    subprocess.run(make, check=True, capture_output=True)
    sign = ["ssh-keygen", "-q", "-Y", "sign", "-f", str(key), "-n", namespace, str(message)]
    subprocess.run(sign, check=True, capture_output=True)
    blob = dearmour((folder / "message.sig").read_text())
    return key.with_suffix(".pub").read_text().strip(), blob


def kernel_accepts(line: str, blob: bytes, namespace: str = NAMESPACE, text: bytes = TEXT) -> bool:
    """Ask the kernel; a blob that is no signature at all counts as refused."""
    try:
        return check_sshsig(person_key("dana", line), text, blob, namespace)
    except Refused as refusal:
        if refusal.reason != "malformed":
            raise
        return False


def test_signature_of_ssh_keygen_is_accepted(tmp_path: Path) -> None:
    """What a person signs with the ssh-keygen of this machine convinces the kernel."""
    line, blob = openssh_signs(tmp_path, NAMESPACE)
    assert kernel_accepts(line, blob)
    assert not kernel_accepts(line, blob, text=TEXT + b"\n")


def test_log_entry_signed_by_a_person_verifies_with_openssh(tmp_path: Path) -> None:
    """The text and signature lines of an entry are all that `ssh-keygen -Y verify` needs."""
    body = {"notice": "ab" * 32, "reason": "read and understood", "undo": False}
    text = statement_text(
        "approval",
        body,
        charter=1,
        fleet="cd" * 32,
        origin="log.example/authority",
        nonce="ef" * 16,
    )
    line, blob = openssh_signs(tmp_path, NAMESPACE, text.encode())
    key = person_key("dana", line)
    assert ssh_line(key, armour(blob)) == signature_line(key, blob)
    entry = (text + "\n" + signature_line(key, blob)).encode()
    owners = {key: ("person", "dana")}
    assert open_statement(entry, AUTHORITY, owners).people == {"dana"}

    read, _, tail = entry.decode().partition("\n\n")
    kept = base64.b64decode(tail.split(" ")[2])[4:]
    assert openssh_accepts(tmp_path, line, kept, text=f"{read}\n".encode())
    assert not openssh_accepts(tmp_path, line, kept, text=read.encode())


@pytest.mark.parametrize("kind", ["approval", "veto", "charter"])
def test_signature_for_another_statement_type_is_refused(tmp_path: Path, kind: str) -> None:
    """A signature made for one statement type is worth nothing for another."""
    line, blob = openssh_signs(tmp_path, f"answerable/{kind}/v1")
    verdict = kernel_accepts(line, blob)
    assert verdict == (kind == "approval")
    assert verdict == openssh_accepts(tmp_path, line, blob)


@pytest.mark.parametrize("digest", ["sha256", "sha512"])
@pytest.mark.parametrize("key", [PLAIN, FIDO], ids=["plain", "fido"])
def test_openssh_and_kernel_accept_the_same_signature(
    tmp_path: Path, key: SshKey, digest: str
) -> None:
    """A signature in either hash, by a plain or a FIDO key, convinces OpenSSH and the kernel."""
    blob = key.sign(TEXT, NAMESPACE, digest=digest)
    assert openssh_accepts(tmp_path, key.line, blob)
    assert kernel_accepts(key.line, blob)


@pytest.mark.parametrize("key", [PLAIN, FIDO], ids=["plain", "fido"])
def test_signature_of_another_key_text_or_namespace_is_refused(tmp_path: Path, key: SshKey) -> None:
    """Neither OpenSSH nor the kernel takes a signature for a key, text or namespace not its own."""
    blob = key.sign(TEXT, NAMESPACE)
    stranger = SshKey(hashlib.sha256(b"stranger").digest(), key.application)
    assert not openssh_accepts(tmp_path, key.line, stranger.sign(TEXT, NAMESPACE))
    assert not kernel_accepts(key.line, stranger.sign(TEXT, NAMESPACE))
    assert not openssh_accepts(tmp_path, key.line, blob, text=b"other\n")
    assert not kernel_accepts(key.line, blob, text=b"other\n")
    assert not openssh_accepts(tmp_path, key.line, blob, namespace="file")
    assert not kernel_accepts(key.line, blob, namespace="file")


@pytest.mark.parametrize("key", [PLAIN, FIDO], ids=["plain", "fido"])
def test_no_changed_byte_survives(key: SshKey) -> None:
    """No byte of a signature blob can be changed, left out or added."""
    blob = key.sign(TEXT, NAMESPACE)
    for at in range(len(blob)):
        changed = blob[:at] + bytes([blob[at] ^ 0x20]) + blob[at + 1 :]
        assert not kernel_accepts(key.line, changed), at
        assert not kernel_accepts(key.line, blob[:at]), at
    assert not kernel_accepts(key.line, blob + b"\0")


@pytest.mark.parametrize("flags", [0, PRESENT, PRESENT | 0x80])
def test_touch_without_user_verification_is_refused(tmp_path: Path, flags: int) -> None:
    """OpenSSH accepts a FIDO signature by a bare touch; the kernel demands PIN or fingerprint."""
    touched = FIDO.sign(TEXT, NAMESPACE, flags=flags)
    verified = FIDO.sign(TEXT, NAMESPACE, flags=flags | VERIFIED)
    assert openssh_accepts(tmp_path, FIDO.line, touched)
    assert openssh_accepts(tmp_path, FIDO.line, verified)
    assert kernel_accepts(FIDO.line, verified)
    with pytest.raises(Refused) as refusal:
        kernel_accepts(FIDO.line, touched)
    assert refusal.value.reason == "no_user_verification"


def test_flags_are_under_the_signature(tmp_path: Path) -> None:
    """A thief of a touched signature cannot set the user-verification flag afterwards."""
    blob = FIDO.sign(TEXT, NAMESPACE, flags=PRESENT)
    claimed = blob[:-5] + bytes([PRESENT | VERIFIED]) + blob[-4:]
    assert not openssh_accepts(tmp_path, FIDO.line, claimed)
    assert not kernel_accepts(FIDO.line, claimed)


@pytest.mark.parametrize("kind", ["rsa", "ecdsa"])
def test_other_kinds_of_key_are_refused(tmp_path: Path, kind: str) -> None:
    """RSA and ECDSA keys of ssh-keygen are no person's keys here."""
    key = tmp_path / "key"
    make = ["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", str(key)]
    subprocess.run(make, check=True, capture_output=True)
    with pytest.raises(Refused) as refusal:
        person_key("dana", key.with_suffix(".pub").read_text().strip())
    assert refusal.value.reason in {"bad_key", "malformed"}
