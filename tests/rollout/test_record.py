"""An outcome is one statement of the planner, however often it is recorded."""

import pytest

from answerable.kernel.errors import Refused, Unavailable
from answerable.ledger.reports import open_report
from answerable.rollout.record import LogRecorder
from answerable.rollout.view import Outcome
from tests.simulator import Simulator
from tests.simulator.keys import signer

OUTCOME = Outcome("ab" * 32, "outcome_unknown", "all hosts are final; outcome_unknown 1", 1_000)


class Log:
    """A report log that keeps what it is given, or refuses it."""

    def __init__(self, refusal: str = "") -> None:
        self.entries: list[bytes] = []
        self.refusal = refusal

    def append(self, entry: bytes) -> None:
        """Append, or refuse."""
        if self.refusal:
            raise Refused(self.refusal)
        self.entries.append(entry)


def recorder(log: Log, sim: Simulator) -> LogRecorder:
    """Give the planner's recorder."""
    return LogRecorder(signer("planner1"), lambda: (sim.fleet, sim.state.law()), log.append)


def test_an_outcome_is_a_statement_of_the_planner() -> None:
    """The report log's own reader opens it."""
    sim, log = Simulator(), Log()
    recorder(log, sim).record(OUTCOME)
    said = open_report(log.entries[0], sim.state.law().owners)
    assert said.kind == "outcome"
    assert said.one("planner") == "planner1"
    assert said.body == {
        "notice": OUTCOME.notice, "state": OUTCOME.state, "detail": OUTCOME.detail, "time": 1_000,
    }  # fmt: skip
    assert said.envelope["fleet"] == sim.fleet


def test_recorded_twice_it_is_the_same_statement() -> None:
    """A worker that died before it knew asks again: the bytes are the same."""
    sim, log = Simulator(), Log()
    for _ in range(2):
        recorder(log, sim).record(OUTCOME)
    assert log.entries[0] == log.entries[1]
    recorder(Log("duplicate"), sim).record(OUTCOME)


def test_a_log_that_refuses_is_asked_again() -> None:
    """Any other refusal leaves the rollout without its outcome, and it tries again."""
    with pytest.raises(Unavailable):
        recorder(Log("stale_charter"), Simulator()).record(OUTCOME)
