"""Where the story's time went: looked at ten times a second, neither estimated nor added up.

Each look sees every process below this one (proc_pid_stat(5)) and counts for one of three:

* `packages`: a program of apt or dpkg runs on a host, for a rehearsal or for the change itself;
* `own`: none does, and one of our own processes runs or reads a disk;
* `waiting`: all of them wait: for a window or a soak to end, for the next look, for an answer.

Left out: what other work of the machine takes from ours; that is in `own`.
"""

import os
import threading
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from answerable.bootstrap.serve import boot_clock

EVERY = 0.1
"""Seconds between two looks."""
_PACKAGES = ("apt", "dpkg")
_LIMIT = 4096


class Spent:
    """Counts while its block is played; `seconds` by kind."""

    def __init__(self) -> None:
        """Count nothing yet."""
        self.seconds = defaultdict[str, float](float)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._count, name="spent", daemon=True)

    def __enter__(self) -> Self:
        """Begin to count."""
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Count no more."""
        self._over.set()
        self._thread.join()

    def _count(self) -> None:
        before = boot_clock()
        while not self._over.wait(EVERY):
            kind, now = look(Path("/proc"), os.getpid()), boot_clock()
            self.seconds[kind] += now - before
            before = now


def look(proc: Path, first: int) -> str:
    """Say what the processes below one are at just now: `packages`, `own` or `waiting`."""
    children, about = dict[int, list[int]](), dict[int, tuple[str, str]]()
    for pid, name, state, parent in _processes(proc):
        children.setdefault(parent, []).append(pid)
        about[pid] = name, state
    below, own = [*children.get(first, ())], False
    for pid in below:
        below += children.get(pid, ())
        name, state = about[pid]
        if name.startswith(_PACKAGES):
            return "packages"
        own = own or state in "RD"
    return "own" if own else "waiting"


def _processes(proc: Path) -> Iterator[tuple[int, str, str, int]]:
    """Give pid, name, state and parent of each; one that has just ended is left out."""
    for pid in (int(name) for name in os.listdir(proc) if name.isdigit()):  # noqa: PTH208  quick
        try:
            with (proc / str(pid) / "stat").open("rb") as file:
                text = file.read(_LIMIT).decode("utf-8", "replace")
        except OSError:
            continue
        # The name may hold spaces and brackets; what follows it cannot.
        name, _, rest = text.partition("(")[2].rpartition(") ")
        state, parent, *_more = rest.split(" ", 2)
        yield pid, name, state, int(parent)
