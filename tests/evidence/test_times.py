"""Cosigned checkpoints bound from both sides when a record stood, and say no more than that."""

import pytest

from answerable.evidence.times import NEVER, Times
from answerable.kernel.checkpoint import Checkpoint, Cosigned


def at(size: int, past: int, present: int) -> Cosigned:
    """Give a checkpoint that a quorum cosigned."""
    return Cosigned(Checkpoint("log", size, b""), past, present, frozenset())


TIMES = Times([at(10, 500, 490), at(5, 300, 290), at(5, 420, 410), at(8, 700, 690)])


@pytest.mark.parametrize(
    ("index", "by", "after"),
    [(0, 300, 0), (4, 300, 0), (5, 500, 410), (7, 500, 410), (8, 500, 690), (9, 500, 690),
     (10, NEVER, 690)],
)  # fmt: skip
def test_bounds(index: int, by: int, after: int) -> None:
    """The earliest covering past, and the latest present of a head without it."""
    assert (TIMES.by(index), TIMES.after(index)) == (by, after)


def test_no_checkpoint_proves_nothing() -> None:
    """Without checkpoints nothing is before or after anything."""
    none = Times([])
    assert (none.by(0), none.after(0)) == (NEVER, 0)
    assert none.order(0, 1_000, 1_001) == "unknown"


def test_order_of_a_record_and_a_change() -> None:
    """Before only if covered by its beginning, after only if absent at its end, else unknown."""
    assert TIMES.order(0, 300, 310) == "before"
    assert TIMES.order(0, 299, 310) == "unknown"
    assert TIMES.order(5, 100, 409) == "after"
    assert TIMES.order(5, 100, 410) == "unknown"
    assert TIMES.order(0, 400, 410, wait=101) == "unknown"
    assert TIMES.order(0, 401, 410, wait=101) == "before"


def test_change_without_times_is_unknown() -> None:
    """A host that knew no time (0) proves no order."""
    assert TIMES.order(5, 0, 0) == "unknown"
