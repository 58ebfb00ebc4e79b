"""The JSON values of a document, one at a time, however large it is.

    cursor = Cursor(stream(file, source), source)
    for key in cursor.entries():            # {
        if key == "vulnerabilities":
            for _ in cursor.items():        #   [
                record = cursor.value()     #     a whole value, in memory
        else:
            head[key] = cursor.value()

Rules: RFC 8259, UTF-8 (a byte order mark is passed over); no NaN, no Infinity. A value that is
taken whole has at most `limit` characters. What ends before it is complete is `truncated`; what
could not go on in any way is `malformed`. Whoever is given a key or an item takes its value before
the next.

Left out: duplicate keys (the last one counts, as in Python's own reader).
"""

import codecs
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from answerable.feeds.documents import unpacked
from answerable.feeds.publication import RECORD
from answerable.feeds.source import State, Unusable

_SPACE = re.compile(r"[ \t\n\r]*")
_CUT = re.compile(r"(?:[\\u0-9a-fA-F.+-]{0,8}|t(?:r|ru)?|f(?:a|al|als)?|n(?:u|ul)?)[ \t\n\r]*")
"""What a cut can leave of a number, an escape or a literal."""


def _never(name: str) -> NoReturn:
    raise ValueError(f"`{name}` is no JSON")


_DECODER = json.JSONDecoder(parse_constant=_never, parse_float=str)
"""Numbers with a point stay as their publisher wrote them."""


class Cursor:
    """A place in a JSON text that only moves on.

    Args:
        pieces: of the text, bytes.
        source: its address, for messages.
        limit: longest value that is taken whole, characters.
    """

    def __init__(self, pieces: Iterator[bytes], source: str, limit: int = RECORD) -> None:
        """Stand before the first value."""
        self._pieces = pieces
        self._decoder = codecs.getincrementaldecoder("utf-8-sig")()
        self._text, self._at, self._ended = "", 0, False
        self._source, self._limit = source, limit

    def peek(self) -> str:
        """Give the next character that is no space; empty at the end."""
        while True:
            self._at = _SPACE.match(self._text, self._at).end()  # type: ignore[union-attr]
            if self._at < len(self._text) or not self._more():
                return self._text[self._at : self._at + 1]

    def value(self) -> Any:  # noqa: ANN401  any JSON value
        """Take a whole value.

        Raises:
            Unusable: `truncated`, `malformed` or `oversized`.
        """
        self.peek()
        while True:
            try:
                value, end = _DECODER.raw_decode(self._text, self._at)
            except json.JSONDecodeError as error:
                if not self._more():
                    self._fail(error)
                continue
            except (ValueError, RecursionError) as error:
                raise self._malformed(f"{error!r:.120}") from error
            if end < len(self._text) or not self._more():  # a number might go on
                self._at = end
                return value

    def entries(self) -> Iterator[str]:
        """Give the keys of an object; each one's value is taken by the caller.

        Raises:
            Unusable: `truncated` or `malformed`.
        """
        self._take("{")
        if self.peek() == "}":
            self._at += 1
            return
        while True:
            key = self.value()
            if not isinstance(key, str):
                raise self._malformed("a key is no text")
            self._take(":")
            yield key
            if self._take(",}") == "}":
                return

    def items(self) -> Iterator[None]:
        """Stop before each item of an array, which the caller takes.

        Raises:
            Unusable: `truncated` or `malformed`.
        """
        self._take("[")
        if self.peek() == "]":
            self._at += 1
            return
        while True:
            yield
            if self._take(",]") == "]":
                return

    def end(self) -> None:
        """Demand that nothing follows.

        Raises:
            Unusable: `malformed`.
        """
        if self.peek():
            raise self._malformed("something follows its end")

    def _take(self, allowed: str) -> str:
        found = self.peek()
        if not found:
            raise Unusable(State.TRUNCATED, self._source, "it ends in the middle; fetch again")
        if found not in allowed:
            raise self._malformed(f"`{found!r}` where `{allowed}` is expected")
        self._at += 1
        return found

    def _more(self) -> bool:
        """Read on; at least twice as far as before, so that a long value is tried few times."""
        if self._ended:
            return False
        rest = self._text[self._at :]
        if len(rest) > self._limit:
            raise Unusable(State.OVERSIZED, self._source, f"a value above {self._limit} characters")
        parts, wanted = [rest], max(len(rest), 1)
        try:
            while wanted > 0 and not self._ended:
                piece = next(self._pieces, b"")
                self._ended = not piece
                parts.append(self._decoder.decode(piece, final=self._ended))
                wanted -= len(parts[-1])
        except UnicodeDecodeError as error:
            state = State.TRUNCATED if self._ended else State.MALFORMED
            raise Unusable(state, self._source, f"no UTF-8: {error.reason}") from error
        if not any(parts[1:]):
            return False
        self._text, self._at = "".join(parts), 0
        return True

    def _fail(self, error: json.JSONDecodeError) -> NoReturn:
        cut = error.msg.startswith("Unterminated string") or _CUT.fullmatch(self._text, error.pos)
        if cut:
            raise Unusable(
                State.TRUNCATED, self._source, "it ends in the middle; fetch again"
            ) from error
        raise self._malformed(error.msg) from error

    def _malformed(self, detail: str) -> Unusable:
        return Unusable(State.MALFORMED, self._source, f"no JSON: {detail}")


def values(file: Path, source: str, limit: int = RECORD) -> Iterator[Any]:
    """Give each JSON value of a document: of one a line, of one value, or of an archive's `.json`.

    Args:
        limit: longest value, characters.

    Raises:
        Unusable: possibly after some values.
    """
    for _, value in named(file, source, limit):
        yield value


def named(file: Path, source: str, limit: int = RECORD) -> Iterator[tuple[str, Any]]:
    """Give each value with the name of its member; empty outside archives.

    Raises:
        Unusable: possibly after some values.
    """
    found = unpacked.members(file, source, limit)
    if found is None:
        cursor = Cursor(unpacked.stream(file, source), source, limit)
        while cursor.peek():
            yield "", cursor.value()
        return
    for name, data in found:
        if name.endswith(".json"):
            cursor = Cursor(iter((data,)), f"{source}#{name[:120]}", limit)
            value = cursor.value()
            cursor.end()
            yield name, value
