"""Judge the suites of one CI run by what they left behind, and close with one plain line.

`ci_summary.py NAME:EXIT:REPORT ...`, one word a suite: its name, its exit code, its JUnit file.

Rules:
 1. A suite whose command failed, that left no report, or that ran no test, is a failure.
 2. A skip is a failure unless its reason begins with a line of tests/allowed-skips.txt.
 3. A skip for an ability (`needs overlay: ...`) is a failure where the probe finds the ability.

Left out: running anything but the probe.
"""

import re
import sys
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from answerable.demo.probe import TRIALS, probe

ALLOWED = Path(__file__).resolve().parents[1] / "tests" / "allowed-skips.txt"


@dataclass(frozen=True)
class Suite:
    """What one suite left: counts, and the reason of each skip by test."""

    passed: int
    failed: int
    skips: tuple[tuple[str, str], ...]


def read(report: str) -> Suite:
    """Count one JUnit text; an expected failure counts as a skip, so it needs a listed reason."""
    passed = failed = 0
    skips: list[tuple[str, str]] = []
    for case in ET.fromstring(report).iter("testcase"):
        skipped = case.find("skipped")
        if case.find("failure") is not None or case.find("error") is not None:
            failed += 1
        elif skipped is not None:
            test = f"{case.get('classname')}::{case.get('name')}"
            skips.append((test, skipped.get("message") or ""))
        else:
            passed += 1
    return Suite(passed, failed, tuple(skips))


def allowed_reasons(text: str) -> tuple[str, ...]:
    """Read the list of allowed skips: one reason prefix a line, `  # why` behind it."""
    lines = (line.partition("  #")[0].strip() for line in text.splitlines())
    return tuple(line for line in lines if line and not line.startswith("#"))


def bad_skips(
    suite: Suite, allowed: Sequence[str], works: Callable[[str], bool]
) -> list[tuple[str, str]]:
    """Give each skip that rule 2 or 3 forbids, as test and complaint."""
    bad = []
    for test, reason in suite.skips:
        needed = re.match(r"needs ([a-z-]+)", reason)
        if not any(reason.startswith(prefix) for prefix in allowed):
            bad.append((test, f"skipped for a reason that is not allowed: `{reason}`"))
        elif needed and needed[1] in TRIALS and works(needed[1]):
            bad.append((test, f"skipped, but this machine has `{needed[1]}`"))
    return bad


def judge(name: str, code: int, report: str) -> tuple[Suite, list[str]]:
    """Apply the three rules to one suite; a complaint is one more failure."""
    suite = read(report) if report else Suite(0, 0, ())
    allowed = allowed_reasons(ALLOWED.read_text("utf-8"))
    complaints = [
        f"{name}: {test} {why}"
        for test, why in bad_skips(suite, allowed, lambda ability: probe(ability).works)
    ]
    if not suite.passed + suite.failed:
        complaints.append(f"{name}: ran no test")
    if code and not suite.failed:
        complaints.append(f"{name}: its command failed with exit code {code}")
    return suite, complaints


def main(words: Sequence[str]) -> int:
    """Print complaints, skips and the closing line; 0 only if nothing failed."""
    passed = failed = skipped = 0
    for word in words:
        name, code, path = word.split(":", 2)
        file = Path(path)
        report = file.read_text("utf-8") if file.is_file() else ""
        suite, complaints = judge(name, int(code), report)
        for test, reason in suite.skips:
            print(f"{name}: skipped {test}: {reason}")
        for complaint in complaints:
            print(f"failed: {complaint}")
        passed += suite.passed
        failed += suite.failed + len(complaints)
        skipped += len(suite.skips)
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
