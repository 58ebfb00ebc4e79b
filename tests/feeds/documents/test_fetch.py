"""Fetching: within limits, inside its place, and never more than was asked for."""

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.feeds.documents.fetch import Folder, Http, sane
from answerable.feeds.source import State, Unusable

BODY = b"b" * 5000


class _Server(BaseHTTPRequestHandler):
    asked: list[tuple[str, str | None]] = []  # noqa: RUF012  shared by all requests on purpose

    def do_GET(self) -> None:
        """Answer as the path says."""
        tag = self.headers.get("if-none-match")
        type(self).asked.append((self.path, tag))
        if self.path == "/d/same" and tag == '"one"':
            self._answer(304, b"", 0)
        elif self.path == "/d/short":
            self._answer(200, BODY[:-1], len(BODY))
        elif self.path in ("/d/good", "/d/same", "/d/a~b+c:d"):
            self._answer(200, BODY, len(BODY))
        else:
            self._answer({"/d/broken": 500, "/d/moved": 302}.get(self.path, 404), b"", 0)

    def _answer(self, code: int, body: bytes, length: int) -> None:
        self.send_response(code)
        self.send_header("content-length", str(length))
        self.send_header("etag", '"one"')
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    """A server on a port of its own."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/d"
    server.shutdown()
    server.server_close()


@pytest.fixture
def http(base: str, tmp_path: Path) -> Iterator[Http]:
    """A place on that server, with a folder for kept documents."""
    with httpx.Client() as client:
        yield Http(base, client, time.monotonic, tmp_path)


def _state(place: Http | Folder, path: str, limit: int = len(BODY)) -> State:
    with pytest.raises(Unusable) as failure:
        place.get(path, limit)
    return failure.value.state


def test_a_document_is_fetched_whole(http: Http) -> None:
    """What the server has is what comes, also under an odd name."""
    assert http.get("good", len(BODY)) == BODY
    assert http.get("a~b+c:d", len(BODY)) == BODY


@pytest.mark.parametrize(
    ("path", "state"),
    [
        ("none", State.MISSING),
        ("broken", State.UNREACHABLE),
        ("moved", State.UNREACHABLE),
        ("short", State.TRUNCATED),
        ("../etc", State.MALFORMED),
        ("a//b", State.MALFORMED),
        ("a?b", State.MALFORMED),
    ],
)
def test_each_failure_has_its_state(http: Http, path: str, state: State) -> None:
    """Missing, broken, redirected and cut answers are told apart."""
    assert _state(http, path) is state


def test_a_longer_document_than_allowed_is_not_read(http: Http, tmp_path: Path) -> None:
    """Reading stops at the limit, whatever the server announces."""
    assert _state(http, "good", len(BODY) - 1) is State.OVERSIZED
    (tmp_path / "x").write_bytes(BODY)
    assert _state(Folder(tmp_path), "x", len(BODY) - 1) is State.OVERSIZED


def test_an_unreachable_server_is_said(tmp_path: Path) -> None:
    """A server that is not there is no empty answer."""
    with httpx.Client() as client:
        http = Http("http://127.0.0.1:1", client, time.monotonic, tmp_path)
        assert _state(http, "x") is State.UNREACHABLE


def test_a_server_that_drips_is_given_up(base: str) -> None:
    """A server that sends a little now and then does not hold us for ever."""
    ticks = iter(range(0, 10**9, 10**6))
    with httpx.Client() as client:
        assert _state(Http(base, client, lambda: next(ticks)), "good") is State.UNREACHABLE


def test_an_unchanged_document_does_not_travel_again(http: Http) -> None:
    """The second time the server is asked with the tag, and the kept copy is given."""
    assert http.get("same", len(BODY)) == BODY
    assert http.get("same", len(BODY)) == BODY
    assert [tag for path, tag in _Server.asked if path == "/d/same"] == [None, '"one"']


def test_a_folder_gives_its_files_and_no_others(tmp_path: Path) -> None:
    """Neither dots nor links lead out of a folder."""
    inside = tmp_path / "mirror"
    inside.mkdir()
    (inside / "x").write_bytes(BODY)
    (tmp_path / "secret").write_bytes(b"s")
    (inside / "link").symlink_to(tmp_path / "secret")
    folder = Folder(inside)
    assert folder.get("x", len(BODY)) == BODY
    assert _state(folder, "../secret") is State.MALFORMED
    assert _state(folder, "link") is State.MISSING
    assert _state(folder, "none") is State.MISSING


@pytest.mark.fuzz
@given(st.text(max_size=40))
def test_a_sane_path_stays_below_its_place(path: str) -> None:
    """No path that is let through climbs, is absolute or hides a query."""
    if sane(path):
        assert ".." not in path.split("/")
        assert not path.startswith("/")
        assert not set(path) & set("?#\\ \n")
