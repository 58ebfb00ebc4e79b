"""A veto that was handed to one guard cannot be lost, and a log that drops it stops the fleet."""

import threading
from pathlib import Path

import pytest

from answerable.kernel.errors import Refused
from answerable.kernel.note import Note
from answerable.witness.post import objection, read_receipt
from answerable.witness.wire import Settings
from tests.fakes.guards import Town, keys_of
from tests.simulator import HOUR, Simulator


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A fleet whose four guards have cosigned the log so far."""
    town = Town(tmp_path)
    for guard in town.everybody():
        assert town.offer(guard).status == 200
    return town


def statement(entry: bytes, town: Town) -> str:
    """Give the id of a veto."""
    return objection(entry, town.sim.state.law(), town.sim.fleet)[0].id


def later(town: Town, seconds: int) -> None:
    """Let time pass and every guard do its chores."""
    town.sim.now += seconds
    for guard in town.guards.values():
        guard.chores()


def test_receipt_names_fleet_statement_and_time(town: Town) -> None:
    """What a person gets is a note that the guard can be held to."""
    entry = town.veto()
    answer = town.guards["g1"].veto(entry)
    key = keys_of("g1").herald.key
    assert answer.status == 200
    assert read_receipt(answer.body, key, town.sim.fleet, statement(entry, town)) == town.sim.now
    for fleet, said in ((town.sim.fleet, "ab" * 32), ("cd" * 32, statement(entry, town))):
        with pytest.raises(Refused):
            read_receipt(answer.body, key, fleet, said)
    with pytest.raises(Refused):
        read_receipt(answer.body, keys_of("g2").herald.key, town.sim.fleet, statement(entry, town))


def test_same_words_again_get_the_same_receipt(town: Town) -> None:
    """Pressing the button twice is one veto, also with the other key, also after a restart."""
    entry = town.veto()
    first = town.guards["g1"].veto(entry)
    town.sim.now += 100
    assert town.guard("g1").veto(entry) == first


def test_veto_reaches_every_guard_and_the_log(town: Town) -> None:
    """One guard is enough: it hands the note on, and all four hold it."""
    entry = town.veto()
    town.guards["g1"].veto(entry)
    later(town, 10)
    later(town, 10)
    assert entry in town.authority.entries
    for guard in town.guards.values():
        with guard.store.read() as db:
            assert db.execute("SELECT count(*) FROM held").fetchone() == (1,)


def test_guards_that_are_away_are_told_when_they_come_back(town: Town) -> None:
    """Forwarding is tried again until the other guard's own receipt is there."""
    town.away = {"g2", "g3"}
    town.authority.silent = True
    town.guards["g1"].veto(town.veto())
    later(town, 10)
    town.away = set()
    later(town, 10)
    for name in ("g2", "g3", "g4"):
        with town.guards[name].store.read() as db:
            assert db.execute("SELECT count(*) FROM held").fetchone() == (1,)


def test_swallowed_veto_stops_the_fleet_after_the_hold(town: Town) -> None:
    """The log drops the veto: for a minute nothing happens, then no guard vouches for any head."""
    town.authority.admit = lambda _: "swallowed"
    town.guards["g1"].veto(town.veto())
    later(town, 10)
    town.say(town.sim.write("seen", {"notice": "ab" * 32}, "lee"))
    assert [town.offer(g).status for g in town.guards.values()] == [200] * 4
    later(town, 61)
    town.say(town.sim.write("seen", {"notice": "cd" * 32}, "lee"))
    answers = [town.offer(g) for g in town.guards.values()]
    assert [a.status for a in answers] == [403] * 4
    assert all(b"veto_withheld" in a.body for a in answers)
    # Neither is the unchanged head renewed, nor any host told that it is fresh.
    size = len(town.authority.entries) - 1
    assert [town.offer(g, size=size).status for g in town.guards.values()] == [403] * 4
    guard, host = town.guards["g1"], town.sim.members["web1"]
    assert guard.follower.overdue(town.sim.now)
    assert b"veto_withheld" in guard.start.answer("web1", "ab" * 16).body
    assert guard.witness.renew(town.sim.origin)
    assert host


def test_log_that_takes_the_veto_in_at_last_is_cosigned_again(town: Town) -> None:
    """The stop ends with the head that carries the veto, and with nothing else."""
    town.authority.admit = lambda _: "swallowed"
    entry = town.veto()
    guard = town.guards["g1"]
    guard.veto(entry)
    later(town, 100)
    assert town.offer(guard).status == 403
    town.authority.admit = lambda _: ""
    later(town, 10)
    assert entry in town.authority.entries
    assert town.offer(guard).status == 200
    later(town, 1)
    assert guard.follower.overdue(town.sim.now + HOUR) is None


def test_veto_in_the_records_of_the_very_head_counts(town: Town) -> None:
    """A head whose new records carry the veto is cosigned, however late."""
    town.authority.admit = lambda _: "swallowed"
    entry = town.veto()
    town.guards["g1"].veto(entry)
    later(town, 100)
    town.say(entry)
    assert town.offer(town.guards["g1"]).status == 200


def test_hold_outlives_the_guard(town: Town) -> None:
    """A guard that is killed between receipt and hold remembers what it holds."""
    town.authority.admit = lambda _: "swallowed"
    town.guards["g1"].veto(town.veto())
    guard = town.guard("g1")
    later(town, 100)
    assert town.offer(guard).status == 403


def test_halt_is_held_like_a_veto(town: Town) -> None:
    """A halt of an objector's own zones is held; one of other zones is refused."""
    good = town.sim.write("halt", {"zones": ["web"], "reason": ""}, "lee")
    wide = town.sim.write("halt", {"zones": ["legacy"], "reason": ""}, "lee")
    none = town.sim.write("halt", {"zones": [], "reason": ""}, "lee")
    statuses = [town.guards["g1"].veto(entry).status for entry in (good, wide, none)]
    assert statuses == [200, 403, 403]


def test_only_objectors_veto_and_only_as_themselves(town: Town) -> None:
    """Strangers, approvers without a zone, machines, two people at once, other statements: 403."""
    sim, guard = town.sim, town.guards["g1"]
    body = {"notice": "", "undo": False, "authorization": "", "reason": "", "artefacts": [],
            "targets": []}  # fmt: skip
    for entry in (
        sim.write("veto", body, "fay"), sim.write("veto", body, "g1"),
        sim.write("veto", body, "lee", "mo"), sim.write("seen", {"notice": "ab" * 32}, "lee"),
        sim.write("veto", body, "stranger"), sim.write("veto", body, "lee", fleet="ab" * 32),
        sim.write("veto", body, "lee", origin="other"), sim.write("veto", {}, "lee"),
        sim.write("lift", {"lifts": [], "reason": ""}, "lee"),
    ):  # fmt: skip
        assert guard.veto(entry).status in (400, 403)
    with guard.store.read() as db:
        assert db.execute("SELECT count(*) FROM held").fetchone() == (0,)


@pytest.mark.parametrize(
    "data", [b"", b"\xff" * 50, b"a\n\nb", b"x" * 70_000, b"{}\n\n\xe2\x80\x94"]
)
def test_malformed_vetoes_are_400(tmp_path: Path, data: bytes) -> None:
    """Whatever is posted, the guard answers."""
    assert Town(tmp_path).guard().veto(data).status == 400


def test_veto_under_an_older_charter_is_still_held(town: Town) -> None:
    """A new charter in between cannot be used to shake a veto off."""
    entry = town.veto()
    before = len(town.sim.history)
    town.sim.succeed(lambda _: None, "dana", "lee")
    town.told(town.sim.history[before:])
    for guard in town.guards.values():
        town.offer(guard)
    town.authority.admit = lambda _: "swallowed"
    assert town.guards["g1"].veto(entry).status == 200
    later(town, 100)
    assert town.offer(town.guards["g1"]).status == 403


def test_veto_of_a_removed_person_is_let_go(town: Town) -> None:
    """What the charter no longer admits stops nobody, and is shown as lapsed."""
    town.authority.admit = lambda _: "swallowed"
    town.guards["g1"].veto(town.veto(who="mo"))
    before = len(town.sim.history)

    def drop(charter: dict[str, dict[str, dict[str, list[str]]]]) -> None:
        charter["people"].pop("mo")
        for zone in charter["zones"].values():
            for part in ("objectors", "approvers"):
                zone[part] = [p for p in zone[part] if p != "mo"]

    town.sim.succeed(drop, "dana", "lee")
    town.told(town.sim.history[before:])
    later(town, 100)
    guard = town.guards["g1"]
    assert town.offer(guard).status == 200
    later(town, 1)
    assert "veto_lapsed" in {finding.reason for _, finding in guard.store.findings()}


def test_flood_of_vetoes_by_one_person_is_bounded(tmp_path: Path) -> None:
    """One objector fills neither the disk nor the log: as many an hour as the charter lets in."""

    def cap(charter: dict[str, dict[str, object]]) -> None:
        charter["caps"]["veto"] = {"bytes": 4096, "per_hour": 3}

    town = Town(tmp_path, sim=Simulator(charter=cap), settings=Settings())
    guard = town.guard()
    statuses = [guard.veto(town.veto(reason=f"{n}")).status for n in range(5)]
    assert statuses == [200, 200, 200, 429, 429]
    assert guard.veto(town.veto(who="kim")).status == 200
    town.sim.now += HOUR + 1
    assert guard.veto(town.veto()).status == 200


def test_many_at_once_get_one_receipt_each(town: Town) -> None:
    """Concurrent hands: every one is answered, and a veto is held once."""
    entry, answers = town.veto(), []
    guard = town.guards["g1"]

    def hand() -> None:
        answers.append(guard.veto(entry))

    threads = [threading.Thread(target=hand) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(answers) == 8
    assert len({a.body for a in answers}) == 1
    assert Note(answers[0].body).lines
