"""Saying how a rollout ended: one `outcome` statement in the report log.

A recorder may be asked twice for the same notice, by two workers or after a kill. It must then
append nothing new if the log already holds an outcome, and otherwise write the same text again:
the statement's nonce is a hash of the notice, so readers see one statement however often it stands
there, and the first one counts.
"""

from hashlib import sha256
from typing import Protocol

from answerable.rollout.view import Outcome


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
