"""An observer's own way onto a host: `ssh` to the foot (foot.py), and nothing else that ssh can do.

The way is an ssh_config(5) file of the observer's own with one `Host host`: address, port, user,
key, and its `UserKnownHostsFile`. What must not depend on that file is given on the command line:
no questions, no unknown host key, no forwarding, no terminal. The host answers one line; whatever
it sends, it costs no more than `ANSWER` bytes and the time given, and is believed to be what that
host says of itself by this way, no more.

If there is a file `<config>.vkey` beside the way, verifyd answers there (verifyd.py), and the file
holds its verifier key: each answer must be signed by it, over the question and a nonce of our own.

Left out: a connection that is kept (ControlMaster may stand in the file).
"""

import secrets
import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path
from threading import Timer

from answerable.kernel.canon import Json, conforms, decode
from answerable.kernel.errors import Refused
from answerable.kernel.note import ED25519, Key, Note, parse_vkey, signature_holds
from answerable.observe.containers import Held
from answerable.observe.files import NAME, Table
from answerable.observe.look import Unseen
from answerable.observe.posture import Posture

ANSWER = 64 << 20
"""Largest answer of a host, bytes."""
SECONDS = 30.0
"""How long an answer may take, seconds."""
COMPLAINT, SAID = 65_536, 200
"""How much of what ssh complains about is read, bytes, and how much of its end is shown."""
_STRICT = (
    "-T", "-a", "-x", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes",
    "-o", "ClearAllForwardings=yes", "-o", "PermitLocalCommand=no", "-o", "ConnectTimeout=10",
)  # fmt: skip
_VERSIONS = {"installed": "any", "stale": ["text"]}
_POSTURE = {"sections": "any", "unread": ["any"]}


def ask(config: Path, asked: str, seconds: float = SECONDS) -> Json:
    """Ask a host's foot one thing; if its verifyd has a key, the answer must bear its signature.

    Args:
        config: the ssh_config(5) file that leads to it.
        asked: one of `foot.ASKED`; `files` with names behind it.

    Raises:
        Unseen: if it does not answer in time, or something else than it should.
    """
    beside = config.with_name(f"{config.name}.vkey")
    try:
        if not beside.exists():
            return decode(_said(config, asked, seconds).removesuffix(b"\n"), ANSWER)
        key, nonce = parse_vkey(beside.read_text("ascii").strip()), secrets.token_hex(16)
        note = Note(_said(config, f"signed {nonce} {asked}", seconds), ANSWER)
        found = decode(note.open([key], _once)[0].removesuffix(b"\n"), ANSWER)
    except (OSError, ValueError) as error:
        raise Unseen(f"`{beside}`: cannot be read: {error}; put verifyd's key there") from error
    except Refused as refusal:
        raise Unseen(f"`{config}`: not an answer of its foot: {refusal.detail}") from refusal
    said = {"answer": "any", "asked": (asked,), "nonce": (nonce,)}
    if not conforms(found, said):
        raise Unseen(f"`{config}`: verifyd answers another question than was asked")
    return found["answer"]


def _once(key: Key, text: bytes, payload: bytes) -> bool:
    # Not remembered, as other signatures are: the text may be many megabytes.
    return key.kind == ED25519 and signature_holds.__wrapped__(ED25519, key.public, payload, text)


def _said(config: Path, asked: str, seconds: float) -> bytes:
    ssh = shutil.which("ssh")
    if ssh is None:
        raise Unseen("there is no `ssh` here: install openssh-client")
    words = [ssh, "-F", str(config), *_STRICT, "host", asked]
    with subprocess.Popen(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as way:
        assert way.stdout
        assert way.stderr
        late = Timer(seconds, way.kill)
        late.start()
        try:
            data = way.stdout.read(ANSWER + 1)
            if len(data) > ANSWER:
                way.kill()
            said = way.stderr.read(COMPLAINT).decode(errors="replace").strip()[-SAID:]
            ended = way.wait()
        finally:
            late.cancel()
            way.kill()
    if ended or len(data) > ANSWER:
        raise Unseen(f"`{config}`: ssh ended with {ended}: {said!a}")
    return data


def versions(config: Path) -> tuple[dict[str, str], list[str]]:
    """Give what is installed on a host, and its stale programs; raises as `ask`."""
    found = ask(config, "versions")
    if not conforms(found, _VERSIONS) or not _table(found["installed"]):
        raise Unseen(f"`{config}`: the host's foot answers something else than versions")
    return found["installed"], found["stale"]


def posture(config: Path) -> Posture:
    """Give a host's posture, with what runs; raises as `ask`."""
    found = ask(config, "posture")
    sound = conforms(found, _POSTURE) and isinstance(found["sections"], dict)
    sound = sound and all(map(_table, found["sections"].values()))
    if not sound or not all(isinstance(path, str) for path in found["unread"]):
        raise Unseen(f"`{config}`: the host's foot answers something else than a posture")
    return Posture(found["sections"], found["unread"])


def files(config: Path, names: Collection[str]) -> Table:
    """Give the files of packages as they lie on a host; raises as `ask`."""
    # Words of a command that another program takes apart: nothing but names may be among them.
    if not all(map(NAME.fullmatch, names)):
        raise Unseen(f"`{config}`: a package with a name that none has")
    found = ask(config, f"files {' '.join(sorted(names))}")
    same = isinstance(found, dict) and found.keys() == set(names)
    if not same or not all(map(_table, found.values())):
        raise Unseen(f"`{config}`: the host's foot answers something else than files")
    return dict(found)


def images(config: Path) -> Held:
    """Give the container images that lie on a host; raises as `ask`."""
    found = ask(config, "images")
    if not isinstance(found, dict) or not all(conforms(row, ["hex"]) for row in found.values()):
        raise Unseen(f"`{config}`: the host's foot answers something else than images")
    return {name: row for name, row in found.items() if row}


def _table(value: Json) -> bool:
    return isinstance(value, dict) and all(isinstance(text, str) for text in value.values())
