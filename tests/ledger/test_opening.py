"""Reports opened in worker processes are opened as in the server, and a dead worker is no harm."""

import asyncio
import io
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from answerable.kernel.errors import Refused
from answerable.ledger.app import make_app
from answerable.ledger.batch import frame
from answerable.ledger.openers import Openers
from answerable.ledger.opening import answer, names_under, question, read_answer, serve
from answerable.ledger.store import LedgerUnavailable
from tests.ledger.fleet import Fleet, founded


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """A founded fleet with one enrolled host."""
    made = founded(tmp_path_factory.mktemp("logs"))
    made.enrol("web1")
    yield made
    made.close()


def batch(fleet: Fleet) -> list[bytes]:
    """Give reports of a host, an observer, a planner and a person."""
    return [
        fleet.report_entry("report", "host"),
        fleet.report_entry("observation", "observer"),
        fleet.report_entry("outcome", "planner"),
        fleet.report_entry("decision", "person"),
    ]


def test_worker_says_what_the_server_would(fleet: Fleet) -> None:
    """The same entries, over the wire and back, are opened to the same words."""
    entries, terms = batch(fleet), fleet.report.terms()
    owners = fleet.report.owners(entries)
    asked = question(entries, terms, owners)
    assert read_answer(entries, answer(asked)) == fleet.report.open(entries)


@pytest.mark.parametrize("bad", [b"junk", b"", b"\xe2\x80\x94 a b\n" * 70])
def test_worker_refuses_what_the_server_would(fleet: Fleet, bad: bytes) -> None:
    """A refusal comes back with its word."""
    entries = [*batch(fleet), bad]
    asked = question(entries, fleet.report.terms(), fleet.report.owners(entries))
    told = answer(asked)
    with pytest.raises(Refused) as refusal:
        read_answer(entries, told)
    assert refusal.value.reason == "malformed"


def test_names_are_bounded() -> None:
    """A note with thousands of lines makes no thousands of look-ups."""
    assert names_under(b"text\n\n" + b"\xe2\x80\x94 web1 AAAA\n" * 10_000) == ["web1"] * 4
    assert names_under(b"\n\n\xe2\x80\x94\n\n") == []


def test_worker_serves_until_the_server_hangs_up(fleet: Fleet) -> None:
    """One answer for each question, in order, and an end."""
    entries = batch(fleet)
    asked = question(entries, fleet.report.terms(), fleet.report.owners(entries))
    told = io.BytesIO()
    serve(io.BytesIO((len(asked).to_bytes(4, "big") + asked) * 2 + b"\0\0"), told)
    found, data = answer(asked), told.getvalue()
    assert data == (len(found).to_bytes(4, "big") + found) * 2


def test_many_batches_in_two_workers(fleet: Fleet) -> None:
    """Each batch gets its own answer, however many run at once; a dead worker is left out."""

    async def play() -> None:
        openers = Openers(2)
        await openers.start()
        batches = [batch(fleet)[: 1 + n % 4] for n in range(20)]
        terms = fleet.report.terms()
        jobs = [openers.open(some, terms, fleet.report.owners(some)) for some in batches]
        assert await asyncio.gather(*jobs) == [fleet.report.open(some) for some in batches]
        os.kill(openers._workers[0].process.pid, signal.SIGKILL)
        await openers._workers[0].task
        assert openers.alive() == 1
        some = batches[3]
        again = await openers.open(some, terms, fleet.report.owners(some))
        assert again == fleet.report.open(some)
        os.kill(openers._workers[1].process.pid, signal.SIGSTOP)
        last = asyncio.create_task(openers.open(some, terms, fleet.report.owners(some)))
        while not openers._workers[1].waiting:  # noqa: ASYNC110  it takes a turn or two
            await asyncio.sleep(0)
        os.kill(openers._workers[1].process.pid, signal.SIGKILL)
        with pytest.raises(LedgerUnavailable, match="has died"):
            await last
        with pytest.raises(LedgerUnavailable, match="no worker"):
            await openers.open(some, terms, {})
        await openers.close()

    asyncio.run(play())


def test_server_with_workers(tmp_path: Path) -> None:
    """A server admits through workers, refuses as without, and goes on when they are gone."""
    fleet = founded(tmp_path)
    fleet.enrol("web1")
    app = make_app(fleet.authority, fleet.report, {}, workers=1)
    with TestClient(app, raise_server_exceptions=False) as client:
        for index in (0, 4):
            told = client.post("/report/add", content=frame(batch(fleet)))
            assert told.json() == {"count": 4, "index": index, "void": []}
        told = client.post("/report/add", content=frame([b"junk"]))
        assert (told.status_code, told.json()["reason"]) == (403, "malformed")
    fleet.close()
