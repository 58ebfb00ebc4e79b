"""The HTTP client: no server can make it read more, or wait longer, than it says."""

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from answerable.host.network.client import Absent, Client, Declined, HttpUnavailable


@contextmanager
def server(*answers: bytes | Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve each answer to one request in turn, over as many connections as it takes."""
    listener = socket.create_server(("127.0.0.1", 0))
    left = list(answers)

    def serve(conn: socket.socket) -> None:
        with conn:
            while left and _request(conn):
                answer = left.pop(0)
                if callable(answer):
                    answer(conn)
                    break
                conn.sendall(answer)

    def accept() -> None:
        # Each in a thread: a client may open another connection before it gives one up for reuse.
        while left:
            try:
                conn, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve, args=(conn,), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        left.clear()
        listener.close()


def _request(conn: socket.socket) -> bool:
    data = b""
    while b"\r\n\r\n" not in data:
        try:
            part = conn.recv(65536)
        except OSError:
            return False
        if not part:
            return False
        data += part
    return True


def http(body: bytes, status: str = "200 OK", **headers: str) -> bytes:
    """Spell an answer."""
    lines = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in headers.items())
    length = f"Content-Length: {len(body)}\r\n"
    return f"HTTP/1.1 {status}\r\n{length}{lines}\r\n".encode() + body


def test_a_body_is_read_up_to_its_limit() -> None:
    """One byte more is an error, whatever the length header says."""
    with server(http(b"x" * 10), http(b"x" * 11)) as url:
        client = Client()
        assert client.get(f"{url}/a", 10) == b"x" * 10
        with pytest.raises(HttpUnavailable, match="sends over 10 bytes"):
            client.get(f"{url}/a", 10)


def test_an_endless_body_is_cut() -> None:
    """A server without a length header cannot fill the memory."""

    def endless(conn: socket.socket) -> None:
        conn.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        try:
            while True:
                conn.sendall(b"x" * 65536)
        except OSError:
            pass

    with server(endless) as url, pytest.raises(HttpUnavailable, match="sends over"):
        Client().get(url, 1 << 20)


@pytest.mark.parametrize("start", [b"", b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\n\r\n"])
def test_a_dripping_server_is_cut_off(start: bytes) -> None:
    """Single bytes now and then keep no socket timeout from expiring, the watchdog does."""
    stop = threading.Event()

    def drip(conn: socket.socket) -> None:
        try:
            conn.sendall(start)
            while not stop.wait(0.02):
                conn.sendall(b"x")
        except OSError:
            pass

    with server(drip, drip) as url, pytest.raises(HttpUnavailable):
        Client().get(url, 1 << 20, seconds=0.2)
    stop.set()


def test_a_body_that_breaks_off_is_no_body() -> None:
    """Half of what the length promised is an error, not a short answer."""

    def half(conn: socket.socket) -> None:
        conn.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n12345")

    with server(half) as url, pytest.raises(HttpUnavailable, match="broke off"):
        Client().get(url, 1000)


def test_redirects_and_errors_are_no_answer() -> None:
    """404 and 403 are told apart; everything else is trouble."""
    said = b'{"detail":"why","reason":"duplicate"}'
    with server(
        http(b"", "302 Found", Location="http://127.0.0.1:1/"), http(b"", "404 Not Found"),
        http(said, "403 Forbidden"), http(b"[" * 9999, "403 Forbidden"), http(b"", "500 Oops"),
    ) as url:  # fmt: skip
        client = Client()
        with pytest.raises(HttpUnavailable, match="answers 302"):
            client.get(url, 100)
        with pytest.raises(Absent):
            client.get(url, 100)
        with pytest.raises(Declined) as declined:
            client.post(url, b"x", 100)
        assert declined.value.reason == "duplicate"
        with pytest.raises(Declined) as declined:
            client.post(url, b"x", 100)
        assert declined.value.reason == "declined"
        with pytest.raises(HttpUnavailable, match="answers 500"):
            client.get(url, 100)


def test_a_kept_connection_that_was_closed_is_opened_again() -> None:
    """Servers close idle connections; that is no trouble."""

    def once(conn: socket.socket) -> None:
        conn.sendall(http(b"one"))

    with server(once, http(b"two")) as url:
        client = Client()
        assert client.get(url, 10) == b"one"
        assert client.get(url, 10) == b"two"


def test_ranges_are_cut_here_if_the_server_gives_all() -> None:
    """The bytes after the first so many, whether the server knows ranges or not."""
    with server(http(b"345", "206 Partial Content"), http(b"012345")) as url:
        client = Client()
        assert client.get(url, 10, skip=3) == b"345"
        assert client.get(url, 10, skip=3) == b"345"


@pytest.mark.parametrize("url", ["ftp://x/", "file:///etc/passwd", "http:///x", "http://[x/", "x"])
def test_only_http_addresses_are_asked(url: str) -> None:
    """Nothing else is opened."""
    with pytest.raises(HttpUnavailable):
        Client().get(url, 10)


def test_nobody_there_is_trouble() -> None:
    """A refused connection names the address."""
    with pytest.raises(HttpUnavailable, match="cannot ask"):
        Client().get("http://127.0.0.1:1/x", 10)
