"""Private keys on disk: only their owner reads them, and a damaged file never signs."""

import base64
import stat
from pathlib import Path

import pytest

from answerable.kernel.note import COSIGNATURE, ED25519, MLDSA44, OTHER, parse_vkey
from answerable.keys.store import FILE, KeyUnavailable, load_key, load_or_make, make_key

KINDS = (ED25519, COSIGNATURE, MLDSA44)
NAME = "g1.example/witness"


@pytest.mark.parametrize("kind", KINDS)
def test_a_key_reads_back_as_it_was_made(tmp_path: Path, kind: int) -> None:
    """A restarted party signs with the key that the charter lists."""
    made = make_key(tmp_path / "keys" / "k", NAME, kind)
    read = load_key(tmp_path / "keys" / "k")
    assert read.key == made.key
    assert parse_vkey(read.key.vkey()) == made.key
    if kind != MLDSA44:
        assert read.sign_raw(b"text") == made.sign_raw(b"text")


def test_only_the_owner_can_read_keys(tmp_path: Path) -> None:
    """Another user of the machine reads neither a key nor the names of the keys."""
    path = tmp_path / "party" / "keys" / "k"
    make_key(path, NAME, ED25519)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_file_of_keys_is_one_line_in_the_known_form(tmp_path: Path) -> None:
    """The file is what Go's `sumdb/note` reads: PRIVATE+KEY+name+id+base64(type || seed)."""
    made = make_key(tmp_path / "k", NAME, ED25519)
    text = (tmp_path / "k").read_text()
    words = text.rstrip("\n").split("+", 4)
    assert words[:4] == ["PRIVATE", "KEY", NAME, made.key.id.hex()]
    assert (len(base64.b64decode(words[4])), base64.b64decode(words[4])[0]) == (33, ED25519)
    assert text.count("\n") == 1


def test_two_keys_are_never_the_same(tmp_path: Path) -> None:
    """Keys are random, also for one name and type."""
    assert make_key(tmp_path / "a", NAME, ED25519) != make_key(tmp_path / "b", NAME, ED25519)


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    """Making a party twice does not lose the key that its charter lists."""
    first = load_or_make(tmp_path / "k", NAME, ED25519)
    assert load_or_make(tmp_path / "k", NAME, ED25519).key == first.key
    with pytest.raises(FileExistsError):
        make_key(tmp_path / "k", NAME, ED25519)
    assert load_key(tmp_path / "k").key == first.key


def test_a_missing_key_says_what_to_do(tmp_path: Path) -> None:
    """Whoever starts a party without its keys is told how they are made."""
    with pytest.raises(KeyUnavailable, match="make it with `init`"):
        load_key(tmp_path / "none")


def _damaged(text: str) -> dict[str, str | bytes]:
    words = text.strip().split("+", 4)
    blob = base64.b64decode(words[4])

    def with_blob(data: bytes, key_id: str = words[3]) -> str:
        secret = base64.b64encode(data).decode()
        return "+".join([*words[:3], key_id, secret]) + "\n"

    return {
        "empty": "",
        "a word is missing": "+".join(words[:4]),
        "cut off": text[:-10],
        "not base64": "+".join([*words[:4], "not base64!"]),
        "not ascii": text.encode() + "\u00e9".encode(),
        "another name": text.replace("witness", "attester"),
        "another key id": "+".join([*words[:3], "00000000", words[4]]),
        "another seed": with_blob(blob[:1] + bytes(32)),
        "another type": with_blob(bytes([COSIGNATURE]) + blob[1:]),
        "an unknown type": with_blob(bytes([OTHER]) + blob[1:]),
        "a short seed": with_blob(blob[:-1]),
        "a long file": text.strip() + "A" * FILE,
    }


@pytest.mark.parametrize("how", _damaged("PRIVATE+KEY+x+00000000+" + "AQ" + "A" * 42))
def test_a_damaged_key_does_not_sign(tmp_path: Path, how: str) -> None:
    """A key file that was cut, changed or renamed is `KeyUnavailable`, never another key."""
    make_key(tmp_path / "k", NAME, ED25519)
    damaged = _damaged((tmp_path / "k").read_text())[how]
    data = damaged if isinstance(damaged, bytes) else damaged.encode()
    (tmp_path / "k").write_bytes(data)
    with pytest.raises(KeyUnavailable):
        load_key(tmp_path / "k")
