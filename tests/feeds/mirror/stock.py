"""python-tuf's own client over files in memory: the yardstick that ours must not fall behind."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from tuf.api.exceptions import DownloadError, DownloadHTTPError, RepositoryError
from tuf.ngclient import FetcherInterface, Updater

from tests.feeds.mirror.publisher import Files

_TOP = "http://mirror/"


class _Memory(FetcherInterface):
    def __init__(self, files: Files) -> None:
        self.files = files

    def _fetch(self, url: str) -> Iterator[bytes]:
        path = url.removeprefix(_TOP)
        if path not in self.files:
            raise DownloadHTTPError("no such file", 404)
        return iter([self.files[path]])


def updater(folder: Path, files: Files, root: bytes, now: int) -> Updater:
    """Give a client that believes to live at `now`."""
    folder.mkdir(parents=True, exist_ok=True)
    client = Updater(
        str(folder), f"{_TOP}metadata/", str(folder), f"{_TOP}targets/", _Memory(files),
        bootstrap=root,
    )  # fmt: skip
    # There is no argument for it: docs/adr, and why reader.py walks the workflow itself.
    client._trusted_set.reference_time = datetime.fromtimestamp(now, UTC)
    return client


def accepts(folder: Path, files: Files, root: bytes, now: int) -> bool:
    """Tell whether it believes what a mirror serves; it keeps what it believed in the folder."""
    try:
        updater(folder, files, root, now).refresh()
    except (RepositoryError, DownloadError):
        return False
    return True
