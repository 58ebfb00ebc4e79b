"""The publication `updateinfo/..`: the advisories in an RPM repository's own metadata.

    <repository>/repodata/repomd.xml                       names the next, with its SHA-256
    <repository>/repodata/<sha256>-updateinfo.xml.gz       also .xz, .bz2, .zst

    <updates><update from=".." status="final" type="security" version="1">
      <id>RLSA-2024:1234</id><title>..</title><severity>Important</severity>
      <issued date="2024-03-05 00:00:00"/><updated date="2024-03-06 00:00:00"/>
      <references><reference href=".." id="CVE-2024-1" type="cve" title=".."/></references>
      <pkglist><collection short=".."><name>..</name>
        <package name="curl" epoch="0" version="7.76.1" release="29.el9" arch="x86_64"
                 src="curl-7.76.1-29.el9.src.rpm"><filename>..</filename></package>
      </collection></pkglist></update></updates>

Rules:

1. XML is read by expat in a stream. A document type (and with it every entity and every external
   file) makes it `malformed` before anything of it is used: no entity is ever defined or expanded.
   The encoding is UTF-8, whatever is declared.
2. An update is an advisory if its type is `security` or it names a flaw; flaws are the CVE names in
   its references' `id` and `title`. Updates of other types are passed over.
3. A package gives a range that ends with its version, `[epoch:]version-release` without an epoch of
   0; architectures are one, and source packages keep their level.
4. The bytes are those whose SHA-256 the repository's index names.

Left out: the index's GPG signature (`repomd.xml.asc`), modules, `reboot_suggested`.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NoReturn
from xml.parsers import expat

from answerable.feeds.documents.fetch import sane
from answerable.feeds.documents.unpacked import stream
from answerable.feeds.publication import (
    LINE,
    TEXT,
    Listed,
    Listing,
    Reading,
    is_cve,
    plain,
    rated,
    time_of,
    well_formed,
    word,
)
from answerable.feeds.rows import Claim, Level, Range, Row
from answerable.feeds.source import KIB, MIB, State, Unusable

REPOMD: Final = "repodata/repomd.xml"
DEPTH: Final = 12
"""Deepest element."""
CHARACTERS: Final = 64 * KIB
"""Longest text of an element that is kept, characters; the rest is left out."""
PACKAGES: Final = 100_000
"""Most packages of one update."""
TOKEN: Final = 16 * MIB
"""Longest tag with its attributes, bytes: expat holds it in memory."""
_UNFINISHED = frozenset({3, 5, 6, 20})
"""Errors of expat at the end that mean that something more was to come: an unclosed tag, .."""
_CVE = re.compile(r"CVE-\d{4}-\d{4,7}")
_TEXTS = frozenset({"id", "title", "severity", "description"})
Attributes = dict[str, str]


@dataclass
class Update:
    """One update while it is read."""

    kind: str = ""
    texts: dict[str, str] = field(default_factory=dict)
    dates: dict[str, str] = field(default_factory=dict)
    cves: set[str] = field(default_factory=set)
    packages: dict[tuple[str, Level, str], None] = field(default_factory=dict)


@dataclass(frozen=True)
class Updateinfo:
    """The adapter.

    Args:
        channel: such as `updateinfo/rocky`.
        ecosystem: the release that the repository is of, such as `rocky:9`.
        files: the documents' names, if they are not taken from the repository's index.
        index: the repository's index; empty if `files` is given.
    """

    channel: str
    ecosystem: str
    files: tuple[str, ...] = ()
    index: str = REPOMD
    limit: int = 512 * MIB

    def listing(self, index: Path | None, source: str) -> Listing:
        """Name the repository's updateinfo.

        Raises:
            Unusable: `missing` if the repository has none, `malformed` or `truncated`.
        """
        if index is None:
            return Listing(tuple(map(Listed, self.files)))
        wanted = _Index()
        for _ in _parsed(index, source, wanted.begin, wanted.end):
            pass
        with well_formed(source, "repomd"):
            documents = tuple(_listed(each) for each in wanted.found)
            published = int(wanted.revision) if wanted.revision.isdecimal() else 0
        if not documents:
            raise Unusable(State.MISSING, source, "the repository has no updateinfo")
        return Listing(documents, published if published < 1 << 40 else 0)

    def read(self, file: Path, source: str) -> Reading:
        """Give the ranges of each advisory.

        Raises:
            Unusable: see the port.
        """
        reader, newest = _Updates(), 0
        for _ in _parsed(file, source, reader.begin, reader.end):
            for update in reader.done:
                reader.count += 1
                with well_formed(source, update.texts.get("id", reader.count)):
                    newest = max(newest, *map(time_of, ("", *update.dates.values())), 0)
                    yield from self._of(update)
            reader.done.clear()
        if not reader.count:
            raise Unusable(State.EMPTY, source, "no update in it")
        return newest

    def _of(self, update: Update) -> Iterator[Row]:
        cves = tuple(sorted(update.cves))
        if update.kind != "security" and not cves:
            return
        name = word(update.texts["id"].strip())
        issued = time_of(update.dates.get("issued", ""))
        updated = time_of(update.dates.get("updated", "")) or issued
        urgency = rated(update.texts.get("severity"))
        for package, level, version in update.packages:
            yield Range(
                self.channel, name, self.ecosystem, package, level, "affected", "", version, "",
                cves, urgency, issued, updated, 0,
            )  # fmt: skip
        if len(cves) == 1:
            if title := plain(update.texts.get("title"), LINE):
                yield Claim(self.channel, cves[0], "title", title, updated)
            if described := plain(update.texts.get("description"), TEXT):
                yield Claim(self.channel, cves[0], "description", described, updated)


class _Texts:
    """What both files need: the path of open elements, and the text of some."""

    def __init__(self) -> None:
        self.path: list[str] = []

    def begin(self, name: str, attributes: Attributes) -> None:
        self.path.append(name)
        if len(self.path) > DEPTH:
            raise ValueError(f"elements deeper than {DEPTH}")
        self.opened(name, attributes)

    def end(self, name: str, text: str) -> None:
        self.path.pop()
        self.closed(name, text)

    def opened(self, name: str, attributes: Attributes) -> None:
        """Take what an element says of itself."""

    def closed(self, name: str, text: str) -> None:
        """Take the text of an element."""


class _Updates(_Texts):
    def __init__(self) -> None:
        super().__init__()
        self.now, self.done, self.count = Update(), list[Update](), 0

    def opened(self, name: str, attributes: Attributes) -> None:
        if len(self.path) == 1 and name != "updates":
            raise ValueError(f"`{name[:40]}` is no updateinfo")
        if name == "update":
            self.now = Update(attributes.get("type", ""))
        elif name in ("issued", "updated"):
            self.now.dates[name] = attributes.get("date", "")
        elif name == "reference":
            told = f"{attributes.get('id', '')} {attributes.get('title', '')}"
            self.now.cves |= {cve for cve in _CVE.findall(told) if is_cve(cve)}
        elif name == "package":
            self.now.packages[_package(attributes)] = None
            if len(self.now.packages) > PACKAGES:
                raise ValueError(f"more than {PACKAGES} packages in one update")

    def closed(self, name: str, text: str) -> None:
        if name == "update":
            self.done.append(self.now)
        elif name in _TEXTS and self.path[-1:] == ["update"]:
            self.now.texts[name] = text


def _package(attributes: Attributes) -> tuple[str, Level, str]:
    epoch = attributes.get("epoch", "") or "0"
    version = f"{word(attributes['version'])}-{word(attributes['release'])}"
    full = version if epoch == "0" else f"{epoch}:{version}"
    level: Level = "source" if attributes.get("arch") in ("src", "nosrc") else "binary"
    return word(attributes["name"]), level, word(full)


class _Index(_Texts):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[dict[str, str]] = []
        self.revision, self.inside = "", False

    def opened(self, name: str, attributes: Attributes) -> None:
        if len(self.path) == 1 and name != "repomd":
            raise ValueError(f"`{name[:40]}` is no index of a repository")
        if name == "data":
            self.inside = attributes.get("type") == "updateinfo"
            self.found += [{}] if self.inside else []
        elif self.inside and name == "location":
            self.found[-1]["path"] = attributes["href"]
        elif self.inside and name == "checksum":
            self.found[-1]["kind"] = attributes["type"]

    def closed(self, name: str, text: str) -> None:
        if name == "revision":
            self.revision = text.strip()[:20]
        elif self.inside and name == "checksum":
            self.found[-1]["sum"] = text.strip()
        elif name == "data":
            self.inside = False


def _listed(told: dict[str, str]) -> Listed:
    path, digest = told["path"], told["sum"]
    if not sane(path):
        raise ValueError(f"`{path!r:.80}` is no path of a document")
    if told["kind"] != "sha256" or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError("no SHA-256 of the updateinfo")
    return Listed(path, digest, digest)


def _parsed(
    file: Path,
    source: str,
    begin: Callable[[str, Attributes], None],
    end: Callable[[str, str], None],
) -> Iterator[None]:
    """Feed a document piece by piece; stop after each, so that the caller takes what is done."""
    parser, texts, fed, last = expat.ParserCreate("utf-8"), [""], 0, False

    def opened(name: str, attributes: Attributes) -> None:
        texts.append("")
        begin(name, attributes)

    def closed(name: str) -> None:
        end(name, texts.pop())

    def said(text: str) -> None:
        texts[-1] += text[: max(0, CHARACTERS - len(texts[-1]))]

    parser.StartElementHandler, parser.EndElementHandler = opened, closed
    parser.CharacterDataHandler = said
    parser.StartDoctypeDeclHandler = parser.EntityDeclHandler = _forbidden
    parser.ExternalEntityRefHandler = _forbidden
    parser.buffer_text = True
    try:
        for piece in stream(file, source):
            parser.Parse(piece, False)  # noqa: FBT003  positional only
            fed += len(piece)
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
    """No entity is ever expanded (billion laughs, external entities): W3C XML 1.0 section 4."""
    raise ValueError("a document type or an entity in it")
