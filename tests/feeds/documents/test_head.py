"""The head of an answer has one limit, however slowly it drips."""

import threading
import time
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from answerable.feeds.documents import head
from answerable.feeds.documents.download import Edition, Remote
from answerable.feeds.documents.fetch import Http
from answerable.feeds.documents.head import answered
from answerable.feeds.source import State, Unusable
from tests.feeds.loopback import Site, serving


def test_a_head_that_drips_holds_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line now and then keeps every single wait short; the whole head is waited for only once."""
    monkeypatch.setattr(head, "HEAD", 0.2)
    over = threading.Event()

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        while not over.wait(0.02):
            handler.wfile.write(b"x: y\r\n")

    with serving(Site(own={"doc": drip})) as site, httpx.Client() as client:
        try:
            with pytest.raises(Unusable) as failure:
                Remote(site.base, client, time.monotonic).fetch("doc", tmp_path / "x", 9, Edition())
            assert failure.value.state is State.UNREACHABLE
            assert "0.2 seconds" in str(failure.value)
            with pytest.raises(Unusable, match=r"0\.2 seconds"):
                Http(site.base, client, time.monotonic).get("doc", 9)
        finally:
            over.set()


def test_what_comes_too_late_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    """A head that ends after nobody waits any more takes no connection away."""
    monkeypatch.setattr(head, "HEAD", 0.05)
    go, closed = threading.Event(), threading.Event()

    class Slow(httpx.BaseTransport):
        def handle_request(self, request: httpx.Request) -> httpx.Response:
            go.wait()
            return httpx.Response(200, stream=Body(), request=request)

    class Body(httpx.SyncByteStream):
        def close(self) -> None:
            closed.set()

    with httpx.Client(transport=Slow()) as client:
        with pytest.raises(httpx.ReadTimeout), answered(client, "http://x/doc", {}, 9.0):
            raise AssertionError("there is no head")
        go.set()
        assert closed.wait(60)


def test_what_goes_wrong_on_the_way_is_raised_where_it_was_asked() -> None:
    """As httpx raises it."""
    with (
        httpx.Client() as client,
        pytest.raises(httpx.ConnectError),
        answered(client, "http://127.0.0.1:1/doc", {}, 9.0),
    ):
        raise AssertionError("there is no server")
