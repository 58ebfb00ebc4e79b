"""A charter moves the fleet to a new log exactly where the old one ends, and nowhere else."""

from copy import deepcopy
from pathlib import Path

import pytest

from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused
from answerable.kernel.fold import State, fold, succeed
from answerable.kernel.note import ED25519
from answerable.witness.guard import Guard
from answerable.witness.store import Store
from answerable.witness.succession import BACK, adopt, reach
from tests.fakes.guards import Town
from tests.fakes.tiled_log import TiledLog
from tests.simulator.constitution import authority_origin
from tests.simulator.keys import pair, vkeys
from tests.simulator.world import statement_id

NEW = authority_origin(2)


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A founded fleet, and one guard that has cosigned all of it."""
    made = Town(tmp_path)
    assert made.offer(made.guard()).status == 200
    return made


def there(body: Json, start: str) -> None:
    """Name another authority log, with keys of its own."""
    body["logs"]["authority"] = {"origin": NEW, "keys": vkeys(pair(NEW, ED25519))}
    body["start"] = start


def moved(town: Town, size: int | None = None) -> bytes:
    """Let people sign the charter that moves the fleet, where the log ends or at a size."""
    state = State(town.sim.fleet)
    fold(state, town.authority.entries[:size])
    return town.sim.next_charter(lambda body: there(body, state.digest()), "dana", "lee")


def told(town: Town, note: bytes, given: list[bytes] | None = None) -> tuple[int, int]:
    """Stop g1, let it take a charter, and start it again."""
    town.guards.pop("g1").close()
    store = Store(town.folder / "g1" / "guard.db")
    try:
        return adopt(store, town.sim.fleet, town.sim.history[0][1], note, given)
    finally:
        store.close()


def begun(town: Town, note: bytes, entries: list[bytes] | None = None) -> TiledLog:
    """Begin the new log with these records, the old log's by default, and the charter."""
    return TiledLog(NEW, [*(town.authority.entries if entries is None else entries), note])


def state_of(guard: Guard) -> str:
    """Give the digest of the state that a guard vouches for."""
    return guard.follower.look(lambda state: state.digest())


def test_new_log_goes_on_where_the_old_one_ends(town: Town) -> None:
    """The guard cosigns the new log, which holds the old records, and the old log no more."""
    note, size = moved(town), len(town.authority.entries)
    assert told(town, note) == (size, 0)
    new = begun(town, note)
    guard = town.guard("g1", new)
    assert town.offer(guard, new).status == 200
    assert state_of(town.guard("g1", new)) == state_of(guard)
    late = town.offer(town.guards["g1"])
    assert late.status == 404
    assert b"guard charter" in late.body


def test_who_folds_the_new_log_from_its_start_comes_to_the_same(town: Town) -> None:
    """The charter is the new log's first own record: hosts that come later need nothing else."""
    note = moved(town)
    told(town, note)
    new = begun(town, note)
    guard = town.guard("g1", new)
    assert town.offer(guard, new).status == 200
    later = State(town.sim.fleet)
    fold(later, new.entries)
    assert later.digest() == state_of(guard)


def test_old_log_can_still_be_read_and_signs_nothing_more(town: Town) -> None:
    """Whoever was not told yet finds the old records at the mirror, and no newer head of them."""
    note = moved(town)
    told(town, note)
    guard = town.guard("g1", begun(town, note))
    assert guard.mirror.checkpoint(town.sim.origin)
    town.say(town.veto())
    assert town.offer(guard, town.authority).status == 404


def test_guard_that_was_not_told_cosigns_no_new_log(town: Town) -> None:
    """A head of a log that its charter does not name is answered with what to do."""
    new = begun(town, moved(town))
    answer = town.offer(town.guard("g1", new), new)
    assert answer.status == 404
    assert b"answerable guard charter" in answer.body


def test_forked_start_is_not_cosigned(town: Town) -> None:
    """The new log leaves out one record that it should have carried over: nobody cosigns it."""
    note = moved(town)
    told(town, note)
    fork = begun(town, note, [*town.authority.entries[:-1], b"another record"])
    answer = town.offer(town.guard("g1", fork), fork)
    assert answer.status == 403
    assert b"split_view" in answer.body


@pytest.mark.parametrize("start", ["", "ab" * 32], ids=["none", "another state"])
def test_charter_that_starts_elsewhere_is_refused(town: Town, start: str) -> None:
    """Even people cannot start a log at a state that never was: nothing is changed."""
    before = state_of(town.guards["g1"])
    note = town.sim.next_charter(lambda body: there(body, start), "dana", "lee")
    with pytest.raises(Refused, match="bad_start"):
        told(town, note)
    assert state_of(town.guard()) == before
    assert town.offer(town.guards["g1"]).status == 200


def test_charter_by_one_person_moves_nothing(town: Town) -> None:
    """The thresholds of old and new charter hold here as everywhere."""
    digest = town.sim.state.digest()
    note = town.sim.next_charter(lambda body: there(body, digest), "dana")
    with pytest.raises(Refused, match="not_enough_people"):
        told(town, note)


def test_charter_of_the_same_log_belongs_into_it(town: Town) -> None:
    """Taken by hand too early it would split the guard from everybody who follows the log."""
    note = town.sim.next_charter(lambda body: body.update(name="renamed"), "dana", "lee")
    with pytest.raises(Refused, match="answerable log submit"):
        told(town, note)


def test_doing_it_again_changes_nothing(town: Town) -> None:
    """A command that was run twice is no second move."""
    note = moved(town)
    assert told(town, note) == told_again(town, note)


def told_again(town: Town, note: bytes) -> tuple[int, int]:
    """Take the same charter once more."""
    town.guard("g1", begun(town, note))
    return told(town, note)


def test_records_that_only_this_guard_cosigned_are_left_behind(town: Town) -> None:
    """A veto that stood in them goes on: it is handed to the new log, and must stand there."""
    guard, size = town.guards["g1"], len(town.authority.entries)
    veto = town.veto()
    note = moved(town)
    assert guard.veto(veto).status == 200
    guard.forward()
    assert town.authority.entries[size:] == [veto]
    assert town.offer(guard).status == 200
    guard.chores()
    assert told(town, note, town.authority.entries[:size]) == (size, 1)
    new = begun(town, note)
    new.entries.remove(veto)
    again = town.guard("g1", new)
    assert town.offer(again, new).status == 200
    again.forward()
    assert new.entries[size:] == [note, veto]
    assert town.offer(again, new).status == 200
    assert statement_id(veto) in again.follower.look(lambda state: set(state.vetoes))


def test_only_so_many_records_are_left_behind(town: Town) -> None:
    """A guard that is further ahead than that asks people to look."""
    note = moved(town)
    town.say(*(b"junk %d" % n for n in range(BACK + 1)))
    state = State(town.sim.fleet)
    with pytest.raises(Refused, match="bad_start"):
        reach(town.authority.entries, note, state.fleet)
    assert reach(town.authority.entries[:-1], note, state.fleet).inside is False


def test_guard_that_missed_the_end_is_given_the_records(town: Town) -> None:
    """A guard that was away, or is new, takes them from anybody: the charter vouches for them."""
    town.say(town.veto())
    note, size = moved(town), len(town.authority.entries)
    with pytest.raises(Refused, match="bad_start"):
        told(town, note)
    town.guard()
    assert told(town, note, town.authority.entries) == (size, 0)
    new = begun(town, note)
    assert town.offer(town.guard("g1", new), new).status == 200


def test_new_guard_takes_everything_from_the_new_log(town: Town) -> None:
    """A guard that joins after the move follows the new log from its first record."""
    note = moved(town)
    new = begun(town, note)
    town.guards.pop("g1").close()
    (town.folder / "g1" / "guard.db").unlink()
    assert told_fresh(town, note, new) == (len(new.entries), 0)
    guard = town.guard("g1", new)
    assert town.offer(guard, new).status == 200
    assert guard.follower.origin() == NEW


def told_fresh(town: Town, note: bytes, new: TiledLog) -> tuple[int, int]:
    """Let a guard without a database take the charter and the new log's records."""
    store = Store(town.folder / "g1" / "guard.db")
    try:
        return adopt(store, town.sim.fleet, town.sim.history[0][1], note, new.entries)
    finally:
        store.close()


def test_records_of_another_history_are_refused(town: Town) -> None:
    """What is given must be what this guard has followed, or a beginning of it."""
    with pytest.raises(Refused, match="split_view"):
        told(town, moved(town), [*town.authority.entries[:-1], b"other", b"more"])


def test_veto_under_the_old_log_counts_in_the_new_one(town: Town) -> None:
    """Who objected while there was no log need not do so again; all else is signed anew."""
    sim = town.sim
    veto, seen = town.veto(), sim.write("seen", {"notice": "ab" * 32}, "lee")
    state = deepcopy(sim.state)
    succeed(state, moved(town))
    taken, refused = fold(state, [veto, seen])
    assert taken is None
    assert refused
    assert refused.reason == "wrong_origin"
