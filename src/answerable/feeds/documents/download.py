"""Bring one document into a file: from a folder, or over HTTP, going on where it broke off.

Rules:

1. A path stays below its place, as in fetch.py; over HTTP it may ask a query of plain words.
2. Nothing is written past the caller's limit; neither the announced length nor the range that the
   server says it sends is believed (endless data, RFC 9110 section 14.4).
3. A whole fetch may take `WAIT` plus what it brought over `SLOWEST`: a server that drips is given
   up. Each wait has a limit of its own.
4. What arrived of a document that broke off stays, with the validator of its edition beside it, and
   the server is asked for the rest of that very edition (`If-Range`, section 13.1.5); another
   edition comes whole.
5. A redirection leads from `https` to `https` only, at most `REDIRECTS` times, and to no other host
   than those that were configured (`also`).

Left out: credentials, and waiting before another try: whoever syncs knows when to come back.
"""

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate, parsedate_to_datetime
from pathlib import Path
from typing import IO, Protocol
from urllib.parse import quote

import httpx

from answerable.feeds.documents.fetch import WAIT, Folder, sane
from answerable.feeds.documents.head import answered
from answerable.feeds.source import KIB, State, Unusable

SLOWEST = 16 * KIB
"""Bytes a second below which a fetch is given up."""
TRIES = 3
"""Times that a broken fetch goes on by itself, as long as something arrives."""
REDIRECTS = 5
"""Most redirections of one request."""
_QUERY = re.compile(r"[A-Za-z0-9=&.:_%-]{1,512}")
_RANGE = re.compile(r"bytes (\d{1,15})-(\d{1,15})/(\d{1,15}|\*)")

Told = Callable[[int, int], None]
"""Is told how many bytes have arrived, and of how many (0: nobody knows)."""


@dataclass(frozen=True, slots=True)
class Edition:
    """By what a server tells one edition of a document from another (RFC 9110 section 8.8).

    Args:
        etag: its entity tag; empty if there is none.
        modified: its `Last-Modified`, POSIX seconds; 0 if there is none.
    """

    etag: str = ""
    modified: int = 0


class Place(Protocol):
    """Where a publication lies."""

    @property
    def place(self) -> str:
        """The address, for messages."""

    def fetch(
        self, path: str, into: Path, limit: int, known: Edition, told: Told
    ) -> Edition | None:
        """Bring a document.

        Args:
            path: its name there.
            into: the file to write; what an earlier try left in it is gone on with.
            limit: most bytes.
            known: the edition that we have; empty if none.

        Returns: which edition came; nothing if it is the one that is known.

        Raises:
            Unusable: `missing`, `unreachable`, `truncated`, `oversized`, or `malformed` path.
        """


def _ignore(done: int, total: int) -> None:
    """Tell nobody."""


class Local:
    """A folder, such as what was carried over an air gap."""

    def __init__(self, root: Path) -> None:
        """Read below this folder."""
        self.folder = Folder(root)
        self.place = str(root)

    def fetch(
        self, path: str, into: Path, limit: int, known: Edition, told: Told = _ignore
    ) -> Edition:
        """Copy a file; see the port."""
        del known  # whether it is the same is told by its hash
        done = 0
        with into.open("wb") as file:
            for piece in self.folder.stream(path, limit):
                done += file.write(piece)
                told(done, 0)
        return Edition()


class Remote:
    """A base address, `http` or `https`.

    Args:
        base: such as `https://osv-vulnerabilities.storage.googleapis.com`.
        client: made by the caller, who owns its certificates and its proxies.
        clock: monotonic seconds.
        also: other hosts that the server may lead to.
    """

    def __init__(
        self,
        base: str,
        client: httpx.Client,
        clock: Callable[[], float],
        also: frozenset[str] = frozenset(),
    ) -> None:
        """Fetch below this address."""
        assert base.startswith(("http://", "https://")), "an address starts with http or https"
        self.place = base.rstrip("/")
        self.client = client
        self.clock = clock
        self.hosts = also | {httpx.URL(base).host}

    def fetch(
        self, path: str, into: Path, limit: int, known: Edition, told: Told = _ignore
    ) -> Edition | None:
        """Fetch a document; see the port."""
        source, url = f"{self.place}/{path}", self._url(path)
        for attempt in range(TRIES):
            before = _arrived(into)
            try:
                return self._once(url, source, into, limit, known, told)
            except Unusable as failure:
                moved = _arrived(into) != before
                if failure.state is not State.TRUNCATED or not moved or attempt + 1 == TRIES:
                    raise
        raise AssertionError("the last try returns or raises")

    def _url(self, path: str) -> str:
        plain, asks, query = path.partition("?")
        if not sane(plain) or (asks and not _QUERY.fullmatch(query)):
            raise Unusable(State.MALFORMED, self.place, f"`{path[:80]!r}` is no path of a document")
        return f"{self.place}/{quote(plain, safe='/+~:@=')}{asks}{query}"

    def _once(
        self, url: str, source: str, into: Path, limit: int, known: Edition, told: Told
    ) -> Edition | None:
        begun, partial = self.clock(), _partial(into)
        have = _arrived(into) if partial else 0
        headers = {"accept-encoding": "identity", **_asked(have, partial, known)}
        with _mapped(source), self._answer(url, headers, source) as response:
            if response.status_code == httpx.codes.NOT_MODIFIED and not have and known != Edition():
                return None
            at, total = _place_of(response, have, source, into)
            if total > limit:
                raise Unusable(State.OVERSIZED, source, f"{total} bytes are announced")
            edition = _edition(response)
            _beside(into).write_text(json.dumps([edition.etag, edition.modified]))
            with into.open("ab" if at else "wb") as file:
                for done in _written(response, file, at, limit, source):
                    told(done, total)
                    if self.clock() > begun + WAIT + (done - at) / SLOWEST:
                        raise Unusable(State.UNREACHABLE, source, "too slow; try another mirror")
        if total and _arrived(into) != total:
            raise Unusable(State.TRUNCATED, source, f"{_arrived(into)} of {total} bytes")
        _beside(into).unlink(missing_ok=True)
        return edition

    @contextmanager
    def _answer(self, url: str, headers: dict[str, str], source: str) -> Iterator[httpx.Response]:
        for _ in range(REDIRECTS + 1):
            with answered(self.client, url, headers, WAIT) as response:
                if not response.has_redirect_location:
                    yield response
                    return
                url = self._led(response, source)
        raise Unusable(State.UNREACHABLE, source, f"more than {REDIRECTS} redirections")

    def _led(self, response: httpx.Response, source: str) -> str:
        to = response.url.join(response.headers["location"])
        secure = to.scheme == "https" or (to.scheme, response.url.scheme) == ("http", "http")
        if not secure or to.host not in self.hosts or to.userinfo:
            detail = f"it leads to `{to.scheme}://{to.host}`, which is not configured"
            raise Unusable(State.UNREACHABLE, source, detail)
        return str(to)


@contextmanager
def _mapped(source: str) -> Iterator[None]:
    try:
        yield
    except (httpx.RemoteProtocolError, httpx.ReadError) as error:
        raise Unusable(State.TRUNCATED, source, f"{error or 'cut off'}; fetch again") from error
    except (httpx.HTTPError, httpx.InvalidURL, ValueError) as error:
        raise Unusable(State.UNREACHABLE, source, f"{error or type(error)}") from error


def _asked(have: int, partial: Edition | None, known: Edition) -> dict[str, str]:
    """Ask for the rest of an edition, or for another than the one that is known."""
    if have and partial:
        return {"range": f"bytes={have}-", "if-range": partial.etag or _date(partial.modified)}
    if known.etag:
        return {"if-none-match": known.etag}
    return {"if-modified-since": _date(known.modified)} if known.modified else {}


def _place_of(response: httpx.Response, have: int, source: str, into: Path) -> tuple[int, int]:
    """From which byte on the answer is, and how many the document has (0: nobody knows)."""
    code = response.status_code
    if code == httpx.codes.OK:
        length = response.headers.get("content-length", "")
        return 0, int(length) if length.isdecimal() and len(length) < len(str(1 << 50)) else 0
    if code == httpx.codes.PARTIAL_CONTENT and have:
        told = _RANGE.fullmatch(response.headers.get("content-range", ""))
        if told and int(told[1]) == have:
            return have, int(told[3]) if told[3] != "*" else 0
    if code in (httpx.codes.REQUESTED_RANGE_NOT_SATISFIABLE, httpx.codes.PARTIAL_CONTENT):
        forget(into)  # what is here is of no edition that the server knows: begin anew
        raise Unusable(State.TRUNCATED, source, "the server sends no such rest; fetch again")
    if code in (httpx.codes.NOT_FOUND, httpx.codes.GONE):
        raise Unusable(State.MISSING, source, "no such document; check the address")
    raise Unusable(State.UNREACHABLE, source, f"the server answered {code}")


def _written(
    response: httpx.Response, file: IO[bytes], done: int, limit: int, source: str
) -> Iterator[int]:
    for piece in response.iter_raw():  # as it comes: what waits for more is lost in a cut
        if done + len(piece) > limit:
            raise Unusable(State.OVERSIZED, source, f"more than {limit} bytes")
        done += file.write(piece)
        yield done


def _edition(response: httpx.Response) -> Edition:
    tag = response.headers.get("etag", "")
    sound = tag.isascii() and tag.isprintable() and len(tag) < KIB
    try:
        then = parsedate_to_datetime(response.headers.get("last-modified", ""))
        modified = max(0, int(then.timestamp()))
    except (ValueError, OverflowError):
        modified = 0
    return Edition(tag if sound else "", modified)


def _date(then: int) -> str:
    return formatdate(then, usegmt=True)


def _beside(into: Path) -> Path:
    return into.with_name(f"{into.name}.edition")


def _partial(into: Path) -> Edition | None:
    """The edition of what arrived before, if the rest of that very one can be asked for."""
    try:
        etag, modified = json.loads(_beside(into).read_bytes())
        found = Edition(str(etag), int(modified))
    except (OSError, ValueError, TypeError):
        return None
    strong = found.etag and not found.etag.startswith("W/")
    return found if strong or (found.modified and not found.etag) else None


def _arrived(into: Path) -> int:
    try:
        return into.stat().st_size
    except FileNotFoundError:
        return 0


def forget(into: Path) -> None:
    """Throw away what arrived of a document."""
    into.unlink(missing_ok=True)
    _beside(into).unlink(missing_ok=True)
