"""A log over HTTP: C2SP tlog-tiles entry bundles, and `POST <prefix>/add`.

A bundle holds 256 records, each `u16 length || record`; the last one of a tree is partial,
`tile/entries/<N>.p/<W>`, and may be gone once the full one exists, which is then asked for. What
comes back is only taken apart here: whoever asked recomputes the root.
"""

import json
from dataclasses import dataclass
from struct import pack

import httpx

from answerable.witness.log import STEP, STEP_BYTES
from answerable.witness.tiles import SPAN, split_bundle, tile_path
from answerable.witness.wire import GuardUnavailable

BUNDLE = SPAN * (65_535 + 2)
"""Largest entry bundle, bytes."""
REPLY = 65_536
"""Largest answer to `add` that is read, bytes."""
_PLAIN = {"accept-encoding": "identity"}
BEHIND = "the guard is too far behind: restore its database, or raise the limit"


@dataclass(frozen=True)
class HttpLog:
    """`prefix` is the log's URL with `/authority` or `/report`, without a final slash."""

    client: httpx.Client
    prefix: str

    def entries(self, start: int, end: int, size: int) -> list[bytes]:
        """See `Log.entries`."""
        if end - start > STEP:
            raise GuardUnavailable(f"{end - start} new records in `{self.prefix}`: {BEHIND}")
        found: list[bytes] = []
        total = 0
        for number in range(start // SPAN, (end + SPAN - 1) // SPAN):
            bundle = self._bundle(number, min(SPAN, size - number * SPAN))
            first = number * SPAN
            found += bundle[max(start - first, 0) : end - first]
            total += sum(map(len, bundle))
            if total > STEP_BYTES:
                raise GuardUnavailable(f"over {STEP_BYTES} bytes in `{self.prefix}`: {BEHIND}")
        if len(found) != end - start:
            raise GuardUnavailable(f"`{self.prefix}` gives {len(found)} of {end - start} records")
        return found

    def _bundle(self, number: int, width: int) -> list[bytes]:
        data = None
        if width < SPAN:
            data = self._get(tile_path("entries", number, width))
        if data is None:
            data = self._get(tile_path("entries", number, SPAN))
        entries = split_bundle(data) if data is not None else None
        if entries is None:
            raise GuardUnavailable(f"`{self.prefix}` gives no bundle {number}: retry later")
        return entries

    def _get(self, path: str) -> bytes | None:
        status, data = self._read("GET", path, None, BUNDLE)
        return data if status == httpx.codes.OK else None

    def add(self, entry: bytes) -> str:
        """See `Log.add`."""
        status, data = self._read("POST", "add", pack(">I", len(entry)) + entry, REPLY)
        if status == httpx.codes.OK:
            return ""
        if status == httpx.codes.FORBIDDEN:
            try:
                return str(json.loads(data)["reason"])[:64] or "refused"
            except (ValueError, KeyError, TypeError, RecursionError):
                return "refused"
        raise GuardUnavailable(f"`{self.prefix}/add` answers {status}: retry later")

    def _read(self, method: str, path: str, body: bytes | None, limit: int) -> tuple[int, bytes]:
        data = bytearray()
        url = f"{self.prefix}/{path}"
        try:
            with self.client.stream(method, url, content=body, headers=_PLAIN) as response:
                # Raw: a small answer that unpacks to a large one is none.
                for part in response.iter_raw():
                    data += part
                    if len(data) > limit:
                        raise GuardUnavailable(f"`{url}` sends over {limit} bytes")
                return response.status_code, bytes(data)
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise GuardUnavailable(f"cannot reach `{url}`: {type(error).__name__}") from error
