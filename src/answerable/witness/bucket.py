"""How many requests an address may make: a token bucket each, in bounded memory.

An address starts with `burst` tokens and gains `rate` a second; a request takes one. When more
addresses than `ADDRESSES` are known, the one that was seen longest ago is forgotten.
"""

from collections import OrderedDict
from collections.abc import Callable

ADDRESSES = 10_000
"""Most addresses that are remembered."""


class Bucket:
    """Used by one thread."""

    def __init__(self, rate: int, burst: int, clock: Callable[[], int]) -> None:
        """Allow `rate` requests a second and `burst` at once; the clock counts seconds."""
        self._rate, self._burst, self._clock = rate, burst, clock
        self._left: OrderedDict[str, tuple[int, int]] = OrderedDict()

    def take(self, address: str) -> bool:
        """Take one token of an address, if there is one."""
        now = self._clock()
        left, since = self._left.pop(address, (self._burst, now))
        # A clock that was set back gives nothing and takes nothing.
        left = min(self._burst, left + self._rate * max(now - since, 0))
        self._left[address] = (max(left - 1, 0), now)
        if len(self._left) > ADDRESSES:
            self._left.popitem(last=False)
        return left > 0
