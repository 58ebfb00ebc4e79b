"""Saying how a rollout ended: one `outcome` statement in the report log.

A rollout records only if the log holds no outcome of its notice. A kill between asking and reading
may still make it ask twice: then the same words are the same statement (its nonce is a hash of the
notice) and the log takes them once, and of different words the first count.
"""

from collections.abc import Callable
from hashlib import sha256
from typing import Protocol

from answerable.kernel.charter import Charter
from answerable.kernel.errors import Refused, Unavailable
from answerable.keys.sign import Signer, sign_note, statement_text
from answerable.rollout.view import Outcome


class RecordUnavailable(Unavailable):
    """The report log does not take the outcome now."""


class Recorder(Protocol):
    """Append outcomes."""

    def record(self, outcome: Outcome) -> None:
        """Append durably before returning.

        Raises:
            Unavailable: the log cannot be reached; the rollout asks again.
        """


def outcome_nonce(notice: str) -> str:
    """Give the nonce of the outcome statement of a notice, 32 hex characters."""
    return sha256(f"answerable/outcome/v1\n{notice}".encode()).hexdigest()[:32]


class LogRecorder:
    """`Recorder` on the report log.

    Args:
        signer: the planner's key.
        law: gives fleet id and charter in force.
        append: appends one entry durably to the report log; raises `Refused` in the log's words, or
            `Unavailable`.
    """

    def __init__(
        self,
        signer: Signer,
        law: Callable[[], tuple[str, Charter]],
        append: Callable[[bytes], object],
    ) -> None:
        self._signer = signer
        self._law = law
        self._append = append

    def record(self, outcome: Outcome) -> None:
        """See `Recorder.record`."""
        fleet, law = self._law()
        body = {
            "notice": outcome.notice, "state": outcome.state, "detail": outcome.detail,
            "time": outcome.time,
        }  # fmt: skip
        text = statement_text(
            "outcome", body, charter=law.body["number"], fleet=fleet,
            origin=law.body["logs"]["report"]["origin"], nonce=outcome_nonce(outcome.notice),
        )  # fmt: skip
        try:
            self._append(sign_note(text, self._signer))
        except Refused as refusal:
            if refusal.reason != "duplicate":
                raise RecordUnavailable(
                    f"the outcome of `{outcome.notice}`: {refusal}"
                ) from refusal
