"""A dead worker is known to be dead, a living one is not, and one that cannot tell stops."""

import sqlite3
from contextlib import closing
from pathlib import Path
from threading import Event

import pytest

from answerable.rollout.lease import BEAT, RENEW, SILENT, Keeper, Lease, LeaseLost

A, B = "a" * 32, "b" * 32


def rewrite(directory: Path, statement: str, *values: object) -> None:
    """Change the heartbeat table as somebody who can write the file would."""
    with closing(sqlite3.connect(directory / "workers.sqlite")) as database, database:
        database.execute(statement, values)


def test_a_peer_gives_up_before_a_frozen_worker_could_believe_itself_alive() -> None:
    """The times are in an order that leaves no worker alive that its peers have given up."""
    assert BEAT < RENEW < SILENT


def test_workers_see_each_other_until_one_releases(tmp_path: Path) -> None:
    """Living workers are seen; one that leaves in an orderly way is gone at once."""
    one, two = Lease(tmp_path, A), Lease(tmp_path, B)
    assert one.alive() == two.alive() == {A, B}
    two.release()
    assert one.alive() == {A}
    assert not (tmp_path / f"{B}.lock").exists()


def test_a_silent_worker_is_given_up_and_learns_it(tmp_path: Path) -> None:
    """A frozen process still holds its lock; its old heartbeat betrays it."""
    one, two = Lease(tmp_path, A), Lease(tmp_path, B)
    late = int(SILENT * 1000) + 1
    rewrite(tmp_path, "UPDATE worker SET beat = beat - ? WHERE id = ?", late, B)
    assert one.alive() == {A}
    with pytest.raises(LeaseLost):
        two.beat()
    one.beat()


def test_a_killed_worker_is_dead_at_once(tmp_path: Path) -> None:
    """A fresh heartbeat does not help a process that lost its lock."""
    one = Lease(tmp_path, A)
    rewrite(tmp_path, "INSERT INTO worker SELECT ?, beat FROM worker", B)
    (tmp_path / f"{B}.lock").touch()
    assert one.alive() == {A}


@pytest.mark.parametrize("name", ["../../victim", "/etc/victim", "", "victim"])
def test_a_forged_worker_name_reaches_no_file(tmp_path: Path, name: str) -> None:
    """A row of the heartbeat table must not become the path of a file that is removed."""
    victim = tmp_path / "victim.lock"
    victim.touch()
    directory = tmp_path / "engine" / "workers"
    one = Lease(directory, A)
    rewrite(directory, "INSERT INTO worker SELECT ?, beat FROM worker", name)
    (directory / "victim.lock").touch()
    assert one.alive() == {A}
    assert victim.exists()
    assert (directory / "victim.lock").exists()


def test_the_files_are_private(tmp_path: Path) -> None:
    """Nobody else may write a heartbeat."""
    Lease(tmp_path / "workers", A)
    assert (tmp_path / "workers").stat().st_mode & 0o777 == 0o700
    modes = {f.stat().st_mode & 0o777 for f in (tmp_path / "workers").iterdir()}
    assert modes == {0o600}


def test_a_worker_that_cannot_renew_stops_itself(tmp_path: Path) -> None:
    """When the time is over, whatever the reason, the process ends itself."""
    lost, now = Event(), [0.0]
    keeper = Keeper(Lease(tmp_path, A), lambda: now[0], lost.set, lambda _: None)
    (tmp_path / "workers.sqlite").unlink()
    (tmp_path / "workers.sqlite").mkdir()
    keeper.start()
    now[0] = RENEW + 0.1
    assert lost.wait(30)
    keeper.stop()


def test_a_worker_whose_row_is_gone_stops_itself(tmp_path: Path) -> None:
    """A worker that was frozen and given up does not go on when it wakes."""
    lost = Event()
    keeper = Keeper(Lease(tmp_path, A), lambda: 0.0, lost.set, lambda _: None)
    rewrite(tmp_path, "DELETE FROM worker")
    keeper.start()
    assert lost.wait(30)
    keeper.stop()


def test_dead_workers_are_adopted_from(tmp_path: Path) -> None:
    """The keeper hands on who is alive, again and again."""
    seen, twice = [], Event()

    def adopt(living: frozenset[str]) -> None:
        seen.append(living)
        if len(seen) == 2:
            twice.set()
        raise LeaseLost("not now")

    keeper = Keeper(Lease(tmp_path, A), lambda: 0.0, lambda: None, adopt)
    keeper.start()
    assert twice.wait(30)
    keeper.stop()
    assert set(seen) == {frozenset({A})}
