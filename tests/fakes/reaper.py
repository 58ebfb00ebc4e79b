"""Death at a chosen moment: ports of which every call may be the last thing a process does."""

from collections.abc import Callable
from typing import Any


class Reaper:
    """Counts moments and ends the process, or whatever stands for it, at one of them.

    Args:
        die: takes the moment's name.
        at: number of the moment, from 1; a negative one never comes.
    """

    def __init__(self, die: Callable[[str], None], at: int = -1) -> None:
        self.at = at
        self.calls = 0
        self.names: list[str] = []
        self._die = die

    def __call__(self, name: str) -> None:
        """Count a moment and die if it is the one."""
        self.calls += 1
        self.names.append(name)
        if self.calls == self.at:
            self._die(name)


class Mortal:
    """A port with a moment to die before and after each of its calls."""

    def __init__(self, port: object, reaper: Reaper) -> None:
        self._port = port
        self._reaper = reaper

    def __getattr__(self, name: str) -> Callable[..., Any]:
        """Give the port's method so."""
        method = getattr(self._port, name)

        def call(*args: object) -> object:
            self._reaper(f"before {name}")
            answer = method(*args)
            self._reaper(f"after {name}")
            return answer

        return call
