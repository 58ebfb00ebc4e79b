"""Somebody has the control plane with everything: planner key, both logs' keys, every table.

The thief writes what it likes into the authority log, signs any checkpoint as the log, carries all
that goes between hosts and guards, and knows every bundle. It has no key of a person, a guard, an
observer or a host. Each deed is played to its end; every host refuses, each with its reason.
"""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

import pytest

from answerable.kernel.canon import Json
from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.errors import Refused
from answerable.kernel.fold import fold
from answerable.kernel.fresh import Freshness
from answerable.kernel.note import COSIGNATURE, ED25519
from answerable.kernel.verify import Permit
from answerable.keys.sign import cosign
from tests.attacks.verdict import refused
from tests.simulator import DAY, HOUR, NEW, RINGS, Simulator
from tests.simulator.constitution import (
    approval,
    authorization,
    blob,
    by_people,
    veto,
    withdrawal,
)
from tests.simulator.keys import pair
from tests.simulator.log import fork
from tests.simulator.world import Order, statement_id

Verdict = Permit | Refused


@dataclass
class Thief:
    """The thief and the fleet around it."""

    sim: Simulator = field(default_factory=Simulator)

    def say(self, kind: str, body: Json) -> None:
        """Write a statement with the planner's key; it is a no-op of the fold."""
        assert self.sim.append(self.sim.write(kind, body, "planner1")) is not None

    def head(self, order: Order) -> str:
        """Sign a checkpoint with the log's own keys alone."""
        tree = self.sim.state.tree
        at = Checkpoint(self.sim.origin, tree.size, tree.root())
        order.checkpoint = f"{at.text()}\n{cosign(at, 0, *pair(self.sim.origin, ED25519))}"
        return order.checkpoint


def no_notice(t: Thief) -> Verdict:
    """Hand out orders, and log nothing."""
    order = t.sim.play()
    order.more["notice"] = "ab" * 32
    return t.sim.ask(order)


def no_guards(t: Thief) -> Verdict:
    """Sign the checkpoint that proves the time with the log's keys."""
    order = t.sim.play()
    t.head(order)
    return t.sim.ask(order)


def own_guards(t: Thief) -> Verdict:
    """Cosign with new keys under the guards' names."""
    order = t.sim.play()
    tree = t.sim.state.tree
    at = Checkpoint(t.sim.origin, tree.size, tree.root())
    keys = [k for g in ("g1", "g2", "g3") for k in pair(f"{g}.example/witness", COSIGNATURE, 2)]
    order.checkpoint = f"{at.text()}\n{cosign(at, t.sim.now - DAY, *keys)}"
    return t.sim.ask(order)


def own_replies(t: Thief) -> Verdict:
    """Answer the host's nonce oneself."""
    order = t.sim.play(wait=10)
    fresh = t.sim.fresh("web1", ("mallory", "planner1", "g9"), times={"mallory": t.sim.now + DAY})
    return t.sim.ask(order, freshness=fresh)


def held_replies(t: Thief) -> Verdict:
    """Keep honest replies from before a veto, and drop the later ones."""
    order = t.sim.play()
    before = deepcopy(t.sim.state)
    fresh = t.sim.fresh("web1")
    t.sim.now += HOUR
    t.sim.tell("veto", veto(notice=order.notice), "lee")
    return t.sim.ask(order, state=before, freshness=fresh)


def told_to_nobody(t: Thief) -> Verdict:
    """Withhold the plan, so that no herald can deliver it."""
    return t.sim.ask(t.sim.play(told=()))


def forged_deliveries(t: Thief) -> Verdict:
    """Write the heralds' words oneself."""

    def forge(leaf: str) -> None:
        for person in ("lee", "kim", "mo"):
            t.say("delivery", {"notice": leaf, "plan": "ab" * 32, "person": person, "time": 1,
                               "channel": "mail", "status": "acknowledged"})  # fmt: skip

    return t.sim.ask(t.sim.play(told=(), before=forge))


def hurried(t: Thief) -> Verdict:
    """Name a window of no time."""
    return t.sim.ask(t.sim.play(notice=lambda n: n.update(window=0), wait=60))


def backdated(t: Thief) -> Verdict:
    """Rely on an honest checkpoint from long before the notice."""
    order = t.sim.play(wait=60)
    order.checkpoint = t.sim.authorized
    return t.sim.ask(order)


def own_authorization(t: Thief) -> Verdict:
    """Authorise everything, with the planner's key."""
    everything = authorization() | {"excludes": [], "max_hosts": 1 << 40}
    entry = t.sim.write("authorization", everything, "planner1")
    t.sim.append(entry)
    return t.sim.ask(t.sim.play(notice=lambda n: n.update(authorization=statement_id(entry))))


def own_approvals(t: Thief) -> Verdict:
    """Approve it oneself, under the names of two people."""
    order = t.sim.play(notice=by_people)
    t.say("approval", approval(order.notice))
    return t.sim.ask(order)


def own_emergency(t: Thief) -> Verdict:
    """Declare an emergency."""

    def urgent(notice: Json) -> None:
        notice |= {"emergency": True, "not_after": notice["not_before"] + HOUR}

    return t.sim.ask(t.sim.play(notice=urgent))


def own_facts(t: Thief) -> Verdict:
    """Release facts that no attester signed."""
    note = t.sim.snapshot(t.sim.snapshots[t.sim.released], guards=())
    body = {"feed": "debian-security", "checkpoint": note + "\u2014 x AAAAAAA=\n", "model": "",
            "time": t.sim.now}  # fmt: skip
    entry = t.sim.write("release", body, "planner1")
    t.sim.append(entry)
    return t.sim.ask(t.sim.play(notice=lambda n: n.update(releases=[statement_id(entry)])))


def own_package(t: Thief) -> Verdict:
    """Notice bytes of one's own under a true name and version."""

    def own(order: Json) -> None:
        order["changes"][0]["packages"][0]["sha256"] = blob("libssl3", "evil")

    return t.sim.ask(t.sim.play(edit=own))


def swapped_package(t: Thief) -> Verdict:
    """Serve other bytes than those noticed."""
    order = t.sim.play()
    t.sim.members["web1"].staged["libssl3"] = blob("libssl3", "evil")
    return t.sim.ask(order)


def reboots(t: Thief) -> Verdict:
    """Reboot the fleet under an authorization of security fixes."""

    def reboot(order: Json) -> None:
        order["changes"] = [{"id": "up", "type": "reboot", "caused_by": "", "risk": "low"}]
        order["undo"] = []

    return t.sim.ask(t.sim.play(edit=reboot))


def everyone(t: Thief) -> Verdict:
    """Put everyone into the first ring."""
    return t.sim.ask(t.sim.play(rings=[[h for ring in RINGS for h in ring]]))


def all_rings(t: Thief) -> Verdict:
    """Open all rings at once."""
    order = t.sim.play("web2")
    for ring in (1, 2):
        t.say("advance", {"notice": order.notice, "ring": ring, "since": 0, "until": t.sim.now,
                          "seen": []})  # fmt: skip
    t.sim.now += HOUR
    return t.sim.ask(order)


def pci_relabelled(t: Thief) -> Verdict:
    """Write a pci host into a plan, and sign it a new label."""
    t.say("enrolment", {"size": 1, "root": "ab" * 32})
    return t.sim.ask(t.sim.play("pci1", rings=[["pci1"]]))


def veto_lifted(t: Thief) -> Verdict:
    """Lift the veto oneself."""
    order = t.sim.play()
    held = t.sim.tell("veto", veto(notice=order.notice), "lee")
    t.say("lift", {"lifts": [held], "reason": "go on"})
    return t.sim.ask(order)


def veto_laundered(t: Thief) -> Verdict:
    """Notice the vetoed plan again with one byte changed."""
    order = t.sim.play()
    t.sim.tell("veto", veto(notice=order.notice), "lee")
    return t.sim.ask(t.sim.play(notice=lambda n: n.update(soak=601)))


def veto_cut_out(t: Thief) -> Verdict:
    """Show the host a log without the veto, signed with the log's true keys."""
    order = t.sim.play()
    mine = deepcopy(t.sim.state)
    fold(mine, [b"something else"])
    t.sim.tell("veto", veto(notice=order.notice), "lee")
    return t.sim.ask(order, state=mine)


def state_forged(t: Thief) -> Verdict:
    """Hand a new host true hashes and tables without the veto."""
    order = t.sim.play()
    t.sim.tell("veto", veto(notice=order.notice), "lee")
    mine = deepcopy(t.sim.state)
    mine.tables["vetoes"] = {}
    mine.tree = fork(mine.tree, [], mine.tree.size)
    return t.sim.ask(order, state=mine)


def own_charter(t: Thief) -> Verdict:
    """Write a charter in which there are no objectors, and go on under it."""
    t.sim.append(t.sim.next_charter(lambda b: b["limits"].update(window=0), "planner1"))
    return t.sim.ask(t.sim.play(wait=60))


def replayed(t: Thief) -> Verdict:
    """Send yesterday's order again."""
    order = t.sim.play()
    t.sim.act(order)
    return t.sim.ask(order)


def replayed_after_a_snapshot(t: Thief) -> Verdict:
    """Restore the host's disk, and send the order again."""
    order = t.sim.play()
    t.sim.act(order)
    t.sim.members["web1"].consumed.clear()
    return t.sim.ask(order)


def transplanted(t: Thief) -> Verdict:
    """Send one host's order to another."""
    order = t.sim.play()
    order.host = "web3"
    return t.sim.ask(order)


def kept_for_later(t: Thief) -> Verdict:
    """Keep a good order until it is forgotten."""
    order = t.sim.play()
    t.sim.now += DAY
    return t.sim.ask(order)


def clock_set_back(t: Thief) -> Verdict:
    """Freeze the log, keep the replies, set the host's clock back."""
    order = t.sim.play()
    old = t.sim.fresh("web1")
    t.sim.now += DAY
    fresh = Freshness(old.nonce, old.sent + 2 * DAY, old.replies)
    return t.sim.ask(order, freshness=fresh)


def undo_unprovoked(t: Thief) -> Verdict:
    """Roll a good patch back on forged failure signals."""
    order = t.sim.play()
    for change in ("up", "restart", "health"):
        t.sim.act(order, change)
    t.say("failure", {"notice": order.notice, "order": order.hash, "change": "health",
                      "host": "web1", "report": "ab" * 32, "cause": "health"})  # fmt: skip
    return t.sim.ask(order, "undo-up")


def withdrawal_of_a_withdrawal(t: Thief) -> Verdict:
    """Go on with bytes that an attester withdrew."""
    order = t.sim.play()
    t.sim.tell("withdrawal", withdrawal(artefacts=(order_bytes(order),)), "g1")
    t.say("lift", {"lifts": [order_bytes(order)], "reason": ""})
    return t.sim.ask(order)


def order_bytes(_: Order) -> str:
    """Give the hash of the first package's bytes."""
    return blob("libssl3", NEW)


DEEDS: dict[Callable[[Thief], Verdict], str] = {
    no_notice: "no_notice",
    no_guards: "bad_signature",
    own_guards: "bad_signature",
    own_replies: "stale_head",
    held_replies: "stale_head",
    told_to_nobody: "not_delivered",
    forged_deliveries: "not_delivered",
    hurried: "window_open",
    backdated: "not_delivered",
    own_authorization: "no_authority",
    own_approvals: "not_enough_people",
    own_emergency: "not_enough_people",
    own_facts: "unknown_subject",
    own_package: "fact_not_proven",
    swapped_package: "artefact_swapped",
    reboots: "not_covered",
    everyone: "ring_too_large",
    all_rings: "ring_not_open",
    pci_relabelled: "excluded_zone",
    veto_lifted: "vetoed",
    veto_laundered: "vetoed",
    veto_cut_out: "split_view",
    state_forged: "state_diverged",
    own_charter: "window_open",
    replayed: "consumed",
    replayed_after_a_snapshot: "state_rolled_back",
    transplanted: "not_mine",
    kept_for_later: "too_late",
    clock_set_back: "stale_head",
    undo_unprovoked: "failure_not_corroborated",
    withdrawal_of_a_withdrawal: "withdrawn",
}


@pytest.mark.parametrize("deed", DEEDS, ids=lambda deed: deed.__name__)
def test_thief_with_everything(deed: Callable[[Thief], Verdict]) -> None:
    """The honest plan is permitted; the thief's is refused."""
    Simulator().permitted()
    refused(deed(Thief()), DEEDS[deed])


def test_thief_with_one_guard_as_well() -> None:
    """The thief owns a guard too: no time is shortened, no head believed, nobody told."""
    thief = Thief()
    sim = thief.sim
    order = sim.play(told=[("g4", "lee"), ("g4", "lee")])
    refused(sim.ask(order), "not_delivered")
    order = sim.play(wait=600)
    future = sim.fresh("web1", times={"g4": sim.now + DAY})
    refused(sim.ask(order, freshness=future), "window_open")
    before = deepcopy(sim.state)
    sim.tell("veto", veto(notice=order.notice), "lee")
    sim.now += HOUR
    lie = sim.fresh("web1", states={"g4": before})
    refused(sim.ask(order, state=before, freshness=lie), "behind")
