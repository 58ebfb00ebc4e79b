"""applyd's way to servers: through agentd's socket, since applyd itself has no network.

Rules:
* agentd must be the user that the settings name, asked of the kernel (SO_PEERCRED), so that nobody
  else can stand in its place;
* whatever it sends costs no more than the caller's limit and the caller's seconds, all in all;
* nothing that it sends is believed: what the log, the guards and people say is signed, artefacts
  have a hash, and a health check is as good as its word, which an observer holds it to.

`alone` makes sure that this process, and whatever it starts, has no network. Left out: hosts where
the agent is not root; they run it in one process (docs/spec/host.md).
"""

import ctypes
import os
import pwd
import socket
from pathlib import Path

from answerable.host.confine import seccomp
from answerable.host.files import HomeUnavailable
from answerable.host.network.client import (
    CONNECT_SECONDS,
    Body,
    Call,
    Client,
    HttpUnavailable,
    Watchdog,
)
from answerable.host.network.frames import Answered, ask, peer_of, reader
from answerable.host.services.service import Check

GRACE = 2.0
"""How much longer than a server agentd may take, seconds."""
_NEW_NETWORK = 0x40000000
_ONLY = frozenset({"lo"})


class Through(Client):
    """A client whose questions are carried by agentd.

    Args:
        path: agentd's socket.
        user: the name or number of agentd's user.

    Raises:
        HomeUnavailable: there is no such user.
    """

    def __init__(self, path: Path, user: str) -> None:
        super().__init__()
        self._path, self._uid = path, _uid(user)

    def begin(self, call: Call) -> Body:
        """Let agentd ask; as `Client.begin`."""
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        watchdog = Watchdog(call.seconds + GRACE, sock)
        watchdog.start()

        def done() -> None:
            watchdog.cancel()
            sock.close()

        try:
            sock.settimeout(call.seconds + GRACE)
            sock.connect(str(self._path))
            if peer_of(sock)[1] != self._uid:
                raise HttpUnavailable(f"`{self._path}` is not agentd's: another user listens there")
            sock.sendall(ask(call))
            return Body(call, Answered(reader(sock)), watchdog, done)
        except OSError as error:
            done()
            raise HttpUnavailable(f"agentd at `{self._path}`: {error}; is it running") from error
        except BaseException:
            done()
            raise

    def confinement(self) -> str:
        """Give what agentd says of its own jail: `confined`, or the parts that it lacks."""
        try:
            with self.begin(Call("GET", "", b"", 0, 0, CONNECT_SECONDS)):
                return "unknown"
        except HttpUnavailable as error:
            return str(error)

    def check(self, check: Check) -> str:
        """Try a health check once, by agentd's word; give why it failed, or nothing."""
        path = "" if check.kind == "tcp" else check.path
        host = f"[{check.host}]" if ":" in check.host else check.host
        url = f"{check.kind}://{host}:{check.port}{path}"
        try:
            with self.begin(Call("GET", url, b"", 0, 0, CONNECT_SECONDS)) as body:
                return "" if body.status == check.status else f"answered {body.status}"
        except HttpUnavailable as error:
            return str(error)


def alone(table: Path = Path("/proc/thread-self/net/dev")) -> None:
    """Leave the network for good, with everything that this process starts.

    Raises:
        HomeUnavailable: it cannot be left.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if _devices(table) - _ONLY and libc.unshare(_NEW_NETWORK):
        why = os.strerror(ctypes.get_errno())
        raise HomeUnavailable(f"cannot leave the network: {why}; with `agentd` set, run as root")
    if left := _devices(table) - _ONLY:
        raise HomeUnavailable(f"the network is still there: {', '.join(sorted(left))}")
    try:
        seccomp.no_network()
    except seccomp.NoSeccomp as error:
        raise HomeUnavailable(f"cannot give up sockets: {error}") from error


def _devices(table: Path) -> set[str]:
    rows = table.read_text("ascii").splitlines()[2:]
    return {row.partition(":")[0].strip() for row in rows}


def _uid(user: str) -> int:
    try:
        return int(user) if user.isdecimal() else pwd.getpwnam(user).pw_uid
    except KeyError as error:
        raise HomeUnavailable(f"no user `{user}`; run systemd-sysusers, or correct it") from error
