"""Shocks: seen on every real one of the shared EPSS history, and on hardly any other day."""

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import duckdb
import pytest

from answerable.feeds import shock
from answerable.feeds.shock import DAY, PAST, SHARE, Day, Kind, Moves, level, means, moves, shocks
from answerable.feeds.tables import Flow

EPSS = Path(__file__).parents[2].parent / "shared" / "data" / "epss_kev_daily.parquet"
needs_data = pytest.mark.skipif(not EPSS.is_file(), reason="shared/data is absent")
REAL = {"2023-03-07", "2025-03-18", "2025-03-30"}
KEY = ("epss", "epss")


def _history() -> Iterator[tuple[str, int, dict[str, str]]]:
    """Give each day of the shared history: its name, its POSIX second, and the values."""
    rows = duckdb.connect(config={"threads": 1}).execute(
        "SELECT CAST(date AS VARCHAR), CAST(epoch(date) AS BIGINT), list(cve), "
        "list(CAST(epss AS VARCHAR)) FROM read_parquet(?) WHERE epss IS NOT NULL "
        "GROUP BY date ORDER BY date",
        [str(EPSS)],
    )
    for name, when, flaws, values in rows.fetchall():
        yield name, when, dict(sorted(zip(flaws, values, strict=True)))


def _flow(old: dict[str, str], new: dict[str, str]) -> Flow:
    lost, fresh = len(old.keys() - new.keys()), len(new.keys() - old.keys())
    return Flow("claims", "epss", len(old), lost, fresh)


@cache
def _steps() -> list[tuple[str, Flow, list[Moves], dict[tuple[str, str], int], list[Day], int]]:
    """Give what is judged each day, as if people had accepted the day before."""
    found = []
    past: list[Day] = []
    before: tuple[int, dict[str, str]] | None = None
    for name, when, values in _history():
        mean = means(("epss", "epss", value, 1) for value in values.values())
        if before:
            then, old = before
            both = sorted(old.keys() & values.keys())
            moved = moves(("epss", "epss", flaw, old[flaw], values[flaw]) for flaw in both)
            flow = _flow(old, values)
            found.append((name, flow, moved, mean, past[-PAST:], when - then))
            past.append(Day(when, {("claims", "epss"): flow.fresh}, mean))
        before = when, values
    return found


@needs_data
@pytest.mark.parametrize("share", [SHARE, 0.08, 0.24])
def test_real_shocks_stop_and_other_days_are_quiet(
    share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every real shock of three years of EPSS stops automation; 99 of 100 other days do not.

    That does not hang on the one number that was chosen with these days in view.
    """
    monkeypatch.setattr(shock, "SHARE", share)
    found = {
        name: shocks([flow], moved, mean, past, seconds)
        for name, flow, moved, mean, past, seconds in _steps()
    }
    loud = {name: seen for name, seen in found.items() if seen}
    others = len(found) - len(REAL)
    quiet = 1 - len(loud.keys() - REAL) / others
    lines = [
        f"{name} {'(real) ' * (name in REAL)}{'; '.join(f'{s.kind}: {s.detail}' for s in seen)}"
        for name, seen in loud.items()
    ]
    print(f"share {share}:", *lines, f"{quiet:.2%} of {others} other days quiet", sep="\n  ")  # noqa: T201  the figures, with -s
    assert loud.keys() >= REAL
    assert quiet >= 0.99
    for name in REAL:
        assert Kind.MASS_MOVE in {one.kind for one in loud[name]}


def _judge(
    *flows: Flow, moved: tuple[Moves, ...] = (), mean: int = 0, days: int = 10, seconds: int = DAY
) -> list[Kind]:
    past = [Day(n, {("claims", "nvd"): 20}, {KEY: 50_000 + n * 100}) for n in range(days)]
    now = {KEY: mean} if mean else {}
    return [one.kind for one in shocks(flows, moved, now, past, seconds)]


@pytest.mark.parametrize(
    ("flow", "kinds"),
    [
        (Flow("claims", "nvd", 1000, 100, 0), []),
        (Flow("claims", "nvd", 1000, 101, 0), [Kind.COLLAPSE]),
        (Flow("claims", "nvd", 1000, 1000, 0), [Kind.COLLAPSE]),
        (Flow("claims", "kev", 30, 9, 0), []),
        (Flow("ranges", "osv", 3, 3, 0), [Kind.COLLAPSE]),
        (Flow("claims", "nvd", 1000, 0, 80), []),
        (Flow("claims", "nvd", 1000, 0, 81), [Kind.FLOOD]),
        (Flow("ranges", "osv", 5000, 0, 500), []),
        (Flow("ranges", "osv", 5000, 0, 10_000), [Kind.FLOOD]),
        (Flow("ranges", "new", 0, 0, 90_000), []),
    ],
)  # fmt: skip
def test_counts_that_collapse_or_flood(flow: Flow, kinds: list[Kind]) -> None:
    """A file cut short and a flood of junk are seen; a busy day and a first sync are not."""
    assert _judge(flow) == kinds


def test_new_records_are_counted_a_day() -> None:
    """After a week without a sync, a week's news is no flood."""
    assert _judge(Flow("claims", "nvd", 1000, 0, 400), seconds=7 * DAY) == []


@pytest.mark.parametrize(
    ("looked", "moved", "seen"), [(100, 14, False), (100, 15, True), (19, 19, False)]
)
def test_mass_moves(looked: int, moved: int, seen: bool) -> None:  # noqa: FBT001
    """A seventh of the values moving by a tenth is a shock; a handful is none."""
    found = _judge(moved=(Moves("epss", "epss", looked, moved),))
    assert found == ([Kind.MASS_MOVE] if seen else [])


@pytest.mark.parametrize(("mean", "seen"), [(30_001, False), (71_000, True), (29_000, True)])
def test_values_that_leave_their_history(mean: int, seen: bool) -> None:  # noqa: FBT001
    """A mean may move by a fiftieth of the scale beyond what it did before, and no more."""
    assert _judge(mean=mean) == ([Kind.OUT_OF_HISTORY] if seen else [])


def test_without_a_past_there_is_no_history_to_leave() -> None:
    """The first days are compared with the day before, and not with a past that is none."""
    assert _judge(mean=900_000, days=3) == []


def test_junk_cannot_thin_out_a_mass_move() -> None:
    """An attack that adds a million low values moves the share of nothing."""
    real = [("epss", "epss", f"CVE-2024-{n:04}", "0.9", "0.1") for n in range(30)]
    junk = [("epss", "epss", f"CVE-2025-{n:05}", "0.001", "0.002") for n in range(20_000)]
    assert moves(real + junk) == moves(real) == [Moves("epss", "epss", 30, 30)]


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("epss", "0.5", 0.5), ("epss", "nan", None), ("epss", "1.1", None), ("epss", "x", None),
        ("cvss", "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 0.98), ("cvss", "10", None),
        ("exploited", "yes", 1.0), ("exploited", "perhaps", None),
        ("ssvc_exploitation", "poc", 0.5),
    ],
)  # fmt: skip
def test_levels(name: str, value: str, expected: Any) -> None:  # noqa: ANN401
    """A value that is none of its scale has no place on it, and never one that was guessed."""
    assert level(name, value) == expected
