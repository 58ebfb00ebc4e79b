"""The first process of the hub: holds the bridge, the hosts' roots, and every process of the fleet.

Run as `python -I hub.py`; it writes `{"pid": <of the hub's first process, seen from outside>}`,
then reads one JSON object a line and answers each with one:

    {"open": {"paths": [..], "hosts_file": "..", "address": ".."}}    -> {}
    {"up": [{"name", "link", "lower", "upper", "work", "root", "address", "init", "cgroup"}, ..]}
                                                                      -> {"pids": {..}}
    {"pids": {}}                                                      -> {"pids": {..}}
    {"kill": "name"}                                                  -> {}
    {"hold": "name"}: it shall stay down after its next reboot        -> {}
    {"clear": "name"}, once whoever started processes there reaped them -> {}

Rules:
* hub and hosts have mount, network, pid, uts and ipc namespaces of their own; hosts' pid namespaces
  lie inside the hub's, so when this process ends, everything ends and nothing stays mounted;
* it ends when its standard input does: a demo that is killed, in whatever way, leaves nothing;
* the hub has no route to anywhere but the bridge, so no traffic of the fleet can leave;
* directories that other users may not enter (a home) are replaced, in the hub's own view, by empty
  ones that hold only the paths named by `open`, so that processes with a uid of their own can run;
* a host with an `init` runs it as its first process, in a cgroup and cgroup namespace of its own,
  with a boot id of its own; /sys and /proc/sys are read-only there, and capabilities that reach the
  machine itself are gone. When it asks for a reboot (reboot(2) in a pid namespace ends its first
  process by SIGHUP) the host is started anew over what it has on its disk.

Standard library and iproute2 only. Left out: cgroups of hosts without an init.
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
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path

BRIDGE = "fleet0"
PREFIX = 24
"""Hosts and hub share one network of this length."""
CLEAR_SECONDS = 20
"""How long a host that was killed may take to end."""
LINE_LIMIT = 1 << 20
"""Longest command, bytes."""

_NEWNS, _NEWCGROUP, _NEWUTS, _NEWIPC, _NEWPID, _NEWNET = (
    0x00020000,
    0x02000000,
    0x04000000,
    0x08000000,
    0x20000000,
    0x40000000,
)
_BIND, _REC, _PRIVATE, _NOSUID, _NODEV, _NOEXEC = 4096, 16384, 1 << 18, 2, 4, 8
_READONLY, _REMOUNT = 1, 32
_DETACH = 2
_PDEATHSIG, _CAPBSET_DROP = 1, 24
# MODULE, RAWIO, PACCT, TIME, MAC_OVERRIDE, MAC_ADMIN, SYSLOG, WAKE_ALARM, BLOCK_SUSPEND
_MACHINES = (16, 17, 20, 25, 32, 33, 34, 35, 36)
CGROUPS = Path("/sys/fs/cgroup")
CGROUP = "answerable-"
"""How the name of a host's cgroup begins; the hub's pid and the host's name follow."""
HYBRID = ("systemd", "unified")
"""Folders of `CGROUPS` that systemd needs where the machine has version 1 too; else itself."""
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_LINKS = {"fd": "/proc/self/fd", "stdin": "/proc/self/fd/0", "stdout": "/proc/self/fd/1",
          "stderr": "/proc/self/fd/2", "ptmx": "pts/ptmx"}  # fmt: skip
_PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
_SLEEP = ["/usr/bin/sleep", "infinity"]

_libc = ctypes.CDLL(None, use_errno=True)
Host = tuple[int, Mapping[str, str]]
"""Pid in the hub, and the words of `up`."""
_ended: dict[int, int] = {}
_held: set[str] = set()


def main() -> int:
    """Make the hub's namespaces, then serve in them as their first process."""
    _call("unshare", _NEWNS | _NEWUTS | _NEWIPC | _NEWPID | _NEWNET)
    child = os.fork()
    if child:
        os.write(1, json.dumps({"pid": child}).encode() + b"\n")
        os.close(0)
        os.close(1)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        remove_cgroups(child)
        return code
    _call("prctl", _PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    _mount("", "/", "", _REC | _PRIVATE)
    _mount("proc", "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    socket.sethostname("hub")
    _serve()
    return 0


def _serve() -> None:
    rest, up = b"", dict[str, Host]()
    # A child that ends wakes the loop.
    woken, wake = socket.socketpair()
    streams: list[int | socket.socket] = [0, woken]
    wake.settimeout(0)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    while True:
        ready, _, _ = select.select(streams, [], [])
        if woken in ready:
            woken.recv(4096)
        _reap()
        _restart(up)
        if 0 not in ready:
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
        case {"pids": _}:
            return {"pids": {name: pid for name, (pid, _) in up.items()}}
        case {"kill": str() as name}:
            os.kill(up[name][0], signal.SIGKILL)
        case {"hold": str() as name}:
            _held.add(name)
        case {"clear": str() as name}:
            _clear(*up.pop(name))
        case _:
            return {"error": "unknown command"}
    return {}


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


def _restart(up: dict[str, Host]) -> None:
    """Start hosts anew that asked for it."""
    for name, (pid, host) in list(up.items()):
        status = _ended.pop(pid, 0)
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGHUP:
            _clear(*up.pop(name))
            if name not in _held:
                up.update(_up([host]))


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
        _enter_cgroup(host["cgroup"])
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
        _become_host(Path(host["root"]), host, writing)
    except BaseException as error:  # noqa: BLE001  a forked child must never return to the server
        os.write(writing, f"{error}".encode())
    os._exit(1)


def _enter_cgroup(name: str) -> None:
    """Go into a cgroup of this name, as its namespace's root."""
    if not name:
        return
    for folder in cgroup_folders():
        place = folder / name
        place.mkdir(exist_ok=True)
        (place / "cgroup.procs").write_text("0")
    _call("unshare", _NEWCGROUP)


def cgroup_folders() -> list[Path]:
    """Give where the machine's hierarchies are that systemd needs."""
    hybrid = [CGROUPS / name for name in HYBRID if (CGROUPS / name).is_dir()]
    return hybrid or [CGROUPS]


def remove_cgroups(hub: int) -> None:
    """Remove the cgroups of the hosts of a hub that has ended; its pid as seen from outside."""
    for place in (p for f in cgroup_folders() for p in f.glob(f"{CGROUP}{hub}-*")):
        for inner in sorted(place.glob("**/"), reverse=True):
            with contextlib.suppress(OSError):  # another one does it, or it is not quite empty
                inner.rmdir()


def _become_host(root: Path, host: Mapping[str, str], writing: int) -> None:
    os.setsid()
    socket.sethostname(host["name"])
    _mount("tmpfs", str(root / "dev"), "tmpfs", _NOSUID, "mode=0755,size=1m")
    for device in _DEVICES:
        _device(Path("/dev", device), root / "dev" / device)
    for link, target in _LINKS.items():
        (root / "dev" / link).symlink_to(target)
    for folder, kind, options in (
        ("dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620"),
        ("dev/shm", "tmpfs", "mode=1777,size=16m"),
        ("run", "tmpfs", "mode=0755,size=64m"),
        ("proc", "proc", ""),
    ):
        (root / folder).mkdir(exist_ok=True)
        _mount(kind, str(root / folder), kind, _NOSUID, options)
    (root / "run/lock").mkdir(mode=0o1777)
    if host["init"]:
        _guard(root)
    os.chdir(root)
    _call("pivot_root", b".", b".")
    _call("umount2", b".", _DETACH)
    os.chdir("/")
    if host["init"]:
        os.closerange(0, writing + 64)
        os.open("/dev/null", os.O_RDWR)
        os.dup2(0, 1)
        os.dup2(0, 2)
        os.execve(host["init"], [host["init"]], {"container": "answerable", "PATH": _PATH})  # noqa: S606
    # Ignored children are never zombies, and that is kept over exec: sleep need not reap.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    os.closerange(0, writing + 64)
    for _ in range(3):
        os.open("/dev/null", os.O_RDWR)
    os.execve(_SLEEP[0], _SLEEP, {"PATH": "/usr/bin"})  # noqa: S606  argv, no shell


def _guard(root: Path) -> None:
    """Give an init what it needs of the kernel, and nothing that reaches the machine."""
    hybrid = cgroup_folders() != [CGROUPS]
    (root / "run/boot_id").write_text(f"{uuid.uuid4()}\n", "ascii")
    _mount("sysfs", str(root / "sys"), "sysfs", _NOSUID | _READONLY)
    place = root / "sys/fs/cgroup"
    if hybrid:
        _mount("tmpfs", str(place), "tmpfs", _NOSUID, "mode=0755,size=1m")
        for name in HYBRID:
            (place / name).mkdir()
        _mount("cgroup", str(place / "systemd"), "cgroup", _NOSUID, "none,name=systemd,xattr")
        _mount("cgroup2", str(place / "unified"), "cgroup2", _NOSUID)
        # What it does not know of it does not mount: no namespace keeps these apart.
        _mount("/dev/null", str(root / "proc/cgroups"), "", _BIND)
    else:
        _mount("cgroup2", str(place), "cgroup2", _NOSUID)
    for path in ("proc/sys", "proc/sysrq-trigger"):
        if not (root / path).exists():
            continue
        _mount(str(root / path), str(root / path), "", _BIND)
        _mount("", str(root / path), "", _BIND | _REMOUNT | _READONLY)
    boot = str(root / "proc/sys/kernel/random/boot_id")
    _mount(str(root / "run/boot_id"), boot, "", _BIND)
    (root / "run/boot_id").unlink()
    for capability in _MACHINES:
        _call("prctl", _CAPBSET_DROP, capability, 0, 0, 0)


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
        while (ended := os.waitpid(-1, os.WNOHANG))[0]:
            _ended[ended[0]] = ended[1]
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
