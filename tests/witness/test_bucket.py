"""One address cannot ask for more than its share, and no number of addresses fills memory."""

import pytest

from answerable.witness import bucket
from answerable.witness.bucket import Bucket


def test_burst_then_rate() -> None:
    """An address gets its burst at once, then so many a second; others are not touched."""
    now = [100]
    given = Bucket(2, 3, lambda: now[0])
    assert [given.take("a") for _ in range(4)] == [True, True, True, False]
    assert given.take("b")
    now[0] += 1
    assert [given.take("a") for _ in range(3)] == [True, True, False]
    now[0] += 1000
    assert [given.take("a") for _ in range(4)] == [True, True, True, False]


def test_clock_set_back_gives_nothing() -> None:
    """A clock that jumps back neither fills a bucket nor stops an address for good."""
    now = [100]
    given = Bucket(1, 1, lambda: now[0])
    assert [given.take("a") for _ in range(2)] == [True, False]
    now[0] = 50
    assert not given.take("a")
    now[0] = 51
    assert given.take("a")


def test_addresses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The address seen longest ago is forgotten."""
    monkeypatch.setattr(bucket, "ADDRESSES", 3)
    given = Bucket(1, 1, lambda: 0)
    for address in "abcd":
        assert given.take(address)
    assert len(given._left) == 3
    assert not given.take("d")
    assert given.take("a")
