"""Commit, undo and repair: all of it or nothing, at every step, under kills and power cuts."""

import hashlib
import random
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.host.transaction.disk import Disk
from answerable.host.transaction.journal import Row, Transactions
from answerable.host.transaction.port import Drifted, Files, FilesFailed, Look
from tests.fakes.fake_files import MemoryFiles, PowerCut

HOME = "/state"
BEFORE = {
    "/etc/conf": b"old conf", "/lib/one.so": b"one", "/lib/two.so": b"two",
    "/old/only": b"was shipped", "/turn": b"a file", "/db": b"a=1\nb=1\n",
    "/bin/perl": b"perl", "/bin/perl5": b"perl",
}  # fmt: skip
AFTER = {
    "/etc/conf": b"new conf", "/lib/one.so": b"one, patched", "/new/deep/file": b"fresh",
    "/turn/into": b"a folder", "/db": b"a=2\nb=1\n", "/bin/perl": b"perl 2",
    "/bin/perl5": b"perl 2",
}  # fmt: skip
FOLDERS = ("/etc", "/lib", "/old", "/bin", HOME)


def merge(before: bytes, after: bytes, now: bytes) -> bytes | None:
    """Undo just the lines that differ between before and after."""
    lines = now.splitlines()
    for old, new in zip(before.splitlines(), after.splitlines(), strict=True):
        if old != new and old not in lines:
            if new not in lines:
                return None
            lines[lines.index(new)] = old
    return b"".join(line + b"\n" for line in lines)


def look(data: bytes, mode: int = 0o644) -> Look:
    """The look of a file."""
    return Look("file", mode, 0, 0, hashlib.sha256(data).hexdigest(), len(data), "", 5_000_000_000)


def fill(files: Files) -> None:
    """Make the host as it is before."""
    for path in FOLDERS:
        files.mkdir(path)
        files.dress(path, Look("dir", 0o755))
    for path, data in BEFORE.items():
        files.write(path, [data])
        files.dress(path, look(data))
    files.twin("/bin/perl5", "/bin/perl")
    files.link("/lib/so", "two.so")


def rows(files: Files) -> list[Row]:
    """The rows of a commit that changes, adds, removes, turns and links."""
    wanted: dict[str, Look | None] = {p: look(d, 0o4755) for p, d in AFTER.items()}
    wanted |= {p: Look("dir", 0o750) for p in ("/new", "/new/deep", "/turn")}
    wanted |= dict.fromkeys(("/old/only", "/old", "/lib/two.so"))
    wanted |= {"/lib/so": Look("link", target="one.so"), "/etc": Look("dir", 0o711)}
    found = [Row(path, files.look(path), wanted[path]) for path in sorted(wanted)]
    return [replace(r, twin="/bin/perl", was="/bin/perl") if r.path == "/bin/perl5" else r
            for r in found]  # fmt: skip


def read(path: str) -> Iterable[bytes]:
    """Give the new bytes."""
    return [AFTER[path]]


def journal(files: Files) -> Transactions:
    """The journal of the files."""
    return Transactions(files, HOME, {"/db": merge})


def host(files: MemoryFiles) -> dict[str, object]:
    """Everything but the journal."""
    return {p: seen for p, seen in files.tree().items() if not p.startswith(HOME)}


def made() -> MemoryFiles:
    """A host before the commit, all of it durable."""
    files = MemoryFiles()
    fill(files)
    files.settle()
    return files


def stopped_at(step: int, act: Callable[[MemoryFiles], object], files: MemoryFiles) -> bool:
    """Run until so many steps are done; tell whether it was stopped."""
    files.left = files.steps + step
    try:
        act(files)
    except PowerCut:
        return True
    finally:
        files.left = -1
    return False


def commit(files: Files) -> str:
    """Commit the rows."""
    return journal(files).commit(rows(files), read, {"for": "a test"})


def undo(files: Files) -> None:
    """Undo what is done."""
    (number,) = journal(files).numbers("done")
    journal(files).undo(number)


def steps_of(act: Callable[[MemoryFiles], object], files: MemoryFiles) -> int:
    """Count the steps of an act."""
    before = files.steps
    act(files)
    return files.steps - before


COMMIT = steps_of(commit, made())


def test_commit_and_undo_give_identical_files() -> None:
    """What is committed is what was explained; what is undone is what was there, to the byte."""
    files = made()
    before = host(files)
    commit(files)
    after = host(files)
    assert files.look("/turn/into") == look(b"a folder", 0o4755)
    assert files.look("/old") is None
    assert files._find("/bin/perl") is files._find("/bin/perl5")
    undo(files)
    assert host(files) == before
    assert files._find("/bin/perl") is files._find("/bin/perl5")
    assert after != before
    assert journal(files).numbers("undone") == ["000001"]


@pytest.mark.needs("uids")
def test_real_files_too(tmp_path: Path) -> None:
    """The same on a real disk, with a second transaction after it."""
    with Disk(tmp_path) as files:
        fill(files)
        before = {p: files.look(p) for p in BEFORE}
        commit(files)
        assert (tmp_path / "bin/perl").samefile(tmp_path / "bin/perl5")
        assert (tmp_path / "etc/conf").stat().st_mode & 0o7777 == 0o4755
        undo(files)
        assert {p: files.look(p) for p in BEFORE} == before
        assert commit(files) == "000002"
        assert not list(tmp_path.rglob(".answerable-*"))


@pytest.mark.parametrize("lost", [False, True], ids=["killed", "power cut"])
def test_commit_stopped_at_every_step_is_brought_back(*, lost: bool) -> None:
    """A kill or a power cut at any step leaves, after repair, all of it or nothing of it."""
    for step in range(COMMIT + 1):
        files = made()
        before = host(files)
        stopped = stopped_at(step, commit, files)
        if lost:
            files.cut(lambda: False)
        done = journal(files).numbers("done")
        repaired = journal(files).repair()
        assert not (repaired and done), step
        assert all(r.left == () and r.note == {"for": "a test"} for r in repaired), step
        if done:
            assert files.look("/new/deep/file") == look(b"fresh", 0o4755), step
            undo(files)
        assert host(files) == before, (step, stopped)


@pytest.mark.parametrize("lost", [False, True], ids=["killed", "power cut"])
def test_undo_stopped_at_every_step_is_finished(*, lost: bool) -> None:
    """An undo that was stopped is finished, or was never begun."""
    files = made()
    commit(files)
    for step in range(steps_of(undo, files) + 1):
        files = made()
        before = host(files)
        commit(files)
        files.settle()
        stopped_at(step, undo, files)
        if lost:
            files.cut(lambda: False)
        journal(files).repair()
        if journal(files).numbers("done"):
            undo(files)
        assert host(files) == before, step


@given(st.integers(0, COMMIT), st.integers(0, COMMIT), st.randoms(use_true_random=False))
def test_power_cut_in_a_repair_after_a_power_cut(
    first: int, second: int, chance: random.Random
) -> None:
    """Any names that were not synced may have arrived, twice over: the repair still converges."""
    files = made()
    before = host(files)
    stopped_at(first, commit, files)
    files.cut(lambda: chance.random() < 0.5)
    stopped_at(second, lambda f: journal(f).repair(), files)
    files.cut(lambda: chance.random() < 0.5)
    journal(files).repair()
    if journal(files).numbers("done"):
        undo(files)
    assert host(files) == before


def test_bytes_that_changed_since_the_rehearsal_are_refused() -> None:
    """A host that moved under the rehearsal is left as it is."""
    files = made()
    wanted = rows(files)
    files.write("/etc/conf", [b"edited"])
    before = host(files)
    with pytest.raises(Drifted) as caught:
        journal(files).commit(wanted, read, {})
    assert caught.value.paths == ("/etc/conf",)
    assert host(files) == before


def test_bytes_that_changed_since_they_were_explained_never_stay() -> None:
    """The sandbox's files may be swapped after the explanation: the commit stops, and is undone."""
    files = made()
    before = host(files)
    with pytest.raises(FilesFailed, match="explained"):
        journal(files).commit(rows(files), lambda _: [b"swapped"], {})
    journal(files).repair()
    assert host(files) == before


@pytest.mark.parametrize(
    ("path", "data"),
    [("/etc/conf", b"edited"), ("/new/deep/mine", b"more"), ("/db", b"a=9\nb=1\n")],
)
def test_undo_is_refused_over_drift(path: str, data: bytes) -> None:
    """What somebody changed after the commit is named and never overwritten."""
    files = made()
    commit(files)
    files.write(path, [data])
    before = host(files)
    with pytest.raises(Drifted) as caught:
        undo(files)
    assert caught.value.paths == (path,)
    assert host(files) == before


def test_shared_file_goes_back_by_its_own_lines() -> None:
    """A later change of another package in the same database does not block the undo."""
    files = made()
    commit(files)
    files.write("/db", [b"a=2\nb=7\n"])
    undo(files)
    assert b"".join(files.read("/db")) == b"a=1\nb=7\n"


def test_repair_leaves_alone_what_somebody_else_changed() -> None:
    """A path that is neither as before nor as after is kept and named."""
    files = made()
    stopped_at(COMMIT - 12, commit, files)
    files.write("/lib/one.so", [b"by somebody"])
    (repaired,) = journal(files).repair()
    assert repaired.left == ("/lib/one.so",)
    assert b"".join(files.read("/lib/one.so")) == b"by somebody"
    assert b"".join(files.read("/etc/conf")) == b"old conf"


def test_folder_swapped_for_a_link_redirects_nothing(tmp_path: Path) -> None:
    """A user who owns a folder cannot make root write where it points."""
    (tmp_path / "safe").mkdir()
    with Disk(tmp_path) as files:
        files.mkdir("/theirs")
    (tmp_path / "theirs").rmdir()
    (tmp_path / "theirs").symlink_to("safe")
    with Disk(tmp_path) as files, pytest.raises(FilesFailed):
        files.write("/theirs/file", [b"x"])
    assert list((tmp_path / "safe").iterdir()) == []


@pytest.mark.needs("uids")
def test_damaged_plan_is_named(tmp_path: Path) -> None:
    """A journal that cannot be read is an error, never an empty one."""
    with Disk(tmp_path) as files:
        fill(files)
        commit(files)
        (tmp_path / "state/000001/plan.json").write_bytes(b"{")
        with pytest.raises(FilesFailed, match="000001"):
            journal(files).drift("000001")
