"""Give up files and ports for good, with rules that this process puts on itself (landlock(7)).

`restrict` leaves reading below some paths and TCP connections to some ports; everything else that
the kernel's Landlock knows is denied: writing, executing, making, removing and renaming files,
device ioctls, binding TCP ports, abstract sockets and signals of processes outside.

| ABI | kernel | adds |
|---|---|---|
| 1 | 5.13 | files |
| 2, 3 | 5.19, 6.2 | moving files between folders; cutting them |
| 4 | 6.7 | TCP: binding and connecting |
| 5 | 6.10 | ioctl of devices |
| 6 | 6.12 | abstract sockets and signals |

Not covered by any: UDP, changing modes and owners, files that are open already. seccomp.py denies
those. Source: landlock(7), include/uapi/linux/landlock.h. Left out: logging (ABI 7).
"""

import ctypes
import os
from collections.abc import Collection
from pathlib import Path
from struct import pack

NETWORK = 4
"""The ABI from which on ports are judged."""
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1
_PATH_BENEATH, _NET_PORT = 1, 2
_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_CONNECT = 1 << 1
_FILES = {1: 13, 2: 14, 3: 15, 5: 16}
"""How many rights over files there are, from an ABI on."""
_BOTH = 3
_SCOPES = 6
_SET_NO_NEW_PRIVS = 38


class NoLandlock(OSError):
    """This kernel has no Landlock, or it is switched off."""


def abi() -> int:
    """Give the version of the kernel's Landlock; 0 if it has none."""
    return max(0, _call(_CREATE, None, 0, _VERSION))


def restrict(readable: Collection[Path], ports: Collection[int]) -> int:
    """Give up everything but these, for this thread and what it starts; give the ABI in force.

    Args:
        readable: folders and files that may be read; what is not there is left out.
        ports: TCP ports that may be connected to, if the ABI is at least `NETWORK`.

    Raises:
        NoLandlock: nothing was given up.
    """
    version = abi()
    if not version:
        raise NoLandlock("the kernel has no Landlock")
    count = next(_FILES[v] for v in sorted(_FILES, reverse=True) if v <= version)
    words = [(1 << count) - 1]
    words += [_BOTH] if version >= NETWORK else []
    words += [_BOTH] if version >= _SCOPES else []
    attributes = pack(f"={len(words)}Q", *words)
    rules = _demand(_CREATE, attributes, len(attributes), 0)
    try:
        for path in readable:
            _beneath(rules, path)
        for port in ports if version >= NETWORK else ():
            _demand(_ADD, rules, _NET_PORT, pack("=QQ", _CONNECT, port), 0)
        if _libc().prctl(_SET_NO_NEW_PRIVS, 1, 0, 0, 0):
            raise NoLandlock(os.strerror(ctypes.get_errno()))
        _demand(_RESTRICT, rules, 0)
    finally:
        os.close(rules)
    return version


def _beneath(rules: int, path: Path) -> None:
    try:
        place = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        rights = _READ_FILE | (_READ_DIR if path.is_dir() else 0)
        _demand(_ADD, rules, _PATH_BENEATH, pack("=Qi", rights, place), 0)
    finally:
        os.close(place)


def _demand(*words: object) -> int:
    done = _call(*words)
    if done < 0:
        raise NoLandlock(os.strerror(ctypes.get_errno()))
    return done


def _call(*words: object) -> int:
    # Integers as long ones, as syscall(2) takes them.
    given = [ctypes.c_long(word) if isinstance(word, int) else word for word in words]
    return int(_libc().syscall(*given))


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
