"""Hosts' nonces are answered with what the guard knows, durably, many with one signature."""

import random
from pathlib import Path

import pytest

from answerable.kernel.canon import Json, decode, encode
from answerable.kernel.errors import Refused
from answerable.kernel.fresh import Freshness, Head, read_head
from answerable.kernel.note import parse_vkey
from answerable.keys.sign import consume_text, sign_note
from answerable.witness.fresh import TOGETHER
from answerable.witness.wire import Answer
from tests.fakes.guards import Town
from tests.simulator.keys import signer

NONCE = "ab" * 16


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A fleet whose four guards have cosigned the log so far."""
    town = Town(tmp_path)
    for guard in town.everybody():
        assert town.offer(guard).status == 200
    return town


@pytest.fixture
def alone(tmp_path: Path) -> Town:
    """The same with one guard."""
    town = Town(tmp_path)
    assert town.offer(town.guard()).status == 200
    return town


def question(town: Town, host: str = "web1", *, record: Json = True, **more: Json) -> bytes:
    """Spell a host's question, with its own record, another one, or none."""
    asked: Json = {"consume": "", "host": host, "nonce": NONCE}
    if isinstance(record, dict):
        asked["record"] = record
    elif record:
        own = town.sim.members[host].enrolled
        path = [step.hex() for step in own.path]
        asked["record"] = {"enrolment": own.enrolment, "index": own.place, "path": path,
                           "record": own.record}  # fmt: skip
    return encode({**asked, **more}).encode()


def consume(town: Town, seq: int, action: str, host: str = "web1", key: str = "") -> str:
    """Let a host say what its latest action is."""
    text = consume_text(town.sim.fleet, host, seq, action)
    return sign_note(text, signer(key or host)).decode()


def ask(town: Town, guard: str = "g1", **more: Json) -> Answer:
    """Ask one guard."""
    return town.guards[guard].fresh.answer([question(town, **more)])[0]


def heads(town: Town, host: str = "web1", nonce: str = NONCE, **more: Json) -> Head:
    """Ask all guards, and let the kernel count their answers."""
    replies = [ask(town, guard, host=host, **more) for guard in town.guards]
    assert [r.status for r in replies] == [200] * len(replies), replies
    fresh = Freshness(nonce, 0.0, tuple(r.body for r in replies))
    return read_head(fresh, town.sim.state, parse_vkey(signer(host).key.vkey()), 0.0)


def test_kernel_counts_the_guards_answers(town: Town) -> None:
    """A quorum of real replies is a head, at the guards' own time."""
    head = heads(town)
    assert (head.present, head.latest) == (town.sim.now, town.sim.now)
    assert set(head.acks) == set(town.guards)


def test_unknown_host_is_asked_for_its_record_once(alone: Town) -> None:
    """A host that never showed its record is told so; afterwards its name is enough."""
    unknown = ask(alone, record=False)
    assert (unknown.status, decode(unknown.body, 9999)["reason"]) == (403, "not_enrolled")
    assert ask(alone).status == 200
    assert ask(alone, record=False).status == 200
    alone.guard()
    assert ask(alone, record=False).status == 200


def test_forged_records_are_refused(alone: Town) -> None:
    """Another host's record, a changed one, a wrong path, an enrolment not in the log: refused."""
    own = decode(question(alone), 99_999)["record"]
    other = decode(question(alone, "web2"), 99_999)["record"]
    for record in (
        other, {**own, "record": own["record"].replace('"web"', '"api"')}, {**own, "index": 1},
        {**own, "path": own["path"][:-1]}, {**own, "enrolment": "ab" * 32}, {**own, "path": []},
    ):  # fmt: skip
        assert ask(alone, record=record).status in (400, 403)
    assert ask(alone, record=False).status == 403


def test_consume_note_comes_back_from_every_guard(town: Town) -> None:
    """What a host is about to do is kept durably and told back with each later answer."""
    assert heads(town).acks["g1"] == (0, "")
    head = heads(town, consume=consume(town, 1, "n/o/c"))
    assert set(head.acks.values()) == {(1, "n/o/c")}
    town.guard("g2")
    assert heads(town).acks["g2"] == (1, "n/o/c")


def test_replayed_and_older_consume_notes_change_nothing(town: Town) -> None:
    """A host restored from a snapshot repeats an old number, and learns that it has acted since."""
    heads(town, consume=consume(town, 2, "second"))
    assert heads(town, consume=consume(town, 1, "first")).acks["g1"] == (2, "second")
    assert heads(town, consume=consume(town, 2, "another")).acks["g1"] == (2, "second")
    assert heads(town, consume=consume(town, 3, "third")).acks["g1"] == (3, "third")


def test_consume_note_of_another_key_is_refused(town: Town) -> None:
    """Nobody moves a host's counter but the host's enrolled key."""
    heads(town)
    for note in (
        consume(town, 9, "x", key="web2"), consume(town, 9, "x", host="web2"), "garbage",
        consume(town, 9, "x").replace('"seq":9', '"seq":8'),
        sign_note(consume_text("ab" * 32, "web1", 9, "x"), signer("web1")).decode(),
    ):  # fmt: skip
        assert ask(town, consume=note).status in (400, 403)
    assert heads(town).acks["g1"] == (0, "")


def test_re_enrolled_host_starts_anew_and_its_old_record_is_out(town: Town) -> None:
    """A host with a new key has no past under it; the old record cannot be used to go back."""
    sim = town.sim
    heads(town, consume=consume(town, 1, "n/o/c"))
    old = question(town)
    before = len(sim.history)
    record = {**sim.records["web1"], "key": signer("web1", generation=2).key.vkey()}
    sim.members |= sim.enrol({"web1": record})
    town.told(sim.history[before:])
    for guard in town.guards.values():
        town.offer(guard)
    key = parse_vkey(record["key"])
    replies = tuple(ask(town, guard).body for guard in town.guards)
    head = read_head(Freshness(NONCE, 0.0, replies), sim.state, key, 0.0)
    assert head.acks["g1"] == (0, "")
    assert town.guards["g1"].fresh.answer([old])[0].status == 403
    assert ask(town, record=False).status == 200


def test_batch_is_one_signature_and_each_is_judged_alone(alone: Town) -> None:
    """Good and bad questions together: each gets its own answer, all good ones one checkpoint."""
    bodies = [question(alone, host) for host in ("web1", "web2", "api1")]
    mixed = [bodies[0], b"junk", bodies[1], question(alone, "pci1", record=False), bodies[2]]
    answers = alone.guards["g1"].fresh.answer(mixed)
    assert [a.status for a in answers] == [200, 400, 200, 403, 200]
    notes = {decode(a.body, 99_999)["checkpoint"] for a in answers if a.status == 200}
    assert len(notes) == 1


@pytest.mark.parametrize("count", [1, 2, 3, 64, TOGETHER])
def test_every_place_in_a_batch_verifies(town: Town, count: int) -> None:
    """Each host's path leads to the signed root, wherever it stands among others."""
    bodies = [question(town, "web1")] * count
    answers = [town.guards[g].fresh.answer(bodies) for g in town.guards]
    key = signer("web1").key
    for place in {0, count // 2, count - 1}:
        replies = tuple(of_guard[place].body for of_guard in answers)
        assert read_head(Freshness(NONCE, 0.0, replies), town.sim.state, key, 0.0)


def test_answer_is_for_one_nonce_and_host(town: Town) -> None:
    """A reply that was recorded answers no other nonce and no other host."""
    replies = tuple(ask(town, guard).body for guard in town.guards)
    for nonce, host in (("cd" * 16, "web1"), (NONCE, "web2")):
        with pytest.raises(Refused) as refused:
            read_head(Freshness(nonce, 0.0, replies), town.sim.state, signer(host).key, 0.0)
        assert refused.value.reason == "stale_head"


def test_guard_vouches_for_what_it_cosigned(town: Town) -> None:
    """As soon as a head is cosigned, hosts that lag behind it are told so."""
    state = town.sim.state_at(town.sim.state.tree.size - 1)
    replies = tuple(ask(town, guard).body for guard in town.guards)
    with pytest.raises(Refused) as refused:
        read_head(Freshness(NONCE, 0.0, replies), state, signer("web1").key, 0.0)
    assert refused.value.reason == "behind"


@pytest.mark.parametrize(
    "broken",
    [
        b"", b"null", b"[]", b"{}", b'{"consume":"","host":"web1","nonce":"x"}', b"\xff",
        b'{"consume":"","host":"WEB","nonce":"' + NONCE.encode() + b'"}', b"x" * 70_000,
        b'{"consume":"","host":"web1","nonce":"' + NONCE.encode() + b'","record":null}',
        b'{"consume":"","host":"web1","nonce":"' + NONCE.encode() + b'","more":1}',
        b"[" * 50_000,
    ],
)  # fmt: skip
def test_malformed_questions_are_400(alone: Town, broken: bytes) -> None:
    """Whatever a host asks, the guard answers."""
    assert alone.guards["g1"].fresh.answer([broken])[0].status == 400


@pytest.mark.fuzz
def test_mutated_questions_never_crash(alone: Town) -> None:
    """Bits flipped, bytes cut and doubled in an honest question: an answer each time."""
    seed = 20261122
    draw, good = random.Random(seed), question(alone, consume=consume(alone, 1, "n/o/c"))
    for step in range(300):
        data = bytearray(good)
        at = draw.randrange(len(data))
        if draw.randrange(2):
            data[at] ^= 1 << draw.randrange(8)
        else:
            del data[at : at + draw.randrange(1, 9)]
        status = alone.guards["g1"].fresh.answer([bytes(data)])[0].status
        assert status in (200, 400, 403), (seed, step)
