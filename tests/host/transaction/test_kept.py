"""Journals that are thrown away: whole or gone at every step, and their numbers stay taken."""

import os
import random
from pathlib import Path

import pytest

from answerable.host.retention import Kept
from answerable.host.transaction.disk import Disk
from answerable.host.transaction.journal import Transactions
from answerable.host.transaction.kept import Journals
from tests.fakes.fake_files import MemoryFiles
from tests.host.transaction.test_journal import (
    HOME,
    commit,
    fill,
    host,
    journal,
    made,
    read,
    rows,
    steps_of,
    stopped_at,
    undo,
)


def drop(files: MemoryFiles) -> None:
    """Throw the first transaction away."""
    journal(files).drop("000001")


@pytest.mark.parametrize("lost", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("undone", [False, True])
def test_dropped_at_every_step(*, lost: bool, undone: bool) -> None:
    """It can still be undone, or it is gone; the host never changes."""

    def begun() -> MemoryFiles:
        files = made()
        commit(files)
        if undone:
            undo(files)
        files.settle()
        return files

    for step in range(steps_of(drop, begun()) + 1):
        files = begun()
        before = host(files)
        stopped_at(step, drop, files)
        if lost:
            files.cut(lambda: False)
        assert journal(files).repair() == [], step
        assert host(files) == before, step
        if journal(files).numbers("dropped"):
            assert files.names(f"{HOME}/000001") == ["dropped"], step
        elif not undone:
            undo(files)
        if undone:
            assert commit(files) == "000002", step


@pytest.mark.parametrize("lost", [False, True], ids=["killed", "power cut"])
def test_dropped_folders_go_at_every_step(*, lost: bool) -> None:
    """Only the newest number stays, however a start was stopped; none is given twice."""

    def dropped() -> MemoryFiles:
        files = made()
        for number in ("000001", "000002"):
            assert commit(files) == number
            undo(files)
            journal(files).drop(number)
        files.mkdir(f"{HOME}/000003")
        files.write(f"{HOME}/000003/pack", [b"killed while it was packed"])
        files.settle()
        return files

    def repair(files: MemoryFiles) -> None:
        assert journal(files).repair() == []

    chance = random.Random(7)
    for step in range(steps_of(repair, dropped()) + 1):
        files = dropped()
        before = host(files)
        stopped_at(step, repair, files)
        if lost:
            files.cut(lambda: chance.random() < 0.5)
        repair(files)
        assert host(files) == before, step
        assert files.names(HOME) == ["000002"], step
        assert files.names(f"{HOME}/000002") == ["dropped"], step
        assert commit(files) == "000003", step


@pytest.mark.needs("uids")
def test_journals_say_what_they_can_undo(tmp_path: Path) -> None:
    """Packages, artefacts and bytes; a damaged one is left to people."""
    note = {"packages": [["tool", "1", "2"], ["new", "", "1"]], "artefacts": ["ab" * 32]}
    with Disk(tmp_path) as files:
        fill(files)
        Transactions(files, HOME, {}).commit(rows(files), read, note)
    kept = Journals(Path(os.path.realpath(tmp_path)) / "state")
    (one,) = kept.kept()
    what = "tool 1 -> 2, new nothing -> 1"
    assert one == Kept("000001", what, one.size, frozenset({"ab" * 32}))
    assert one.size > 100
    kept.drop("000001")
    assert kept.kept() == []
    (tmp_path / "state/000002").mkdir()
    for name in ("plan.json", "done"):
        (tmp_path / "state/000002" / name).write_text("{")
    assert kept.kept() == []
