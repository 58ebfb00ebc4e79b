"""Whatever a log or a peer answers, its client gives records, a word, or `unavailable`."""

from collections.abc import Callable

import httpx
import pytest

from answerable.witness.http_log import REPLY, HttpLog
from answerable.witness.http_peer import HttpPeer
from answerable.witness.post import RECEIPT
from answerable.witness.wire import GuardUnavailable
from tests.fakes.tiled_log import TiledLog

Handler = Callable[[httpx.Request], httpx.Response]


def client(handler: Handler) -> httpx.Client:
    """Give a client whose other end is this."""
    return httpx.Client(transport=httpx.MockTransport(handler))


def says(status: int, *parts: bytes) -> Handler:
    """Answer always the same."""
    return lambda _: httpx.Response(status, content=iter(parts))


def away(_: httpx.Request) -> httpx.Response:
    """Be away."""
    raise httpx.ConnectError("no route")


@pytest.mark.parametrize(
    "handler",
    [
        away, says(500), says(404), says(302), says(200), says(200, b"\x00"),
        says(200, b"\x00\x05a"), says(200, b"\x00\x00" * 257), says(200, b"\x00\x01a"),
    ],
)  # fmt: skip
def test_records_are_all_there_or_unavailable(handler: Handler) -> None:
    """A log that is away, cut, short or talks nonsense gives no records."""
    with pytest.raises(GuardUnavailable):
        HttpLog(client(handler), "http://log/x").entries(0, 3, 3)


def test_records_of_any_range_are_those_records() -> None:
    """Ranges within, across and at the edges of bundles are read exactly."""
    log = TiledLog("x", [b"%d" % n for n in range(600)])
    for start, end in ((0, 1), (0, 600), (255, 257), (256, 512), (511, 600), (599, 600)):
        assert log.reach().entries(start, end, 600) == log.entries[start:end]


@pytest.mark.parametrize(
    ("handler", "word"),
    [
        (says(200, b"{}"), ""), (says(200, b"x"), ""),
        (says(403, b'{"reason":"duplicate"}'), "duplicate"), (says(403, b"x"), "refused"),
        (says(403, b"[]"), "refused"), (says(403, b'{"reason":""}'), "refused"),
        (says(403, b'{"reason":"' + b"x" * 999 + b'"}'), "x" * 64),
        (says(403, b"[" * 9999), "refused"),
    ],
)  # fmt: skip
def test_log_takes_a_record_or_says_a_word(handler: Handler, word: str) -> None:
    """A yes is a yes; a no is one word, however the log puts it."""
    assert HttpLog(client(handler), "http://log/x").add(b"entry") == word


@pytest.mark.parametrize("handler", [away, says(503), says(413), says(200, b"x" * (REPLY + 1))])
def test_log_that_cannot_answer_is_unavailable(handler: Handler) -> None:
    """Anything else is asked again later."""
    with pytest.raises(GuardUnavailable):
        HttpLog(client(handler), "http://log/x").add(b"entry")


@pytest.mark.parametrize("handler", [away, says(403), says(429), says(200, b"x" * (RECEIPT + 1))])
def test_peer_that_gives_no_receipt_is_unavailable(handler: Handler) -> None:
    """A guard that is away or refuses is asked again later."""
    with pytest.raises(GuardUnavailable):
        HttpPeer(client(handler), "http://g2").hand(b"entry")


@pytest.mark.parametrize("url", ["", "x", "http://[", "ftp://x", "http://\x00"])
def test_address_that_is_none_is_unavailable(url: str) -> None:
    """A charter with a broken address stops nobody but that guard."""
    with pytest.raises(GuardUnavailable):
        HttpPeer(httpx.Client(), url).hand(b"entry")
    with pytest.raises(GuardUnavailable):
        HttpLog(httpx.Client(), url).add(b"entry")


def test_answers_are_not_unpacked() -> None:
    """A small answer that would unpack to a large one is nonsense, and stays small."""
    packed = httpx.Response(200, headers={"content-encoding": "gzip"}, content=iter([b"\x1f\x8b"]))
    with pytest.raises(GuardUnavailable):
        HttpLog(client(lambda _: packed), "http://log/x").entries(0, 1, 1)
