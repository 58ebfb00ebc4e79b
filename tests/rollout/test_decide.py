"""Each rule of a rollout, as data: facts in, acts out."""

from dataclasses import replace

import pytest

from answerable.rollout.decide import AskUndo, Decision, Facts, Pace, Publish, Withdraw, decide
from answerable.rollout.view import (
    Failure,
    NoticeState,
    Observation,
    Order,
    Outcome,
    Report,
    Result,
    Sight,
)
from tests.fakes.fleet import NOTICE, plan

PACE = Pace(threshold=1, batch=2, patience=100)
OPEN = NoticeState(
    head=1000, clears=900, authorised=True, not_before=0, not_after=5000, advances={}
)
RINGS = plan(1, 3)
CANARY, SECOND = RINGS[0][0], RINGS[1]


def said(order: Order, result: Result = "succeeded", reason: str = "") -> tuple[Report, ...]:
    """Let a host report all its changes, the last with this result."""
    *first, last = order.changes
    good = [Report(order.host, change, "succeeded", "", 1) for change in first]
    return (*good, Report(order.host, last, result, reason, 2))


def saw(order: Order, result: Sight = "succeeded") -> Observation:
    """Let an observer look at a host."""
    return Observation(order.host, order.changes[-1], result)


def facts(**more: object) -> Facts:
    """Give the facts of an open notice of which nothing happened yet, changed as told."""
    return replace(Facts(NOTICE, OPEN, RINGS), **more)  # type: ignore[arg-type]


def after_canary(**more: object) -> Facts:
    """Give the facts after the first ring succeeded and was seen."""
    return facts(
        **{"published": {CANARY.host: 1000}, "reports": said(CANARY),
           "observations": (saw(CANARY),), **more}
    )  # fmt: skip


def state(**more: object) -> NoticeState:
    """Give the state of an open notice, changed as told."""
    return replace(OPEN, **more)  # type: ignore[arg-type]


def published(decision: Decision) -> list[str]:
    """Name the hosts that a decision hands bundles to."""
    return [o.host for act in decision.acts if isinstance(act, Publish) for o in act.orders]


def test_an_open_gate_hands_out_the_first_ring_only() -> None:
    """The first ring starts when its window is over; the second waits."""
    decision = decide(facts(), 1000, PACE)
    assert decision.life == "cleared"
    assert published(decision) == [CANARY.host]


@pytest.mark.parametrize(
    ("shut", "why"),
    [
        (state(clears=None), "waiting for deliveries"),
        (state(authorised=False), "waiting for authority"),
        (state(head=899), "waiting for the window"),
        (state(not_before=1001), "waiting for the window"),
    ],
)
def test_a_shut_gate_hands_out_nothing(shut: NoticeState, why: str) -> None:
    """Undelivered, unauthorised or too early: nothing is handed out, and it says why."""
    decision = decide(facts(state=shut), 1000, PACE)
    assert (decision.life, decision.why, decision.acts) == ("noticed", why, ())


@pytest.mark.parametrize("now", [1_000, 1_000_000])
def test_our_own_clock_opens_no_gate(now: int) -> None:
    """Only what cosigned heads prove to be over is over, whatever our clock says."""
    assert decide(facts(state=state(head=899)), now, PACE).acts == ()


def test_the_next_ring_needs_the_observers_advance_and_its_soak() -> None:
    """Success of a ring alone opens nothing."""
    waiting = decide(after_canary(), 1000, PACE)
    assert (waiting.acts, waiting.why) == ((), "waiting for the advance of ring 1")
    soaking = decide(after_canary(state=state(advances={1: 1500})), 1000, PACE)
    assert (soaking.acts, soaking.why) == ((), "ring 1 is soaking")
    opened = decide(after_canary(state=state(advances={1: 1500}, head=1500)), 1500, PACE)
    assert published(opened) == [o.host for o in SECOND[: PACE.batch]]


def test_an_advance_does_not_open_a_ring_before_the_one_before_it_is_seen() -> None:
    """A ring that reported and was not observed closes nothing, advance or not."""
    early = after_canary(state=state(advances={1: 0}), observations=())
    decision = decide(early, 1000, PACE)
    assert (decision.life, decision.acts) == ("observing", ())


def test_bundles_are_handed_out_in_batches_between_looks_at_the_log() -> None:
    """A veto in a large ring stops all but one batch."""
    going = {CANARY.host: 1000, SECOND[0].host: 1001, SECOND[1].host: 1001}
    decision = decide(after_canary(state=state(advances={1: 0}), published=going), 1001, PACE)
    assert published(decision) == [SECOND[2].host]


def test_everything_seen_to_succeed_is_success() -> None:
    """All hosts final and seen: the outcome is recorded."""
    decision = decide(
        facts(
            published={o.host: 1000 for ring in RINGS for o in ring},
            reports=tuple(r for ring in RINGS for o in ring for r in said(o)),
            observations=tuple(saw(o) for ring in RINGS for o in ring),
        ),
        1000,
        PACE,
    )
    assert decision.outcome == Outcome(
        NOTICE, "succeeded", "all hosts are final; succeeded 4", 1000
    )


def test_a_change_that_waits_for_a_reboot_is_not_called_success() -> None:
    """A host that must still boot keeps its own word."""
    one = facts(
        rings=plan(1), published={CANARY.host: 1000}, observations=(saw(CANARY),),
        reports=said(CANARY, "succeeded", "reboot_required"),
    )  # fmt: skip
    outcome = decide(one, 1000, PACE).outcome
    assert outcome is not None
    assert outcome.state == "reboot_required"


def test_a_reboot_that_was_done_is_no_longer_required() -> None:
    """The upgrade said that it needs one, a later change of the same order was it."""
    order = replace(CANARY, changes=("up", "boot"))
    one = facts(
        rings=((order,),), published={CANARY.host: 1000}, observations=(saw(CANARY),),
        reports=(
            Report(CANARY.host, "up", "succeeded", "reboot_required", 1),
            Report(CANARY.host, "boot", "succeeded", "rebooted", 2),
        ),
    )  # fmt: skip
    outcome = decide(one, 1000, PACE).outcome
    assert outcome is not None
    assert outcome.state == "succeeded"


def test_a_host_that_does_not_come_back_stops_its_ring() -> None:
    """It said what it did before its reboot and nothing since: no later ring, and it is named."""
    order = replace(CANARY, changes=("up", "boot", "health"))
    later = tuple(one for ring in RINGS[1:] for one in ring)
    lost = facts(
        rings=((order,), later), published={CANARY.host: 1000},
        reports=(Report(CANARY.host, "up", "succeeded", "reboot_required", 1),),
    )  # fmt: skip
    early = decide(lost, 1000 + PACE.patience, PACE)
    assert early.acts == ()
    decision = decide(lost, 1001 + PACE.patience, PACE)
    assert decision.acts == ()
    assert decision.why.startswith(f"not heard of since it began: {CANARY.host}; ")
    assert "waiting for the advance of ring 1" in decision.why


@pytest.mark.parametrize("word", ["vetoed", "halted", "withdrawn"])
def test_a_stop_takes_back_what_no_host_has_begun(word: str) -> None:
    """Veto, halt, withdrawal: no further bundle, running hosts finish, the outcome is `vetoed`."""
    going = {CANARY.host: 1000, SECOND[0].host: 1001, SECOND[1].host: 1001}
    begun = Report(SECOND[0].host, SECOND[0].changes[0], "succeeded", "", 3)
    stopped = after_canary(
        published=going, reports=(*said(CANARY), begun), state=state(**{word: True})
    )
    first = decide(stopped, 1002, PACE)
    assert (first.life, first.why, first.outcome) == ("vetoed", word, None)
    assert first.acts == (Withdraw((SECOND[1], SECOND[2])),)
    ended = replace(
        stopped, withdrawn={SECOND[1].host: 1002, SECOND[2].host: 1002},
        reports=(*said(CANARY), *said(SECOND[0]), *said(SECOND[1], "refused", "vetoed")),
        observations=(saw(CANARY), saw(SECOND[0])),
    )  # fmt: skip
    last = decide(ended, 1003, PACE)
    assert last.outcome is not None
    assert last.outcome.state == "vetoed"
    assert last.outcome.detail == f"{word}; held 1, refused 1, succeeded 2"


def test_a_veto_after_the_last_host_does_not_rewrite_what_happened() -> None:
    """A rollout that is over has its own outcome."""
    done = after_canary(rings=plan(1), state=state(vetoed=True))
    outcome = decide(done, 1000, PACE).outcome
    assert outcome is not None
    assert outcome.state == "succeeded"


def test_the_first_failure_halts_the_ring() -> None:
    """One failed host at a threshold of one: the rest of the ring is taken back."""
    going = {CANARY.host: 1000, SECOND[0].host: 1001, SECOND[1].host: 1001}
    failed = after_canary(
        published=going, state=state(advances={1: 0}),
        reports=(*said(CANARY), *said(SECOND[0], "failed")),
    )  # fmt: skip
    decision = decide(failed, 1002, PACE)
    assert (decision.life, decision.why) == ("failed", "too many hosts failed")
    assert decision.acts == (Withdraw((SECOND[1], SECOND[2])),)


def test_below_the_threshold_a_ring_goes_on() -> None:
    """A larger fleet may tolerate a failed host."""
    going = {CANARY.host: 1000, SECOND[0].host: 1001}
    failed = after_canary(
        published=going, state=state(advances={1: 0}),
        reports=(*said(CANARY), *said(SECOND[0], "failed")),
    )  # fmt: skip
    assert published(decide(failed, 1002, replace(PACE, threshold=2))) == ["h2", "h3"]


def test_undo_is_asked_for_when_host_and_observer_agree() -> None:
    """The host's own report and an observer's failure record: two parties, one change."""
    failed = facts(
        published={CANARY.host: 1000}, reports=said(CANARY, "failed"),
        observations=(saw(CANARY, "failed"),), failures=(Failure(CANARY.host, CANARY.changes[-1]),),
    )  # fmt: skip
    decision = decide(failed, 1001, PACE)
    assert AskUndo((CANARY,)) in decision.acts
    assert decision.outcome is None
    asked = replace(failed, asked={CANARY.host: 1001})
    assert not any(isinstance(act, AskUndo) for act in decide(asked, 1002, PACE).acts)
    undone = Report(CANARY.host, CANARY.undo[0], "succeeded", "", 3)
    ended = decide(replace(asked, reports=(*asked.reports, undone)), 1003, PACE)
    assert ended.outcome is not None
    assert ended.outcome.detail == "too many hosts failed; held 3, undone 1"


@pytest.mark.parametrize(
    "forged",
    [
        facts(published={"h0": 1000}, failures=(Failure("h0", "h0.check"),)),
        facts(
            published={"h0": 1000}, reports=said(CANARY), observations=(saw(CANARY, "failed"),),
            failures=(Failure("h0", "h0.check"),),
        ),
        facts(published={"h0": 1000}, reports=said(CANARY, "failed")),
        facts(
            published={"h0": 1000}, reports=said(CANARY, "failed"),
            failures=(Failure("h0", "h0.up"),),
        ),
    ],
    ids=["observer alone", "host says it succeeded", "host alone", "about another change"],
)  # fmt: skip
def test_forged_failure_signals_cause_no_undo(forged: Facts) -> None:
    """A failure that only one party knows of never makes anything roll back."""
    for now in (1001, 2000):
        acts = decide(forged, now, PACE).acts
        assert not any(isinstance(act, AskUndo) for act in acts)


@pytest.mark.parametrize(
    "unknown",
    [
        facts(rings=plan(1), published={"h0": 1000}),
        facts(rings=plan(1), published={"h0": 1000}, reports=said(CANARY, "outcome_unknown")),
        facts(
            rings=plan(1), published={"h0": 1000}, reports=said(CANARY, "outcome_unknown"),
            failures=(Failure("h0", "h0.check"),), observations=(saw(CANARY, "unreachable"),),
        ),
        facts(rings=plan(1), published={"h0": 1000}, reports=said(CANARY)),
    ],
    ids=["silence", "the host does not know", "unreachable", "nobody looked"],
)  # fmt: skip
def test_an_unknown_outcome_is_its_own_state_and_never_undone(unknown: Facts) -> None:
    """Silence is neither success nor failure, and nothing is rolled back for it."""
    decision = decide(unknown, 1000 + 2 * PACE.patience + 1, PACE)
    assert decision.outcome is not None
    assert decision.outcome.state == "outcome_unknown"
    assert not any(isinstance(act, AskUndo) for act in decision.acts)


def test_a_false_success_report_is_a_failure() -> None:
    """What an observer saw fail did fail, whatever the host says."""
    lied = after_canary(observations=(saw(CANARY, "failed"),))
    decision = decide(lied, 1001, PACE)
    assert decision.outcome is not None
    assert decision.outcome.state == "failed"


def test_a_ring_that_refuses_ends_the_rollout() -> None:
    """When every host of a ring refuses, there is nothing to wait for."""
    refused = facts(published={CANARY.host: 1000}, reports=said(CANARY, "refused", "no_authority"))
    outcome = decide(refused, 1001, PACE).outcome
    assert outcome is not None
    assert outcome.state == "refused"


def test_a_passing_refusal_is_waited_for_and_a_later_report_counts() -> None:
    """A host that asked too early will ask again."""
    early = facts(published={CANARY.host: 1000}, reports=said(CANARY, "refused", "stale_head"))
    assert decide(early, 1001, PACE).outcome is None
    outcome = decide(early, 1000 + PACE.patience + 1, PACE).outcome
    assert outcome is not None
    assert outcome.state == "refused"
    later = Report(CANARY.host, CANARY.changes[-1], "succeeded", "", 9)
    again = replace(
        early, rings=plan(1), reports=(*early.reports, later), observations=(saw(CANARY),)
    )
    good = decide(again, 1001, PACE).outcome
    assert good is not None
    assert good.state == "succeeded"


def test_past_not_after_the_rest_expires() -> None:
    """What was not handed out in time never is."""
    decision = decide(facts(state=state(head=5001)), 5001, PACE)
    assert decision.outcome is not None
    assert decision.outcome.state == "expired"
    assert published(decision) == []


def test_a_recorded_outcome_ends_everything() -> None:
    """Once the log has an outcome, nothing more is done, whatever else it says."""
    decision = decide(facts(outcome=Outcome(NOTICE, "vetoed", "by lee", 999)), 1000, PACE)
    assert decision == Decision("vetoed", "by lee", done=True)


def test_lost_notes_only_repeat_what_is_safe_to_repeat() -> None:
    """Without our own table, hosts that reported are known from the log, others are asked again."""
    lost = after_canary(published={}, state=state(advances={1: 0}))
    assert published(decide(lost, 1000, PACE)) == ["h1", "h2"]
