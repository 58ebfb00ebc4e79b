"""The fleet goes on: what one liar, a lost key, a thief or a full log cannot bring to a halt."""

from collections.abc import Callable

import pytest

from answerable.kernel.canon import Json
from answerable.kernel.note import ED25519
from tests.attacks.verdict import allowed, refused
from tests.simulator import DAY, GUARDS, HOUR, RINGS, Simulator
from tests.simulator.constitution import approval, authority_origin, demanding, guard_keys, veto
from tests.simulator.keys import pair, vkeys
from tests.simulator.world import Order, nothing


def renew(sim: Simulator, order: Order) -> None:
    """Let the guards cosign the log of a new charter, and let the window run again."""
    order.checkpoint = sim.authorized = sim.checkpoint()
    sim.now += 2 * HOUR


@pytest.mark.parametrize("drift", [-DAY, DAY])
def test_liar_cannot_stall(sim: Simulator, drift: int) -> None:
    """One guard's clock is a day off, both for the notice and now."""
    order = sim.permitted()
    noticed = sim.now - 2_000
    order.checkpoint = sim.checkpoint(
        times={**dict.fromkeys(GUARDS, noticed), "g4": noticed + drift}
    )
    allowed(sim.ask(order, freshness=sim.fresh("web1", times={"g4": sim.now + drift})))


def test_one_guard_down(sim: Simulator) -> None:
    """Three of four guards are a quorum, for the notice and now."""
    order = sim.permitted()
    three = ("g1", "g2", "g3")
    times = dict.fromkeys(three, sim.now - 2_000)
    order.checkpoint = sim.checkpoint(times=times, guards=three)
    allowed(sim.ask(order, freshness=sim.fresh("web1", three)))


def test_notices_that_nobody_was_told_fill_no_limit(sim: Simulator) -> None:
    """A stolen planner key posts notices of every host there is."""
    body = sim.notice_body(sim.orders(RINGS))
    body["rings"] = [{"size": 1 << 52, "root": "ab" * 32}]
    sim.notice(body)
    allowed(sim.ask(sim.play()))


def naming(artefact: str) -> Callable[[Json], None]:
    """Let a notice name these bytes alone."""

    def edit(notice: Json) -> None:
        notice["artefacts"] = [artefact]

    return edit


def test_undo_stays_open_where_a_charter_begins_to_demand_effects(sim: Simulator) -> None:
    """What was done while nothing was demanded can still be taken back."""
    order = sim.permitted()
    for change in ("up", "restart", "health"):
        sim.act(order, change)
    sim.succeed(demanding, "dana", "lee")
    sim.fail(order)
    allowed(sim.ask(order, "undo-up"))


def test_expired_plans_leave_the_day() -> None:
    """A liar's future date holds a plan in the count no longer than it can be used."""
    sim = Simulator(charter=lambda body: body["limits"].update(approvals=[]))
    for word in ("aa", "bb", "cc", "dd"):
        order = sim.play(notice=naming(word * 32), told=())
        sim.deliver(order.notice, [("g4", "lee")], time=(1 << 53) - 1)
    refused(sim.ask(sim.play()), "fleet_limit")
    sim.now += 12 * HOUR + DAY + 1
    sim.release()
    allowed(sim.ask(sim.play()))


GARBAGE: dict[str, Callable[[Simulator], bytes]] = {
    "nothing": lambda _: b"",
    "zeros": lambda _: bytes(1_000),
    "no note": lambda _: b'{"body":{}}\n\nsignature\n',
    "no signature": lambda sim: sim.write("seen", {"notice": "ab" * 32}, "lee")[:-20] + b"\n",
    "a stranger": lambda sim: sim.write("veto", veto(), "mallory"),
    "another shape": lambda sim: sim.write("veto", {"notice": "x"}, "lee"),
    "no such notice": lambda sim: sim.write("approval", approval("ab" * 32), "kim"),
    "another fleet": lambda sim: sim.write("veto", veto(), "lee", fleet="cd" * 32),
    "a charter of nobody": lambda sim: sim.next_charter(lambda body: body.update(name="mine")),
    "a charter of one": lambda sim: sim.next_charter(nothing, "dana", "dana:2"),
    "too large": lambda sim: sim.write("veto", veto(reason="x" * 3_000), "lee"),
}


@pytest.mark.parametrize("what", GARBAGE)
def test_bad_record_does_not_wedge_the_fold(sim: Simulator, what: str) -> None:
    """Whatever a thief of the log appends is a no-op with a reason; it still counts as a leaf."""
    order = sim.permitted()
    size = sim.state.tree.size
    assert sim.append(GARBAGE[what](sim)) is not None
    assert sim.state.tree.size == size + 1
    allowed(sim.ask(order))


def test_flood_of_records(sim: Simulator) -> None:
    """Hundreds of records of every kind of rubbish change nothing but the size."""
    order = sim.permitted()
    for number in range(300):
        entry = sim.write("seen", {"notice": f"{number:064x}"}, "mallory")
        refused(sim.append(entry), "bad_signature")
    refused(sim.append(sim.write("veto", veto(reason="x" * 3_000), "lee")), "too_large")
    allowed(sim.ask(order))


def move(body: Json) -> None:
    """Name another authority log with keys of its own."""
    origin = authority_origin(2)
    body["logs"]["authority"] = {"origin": origin, "keys": vkeys(pair(origin, ED25519))}


def test_lost_log_key(sim: Simulator) -> None:
    """The log's keys are gone: a charter from elsewhere moves the fleet to a new log."""
    order = sim.permitted()
    held = sim.tell("veto", veto(notice="ab" * 32), "lee")

    def there(body: Json) -> None:
        move(body)
        body["start"] = sim.state.digest()

    sim.succeed(there, "dana", "lee", logged=False)
    renew(sim, order)
    allowed(sim.ask(order))
    assert held in sim.state.vetoes
    sim.act(order)
    sim.tell("veto", veto(notice=order.notice), "lee")
    refused(sim.ask(order, "restart"), "vetoed")


def test_new_log_carries_every_veto(sim: Simulator) -> None:
    """A veto that was held in the old log is held in the new one."""
    order = sim.permitted()
    sim.tell("veto", veto(notice=order.notice), "lee")

    def there(body: Json) -> None:
        move(body)
        body["start"] = sim.state.digest()

    sim.succeed(there, "dana", "lee", logged=False)
    renew(sim, order)
    refused(sim.ask(order), "vetoed")


def test_veto_signed_for_the_old_log_counts_in_the_new(sim: Simulator) -> None:
    """Who objected while the log was lost need not sign again; nobody else's word is carried."""
    order = sim.permitted()
    objected = sim.write("veto", veto(notice=order.notice), "lee")
    approved = sim.write("approval", approval(order.notice), "dana")

    def there(body: Json) -> None:
        move(body)
        body["start"] = sim.state.digest()

    sim.succeed(there, "dana", "lee", logged=False)
    renew(sim, order)
    allowed(sim.ask(order))
    refused(sim.append(approved), "wrong_origin")
    assert sim.append(objected) is None
    refused(sim.ask(order), "vetoed")
    again = sim.append(objected)
    refused(again, "duplicate")


def test_lost_guards(sim: Simulator) -> None:
    """Two guards are gone for good: people name others, by a charter that no quorum cosigned."""
    order = sim.permitted()

    def others(body: Json) -> None:
        for old, new in (("g3", "g5"), ("g4", "g6")):
            guard = body["guards"].pop(old)
            body["guards"][new] = guard | {"operator": new, **guard_keys(new)}

    sim.succeed(others, "dana", "lee", logged=False)
    alive = ("g1", "g2", "g5", "g6")
    order.checkpoint = sim.authorized = sim.checkpoint(guards=alive)
    sim.now += 2 * HOUR
    allowed(sim.ask(order, freshness=sim.fresh("web1", alive)))


def test_expired_charter_is_succeeded(sim: Simulator) -> None:
    """The charter ran out while nobody looked: its people still name the next one."""
    order = sim.permitted(notice=lambda n: n.update(not_before=n["not_before"] - HOUR))
    sim.now = sim.charter["expires"]
    refused(sim.ask(order), "charter_expired")
    later = sim.charter["expires"] + 52 * DAY
    sim.succeed(lambda body: body.update(expires=later), "dana", "lee", logged=False)
    refused(sim.ask(order), "authorization_lapsed")


def test_stop_by_an_unknown_record_is_ended_by_a_charter(sim: Simulator) -> None:
    """A stolen planner key writes a record of an unknown type: people look, and go on."""
    order = sim.permitted()
    sim.append(sim.write("moratorium", {}, "planner1"))
    refused(sim.ask(order), "unknown_record")
    sim.succeed(lambda body: body["planners"].clear(), "dana", "lee")
    renew(sim, order)
    allowed(sim.ask(order))


def test_veto_is_lifted(sim: Simulator) -> None:
    """Enough people lift what one person held."""
    order = sim.permitted()
    held = sim.tell("veto", veto(notice=order.notice), "lee")
    refused(sim.ask(order), "vetoed")
    sim.tell("lift", {"lifts": [held], "reason": "a mistake"}, "kim", "mo")
    allowed(sim.ask(order))


def test_host_killed_before_it_acted(sim: Simulator) -> None:
    """The last action was consumed and, as the host finds, never acted on: it goes on with it."""
    order = sim.permitted()
    sim.act(order)
    refused(sim.ask(order, installed=_before(sim)), "consumed")
    resumed = sim.members["web1"].consumed[-1]
    allowed(sim.ask(order, installed=_before(sim), resumed=resumed))


def _before(sim: Simulator) -> dict[str, str]:
    return dict(sim.members["web2"].installed)


def test_whole_rollout(sim: Simulator) -> None:
    """Ring after ring, each change once, to the last host."""
    first = sim.permitted()
    for ring, hosts in enumerate(RINGS):
        if ring:
            sim.advance(first, ring)
        for host in hosts:
            order = sim.order(first.notice, host, first.checkpoint)
            for change in ("up", "restart", "health"):
                sim.act(order, change)
    assert all(len(sim.members[h].consumed) == 3 for ring in RINGS for h in ring)
