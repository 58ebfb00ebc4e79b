"""Give up system calls for good, with a filter that this process installs on itself (seccomp(2)).

A filter is a program of the classic BPF that the kernel runs before each system call. Three are
made here: `only` for agentd, which denies whatever is not on its list; `no_network` for applyd,
which denies sockets of other families than AF_UNIX and AF_NETLINK (bubblewrap sets up an empty
network with it); `no_setuid` for scripts of live changes, handed to bubblewrap.

Rules:
* what is denied fails with EPERM, so that a program says what it lacks; `clone3` with ENOSYS, since
  its flags lie in memory and cannot be judged (libc falls back to `clone`, whose flags can);
* calls by another table than this machine's own (x32, i386 on amd64) end the process, but under
  `no_network`;
* arguments are judged by their low 32 bits, as the kernel reads those that are judged here.

Sources: seccomp(2), bpf(4), the kernel's syscall_64.tbl and asm-generic/unistd.h; RestrictSUIDSGID=
of systemd.exec(5), which leaves O_TMPFILE and io_uring out. Left out: other
machines than x86_64 and aarch64; pointers, which no filter can follow (Landlock judges paths).
"""

import ctypes
import errno
import os
import socket
from collections.abc import Iterable, Iterator
from struct import pack
from typing import NamedTuple

_SET_NO_NEW_PRIVS, _SET_SECCOMP, _MODE_FILTER = 38, 22, 2
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16
_X32 = 0x40000000
_THREAD = 0x00010000
_KIND = 0xF
"""The part of a socket's type that is no flag."""
_WHOLE = 0xFFFFFFFF
_FAST_OPEN = 0x20000000
"""MSG_FASTOPEN (send(2)): it connects, and Landlock is not asked."""
_SENDS = {"sendto": 3, "sendmsg": 2, "sendmmsg": 3}
"""Calls that send, and where their flags are."""

_ARCHS = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
# Name, number on x86_64, number on aarch64; -1 where there is none.
_TABLE = """
read 0 63, write 1 64, close 3 57, fstat 5 80, poll 7 -1, lseek 8 62, mmap 9 222, mprotect 10 226,
munmap 11 215, brk 12 214, rt_sigaction 13 134, rt_sigprocmask 14 135, rt_sigreturn 15 139,
ioctl 16 29, pread64 17 67, readv 19 65, writev 20 66, access 21 -1, select 23 -1,
sched_yield 24 124, mremap 25 216, madvise 28 233, dup 32 23, nanosleep 35 101, getpid 39 172,
socket 41 198, connect 42 203, accept 43 202, sendto 44 206, recvfrom 45 207, sendmsg 46 211,
recvmsg 47 212, shutdown 48 210, getsockname 51 204, getpeername 52 205, setsockopt 54 208,
getsockopt 55 209, clone 56 220, exit 60 93, uname 63 160, fcntl 72 25, getcwd 79 17,
readlink 89 -1, gettimeofday 96 169, getuid 102 174, getgid 104 176, geteuid 107 175,
getegid 108 177, sigaltstack 131 132, stat 4 -1, lstat 6 -1, open 2 -1, futex 202 98,
sched_getaffinity 204 123, gettid 186 178, restart_syscall 219 128, clock_gettime 228 113,
clock_getres 229 114, clock_nanosleep 230 115, exit_group 231 94, epoll_wait 232 -1,
epoll_ctl 233 21, openat 257 56, newfstatat 262 79, readlinkat 267 78, pselect6 270 72,
ppoll 271 73, set_robust_list 273 99, get_robust_list 274 100, epoll_pwait 281 22,
accept4 288 242, eventfd2 290 19, epoll_create1 291 20, dup3 292 24, pipe2 293 59,
recvmmsg 299 243, prlimit64 302 261, sendmmsg 307 269, getrandom 318 278, membarrier 324 283,
statx 332 291, rseq 334 293, getdents64 217 61, faccessat 269 48, faccessat2 439 439,
close_range 436 436, clone3 435 435
"""
_JUDGED = {"socket", "clone", "clone3", *_SENDS}
# What gives a file its mode, and where the mode is.
_MODES = {"chmod": 1, "fchmod": 1, "fchmodat": 2, "fchmodat2": 2, "open": 2, "openat": 3,
          "creat": 1, "mknod": 1, "mknodat": 2}  # fmt: skip
# These take flags and modes in memory, or open files where no filter is asked (io_uring).
_UNSEEN = ("clone3", "openat2", "io_uring_setup")
_MODE_TABLE = """
chmod 90 -1, fchmod 91 52, fchmodat 268 53, fchmodat2 452 452, open 2 -1, openat 257 56,
creat 85 -1, mknod 133 -1, mknodat 259 33, clone 56 220, unshare 272 97, clone3 435 435,
openat2 437 437, io_uring_setup 425 425
"""
_SETUID = 0o6000
"""S_ISUID and S_ISGID (inode(7))."""
_NEW_USER = 0x10000000
"""CLONE_NEWUSER: whoever is root in a user namespace of its own gives capabilities to files."""
_NEWEST = 462
"""`mseal` of Linux 6.10, the same number everywhere: what later calls can do is not known here."""
_ENOSYS, _EPERM = _ERRNO | errno.ENOSYS, _ERRNO | errno.EPERM


class NoSeccomp(OSError):
    """This kernel or machine has no filter of system calls for us."""


class _Rule(NamedTuple):
    # EPERM unless each argument (by its place), masked, is one of the values.
    name: str
    tests: tuple[tuple[int, int, tuple[int, ...]], ...] = ()
    otherwise: int = _ALLOW


def only(*, datagrams: bool) -> None:
    """Give up all but reading, sending, threads and memory: no exec, no fork, no bind, no signals.

    Args:
        datagrams: whether UDP is needed, to look up names.

    Raises:
        NoSeccomp: it cannot be given up here.
    """
    program = _program(_rules(datagrams=datagrams), _numbers(), _KILL, _EPERM)
    _install(program, unprivileged=True)


def no_network() -> None:
    """Give up all sockets but AF_UNIX and AF_NETLINK, here and in what is started from here.

    Calls by another machine's table are let through: they belong to programs of packages, in a
    copy of the host that has no network either.

    Raises:
        NoSeccomp: it cannot be given up here.
    """
    families = (int(socket.AF_UNIX), int(socket.AF_NETLINK))
    rule = _Rule("socket", ((0, _WHOLE, families),))
    _install(_program([rule], _numbers(), _ALLOW, _ALLOW), unprivileged=False)


def no_setuid() -> bytes:
    """Give a filter under which no file gets a setuid or setgid bit, for `bwrap --seccomp`.

    A mode is judged also where nothing is created: libc gives 0 there. Folders count as files: a
    filter sees no difference.

    Raises:
        NoSeccomp: there is none for this machine.
    """
    numbers = _numbers(_MODE_TABLE)
    rules = [_Rule(n, ((at, _SETUID, (0,)),)) for n, at in _MODES.items() if n in numbers]
    rules += [_Rule(name, ((0, _NEW_USER, (0,)),)) for name in ("clone", "unshare")]
    rules += [_Rule(name, (), _ENOSYS) for name in _UNSEEN]
    return _program(rules, numbers, _KILL, _ALLOW, _NEWEST)


def _rules(*, datagrams: bool) -> Iterator[_Rule]:
    kinds = (int(socket.SOCK_STREAM), *([int(socket.SOCK_DGRAM)] if datagrams else []))
    families = (int(socket.AF_INET), int(socket.AF_INET6))
    for name in _numbers():
        if name not in _JUDGED:
            yield _Rule(name)
    # Landlock judges the ports of TCP alone: MPTCP and SCTP are streams, too.
    protocols = (0, int(socket.IPPROTO_TCP), int(socket.IPPROTO_UDP))
    yield _Rule("socket", ((0, _WHOLE, families), (1, _KIND, kinds), (2, _WHOLE, protocols)))
    for name, place in _SENDS.items():
        yield _Rule(name, ((place, _FAST_OPEN, (0,)),))
    yield _Rule("clone", ((0, _THREAD, (_THREAD,)),))
    yield _Rule("clone3", (), _ENOSYS)


def _numbers(table: str = _TABLE) -> dict[str, int]:
    machine = os.uname().machine
    if machine not in _ARCHS:
        raise NoSeccomp(f"no table of system calls of `{machine}`")
    rows = [row.split() for row in table.replace("\n", " ").split(",")]
    column = list(_ARCHS).index(machine) + 1
    return {row[0]: int(row[column]) for row in rows if int(row[column]) >= 0}


def _program(
    rules: Iterable[_Rule], numbers: dict[str, int], foreign: int, otherwise: int, newest: int = 0
) -> bytes:
    arch = _ARCHS[os.uname().machine]
    steps = [(_LOAD, 0, 0, _ARCH), (_EQUAL, 1, 0, arch), (_RETURN, 0, 0, foreign)]
    steps += [(_LOAD, 0, 0, _NUMBER), (_AT_LEAST, 0, 1, _X32), (_RETURN, 0, 0, foreign)]
    if newest:
        steps += [(_AT_LEAST, 0, 1, newest + 1), (_RETURN, 0, 0, _ENOSYS)]
    for rule in rules:
        judged = list(_judge(rule))
        steps += [(_EQUAL, 0, len(judged), numbers[rule.name]), *judged]
    steps.append((_RETURN, 0, 0, otherwise))
    return b"".join(pack("=HBBI", *step) for step in steps)


def _judge(rule: _Rule) -> Iterator[tuple[int, int, int, int]]:
    for place, mask, values in rule.tests:
        yield _LOAD, 0, 0, _ARGUMENTS + 8 * place
        yield _AND, 0, 0, mask
        for n, value in enumerate(values):
            yield _EQUAL, len(values) - n, 0, value
        yield _RETURN, 0, 0, _EPERM
    yield _RETURN, 0, 0, rule.otherwise


class _Program(ctypes.Structure):
    _fields_ = ("len", ctypes.c_ushort), ("filter", ctypes.c_char_p)


def _install(program: bytes, *, unprivileged: bool) -> None:
    libc, given = _libc(), _Program(len(program) // 8, program)
    if unprivileged and libc.prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
        raise NoSeccomp(f"no_new_privs: {os.strerror(ctypes.get_errno())}")
    if libc.prctl(_SET_SECCOMP, _MODE_FILTER, ctypes.byref(given), 0, 0):
        raise NoSeccomp(os.strerror(ctypes.get_errno()))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
