"""The three families of failure.

* bad evidence: `Refused`, with one word of the published list below (docs/spec/reasons.md explains
  each). It is raised by every parser and returned by `verify`; nothing else is ever raised on
  untrusted bytes.
* bad world: `Unavailable`; a file, a peer or a tool is missing. Each room has its own subclass.
* bad caller: an assertion.
"""

from typing import Literal, get_args

# fmt: off
Reason = Literal[
    "too_large", "malformed", "bad_key", "bad_signature", "bad_inclusion", "no_user_verification",
    "no_quorum", "wrong_fleet", "wrong_origin", "stale_charter", "not_admissible", "duplicate",
    "unknown_subject", "bad_charter", "unknown_record", "bad_start", "zone_dropped", "no_notice",
    "stale_head", "split_view", "state_diverged", "behind", "charter_expired", "state_rolled_back",
    "not_mine", "not_enrolled", "not_in_ring", "consumed", "out_of_order", "not_delivered",
    "window_open", "stale_snapshot", "fact_not_proven", "not_a_fix", "drift", "withdrawn", "vetoed",
    "halted", "no_authority", "authorization_too_young", "authorization_lapsed", "not_covered",
    "not_enough_people", "excluded_zone", "ring_too_large", "fleet_limit", "too_early", "too_late",
    "outside_window", "ring_not_open", "action_not_allowed", "downgrade", "artefact_swapped",
    "undo_not_granted", "failure_not_corroborated", "undo_needs_people", "undo_storm",
]
# fmt: on
REASONS: frozenset[str] = frozenset(get_args(Reason))


class Refused(Exception):  # noqa: N818  a refusal is an answer of the kernel, not an error in it
    """Evidence that does not convince; `reason` is one word of `REASONS`.

    `detail` says what was found and where, for people; it is never parsed.
    """

    def __init__(self, reason: Reason, detail: str = "") -> None:
        """Keep the word and what was found."""
        super().__init__(reason, detail)
        self.reason, self.detail = reason, detail


class Unavailable(Exception):  # noqa: N818  the state of the world, named as such
    """Something outside this process is missing or broken; retrying later may help."""


def demand(fact: object, reason: Reason, detail: str = "") -> None:
    """Go on only if the fact holds.

    Raises:
        Refused: with this reason otherwise.
    """
    if not fact:
        raise Refused(reason, detail)
