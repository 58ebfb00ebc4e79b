"""The frames between applyd and agentd: one question and one answer on each connection.

    question   a head, then `body` bytes
    answer     a head, then pieces; one of no bytes ends it
    head       its length (4 bytes, big endian), then canonical JSON, at most `HEAD` bytes
    piece      its length (4 bytes, big endian), then its bytes, at most `PIECE`

    {"body":0,"limit":65536,"method":"GET","millis":30000,"skip":0,"url":"https://log.example/.."}
    {"error":"","status":200}

`status` is 0 if nothing was answered, and `error` says why. Both heads are closed shapes: anything
else ends the connection. A connection that ends before the empty piece broke off. Left out:
several questions on a connection, since opening one costs nothing here.
"""

import socket
from collections.abc import Callable
from struct import calcsize, pack, unpack

from answerable.host.network.client import PROBLEM, Body, Call, HttpUnavailable
from answerable.kernel.canon import Json, encode, read, shape
from answerable.kernel.errors import Refused

HEAD = 8192
"""Largest head, bytes."""
PIECE = 65_536
"""Largest piece, bytes."""
QUESTION = 16 << 20
"""Largest body of a question, bytes."""
ANSWER = 1 << 30
"""Largest body of an answer, bytes: as the largest artefact."""
MILLIS = 1_800_000
"""Longest that one answer may take."""
_QUESTION = shape("body:int limit:int millis:int skip:int url:text", method=("GET", "POST"))
_ANSWER = shape("error:text status:int")
_LENGTH = 4
_CREDENTIALS = "3i"
_STATUSES, _OK = range(600), (200, 206)
Read = Callable[[int], bytes]


class Broken(HttpUnavailable):
    """The other side broke off, or sent what is no frame."""


def reader(sock: socket.socket) -> Read:
    """Give what reads exactly so many bytes from a socket; it raises `Broken` where they end."""

    def exactly(size: int) -> bytes:
        parts, left = [], size
        try:
            while left and (part := sock.recv(min(left, PIECE))):
                parts.append(part)
                left -= len(part)
        except OSError as error:
            raise Broken(f"broke off: {error}") from error
        if left:
            raise Broken("broke off early")
        return b"".join(parts)

    return exactly


def peer_of(sock: socket.socket) -> tuple[int, int]:
    """Give pid and uid of the process at the other end (SO_PEERCRED, unix(7))."""
    data = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, calcsize(_CREDENTIALS))
    pid, uid, _ = unpack(_CREDENTIALS, data)
    return int(pid), int(uid)


def _spell(value: Json) -> bytes:
    text = encode(value).encode()
    return pack(">I", len(text)) + text


def _head(take: Read, form: Json) -> Json:
    size = int.from_bytes(take(_LENGTH), "big")
    if size > HEAD:
        raise Broken(f"a head of {size} bytes where {HEAD} are allowed")
    try:
        return read(take(size), HEAD, form)
    except Refused as refused:
        raise Broken(f"no head of a frame: {refused.detail}") from refused


def ask(call: Call) -> bytes:
    """Spell a question."""
    head = {
        "body": len(call.body), "limit": call.limit, "method": call.method,
        "millis": int(call.seconds * 1000), "skip": call.skip, "url": call.url,
    }  # fmt: skip
    return _spell(head) + call.body


def asked(take: Read) -> Call:
    """Read a question.

    Raises:
        Broken: it is none, or asks for more than the limits here.
    """
    head = _head(take, _QUESTION)
    most = {"body": QUESTION, "limit": ANSWER, "millis": MILLIS, "skip": ANSWER}
    if over := sorted(name for name, limit in most.items() if head[name] > limit):
        raise Broken(f"asks for more `{over[0]}` than {most[over[0]]}")
    body, seconds = take(head["body"]), head["millis"] / 1000
    return Call(head["method"], head["url"], body, head["skip"], head["limit"], seconds)


def answer(send: Callable[[bytes], object], body: Body) -> None:
    """Send an answer as it arrives; what raises in between has broken it off.

    Raises:
        HttpUnavailable, OSError: one side broke off.
    """
    send(_spell({"error": "", "status": body.status}))
    if body.status not in _OK:
        # What a server says besides no is as long as it likes, and read no further than this.
        body.left = PROBLEM
    while piece := body.read(PIECE):
        send(pack(">I", len(piece)) + piece)
    send(bytes(_LENGTH))


def no_answer(why: str) -> bytes:
    """Spell that nothing was answered."""
    shown = "".join(c for c in why if c.isprintable()).encode("utf-8", "replace").decode()
    return _spell({"error": shown[:1000], "status": 0})


class Answered:
    """An answer as it arrives, as `client.Body` reads it."""

    def __init__(self, take: Read) -> None:
        """Read the head.

        Raises:
            HttpUnavailable: nothing was answered, or what came is no answer.
        """
        head = _head(take, _ANSWER)
        if not head["status"] or head["status"] not in _STATUSES:
            raise HttpUnavailable(head["error"][:300] or "nothing was answered")
        self.status: int = head["status"]
        self.length: int | None = 1
        self._take, self._left = take, 0

    def read(self, amt: int, /) -> bytes:
        """Give at most so many bytes; nothing at the end.

        Raises:
            Broken: it broke off, or sent what is no piece.
        """
        if not self._left and self.length:
            self._left = int.from_bytes(self._take(_LENGTH), "big")
            self.length = self._left
        if self._left > PIECE:
            raise Broken(f"a piece of {self._left} bytes where {PIECE} are allowed")
        data = self._take(min(amt, self._left))
        self._left -= len(data)
        return data
