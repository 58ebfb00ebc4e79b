"""When a record stood in a log, as far as cosigned checkpoints prove it.

A record carries no trusted time. A checkpoint that a quorum cosigned proves two things
(kernel/checkpoint.py):

* every record below its size stood at `past` (`by`);
* no record at or above its size had been cosigned by a quorum at `present` (`after`): any two
  quorums share an honest guard, and that one never went back.

The more checkpoints were kept, the narrower the two are. What neither proves is `unknown`, and is
said to be.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from typing import Literal

from answerable.kernel.checkpoint import Cosigned

Order = Literal["before", "after", "unknown"]
"""Whether something was there before a change, only after it, or nobody can tell."""
NEVER = 1 << 53
"""A POSIX second that never comes."""


class Times:
    """The cosigned checkpoints of one log, as a clock."""

    def __init__(self, checkpoints: Iterable[Cosigned]) -> None:
        """Take checkpoints of one history."""
        kept = sorted((c.checkpoint.size, c.past, c.present) for c in checkpoints)
        self._sizes = [size for size, _, _ in kept]
        self._by = [past for _, past, _ in kept]
        self._after = [present for _, _, present in kept]
        for at in range(len(kept) - 1, 0, -1):
            self._by[at - 1] = min(self._by[at - 1], self._by[at])
        for at in range(1, len(kept)):
            self._after[at] = max(self._after[at - 1], self._after[at])

    def by(self, index: int) -> int:
        """Give the earliest second by which a record surely stood; `NEVER` if none is proven."""
        at = bisect_right(self._sizes, index)
        return self._by[at] if at < len(self._by) else NEVER

    def after(self, index: int) -> int:
        """Give the latest second at which no quorum had cosigned a record; 0 if none is proven."""
        at = bisect_left(self._sizes, index + 1)
        return self._after[at - 1] if at else 0

    def order(self, index: int, started: int, ended: int, wait: int = 0) -> Order:
        """Tell whether a record stood `wait` seconds before something that began and ended."""
        if self.by(index) + wait <= started:
            return "before"
        return "after" if started and self.after(index) + wait > ended else "unknown"
