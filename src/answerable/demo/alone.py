"""One process at a time where several make the same thing: a tree, a mirror, wheels.

Rule: whoever waits finds afterwards what the other one has made; the lock goes with its process.
"""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """Make a folder, and let nobody else who asks for this be in the block with it (flock(2))."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
