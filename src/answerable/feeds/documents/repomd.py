"""The index of an RPM repository, `repodata/repomd.xml`: which documents it has, and which bytes.

    <repomd xmlns="http://linux.duke.edu/metadata/repo"><revision>1763683200</revision>
      <data type="primary">
        <checksum type="sha256">..</checksum><open-checksum type="sha256">..</open-checksum>
        <location href="repodata/..-primary.xml.zst"/><timestamp>1763683200</timestamp>
        <size>2180</size><open-size>14029</open-size></data> ..</repomd>

Rules: a path leads nowhere out of the repository; hashes are SHA-256 or the document is malformed,
as far as it is asked for. What is not said is 0. Written by createrepo_c (createrepo_c(8)); there
is no other specification.

Left out: the signature, which is a file beside it (sources/rpm.py); delta and SQLite documents.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from answerable.feeds.documents.elements import Attributes, Elements, parsed
from answerable.feeds.documents.fetch import sane
from answerable.feeds.source import MIB

REPOMD: Final = "repodata/repomd.xml"
INDEX: Final = 4 * MIB
"""Largest index, bytes."""
DATA: Final = 100
"""Most documents that are named."""
_LATEST: Final = 1 << 40
_SAID = {"revision", "checksum", "timestamp", "size", "open-size"}


@dataclass(frozen=True)
class Document:
    """A document of a repository.

    Args:
        path: below the repository.
        sha256: of its bytes as they lie there, hex.
        size: the same, bytes.
        whole: its size once unpacked, bytes.
        made: when it was made, POSIX seconds.
    """

    path: str
    sha256: str
    size: int
    whole: int
    made: int


class Index(Elements):
    """What an index says."""

    def __init__(self) -> None:
        super().__init__("repomd")
        self._data: list[dict[str, str]] = []
        self._revision = ""

    def documents(self, kind: str) -> tuple[Document, ...]:
        """Give the documents of one kind.

        Raises:
            KeyError, ValueError: one lacks its path or its SHA-256.
        """
        return tuple(_document(said) for said in self._data if said["kind"] == kind)

    @property
    def revision(self) -> int:
        """When its publisher dated it, POSIX seconds; 0 if it does not say, or in other words."""
        return _number(self._revision)

    @property
    def made(self) -> int:
        """When the newest of its documents was made, POSIX seconds."""
        return max((_number(said.get("timestamp", "")) for said in self._data), default=0)

    def opened(self, name: str, attributes: Attributes) -> None:
        """Take where a document lies, and of which kind its hash is."""
        if name == "data":
            self._data.append({"kind": attributes.get("type", "")})
            if len(self._data) > DATA:
                raise ValueError(f"more than {DATA} documents")
        elif self._data and name == "location":
            self._data[-1]["path"] = attributes["href"]
        elif self._data and name == "checksum":
            self._data[-1]["hash"] = attributes["type"]

    def closed(self, name: str, text: str) -> None:
        """Take what an element says."""
        if name == "revision" and not self._data:
            self._revision = text.strip()
        elif name in _SAID and self._data:
            self._data[-1][name] = text.strip()


def read(file: Path, source: str) -> Index:
    """Read an index.

    Raises:
        Unusable: `malformed`, `truncated`, `empty` or `oversized`.
    """
    index = Index()
    for _ in parsed(file, source, index, INDEX):
        pass
    return index


def _document(said: dict[str, str]) -> Document:
    path, digest = said["path"], said["checksum"]
    if not sane(path):
        raise ValueError(f"`{path!r:.80}` is no path of a document")
    if said["hash"] != "sha256" or not re.fullmatch(r"[0-9a-f]{64}", digest):
        raise ValueError(f"no SHA-256 of the document `{said['kind']:.40}`")
    numbers = (_number(said.get(name, "")) for name in ("size", "open-size", "timestamp"))
    return Document(path, digest, *numbers)


def _number(text: str) -> int:
    """Give a number, of which some tools write a fraction; 0 for any other text."""
    found = re.fullmatch(r"(\d{1,15})(?:\.\d{1,9})?", text, re.ASCII)
    return int(found[1]) if found and int(found[1]) < _LATEST else 0
