"""Disable each of the twelve checks in turn; exactly that check's attacks must then succeed.

`make mutate-checks` runs this. The attacks of check n are the tests of `test_check_<n>_*.py`. With
check n made to swallow its refusals each of them must fail, and the tests of all other checks must
pass as before: so no check is idle, none is a shadow of another, and every attack is counted under
the check that stops it. What a check shares with later ones (the head of 1, the noticed checkpoint
of 4, the proven facts of 5) is made to believe anything along with it.
"""

import base64
import contextlib
import io
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from answerable.kernel import verify as kernel
from answerable.kernel.canon import decode
from answerable.kernel.checkpoint import Cosigned, parse_checkpoint
from answerable.kernel.errors import Refused
from answerable.kernel.fresh import Freshness, Head, read_head
from answerable.kernel.merkle import leaf_hash

HERE = Path(__file__).parent
_LIMIT = 1 << 20


def swallow(check: Callable[[Any], None]) -> Callable[[Any], None]:
    """Run a check and believe whatever it refuses."""

    def disabled(case: Any) -> None:  # noqa: ANN401  the kernel's own case
        with contextlib.suppress(Refused):
            check(case)

    return disabled


def _stamp(note: str) -> int:
    """Give the largest time that a note's signature lines claim."""
    lines = note.rpartition("\n\n")[2].split("\n")[:-1]
    payloads = [base64.b64decode(line.split(" ")[2])[4:12] for line in lines]
    times = [int.from_bytes(p, "big") for p in payloads]
    return max(time for time in times if time < 1 << 40)


def believing_head(real: Callable[..., Head]) -> Callable[..., Head]:
    """Take the first reply's word where the guards do not convince."""

    def head(fresh: Freshness, state: Any, key: Any, now: float) -> Head:  # noqa: ANN401
        try:
            return real(fresh, state, key, now)
        except Refused:
            notes = [decode(reply, _LIMIT)["checkpoint"] for reply in fresh.replies]
            time = max(map(_stamp, notes), default=Believed.now)
            return Head(time, time, {})

    return head


class Believed:
    """What a kernel without check 1 believes where not even one guard has answered."""

    now = 1_800_009_200


def _noticed(case: Any) -> Cosigned:  # noqa: ANN401  the kernel's own case
    note = case.bundle.body["checkpoint"]
    try:
        seen: Cosigned = case.past(note)
    except Refused:
        at = parse_checkpoint(note.encode().rpartition(b"\n\n")[0] + b"\n")
        seen = Cosigned(at, _stamp(note), _stamp(note), frozenset())
    return seen


def _facts(case: Any) -> dict[str, Any]:  # noqa: ANN401  the kernel's own case
    given = [fact["fact"].encode() for fact in case.bundle.body["facts"]]
    return {leaf_hash(text).hex(): decode(text, _LIMIT) for text in given}


@contextmanager
def disabled(number: int) -> Iterator[None]:
    """Let the kernel go without one of its checks (0: with all)."""
    patch = pytest.MonkeyPatch()
    checks = list(kernel.CHECKS)
    if number:
        checks[number - 1] = swallow(checks[number - 1])
        patch.setattr(kernel, "CHECKS", tuple(checks))
    if number == 1:
        patch.setattr(kernel, "read_head", believing_head(read_head))
    for at, name, lenient in ((4, "noticed", _noticed), (5, "facts", _facts)):
        if number == at:
            lax = cached_property(lenient)
            lax.__set_name__(kernel._Case, name)
            patch.setattr(kernel._Case, name, lax)
    try:
        yield
    finally:
        patch.undo()


class Tally:
    """Which tests failed, by the number of the check that their file names."""

    def __init__(self) -> None:
        """Start with nothing."""
        self.failed: dict[int, list[str]] = {}
        self.passed: dict[int, list[str]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Note one test's outcome."""
        found = re.search(r"test_check_(\d\d)", report.nodeid)
        if report.when == "call" and found:
            into = self.passed if report.passed else self.failed
            into.setdefault(int(found[1]), []).append(report.nodeid.rpartition("/")[2])


def run(number: int) -> Tally:
    """Run the attacks of every check with one check disabled."""
    tally, quiet = Tally(), io.StringIO()
    files = sorted(str(path) for path in HERE.glob("test_check_*.py"))
    options = ["-q", "--no-header", "--tb=no", "-p", "no:cacheprovider", "-p", "no:xdist"]
    with disabled(number), contextlib.redirect_stdout(quiet):
        pytest.main([*options, *files], plugins=[tally])
    return tally


def main() -> int:
    """Print a table; give 0 if every check is answerable for its own attacks and no others."""
    wrong: list[str] = []
    say = sys.stdout.write
    say("disabled  its attacks  that succeed  others that succeed\n")
    for number in range(len(kernel.CHECKS) + 1):
        tally = run(number)
        own = tally.failed.get(number, []) if number else []
        missed = tally.passed.get(number, []) if number else []
        others = [t for n, failed in tally.failed.items() if n != number or not n for t in failed]
        name = kernel.CHECKS[number - 1].__name__[1:] if number else "none"
        count = len(own) + len(missed)
        say(f"{name:16}{count:5}{len(own):14}{len(others):21}\n")
        sys.stdout.flush()
        wrong += [f"check {number} is not what stops {test}" for test in missed]
        wrong += [f"without check {number} also: {test}" for test in others]
        wrong += [f"check {number} has no attack"] if number and not count else []
    say("".join(f"{line}\n" for line in wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
