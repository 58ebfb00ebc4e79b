"""A guard over HTTP: one application with every endpoint, each bounded in size and rate.

| endpoint | body or query | answer |
|---|---|---|
| `POST /witness/add-checkpoint` | c2sp.org/tlog-witness | signature lines |
| `GET /witness/<log>/checkpoint` | | head last cosigned |
| `GET /mirror/<log>/checkpoint`, `/mirror/<log>/tile/..` | | c2sp.org/tlog-tiles |
| `POST /fresh` | fresh.py | a reply |
| `POST /veto` | a signed note | a receipt |
| `GET /start?host=&nonce=` | start.py | state tables and a reply |
| `GET /notices`, `GET /notices/<leaf hash>`, `.../plan` | | text for people, the plan |
| `GET`, `POST /notices/<leaf hash>/seen/<person>/<token>` | | a button; the act of pressing it |
| `POST /attest` | feeds | its answer |

`<log>` is the SHA-256 of the log's origin, in hex. A body over its limit is 413, one that does not
come in time 408, more requests than `Settings.rate` from one address 429. Questions for fresh heads
are gathered for `GATHER` seconds and answered with one signature. Whatever the bytes are, no answer
is a 500.

Left out: TLS and the addresses behind a proxy (both the operator's reverse proxy); the pages and
the attester (handed in by bootstrap).
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from answerable.kernel.errors import Refused
from answerable.kernel.note import ENTRY
from answerable.witness.bucket import Bucket
from answerable.witness.fresh import ASK, TOGETHER
from answerable.witness.guard import Guard
from answerable.witness.wire import BINARY, JSON, TEXT, Answer, GuardUnavailable, problem, refusal
from answerable.witness.witness import REQUEST

GATHER = 0.003
"""How long questions for fresh heads are gathered, seconds."""
SENDING = 10
"""How long a body may take to come, seconds."""
HEADS = 8
"""Heads that are judged at once: a log that holds its records back holds up no host and no veto."""
ATTEST = 16 << 20
"""Largest request to the attester that is read, bytes."""
SEEN, HTML = "/notices/{leaf}/seen/{person}/{token}", "text/html; charset=utf-8"
_BARE = {
    "content-security-policy": "default-src 'none'; form-action 'self'; frame-ancestors 'none'",
    "referrer-policy": "no-referrer",
}
_FOREVER, _SECONDS = "public, max-age=31536000, immutable", "public, max-age=1"
_NOT_FOUND = problem(404, "unknown_subject", "no such page")


class Pages(Protocol):
    """The herald's pages for people."""

    def index(self) -> str:
        """List the notices that were found to be what they say."""

    def page(self, leaf: str) -> str | None:
        """Give one notice, by its leaf hash."""

    def plan(self, leaf: str) -> bytes | None:
        """Give the plan behind it."""

    def acknowledge(self, leaf: str, person: str, token: str, *, pressed: bool) -> str | None:
        """Give the page behind a person's link, or take the act of who pressed its button."""


Attest = Callable[[bytes], Answer]


@dataclass
class _Gathered:
    """Questions that wait for one signature."""

    guard: Guard
    waiting: list[tuple[bytes, asyncio.Future[Answer]]]

    async def ask(self, body: bytes) -> Answer:
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.waiting.append((body, future))
        if len(self.waiting) == 1:
            await asyncio.sleep(GATHER)
            await self._answer()
        return await future

    async def _answer(self) -> None:
        while self.waiting:
            taken, self.waiting = self.waiting[:TOGETHER], self.waiting[TOGETHER:]
            bodies = [body for body, _ in taken]
            answers = await run_in_threadpool(self.guard.fresh.answer, bodies)
            for (_, future), answer in zip(taken, answers, strict=True):
                if not future.done():
                    future.set_result(answer)


Handler = Callable[[Request], Awaitable[Answer]]


def guard_app(guard: Guard, clock: Callable[[], int], pages: Pages, attest: Attest) -> Starlette:
    """Serve a guard; `clock` counts the seconds of the rate limit."""
    bucket = Bucket(guard.settings.rate, guard.settings.burst, clock)
    served = _Served(guard, pages, attest)

    def bounded(handler: Handler, caching: str = "") -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            address = request.client.host if request.client else ""
            if not bucket.take(address):
                return _response(problem(429, "over_cap", "ask less often"))
            try:
                given = await handler(request)
            except _TooLargeError as error:
                given = problem(413, "too_large", str(error))
            except Refused as refused:
                given = refusal(refused)
            except GuardUnavailable as error:
                given = problem(503, "unavailable", str(error))
            except TimeoutError:
                given = problem(408, "too_slow", "the body did not come in time")
            except ClientDisconnect:
                given = problem(400, "malformed", "the request ended early")
            return _response(given, caching if given.status == 200 else "")  # noqa: PLR2004

        return answer

    head, tile = "/witness/{log}/checkpoint", "/mirror/{log}/tile/{path:path}"
    return Starlette(
        routes=[
            Route("/witness/add-checkpoint", bounded(served.add_checkpoint), methods=["POST"]),
            Route(head, bounded(served.head, _SECONDS), methods=["GET"]),
            Route("/mirror/{log}/checkpoint", bounded(served.mirrored, _SECONDS), methods=["GET"]),
            Route(tile, bounded(served.tile, _FOREVER), methods=["GET"]),
            Route("/fresh", bounded(served.fresh), methods=["POST"]),
            Route("/veto", bounded(served.veto), methods=["POST"]),
            Route("/start", bounded(served.start), methods=["GET"]),
            Route("/notices", bounded(served.notices), methods=["GET"]),
            Route("/notices/{leaf}", bounded(served.notice), methods=["GET"]),
            Route("/notices/{leaf}/plan", bounded(served.plan), methods=["GET"]),
            Route(SEEN, bounded(served.button), methods=["GET"]),
            Route(SEEN, bounded(served.pressed), methods=["POST"]),
            Route("/attest", bounded(served.attest), methods=["POST"]),
        ]
    )


class _Served:
    def __init__(self, guard: Guard, pages: Pages, attest: Attest) -> None:
        self._guard, self._pages, self._attest = guard, pages, attest
        self._gathered = _Gathered(guard, [])
        self._sending: set[asyncio.Task[None]] = set()
        self._heads = asyncio.Semaphore(HEADS)

    async def add_checkpoint(self, request: Request) -> Answer:
        body = await _body(request, REQUEST)
        async with self._heads:
            return await run_in_threadpool(self._guard.witness.add_checkpoint, body)

    async def head(self, request: Request) -> Answer:
        if not (origin := self._guard.origin(request.path_params["log"])):
            return _NOT_FOUND
        note = self._guard.witness.checkpoint(origin)
        return Answer(200, note) if note else _NOT_FOUND

    async def mirrored(self, request: Request) -> Answer:
        if not (origin := self._guard.origin(request.path_params["log"])):
            return _NOT_FOUND
        note = self._guard.mirror.checkpoint(origin)
        return Answer(200, note) if note else _NOT_FOUND

    async def tile(self, request: Request) -> Answer:
        origin = self._guard.origin(request.path_params["log"])
        path = "tile/" + request.path_params["path"]
        data = await run_in_threadpool(self._guard.mirror.get, origin, path)
        return Answer(200, data, BINARY) if data is not None else _NOT_FOUND

    async def fresh(self, request: Request) -> Answer:
        return await self._gathered.ask(await _body(request, ASK))

    async def veto(self, request: Request) -> Answer:
        body = await _body(request, ENTRY)
        answer = await run_in_threadpool(self._guard.veto, body)
        if answer.status == 200:  # noqa: PLR2004
            task = asyncio.create_task(run_in_threadpool(self._forward))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)
        return answer

    def _forward(self) -> None:
        # At once, so that a veto need not wait for the next round of chores, which retries.
        with suppress(GuardUnavailable, Refused):
            self._guard.forward()

    async def start(self, request: Request) -> Answer:
        host, nonce = (request.query_params.get(name, "") for name in ("host", "nonce"))
        return await run_in_threadpool(self._guard.start.answer, host, nonce)

    async def notices(self, request: Request) -> Answer:
        del request
        return Answer(200, (await run_in_threadpool(self._pages.index)).encode())

    async def notice(self, request: Request) -> Answer:
        page = await run_in_threadpool(self._pages.page, request.path_params["leaf"])
        return Answer(200, page.encode()) if page is not None else _NOT_FOUND

    async def plan(self, request: Request) -> Answer:
        plan = await run_in_threadpool(self._pages.plan, request.path_params["leaf"])
        return Answer(200, plan, JSON) if plan is not None else _NOT_FOUND

    async def button(self, request: Request) -> Answer:
        return await self._seen(request, HTML, pressed=False)

    async def pressed(self, request: Request) -> Answer:
        return await self._seen(request, TEXT, pressed=True)

    async def _seen(self, request: Request, kind: str, *, pressed: bool) -> Answer:
        words = (request.path_params[name] for name in ("leaf", "person", "token"))
        ask = partial(self._pages.acknowledge, *words, pressed=pressed)
        page = await run_in_threadpool(ask)
        return Answer(200, page.encode(), kind) if page is not None else _NOT_FOUND

    async def attest(self, request: Request) -> Answer:
        return await run_in_threadpool(self._attest, await _body(request, ATTEST))


class _TooLargeError(Exception):
    """A body over its limit."""


async def _body(request: Request, limit: int) -> bytes:
    data = bytearray()
    async with asyncio.timeout(SENDING):
        async for part in request.stream():
            data += part
            if len(data) > limit:
                raise _TooLargeError(f"over {limit} bytes")
    return bytes(data)


def _response(answer: Answer, caching: str = "") -> Response:
    headers = {"content-type": answer.kind, "cache-control": caching or "no-store"}
    headers |= _BARE if answer.kind == HTML else {}
    return Response(answer.body, answer.status, headers)
