"""The first process of the hub: holds the bridge, the hosts' roots, and every process of the fleet.

Run as `python -I hub.py`; it writes `{"pid": <of the hub's first process, seen from outside>}`,
then reads one JSON object a line and answers each with one:

    {"open": {"paths": [..], "hosts_file": "..", "address": ".."}}    -> {}
    {"up": [{"name", "link", "lower", "upper", "work", "root", "address"}, ..]} -> {"pids": {..}}
    {"kill": "name"}                                                  -> {}
    {"clear": "name"}, once whoever started processes there reaped them -> {}

Rules:
* hub and hosts have mount, network, pid, uts and ipc namespaces of their own; hosts' pid namespaces
  lie inside the hub's, so when this process ends, everything ends and nothing stays mounted;
* it ends when its standard input does: a demo that is killed, in whatever way, leaves nothing;
* the hub has no route to anywhere but the bridge, so no traffic of the fleet can leave;
* directories that other users may not enter (a home) are replaced, in the hub's own view, by empty
  ones that hold only the paths named by `open`, so that processes with a uid of their own can run.

Standard library and iproute2 only. Left out: systemd as a host's first process; cgroups.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

BRIDGE = "fleet0"
PREFIX = 24
"""Hosts and hub share one network of this length."""
CLEAR_SECONDS = 20
"""How long a host that was killed may take to end."""
LINE_LIMIT = 1 << 20
"""Longest command, bytes."""

_NEWNS, _NEWUTS, _NEWIPC, _NEWPID, _NEWNET = (
    0x00020000,
    0x04000000,
    0x08000000,
    0x20000000,
    0x40000000,
)
_BIND, _REC, _PRIVATE, _NOSUID, _NODEV, _NOEXEC = 4096, 16384, 1 << 18, 2, 4, 8
_DETACH = 2
_PDEATHSIG = 1
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
          "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"}  # fmt: skip
_SLEEP = ["/usr/bin/sleep", "infinity"]

_libc = ctypes.CDLL(None, use_errno=True)
Host = tuple[int, Mapping[str, str]]
"""Pid in the hub, and the words of `up`."""


def main() -> int:
    """Make the hub's namespaces, then serve in them as their first process."""
    _call("unshare", _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET)
    child = os.fork()
    if child:
        os.write(1, json.dumps({"pid": child}).encode() + b"\n")
        os.close(0)
        os.close(1)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    _call("prctl", _PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _mount("", "/", "", _REC | _PRIVATE)
    _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    socket.sethostname("hub")
    _serve()
    return 0


def _serve() -> None:
    rest, up = b"", dict[str, Host]()
    while True:
        ready, _, _ = select.select([0], [], [], 1)
        _reap()
        if not ready:
            continue
        data = os.read(0, LINE_LIMIT)
        if not data:
            return
        rest += data
        while b"\n" in rest:
            line, _, rest = rest.partition(b"\n")
            try:
                answer = _answer(json.loads(line), up)
            except (OSError, subprocess.SubprocessError) as error:
                answer = {"error": str(error)}
            os.write(1, json.dumps(answer).encode() + b"\n")


def _answer(command: dict[str, object], up: dict[str, Host]) -> dict[str, object]:
    match command:
        case {"open": dict() as view}:
            _open_paths([Path(p) for p in view["paths"]])
            _mount(view["hosts_file"], "/etc/hosts", "", _BIND)
            _ip(
                "link set lo up",
                f"link add {BRIDGE} type bridge",
                f"addr add {view['address']}/{PREFIX} dev {BRIDGE}",
                f"link set {BRIDGE} up",
            )
            return {}
        case {"up": list() as hosts}:
            up.update(_up(hosts))
            return {"pids": {name: pid for name, (pid, _) in up.items()}}
        case {"kill": str() as name}:
            os.kill(up[name][0], signal.SIGKILL)
            return {}
        case {"clear": str() as name}:
            _clear(*up.pop(name))
            return {}
    return {"error": "unknown command"}


def _open_paths(paths: Sequence[Path]) -> None:
    """Let every user reach `paths`, and nothing else, below directories that are closed to them."""
    closed: dict[Path, list[Path]] = {}
    for path in paths:
        shut = [p for p in reversed(path.parents) if not p.stat().st_mode & 0o001]
        if shut:
            closed.setdefault(shut[0], []).append(path)
    for directory, inside in closed.items():
        # Parents first, so that no mount hides one that is made after it.
        held = {path: os.open(path, os.O_PATH) for path in sorted(inside)}
        _mount("tmpfs", str(directory), "tmpfs", _NOSUID | _NODEV, "mode=0755,size=1m")
        for path, descriptor in held.items():
            if not path.exists():
                path.mkdir(parents=True)
                _mount(f"/proc/self/fd/{descriptor}", str(path), "", _BIND | _REC)
            os.close(descriptor)


def _clear(pid: int, host: Mapping[str, str]) -> None:
    # It ends after everything in it has; only then are its root and its cable free.
    for _ in range(CLEAR_SECONDS * 20):
        _reap()
        if not Path(f"/proc/{pid}").exists():
            break
        time.sleep(0.05)
    else:
        raise OSError(f"host `{host['name']}` does not end")
    _call("umount2", host["root"].encode(), 0)
    with contextlib.suppress(OSError):
        # Else the kernel has removed it already, with the other end.
        _ip(f"link del {host['link']}")


def _up(hosts: Sequence[Mapping[str, str]]) -> dict[str, Host]:
    for host in hosts:
        options = f"lowerdir={host['lower']},upperdir={host['upper']},workdir={host['work']}"
        _mount("overlay", host["root"], "overlay", 0, options)
    pipes = {host["name"]: _fork_host(host) for host in hosts}
    up: dict[str, Host] = {}
    for host in hosts:
        name, pipe = host["name"], pipes[host["name"]]
        with os.fdopen(pipe, "rb") as end:
            said = end.read(LINE_LIMIT).decode()
        if not said.isdigit():
            raise OSError(f"host `{name}` did not start: {said or 'no reason given'}")
        up[name] = (int(said), host)
    _ip(*(f"link set {host['link']} master {BRIDGE} up" for host in hosts))
    return up


def _fork_host(host: Mapping[str, str]) -> int:
    """Fork the process that makes a host; its last word, through the pipe, is a pid or a reason."""
    reading, writing = os.pipe()
    if os.fork():
        os.close(writing)
        return reading
    try:
        _call("unshare", _NEWNS | _NEWUTS | _NEWIPC | _NEWNET)
        # 1 is the hub's first process: the other end of the cable goes to its network.
        _ip(
            "link set lo up",
            f"link add eth0 type veth peer name {host['link']} netns 1",
            f"addr add {host['address']}/{PREFIX} dev eth0",
            "link set eth0 up",
        )
        _call("unshare", _NEWPID)
        first = os.fork()
        if first:
            os.write(writing, str(first).encode())
            os._exit(0)
        os.close(reading)
        _become_host(Path(host["root"]), host["name"], writing)
    except BaseException as error:  # noqa: BLE001  a forked child must never return to the server
        os.write(writing, f"{error}".encode())
    os._exit(1)


def _become_host(root: Path, name: str, writing: int) -> None:
    os.setsid()
    socket.sethostname(name)
    _mount("tmpfs", str(root / "dev"), "tmpfs", _NOSUID, "mode=0755,size=1m")
    for device in _DEVICES:
        _device(Path("/dev", device), root / "dev" / device)
    for link, target in _LINKS.items():
        (root / "dev" / link).symlink_to(target)
    for folder, kind, options in (
        ("dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620"),
        ("dev/shm", "tmpfs", "mode=1777,size=16m"),
        ("run", "tmpfs", "mode=0755,size=16m"),
        ("proc", "proc", ""),
    ):
        (root / folder).mkdir(exist_ok=True)
        _mount(kind, str(root / folder), kind, _NOSUID, options)
    (root / "run/lock").mkdir(mode=0o1777)
    os.chdir(root)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _DETACH)
    os.chdir("/")
    # Ignored children are never zombies, and that is kept over exec: sleep need not reap.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.closerange(0, writing + 64)
    for _ in range(3):
        os.open("/dev/null", os.O_RDWR)
    os.execve(_SLEEP[0], _SLEEP, {"PATH": "/usr/bin"})  # noqa: S606  argv, no shell


def _device(there: Path, here: Path) -> None:
    # A node of the host's own: it may change its mode without changing the machine's.
    try:
        os.mknod(here, stat.S_IFCHR | 0o666, there.stat().st_rdev)
        here.chmod(0o666)
    except PermissionError:
        here.touch()
        _mount(str(there), str(here), "", _BIND)


def _ip(*lines: str) -> None:
    text = "\n".join(lines) + "\n"
    done = subprocess.run(
        ["ip", "-batch", "-"], input=text, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise OSError(f"ip: {done.stderr.strip()}")


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return


def _mount(source: str, target: str, kind: str, flags: int, options: str = "") -> None:
    words = (source.encode(), target.encode(), kind.encode() or None)
    _call("mount", *words, ctypes.c_ulong(flags), options.encode() or None)


def _call(name: str, *arguments: object) -> None:
    if getattr(_libc, name)(*arguments) != 0:
        number = ctypes.get_errno()
        shown = " ".join(a.decode() for a in arguments if isinstance(a, bytes))
        raise OSError(number, f"{name} {shown}: {os.strerror(number)}")


if __name__ == "__main__":
    sys.exit(main())
