"""Data folders: kept before a script runs, brought back after it, whatever it did and when."""

import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.host.transaction import data
from answerable.host.transaction.port import LEVELS, Drifted, FilesFailed, Look
from tests.fakes.fake_files import MemoryFiles
from tests.host.transaction.test_journal import (
    HOME,
    fill,
    host,
    journal,
    look,
    read,
    rows,
    steps_of,
    stopped_at,
    undo,
)

FOLDER = "/var/lib/app"


def put(files: MemoryFiles, path: str, text: bytes, mode: int = 0o640) -> None:
    """Write a file with a look."""
    files.write(path, [text])
    files.dress(path, look(text, mode))


def made() -> MemoryFiles:
    """A host with the data of a service, all of it durable."""
    files = MemoryFiles()
    fill(files)
    for folder in ("/var", "/var/lib", FOLDER, f"{FOLDER}/sub", f"{FOLDER}/sub/deep"):
        files.mkdir(folder)
        files.dress(folder, Look("dir", 0o750, 7, 8))
    put(files, f"{FOLDER}/one", b"first")
    put(files, f"{FOLDER}/sub/two", b"second", 0o600)
    files.link(f"{FOLDER}/now", "one")
    files.settle()
    return files


def script(files: MemoryFiles) -> None:
    """Change, add, remove, turn a file into a folder and a folder into a file."""
    put(files, f"{FOLDER}/one", b"migrated", 0o666)
    files.mkdir(f"{FOLDER}/new")
    put(files, f"{FOLDER}/new/three", b"third")
    files.unlink(f"{FOLDER}/sub/two")
    files.mkdir(f"{FOLDER}/sub/two")
    files.rmdir(f"{FOLDER}/sub/deep")
    put(files, f"{FOLDER}/sub/deep", b"now a file")
    files.unlink(f"{FOLDER}/now")
    files.dress(FOLDER, Look("dir", 0o777, 9, 9))


def commit(files: MemoryFiles) -> str:
    """Commit the rows, with the script in it."""

    def then(place: str) -> None:
        data.keep(files, place, [FOLDER])
        script(files)
        paths = [path for path, seen in data.walk(files, FOLDER) if seen.kind != "link"]
        files.sync(*paths)

    return journal(files).commit(rows(files), read, {"for": "a test"}, then)


def test_what_a_script_did_is_undone_and_kept_beside() -> None:
    """The undo takes back what the service wrote since, and keeps it for people."""
    files = made()
    before = host(files)
    commit(files)
    assert files.look(f"{FOLDER}/one") == look(b"migrated", 0o666)
    put(files, f"{FOLDER}/new/four", b"written since")
    undo(files)
    assert host(files) == before
    since = f"{HOME}/000001/since{FOLDER}"
    assert b"".join(files.read(f"{since}/new/four")) == b"written since"


@pytest.mark.parametrize("lost", [False, True], ids=["killed", "power cut"])
@pytest.mark.parametrize("act", [commit, undo])
def test_stopped_at_every_step(act: Callable[[MemoryFiles], object], *, lost: bool) -> None:
    """After a repair all of it is there or nothing, the data too."""

    def begun() -> MemoryFiles:
        files = made()
        if act is undo:
            commit(files)
            files.settle()
        return files

    before = host(made())
    for step in range(steps_of(act, begun()) + 1):
        files = begun()
        stopped_at(step, act, files)
        if lost:
            files.cut(lambda: False)
        assert all(r.left == () for r in journal(files).repair()), step
        if journal(files).numbers("done"):
            assert files.look(f"{FOLDER}/one") == look(b"migrated", 0o666), step
            undo(files)
        assert host(files) == before, step


@given(st.integers(0, 400), st.integers(0, 400), st.randoms(use_true_random=False))
def test_power_cut_in_a_repair_after_a_power_cut(
    first: int, second: int, chance: random.Random
) -> None:
    """It converges."""
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


def test_a_failing_script_is_brought_back() -> None:
    """By the same repair."""
    files = made()
    before = host(files)

    def then(place: str) -> None:
        data.keep(files, place, [FOLDER])
        script(files)
        raise FilesFailed("the script failed")

    with pytest.raises(FilesFailed):
        journal(files).commit(rows(files), read, {}, then)
    journal(files).repair()
    assert host(files) == before


def test_what_is_no_data_is_found() -> None:
    """New setuid files, capabilities, keys and pipes; what was there before is not new."""
    files = made()
    put(files, f"{FOLDER}/old", b"sh", 0o4755)
    put(files, f"{FOLDER}/listed", b"1")
    listed = Look("file", 0o640, attributes=(("system.posix_acl_access", "01"),))
    files.dress(f"{FOLDER}/listed", listed)
    files.write(f"{FOLDER}/socket", [])
    files._find(f"{FOLDER}/socket").look = Look("other")  # type: ignore[union-attr]
    files.mkdir(f"{HOME}/000001")
    data.keep(files, f"{HOME}/000001", [FOLDER])
    assert data.grown(files, f"{HOME}/000001") == []
    put(files, f"{FOLDER}/sh", b"sh", 0o4755)
    put(files, f"{FOLDER}/cap", b"sh")
    capable = Look("file", 0o755, attributes=(("security.capability", "01"),))
    files.dress(f"{FOLDER}/cap", capable)
    files.write(f"{FOLDER}/pipe", [])
    files._find(f"{FOLDER}/pipe").look = Look("other")  # type: ignore[union-attr]
    files.write(f"{FOLDER}/listed", [b"2"])
    files.dress(f"{FOLDER}/listed", listed)
    files.mkdir(f"{FOLDER}/.ssh")
    found = data.grown(files, f"{HOME}/000001")
    assert found == [f"{FOLDER}/{name}" for name in (".ssh", "cap", "pipe", "sh")]
    assert data.back(files, f"{HOME}/000001", "tag") == []
    assert files.names(FOLDER) == ["listed", "now", "old", "one", "socket", "sub"]


def test_a_file_that_changes_while_it_is_kept_is_named() -> None:
    """Nobody would know what the copy is."""
    files = made()
    files.mkdir(f"{HOME}/000001")
    write = files.write

    def busy(path: str, pieces: object) -> None:
        write(path, pieces)  # type: ignore[arg-type]
        if path.endswith("/data/var/lib/app/one"):
            write(path, [b"torn"])

    files.write = busy  # type: ignore[method-assign]
    with pytest.raises(Drifted) as caught:
        data.keep(files, f"{HOME}/000001", [FOLDER])
    assert caught.value.paths == (f"{FOLDER}/one",)
    assert data.folders(files, f"{HOME}/000001") == []


def test_too_much_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is said before anything is done."""
    files = made()
    assert data.measure(files, [FOLDER]) == ""
    monkeypatch.setattr(data, "LIMIT", 10)
    assert FOLDER in data.measure(files, [FOLDER])


@pytest.mark.parametrize(
    "rights", [Look("file", 0o4755), Look("file", 0o2711),
               Look("file", 0o755, attributes=(("security.capability", "01"),))]
)  # fmt: skip
def test_rights_that_are_there_already_are_no_script_s_to_keep(rights: Look) -> None:
    """Root would write other bytes into a file that keeps its bits."""
    files = made()
    put(files, f"{FOLDER}/sub/tool", b"sh")
    files.dress(f"{FOLDER}/sub/tool", rights)
    assert f"`{FOLDER}/sub/tool` has rights" in data.measure(files, [FOLDER])


def test_a_damaged_mark_stops_the_repair() -> None:
    """And says where the data lies."""
    files = made()
    files.mkdir(f"{HOME}/000001")
    files.write(f"{HOME}/000001/live", [b"{"])
    with pytest.raises(FilesFailed, match="damaged"):
        data.back(files, f"{HOME}/000001", "tag")


def test_folders_that_nobody_can_follow_are_named() -> None:
    """A service makes folders in folders: the agent says so, and does not end of it."""
    files, path = made(), FOLDER
    for _ in range(LEVELS):
        path += "/d"
        files.mkdir(path)
    with pytest.raises(FilesFailed, match="goes deeper"):
        data.measure(files, [FOLDER])


def test_a_socket_whose_name_is_no_text_is_kept_in_mind() -> None:
    """Names of files are a service's own."""
    files = made()
    odd = f"{FOLDER}/\udcff"
    put(files, odd, b"")
    seen = files.look
    look_other = Look("other", 0o600, 7, 8)
    files.look = lambda path: look_other if path == odd else seen(path)  # type: ignore[method-assign]
    files.mkdir(HOME + "/000001")
    data.keep(files, f"{HOME}/000001", [FOLDER])
    assert data.folders(files, f"{HOME}/000001") == [FOLDER]
