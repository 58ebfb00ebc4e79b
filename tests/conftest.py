"""What every test shares: the machine's abilities, and how many examples a property is shown.

What a test recorded as `told` (a seed, counts) is shown at the end, also where it passed.

Files of tests that take longest come first: whoever runs them in several processes waits least.

A live test says what it needs (`@pytest.mark.needs("overlay")`). It is skipped only where the probe
tried that and failed; `.ci/run` asks the probe again and fails on a skip that had no cause.
"""

import os
from functools import cache

import pytest
from hypothesis import HealthCheck, settings

from answerable.demo.probe import probe

# Tests are never timed: a slow machine is no failure, so no example has a deadline.
_SLOW = (HealthCheck.too_slow,)
settings.register_profile("quick", max_examples=100, deadline=None, suppress_health_check=_SLOW)
settings.register_profile(
    "fuzz",
    max_examples=int(os.environ.get("FUZZ_EXAMPLES", "20000")),
    deadline=None,
    suppress_health_check=_SLOW,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

LONGEST = (
    "live/test_systemd.py", "live/test_kills.py", "host/test_kills.py", "live/test_transaction.py",
    "live/test_lie.py", "live/test_fleet.py", "live/test_rpm.py", "live/test_moved_log.py",
    "ledger/test_kill.py",
)  # fmt: skip
"""Of the live ones; by what they took."""
_probe = cache(probe)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of the longest files first, each file's in their order."""
    turns = {name: turn for turn, name in enumerate(LONGEST)}
    items.sort(key=lambda item: turns.get("/".join(item.path.parts[-2:]), len(turns)))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test that needs what this machine was tried for and cannot do."""
    for mark in item.iter_markers("needs"):
        for name in mark.args:
            ability = _probe(name)
            if not ability.works:
                pytest.skip(f"needs {name}: {ability.why}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show what tests told of themselves."""
    stats = terminalreporter.stats
    for report in [*stats.get("passed", ()), *stats.get("failed", ())]:
        for name, value in report.user_properties:
            if name == "told":
                terminalreporter.line(f"{report.nodeid.rpartition('/')[2]}: {value}")
