"""Signatures beside a document: whose they are, what of, and nothing in their place."""

from pathlib import Path

import pytest

from answerable.feeds.documents.openpgp import require_detached, signed_text
from answerable.feeds.source import State, Unusable
from tests.feeds.archive import NOW, Publisher

DATA, OWN, OTHER = b"<repomd/>\n", Publisher(), Publisher(seed=9)


@pytest.fixture
def keyring(tmp_path: Path) -> Path:
    """One publisher's."""
    file = tmp_path / "ring.gpg"
    file.write_bytes(OWN.keyring())
    return file


@pytest.mark.parametrize("armoured", [True, False])
def test_a_signature_of_the_keyring_holds(keyring: Path, *, armoured: bool) -> None:
    """In text or not, and beside one of a key that the keyring lacks."""
    signature = OWN.detached(DATA, NOW, armoured=armoured)
    require_detached(DATA, signature, keyring, "here")
    if not armoured:
        both = OTHER.detached(DATA, NOW, armoured=False) + signature
        require_detached(DATA, both, keyring, "here")


@pytest.mark.parametrize(
    ("signature", "state"),
    [
        (OTHER.detached(DATA, NOW), State.FORGED),
        (OWN.detached(b"<other/>\n", NOW), State.FORGED),
        (OWN.detached(DATA, NOW, digest=2), State.FORGED),
        (OWN.sign("<repomd/>\n", NOW), State.MALFORMED),
        (b"", State.MALFORMED),
        (b"no signature", State.MALFORMED),
        (OWN.keyring(), State.MALFORMED),
    ],
)
def test_anything_else_has_its_state(signature: bytes, state: State, keyring: Path) -> None:
    """Another key, other bytes, SHA-1, a text signed inline, nothing, a keyring."""
    with pytest.raises(Unusable) as failure:
        require_detached(DATA, signature, keyring, "here")
    assert failure.value.state in (state, State.FORGED)


def test_a_keyring_that_is_missing_or_text_is_named(keyring: Path) -> None:
    """Distributions ship theirs as text: what to do about it is said."""
    keyring.write_bytes(b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n")
    with pytest.raises(Unusable, match="dearmor"):
        require_detached(DATA, OWN.detached(DATA, NOW), keyring, "here")
    keyring.unlink()
    with pytest.raises(Unusable, match="install it"):
        signed_text(OWN.sign("x\n", NOW), keyring, "here")
