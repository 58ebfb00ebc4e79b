"""What packages ship, by their SHA-256: fetched by the observer itself, read once, kept as a table.

    <folder>/<sha256>.json
    {"conffiles":["etc/x.conf"],"files":{"usr/bin/x":"<sha256>",..},"named":null,
     "private":[],"spare":[]}

Rules: the hash stands in an order that was noticed, so it does not matter who serves the bytes;
those of another hash are nobody's. A table is written whole once its package was read to the end;
one that is damaged is made anew. A package that nobody gives, or that cannot be read, is
`CannotRead`, never an empty table: nothing was compared then.

Left out: asking a package index by name.
"""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from threading import Lock
from typing import BinaryIO

import httpx

from answerable.kernel.canon import Json, conforms, decode, encode
from answerable.kernel.errors import Refused
from answerable.observe.files import Shipped
from answerable.observe.memory import write
from answerable.observe.shipped import PACKAGE, CannotRead, read

TABLE = 64 << 20
"""Largest table that is read, bytes."""
SECONDS = 120.0
"""How long one package may take to come, seconds."""
KEPT = 5_000
"""Most tables that are kept; the oldest go first."""
_LISTS = ("conffiles", "private", "spare")
_SHAPE = {"conffiles": ["text"], "files": "any", "named": "any", "private": ["text"],
          "spare": ["text"]}  # fmt: skip
_PLAIN = {"accept-encoding": "identity"}


class Artefacts:
    """Tables of packages.

    Args:
        folder: where they are kept.
        urls: `<url>/<sha256>` is asked for a package, in this order.
        clock: seconds that never go back.
    """

    def __init__(
        self, folder: Path, client: httpx.Client, urls: Sequence[str], clock: Callable[[], float]
    ) -> None:
        self._folder, self._client, self._clock = folder, client, clock
        self._urls = [url.rstrip("/") for url in urls]
        self._writing = Lock()

    def shipped(self, wanted: Mapping[str, str]) -> dict[str, Shipped]:
        """Give what packages ship; `wanted` is name -> SHA-256 in hex.

        Raises:
            CannotRead: if one cannot be had or read.
        """
        return {name: self._one(digest) for name, digest in wanted.items()}

    def _one(self, digest: str) -> Shipped:
        place = self._folder / f"{digest}.json"
        if (kept := _read(place)) is not None:
            return kept
        made = self._fetch(digest)
        table: Json = {name: sorted(getattr(made, name)) for name in _LISTS}
        named = None if made.named is None else sorted(made.named)
        table |= {"files": dict(made.files), "named": named}
        # Hosts of one ring, looked at side by side, have the same package.
        with self._writing:
            write(place, encode(table).encode())
        for old in sorted(self._folder.glob("*.json"), key=_age)[:-KEPT]:
            old.unlink(missing_ok=True)
        return made

    def _fetch(self, digest: str) -> Shipped:
        why = "nobody to ask"
        for url in self._urls:
            with tempfile.TemporaryFile() as copy:
                try:
                    same = self._copy(f"{url}/{digest}", copy) == digest
                except (httpx.HTTPError, httpx.InvalidURL) as error:
                    why = f"`{url}` does not give it: {type(error).__name__}"
                    continue
                if same:
                    copy.seek(0)
                    return read(copy)
                why = f"`{url}` gives other bytes, or too slowly"
        raise CannotRead(f"the package `{digest}` cannot be had; {why}")

    def _copy(self, url: str, copy: BinaryIO) -> str:
        """Fetch into a file; give the SHA-256 of what came within the limits."""
        seen, size, end = sha256(), 0, self._clock() + SECONDS
        with self._client.stream("GET", url, headers=_PLAIN) as answer:
            answer.raise_for_status()
            for piece in answer.iter_raw():
                size += len(piece)
                if size > PACKAGE or self._clock() > end:
                    return ""
                seen.update(piece)
                copy.write(piece)
        return seen.hexdigest()


def _read(place: Path) -> Shipped | None:
    """Give a table that was kept; None if there is none, or a damaged one."""
    try:
        with place.open("rb") as file:
            found = decode(file.read(TABLE + 1), TABLE)
    except (OSError, Refused):
        return None
    if not conforms(found, _SHAPE) or not isinstance(found["files"], dict):
        return None
    if found["named"] is not None and not conforms(found["named"], ["text"]):
        return None
    named = None if found["named"] is None else frozenset(found["named"])
    return Shipped(found["files"], **{name: frozenset(found[name]) for name in _LISTS}, named=named)


def _age(place: Path) -> float:
    try:
        return place.stat().st_mtime
    except OSError:
        return 0.0
