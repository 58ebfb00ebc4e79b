"""Fetch documents from a folder or over HTTP, with limits.

Rules:

1. A path is relative, has no `..` and no odd characters; it never leaves the place.
2. Nothing is read past the caller's limit; the answer's own length is not believed.
3. Each wait for the network has a limit, and so has the whole of a fetch.
4. A document that was fetched before is asked for with its ETag and kept if it has not changed
   (RFC 9110 section 13.1.2). The kept copy is trusted no more than a fresh one: callers check
   signature and date either way.

Left out: proxies and credentials beyond what httpx reads from the environment; retries (the caller
knows whether a missing source is worth waiting for).
"""

import hashlib
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import httpx

from answerable.feeds.documents.head import answered
from answerable.feeds.source import KIB, MIB, State, Unusable

PIECE = 256 * KIB
"""Bytes read at once."""
WAIT = 30.0
"""Longest wait for the next bytes, seconds."""
SLOWEST = 64 * KIB
"""A whole fetch may take `WAIT` plus its limit over this rate, bytes a second."""
_PATH = re.compile(r"(?!/)[A-Za-z0-9][A-Za-z0-9+._~^:@%=/-]{0,1023}")


def sane(path: str) -> bool:
    """Tell whether a path may be asked for."""
    parts = path.split("/")
    return bool(_PATH.fullmatch(path)) and not any(part in ("", ".", "..") for part in parts)


def _checked(path: str, place: str) -> str:
    if not sane(path):
        raise Unusable(State.MALFORMED, place, f"`{path[:80]!r}` is no path of a document")
    return path


def _whole(pieces: Iterator[bytes]) -> bytes:
    return b"".join(pieces)


class Folder:
    """A folder on this machine, such as a mirror that was carried over an air gap."""

    def __init__(self, root: Path) -> None:
        """Read below this folder."""
        self.root = root.resolve()
        self.place = str(root)

    def stream(self, path: str, limit: int) -> Iterator[bytes]:
        """Give a file in pieces.

        Raises:
            Unusable: `missing`, `malformed` path, or `oversized`.
        """
        file = (self.root / _checked(path, self.place)).resolve()
        source = f"{self.place}/{path}"
        if not file.is_relative_to(self.root) or not file.is_file():
            raise Unusable(State.MISSING, source, "no such file; check the mirror")
        left = limit
        try:
            with file.open("rb") as opened:
                while piece := opened.read(PIECE):
                    left -= len(piece)
                    if left < 0:
                        raise Unusable(State.OVERSIZED, source, f"more than {limit} bytes")
                    yield piece
        except OSError as error:
            raise Unusable(State.UNREACHABLE, source, f"{error.strerror}") from error

    def get(self, path: str, limit: int) -> bytes:
        """Give a whole file.

        Raises:
            Unusable: as `stream`.
        """
        return _whole(self.stream(path, limit))


class Http:
    """A base address, `http` or `https`.

    Args:
        base: such as `https://mirror.example/debian`; documents lie below it.
        client: made by the caller, who owns its certificates and its proxies.
        clock: monotonic seconds, for the limit of a whole fetch.
        kept: a folder for documents with an ETag; none is kept without it.
        accept: the media type that is asked for, if the server has several.
    """

    def __init__(
        self,
        base: str,
        client: httpx.Client,
        clock: Callable[[], float],
        kept: Path | None = None,
        accept: str = "*/*",
    ) -> None:
        """Fetch below this address."""
        assert base.startswith(("http://", "https://")), "an address starts with http or https"
        self.place = base.rstrip("/")
        self.client = client
        self.clock = clock
        self.kept = kept
        self.accept = accept

    def stream(self, path: str, limit: int) -> Iterator[bytes]:
        """Give a document in pieces.

        Raises:
            Unusable: `missing`, `unreachable`, `truncated`, `oversized` or `malformed` path.
        """
        yield from self._request(path, limit, {}, {})

    def get(self, path: str, limit: int) -> bytes:
        """Give a whole document, from the kept copy if the server says it is the same.

        Raises:
            Unusable: as `stream`.
        """
        copy, tag = self._copy(path)
        asked = {"if-none-match": tag} if tag else {}
        answer: dict[str, str] = {}
        data = _whole(self._request(path, limit, asked, answer))
        if answer.get("status") == "304":
            return copy
        self._keep(path, answer.get("etag", ""), data)
        return data

    def _request(
        self, path: str, limit: int, asked: dict[str, str], answer: dict[str, str]
    ) -> Iterator[bytes]:
        source = f"{self.place}/{_checked(path, self.place)}"
        url = f"{self.place}/{quote(path, safe='/+~:@=')}"
        headers = {"accept": self.accept, "accept-encoding": "identity", **asked}
        until = self.clock() + WAIT + limit / SLOWEST
        left = limit
        try:
            with answered(self.client, url, headers, WAIT) as response:
                answer.update(status=str(response.status_code), **_etag(response))
                if response.status_code == httpx.codes.NOT_MODIFIED and asked:
                    return
                _require_ok(response, source)
                for piece in response.iter_raw(PIECE):
                    left -= len(piece)
                    if left < 0:
                        raise Unusable(State.OVERSIZED, source, f"more than {limit} bytes")
                    if self.clock() > until:
                        raise Unusable(State.UNREACHABLE, source, "too slow; try another mirror")
                    yield piece
        except httpx.RemoteProtocolError as error:
            raise Unusable(State.TRUNCATED, source, f"{error}; fetch again") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unusable(State.UNREACHABLE, source, f"{error or type(error)}") from error

    def _place(self, path: str) -> Path | None:
        name = hashlib.sha256(f"{self.place}/{path}".encode()).hexdigest()
        return self.kept / name if self.kept else None

    def _copy(self, path: str) -> tuple[bytes, str]:
        place = self._place(path)
        try:
            tag, _, data = place.read_bytes().partition(b"\n") if place else (b"", b"", b"")
        except FileNotFoundError:
            return b"", ""
        return data, tag.decode("ascii", "replace")

    def _keep(self, path: str, tag: str, data: bytes) -> None:
        place = self._place(path)
        if place and tag and len(data) <= 16 * MIB:
            place.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = place.with_suffix(".new")
            fresh.write_bytes(tag.encode() + b"\n" + data)
            fresh.replace(place)


def _etag(response: httpx.Response) -> dict[str, str]:
    tag = response.headers.get("etag", "")
    return {"etag": tag} if tag.isascii() and tag.isprintable() and len(tag) < KIB else {}


def _require_ok(response: httpx.Response, source: str) -> None:
    code = response.status_code
    if code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise Unusable(State.MISSING, source, "no such document; check address and suite")
    if code != httpx.codes.OK:
        raise Unusable(State.UNREACHABLE, source, f"the server answered {code}")
