"""Thresholds count persons, whatever keys and ids a root lists."""

from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA65PrivateKey
from securesystemslib.signer import CryptoSigner, SSlibKey
from tuf.api.metadata import Metadata, Root

from answerable.feeds.mirror import people, reader
from answerable.feeds.mirror.writer import _Hand
from answerable.feeds.source import State, Unusable
from tests.feeds.mirror import stock
from tests.feeds.mirror.publisher import NOW, Publisher, both, hands, read


@pytest.fixture
def root(tmp_path: Path) -> Root:
    """Give a sound root."""
    publisher = Publisher(tmp_path / "repo")
    publisher.world("a" * 64)
    signed = read(publisher.served(), "metadata/1.root.json").signed
    assert isinstance(signed, Root)
    return signed


def _key(root: Root, name: str, keytype: str) -> SSlibKey:
    found = next(
        key
        for key in root.keys.values()
        if key.unrecognized_fields[people.HOLDER] == name and key.keytype == keytype
    )
    assert isinstance(found, SSlibKey)
    return found


def _again(key: SSlibKey, keyid: str, holder: str) -> SSlibKey:
    return SSlibKey(keyid, key.keytype, key.scheme, dict(key.keyval), {people.HOLDER: holder})


def _replace(root: Root, old: SSlibKey, *new: SSlibKey) -> None:
    """List other keys wherever a key is listed."""
    del root.keys[old.keyid]
    root.keys.update({key.keyid: key for key in new})
    for role in root.roles.values():
        if old.keyid in role.keyids:
            role.keyids.remove(old.keyid)
            role.keyids += [key.keyid for key in new]


def _one_key_under_two_ids(root: Root) -> None:
    """TAP 12: python-tuf counts ids, so one person meets any threshold."""
    key = _key(root, "lee", "ed25519")
    copies = [_again(key, f"{n:064x}", f"p{n}") for n in range(4)]
    root.keys.update({copy.keyid: copy for copy in copies})
    root.roles["root"].keyids += [copy.keyid for copy in copies]


def _one_person_as_two(root: Root) -> None:
    for key in list(root.keys.values()):
        if key.unrecognized_fields[people.HOLDER] == "sam" and isinstance(key, SSlibKey):
            mine = _key(root, "lee", key.keytype)
            _replace(root, key, _again(mine, "f" * 63 + str(len(key.keytype)), "sam"))


def _other_case(root: Root) -> None:
    key = _key(root, "lee", "ed25519")
    loud = _again(key, key.keyid, "lee")
    loud.keyval["public"] = key.keyval["public"].upper()
    _replace(root, key, loud)


def _other_pem(root: Root) -> None:
    key = _key(root, "lee", "ml-dsa")
    loose = _again(key, key.keyid, "lee")
    loose.keyval["public"] = key.keyval["public"] + "\n"
    _replace(root, key, loose)


def _two_ordinary_keys(root: Root) -> None:
    second = people.tuf_key(hands("lee", "second")[0].key)
    _replace(root, _key(root, "lee", "ml-dsa"), second)


def _third_key(root: Root) -> None:
    second = people.tuf_key(hands("lee", "second")[0].key)
    root.add_key(second, "root")


def _nobody(root: Root) -> None:
    del _key(root, "lee", "ed25519").unrecognized_fields[people.HOLDER]


def _odd_name(root: Root) -> None:
    for key in root.keys.values():
        if key.unrecognized_fields[people.HOLDER] == "lee":
            key.unrecognized_fields[people.HOLDER] = "Lee \u202e"


def _half(root: Root) -> None:
    root.roles["targets"].keyids.remove(_key(root, "lee", "ml-dsa").keyid)


def _odd_threshold(root: Root) -> None:
    root.roles["root"].threshold = 3


def _one_person_root(root: Root) -> None:
    root.roles["root"].threshold = 2


def _too_many(root: Root) -> None:
    root.roles["timestamp"].threshold = 4


def _unknown_key(root: Root) -> None:
    root.roles["root"].keyids.append("0" * 64)


def _rsa(root: Root) -> None:
    key = CryptoSigner.generate_rsa().public_key
    assert isinstance(key, SSlibKey)
    key.unrecognized_fields[people.HOLDER] = "lee"
    _replace(root, _key(root, "lee", "ed25519"), key)


def _stronger(root: Root) -> None:
    key = SSlibKey.from_crypto(MLDSA65PrivateKey.generate().public_key())
    key.unrecognized_fields[people.HOLDER] = "lee"
    _replace(root, _key(root, "lee", "ml-dsa"), key)


def _relabelled(root: Root) -> None:
    key = _key(root, "lee", "ml-dsa")
    pem = CryptoSigner.generate_ecdsa().public_key
    assert isinstance(pem, SSlibKey)
    false = SSlibKey(key.keyid, "ml-dsa", "ml-dsa-44/1", dict(pem.keyval), {people.HOLDER: "lee"})
    _replace(root, key, false)


def _no_consistent_snapshots(root: Root) -> None:
    root.consistent_snapshot = False


BAD: dict[str, tuple[Callable[[Root], None], int]] = {
    "no consistent snapshots": (_no_consistent_snapshots, 1),
    "an RSA key": (_rsa, 2),
    "a scheme that is not ours": (_stronger, 2),
    "an elliptic key under a post-quantum name": (_relabelled, 2),
    "a key in capital letters": (_other_case, 2),
    "a key with a line more": (_other_pem, 2),
    "one key under many ids": (_one_key_under_two_ids, 2),
    "one person under two names": (_one_person_as_two, 2),
    "a key of nobody": (_nobody, 3),
    "a holder whose name shows as another": (_odd_name, 3),
    "two ordinary keys and none for later": (_two_ordinary_keys, 3),
    "three keys of one person": (_third_key, 3),
    "half a person": (_half, 5),
    "a role with an unknown key": (_unknown_key, 5),
    "a threshold of one and a half persons": (_odd_threshold, 6),
    "a root that one person may sign": (_one_person_root, 6),
    "more persons than there are": (_too_many, 6),
}


@pytest.mark.parametrize("name", BAD)
def test_a_root_that_breaks_a_rule_is_none(root: Root, name: str) -> None:
    """Whoever signed it."""
    change, rule = BAD[name]
    people.check_root(root, "root")
    change(root)
    with pytest.raises(Unusable, match=f"rule {rule} ") as caught:
        people.check_root(root, "root")
    assert caught.value.state == State.FORGED


def test_the_rule_is_needed(tmp_path: Path) -> None:
    """One key under four ids meets a threshold of four in python-tuf; here it is no root."""
    lee = hands("lee")[0]
    first = people.tuf_key(lee.key)
    copies = [_again(first, f"{n:064x}", f"p{n}") for n in range(4)]
    keyids = [copy.keyid for copy in copies]
    root = Root(keys={copy.keyid: copy for copy in copies})
    for role in root.roles.values():
        role.keyids, role.threshold = list(keyids), 4
    metadata = Metadata(root)
    signature = metadata.sign(_Hand(lee)).signature
    metadata.signatures = {
        keyid: type(next(iter(metadata.signatures.values())))(keyid, signature) for keyid in keyids
    }
    stock.updater(tmp_path, {}, metadata.to_bytes(), NOW)
    with pytest.raises(Unusable) as caught:
        reader.read_root(metadata.to_bytes())
    assert caught.value.state == State.FORGED


def test_a_holder_has_signed_when_both_keys_have(root: Root) -> None:
    """Four signatures of three people may be one person's and two halves."""
    metadata = Metadata(root)
    for hand in (*both("lee"), hands("dana")[0], hands("sam")[1]):
        metadata.sign(_Hand(hand), append=True)
    assert people.signed_by(root, "root", metadata) == {"lee"}
    root.verify_delegate("root", metadata.signed_bytes, metadata.signatures)
    assert people.persons(root, "root") == 2
