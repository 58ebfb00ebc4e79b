"""A guard starts from the fold that it kept, and from nothing that does not hold."""

import sqlite3
from pathlib import Path

import pytest

from answerable.kernel.errors import Refused
from answerable.witness import follower
from answerable.witness.guard import Guard
from tests.fakes.guards import Town


@pytest.fixture
def town(tmp_path: Path) -> Town:
    """A fleet whose first guard has cosigned the log so far, and kept its fold."""
    made = Town(tmp_path)
    guard = made.guard()
    assert made.offer(guard).status == 200
    guard.follower.save(1)
    return made


def digest(guard: Guard) -> str:
    """Give the digest of the state that a guard vouches for."""
    return guard.follower.look(lambda state: state.digest())


def folds(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Record what is folded from now on."""
    seen: list[bytes] = []
    real = follower.fold  # type: ignore[attr-defined]

    def fold(state: object, entries: list[bytes]) -> list[Refused | None]:
        seen.extend(entries)
        return real(state, entries)  # type: ignore[arg-type]

    monkeypatch.setattr(follower, "fold", fold)
    return seen


def change(town: Town, statement: str, *values: object) -> None:
    """Edit the first guard's database, which is not running."""
    town.guards.pop("g1").close()
    with sqlite3.connect(town.folder / "g1" / "guard.db") as base:
        base.execute(statement, values)


def test_only_what_is_new_is_folded(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    """A restart folds the records after the fold that was kept, and comes to the same state."""
    town.say(veto := town.veto())
    town.sim.append(veto)
    assert town.offer(town.guards["g1"]).status == 200
    seen = folds(monkeypatch)
    guard = town.guard()
    assert seen == [veto]
    assert digest(guard) == town.sim.state.digest()


def test_it_goes_on_from_there(town: Town) -> None:
    """A guard that started so judges, cosigns and keeps as any other."""
    guard = town.guard()
    town.say(veto := town.veto())
    town.sim.append(veto)
    assert town.offer(guard).status == 200
    guard.follower.save(1)
    assert digest(town.guard()) == town.sim.state.digest()


@pytest.mark.parametrize(
    ("statement", "value"),
    [
        ("UPDATE folded SET tables=?", b'{"stopped":""}'),
        ("UPDATE folded SET hash=?", b"x" * 32),
        ("UPDATE folded SET size=?", 2),
        ("UPDATE tile SET data=? WHERE level=0", b"x" * 32),
    ],
    ids=["tables", "hash", "size", "leaves"],
)
def test_a_fold_that_does_not_hold_is_made_anew(
    town: Town, monkeypatch: pytest.MonkeyPatch, statement: str, value: object
) -> None:
    """A row that was torn or edited is no state: every record is folded again."""
    change(town, statement, value)
    seen = folds(monkeypatch)
    guard = town.guard()
    assert seen == town.authority.entries
    assert digest(guard) == town.sim.state.digest()


def test_a_charter_from_elsewhere_throws_it_away(town: Town) -> None:
    """The place at which it came is found again by folding."""
    guard = town.guards["g1"]
    guard.follower.succeed(town.sim.next_charter(lambda b: b.update(name="other"), "dana", "lee"))
    before = digest(guard)
    assert digest(town.guard()) == before


def test_chores_keep_it_seldom(town: Town) -> None:
    """A handful of records is not worth the disk."""
    guard = town.guards["g1"]
    town.say(town.veto())
    assert town.offer(guard).status == 200
    guard.chores()
    with guard.store.read() as db:
        (size,) = db.execute("SELECT size FROM folded").fetchone()
    assert size == len(town.authority.entries) - 1
