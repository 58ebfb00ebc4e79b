"""A guard vouches for an authority head only if it has read, judged and folded its records."""

from pathlib import Path

import pytest

from answerable.kernel.fold import State, fold
from answerable.kernel.merkle import leaf_hash
from answerable.kernel.note import ED25519
from answerable.witness.mirror import log_name
from answerable.witness.wire import Settings
from tests.fakes.guards import Town
from tests.fakes.tiled_log import TiledLog, body
from tests.simulator import HOUR, Simulator
from tests.simulator.constitution import authority_origin
from tests.simulator.keys import pair, vkeys


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A founded fleet with one guard's worth of patience for junk: three an hour."""
    return Town(tmp_path, settings=Settings(junk_per_hour=3, per_hour=5))


def reasons(town: Town, guard: str = "g1") -> list[str]:
    """Give the reason words of a guard's findings."""
    return [finding.reason for _, finding in town.guards[guard].store.findings()]


def digest(town: Town, guard: str = "g1") -> str:
    """Give the digest of the state that a guard vouches for."""
    return town.guards[guard].follower.look(lambda state: state.digest())


def test_records_are_fetched_folded_and_cosigned(town: Town) -> None:
    """An honest head is followed record by record; the guard's state is everybody's state."""
    guard = town.guard()
    assert town.offer(guard).status == 200
    assert digest(town) == town.sim.state.digest()
    before = len(town.sim.history)
    town.sim.play()
    town.told(town.sim.history[before:])
    town.settings = Settings()
    assert town.offer(town.guard()).status == 200
    assert digest(town) == town.sim.state.digest()


def test_state_is_the_same_after_a_restart(town: Town) -> None:
    """What a guard folded before it was killed it folds again from what it kept."""
    town.offer(town.guard())
    town.guard()
    assert digest(town) == town.sim.state.digest()


def test_split_view_of_contents_is_not_cosigned(town: Town) -> None:
    """A log that signs one tree and serves records of another gets no cosignature."""
    guard = town.guard()
    told = TiledLog(town.sim.origin, [*town.authority.entries[:-1], b"other"])
    answer = guard.witness.add_checkpoint(told.ask(0))
    assert (answer.status, reasons(town)) == (403, ["split_view"])
    assert guard.store.head(town.sim.origin).size == 0
    assert town.offer(guard).status == 200


def test_withheld_records_are_503_and_nothing_is_kept(town: Town) -> None:
    """A log that does not give its records out gets no cosignature, and may come back."""
    guard = town.guard()
    town.authority.silent = True
    assert town.offer(guard).status == 503
    assert guard.store.head(town.sim.origin).size == 0
    town.authority.silent = False
    assert town.offer(guard).status == 200


def test_forked_log_is_caught_by_its_own_proof(town: Town) -> None:
    """A second history after a cosigned head is a 422, whatever its records say."""
    guard = town.guard()
    assert town.offer(guard).status == 200
    fork = TiledLog(town.sim.origin, [*town.authority.entries[:-1], b"a", b"b"])
    size = len(town.authority.entries)
    assert guard.witness.add_checkpoint(fork.ask(size)).status == 422
    forged = body(size, [leaf_hash(b"x")], fork.head())
    assert guard.witness.add_checkpoint(forged).status == 422


def test_flood_of_junk_stops_the_log_until_its_hour_is_over(town: Town) -> None:
    """A stolen log that takes in what nobody signed gets no cosignature past the cap."""
    guard = town.guard()
    assert town.offer(guard).status == 200
    town.say(b"junk 1", b"junk 2", b"junk 3")
    assert town.offer(guard).status == 200
    town.say(b"junk 4")
    assert (town.offer(guard).status, reasons(town)) == (403, ["over_cap"])
    town.sim.now += HOUR + 1
    assert town.offer(guard).status == 200


def test_one_bad_record_does_not_wedge_the_guard(town: Town) -> None:
    """A malformed or unauthorised record is a no-op that counts as junk, and life goes on."""
    guard = town.guard()
    town.offer(guard)
    town.say(b"not a note", town.sim.write("notice", {}, "stranger"))
    assert town.offer(guard).status == 200


def test_flood_by_one_signer_is_over_its_cap(town: Town) -> None:
    """A signer with a real key cannot bury a notice under more than the cap of its type."""
    guard = town.guard()
    town.offer(guard)
    seen = [town.sim.write("seen", {"notice": "ab" * 32}, "lee") for _ in range(6)]
    town.say(*seen[:5])
    assert town.offer(guard).status == 200
    town.say(seen[5])
    assert (town.offer(guard).status, reasons(town)) == (403, ["over_cap"])


def test_charter_s_own_caps_come_first(tmp_path: Path) -> None:
    """`caps` of the charter count for its types, per signer."""

    def cap(charter: dict[str, dict[str, object]]) -> None:
        charter["caps"]["seen"] = {"bytes": 4096, "per_hour": 1}

    town = Town(tmp_path, sim=Simulator(charter=cap))
    guard = town.guard()
    town.offer(guard)
    by = ("lee", "mo")
    town.say(*(town.sim.write("seen", {"notice": "ab" * 32}, who) for who in by))
    assert town.offer(guard).status == 200
    town.say(town.sim.write("seen", {"notice": "cd" * 32}, "lee"))
    assert town.offer(guard).status == 403


def test_oversized_statement_is_never_cosigned(town: Town) -> None:
    """A statement above its type's size cap may not stand in the log at all."""
    guard = town.guard()
    town.offer(guard)
    town.say(town.veto(reason="x" * 2100))
    assert (town.offer(guard).status, reasons(town)) == (403, ["over_cap"])


def test_guard_that_was_away_catches_up(town: Town) -> None:
    """A night of records at the allowed pace is no flood, and counts as made evenly."""
    guard = town.guard()
    town.offer(guard)
    town.sim.now += 10 * HOUR
    town.say(*(b"junk %d" % n for n in range(20)))
    assert town.offer(guard).status == 200
    town.say(b"junk now")
    assert town.offer(guard).status == 200
    town.say(b"junk again")
    assert town.offer(guard).status == 403


def test_new_charter_is_in_force_from_its_record_on(town: Town) -> None:
    """Rules that change within one batch of records are applied from their own place on."""
    guard = town.guard()
    town.offer(guard)
    before = len(town.sim.history)
    town.sim.succeed(lambda body: body["people"].pop("ava"), "dana", "lee")
    town.told(town.sim.history[before:])
    assert town.offer(guard).status == 200
    assert digest(town) == town.sim.state.digest()
    assert guard.follower.look(lambda state: state.law().body["number"]) == 2


def test_charter_from_elsewhere_is_followed_and_remembered(town: Town) -> None:
    """A charter that came from outside the log counts from where it came, also after a restart."""
    guard = town.guard()
    town.offer(guard)
    entry = town.sim.succeed(lambda _: None, "dana", "lee", logged=False)
    guard.follower.succeed(entry)
    assert digest(town) == town.sim.state.digest()
    before = len(town.sim.history)
    town.sim.play()
    town.told(town.sim.history[before:])
    town.settings = Settings()
    assert town.offer(town.guard()).status == 200
    town.guard()
    assert digest(town) == town.sim.state.digest()


def test_new_log_begins_with_the_old_one_s_records(town: Town) -> None:
    """A charter that names another log is followed there, and the mirror has it from record 0."""
    guard = town.guard()
    town.offer(guard)

    def move(charter: dict[str, object]) -> None:
        logs = {**town.sim.charter["logs"]}
        origin = authority_origin(2)
        logs["authority"] = {"origin": origin, "keys": vkeys(pair(origin, ED25519))}
        charter |= {"logs": logs, "start": town.sim.state.digest()}

    guard.follower.succeed(town.sim.succeed(move, "dana", "lee", logged=False))
    log = TiledLog(authority_origin(2), [*town.authority.entries])
    log.entries.append(town.sim.write("seen", {"notice": "ab" * 32}, "lee"))
    fold(town.sim.state, log.entries[-1:])
    moved = town.guard(log=log)
    assert town.offer(moved, log).status == 200
    assert digest(town) == town.sim.state.digest()
    assert moved.mirror.entries(log.origin) == log.entries
    assert moved.origin(log_name(log.origin)) == log.origin
    town.guard(log=log)
    assert digest(town) == town.sim.state.digest()


def test_guard_state_equals_a_fresh_fold(town: Town) -> None:
    """The state is a fold of the records and nothing else."""
    town.offer(town.guard())
    state = State(town.sim.fleet)
    fold(state, town.authority.entries)
    assert digest(town) == state.digest()
