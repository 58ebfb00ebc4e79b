"""Documents and artefacts on disk, each a file named by the SHA-256 of its bytes.

Rules: a file appears under its name only when all its bytes are there and hash to it; what is there
is never changed. So any number of processes may share the folder without a lock. Beside them stands
the newest date that was seen on a document, so that an older one is known to be wound back.

Left out: throwing away what nobody needs any more.
"""

import hashlib
import os
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path

from answerable.feeds.source import Fetch, State, Unusable

_NAME = re.compile(r"[0-9a-f]{64}")


class Blobs:
    """A folder of files named by their hash."""

    def __init__(self, folder: Path) -> None:
        """Use a folder; it is made (mode 0700) if it is not there."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.folder = folder

    def path(self, sha256: str) -> Path:
        """Give the place of a file, whether or not it is there."""
        assert _NAME.fullmatch(sha256), "a blob is named by 64 hex digits"
        return self.folder / sha256

    def get(self, sha256: str) -> bytes | None:
        """Give the bytes, or nothing if they are not there or were tampered with."""
        try:
            data = self.path(sha256).read_bytes()
        except FileNotFoundError:
            return None
        return data if hashlib.sha256(data).hexdigest() == sha256 else None

    def put(self, data: bytes) -> str:
        """Keep bytes; give their hash."""
        name = hashlib.sha256(data).hexdigest()
        if not self.path(name).exists():
            self._keep([data], name, len(data), name)
        return name

    def fetch(self, fetch: Fetch, path: str, sha256: str, size: int) -> Path:
        """Fetch a file whose hash and size are known, unless it is here already.

        Returns: where it lies.

        Raises:
            Unusable: `truncated`, `oversized` or `forged` if other bytes came; as `fetch.stream`.
        """
        if not self.path(sha256).exists():
            self._keep(fetch.stream(path, size), sha256, size, f"{fetch.place}/{path}")
        return self.path(sha256)

    def newest(self, document: str) -> int:
        """Give the newest date that was seen on a document, POSIX seconds; 0 if none was."""
        try:
            return int(self._dated(document).read_text("ascii"))
        except (FileNotFoundError, ValueError):
            return 0

    def saw(self, document: str, published: int) -> None:
        """Keep the date of a document that was found good."""
        if published > self.newest(document):
            handle, name = tempfile.mkstemp(dir=self.folder, prefix=".new-")
            with os.fdopen(handle, "w", encoding="ascii") as file:
                file.write(str(published))
            Path(name).replace(self._dated(document))

    def _dated(self, document: str) -> Path:
        return self.folder / f"newest-{hashlib.sha256(document.encode()).hexdigest()}"

    def _keep(self, pieces: Iterable[bytes], sha256: str, size: int, source: str) -> None:
        handle, name = tempfile.mkstemp(dir=self.folder, prefix=".new-")
        try:
            digest, length = hashlib.sha256(), 0
            with os.fdopen(handle, "wb") as file:
                for piece in pieces:
                    digest.update(piece)
                    length += file.write(piece)
            if length < size:
                raise Unusable(State.TRUNCATED, source, f"{length} of {size} bytes; fetch again")
            if digest.hexdigest() != sha256:
                raise Unusable(State.FORGED, source, f"its bytes do not hash to `{sha256}`")
            Path(name).replace(self.path(sha256))
        finally:
            Path(name).unlink(missing_ok=True)
