"""Who runs what was replaced: told by the kernel's own tables, here laid out as files."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from answerable.host.services.stale import MANAGER, Need, find_need, replaced, unit_of

LIBRARY = "/usr/lib/x86_64-linux-gnu/libcrypto.so.3"
OLD = f"7f00-7f01 r-xp 00000000 00:2a 4711   {LIBRARY} (deleted)"
NEW = OLD.removesuffix(" (deleted)")
BOOTED = 1_000_000


def process(proc: Path, pid: int, unit: str, maps: str, exe: str = "nginx", start: int = 0) -> Path:
    """Lay out one process as proc(5) shows it; `start` is in seconds since boot."""
    place = proc / str(pid)
    place.mkdir(parents=True)
    (proc / "stat").write_text(f"cpu 1 2 3\nbtime {BOOTED}\nprocesses 9\n")
    (place / "maps").write_text(maps + "\n")
    (place / "cgroup").write_text(f"1:name=systemd:{unit}\n0::{unit}\n")
    (place / "exe").symlink_to(f"/usr/bin/{exe}")
    ticks = start * os.sysconf("SC_CLK_TCK")
    (place / "stat").write_text(f"{pid} (a (b) c) S {' '.join(['0'] * 18)} {ticks} 0\n")
    return place


def test_a_unit_that_maps_a_deleted_library_is_in_need(tmp_path: Path) -> None:
    """And one that maps the new one is not, nor the kernel's own threads, nor what has ended."""
    process(tmp_path, 10, "/system.slice/nginx.service", OLD)
    process(tmp_path, 11, "/system.slice/nginx.service", NEW)
    process(tmp_path, 12, "/system.slice/ssh.service", NEW)
    process(tmp_path, 1, "/init.scope", OLD)
    process(tmp_path, 2, "/", "").joinpath("exe").unlink()
    (tmp_path / "13").mkdir()
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text("0::/system.slice/agent.service\n")
    found = find_need(tmp_path, ())
    assert found == Need({"nginx": LIBRARY, MANAGER: LIBRARY}, own="agent")
    assert found.may("nginx")
    assert not found.may("ssh")


@pytest.mark.parametrize(
    "line",
    [
        OLD.replace("r-xp", "r--p"),
        OLD.replace("4711", "0"),
        OLD.replace(LIBRARY, "/memfd:code"),
        OLD.replace(LIBRARY, "/tmp/jit.so"),  # noqa: S108
        OLD.replace(LIBRARY, "/dev/shm/x"),  # noqa: S108
        OLD.replace(LIBRARY, "/SYSV00000000"),
        "7f00-7f01 r-xp 00000000 00:00 0   [vdso]",
        "",
    ],
)
def test_data_memory_and_temporary_files_are_no_old_code(line: str) -> None:
    """A deleted file counts if it is a file of a disk and may be executed."""
    assert replaced(line) == []


def test_each_replaced_file_is_named_once() -> None:
    """A library is mapped in several pieces."""
    assert replaced(f"{OLD}\n{OLD}\n{NEW}\n{OLD.replace('libcrypto', 'a b')}") == [
        "/usr/lib/x86_64-linux-gnu/a b.so.3", LIBRARY,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "unit"),
    [
        ("0::/system.slice/nginx.service", "nginx"),
        ("0::/system.slice/system-getty.slice/getty@tty1.service", "getty@tty1"),
        ("0::/user.slice/user-1000.slice/user@1000.service/app.slice/x.service", "user@1000"),
        ("0::/user.slice/user-1000.slice/session-3.scope", "session-3.scope"),
        ("0::/init.scope", MANAGER),
        ("0::/", ""),
        ("0::/../../other", ""),
        ("0::/../../system.slice/nginx.service", "nginx"),
        ("0::/docker/0a1b/system.slice/nginx.service", ""),
        ("0::/machine.slice/machine-a.scope/payload/system.slice/nginx.service", "machine-a.scope"),
        ("4:memory:/system.slice/a.service\n1:name=systemd:/system.slice/b.service", "b"),
        ("no such line", ""),
    ],
)
def test_the_outermost_unit_of_a_cgroup_counts(text: str, unit: str) -> None:
    """What runs below a unit is restarted with it."""
    assert unit_of(text) == unit


def test_an_interpreter_that_is_older_than_the_change_may_be_in_need(tmp_path: Path) -> None:
    """Scripts are not mapped: it may be restarted, and is not said to be ineffective."""
    proc, database = tmp_path / "proc", tmp_path / "status"
    database.write_text("")
    ago = int(database.stat().st_ctime) - BOOTED - 100
    process(proc, 10, "/system.slice/app.service", NEW, "python3.11", ago)
    process(proc, 11, "/system.slice/young.service", NEW, "python3.11", ago + 200)
    process(proc, 12, "/system.slice/web.service", NEW, "nginx", ago)
    process(proc, 13, "/", NEW, "bash", ago)
    found = find_need(proc, (database, tmp_path / "absent"))
    assert found == Need({}, frozenset({"app"}))


def test_what_may_not_be_looked_at_may_be_in_need(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the right to see a process nothing is taken as done."""
    process(tmp_path, 10, "/system.slice/nginx.service", NEW)
    opened = Path.open

    def shut(path: Path, mode: str = "r") -> object:
        if path.name == "maps":
            raise PermissionError(13, "no")
        return opened(path, mode)

    monkeypatch.setattr(Path, "open", shut)
    assert find_need(tmp_path, ()) == Need({}, frozenset({"nginx"}))


def test_this_machine_can_be_looked_at() -> None:
    """Real processes come and go while it looks."""
    assert MANAGER not in find_need().sure or os.geteuid() == 0


@pytest.mark.fuzz
@given(st.text(max_size=300))
def test_any_table_is_read(text: str) -> None:
    """Names of files and cgroups are other people's words."""
    assert all(path.startswith("/") for path in replaced(text))
    assert "/" not in unit_of(text)
