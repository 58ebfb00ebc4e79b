"""A rollout opens its gate exactly when a host would obey: the view and the kernel agree."""

import json
from collections.abc import Callable
from hashlib import sha256

import pytest

from answerable.kernel.canon import Json, encode
from answerable.kernel.checkpoint import cosigned
from answerable.kernel.errors import Refused
from answerable.kernel.statement import Statement
from answerable.kernel.verify import Permit
from answerable.rollout.decide import Facts, Pace, Publish, decide
from answerable.rollout.logs import Authority, LogView, Seen
from answerable.rollout.view import Failure, Observation, Outcome, Report, ViewUnavailable
from tests.simulator import RINGS, Order, Simulator
from tests.simulator.constitution import approval, by_people, veto, withdrawal

PACE = Pace()


def plan_of(sim: Simulator) -> bytes:
    """Write the document of the plan that the simulator notices."""
    return encode({
        "author": "planner1", "basis": "authorization", "clause": "urgent", "escalated": [],
        "exposures": [], "fleet": sim.fleet, "releases": [sim.released], "title": "libssl3",
        "rings": sim.orders(RINGS),
    }).encode()  # fmt: skip


class Case:
    """One rollout in the simulator, and what a control plane makes of the same log."""

    def __init__(self, **fleet: Json) -> None:
        self.sim = Simulator(**fleet)
        self.plan = plan_of(self.sim)
        self.said: list[Statement] = []
        self.notes: list[str] = [self.sim.authorized]
        self.order: Order

    def play(self, host: str = "web1", edit: Callable[[Json], None] = lambda _: None,
             **knobs: Json) -> "Case":  # fmt: skip
        """Notice, tell, wait."""

        def notice(body: Json) -> None:
            body |= {"plan": sha256(self.plan).hexdigest(), "zones": ["api", "web"]}
            edit(body)

        self.order = self.sim.play(host, **{"notice": notice, **knobs})
        self.notes.append(self.order.checkpoint)
        return self

    def authority(self) -> Authority:
        """Give what the control plane follows: old cosigned checkpoints, and the head of now."""
        law = self.sim.state.law()
        seen = []
        for note in [*self.notes, self.sim.checkpoint()]:
            found = cosigned(note.encode(), law.origin, law.guards["witness"], law.quorum)
            seen.append(Seen(note, found.checkpoint.size, found.past, found.present))
        return Authority(self.sim.state, seen)

    @property
    def view(self) -> LogView:
        """The view under test."""
        return LogView(self.authority, lambda _: self.said, lambda _: self.plan)

    def opened(self) -> bool:
        """Tell whether a rollout would hand the bundle out now, all before it being well."""
        view, leaf = self.view, self.order.notice
        rings = view.rings(leaf)
        before = [one for ring in rings[: self.order.ring] for one in ring]
        facts = Facts(
            leaf, view.notice_state(leaf), rings,
            [Report(o.host, c, "succeeded", "", 1) for o in before for c in o.changes],
            [Observation(o.host, o.changes[-1], "succeeded") for o in before],
        )  # fmt: skip
        acts = decide(facts, self.sim.now, PACE).acts
        return any(
            self.order.host in {o.host for o in act.orders}
            for act in acts
            if isinstance(act, Publish)
        )

    def agree(self, reason: str = "") -> None:
        """Demand that the kernel permits and the gate is open, or refuses so and it is shut."""
        verdict = self.sim.ask(self.order)
        if not reason:
            assert isinstance(verdict, Permit), verdict
        else:
            assert isinstance(verdict, Refused)
            assert verdict.reason == reason
        assert self.opened() is not bool(reason), self.view.notice_state(self.order.notice)


def test_the_gate_is_open_when_the_host_permits() -> None:
    """Noticed, told, waited for: the bundle goes out and the host obeys."""
    Case().play().agree()
    Case().play(wait=1_860).agree()


def test_the_gate_is_shut_one_second_before_the_window_is_over() -> None:
    """The longest of the windows and the grace count, from cosigned time to cosigned time."""
    Case().play(wait=1_859).agree("window_open")
    Case().play(edit=lambda n: n.update(window=2_400)).agree("window_open")
    Case(authorization=lambda a: a.update(window=2_400)).play().agree("window_open")


def test_told_to_nobody_the_gate_stays_shut() -> None:
    """A notice that reached too few, or only its own proposer, opens nothing."""
    Case().play(told=()).agree("not_delivered")
    Case().play(told=[("g1", "lee")] * 3 + [("g1", "kim")]).agree("not_delivered")
    lee = [(guard, "lee") for guard in ("g1", "g2", "g3")]
    told = [*lee, ("g1", "kim"), ("g2", "kim")]
    proposer = Case()
    proposer.play(told=told, edit=lambda n: n.update(author="lee")).agree("not_delivered")


def test_a_mail_server_s_word_is_not_enough_where_a_person_must_act() -> None:
    """The charter may demand that somebody opened it."""

    def strict(charter: Json) -> None:
        charter["limits"]["opens"] = "acknowledged"

    Case(charter=strict).play().agree("not_delivered")


@pytest.mark.parametrize("what", ["notice", "artefacts", "targets", "authorization"])
def test_a_veto_in_any_form_stops_the_rollout(what: str) -> None:
    """By notice, by artefact, by version, by authorization."""
    case = Case().play()
    said = case.sim.state.notices[case.order.notice]["body"]
    subject: Json = case.order.notice if what == "notice" else said[what]
    statement = case.sim.tell("veto", veto(**{what: subject}), "lee")
    case.agree("vetoed")
    assert case.view.notice_state(case.order.notice).stopped == "vetoed"
    case.sim.tell("lift", {"lifts": [statement], "reason": "we talked"}, "dana", "kim")
    case.agree()


def test_a_halt_of_a_zone_stops_the_rollout() -> None:
    """Nothing further in that zone until the halt is lifted."""
    case = Case().play()
    case.sim.tell("halt", {"zones": ["web"], "reason": "freeze"}, "lee")
    case.agree("halted")


def test_an_emergency_has_its_own_window_and_people() -> None:
    """Shorter notice, more people: the gate follows the charter's emergency rules."""

    def urgent(notice: Json) -> None:
        notice |= {"emergency": True, "window": 300, "not_after": notice["not_before"] + 3_600}

    for wait, people, reason in (
        (300, ("kim", "mo", "fay"), ""),
        (299, ("kim", "mo", "fay"), "window_open"),
        (300, ("kim", "mo"), "not_enough_people"),
    ):
        case = Case(authorization=lambda a: a.update(window=0)).play(edit=urgent, wait=wait)
        for person in people:
            case.sim.tell("approval", approval(case.order.notice), person)
        case.agree(reason)


def test_a_halt_of_another_zone_does_not() -> None:
    """Another zone's halt is another zone's."""
    case = Case().play()
    case.sim.tell("halt", {"zones": ["pci"], "reason": "freeze"}, "lee")
    case.agree()


def test_a_withdrawn_artefact_or_fact_stops_the_rollout() -> None:
    """One attester saw that it was replaced."""
    for part in ("artefacts", "facts"):
        case = Case().play()
        said = case.sim.state.notices[case.order.notice]["body"]
        facts = tuple(
            p["advisories"][0]
            for text in case.sim.orders(RINGS)[0]
            for c in json.loads(text)["changes"]
            for p in c.get("packages", ())
            if p["advisories"]
        )
        body = withdrawal(**{part: tuple(said["artefacts"]) if part == "artefacts" else facts})
        case.sim.tell("withdrawal", body, "g1")
        case.agree("withdrawn")


def test_a_revoked_lapsed_or_too_young_authorization_opens_nothing() -> None:
    """The authorization must be in force, older than its delay, and not past its review."""
    case = Case().play()
    body = {"authorization": case.sim.authorization, "reason": "no more"}
    case.sim.tell("revocation", body, "dana")
    case.agree("authorization_lapsed")
    review = Case(authorization=lambda a: a.update(review_by=1_800_000_100))
    review.play().agree("authorization_lapsed")
    slow = Case(charter=lambda c: c["limits"].update(authorization_delay=86_400))
    slow.play().agree("authorization_too_young")


def test_approvals_by_enough_people_open_the_gate() -> None:
    """Two named people, neither of them the proposer; and more for more hosts."""
    for people, reason in ((("lee",), "not_enough_people"), (("lee", "kim"), "")):
        case = Case().play(edit=by_people)
        for person in people:
            case.sim.tell("approval", approval(case.order.notice), person)
        # Zone api has approvers of its own, who are the same two; web has none.
        case.agree(reason)


def test_the_next_ring_opens_with_its_advance_and_not_before() -> None:
    """f+1 observers, over the soak: the gate of ring 1 follows the host's own rule."""
    case = Case().play("web2", wait=2_600)
    case.agree("ring_not_open")
    case.sim.advance(case.order, 1, observers=("o1",))
    case.agree("ring_not_open")
    case.sim.advance(case.order, 1, observers=("o2",), soak=599)
    case.agree("ring_not_open")
    case.sim.advance(case.order, 1)
    case.agree()


def test_a_failure_record_counts_for_the_very_order_and_not_for_silence() -> None:
    """An observer's failure of another order, or of a host it could not reach, undoes nothing."""
    case = Case().play()
    body = {"notice": case.order.notice, "change": "health", "host": "web1", "report": "ab" * 32}
    digest = sha256(case.order.text.encode()).hexdigest()
    case.sim.tell("failure", {**body, "order": "cd" * 32, "cause": "health"}, "o1")
    assert case.view.failures(case.order.notice) == []
    case.sim.tell("failure", {**body, "order": digest, "cause": "unreachable"}, "o1")
    assert case.view.failures(case.order.notice) == []
    case.sim.tell("failure", {**body, "order": digest, "cause": "health"}, "o2")
    assert case.view.failures(case.order.notice) == [Failure("web1", "health")]


def statement(kind: str, body: Json) -> Statement:
    """Make a statement of the report log whose signature held."""
    return Statement(
        id="ab" * 32, leaf="cd" * 32, kind=kind, body=body, envelope={}, signers=frozenset(),
        people=set(), known=True,
    )  # fmt: skip


def test_reports_and_observations_count_for_the_very_order() -> None:
    """What is said about another order, or by another host, is not about this rollout."""
    case = Case().play()
    digest = sha256(case.order.text.encode()).hexdigest()
    report = {"host": "web1", "order": digest, "change": "up", "result": "succeeded",
              "reason": "", "seq": 7}  # fmt: skip
    seen = {"host": "web1", "order": digest, "change": "up", "result": "failed"}
    case.said = [
        statement("report", report), statement("report", {**report, "order": "ef" * 32}),
        statement("report", {**report, "host": "web2"}), statement("observation", seen),
        statement("outcome", {"state": "failed", "detail": "d", "time": 9}),
        statement("outcome", {"state": "succeeded", "detail": "later", "time": 10}),
    ]  # fmt: skip
    leaf = case.order.notice
    assert case.view.reports(leaf) == [Report("web1", "up", "succeeded", "", 7)]
    assert case.view.observations(leaf) == [Observation("web1", "up", "failed")]
    assert case.view.outcome(leaf) == Outcome(leaf, "failed", "d", 9)
    assert case.view.open_notices() == []
    case.said = []
    assert case.view.open_notices() == [leaf]


def test_another_plan_than_the_one_noticed_is_no_plan() -> None:
    """A swapped, broken or missing plan document stops the rollout where it is."""
    case = Case().play()
    good = case.plan
    for bad in (good.replace(b"libssl3", b"libssl4", 1), b"{}", b"\xff"):
        case.plan = bad
        with pytest.raises(ViewUnavailable):
            case.view.rings(case.order.notice)


def test_an_unknown_notice_or_an_unknown_record_is_unavailable() -> None:
    """Nothing is decided about a log that is not understood."""
    case = Case().play()
    with pytest.raises(ViewUnavailable):
        case.view.notice_state("ab" * 32)
    case.sim.state.tables["stopped"] = "curfew/v1"
    with pytest.raises(ViewUnavailable):
        case.view.notice_state(case.order.notice)
