"""A CI run that hides a skip, a crash or an empty suite is not green."""

from pathlib import Path

import pytest

from scripts import ci_summary
from scripts.ci_summary import Suite, allowed_reasons, bad_skips, judge, main, read

CASES = """<testsuites><testsuite>
<testcase classname="a" name="good"/>
<testcase classname="a" name="bad"><failure message="no"/></testcase>
<testcase classname="a" name="broken"><error message="no"/></testcase>
<testcase classname="a" name="left"><skipped message="needs apt: none"/></testcase>
</testsuite></testsuites>"""
GOOD = '<testsuites><testsuite><testcase classname="a" name="b"/></testsuite></testsuites>'


def _suite(reason: str) -> Suite:
    return Suite(1, 0, (("a::b", reason),))


def test_counts_each_outcome_once() -> None:
    """Passed, failed, broken and skipped tests are told apart."""
    assert read(CASES) == Suite(1, 2, (("a::left", "needs apt: none"),))


def test_reasons_are_read_without_their_comments() -> None:
    """The list of allowed skips is a list of prefixes; an empty line allows nothing."""
    assert allowed_reasons("# head\n\nneeds apt:  # why\n") == ("needs apt:",)


def test_skip_for_an_unlisted_reason_fails() -> None:
    """A test cannot be switched off in passing."""
    assert bad_skips(_suite("flaky"), ["needs apt:"], lambda _: False)


def test_skip_for_an_ability_that_is_there_fails() -> None:
    """A live test cannot skip itself on a machine that could have run it."""
    skipped = _suite("needs apt: none")
    assert bad_skips(skipped, ["needs apt:"], lambda _: True)
    assert bad_skips(skipped, ["needs apt:"], lambda _: False) == []


@pytest.mark.parametrize(
    ("code", "report"), [(0, ""), (1, GOOD), (5, ""), (0, "<testsuites/>")],
    ids=["no report", "command failed", "pytest found no test", "empty report"],
)  # fmt: skip
def test_suite_that_did_not_run_is_a_failure(code: int, report: str) -> None:
    """A crash before or after the tests, and an empty run, are seen."""
    assert judge("unit", code, report)[1]


def test_closing_line_and_exit_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The last line counts every suite, and the exit code says the same."""
    good, bad = tmp_path / "good.xml", tmp_path / "bad.xml"
    good.write_text(GOOD)
    bad.write_text(CASES)
    allowed = tmp_path / "allowed"
    allowed.write_text("needs apt:\n")
    monkeypatch.setattr(ci_summary, "ALLOWED", allowed)
    monkeypatch.setattr(ci_summary, "bad_skips", lambda *_: [])
    assert main([f"unit:0:{good}"]) == 0
    assert main([f"unit:0:{good}", f"live:2:{bad}"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "2 passed, 2 failed, 1 skipped"
