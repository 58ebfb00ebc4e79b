"""SSH signatures: only over this text, in this namespace, by this key, with its user verified."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.kernel.errors import Refused
from answerable.kernel.sshsig import check_sshsig, person_key
from tests.conformance.authenticator import PRESENT
from tests.kernel.near import near_bytes
from tests.simulator.keys import ssh

TEXT, SPACE = b"approve this\n", "answerable/approval/v1"
PEOPLE = ("dana", "fay")
BLOBS = {p: ssh(p).sign(TEXT, SPACE) for p in PEOPLE}
KEYS = {p: person_key(p, ssh(p).line) for p in PEOPLE}


@pytest.mark.parametrize("person", PEOPLE)
@pytest.mark.parametrize("digest", ["sha256", "sha512"])
def test_good_signature(person: str, digest: str) -> None:
    """A plain key and a FIDO key, with either hash."""
    blob = ssh(person).sign(TEXT, SPACE, digest=digest)
    assert check_sshsig(KEYS[person], TEXT, blob, SPACE)


@pytest.mark.parametrize("person", PEOPLE)
def test_signature_of_something_else(person: str) -> None:
    """Another text, namespace, key: not good."""
    assert not check_sshsig(KEYS[person], TEXT + b" ", BLOBS[person], SPACE)
    assert not check_sshsig(KEYS[person], TEXT, BLOBS[person], "answerable/veto/v1")
    other = "dana" if person == "fay" else "fay"
    assert not check_sshsig(KEYS[other], TEXT, BLOBS[person], SPACE)


def test_touch_alone() -> None:
    """ssh-keygen accepts a FIDO signature without the PIN; we do not."""
    touched = ssh("fay").sign(TEXT, SPACE, PRESENT)
    with pytest.raises(Refused, match="no_user_verification"):
        check_sshsig(KEYS["fay"], TEXT, touched, SPACE)


def test_flags_are_signed() -> None:
    """Setting the flag afterwards breaks the signature."""
    touched = ssh("fay").sign(TEXT, SPACE, PRESENT)
    flags = len(touched) - 5
    raised = touched[:flags] + b"\x05" + touched[flags + 1 :]
    assert not check_sshsig(KEYS["fay"], TEXT, raised, SPACE)


@pytest.mark.fuzz
@given(st.sampled_from(PEOPLE), st.binary(max_size=300) | near_bytes(*BLOBS.values()))
def test_any_blob_is_refused_or_not_good(person: str, blob: bytes) -> None:
    """Untrusted blobs cause `Refused`, or are no good signature unless they are the one made."""
    with suppress(Refused):
        if check_sshsig(KEYS[person], TEXT, blob, SPACE):
            assert blob == BLOBS[person]


LINES = [ssh(p).line.encode() for p in PEOPLE]


@pytest.mark.fuzz
@given(st.text(max_size=80) | near_bytes(*LINES).map(lambda b: b.decode(errors="replace")))
def test_any_key_line_is_refused_or_read(line: str) -> None:
    """A line that is read names a key of one of the two kinds."""
    with suppress(Refused):
        assert person_key("dana", line).public[-32:]


@pytest.mark.parametrize(
    "line",
    [
        "", "ssh-ed25519", "ssh-ed25519 ", "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ==",
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIA==",
        ssh("dana").line.replace("ssh-ed25519", "sk-ssh-ed25519@openssh.com", 1),
    ],
)  # fmt: skip
def test_what_is_no_key_line(line: str) -> None:
    """Nothing, half a key, another algorithm, a kind that the key itself denies."""
    with pytest.raises(Refused, match=r"bad_key|malformed"):
        person_key("dana", line)
