"""Write vectors/*.json anew: `python -m tests.conformance.make_vectors`.

Everything comes from fixed seeds, so the files come out the same each time. ML-DSA signing is
hedged; its signatures are taken from vectors/mldsa44.json, and made once if they are not there.
A test compares the files with what this program gives.
"""

import base64
import hashlib
import json
from pathlib import Path
from struct import pack
from typing import Any

from cryptography.hazmat.primitives.asymmetric.mldsa import MLDSA44PrivateKey

from answerable.kernel.canon import encode
from answerable.kernel.checkpoint import Checkpoint, cosignature_message
from answerable.kernel.merkle import EMPTY, Tree, leaf_hash
from answerable.kernel.note import (
    COSIGNATURE,
    ED25519,
    MLDSA44,
    Key,
)
from answerable.kernel.sshsig import person_key
from answerable.keys.sign import Signer, cosign, sign_note, signature_line
from tests.conformance import rfc6962
from tests.conformance.authenticator import PRESENT, SshKey

HERE = Path(__file__).parent / "vectors"
Vectors = dict[str, Any]
TIME = 1_790_000_000
ORIGIN = "log.example/authority"


def seed(name: str) -> bytes:
    """Give the seed of a vector's key."""
    return hashlib.sha256(b"answerable test vector " + name.encode()).digest()


def b64(data: bytes) -> str:
    """Spell bytes in JSON."""
    return base64.b64encode(data).decode()


class Book:
    """The ML-DSA-44 signatures that were made once, by SHA-256 of public key and message."""

    def __init__(self) -> None:
        path = HERE / "mldsa44.json"
        found = json.loads(path.read_text())["signatures"] if path.exists() else []
        self.known = {self.name(entry["public"], entry["message"]): entry for entry in found}
        self.used: dict[str, Vectors] = {}

    @staticmethod
    def name(public: str, message: str) -> str:
        """Name a signature by what it signs."""
        return hashlib.sha256(f"{public} {message}".encode()).hexdigest()

    def signer(self, name: str, key_seed: bytes) -> Signer:
        """Give a signer that signs the same message the same way each time."""
        key = MLDSA44PrivateKey.from_seed_bytes(key_seed)
        public = key.public_key().public_bytes_raw()

        def again(message: bytes) -> bytes:
            at = self.name(b64(public), b64(message))
            entry = self.known.get(at) or {
                "message": b64(message),
                "public": b64(public),
                "signature": b64(key.sign(message)),
            }
            self.used[at] = entry
            return base64.b64decode(entry["signature"])

        return Signer(Key(name, MLDSA44, public), again)

    def vectors(self) -> Vectors:
        """Give the file."""
        about = "ML-DSA-44, empty context; all signatures of type 0x06 in the other files"
        return {"about": about, "signatures": [self.used[at] for at in sorted(self.used)]}


def signers(book: Book, name: str, *kinds: int) -> list[Signer]:
    """Give one party's signers, one a type, each from a seed of its own."""
    found = []
    for kind in kinds:
        own = seed(f"{name} {kind}")
        ml = kind == MLDSA44
        found.append(book.signer(name, own) if ml else Signer.from_seed(name, kind, own))
    return found


PEOPLE = {"dana": SshKey(seed("dana")), "lee": SshKey(seed("lee"), b"ssh:")}


def keys(book: Book) -> Vectors:
    """Key ids and verifier keys of all types, good ones and bad ones."""
    good = []
    for name, kind in (
        ("planner", ED25519),
        ("g1.example/witness", COSIGNATURE),
        (ORIGIN, MLDSA44),
    ):
        (signer,) = signers(book, name, kind)
        spelt = {"id": signer.key.id.hex(), "name": name, "vkey": signer.key.vkey()}
        good.append({**spelt, "seed": seed(f"{name} {kind}").hex(), "type": kind})
    people = [
        {"id": person_key(name, key.line).id.hex(), "line": key.line, "name": name}
        for name, key in PEOPLE.items()
    ]
    name, key_id, material = str(good[0]["vkey"]).split("+", 2)
    bad = {
        "id of another key": f"{name}+00000000+{material}",
        "id in capitals": f"{name}+{key_id.upper()}+{material}",
        "name of another key": f"planner2+{key_id}+{material}",
        "no name": f"+{key_id}+{material}",
        "space in the name": f"pla nner+{key_id}+{material}",
        "base64 with padding that is not due": f"{name}+{key_id}+{material}=",
        "key too short": f"{name}+{key_id}+{b64(base64.b64decode(material)[:-1])}",
        "unknown type": f"{name}+{key_id}+{b64(bytes([9]) + base64.b64decode(material)[1:])}",
        "two parts": f"{name}+{key_id}",
        "empty": "",
    }
    about = "key id = SHA-256(name || 0x0a || type || public)[:4]; people: type 0xff, then the text"
    return {
        "about": f"{about} `answerable/sshsig/v1` || 0x0a, then the SSH wire form",
        "bad": [{"case": case, "vkey": text} for case, text in bad.items()],
        "good": good,
        "people": people,
    }


_LINE = (
    "x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM="
)
EXAMPLE = f"""\
If you think cryptography is the answer to your problem,
then you don't know what your problem is.

\u2014 PeterNeumann {_LINE}
"""
EXAMPLE_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"


def _bad_notes(good: str) -> list[tuple[str, str | bytes, str]]:
    text, _, line = good.partition("\n\n")
    dash, name, blob = line.rstrip("\n").split(" ")
    raw = base64.b64decode(blob)
    flipped = b64(raw[:-1] + bytes([raw[-1] ^ 1]))
    stray = blob[:-2] + chr(ord(blob[-2]) + 1) + "="
    other = b64(b"\0\0\0\0" + raw[4:])
    return [
        ("text changed", good.replace("problem", "Problem", 1), "bad_signature"),
        ("signature changed", f"{text}\n\n{dash} {name} {flipped}\n", "bad_signature"),
        ("key id of nobody", f"{text}\n\n{dash} {name} {other}\n", "bad_signature"),
        ("name of nobody", f"{text}\n\n{dash} Nobody {blob}\n", "bad_signature"),
        ("a good and a bad line of one key", f"{good}{dash} {name} {flipped}\n", "bad_signature"),
        ("no signature line", f"{text}\n\n", "malformed"),
        ("no blank line", f"{text}\n{line}", "malformed"),
        ("no text", f"\n\n{line}", "malformed"),
        ("no final newline", good.rstrip("\n"), "malformed"),
        ("text after the signatures", f"{good}more\n", "malformed"),
        ("hyphen for the dash", good.replace("\u2014 ", "- "), "malformed"),
        ("two spaces", good.replace(f" {blob}", f"  {blob}"), "malformed"),
        ("plus in the name", good.replace(f" {name} ", " Peter+Neumann "), "malformed"),
        ("no name", good.replace(f" {name} ", "  "), "malformed"),
        ("no-break space in the name", good.replace(name, "Peter\u00a0Neumann"), "malformed"),
        ("base64 without padding", good.replace(blob, blob.rstrip("=")), "malformed"),
        ("base64 with stray bits", good.replace(blob, stray), "malformed"),
        ("base64 for web addresses", good.replace("/", "_"), "malformed"),
        ("key id alone", good.replace(blob, b64(raw[:4])), "malformed"),
        ("carriage return", good.replace("\n", "\r\n"), "malformed"),
        ("tabulator in the text", good.replace("problem", "pro\tblem", 1), "malformed"),
        ("not UTF-8", good.encode().replace(b"problem", b"pro\xffblem", 1), "malformed"),
        ("empty", "", "malformed"),
        ("sixty-five lines", good + line * 64, "malformed"),
    ]  # fmt: skip


def notes(book: Book) -> Vectors:
    """Signed notes of type 0x01, good ones and bad ones, each with the keys the reader trusts."""
    first, second = (signers(book, name, ED25519)[0] for name in ("planner", "herald"))
    text = "The text may hold\n\nan empty line, and words like f\u00fcr.\n"
    both = sign_note(text, first, second).decode()
    trusted = [first.key.vkey(), second.key.vkey()]
    cases = [
        ("the example of golang.org/x/mod/sumdb/note", EXAMPLE, [EXAMPLE_KEY], ""),
        ("two signers, both known", both, trusted, ""),
        ("two signers, one known", both, trusted[1:], ""),
        ("two signers, none known", both, [EXAMPLE_KEY], "bad_signature"),
        ("two signers, the second line bad", _spoilt(both), trusted, "bad_signature"),
        ("the same line twice", EXAMPLE + EXAMPLE.split("\n\n")[1], [EXAMPLE_KEY], ""),
        *((case, note, [EXAMPLE_KEY], reason) for case, note, reason in _bad_notes(EXAMPLE)),
    ]
    return {
        "about": "note in base64; reason is empty where the note must be accepted",
        "notes": [
            {
                "case": case,
                "keys": known,
                "note": b64(note if isinstance(note, bytes) else note.encode()),
                "reason": reason,
            }
            for case, note, known, reason in cases
        ],
    }


def _spoilt(note: str) -> str:
    head, _, blob = note.rstrip("\n").rpartition(" ")
    data = base64.b64decode(blob)
    return f"{head} {b64(data[:-1] + bytes([data[-1] ^ 1]))}\n"


LEAVES = [
    b"", b"\x00", b"\x10", bytes.fromhex("2021"), bytes.fromhex("3031"), bytes.fromhex("40414243"),
    bytes.fromhex("5051525354555657"), bytes.fromhex("606162636465666768696a6b6c6d6e6f"),
]  # fmt: skip
"""The eight leaves that every Certificate Transparency implementation is tested with."""


def merkle(_: Book) -> Vectors:
    """RFC 6962 trees: roots of every size, and every inclusion and consistency proof."""
    hashes = [rfc6962.leaf(leaf) for leaf in LEAVES]
    roots = [rfc6962.mth(hashes[:size]).hex() for size in range(len(hashes) + 1)]
    inclusion = [
        {
            "index": index,
            "leaf": hashes[index].hex(),
            "proof": [step.hex() for step in rfc6962.path(index, hashes[:size])],
            "root": roots[size],
            "size": size,
        }
        for size in range(1, len(hashes) + 1)
        for index in range(size)
    ]
    consistency = [
        {
            "old": old,
            "old_root": roots[old],
            "proof": [step.hex() for step in rfc6962.proof(old, hashes[:size])],
            "root": roots[size],
            "size": size,
        }
        for size in range(1, len(hashes) + 1)
        for old in range(1, size + 1)
    ]
    leaves = zip(LEAVES, hashes, strict=True)
    return {
        "about": "leaf = SHA-256(0x00 || entry), node = SHA-256(0x01 || left || right); hex",
        "consistency": consistency,
        "empty": EMPTY.hex(),
        "inclusion": inclusion,
        "leaves": [{"entry": leaf.hex(), "hash": hashed.hex()} for leaf, hashed in leaves],
        "roots": roots,
    }


def _case(case: str, note: str, known: list[Signer], reason: str = "") -> Vectors:
    keys = [signer.key.vkey() for signer in known]
    return {"case": case, "keys": keys, "note": b64(note.encode()), "reason": reason}


def checkpoints(book: Book) -> Vectors:
    """Checkpoints of a log with cosignatures of types 0x04 and 0x06; every key given must sign."""
    tree = Tree(map(leaf_hash, LEAVES))
    head = Checkpoint(ORIGIN, tree.size, tree.root())
    log = signers(book, ORIGIN, ED25519, MLDSA44)
    guards = [signers(book, f"g{n}.example/witness", COSIGNATURE, MLDSA44) for n in range(1, 5)]
    everyone = [*log, *(signer for pair in guards for signer in pair)]
    own = head.text() + "\n" + cosign(head, TIME, *log)
    lines = [cosign(head, TIME + 10 * n, *pair) for n, pair in enumerate(guards)]
    note = own + "".join(lines)
    timed = guards[0]
    early = _earlier(lines[0], 0, timed)
    early_ml = _earlier(lines[0], 1, timed)
    elsewhere = Checkpoint("log.example/report", head.size, head.root)
    swapped = elsewhere.text() + "\n" + "".join(lines)
    empty = Checkpoint(ORIGIN, 0, EMPTY)
    turned = note.replace(b64(head.root), b64(head.root[::-1]))
    lent = own + _renamed(lines[0])
    bad = [
        _case("0x04 with an earlier time", own + early, [*log, *timed], "bad_signature"),
        _case("0x06 with an earlier time", own + early_ml, [*log, *timed], "bad_signature"),
        _case("lines of another origin", swapped, timed, "bad_signature"),
        _case("root changed", turned, everyone, "bad_signature"),
        _case("size changed", note.replace("\n8\n", "\n9\n"), everyone, "bad_signature"),
        _case("lines of a guard given to another", lent, [*log, *guards[1]], "bad_signature"),
    ]  # fmt: skip
    return {
        "about": "good: every key of `keys` has signed, times as said; bad: at least one has not",
        "bad": bad,
        "good": [
            {**_case("four guards", note, everyone), "times": _times(head, everyone, guards)},
            {
                **_case("the empty tree", empty.text() + "\n" + cosign(empty, TIME, *log), log),
                "times": _times(empty, log, []),
            },
        ],
    }


def _earlier(lines: str, at: int, pair: list[Signer]) -> str:
    """Move the time of one of a guard's two lines."""
    both = lines.splitlines(keepends=True)
    both[at] = signature_line(pair[at].key, pack(">Q", TIME - 1) + _payload(lines, at)[8:])
    return "".join(both)


def _payload(lines: str, at: int) -> bytes:
    return base64.b64decode(lines.split("\n")[at].split(" ")[2])[4:]


def _renamed(lines: str) -> str:
    second = [Key("g2.example/witness", kind, b"") for kind in (COSIGNATURE, MLDSA44)]
    book = Book()
    pair = signers(book, "g2.example/witness", *(key.kind for key in second))
    return "".join(signature_line(pair[n].key, _payload(lines, n)) for n in (0, 1))


def _times(head: Checkpoint, everyone: list[Signer], guards: list[list[Signer]]) -> list[Vectors]:
    when = {signer.key: TIME + 10 * n for n, pair in enumerate(guards) for signer in pair}
    found = []
    for signer in everyone:
        key, time = signer.key, when.get(signer.key, TIME)
        text = head.text().encode()
        plain = key.kind == ED25519
        message = text if plain else cosignature_message(key.kind, key.name, time, text)
        found.append(
            {
                "id": key.id.hex(),
                "message": b64(message),
                "name": key.name,
                "time": 0 if plain else time,
            }
        )
    return found


def _canonical_good() -> list[str]:
    deep: Any = 0
    for _ in range(32):
        deep = [deep]
    return [
        "{}", "[]", "0", "-1", "null", "true", '""', '{"a":1,"b":[true,false,null]}',
        '{"":0,"A":0,"a":0,"\u00e9":0,"\uffff":0,"\U00010000":0}',
        '"f\u00fcr \u2028 \U0001f512 \u007f"', '"\\"\\\\/\\b\\f\\n\\r\\t\\u0000\\u001f"',
        "9999999999999999", encode(deep),
    ]  # fmt: skip


CANONICAL_BAD: dict[str, str | bytes] = {
    "empty": "",
    "white space": '{"a": 1}',
    "newline at the end": "{}\n",
    "byte order mark": "\ufeff{}",
    "keys not in order": '{"b":0,"a":0}',
    "keys in the order of UTF-16": '{"\U00010000":0,"\uffff":0}',
    "the same key twice": '{"a":0,"a":0}',
    "the same key twice, once escaped": '{"a":0,"\\u0061":0}',
    "a float": "1.0",
    "an exponent": "1e3",
    "minus nought": "-0",
    "a leading nought": "01",
    "seventeen digits": "99999999999999999",
    "not a number": "NaN",
    "infinity": "Infinity",
    "an escape that is not needed": '"\\u00fc"',
    "an escaped stroke": '"\\/"',
    "an escape in capitals": '"\\u001F"',
    "half a surrogate pair": '"\\ud800"',
    "a bare control character": '"\t"',
    "single quotes": "{'a':0}",
    "comma at the end": "[0,]",
    "two values": "{}{}",
    "not UTF-8": b'"\xff"',
    "UTF-8 of a surrogate": b'"\xed\xa0\x80"',
    "thirty-three levels": "[" * 33 + "0" + "]" * 33,
    "five thousand levels": "[" * 5_000,
}


def canonical(_: Book) -> Vectors:
    """Canonical JSON: texts that are the one spelling of a value, and texts that are not."""
    bad = [
        {"case": case, "text": b64(text if isinstance(text, bytes) else text.encode())}
        for case, text in CANONICAL_BAD.items()
    ]
    good = [{"text": b64(text.encode())} for text in _canonical_good()]
    return {"about": "texts in base64; keys sort by code point", "bad": bad, "good": good}


def sshsig(_: Book) -> Vectors:
    """SSH signatures of people, by a plain key and by FIDO keys, with what the kernel says."""
    text, namespace, no = b'{"type":"veto"}\n', "answerable/veto/v1", "refused"
    touched = "no_user_verification"
    dana, lee = PEOPLE["dana"], PEOPLE["lee"]
    cases = [
        ("ed25519, sha512", "dana", dana.sign(text, namespace), "accepted"),
        ("ed25519, sha256", "dana", dana.sign(text, namespace, digest="sha256"), "accepted"),
        ("ed25519, another namespace", "dana", dana.sign(text, "file"), no),
        ("ed25519, another text", "dana", dana.sign(text[:-1], namespace), no),
        ("ed25519, another person's", "dana", SshKey(seed("x")).sign(text, namespace), no),
        ("fido, user verified", "lee", lee.sign(text, namespace), "accepted"),
        ("fido, touched only", "lee", lee.sign(text, namespace, flags=PRESENT), touched),
        ("fido, another namespace", "lee", lee.sign(text, "file"), no),
    ]  # fmt: skip
    return {
        "about": "raw SSHSIG blobs; touched only: ssh-keygen -Y verify accepts, we do not",
        "namespace": namespace,
        "signatures": [
            {
                "blob": b64(blob),
                "case": case,
                "line": PEOPLE[who].line,
                "person": who,
                "verdict": verdict,
            }
            for case, who, blob, verdict in cases
        ],
        "text": b64(text),
    }  # fmt: skip


def everything() -> dict[str, Vectors]:
    """Give every file; the signatures used come last."""
    book = Book()
    makers = (canonical, checkpoints, keys, merkle, notes, sshsig)
    made = {maker.__name__: maker(book) for maker in makers}
    return {**made, "mldsa44": book.vectors()}


def spell(vectors: Vectors) -> str:
    """Spell one file."""
    return json.dumps(vectors, indent=1, sort_keys=True, ensure_ascii=True) + "\n"


if __name__ == "__main__":
    HERE.mkdir(exist_ok=True)
    for stem, content in everything().items():
        (HERE / f"{stem}.json").write_text(spell(content))
