"""What an observer remembers between runs, in one file; all of it can be found out again.

    {"authority":{"root":"<hex>","size":12},"complete":{"<notice>/<ring>":<POSIX second>},
     "report":{"root":"<hex>","size":99},"start":40}

`authority` and `report` are the newest checkpoints seen, so that a log that forks while the
observer is down is caught. `start` is the first record of the report log that still matters.
`complete` says since when a ring is complete, by cosigned time. Without the file everything is read
from the start, and soaks that were under way begin again: later, never earlier. What an observer
has said is never remembered here; it is read from the logs.
"""

import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from answerable.kernel.canon import conforms, encode, shape
from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.errors import Unavailable

FILE = 16 << 20
"""Largest file of memories that is read, bytes."""
_HEAD = shape("root:hex size:int")
_SHAPE = {"authority": _HEAD, "report": _HEAD, "start": "int", "complete": "any"}


class MemoryUnavailable(Unavailable):
    """The observer's own directory cannot be used."""


@dataclass
class Memory:
    """Where to go on; `save` makes it durable."""

    path: Path
    authority: Checkpoint | None = None
    report: Checkpoint | None = None
    start: int = 0
    complete: dict[str, int] = field(default_factory=dict)
    saved: bytes = b""

    @classmethod
    def load(cls, path: Path) -> "Memory":
        """Read it; a file that is missing or damaged is no memory."""
        if not path.exists():
            return cls(path)
        try:
            data = path.read_bytes()[:FILE]
            found = json.loads(data)
        except (OSError, ValueError):
            return cls(path)
        if not conforms(found, _SHAPE) or not conforms(list(found["complete"].values()), ["int"]):
            return cls(path)
        heads = [
            Checkpoint("", found[log]["size"], bytes.fromhex(found[log]["root"]))
            for log in ("authority", "report")
        ]
        return cls(path, heads[0], heads[1], found["start"], dict(found["complete"]), data)

    def save(self) -> None:
        """Write it down, if anything changed.

        Raises:
            MemoryUnavailable: if that cannot be done.
        """
        if self.authority is None or self.report is None:
            return
        heads = {"authority": self.authority, "report": self.report}
        told = {log: {"root": at.root.hex(), "size": at.size} for log, at in heads.items()}
        data = encode({**told, "start": self.start, "complete": self.complete}).encode()
        if data != self.saved:
            write(self.path, data)
            self.saved = data

    def keep(self, log: str, size: int, note: bytes) -> None:
        """Keep a checkpoint in `seen/`, the first one of its size: it proves what stood when."""
        path = self.path.parent / "seen" / f"{log}-{size:012}.note"
        if not path.exists():
            write(path, note)


def write(path: Path, data: bytes) -> None:
    """Replace a file at once, mode 0600, in a directory of mode 0700.

    Raises:
        MemoryUnavailable: if that cannot be done.
    """
    beside = path.with_name(f".{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
        with os.fdopen(os.open(beside, flags, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    except OSError as error:
        raise MemoryUnavailable(f"cannot write `{path}`: {error.strerror}") from error
