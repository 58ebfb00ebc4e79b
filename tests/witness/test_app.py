"""Over HTTP a guard answers everybody, within bounds, and never with a 500."""

import random
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from answerable.kernel.canon import decode
from answerable.kernel.checkpoint import cosigned
from answerable.kernel.note import ENTRY
from answerable.witness import app
from answerable.witness.app import ATTEST, guard_app
from answerable.witness.fresh import ASK
from answerable.witness.mirror import log_name
from answerable.witness.wire import JSON, Answer, Settings
from answerable.witness.witness import REQUEST
from tests.fakes.guards import Town
from tests.witness.test_fresh import NONCE, consume, question


class Pages:
    """One notice."""

    def index(self) -> str:
        """See `app.Pages`."""
        return "one notice\n"

    def page(self, leaf: str) -> str | None:
        """See `app.Pages`."""
        return "text\n" if leaf == "ab" * 32 else None

    def plan(self, leaf: str) -> bytes | None:
        """See `app.Pages`."""
        return b"{}" if leaf == "ab" * 32 else None

    def acknowledge(self, leaf: str, person: str, token: str, *, pressed: bool) -> str | None:
        """See `app.Pages`."""
        known = (leaf, person, token) == ("ab" * 32, "lee", "12" * 16)
        return ("pressed" if pressed else "<button>") if known else None


def attest(body: bytes) -> Answer:
    """Echo the number of bytes."""
    return Answer(200, b"%d" % len(body), JSON)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A fleet whose first guard has cosigned the log so far."""
    town = Town(tmp_path, settings=Settings(rate=100_000, burst=100_000))
    assert town.offer(town.guard()).status == 200
    return town


@contextmanager
def serving(town: Town) -> Iterator[str]:
    """Serve the first guard with the real server on loopback."""
    served = guard_app(town.guards["g1"], lambda: town.sim.now, Pages(), attest)
    server = uvicorn.Server(uvicorn.Config(served, port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    until(lambda: server.started or not thread.is_alive())
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join(30)


def until(fact: Callable[[], object]) -> None:
    """Wait for a fact."""
    while not fact():
        threading.Event().wait(0.005)


@pytest.fixture
def client(town: Town) -> Iterator[httpx.Client]:
    """A client of the guard, over real sockets."""
    with serving(town) as url, httpx.Client(base_url=url, timeout=30) as client:
        yield client


def test_add_checkpoint_and_the_head_it_leads_to(town: Town, client: httpx.Client) -> None:
    """What is posted is cosigned; what is served is what was cosigned."""
    town.report.entries += [b"a", b"b"]
    posted = client.post("/witness/add-checkpoint", content=town.report.ask(0))
    assert posted.status_code == 200
    conflict = client.post("/witness/add-checkpoint", content=town.report.ask(1))
    kind, size = conflict.headers["content-type"], conflict.content
    assert (conflict.status_code, kind, size) == (409, "text/x.tlog.size", b"2\n")
    head = client.get(f"/witness/{log_name(town.report.origin)}/checkpoint")
    law = town.sim.state.law()
    guards = {"g1": law.guards["witness"]["g1"]}
    assert cosigned(head.content, town.report.origin, guards, 1).checkpoint.size == 2
    assert head.headers["content-type"].startswith("text/plain")
    for absent in ("ab" * 32, "x", "..%2f"):
        assert client.get(f"/witness/{absent}/checkpoint").status_code == 404


def test_mirror_serves_the_authority_log(town: Town, client: httpx.Client) -> None:
    """Whoever cannot reach the log reads it from a guard, tile by tile."""
    base, log = f"/mirror/{log_name(town.authority.origin)}", town.authority
    size = len(log.entries)
    assert (
        client.get(f"{base}/checkpoint").content
        == client.get(f"/witness/{log_name(log.origin)}/checkpoint").content
    )
    tile = client.get(f"{base}/tile/0/000.p/{size}")
    assert tile.content == bytes(log.tree.levels[0])
    assert "immutable" in tile.headers["cache-control"]
    assert tile.headers["content-type"] == "application/octet-stream"
    assert client.get(f"{base}/tile/entries/000.p/{size}").status_code == 200
    for absent in ("tile/0/000", "tile/0/001.p/1", "tile/0/%2e%2e", "tile/entries/000.p/0", "x"):
        assert client.get(f"{base}/{absent}").status_code == 404
    report = log_name(town.report.origin)
    assert client.get(f"/mirror/{report}/checkpoint").status_code == 404


def test_fresh_start_and_consume(town: Town, client: httpx.Client) -> None:
    """A host introduces itself, consumes, and is told so; a new one starts from a signed state."""
    told = client.post("/fresh", content=question(town, record=False))
    assert (told.status_code, told.json()["reason"]) == (403, "not_enrolled")
    note = consume(town, 1, "n/o/c")
    assert client.post("/fresh", content=question(town, consume=note)).status_code == 200
    again = client.post("/fresh", content=question(town, record=False))
    assert again.json()["last"] == note
    start = client.get("/start", params={"host": "web1", "nonce": NONCE})
    assert decode(start.content, 1 << 24)["tables"] == town.sim.state.tables
    assert client.get("/start").status_code == 400


def test_veto_is_handed_on_at_once(town: Town, client: httpx.Client) -> None:
    """A veto does not wait for the next round of chores to reach the log."""
    entry = town.veto()
    answer = client.post("/veto", content=entry)
    assert answer.status_code == 200
    until(lambda: entry in town.authority.entries)


def test_pages_and_attester_are_joined(client: httpx.Client) -> None:
    """The herald's pages and the feed attester stand beside the rest."""
    leaf = "ab" * 32
    assert client.get("/notices").text == "one notice\n"
    assert client.get(f"/notices/{leaf}").text == "text\n"
    assert client.get(f"/notices/{leaf}/plan").content == b"{}"
    assert client.get("/notices/x").status_code == 404
    assert client.get("/notices/x/plan").status_code == 404
    assert client.post("/attest", content=b"123").content == b"3"


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/witness/add-checkpoint", REQUEST), ("/fresh", ASK), ("/veto", ENTRY), ("/attest", ATTEST)],
)
def test_bodies_are_bounded(client: httpx.Client, path: str, limit: int) -> None:
    """A body over its limit is 413, whether its length was announced or not."""
    assert client.post(path, content=b"x" * (limit + 1)).status_code == 413
    assert client.post(path, content=iter([b"x" * 65_536] * 20)).status_code in (413, 400, 200)


def test_rate_is_bounded_per_address(tmp_path: Path) -> None:
    """One address cannot keep a guard from the others."""
    town = Town(tmp_path, settings=Settings(rate=1, burst=3))
    town.guard()
    one, other = (httpx.HTTPTransport(local_address=f"127.0.0.{n}") for n in (1, 2))
    with (
        serving(town) as url,
        httpx.Client(base_url=url, transport=one) as first,
        httpx.Client(base_url=url, transport=other) as second,
    ):
        assert [first.get("/notices").status_code for _ in range(4)] == [200, 200, 200, 429]
        assert second.get("/notices").status_code == 200
        town.sim.now += 1
        assert first.get("/notices").status_code == 200


ENDPOINTS = ("/witness/add-checkpoint", "/fresh", "/veto", "/attest")


@pytest.mark.fuzz
def test_malformed_bytes_at_every_endpoint_are_never_a_500(
    town: Town, client: httpx.Client
) -> None:
    """Random, cut and mutated bodies, odd paths and queries: an answer below 500 each time."""
    seed = 20261122
    draw = random.Random(seed)
    good = [town.report.ask(0), question(town), town.veto(), b"{}"]
    for step in range(400):
        endpoint = draw.randrange(4)
        data = bytearray(good[endpoint] if draw.randrange(3) else draw.randbytes(200))
        for _ in range(draw.randrange(4)):
            at = draw.randrange(max(1, len(data)))
            match draw.randrange(3):
                case 0:
                    data[at : at + 1] = draw.randbytes(1)
                case 1:
                    del data[at : at + draw.randrange(1, 60)]
                case _:
                    data[at:at] = data[: draw.randrange(60)]
        status = client.post(ENDPOINTS[endpoint], content=bytes(data)).status_code
        assert status < 500, (seed, step)
    for step in range(200):
        odd = "".join(draw.choice("ab0/.%?&=x~ \\:") for _ in range(draw.randrange(30)))
        where = draw.choice(["/mirror/", "/witness/", "/notices/", "/start?host=", "/"])
        try:
            status = client.get(where + odd, follow_redirects=False).status_code
        except httpx.InvalidURL:
            continue
        assert status < 500, (seed, step, odd)


def test_many_hosts_at_once_share_signatures(town: Town) -> None:
    """Forty hosts ask together over real sockets; all are answered, with far fewer signatures."""
    hosts = list(town.sim.members) * 5
    with serving(town) as url, httpx.Client(timeout=30) as client, ThreadPoolExecutor(40) as pool:

        def ask(host: str) -> bytes:
            answer = client.post(f"{url}/fresh", content=question(town, host))
            assert answer.status_code == 200
            return answer.content

        replies = list(pool.map(ask, hosts))
    notes = {decode(reply, 99_999)["checkpoint"] for reply in replies}
    assert len(notes) < len(hosts)
    law, state = town.sim.state.law(), town.sim.state
    for host, reply in zip(hosts, replies, strict=True):
        checkpoint = decode(reply, 99_999)["checkpoint"].encode()
        guards = {"g1": law.guards["post"]["g1"]}
        assert cosigned(checkpoint, f"answerable/fresh/v1/{state.fleet}", guards, 1)
        assert decode(decode(reply, 99_999)["leaf"].encode(), 9999)["host"] == host


def test_slow_body_over_a_real_socket_does_not_hold_up_others(town: Town) -> None:
    """A client that stops in the middle of a body costs a connection and nothing else."""
    with serving(town) as url, httpx.Client(timeout=30) as client:
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as slow:
            slow.sendall(b"POST /fresh HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
            assert client.get(f"{url}/notices").status_code == 200
        assert client.get(f"{url}/notices").status_code == 200


def test_body_that_never_ends_is_given_up(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A body that does not come in time is a 408."""
    monkeypatch.setattr(app, "SENDING", 0.05)
    with serving(town) as url:
        port = int(url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), timeout=30) as slow:
            slow.sendall(b"POST /fresh HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nhalf")
            assert slow.recv(100).startswith(b"HTTP/1.1 408")
