"""The examples of docs/spec: exact bytes, made from the simulator's fixed keys.

`python -m tests.kernel.examples` prints them; `test_spec.py` demands that each stands on its page.
"""

import sys
from hashlib import sha256

from answerable.kernel.canon import encode
from answerable.kernel.checkpoint import Checkpoint, cosignature_message
from answerable.kernel.fresh import fresh_origin
from answerable.kernel.note import COSIGNATURE, ED25519, MLDSA44
from answerable.keys.sign import consume_text, cosign, sign_note
from tests.simulator import T0, Simulator
from tests.simulator import constitution as law
from tests.simulator.keys import signer
from tests.simulator.log import tree_of

FLEET = sha256(b"an example").hexdigest()


def examples() -> dict[str, list[str]]:
    """Give each page's examples."""
    sim = Simulator()
    host, where = sim.records["web1"], "log.example/authority"
    order = encode(law.order(FLEET, "web1", host["instance"], 0))
    action = f"{'ab' * 32}/{sha256(order.encode()).hexdigest()}/up"
    head = {"origin": where, "root": "cd" * 32, "size": 14, "state": "ef" * 32}
    tree = tree_of(["one", "two", "three"])
    at = Checkpoint(where, tree.size, tree.root())
    guard, text = "g1.example/witness", at.text()
    first, second = (
        cosignature_message(kind, guard, T0, text.encode()) for kind in (COSIGNATURE, MLDSA44)
    )
    log = signer(where, ED25519)
    lines = cosign(at, 0, log) + cosign(at, T0, signer(guard, COSIGNATURE))
    note = sign_note("hello, world\n", signer("planner1"))
    words = law.veto(targets=["debian:12/libssl3@3.0.17-1~deb12u2"])
    said = sim.write("veto", words, "lee", fleet=FLEET, nonce="00" * 16)
    return {
        "note.md": [note.decode(), signer("planner1").key.vkey()],
        "canonical-json.md": [encode({"b": [1, True, None], "a": 'é/"\n'})],
        "checkpoint.md": [
            f"{text}\n{lines}", log.key.vkey(), signer(guard, COSIGNATURE).key.vkey(),
            repr(first)[2:-1], second.hex(),
        ],
        "statement.md": [said.decode(), encode(law.authorization())],
        "order.md": [order, law.artefact("libssl3", law.NEW), law.SSL_FIX, encode(host)],
        "fresh.md": [
            fresh_origin(FLEET),
            encode({"head": head, "host": "web1", "last": "", "nonce": "00" * 16}),
            sign_note(consume_text(FLEET, "web1", 1, action), signer("web1")).decode(),
        ],
    }  # fmt: skip


if __name__ == "__main__":
    for page, parts in examples().items():
        sys.stdout.write(f"=== {page}\n" + "\n---\n".join(parts) + "\n")
