"""The page on the logs says what the code does."""

import re
from pathlib import Path

from answerable.ledger.app import Limits
from answerable.ledger.reports import REPORT, SIGNERS

PAGE = (Path(__file__).resolve().parents[2] / "docs/spec/logs.md").read_text("utf-8")


def test_report_types_are_those_of_the_page() -> None:
    """Types, signers and members of every shape."""
    rows = re.findall(r"^\| `(\w+)` \| ([a-z, ]+) \| (.*) \|$", PAGE, re.MULTILINE)
    told = {kind: (who.split(", "), body) for kind, who, body in rows}
    assert told.keys() == REPORT.keys()
    for kind, (who, body) in told.items():
        assert sorted(who) == sorted(SIGNERS[kind])
        shown = re.findall(r"(\w+)(?=:|\b)", body.split("`")[1].replace("{id:text}", "map"))
        for member, form in REPORT[kind].items():
            assert member in shown, (kind, member)
            assert not isinstance(form, str) or f"{member}:{form}" in body, (kind, member)


def test_limits_are_those_of_the_page() -> None:
    """What a batch may be."""
    limits = Limits()
    assert f"one to {limits.entries:,} entries (at most {limits.body >> 20} MiB)" in PAGE
