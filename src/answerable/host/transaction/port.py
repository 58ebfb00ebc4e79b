"""The port to a host's files: what a path looks like, and the few operations of commit and undo.

Rules:
* paths are absolute and hold no `.`, no `..` and no symbolic link but, perhaps, the last part;
* what was written is durable only after `sync` of the file, a name only after `sync` of the folder
  that holds it; more may be durable by chance, and nothing else may be relied on;
* a file that others can see is never written in place: it is written beside and renamed.

Adapter: `disk.py`; its twin in tests forgets what was not synced. Left out: times of folders and
of symbolic links; labels of SELinux, which the policy gives.
"""

import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Literal, Protocol

from answerable.host.driver import DriverFailed
from answerable.kernel.canon import Json

CHUNK = 1 << 20
"""Bytes that are read or written at once."""
LEVELS, LENGTH = 200, 2048
"""Deepest and longest path that is followed; more than that was made to stop whoever follows."""
Kind = Literal["file", "link", "dir", "other"]


class FilesFailed(DriverFailed):
    """The host's files cannot be read or written."""


def odd_path(path: str) -> str:
    """Tell why a path is not followed any further; nothing if it is."""
    long = path.count("/") > LEVELS or len(os.fsencode(path)) > LENGTH
    return f"goes deeper than {LEVELS} folders or {LENGTH} bytes" if long else ""


class Drifted(DriverFailed):
    """Somebody else changed these paths since; nothing was changed now.

    Args:
        message: what it means, and what to do.
        paths: what is not as it was.
    """

    def __init__(self, message: str, paths: Iterable[str]) -> None:
        """Keep the paths."""
        super().__init__(message)
        self.paths = tuple(paths)


@dataclass(frozen=True)
class Look:
    """What a path is: kind, permission bits, owner, attributes, and bytes or target.

    Args:
        sha256: of a file's bytes, hex; nothing for other kinds.
        size: of a file, bytes.
        target: of a symbolic link.
        mtime: of a file, nanoseconds since 1970; it is restored, and never compared.
        attributes: extended attributes, (name, value in hex), sorted.
    """

    kind: Kind
    mode: int = 0
    uid: int = 0
    gid: int = 0
    sha256: str = ""
    size: int = 0
    target: str = ""
    mtime: int = 0
    attributes: tuple[tuple[str, str], ...] = ()

    def same(self, other: "Look | None") -> bool:
        """Tell whether both are the same but for the time."""
        return other is not None and replace(self, mtime=0) == replace(other, mtime=0)

    def spelled(self) -> Json:
        """Give it as JSON holds it."""
        return asdict(self) | {"attributes": [list(pair) for pair in self.attributes]}

    @classmethod
    def of(cls, told: Json) -> "Look":
        """Read what `spelled` gave."""
        pairs = tuple((str(name), str(value)) for name, value in told["attributes"])
        return cls(**{**told, "attributes": pairs})


class Files(Protocol):
    """A host's files; each call may raise `FilesFailed`."""

    def look(self, path: str) -> Look | None:
        """Tell what a path is, with the hash of a file's bytes; nothing if it is not there."""

    def names(self, path: str) -> list[str]:
        """Give the names in a folder; none if it is not there."""

    def read(self, path: str, offset: int = 0, size: int = 1 << 62) -> Iterator[bytes]:
        """Give a file's bytes, or a part of them, in pieces."""

    def write(self, path: str, pieces: Iterable[bytes]) -> None:
        """Make a new file of mode 0600; one that is there is replaced."""

    def dress(self, path: str, look: Look) -> None:
        """Give a file, folder or link the owner, mode, attributes and time of a look."""

    def link(self, path: str, target: str) -> None:
        """Make a symbolic link."""

    def twin(self, path: str, old: str) -> None:
        """Give the file `old` a second name."""

    def rename(self, old: str, new: str) -> None:
        """Put a file or link in the place of another, at once."""

    def mkdir(self, path: str) -> None:
        """Make a folder of mode 0700."""

    def unlink(self, path: str) -> None:
        """Remove a file or link; nothing happens if it is not there."""

    def rmdir(self, path: str) -> bool:
        """Remove a folder; false if it is not empty."""

    def sync(self, *paths: str) -> None:
        """Make files' bytes and looks, and folders' names and looks, durable, all of these."""
