"""The log server's HTTP surface: c2sp.org/tlog-tiles for readers, `add` for writers.

    GET  /<log>/checkpoint                       the newest checkpoint that a quorum cosigned
    GET  /<log>/tile/<level>/<index>[.p/<width>]      tiles, up to what is durable
    GET  /<log>/tile/entries/<index>[.p/<width>]      entry bundles, up to what is durable
    POST /<log>/add       entries, each u32be length || bytes -> {"count","index","void"}
    POST /report/enrol    {"enrolment","index","path","record"} -> {"host"}
    GET  /<log>/status    sizes, and what each guard last said

`<log>` is `authority` or `report`. A batch enters whole or not at all, and is answered when it is
durable. Refusals are 403 with {"reason","detail"}; a body that is no batch is 400, too large 413,
too slow 408; a busy or stopped log 503. No input makes a 500.

Left out: TLS and access control, which belong to what stands in front.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from answerable.kernel.canon import read, unhex
from answerable.kernel.errors import Refused
from answerable.kernel.verify import Enrolled
from answerable.ledger.admission import Admitted, AuthorityGate, ReportGate
from answerable.ledger.batch import unframe
from answerable.ledger.enrolments import SHAPE
from answerable.ledger.log import Log
from answerable.ledger.openers import Openers
from answerable.ledger.opening import Opened
from answerable.ledger.publish import Publisher
from answerable.ledger.store import LedgerUnavailable
from answerable.ledger.tiles import read_tile

FOREVER = {"Cache-Control": "public, max-age=31536000, immutable"}
BRIEFLY = {"Cache-Control": "public, max-age=1"}
SLICE = 16
"""Reports opened before others get their turn; some two milliseconds."""


@dataclass(frozen=True)
class Limits:
    """Of one request: bytes and entries of a batch, bytes of an enrolment, seconds to send it.

    `batches`: requests to `add` that are read at once, so half a gigabyte; more are told to wait.
    """

    body: int = 1 << 20
    entries: int = 1_024
    enrolment: int = 1 << 17
    seconds: float = 10
    batches: int = 512


class _TooLarge(Exception):
    """A body that becomes a 413."""


async def _body(request: Request, limit: int, seconds: float) -> bytes:
    parts, size = list[bytes](), 0
    async with asyncio.timeout(seconds):
        async for part in request.stream():
            size += len(part)
            if size > limit:
                raise _TooLarge
            parts.append(part)
    return b"".join(parts)


def _answer(status: int, reason: str, detail: str) -> Response:
    retry = {"Retry-After": "1"} if status == 503 else {}  # noqa: PLR2004
    return JSONResponse({"reason": reason, "detail": detail}, status, headers=retry)


Handler = Callable[[Request], Awaitable[Response]]


def _careful(handler: Handler) -> Handler:
    """Turn each way to fail into its status."""

    async def handle(request: Request) -> Response:
        try:
            return await handler(request)
        except Refused as refusal:
            return _answer(403, refusal.reason, refusal.detail)
        except _TooLarge:
            return _answer(413, "too_large", "split the batch")
        except TimeoutError:
            return _answer(408, "too_slow", "the body did not come in time")
        except ClientDisconnect:
            return _answer(400, "malformed", "the body ended early")
        except LedgerUnavailable as error:
            return _answer(503, "unavailable", str(error))

    return handle


class _LogRoutes:
    """The routes of one log."""

    def __init__(
        self, gate: AuthorityGate | ReportGate, limits: Limits, openers: Openers | None
    ) -> None:
        self.gate, self.limits, self.openers, self._batches = gate, limits, openers, 0
        self.log: Log = gate.log

    async def checkpoint(self, _: Request) -> Response:
        note = self.log.published()
        if not note:
            return PlainTextResponse("no quorum has cosigned yet\n", 404, headers=BRIEFLY)
        return Response(note, media_type="text/plain; charset=utf-8", headers=BRIEFLY)

    async def tile(self, request: Request) -> Response:
        path = "tile/" + request.path_params["path"]
        size = self.log.head().checkpoint.size
        try:
            data = await run_in_threadpool(read_tile, self.log.store, path, size)
        except Refused:
            return PlainTextResponse("no such tile\n", 404, headers=BRIEFLY)
        return Response(data, media_type="application/octet-stream", headers=FOREVER)

    async def add(self, request: Request) -> Response:
        if self._batches >= self.limits.batches:
            return _answer(503, "unavailable", "too many batches at once")
        self._batches += 1
        try:
            data = await _body(request, self.limits.body, self.limits.seconds)
            try:
                entries = unframe(data, self.limits.entries)
            except Refused as refusal:
                return _answer(400, refusal.reason, refusal.detail)
            admitted = await self._admit(entries)
            index = await asyncio.wrap_future(admitted.index)
        finally:
            self._batches -= 1
        void = [one._asdict() for one in admitted.void]
        return JSONResponse({"count": len(entries), "index": index, "void": void})

    async def _admit(self, entries: list[bytes]) -> Admitted:
        if isinstance(self.gate, AuthorityGate):
            return self.gate.submit(entries)
        if self.openers and self.openers.alive():
            terms, owners = self.gate.terms(), self.gate.owners(entries)
            return self.gate.admit(await self.openers.open(entries, terms, owners))
        opened = list[Opened]()
        for first in range(0, len(entries), SLICE):
            opened += self.gate.open(entries[first : first + SLICE])
            await asyncio.sleep(0)
        return self.gate.admit(opened)

    async def enrol(self, request: Request) -> Response:
        assert isinstance(self.gate, ReportGate), "hosts enrol at the report log"
        data = await _body(request, self.limits.enrolment, self.limits.seconds)
        told = read(data, self.limits.enrolment, SHAPE)
        path = unhex(told["path"])
        enrolled = Enrolled(told["record"], told["enrolment"], told["index"], path)
        host = self.gate.enrolments.enrol(enrolled, self.gate.state())
        return JSONResponse({"host": host})


def _status(routes: _LogRoutes, publisher: Publisher | None) -> Handler:
    async def status(_: Request) -> Response:
        log, guards = routes.log, publisher.guards if publisher else {}
        failure = log.failure()
        return JSONResponse(
            {
                "origin": log.origin,
                "size": log.head().checkpoint.size,
                "stopped": str(failure or ""),
                "guards": {name: vars(view) for name, view in guards.items()},
            },
            headers=BRIEFLY,
        )

    return status


def make_app(
    authority: AuthorityGate,
    report: ReportGate,
    publishers: Mapping[str, Publisher],
    limits: Limits | None = None,
    workers: int = 0,
) -> Starlette:
    """Put the server together; `publishers` by log name run while it does.

    `workers` processes open reports; with none the server does so itself.
    """
    limits, routes = limits or Limits(), list[Route]()
    openers = Openers(workers) if workers else None
    for name, gate in (("authority", authority), ("report", report)):
        log = _LogRoutes(gate, limits, openers)
        status = _status(log, publishers.get(name))
        routes += [
            Route(f"/{name}/checkpoint", _careful(log.checkpoint), methods=["GET"]),
            Route(f"/{name}/tile/{{path:path}}", _careful(log.tile), methods=["GET"]),
            Route(f"/{name}/add", _careful(log.add), methods=["POST"]),
            Route(f"/{name}/status", _careful(status), methods=["GET"]),
        ]
        if name == "report":
            routes.append(Route("/report/enrol", _careful(log.enrol), methods=["POST"]))

    @asynccontextmanager
    async def running(_: Starlette) -> AsyncIterator[None]:
        if openers:
            await openers.start()
        tasks = [asyncio.create_task(publisher.run()) for publisher in publishers.values()]
        yield
        for task in tasks:
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        if openers:
            await openers.close()

    return Starlette(routes=routes, lifespan=running)
