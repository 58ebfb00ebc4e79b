"""What the logs say, as the spectator reads it: the story waits for records, never for a clock."""

import json
import threading
from collections.abc import Callable, Iterable
from typing import IO, Any

from answerable.demo.scenes.cast import Cast, StoryFailed

Record = dict[str, Any]


class Watch:
    """Records so far, and waiting for more.

    Args:
        cast: is asked now and then whether everybody still plays.
        lines: what the spectator prints.
    """

    def __init__(self, cast: Cast, lines: IO[bytes]) -> None:
        """Start to read."""
        self._cast, self._lines = cast, lines
        self._records: list[Record] = []
        self._changed = threading.Condition()
        threading.Thread(target=self._read, name="spectator", daemon=True).start()

    def all(self, kind: str, **body: object) -> list[Record]:
        """Give the records of a type whose bodies have these members."""
        with self._changed:
            return [r for r in self._records if _is(r, kind, body)]

    def until(
        self, what: str, ready: Callable[[], Iterable[object] | bool], seconds: float = 120
    ) -> None:
        """Wait until something is so.

        Raises:
            StoryFailed: a process has ended, or it takes too long.
        """
        left = seconds
        with self._cast.tell.waiting(what):
            while not ready():
                with self._changed:
                    self._changed.wait(0.2)
                left -= 0.2
                self._cast.check()
                if left <= 0:
                    raise StoryFailed(f"waited {seconds:.0f} seconds and more for this: {what}")

    def wait(self, what: str, count: int, kind: str, **body: object) -> list[Record]:
        """Wait until there are so many records of a type; give them."""
        self.until(what, lambda: len(self.all(kind, **body)) >= count)
        return self.all(kind, **body)

    def _read(self) -> None:
        for line in self._lines:
            with self._changed:
                self._records.append(json.loads(line))
                self._changed.notify_all()


def _is(record: Record, kind: str, body: dict[str, object]) -> bool:
    same = record["type"] == kind
    return same and all(record["body"].get(name) == value for name, value in body.items())
