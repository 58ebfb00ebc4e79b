"""In the report log each says only what is its own to say."""

import pytest

from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused
from answerable.ledger.reports import REPORT, SIGNERS, open_report
from tests.ledger.fleet import BODIES, OWNERS, said


def reason(entry: bytes) -> str:
    """Give the word by which an entry is refused."""
    with pytest.raises(Refused) as refusal:
        open_report(entry, OWNERS)
    return refusal.value.reason


def test_every_type_has_its_signers() -> None:
    """No type can be added without saying who may say it."""
    assert REPORT.keys() == SIGNERS.keys() == BODIES.keys()


@pytest.mark.parametrize(("kind", "who"), [(k, w) for k, ws in SIGNERS.items() for w in sorted(ws)])
def test_those_who_may(kind: str, who: str) -> None:
    """Each type, signed by each who may say it, is opened."""
    opened = open_report(said(kind, who), OWNERS)
    assert (opened.kind, {k for k, _ in opened.signers}) == (kind, {who})


@pytest.mark.parametrize(
    ("kind", "who"),
    [(k, w) for k, ws in SIGNERS.items() for w in ("host", "observer", "planner", "person", "guard")
     if w not in ws],
)  # fmt: skip
def test_those_who_may_not(kind: str, who: str) -> None:
    """A planner that reports success for a host, and everybody else out of turn, is refused."""
    assert reason(said(kind, who)) == "not_admissible"


def test_host_reports_for_itself_only() -> None:
    """A stolen host key says nothing about other hosts."""
    assert reason(said("report", "host", host="web2")) == "not_admissible"


def test_two_signers_are_one_too_many() -> None:
    """Who said it must be plain."""
    assert reason(said("finding", "observer", "planner")) == "not_admissible"


@pytest.mark.parametrize(
    "change",
    [{"result": "done"}, {"seq": -1}, {"seq": True}, {"notice": "x"}, {"more": 1},
     {"observed": {"a": 1}}, {"host": "../web1"}],
)  # fmt: skip
def test_other_shapes(change: Json) -> None:
    """A report of another shape is malformed."""
    assert reason(said("report", "host", **change)) == "malformed"


def test_unknown_type_and_unknown_signer() -> None:
    """A type of the other log, a newer format, and a key nobody knows are refused."""
    assert reason(said("veto", "observer", body=BODIES["finding"])) == "unknown_record"
    assert reason(said("finding", "stranger")) == "bad_signature"
    newer = said("finding", "observer", version=2)
    assert reason(newer) == "unknown_record"
