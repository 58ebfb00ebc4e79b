"""Bringing documents over a real loopback server, which may break off, drip, lie and lead away."""

import contextlib
import json
import ssl
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import httpx
import pytest

from answerable.feeds.documents.download import (
    REDIRECTS,
    SLOWEST,
    TRIES,
    Edition,
    Local,
    Remote,
    forget,
)
from answerable.feeds.source import State, Unusable
from tests.feeds.loopback import Site, certificate, serving

BODY = bytes(range(256)) * 4_000
LIMIT = 2 * len(BODY)


@pytest.fixture
def site() -> Iterator[Site]:
    """A server with one document."""
    with serving(Site({"doc": BODY})) as served:
        yield served


@pytest.fixture
def remote(site: Site) -> Iterator[Remote]:
    """That server as a place."""
    with httpx.Client() as client:
        yield Remote(site.base, client, time.monotonic)


def _bring(
    remote: Remote | Local, into: Path, path: str = "doc", known: Edition | None = None,
    limit: int = LIMIT,
) -> Edition | None:  # fmt: skip
    return remote.fetch(path, into, limit, known or Edition())


def _state(remote: Remote | Local, into: Path, path: str = "doc", limit: int = LIMIT) -> State:
    with pytest.raises(Unusable) as failure:
        _bring(remote, into, path, limit=limit)
    return failure.value.state


def test_a_document_comes_whole_and_progress_is_told(remote: Remote, tmp_path: Path) -> None:
    """What the server has is what lies here, and whoever waits is told how far it is."""
    steps: list[tuple[int, int]] = []
    edition = remote.fetch("doc", tmp_path / "x", LIMIT, Edition(), lambda *n: steps.append(n))
    assert (tmp_path / "x").read_bytes() == BODY
    assert edition
    assert edition.etag
    assert steps[-1] == (len(BODY), len(BODY))
    assert sorted(steps) == steps


def test_over_tls_only_a_certificate_that_we_know_counts(tmp_path: Path) -> None:
    """A server that cannot prove its name is unreachable."""
    pem = certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(pem))
    with serving(Site({"doc": BODY}), pem) as site:
        with httpx.Client(verify=context) as client:
            assert _bring(Remote(site.base, client, time.monotonic), tmp_path / "x")
        with httpx.Client() as client:
            place = Remote(site.base, client, time.monotonic)
            assert _state(place, tmp_path / "y") is State.UNREACHABLE
    assert (tmp_path / "x").read_bytes() == BODY


@pytest.mark.parametrize("etag", [True, False])
def test_what_is_unchanged_does_not_travel(
    etag: object, site: Site, remote: Remote, tmp_path: Path
) -> None:
    """Asked with its tag or date, the server says that nothing is new."""
    site.etag = bool(etag)
    known = _bring(remote, tmp_path / "x")
    assert _bring(remote, tmp_path / "y", known=known) is None
    assert not (tmp_path / "y").exists()
    site.documents["doc"] = BODY[::-1]
    if etag:
        assert _bring(remote, tmp_path / "y", known=known) is not None


@pytest.mark.parametrize("etag", [True, False])
def test_a_broken_fetch_goes_on_where_it_stopped(
    etag: object, site: Site, remote: Remote, tmp_path: Path
) -> None:
    """Within one fetch the rest is asked for, and what came is not fetched twice."""
    site.etag = bool(etag)
    site.cut["doc"] = [300_000, 200_000]
    assert _bring(remote, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY
    assert site.headers("doc") == ["", "range", "range"]
    assert list(tmp_path.iterdir()) == [tmp_path / "x"]


def test_a_later_fetch_goes_on_as_well(site: Site, remote: Remote, tmp_path: Path) -> None:
    """What arrived before we gave up, or were killed, is not lost."""
    site.cut["doc"] = [100_000] * TRIES
    assert _state(remote, tmp_path / "x") is State.TRUNCATED
    assert (tmp_path / "x").read_bytes() == BODY[: TRIES * 100_000]
    assert _bring(remote, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY


def test_the_rest_of_another_edition_is_not_joined(
    site: Site, remote: Remote, tmp_path: Path
) -> None:
    """If the document changed meanwhile, it comes whole: two halves of two make none."""
    site.cut["doc"] = [100_000] * TRIES
    assert _state(remote, tmp_path / "x") is State.TRUNCATED
    site.documents["doc"] = BODY[::-1]
    assert _bring(remote, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY[::-1]


def test_leftovers_without_an_edition_are_not_gone_on_with(
    site: Site, remote: Remote, tmp_path: Path
) -> None:
    """Bytes of which nobody knows what they are part of are written over."""
    (tmp_path / "x").write_bytes(b"other")
    assert _bring(remote, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY
    (tmp_path / "x").write_bytes(BODY + b"longer")
    (tmp_path / "x.edition").write_text('["\\"x\\"", 0]')
    assert _bring(remote, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY
    (tmp_path / "x.edition").write_text("no json")
    assert _bring(remote, tmp_path / "x")
    forget(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_all_of_it_being_here_is_no_reason_to_hang(
    site: Site, remote: Remote, tmp_path: Path
) -> None:
    """Killed between the last byte and the end, the next fetch begins anew."""
    edition = _bring(remote, tmp_path / "x")
    assert edition
    (tmp_path / "x.edition").write_text(json.dumps([edition.etag, 0]))
    assert _bring(remote, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY
    assert site.headers("doc") == ["", "range", ""]


def _endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.end_headers()
    with contextlib.suppress(OSError):
        while True:
            handler.wfile.write(b"x" * 65536)


Answer = Callable[[BaseHTTPRequestHandler], None]


def _answer(code: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        for name, value in {"content_length": str(len(body)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        with contextlib.suppress(OSError):
            handler.wfile.write(body)

    return answer


def _senseless(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"hello\r\n\r\n")


def test_endless_data_stops_at_the_limit(site: Site, remote: Remote, tmp_path: Path) -> None:
    """A server that never ends, or announces too much, fills no disk."""
    site.own["endless"] = _endless
    assert _state(remote, tmp_path / "x", "endless") is State.OVERSIZED
    assert (tmp_path / "x").stat().st_size <= LIMIT
    assert _state(remote, tmp_path / "y", limit=len(BODY) - 1) is State.OVERSIZED
    assert not (tmp_path / "y").exists()


@pytest.mark.parametrize(
    ("path", "answer", "state"),
    [
        ("gone", _answer(410), State.MISSING),
        ("absent", None, State.MISSING),
        ("broken", _answer(500), State.UNREACHABLE),
        ("not-asked", _answer(304), State.UNREACHABLE),
        ("unasked-rest", _answer(206, BODY, content_range="bytes 7-9/10"), State.TRUNCATED),
        ("no-http", _senseless, State.TRUNCATED),
        ("../secret", None, State.MALFORMED),
        ("a?b=<script>", None, State.MALFORMED),
    ],
)
def test_each_failure_has_its_state(
    path: str, answer: Answer | None, state: State, site: Site, remote: Remote, tmp_path: Path
) -> None:
    """Gone, broken, senseless and forbidden are told apart; nothing is taken for a document."""
    if answer:
        site.own[path] = answer
    assert _state(remote, tmp_path / "x", path) is state


def test_a_rest_that_starts_elsewhere_is_not_joined(
    site: Site, remote: Remote, tmp_path: Path
) -> None:
    """The server's word on where its bytes belong is compared with what we asked for."""
    site.cut["doc"] = [1000] * TRIES
    assert _state(remote, tmp_path / "x") is State.TRUNCATED
    lie = f"bytes 5-{len(BODY) - 1}/{len(BODY)}"
    site.own["doc"] = _answer(206, BODY[5:], content_range=lie)
    assert _state(remote, tmp_path / "x") is State.TRUNCATED
    del site.own["doc"]
    assert _bring(remote, tmp_path / "x")
    assert (tmp_path / "x").read_bytes() == BODY


def test_a_server_that_drips_is_given_up(site: Site, tmp_path: Path) -> None:
    """However patiently bytes come, a fetch may take only so long for what it brought."""
    ticks = iter(range(0, 10**9, len(BODY) // SLOWEST))
    with httpx.Client() as client:
        place = Remote(site.base, client, lambda: next(ticks))
        assert _state(place, tmp_path / "x") is State.UNREACHABLE
        assert (tmp_path / "x").exists()  # the next one goes on


def test_redirections_lead_only_where_they_may(site: Site, remote: Remote, tmp_path: Path) -> None:
    """To the same or a configured host, never from TLS to plain, and not in circles."""
    site.own |= {
        "same": _answer(302, location="/doc"),
        "circle": _answer(302, location="/circle"),
        "away": _answer(302, location="http://localhost:1/doc"),
        "file": _answer(302, location="file:///etc/passwd"),
        "user": _answer(302, location="http://a:b@127.0.0.1:1/doc"),
    }
    assert _bring(remote, tmp_path / "x", "same")
    assert (tmp_path / "x").read_bytes() == BODY
    assert len(site.asked) == 2
    for path in ("circle", "away", "file", "user"):
        assert _state(remote, tmp_path / "y", path) is State.UNREACHABLE
    assert len([path for path, _ in site.asked if path == "circle"]) == REDIRECTS + 1
    also = Remote(site.base, remote.client, time.monotonic, frozenset({"localhost"}))
    port = site.base.rpartition(":")[2]
    site.own["away"] = _answer(302, location=f"http://localhost:{port}/doc")
    assert _bring(also, tmp_path / "z", "away")


def test_tls_is_not_left_by_a_redirection(tmp_path: Path) -> None:
    """A configured address that is `https` is never followed to `http`."""
    pem = certificate(tmp_path)
    context = ssl.create_default_context(cafile=str(pem))
    with serving(Site({"doc": BODY})) as plain, serving(Site(), pem) as site:
        site.own["doc"] = _answer(302, location=f"{plain.base}/doc")
        with httpx.Client(verify=context) as client:
            place = Remote(site.base, client, time.monotonic)
            assert _state(place, tmp_path / "x") is State.UNREACHABLE
        assert plain.asked == []


def test_a_page_of_an_api_is_asked_for_with_its_query(
    site: Site, remote: Remote, tmp_path: Path
) -> None:
    """Plain words of a query are allowed, and arrive as they are."""
    page = "cves/2.0?resultsPerPage=2000&startIndex=0"
    site.documents[page] = BODY
    assert _bring(remote, tmp_path / "x", page)
    assert (tmp_path / "x").read_bytes() == BODY


def test_a_folder_is_a_place_as_well(tmp_path: Path) -> None:
    """For sites that nothing reaches: the same limits, the same states, nothing outside."""
    root = tmp_path / "carried"
    root.mkdir()
    (root / "doc").write_bytes(BODY)
    (tmp_path / "secret").write_bytes(b"s")
    (root / "link").symlink_to(tmp_path / "secret")
    assert _bring(Local(root), tmp_path / "x") == Edition()
    assert (tmp_path / "x").read_bytes() == BODY
    assert _state(Local(root), tmp_path / "x", "none") is State.MISSING
    assert _state(Local(root), tmp_path / "x", "link") is State.MISSING
    assert _state(Local(root), tmp_path / "x", "../secret") is State.MALFORMED
    assert _state(Local(root), tmp_path / "x", limit=5) is State.OVERSIZED
    assert _state(Local(tmp_path / "absent"), tmp_path / "x") is State.MISSING
