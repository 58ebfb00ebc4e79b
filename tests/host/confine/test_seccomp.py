"""The filters of system calls, run as the kernel runs them, for each machine that has a table."""

import errno
import os
import socket
from collections.abc import Callable
from struct import unpack_from
from types import SimpleNamespace

import pytest

from answerable.host.confine import seccomp
from answerable.host.confine.seccomp import NoSeccomp, no_network, no_setuid, only

MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
I386 = 0x40000003
# As the kernel numbers them: on x86_64, on aarch64.
EXECVE, PTRACE, KILL, BIND, LISTEN, CHMOD = (
    (59, 221), (101, 117), (62, 129), (49, 200), (50, 201), (268, 53)
)  # fmt: skip
READ, CLONE, CLONE3, SOCKET = (0, 63), (56, 220), (435, 435), (41, 198)
SIGCHLD, THREAD = 17, 0x003D0F00
INET, UNIX, NETLINK, PACKET = (
    int(f) for f in (socket.AF_INET, socket.AF_UNIX, socket.AF_NETLINK, socket.AF_PACKET)
)
STREAM, DGRAM, RAW, CLOEXEC = 1, 2, 3, 0o2000000
SENDS = (((44, 206), 3), ((46, 211), 2), ((307, 269), 3))
# Calls that give modes, and where the mode is; -1: this machine has no such call.
MODES = {
    "chmod": ((90, -1), 1), "fchmod": ((91, 52), 1), "fchmodat": ((268, 53), 2),
    "fchmodat2": ((452, 452), 2), "open": ((2, -1), 2), "openat": ((257, 56), 3),
    "creat": ((85, -1), 1), "mknod": ((133, -1), 1), "mknodat": ((259, 33), 2),
}  # fmt: skip
OPENAT2, IO_URING, UNSHARE, MKDIRAT, LINKAT = (
    (437, 437), (425, 425), (272, 97), (258, 34), (265, 37)
)  # fmt: skip
CREATES, NAMELESS, NEW_USER, NEW_MOUNT = 0o1101, 0o20200002, 0x10000000, 0x00020000
NOSIGNAL, FAST_OPEN = 0x4000, 0x20000000


def judge(program: bytes, arch: int, number: int, *arguments: int) -> str:
    """Run a filter on one call, as seccomp(2) says: `allow`, `kill`, or an error's name."""
    words = {0: number, 4: arch} | {16 + 8 * n: value for n, value in enumerate(arguments)}
    at, a = 0, 0
    for _ in range(len(program) // 8):
        code, yes, no, k = unpack_from("=HBBI", program, 8 * at)
        at += 1
        if code == 0x20:
            a = words.get(k, 0) & 0xFFFFFFFF
        elif code == 0x54:
            a &= k
        elif code in (0x15, 0x35):
            at += yes if (a == k if code == 0x15 else a >= k) else no
        else:
            assert code == 0x06, code
            kinds = {0x7FFF0000: "allow", 0x80000000: "kill"}
            return kinds.get(k) or errno.errorcode[k & 0xFFFF]
    raise AssertionError("the kernel takes no filter that has no end")


@pytest.fixture(params=MACHINES)
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each machine in turn; nothing is installed, the filter is kept."""
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine=request.param))
    return str(request.param)


def made(monkeypatch: pytest.MonkeyPatch, install: Callable[[], None]) -> bytes:
    """Give the filter that would be installed."""
    kept: list[bytes] = []
    monkeypatch.setattr(seccomp, "_install", lambda program, **_: kept.append(program))
    install()
    return kept[0]


@pytest.mark.parametrize("datagrams", [False, True])
def test_agentd_keeps_reading_sending_and_threads(
    machine: str,
    monkeypatch: pytest.MonkeyPatch,
    datagrams: bool,  # noqa: FBT001
) -> None:
    """Whatever is not on the list is denied, and what is judged is judged by its arguments."""
    program = made(monkeypatch, lambda: only(datagrams=datagrams))
    column, arch = list(MACHINES).index(machine), MACHINES[machine]

    def call(numbers: tuple[int, int], *arguments: int) -> str:
        return judge(program, arch, numbers[column], *arguments)

    assert call(READ) == "allow"
    for denied in (EXECVE, PTRACE, KILL, BIND, LISTEN, CHMOD):
        assert call(denied) == "EPERM"
    assert call(CLONE, THREAD) == "allow"
    assert call(CLONE, SIGCHLD) == "EPERM"
    assert call(CLONE3) == "ENOSYS"
    assert call(SOCKET, INET, STREAM | CLOEXEC) == "allow"
    assert call(SOCKET, INET, DGRAM) == ("allow" if datagrams else "EPERM")
    for family in (UNIX, NETLINK, PACKET):
        assert call(SOCKET, family, STREAM) == "EPERM"
    assert call(SOCKET, INET, RAW) == "EPERM"
    for protocol, came in ((6, "allow"), (262, "EPERM"), (132, "EPERM"), (1, "EPERM")):
        assert call(SOCKET, INET, STREAM, protocol) == came
    for send, place in SENDS:
        assert call(send, *[0] * place, NOSIGNAL) == "allow"
        assert call(send, *[0] * place, NOSIGNAL | FAST_OPEN) == "EPERM", "connects past Landlock"
    assert judge(program, I386, 11) == "kill", "another table's execve"
    assert judge(program, arch, 0x40000000 | 59) == "kill", "x32's"
    assert {judge(program, arch, n) for n in range(600, 5000, 7)} == {"EPERM"}, "newer kernels'"


def test_applyd_keeps_everything_but_the_network(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Package tools run under it, so only sockets are judged."""
    program = made(monkeypatch, no_network)
    column, arch = list(MACHINES).index(machine), MACHINES[machine]
    for free in (READ, EXECVE, CLONE, CLONE3, CHMOD, KILL):
        assert judge(program, arch, free[column], SIGCHLD) == "allow"
    for family in range(64):
        came = judge(program, arch, SOCKET[column], family, STREAM)
        assert came == ("allow" if family in (UNIX, NETLINK) else "EPERM")
    assert judge(program, I386, 11) == "allow", "an old program of a package"


def test_a_live_script_gives_no_file_setuid(machine: str) -> None:
    """Not by any call that gives modes, nor where no filter could see it; all else goes on."""
    program = no_setuid()
    column, arch = list(MACHINES).index(machine), MACHINES[machine]

    def call(numbers: tuple[int, int], *arguments: int) -> str:
        return judge(program, arch, numbers[column], *arguments)

    for name, (numbers, place) in MODES.items():
        if numbers[column] < 0:
            continue
        for flags in (CREATES, NAMELESS):
            before = [0] * (place - 1) + [flags]
            for mode in (0, 0o644, 0o755, 0o1777, 0o100755):
                assert call(numbers, *before, mode) == "allow", (name, oct(mode))
            for mode in (0o4755, 0o2755, 0o6711, 0o4000, 0o2000, 0o104755, 0xFFFF0000 | 0o4755):
                assert call(numbers, *before, mode) == "EPERM", (name, oct(mode))
    for unseen in (OPENAT2, CLONE3, IO_URING):
        assert call(unseen) == "ENOSYS", "what no filter can follow"
    for starts in (CLONE, UNSHARE):
        assert call(starts, NEW_USER | SIGCHLD) == "EPERM", "there it had all capabilities"
        assert call(starts, NEW_MOUNT) == "allow"
    assert call(CLONE, SIGCHLD) == call(CLONE, THREAD) == "allow"
    for free in (READ, EXECVE, KILL, SOCKET, MKDIRAT, LINKAT):
        assert call(free) == "allow"
    assert judge(program, I386, 15, 0, 0o4755) == "kill", "another table's chmod"
    assert judge(program, arch, 0x40000000 | 90, 0, 0o4755) == "kill", "x32's"
    assert {judge(program, arch, n) for n in range(463, 5000, 7)} == {"ENOSYS"}, "newer kernels'"


def test_a_machine_without_a_table_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says so, and nothing is installed that would be another machine's."""
    monkeypatch.setattr(os, "uname", lambda: SimpleNamespace(machine="sparc64"))
    with pytest.raises(NoSeccomp, match="sparc64"):
        made(monkeypatch, lambda: only(datagrams=False))
    with pytest.raises(NoSeccomp, match="sparc64"):
        no_setuid()
