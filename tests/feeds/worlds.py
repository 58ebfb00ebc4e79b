"""Documents and rows as a sync gives them, made by hand."""

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

from answerable.feeds.rows import Claim, Range, Row
from answerable.feeds.sync import Kept
from answerable.feeds.world import FILES
from answerable.kernel.canon import encode

NOON = 1_795_305_600
DAY = 86_400
CRITICAL = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"
"""9.8"""
MEDIUM = "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:L/I:N/A:N"
"""5.3"""

Given = tuple[Kept, list[Row]]


def document(name: str, rows: Sequence[Row], seen: int = NOON) -> Given:
    """Give a document that came at POSIX second `seen`; its hash follows from its rows."""
    digest = sha256(repr((name, rows)).encode()).hexdigest()
    kept = Kept(
        publication=name, path=f"{name}.json", state="usable", detail="", sha256=digest,
        size=len(rows), rows=len(rows), published=seen, modified=0, seen=seen, checked=seen,
        tried=seen, etag="",
    )  # fmt: skip
    return kept, list(rows)


def given(*documents: Given) -> Iterator[tuple[Kept, Iterator[Row]]]:
    """Give documents as `sync.rows` does."""
    return ((kept, iter(rows)) for kept, rows in documents)


def claim(
    channel: str, flaw: str = "CVE-2024-0001", field: str = "exploited", value: str = "yes",
    said: int = 0,
) -> Claim:  # fmt: skip
    """Give a claim."""
    return Claim(channel, flaw, field, value, said)  # type: ignore[arg-type]


def span(
    channel: str = "osv/pypi", advisory: str = "GHSA-1", fixed: str = "2.3.1",
    package: str = "flask", *, ecosystem: str = "pypi", cves: tuple[str, ...] = ("CVE-2024-0001",),
    status: str = "affected", withdrawn: int = 0, introduced: str = "", urgency: str = "high",
    modified: int = 0,
) -> Range:  # fmt: skip
    """Give a range."""
    return Range(
        channel, advisory, ecosystem, package, "binary", status, introduced, fixed, "", cves,  # type: ignore[arg-type]
        urgency, 1_700_000_000, modified, withdrawn,
    )  # fmt: skip


def laid_out(folder: Path, documents: bytes = b"[]", manifest: bytes = b"") -> Path:
    """Lay out a world with empty tables, whose manifest has every hash in order unless given."""
    files = {name: documents if name == "documents.json" else b"" for name in FILES}
    for name, data in files.items():
        (folder / name).write_bytes(data)
    (folder / "manifest.json").write_bytes(manifest or manifest_of(documents))
    return folder


def manifest_of(documents: bytes = b"[]") -> bytes:
    """Give the manifest of such a world."""
    files = {
        name: {"sha256": sha256(data).hexdigest(), "size": len(data)}
        for name, data in {**dict.fromkeys(FILES, b""), "documents.json": documents}.items()
    }
    past = [{"since": NOON, "fresh": [["claims", "kev", 3]], "means": [["kev", "exploited", 7]]}]
    body = {"format": 1, "time": NOON, "previous": "", "cleared": 0, "root": "ab" * 32, "size": 9,
            "made_by": "x", "past": past, "files": files}  # fmt: skip
    return encode(body).encode()


DOCUMENTS = encode([
    {"path": "kev.json", "publication": "kev", "published": NOON, "rows": 2, "seen": NOON,
     "sha256": "cd" * 32, "size": 99},
]).encode()  # fmt: skip
