"""XML from elsewhere, read by expat in a stream: a document may be of any size, an element may not.

Rules: a document type (and with it every entity and every external file) makes a document
`malformed` before anything of it is used, so no entity is ever defined or expanded (billion laughs,
external entities: W3C XML 1.0 section 4). The encoding is UTF-8, whatever is declared. Elements are
at most `DEPTH` deep, a tag at most `TOKEN` long, and of a text `CHARACTERS` are kept.

Left out: namespaces (a name keeps its prefix), comments, processing instructions.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Final, NoReturn
from xml.parsers import expat

from answerable.feeds.documents.unpacked import WHOLE, stream
from answerable.feeds.source import KIB, MIB, State, Unusable

DEPTH: Final = 12
"""Deepest element."""
CHARACTERS: Final = 64 * KIB
"""Longest text of an element that is kept, characters; the rest is left out."""
TOKEN: Final = 16 * MIB
"""Longest tag with its attributes, bytes: expat holds it in memory."""
_UNFINISHED = frozenset({3, 5, 6, 20})
"""Errors of expat at the end that mean that something more was to come: an unclosed tag, .."""
Attributes = dict[str, str]


class Elements:
    """What a reader of one kind of document takes of it; a `ValueError` makes it malformed.

    Args:
        root: the name of its first element.
    """

    def __init__(self, root: str) -> None:
        self.root, self.path = root, list[str]()

    def begin(self, name: str, attributes: Attributes) -> None:
        """Keep the path of open elements."""
        self.path.append(name)
        if len(self.path) > DEPTH:
            raise ValueError(f"elements deeper than {DEPTH}")
        if self.path[0] != self.root:
            raise ValueError(f"`{name[:40]}` is not `{self.root}`")
        self.opened(name, attributes)

    def end(self, name: str, text: str) -> None:
        """Close an element."""
        self.path.pop()
        self.closed(name, text)

    def opened(self, name: str, attributes: Attributes) -> None:
        """Take what an element says of itself."""

    def closed(self, name: str, text: str) -> None:
        """Take the text of an element."""


def parsed(file: Path, source: str, reader: Elements, limit: int = WHOLE) -> Iterator[None]:
    """Feed a document piece by piece; stop after each, so that the caller takes what is done.

    Args:
        file: where it lies, packed or not (unpacked.py).
        source: its address, for messages.
        limit: most bytes that it may unpack to.

    Raises:
        Unusable: as `unpacked.stream`.
    """
    parser, texts, fed, last = expat.ParserCreate("utf-8"), [""], 0, False

    def opened(name: str, attributes: Attributes) -> None:
        texts.append("")
        reader.begin(name, attributes)

    def closed(name: str) -> None:
        reader.end(name, texts.pop())

    def said(text: str) -> None:
        texts[-1] += text[: max(0, CHARACTERS - len(texts[-1]))]

    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    parser.CharacterDataHandler = said
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _forbidden
    parser.ExternalEntityRefHandler = _forbidden
    parser.buffer_text = True
    try:
        for piece in stream(file, source):
            fed += len(piece)
            if fed > limit:
                raise Unusable(State.OVERSIZED, source, f"more than {limit} bytes unpacked")
            parser.Parse(piece, False)  # noqa: FBT003  positional only
            if fed - parser.CurrentByteIndex > TOKEN:
                raise Unusable(State.OVERSIZED, source, f"a tag above {TOKEN} bytes")
            yield
        last = True
        parser.Parse(b"", True)  # noqa: FBT003  positional only
        yield
    except expat.ExpatError as error:
        cut = last and error.code in _UNFINISHED
        state = State.TRUNCATED if cut else State.MALFORMED
        raise Unusable(state, source, f"no XML: {error}; fetch again") from error
    except (ValueError, KeyError, TypeError) as error:
        raise Unusable(State.MALFORMED, source, f"{error!r:.200}") from error


def _forbidden(*_: object) -> NoReturn:
    raise ValueError("a document type or an entity in it")
