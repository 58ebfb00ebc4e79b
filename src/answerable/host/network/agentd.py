"""agentd: the half of the agent that has a network, and nothing else.

    python -m answerable.host agentd FILE

It carries what applyd (the half that is root and has no network) asks of servers, and is trusted
for nothing: applyd checks signatures and hashes of all that comes. FILE is canonical JSON,

    {"allow":0,"lacks":[],"peers":["https://control.example","https://log.example",
     "tcp://127.0.0.1:443"],"socket":"/run/answerable-agentd/socket"}

Rules:
* only the uid `allow` (0, root, unless tests say otherwise) is answered (SO_PEERCRED, unix(7));
* only what lies at or below an address of `peers` is asked; `tcp://` is asked by connecting only;
* it ends unless it could jail itself: Landlock leaves reading Python and the files that names and
  certificates are looked up by, and the peers' TCP ports; seccomp leaves reading, sending and
  threads, so no exec, no fork, no bind, no signal; UDP only if a peer is given by name;
* `lacks` are parts of that jail which this host's kernel does not have, by its operator's word:
  `landlock`, `landlock_network` (kernels before 6.7), `seccomp`. What is there is used all the
  same, and what is lacking stands in the host's status.

No clock, no key, no state, no folder that it may write. Left out: choosing the addresses behind a
name (a port is all that Landlock judges; the unit's `IPAddressAllow=` may say more).
"""

import ipaddress
import json
import os
import re
import socket
import stat
import sys
import threading
import urllib.parse
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from answerable.host.confine import landlock, seccomp
from answerable.host.files import HomeUnavailable, read_json
from answerable.host.network.client import (
    CONNECT_SECONDS,
    Body,
    Call,
    Client,
    HttpUnavailable,
    Watchdog,
)
from answerable.host.network.frames import answer, asked, no_answer, peer_of, reader
from answerable.kernel.errors import Unavailable

AT_ONCE = 64
"""Most questions that are answered at once; more wait."""
ASK_SECONDS = 10
"""Longest that a question may take to arrive, and a piece of an answer to leave."""
PARTS = ("landlock", "landlock_network", "seccomp")
"""What the jail is made of."""
_READ = ("/usr", "/lib", "/lib64", "/etc/ssl", "/etc/pki", "/etc/resolv.conf", "/etc/hosts",
         "/etc/host.conf", "/etc/nsswitch.conf", "/etc/gai.conf", "/etc/services",
         "/etc/localtime", "/run/systemd/resolve")  # fmt: skip
_PORTS = {"http": 80, "https": 443}
_DOMAIN = 53
_PATH = re.compile(r"(?:/[A-Za-z0-9._~?&=:%+-]*)*")


@dataclass(frozen=True)
class Settings:
    """What the operator of a host sets for agentd."""

    peers: tuple[str, ...]
    socket: Path
    allow: int = 0
    lacks: tuple[str, ...] = ()

    @property
    def ports(self) -> set[int]:
        """The TCP ports of the peers, and of name servers if one has a name."""
        urls = [urllib.parse.urlsplit(peer) for peer in self.peers]
        return {url.port or _PORTS[url.scheme] for url in urls} | (
            {_DOMAIN} if self.names else set()
        )

    @property
    def names(self) -> bool:
        """Whether a peer is given by a name that is looked up by a name server."""
        return any(_is_name(urllib.parse.urlsplit(peer).hostname or "") for peer in self.peers)


def read_settings(path: Path) -> Settings:
    """Read a file of agentd's settings.

    Raises:
        HomeUnavailable: it is not there, or says something that is not known.
    """
    given = read_json(path)
    kinds: Mapping[str, type] = {"allow": int, "lacks": list, "peers": list, "socket": str}
    sound = isinstance(given, dict) and {"peers", "socket"} <= given.keys() <= kinds.keys()
    if not sound or not all(type(value) is kinds[name] for name, value in given.items()):
        raise HomeUnavailable(f"`{path}` has allow, lacks, peers and socket; see docs/spec/host.md")
    peers, lacks = tuple(map(str, given["peers"])), tuple(map(str, given.get("lacks", ())))
    if set(lacks) - set(PARTS):
        raise HomeUnavailable(f"`{path}`: `lacks` is any of {', '.join(PARTS)}")
    for peer in peers:
        _check_peer(path, peer)
    return Settings(peers, Path(given["socket"]), given.get("allow", 0), lacks)


def _check_peer(path: Path, peer: str) -> None:
    try:
        url = urllib.parse.urlsplit(peer)
        known = bool(url.hostname) and (url.port or 1) and url.scheme in (*_PORTS, "tcp")
    except ValueError:
        known = False
    if not known or (url.scheme == "tcp" and (not url.port or url.path)):
        raise HomeUnavailable(f"`{path}`: `{peer}` is no address like `https://log.example`")


def _is_name(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return host != "localhost"
    return False


def may_ask(url: str, peers: Collection[str]) -> bool:
    """Tell whether an address is one of the peers', or lies below one."""
    for peer in peers:
        rest = url.removeprefix(peer.rstrip("/"))
        inside = rest != url and _PATH.fullmatch(rest) and ".." not in re.split(r"[/?]", rest)
        if inside and (not rest or not peer.startswith("tcp:")):
            return True
    return False


def listen(path: Path) -> socket.socket:
    """Listen on a socket of mode 0600 in agentd's own folder; an old one is replaced.

    Raises:
        HomeUnavailable: it cannot be made.
    """
    try:
        with suppress(FileNotFoundError):
            if stat.S_ISSOCK(path.lstat().st_mode):
                path.unlink()
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        before = os.umask(0o177)
        try:
            made.bind(str(path))
        finally:
            os.umask(before)
        made.listen(AT_ONCE)
    except OSError as error:
        raise HomeUnavailable(f"cannot listen on `{path}`: {error.strerror}") from error
    return made


def jail(settings: Settings) -> list[str]:
    """Give up everything that is not needed; give the parts that this kernel lacks.

    Raises:
        HomeUnavailable: a part is lacking that the settings do not name.
    """
    lacking, version = [], landlock.abi()
    readable = [*map(Path, _READ), Path(sys.base_prefix), Path(__file__).parents[2]]
    if version:
        landlock.restrict(readable, settings.ports)
    lacking += [] if version else ["landlock"]
    lacking += [] if version >= landlock.NETWORK else ["landlock_network"]
    try:
        seccomp.only(datagrams=settings.names)
    except seccomp.NoSeccomp:
        lacking.append("seccomp")
    if missing := [part for part in lacking if part not in settings.lacks]:
        raise HomeUnavailable(
            f"this kernel lacks {', '.join(missing)}, so agentd would not be confined; run a newer "
            "one, or name what is missing in `lacks` of its settings"
        )
    return lacking


class Carrier:
    """Answers questions on a socket.

    Args:
        settings: which peers, and whom it answers.
        lacking: what its jail lacks; it says so to whoever asks for nothing (`""`).
    """

    def __init__(self, settings: Settings, lacking: Collection[str]) -> None:
        self._settings, self._said = settings, " ".join(lacking) or "confined"
        self._client, self._free = Client(), threading.BoundedSemaphore(AT_ONCE)

    def serve(self, listener: socket.socket) -> None:
        """Answer until the process ends, each connection in a thread of its own."""
        while True:
            sock = listener.accept()[0]
            if peer_of(sock)[1] != self._settings.allow:
                sock.close()
                continue
            self._free.acquire()
            threading.Thread(target=self._one, args=(sock,), daemon=True).start()

    def _one(self, sock: socket.socket) -> None:
        try:
            # Whoever is at the other end can only harm itself by what it sends.
            with sock, suppress(OSError, Unavailable):
                self.answer(sock)
        finally:
            self._free.release()

    def answer(self, sock: socket.socket) -> None:
        """Read one question and answer it.

        Raises:
            Unavailable, OSError: one side broke off.
        """
        sock.settimeout(ASK_SECONDS)
        self.carry(asked(reader(sock)), sock)

    def carry(self, call: Call, sock: socket.socket) -> None:
        """Ask what a question asks, and hand the answer back; raises as `answer`."""
        if not call.url:
            sock.sendall(no_answer(self._said))
            return
        try:
            body = self._begin(call)
        except HttpUnavailable as error:
            sock.sendall(no_answer(str(error)))
            return
        with body:
            answer(sock.sendall, body)

    def _begin(self, call: Call) -> Body:
        if not may_ask(call.url, self._settings.peers):
            raise HttpUnavailable(f"`{call.url}` is below no peer of agentd's settings; add it")
        if not call.url.startswith("tcp:"):
            return self._client.begin(call)
        at = urllib.parse.urlsplit(call.url)
        try:
            made = socket.create_connection((at.hostname or "", at.port or 0), CONNECT_SECONDS)
        except OSError as error:
            raise HttpUnavailable(f"cannot connect to `{call.url}`: {error}") from error
        return Body(call, _Connected(), Watchdog(call.seconds, made), made.close)


class _Connected:
    """The answer of a port that can be connected to: status 200 and no bytes."""

    def __init__(self) -> None:
        self.status: int = 200
        self.length: int | None = 0

    def read(self, _: int, /) -> bytes:
        return b""


def main(path: Path) -> int:
    """Listen, give up everything else, and carry; give 1 if it cannot."""
    try:
        settings = read_settings(path)
        listener = listen(settings.socket)
        lacking = jail(settings)
    except (Unavailable, OSError) as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    said: dict[str, Any] = {"lacking": lacking, "peers": list(settings.peers)}
    sys.stderr.write(f"agentd: {json.dumps(said)}\n")
    sys.stderr.flush()
    Carrier(settings, lacking).serve(listener)
    return 0
