"""What hosts tell of themselves: verified, kept as they posted it, and given to the fleet's store.

    POST <control>/inventory             {"note":"..","packages":".."} (inventory/signed.py)
    <directory>/inventory/<host>.json    what a host last told, as it posted it

Believed is the key of the host's enrolment record and nothing of the connection. Answers: 200; 403
with a reason word, `unknown_subject` if the whole list is wanted; 408, 413, 503. What is posted is
read up to a size and time, a few at once, so that nobody holds up the server.
"""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from threading import Lock

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from answerable.bootstrap.follow import read_hosts
from answerable.config import read_bytes, write_private
from answerable.inventory.installed import Inventory
from answerable.inventory.signed import SIZE, Told, host_of, open_inventory
from answerable.kernel.canon import encode
from answerable.kernel.errors import Refused, Unavailable, demand
from answerable.kernel.verify import Enrolled
from answerable.ledger.enrolments import host_key

SECONDS = 30
"""Longest that posting one inventory may take."""
AT_ONCE = 8
"""Inventories that are read at the same time."""


class Inbox:
    """What hosts told of themselves."""

    def __init__(self, directory: Path, fleet: str) -> None:
        """Take a control plane's directory and its fleet's id."""
        self._directory, self._fleet = directory, fleet
        self._lock, self._read = Lock(), 0.0
        self._records: dict[str, Enrolled] = {}

    def take(self, data: bytes, now: int) -> tuple[Inventory, int]:
        """Verify and keep what a host posted; give it, and when it was so, POSIX seconds.

        Raises:
            Refused: `not_enrolled`, or as `signed.open_inventory`.
            Unavailable: it cannot be kept.
        """
        name = host_of(data)
        with self._lock:
            enrolled = self._enrolled(name)
            demand(enrolled, "not_enrolled", f"`{name}` has no record in hosts.json")
            assert enrolled, "just demanded"
            told = open_inventory(data, host_key(enrolled), self._fleet, self._known(name), now)
            kept = encode({"note": json.loads(data)["note"], "packages": told.listed})
            write_private(self._place(name), kept.encode())
        return _inventory(enrolled, told), min(told.time, now)

    def told(self, name: str, now: int) -> tuple[Inventory, int] | None:
        """Give what a host told last, and when it was so; nothing if it told nothing that holds."""
        place, enrolled = self._place(name), self._enrolled(name)
        if not enrolled or not place.exists():
            return None
        try:
            told = open_inventory(
                read_bytes(place, SIZE), host_key(enrolled), self._fleet, ("", 0), now
            )
        except Refused:  # told with the key of an older enrolment
            return None
        return _inventory(enrolled, told), min(told.time, now)

    def _place(self, name: str) -> Path:
        return self._directory / "inventory" / f"{name}.json"

    def _known(self, name: str) -> tuple[str, int]:
        place = self._place(name)
        if not place.exists():
            return "", 0
        kept = json.loads(read_bytes(place, SIZE))
        return kept["packages"], int(json.loads(kept["note"].partition("\n")[0])["time"])

    def _enrolled(self, name: str) -> Enrolled | None:
        file = self._directory / "hosts.json"
        if file.exists() and file.stat().st_mtime != self._read:
            self._read = file.stat().st_mtime
            self._records = {str(e.body["host"]): e for e in read_hosts(file)}
        return self._records.get(name)


def _inventory(enrolled: Enrolled, told: Told) -> Inventory:
    body = enrolled.body
    return Inventory(told.host, body["instance"], frozenset(body["zones"]), told.packages)


def inbox_route(
    inbox: Inbox, record: Callable[[Inventory, int], object], clock: Callable[[], int]
) -> Route:
    """Give the route that hosts post to; `record` takes each inventory and when it was so."""
    room = asyncio.Semaphore(AT_ONCE)

    def take(data: bytes) -> Response:
        try:
            inventory, seen = inbox.take(data, clock())
            record(inventory, seen)
        except Refused as refused:
            return _no(403, refused.reason, refused.detail)
        except Unavailable as error:
            return _no(503, "unavailable", str(error))
        return JSONResponse({"host": inventory.host, "packages": len(inventory.packages)})

    async def post(request: Request) -> Response:
        data = bytearray()
        async with room:
            try:
                async with asyncio.timeout(SECONDS):
                    async for part in request.stream():
                        data += part
                        if len(data) > SIZE:
                            return _no(413, "too_large", f"more than {SIZE} bytes")
            except (TimeoutError, ClientDisconnect):
                return _no(408, "unavailable", f"not told within {SECONDS} seconds")
            return await run_in_threadpool(take, bytes(data))

    return Route("/inventory", post, methods=["POST"])


def _no(status: int, reason: str, detail: str) -> Response:
    return JSONResponse({"reason": reason, "detail": detail}, status)
