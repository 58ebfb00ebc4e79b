"""verifyd: the observer's foot as a process of its own, with a user and a key of its own.

    verifyd FILE     answers on a unix socket; FILE is JSON, below
    look             what sshd is forced to run: hands its question to verifyd, and the answer back

    {"allow":["answerable-look"],"key":"/var/lib/answerable-verifyd/key","name":"web1.foot",
     "socket":"/run/answerable-verifyd/socket"}

The user that observers log in as may then read nothing but that socket; verifyd reads everything
(CAP_DAC_READ_SEARCH) and changes nothing, and its key lies where the agent that acts has no
business. A question is one line: what foot.py answers, or, to have it signed,

    signed <nonce, 32 hex> versions

The answer is a line, `ok` or `no <exit code> <why>`, then what foot.py says; if signed, a note by
verifyd's key (type 0x01) of one line, `{"answer":{..},"asked":"versions","nonce":"<hex>"}`.

Rules: only users in `allow` are answered (SO_PEERCRED, unix(7)); one question at a time, at most
`QUESTION` bytes, within `SECONDS`; the key is made at the first start, and its public half printed.
Left out: Landlock (its unit makes every path read-only); telling observers the key, which a person
does.
"""

import os
import pwd
import re
import socket
import stat
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from struct import calcsize, unpack

from answerable.kernel.canon import conforms, decode, encode
from answerable.kernel.errors import Refused, Unavailable
from answerable.observe import foot
from answerable.observe.look import Unseen

SETTINGS, QUESTION = 65_536, 65_536
"""Largest file of settings, and largest question, bytes."""
ANSWER = 256 << 20
"""Largest answer, bytes."""
SECONDS = 60.0
"""How long a question may take to come, and an answer to be read."""
SOCKET = Path("/run/answerable-verifyd/socket")
"""Where `look` finds verifyd."""
_FORM = {"allow": ["id"], "key": "text", "name": "name", "socket": "text"}
_SIGNED = re.compile(r"signed ([0-9a-f]{32}) (.+)")
_CREDENTIALS = "3i"
_WAITING = 8


@dataclass(frozen=True)
class Settings:
    """Who may ask, the key and the name it signs under, and where it listens."""

    allow: tuple[str, ...]
    key: Path
    name: str
    socket: Path


def read_settings(path: Path) -> Settings:
    """Read a file of settings.

    Raises:
        Unseen: it is not there, or says something else.
    """
    try:
        with path.open("rb") as file:
            given = decode(file.read(SETTINGS).strip(), SETTINGS)
    except (OSError, Refused) as error:
        raise Unseen(f"`{path}` is no canonical JSON that can be read: {error}") from error
    if not conforms(given, _FORM):
        raise Unseen(f"`{path}` has allow, key, name and socket; see docs/operate/privileges.md")
    return Settings(tuple(given["allow"]), Path(given["key"]), given["name"], Path(given["socket"]))


class Verifyd:
    """Answers questions about a host.

    Args:
        settings: who may ask, and the key.
        root: the host's root.
    """

    def __init__(self, settings: Settings, root: Path) -> None:
        # Only here: `look` has no key, and starts in a tenth of the time without it.
        from answerable.kernel.note import ED25519  # noqa: PLC0415
        from answerable.keys.sign import sign_note  # noqa: PLC0415
        from answerable.keys.store import load_or_make  # noqa: PLC0415

        self._root, self._allow = root, {_uid(user) for user in settings.allow}
        self._signer, self._sign = load_or_make(settings.key, settings.name, ED25519), sign_note
        self.vkey = self._signer.key.vkey()

    def answer(self, question: str) -> bytes:
        """Answer one question, signed if that is asked for.

        Raises:
            Unseen, OSError: as `foot.answer`.
        """
        found = _SIGNED.fullmatch(question)
        if not found:
            return f"{foot.answer(question, self._root)}\n".encode()
        said = foot.answer(found[2], self._root)
        # Spelt by hand in the order of its keys: the answer is canonical already, and large.
        text = f'{{"answer":{said},"asked":{encode(found[2])},"nonce":"{found[1]}"}}\n'
        return self._sign(text, self._signer)

    def serve(self, listener: socket.socket) -> None:
        """Answer until the process ends."""
        while True:
            sock = listener.accept()[0]
            with sock, suppress(OSError):
                self.one(sock)

    def one(self, sock: socket.socket) -> None:
        """Read and answer one question; another user's is not read."""
        sock.settimeout(SECONDS)
        data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, calcsize(_CREDENTIALS))
        if unpack(_CREDENTIALS, data)[1] not in self._allow:
            return
        question = ""
        try:
            question = _line(sock)
            said = self.answer(question)
        except (Unseen, OSError, UnicodeDecodeError) as error:
            code = 1 if isinstance(error, OSError) or _known(question) else 2
            sock.sendall(f"no {code} {' '.join(str(error).split())}\n".encode())
            return
        sock.sendall(b"ok\n" + said)


def _known(question: str) -> bool:
    found = _SIGNED.fullmatch(question)
    return (found[2] if found else question).split(" ")[0] in foot.ASKED


def _line(sock: socket.socket) -> str:
    data = b""
    while not data.endswith(b"\n"):
        part = sock.recv(QUESTION + 1 - len(data))
        if not part or len(data) + len(part) > QUESTION:
            return ""
        data += part
    return data[:-1].decode("utf-8", "replace")


def _uid(user: str) -> int:
    try:
        return int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise Unseen(f"no user `{user}`; run systemd-sysusers, or correct `allow`") from error


def listen(path: Path) -> socket.socket:
    """Listen on a socket that every user can reach; an old one is replaced.

    Raises:
        OSError: it cannot be made.
    """
    with suppress(FileNotFoundError):
        if stat.S_ISSOCK(path.lstat().st_mode):
            path.unlink()
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.bind(str(path))
    # Who may ask is told by the kernel for each connection.
    path.chmod(0o666)
    made.listen(_WAITING)
    return made


def ask(question: str, path: Path = SOCKET) -> tuple[int, str, bytes]:
    """Ask verifyd; give exit code, why not, and the answer.

    Raises:
        OSError: it is not there.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(SECONDS)
        sock.connect(str(path))
        sock.sendall(question.replace("\n", " ").encode() + b"\n")
        with sock.makefile("rb") as file:
            head, said = file.readline(QUESTION).decode(errors="replace"), file.read(ANSWER)
    if not head:
        raise ConnectionError("verifyd does not answer; may this user ask")
    word, _, rest = head.strip().partition(" ")
    code, _, why = rest.partition(" ")
    return (0, "", said) if word == "ok" else (2 if code == "2" else 1, why, b"")


def main() -> int:
    """Run `verifyd FILE` or `look`; give the exit code."""
    words = sys.argv[1:]
    try:
        if words == ["look"]:
            code, why, said = ask(os.environ.get("SSH_ORIGINAL_COMMAND", ""))
            sys.stdout.buffer.write(said)
            sys.stderr.write(f"{why}\n" if why else "")
            return code
        if len(words) != 2:  # noqa: PLR2004  the word and the file
            sys.stderr.write("usage: verifyd FILE, or look\n")
            return 2
        settings = read_settings(Path(words[1]))
        listener = listen(settings.socket)
        verifyd = Verifyd(settings, Path("/"))
    except (Unavailable, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stderr.write(f"verifyd: signs as {verifyd.vkey}\n")
    sys.stderr.flush()
    verifyd.serve(listener)
    return 0
