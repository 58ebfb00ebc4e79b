"""agentd in a thread, honest or taken over: it answers on a real unix socket, without a jail.

`evil` stands in agentd's place: it is given each question and the socket, and tells whether it has
answered by itself; if not, the question is carried honestly.
"""

import json
import os
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from struct import pack

from answerable.host.network.agentd import Carrier, Settings, listen
from answerable.host.network.client import Call
from answerable.host.network.frames import PIECE
from answerable.kernel.canon import encode
from answerable.kernel.errors import Unavailable

Evil = Callable[[Call, socket.socket], bool]


def honest(_: Call, __: socket.socket) -> bool:
    """Leave it to agentd."""
    return False


class Owned(Carrier):
    """An agentd whose answers somebody else may give."""

    def __init__(self, settings: Settings, evil: Evil) -> None:
        super().__init__(settings, ())
        self.evil = evil

    def carry(self, call: Call, sock: socket.socket) -> None:
        """Let the attacker answer, or carry."""
        if not self.evil(call, sock):
            super().carry(call, sock)


def said(status: int, data: bytes) -> bytes:
    """Spell a whole answer."""
    head = encode({"error": "", "status": status}).encode()
    pieces = [head, *(data[at : at + PIECE] for at in range(0, len(data), PIECE)), b""]
    return b"".join(pack(">I", len(piece)) + piece for piece in pieces)


@contextmanager
def carried(peers: tuple[str, ...], evil: Evil = honest) -> Iterator[Path]:
    """Serve agentd's socket; its user is this one."""
    with tempfile.TemporaryDirectory(prefix="carried") as folder:
        settings = Settings(peers, Path(folder) / "socket", os.getuid())
        listener = listen(settings.socket)
        serving = threading.Thread(target=_serve, args=(Owned(settings, evil), listener))
        serving.start()
        try:
            yield settings.socket
        finally:
            # Closing alone does not wake a thread that accepts.
            listener.shutdown(socket.SHUT_RDWR)
            serving.join()
            listener.close()


def _serve(carrier: Carrier, listener: socket.socket) -> None:
    with suppress(OSError, Unavailable):
        carrier.serve(listener)


def split(place: Path, socket_: Path) -> None:
    """Make the agent of a directory applyd, by its settings."""
    path = place / "settings.json"
    settings = json.loads(path.read_text())
    settings["agentd"] = {"socket": str(socket_), "user": str(os.getuid())}
    settings["services"] = {"kind": "systemd"}
    path.write_text(json.dumps(settings))
