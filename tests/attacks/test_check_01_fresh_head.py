"""Check 1: the head is fresh, a quorum of guards vouches for it, and it is the state I am in."""

from copy import deepcopy

import pytest

from answerable.kernel.canon import Json, decode, encode
from answerable.kernel.checkpoint import parse_checkpoint
from answerable.kernel.fold import State, fold
from answerable.kernel.fresh import Freshness
from answerable.kernel.note import COSIGNATURE, ED25519
from answerable.keys.sign import cosign
from tests.attacks.verdict import allowed, refused
from tests.simulator import DAY, GUARDS, Simulator
from tests.simulator.constitution import authority_origin, veto
from tests.simulator.keys import pair, vkeys
from tests.simulator.log import fork


def forged_tables(sim: Simulator) -> State:
    """Give the state of a thief: the true log, and tables that forget every veto."""
    tables = deepcopy(sim.state.tables)
    tables["vetoes"] = {}
    return State(sim.fleet, tables, sim.state.tree)


def with_own_lines(sim: Simulator, reply: bytes, liar: str, time: int) -> bytes:
    """Add a liar's cosignatures, at a time of its own, to another guard's reply."""
    body = decode(reply, 1 << 20)
    text = body["checkpoint"].rpartition("\n\n")[0] + "\n"
    keys = pair(f"{liar}.example/post", COSIGNATURE)
    body["checkpoint"] += cosign(parse_checkpoint(text.encode()), time, *keys)
    return encode(body).encode()


def test_no_guard_answers(sim: Simulator) -> None:
    """Without the guards nothing moves."""
    order = sim.permitted()
    refused(sim.ask(order, freshness=sim.fresh("web1", ())), "stale_head")


def test_fewer_guards_than_a_quorum_answer(sim: Simulator) -> None:
    """Two of four are no quorum where one may lie."""
    order = sim.permitted()
    allowed(sim.ask(order, freshness=sim.fresh("web1", ("g1", "g2", "g3"))))
    refused(sim.ask(order, freshness=sim.fresh("web1", ("g1", "g2"))), "stale_head")


def test_one_guard_answers_three_times(sim: Simulator) -> None:
    """A guard counts once."""
    order = sim.permitted()
    fresh = sim.fresh("web1", ("g1", "g1", "g1", "g1"))
    refused(sim.ask(order, freshness=fresh), "stale_head")


def test_replies_to_an_older_nonce(sim: Simulator) -> None:
    """Yesterday's honest replies, replayed."""
    order = sim.permitted()
    old = sim.fresh("web1")
    fresh = Freshness("12" * 16, sim.boot(), old.replies)
    refused(sim.ask(order, freshness=fresh), "stale_head")


def test_replies_to_another_host(sim: Simulator) -> None:
    """The same nonce, asked by somebody else."""
    order = sim.permitted()
    refused(sim.ask(order, freshness=sim.fresh("web2")), "stale_head")


def test_replies_asked_too_long_ago(sim: Simulator) -> None:
    """Honest replies, held back until the window is over."""
    order = sim.permitted()
    fresh = sim.fresh("web1")
    allowed(sim.ask(order, freshness=fresh, now=sim.boot() + 300))
    refused(sim.ask(order, freshness=fresh, now=sim.boot() + 301), "stale_head")


def test_clock_set_back(sim: Simulator) -> None:
    """A host's clock that runs backwards makes no reply young again."""
    order = sim.permitted()
    refused(sim.ask(order, now=sim.boot() - DAY), "stale_head")


def test_replies_signed_with_keys_of_another_role(sim: Simulator) -> None:
    """A witness's cosignatures say nothing about a nonce."""
    order = sim.permitted()
    fresh = sim.fresh("web1", role="witness")
    refused(sim.ask(order, freshness=fresh), "stale_head")


def test_replies_without_post_quantum_signatures(sim: Simulator) -> None:
    """Stripping the ML-DSA line is a downgrade: a guard counts only with both."""
    order = sim.permitted()
    fresh = sim.fresh("web1")
    stripped = tuple(_without_second_line(reply) for reply in fresh.replies)
    bare = Freshness(fresh.nonce, fresh.sent, stripped)
    refused(sim.ask(order, freshness=bare), "stale_head")


def _without_second_line(reply: bytes) -> bytes:
    body = decode(reply, 1 << 20)
    body["checkpoint"] = body["checkpoint"].rpartition("\u2014")[0]
    return encode(body).encode()


@pytest.mark.parametrize("swap", ["origin", "root", "size", "state"])
def test_head_forged_after_signing(sim: Simulator, swap: str) -> None:
    """One value of a reply's leaf changed on the way: no guard signed that."""
    order = sim.permitted()
    fresh = sim.fresh("web1")
    forged = []
    for reply in fresh.replies:
        body = decode(reply, 1 << 20)
        leaf = decode(body["leaf"].encode(), 1 << 20)
        leaf["head"][swap] = 3 if swap == "size" else "ee" * 32
        forged.append(encode(body | {"leaf": encode(leaf)}).encode())
    changed = Freshness(fresh.nonce, fresh.sent, tuple(forged))
    refused(sim.ask(order, freshness=changed), "stale_head")


def test_delayed_log_hides_a_veto(sim: Simulator) -> None:
    """The log is frozen for this host alone; the guards have seen the veto."""
    order = sim.permitted()
    before = deepcopy(sim.state)
    sim.tell("veto", veto(notice=order.notice), "lee")
    refused(sim.ask(order, state=before), "behind")


def test_late_head_by_one_liar_and_one_laggard(sim: Simulator) -> None:
    """A liar and a laggard know nothing of the veto; one honest guard among the quorum does."""
    order = sim.permitted()
    before = sim.state_at(sim.state.tree.size)
    sim.tell("veto", veto(notice=order.notice), "lee")
    late = {"g3": before, "g4": before}
    fresh = sim.fresh("web1", ("g2", "g3", "g4"), states=late)
    refused(sim.ask(order, state=before, freshness=fresh), "behind")


def test_rolled_back_log(sim: Simulator) -> None:
    """The whole log is put back; a host that knew more is ahead of every guard."""
    order = sim.permitted()
    before = sim.state_at(sim.state.tree.size)
    sim.tell("halt", {"zones": ["legacy"], "reason": "stocktaking"}, "mo")
    allowed(sim.ask(order))
    fresh = sim.fresh("web1", states=dict.fromkeys(GUARDS, before))
    refused(sim.ask(order, freshness=fresh), "stale_head")


def test_split_view(sim: Simulator) -> None:
    """This host alone is shown a log in which the veto never happened."""
    order = sim.permitted()
    mine = deepcopy(sim.state)
    other = sim.write("revocation", {"authorization": "ab" * 32, "reason": ""}, "mo")
    fold(mine, [other])
    sim.tell("veto", veto(notice=order.notice), "lee")
    refused(sim.ask(order, state=mine), "split_view")


def test_forked_history(sim: Simulator) -> None:
    """Tables of the truth over leaf hashes of another history."""
    order = sim.permitted()
    sim.tell("halt", {"zones": ["legacy"], "reason": "stocktaking"}, "mo")
    allowed(sim.ask(order))
    tree = fork(sim.state.tree, [b"\x01" * 32], sim.state.tree.size - 1)
    refused(sim.ask(order, state=State(sim.fleet, sim.state.tables, tree)), "split_view")


def test_bad_start_state(sim: Simulator) -> None:
    """A new host is handed true hashes with tables that forget a veto."""
    order = sim.permitted()
    sim.tell("veto", veto(artefacts=["ab" * 32]), "lee")
    allowed(sim.ask(order))
    refused(sim.ask(order, state=forged_tables(sim)), "state_diverged")


def test_bad_start_state_kept_ahead_of_every_guard(sim: Simulator) -> None:
    """One garbage leaf more than the guards have, so that no digest would ever be compared."""
    order = sim.permitted()
    sim.tell("veto", veto(artefacts=["ab" * 32]), "lee")
    fresh = sim.fresh("web1")
    ahead = forged_tables(sim)
    ahead.tree = fork(sim.state.tree, [b"\x02" * 32], sim.state.tree.size)
    refused(sim.ask(order, state=ahead, freshness=fresh), "stale_head")


def test_old_log_shown_to_a_host_after_people_moved_the_fleet(sim: Simulator) -> None:
    """Whoever kept the old log's keys plays it on; the guards follow the new one and say so."""
    order = sim.permitted()
    untold, origin = deepcopy(sim.state), authority_origin(2)

    def there(body: Json) -> None:
        body["logs"]["authority"] = {"origin": origin, "keys": vkeys(pair(origin, ED25519))}
        body["start"] = sim.state.digest()

    sim.succeed(there, "dana", "lee", logged=False)
    refused(sim.ask(order, state=untold), "wrong_origin")


def test_records_that_no_guard_has_seen(sim: Simulator) -> None:
    """Properly signed records that stand in no cosigned log are shown to one host alone."""
    order = sim.permitted()
    fresh = sim.fresh("web1")
    alone = deepcopy(sim.state)
    entry = sim.write("approval", {"notice": order.notice, "reason": "", "undo": False}, "kim")
    assert fold(alone, [entry]) == [None]
    refused(sim.ask(order, state=alone, freshness=fresh), "stale_head")


def test_liar_cosigns_the_replies_of_others_in_the_future(sim: Simulator) -> None:
    """One liar on the way adds its own future time to every guard's reply."""
    order = sim.permitted()
    fresh = sim.fresh("web1")
    replies = [
        with_own_lines(sim, reply, "g4", sim.now + DAY) if guard != "g4" else reply
        for guard, reply in zip(GUARDS, fresh.replies, strict=True)
    ]
    mixed = Freshness(fresh.nonce, fresh.sent, tuple(replies))
    refused(sim.ask(order, freshness=mixed), "stale_head")


def test_record_of_an_unknown_type(sim: Simulator) -> None:
    """A record that this kernel cannot read may forbid what it would do."""
    order = sim.permitted()
    refused(sim.append(sim.write("moratorium", {"until": 1}, "dana")), "unknown_record")
    refused(sim.ask(order), "unknown_record")


def test_record_of_a_newer_format(sim: Simulator) -> None:
    """The same for a newer version of a known type."""
    order = sim.permitted()
    refused(sim.append(sim.write("veto", veto(), "lee", version=2)), "unknown_record")
    refused(sim.ask(order), "unknown_record")
