"""Check 4: people who may object were told, and had their time, as guards' clocks prove it."""

from functools import partial

import pytest

from answerable.kernel.canon import Json
from tests.attacks.verdict import allowed, refused
from tests.simulator import DAY, GUARDS, HOUR, TOLD, Simulator
from tests.simulator.constitution import guard_keys
from tests.simulator.log import fork
from tests.simulator.world import nothing

LEE = tuple((guard, "lee") for guard in GUARDS)


def test_window_still_open(sim: Simulator) -> None:
    """One second before the window and its grace are over."""
    sim.permitted(wait=1_860)
    refused(sim.mutant(wait=1_859), "window_open")


def test_emergency_window_still_open(sim: Simulator) -> None:
    """An emergency has a shorter window, and still one."""

    def urgent(notice: Json) -> None:
        notice |= {"emergency": True, "window": 300, "not_after": notice["not_before"] + HOUR}

    free = Simulator(authorization=lambda a: a.update(window=0))
    for wait, ends in ((300, allowed), (299, None)):
        twin = Simulator(*free.knobs)
        order = twin.play(notice=urgent, wait=wait)
        for person in ("kim", "mo", "fay"):
            twin.tell("approval", {"notice": order.notice, "reason": "", "undo": False}, person)
        verdict = twin.ask(order)
        ends(verdict) if ends else refused(verdict, "window_open")


WINDOWS = ("charter", "authorization", "notice")


@pytest.mark.parametrize("who", WINDOWS)
def test_longest_window_counts(sim: Simulator, who: str) -> None:
    """Of charter, authorization and notice the longest window is kept."""
    sim.permitted()

    def longer(body: Json) -> None:
        body.get("limits", body)["window"] = 2_400

    edits: Json = {what: longer if what == who else nothing for what in WINDOWS}
    twin = Simulator(edits["charter"], edits["authorization"])
    refused(twin.ask(twin.play(notice=edits["notice"])), "window_open")


def test_backdated_notice(sim: Simulator) -> None:
    """A liar says that it saw the notice a day ago: the others' later times count."""
    sim.permitted()
    twin = Simulator()
    order = twin.play(wait=1_000)
    order.checkpoint = twin.checkpoint(times={"g4": twin.now - DAY})
    refused(twin.ask(order), "window_open")


def test_checkpoint_from_before_the_notice(sim: Simulator) -> None:
    """An honest, old checkpoint that does not yet hold the notice."""
    order = sim.permitted()
    order.checkpoint = sim.authorized
    refused(sim.ask(order), "not_delivered")


def test_checkpoint_from_before_the_deliveries(sim: Simulator) -> None:
    """The window is counted from when people were told, not from when it was written down."""
    order = sim.permitted()
    index = sim.state.notices[order.notice]["index"]
    order.checkpoint = sim.checkpoint(size=index + 1)
    refused(sim.ask(order), "not_delivered")


def test_checkpoint_cosigned_by_too_few(sim: Simulator) -> None:
    """Two of four guards do not prove a time."""
    order = sim.permitted()
    order.checkpoint = sim.checkpoint(guards=("g1", "g2"))
    refused(sim.ask(order), "no_quorum")


def test_checkpoint_of_guards_since_replaced(sim: Simulator) -> None:
    """What convinced under the last charter has to convince again under this one."""
    order = sim.permitted()

    def others(body: Json) -> None:
        for old, new in (("g3", "g5"), ("g4", "g6")):
            body["guards"][new] = body["guards"].pop(old) | {"operator": new, **guard_keys(new)}

    sim.succeed(others, "dana", "lee")
    alive = ("g1", "g2", "g5", "g6")
    sim.authorized = sim.checkpoint(guards=alive)
    sim.now += 2 * HOUR
    refused(sim.ask(order, freshness=sim.fresh("web1", alive)), "no_quorum")


def test_checkpoint_without_post_quantum_cosignatures(sim: Simulator) -> None:
    """Stripped of its ML-DSA lines a checkpoint is cosigned by nobody."""
    order = sim.permitted()
    head, _, tail = order.checkpoint.rpartition("\n\n")
    lines = [line for line in tail.split("\n") if len(line) < 1_000]
    order.checkpoint = head + "\n\n" + "\n".join(lines)
    refused(sim.ask(order), "no_quorum")


def test_checkpoint_of_another_history(sim: Simulator) -> None:
    """A quorum was shown another log of the same size."""
    order = sim.permitted()
    other = fork(sim.state.tree, [b"\x05" * 32] * 2, sim.state.tree.size - 2)
    order.checkpoint = sim.checkpoint(other)
    refused(sim.ask(order), "split_view")


def test_checkpoint_of_another_log(sim: Simulator) -> None:
    """The report log's checkpoint says nothing about a notice."""
    order = sim.permitted()
    honest, sim.charter["logs"]["authority"]["origin"] = sim.origin, "log.example/report"
    order.checkpoint = sim.checkpoint()
    sim.charter["logs"]["authority"]["origin"] = honest
    refused(sim.ask(order), "wrong_origin")


def test_liar_in_the_future_cannot_shorten_the_window(sim: Simulator) -> None:
    """One guard's clock runs a day ahead."""
    sim.permitted()
    twin = Simulator()
    order = twin.play(wait=1_000)
    fresh = twin.fresh("web1", times={"g4": twin.now + DAY})
    refused(twin.ask(order, freshness=fresh), "window_open")


def test_notice_told_to_nobody(sim: Simulator) -> None:
    """A notice that stands in the log and was never delivered."""
    sim.permitted()
    refused(sim.mutant(told=()), "not_delivered")


def test_notice_told_to_the_wrong_people(sim: Simulator) -> None:
    """Everybody was told, but those who may object for this zone."""
    sim.permitted()
    wrong = [(g, p) for g in GUARDS for p in ("mo", "kim", "ava", "dana")]
    refused(sim.mutant(told=wrong), "not_delivered")


def test_notice_told_by_one_operator_alone(sim: Simulator) -> None:
    """One operator says three times that it told."""
    sim.permitted()
    refused(sim.mutant(told=[("g1", "lee")] * 3), "not_delivered")


def test_deliveries_forged_by_the_control_plane(sim: Simulator) -> None:
    """Deliveries signed by the planner, an observer, the objector's deputy."""
    sim.permitted()
    twin = Simulator()

    def forge(leaf: str) -> None:
        body = {"notice": leaf, "plan": "ab" * 32, "person": "lee", "channel": "mail",
                "status": "acknowledged", "time": twin.now}  # fmt: skip
        for liar in ("planner1", "o1", "o2", "kim"):
            refused(twin.append(twin.write("delivery", body, liar)), "not_admissible")

    refused(twin.ask(twin.play(told=[("g1", "lee")], before=forge)), "not_delivered")


def test_notice_told_to_its_own_proposer(sim: Simulator) -> None:
    """Lee proposes, and only Lee is told."""
    sim.permitted(told=LEE)
    refused(sim.mutant(told=LEE, notice=lambda n: n.update(author="lee")), "not_delivered")


def test_acceptance_where_a_person_must_act() -> None:
    """The charter demands that somebody opened it; a mail server's word is not that."""

    def strict(charter: Json) -> None:
        charter["limits"]["opens"] = "acknowledged"

    for status in ("acknowledged", "accepted"):
        twin = Simulator(charter=strict)
        order = twin.play(told=(), before=partial(twin.deliver, told=TOLD, status=status))
        verdict = twin.ask(order)
        allowed(verdict) if status == "acknowledged" else refused(verdict, "not_delivered")


def test_missing_label_counts_as_every_zone(sim: Simulator) -> None:
    """A host without zones: the objectors of every zone must have been told."""
    everywhere = Simulator(authorization=lambda a: a.update(excludes=[]))
    rings = [["bare1"]]
    everyone = [(g, p) for g in ("g1", "g2") for p in ("lee", "mo", "kim", "dana")]
    everywhere.permitted("bare1", rings=rings, told=everyone)
    without_mo = [pair for pair in everyone if pair[1] != "mo"]
    refused(everywhere.mutant("bare1", rings=rings, told=without_mo), "not_delivered")


def test_removed_guard_told_them(sim: Simulator) -> None:
    """Deliveries by an operator whom a new charter has dropped no longer count."""
    sim.permitted()
    twin = Simulator()
    order = twin.play(told=[("g1", "lee"), ("g4", "lee")])

    def replace_g4(body: Json) -> None:
        body["guards"]["g5"] = body["guards"].pop("g4")

    twin.succeed(replace_g4, "dana", "lee")
    order.checkpoint = twin.authorized = twin.checkpoint(guards=("g1", "g2", "g3"))
    twin.now += 2 * HOUR
    fresh = twin.fresh("web1", ("g1", "g2", "g3"))
    refused(twin.ask(order, freshness=fresh), "not_delivered")
