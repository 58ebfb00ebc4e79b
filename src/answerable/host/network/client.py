"""HTTP with the standard library, with a limit on every size and time.

Rules:
* nothing that comes over a connection is believed because of where it came from: callers check
  hashes and signatures, so `http://` is as good as `https://` for truth (not for privacy);
* an answer is read up to its caller's limit and within its caller's seconds, all in all: a watchdog
  cuts the connection, so a server that drips single bytes holds nobody up;
* redirects are not followed; nothing is unpacked; anything but 200 (206) is no answer.

Connections are kept and used again; a kept one that was closed meanwhile is opened once more.
Left out: proxies, cookies, authentication.
"""

import http.client
import json
import socket
import threading
import urllib.parse
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import NamedTuple, Protocol, Self

from answerable.kernel.errors import Unavailable

CONNECT_SECONDS = 5
"""Longest that a connection may take to open, and to say anything at all."""
ANSWER_SECONDS = 30
"""Longest that one answer may take, unless the caller says otherwise."""
PROBLEM = 65_536
"""Most that is read of an answer that says no, bytes."""
_CHUNK = 65_536
_OK, _PARTIAL, _FORBIDDEN, _ABSENT = 200, 206, 403, 404


class HttpUnavailable(Unavailable):
    """A server is not there, too slow, or did not give what was asked."""


class Absent(HttpUnavailable):
    """The server says 404."""


class Declined(HttpUnavailable):
    """The server says 403; `reason` is its word for why."""

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


class Call(NamedTuple):
    """One question: the answer's body has at most `limit` bytes, all in all within `seconds`.

    `skip` bytes of it need not come (a server may send them all the same).
    """

    method: str
    url: str
    body: bytes
    skip: int
    limit: int
    seconds: float


class Answer(Protocol):
    """What `Body` reads from; `length` is not 0 while something must still come."""

    status: int
    length: int | None

    def read(self, amt: int, /) -> bytes:
        """Give at most so many bytes; nothing at the end."""


class Body:
    """An answer's body as it arrives, closed by `with`; `left` bytes may still come."""

    def __init__(
        self,
        call: Call,
        answer: Answer,
        watchdog: "Watchdog",
        done: Callable[[], None],
    ) -> None:
        self.status = answer.status
        self._call, self._answer, self._watchdog, self._done = call, answer, watchdog, done
        self.left = call.limit

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        where: TracebackType | None,
    ) -> None:  # fmt: skip
        self._watchdog.cancel()
        self._done()

    def read(self, most: int = -1) -> bytes:
        """Read at most so many bytes, all by default; nothing at the end.

        Raises:
            HttpUnavailable: it is cut, too slow, or over the limit.
        """
        if most < 0:
            return b"".join(iter(lambda: self.read(_CHUNK), b""))
        try:
            data = self._answer.read(min(most, self.left + 1))
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise HttpUnavailable(f"`{self._call.url}` broke off: {_why(error)}") from error
        self.left -= len(data)
        if self.left < 0:
            raise HttpUnavailable(f"`{self._call.url}` sends over {self._call.limit} bytes")
        if not data and (self._answer.length or self._watchdog.bit):
            raise HttpUnavailable(f"`{self._call.url}` broke off early")
        return data


class Client:
    """Asks servers; may be used by several threads."""

    def __init__(self) -> None:
        self._idle: dict[tuple[str, str], http.client.HTTPConnection] = {}
        self._lock = threading.Lock()

    def get(self, url: str, limit: int, *, skip: int = 0, seconds: float = ANSWER_SECONDS) -> bytes:
        """Get a body of at most `limit` bytes, without its first `skip` bytes.

        Raises:
            Absent: 404.
            HttpUnavailable: anything else but 200, too slow, too large, broken off.
        """
        with self.stream(url, limit, skip=skip, seconds=seconds) as body:
            data = body.read()
            return data if body.status == _PARTIAL else data[skip:]

    def post(self, url: str, data: bytes, limit: int, *, seconds: float = ANSWER_SECONDS) -> bytes:
        """Post bytes and give the answer's body.

        Raises:
            Declined: 403, with the server's reason word.
            HttpUnavailable: as for `get`.
        """
        with self._checked(Call("POST", url, data, 0, limit, seconds)) as body:
            return body.read()

    def stream(
        self, url: str, limit: int, *, skip: int = 0, seconds: float = ANSWER_SECONDS
    ) -> Body:
        """Get a body as it arrives; raises as `get`."""
        return self._checked(Call("GET", url, b"", skip, limit, seconds))

    def _checked(self, call: Call) -> Body:
        body = self.begin(call)
        if body.status in (_OK, _PARTIAL):
            return body
        with body:
            body.left = PROBLEM
            said = f"`{call.url}` answers {body.status}"
            if body.status == _ABSENT:
                raise Absent(said)
            if body.status != _FORBIDDEN:
                raise HttpUnavailable(f"{said}; look at that server")
            reason, detail = _problem(body.read())
            raise Declined(f"{said}: {reason} {detail}".rstrip(), reason)

    def begin(self, call: Call) -> Body:
        """Ask, and give what is answered, whatever its status.

        Raises:
            HttpUnavailable: nothing is.
        """
        try:
            at = urllib.parse.urlsplit(call.url)
        except ValueError:
            at = urllib.parse.urlsplit("")
        if at.scheme not in ("http", "https") or not at.hostname:
            raise HttpUnavailable(f"`{call.url}` is no http address; correct the settings")
        key = (at.scheme, at.netloc)
        with self._lock:
            kept = self._idle.pop(key, None)
        try:
            if kept:
                with suppress(OSError, http.client.HTTPException):
                    return self._send(kept, call, key)
                kept.close()
            maker = http.client.HTTPSConnection if at.scheme == "https" else _Plain
            return self._send(maker(at.hostname, at.port, timeout=CONNECT_SECONDS), call, key)
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise HttpUnavailable(f"cannot ask `{call.url}`: {_why(error)}") from error

    def _send(
        self, connection: http.client.HTTPConnection, call: Call, key: tuple[str, str]
    ) -> Body:
        if connection.sock is None:
            connection.connect()
        connection.sock.settimeout(call.seconds)
        watchdog = Watchdog(call.seconds, connection.sock)
        watchdog.start()
        target = call.url.split("/", 3)[3:]
        try:
            headers = {"Accept-Encoding": "identity"}
            if call.skip:
                headers["Range"] = f"bytes={call.skip}-"
            connection.request(call.method, "/" + "".join(target), call.body or None, headers)
            answer = connection.getresponse()
        except BaseException:
            watchdog.cancel()
            connection.close()
            raise

        def done() -> None:
            whole = answer.isclosed() and connection.sock is not None
            answer.close()
            with self._lock:
                kept = self._idle.setdefault(key, connection) if whole else None
            if kept is not connection:
                connection.close()

        return Body(call, answer, watchdog, done)


_Plain = http.client.HTTPConnection


class Watchdog(threading.Timer):
    """Cuts a connection when its time is over; `bit` says that it did."""

    def __init__(self, seconds: float, sock: socket.socket) -> None:
        super().__init__(seconds, self._bite)
        self.daemon, self.bit, self._sock = True, False, sock

    def _bite(self) -> None:
        self.bit = True
        with suppress(OSError):
            self._sock.shutdown(socket.SHUT_RDWR)


def _why(error: Exception) -> str:
    return str(error) or type(error).__name__


def _problem(data: bytes) -> tuple[str, str]:
    try:
        said = json.loads(data)
        return str(said["reason"])[:64], str(said.get("detail", ""))[:1000]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "declined", ""
