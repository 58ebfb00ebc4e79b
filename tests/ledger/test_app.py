"""Over HTTP: tiles as the specification says, batches whole or not at all, and never a 500."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from starlette.testclient import TestClient

from answerable.kernel.canon import Json, encode
from answerable.ledger.app import Limits, make_app
from answerable.ledger.audit import audit
from answerable.ledger.batch import frame
from answerable.ledger.client import HttpSource, enrol, submit
from answerable.ledger.heads import open_head
from answerable.ledger.publish import Publisher, Schedule
from tests.fakes.ledger_guards import Guards
from tests.ledger.fleet import REPORT_ORIGIN, Fleet, founded
from tests.simulator.constitution import veto

URL = "http://testserver"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A founded fleet."""
    made = founded(tmp_path_factory.mktemp("logs"))
    made.enrol("web1")
    yield made
    made.close()


@pytest.fixture(scope="module")
def http(fleet: Fleet) -> Iterator[TestClient]:
    """A client of both logs, whose guards answer."""
    guards = {log: Guards(origin) for log, origin in
              (("authority", fleet.sim.origin), ("report", REPORT_ORIGIN))}  # fmt: skip
    law, schedule = fleet.authority.law, Schedule(renewal=1_000, floor=0)
    publishers = {
        log: Publisher(gate.log, law, guards[log].client(), fleet.clock, schedule)
        for log, gate in (("authority", fleet.authority), ("report", fleet.report))
    }
    limits = Limits(body=50_000, entries=20, enrolment=5_000)
    app = make_app(fleet.authority, fleet.report, publishers, limits)
    with TestClient(app, raise_server_exceptions=False) as client:
        yield client


def published(http: httpx.Client, log: str, size: int) -> httpx.Response:
    """Wait until a log gives readers a checkpoint of at least this size."""
    for _ in range(10_000):
        answer = http.get(f"/{log}/checkpoint")
        if answer.status_code == 200 and int(answer.text.split("\n")[1]) >= size:
            return answer
    raise AssertionError(answer.text)


def test_checkpoint_and_tiles_are_those_of_the_spec(fleet: Fleet, http: TestClient) -> None:
    """Content types, caching and contents; the whole log audits over HTTP."""
    size = fleet.authority.log.head().checkpoint.size
    answer = published(http, "authority", size)
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=1"
    for path in (f"tile/0/000.p/{size}", f"tile/entries/000.p/{size}", "tile/0/000.p/1"):
        tile = http.get(f"/authority/{path}")
        assert (tile.status_code, tile.headers["content-type"]) == (200, "application/octet-stream")
        assert "immutable" in tile.headers["cache-control"]
    head = open_head(answer.content, fleet.sim.origin, fleet.authority.log.keys)
    assert audit(HttpSource(http, f"{URL}/authority"), head).good


@pytest.mark.parametrize(
    "path",
    ["tile/0/001", "tile/0/000", "tile/0/000.p/255", "tile/1/000.p/1", "tile/0/000.p/0", "tile/",
     "tile/0/x000/000", "tile/entries/999", "tile/0/%2e%2e/checkpoint", "tile/0/000.p/1/", "no"],
)  # fmt: skip
def test_paths_that_are_none(http: TestClient, path: str) -> None:
    """A tile that is not implied by the size, or is spelled otherwise, is not found."""
    assert http.get(f"/authority/{path}").status_code == 404


def test_other_methods(http: TestClient) -> None:
    """Reading is GET, writing POST."""
    assert http.post("/authority/checkpoint").status_code == 405
    assert http.get("/authority/add").status_code == 405
    assert http.post("/authority/enrol").status_code == 404


def test_batch_is_answered_when_durable(fleet: Fleet, http: TestClient) -> None:
    """A batch is in the log, in a row, when its index is given."""
    entries = [fleet.sim.write("veto", veto(reason=str(n)), "lee") for n in range(3)]
    told = submit(http, f"{URL}/authority", entries)
    index = told["index"]
    assert (told["count"], told["void"]) == (3, [])
    assert fleet.authority.log.store.entries(index, index + 3) == entries
    published(http, "authority", index + 3)


def test_void_entries_are_named(fleet: Fleet, http: TestClient) -> None:
    """The answer says which entries have no effect, and why."""
    entry = fleet.sim.write("seen", {"notice": "ab" * 32}, "lee")
    (void,) = submit(http, f"{URL}/authority", [entry])["void"]
    assert (void["entry"], void["reason"]) == (0, "unknown_subject")


def test_refusal_is_403_and_nothing_enters(fleet: Fleet, http: TestClient) -> None:
    """One bad entry refuses the whole batch, with the kernel's word."""
    before = fleet.report.log.head().checkpoint.size
    good = fleet.report_entry("finding", "observer")
    answer = http.post("/report/add", content=frame([good, b"junk"]))
    assert answer.status_code == 403
    assert answer.json()["reason"] == "malformed"
    assert fleet.report.log.head().checkpoint.size == before
    many = [fleet.report_entry("finding", "observer") for _ in range(20)]
    assert submit(http, f"{URL}/report", [*many[1:], good])["index"] == before


def test_enrolment_over_http(fleet: Fleet, http: TestClient) -> None:
    """A host makes itself known, then reports; an unproven record is refused."""
    entry = fleet.report_entry("report", "host", host="api1", by=lambda _: "api1")
    assert http.post("/report/add", content=frame([entry])).status_code == 403
    enrolled = fleet.sim.members["api1"].enrolled
    wrong = enrolled._replace(place=0 if enrolled.place else 1)
    body = {"record": wrong.record, "enrolment": wrong.enrolment, "index": wrong.place,
            "path": [step.hex() for step in wrong.path]}  # fmt: skip
    answer = http.post("/report/enrol", content=encode(body))
    assert (answer.status_code, answer.json()["reason"]) == (403, "not_enrolled")
    assert enrol(http, f"{URL}/report", enrolled) == {"host": "api1"}
    submit(http, f"{URL}/report", [entry])


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"\0\0\0", 400), (b"\0\0\0\0", 400), (b"\0\0\0\5abcd", 400),
        (b"\xff\xff\xff\xff", 400), (b"\0\1\0\0" + b"x" * 65_536, 413), (frame([b"a"] * 21), 400),
        (frame([b"a"]) + b"x", 400), (b"x" * 50_001, 413), (frame([b"junk"]), 403),
    ],
)  # fmt: skip
@pytest.mark.parametrize("log", ["authority", "report"])
def test_bodies_that_are_no_batch(http: TestClient, log: str, body: bytes, status: int) -> None:
    """Cut, oversized and overlong batches are refused by size and shape before anything else."""
    answer = http.post(f"/{log}/add", content=body)
    assert (answer.status_code, set(answer.json())) == (status, {"reason", "detail"})


@pytest.mark.fuzz
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(st.binary(max_size=300), st.sampled_from(["authority/add", "report/add", "report/enrol"]))
def test_no_bytes_make_a_500(http: TestClient, data: bytes, path: str) -> None:
    """Whatever is posted, raw or framed, is refused."""
    for body in (data, frame([data])):
        assert http.post(f"/{path}", content=body).status_code in {400, 403, 413}


def test_slow_body_is_given_up(fleet: Fleet) -> None:
    """A body that trickles is given up after its time, and holds no place."""
    app, sent = make_app(fleet.authority, fleet.report, {}, Limits(seconds=0.01)), list[Json]()
    scope = {"type": "http", "method": "POST", "path": "/report/add", "headers": [],
             "query_string": b"", "root_path": "", "http_version": "1.1"}  # fmt: skip
    parts = [{"type": "http.request", "body": b"\0", "more_body": True}]

    async def receive() -> Json:
        return parts.pop() if parts else await asyncio.Event().wait()

    async def send(message: Json) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    assert (sent[0]["status"], json.loads(sent[1]["body"])["reason"]) == (408, "too_slow")


def test_too_many_at_once(fleet: Fleet) -> None:
    """More batches at once than are allowed are told to come back."""
    app = make_app(fleet.authority, fleet.report, {}, Limits(batches=0))
    with TestClient(app, raise_server_exceptions=False) as client:
        answer = client.post("/report/add", content=frame([b"a"]))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")


def test_nothing_cosigned_and_a_stopped_log(tmp_path: Path) -> None:
    """Without guards there is no checkpoint to read; a stopped log says so with 503."""
    fleet = founded(tmp_path)
    app = make_app(fleet.authority, fleet.report, {})
    with TestClient(app, raise_server_exceptions=False) as client:
        assert client.get("/authority/checkpoint").status_code == 404
        status = client.get("/authority/status").json()
        assert (status["origin"], status["stopped"], status["guards"]) == (fleet.sim.origin, "", {})
        fleet.authority.log.close()
        body = frame([fleet.sim.write("veto", veto(), "lee")])
        assert client.post("/authority/add", content=body).status_code == 503
    fleet.close()


def test_status_names_the_guards(http: TestClient, fleet: Fleet) -> None:
    """Anybody can see which guards answer."""
    published(http, "authority", fleet.authority.log.head().checkpoint.size)
    assert set(http.get("/authority/status").json()["guards"]) == {"g1", "g2", "g3", "g4"}
