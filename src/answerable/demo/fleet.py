"""Real hosts on one machine: an overlay root and namespaces each, and a hub they are cabled to.

Rules:
* every process of the fleet is in the hub's or a host's namespaces, and all of them end with the
  hub (`hub.py`), which ends when this process does; only what we started is ever ended;
* a program is started by argv only, and the process that is returned is that very program, so a
  test that kills it kills the agent and not some wrapper;
* a host's changes are kept in `<directory>/hosts/<name>/upper`.
* where an init is asked for, hosts run it as their first process, in cgroups that are removed at
  the end.

Left out: hosts on several machines.
"""

import ctypes
import ipaddress
import json
import os
import select
import shutil
import signal
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Self

import answerable
from answerable.demo import appliance
from answerable.demo import probe as abilities
from answerable.demo.hosts import FleetFailed
from answerable.demo.hub import CGROUP, LINE_LIMIT, remove_cgroups
from answerable.kernel.errors import Unavailable

NETWORK = ipaddress.ip_network("10.77.0.0/24")
"""The fleet's network; nothing outside the hub can see it."""
_FIRST = 10
END_SECONDS = 10
"""How long the hub's processes may take to end before their cgroups are left where they are."""
_NEWPID, _NEWNET = 0x20000000, 0x40000000
_PATH = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "LC_ALL": "C.UTF-8",
}
_libc = ctypes.CDLL(None, use_errno=True)


def probe(directory: Path) -> str:
    """Try what real hosts need, an overlay in this very directory too; give nothing or why not."""
    for name in abilities.REAL_HOSTS:
        ability = abilities.probe(name)
        if not ability.works:
            return f"{name}: {ability.why}"
    trial = directory / ".probe"
    shutil.rmtree(trial, ignore_errors=True)
    try:
        (trial / "tree/usr").mkdir(parents=True)
        with Fleet(trial) as fleet:
            fleet._prepare("trial", trial / "tree")  # noqa: SLF001  its own
            options = "lowerdir=tree,upperdir=hosts/trial/upper,workdir=hosts/trial/work"
            words = ["mount", "-t", "overlay", "overlay", "-o", options, "hosts/trial/root"]
            done = fleet.run_in_hub(words, cwd=trial, stderr=subprocess.PIPE, stdout=-1)
            said = done.communicate(timeout=abilities.SECONDS)[1].decode("utf-8", "replace")
            return f"overlay in `{directory}`: {said.strip()}" if done.returncode else ""
    except (Unavailable, OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    finally:
        shutil.rmtree(trial, ignore_errors=True)


class Fleet:
    """The hub and its hosts; conforms to `hosts.Hosts`.

    Args:
        directory: where hosts are kept; made if it is not there.
        extra: paths outside it that processes with a uid of their own must reach.
        init: what hosts run as their first process, `/sbin/init`; nothing if they only wait.
    """

    def __init__(self, directory: Path, extra: Sequence[Path] = (), init: str = "") -> None:
        """Start the hub."""
        self._init = init
        self.directory = directory.resolve()
        if set(str(self.directory)) & set(",:\\"):
            raise FleetFailed(f"`{self.directory}` has a character that mount cannot take; move it")
        (self.directory / "hosts").mkdir(parents=True, exist_ok=True)
        self._pids: dict[str, int] = {}
        self._addresses: dict[str, str] = {}
        self._started: dict[str, list[subprocess.Popen[bytes]]] = {}
        self._lock = threading.Lock()
        program = Path(__file__).with_name("hub.py")
        self._hub = subprocess.Popen(
            [sys.executable, "-I", str(program)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_PATH, start_new_session=True,
        )  # fmt: skip
        self._pid = int(str(self._answer()["pid"]))
        self._first = os.pidfd_open(self._pid)
        # The package's own folder, the interpreter's, and the environment's: what a server needs.
        mine = [Path(answerable.__file__).parent, Path(sys.prefix), Path(sys.base_prefix)]
        hosts_file = self.directory / "hosts.txt"
        hosts_file.write_text("127.0.0.1 localhost\n", "ascii")
        paths = [str(p.resolve()) for p in (*mine, self.directory, *extra)]
        self._ask(open={"paths": paths, "hosts_file": str(hosts_file), "address": self.hub_address})

    def __enter__(self) -> Self:
        """Give the fleet; it is taken down at the end of the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """Take it down."""
        self.down()

    @property
    def hub_address(self) -> str:
        """Where hosts reach what runs in the hub."""
        return str(NETWORK[1])

    @property
    def names(self) -> list[str]:
        """The hosts that are up."""
        return list(self._pids)

    def up(self, names: Sequence[str], tree: Path, *, fresh: bool = True) -> None:
        """Start hosts over a tree.

        Args:
            names: of hosts that are not up; short, each different.
            tree: the lower layer; it is never written to.
            fresh: whether changes of an earlier time are thrown away.
        """
        rows = []
        for name in names:
            assert name not in self._pids, name
            if fresh:
                shutil.rmtree(self.directory / "hosts" / name, ignore_errors=True)
            index = len(self._addresses)
            self._addresses.setdefault(name, str(NETWORK[_FIRST + index]))
            rows.append(self._prepare(name, tree.resolve()))
        self._write_names()
        for row in rows:
            self._write_identity(row["name"], fresh=fresh)
        pids = self._ask(up=rows)["pids"]
        assert isinstance(pids, dict)
        self._pids = pids

    def address(self, host: str) -> str:
        """Give a host's address in the fleet's network."""
        return self._addresses[host]

    def port(self, host: str) -> int:
        """Give the port of a host's own service."""
        assert host in self._addresses, host
        return appliance.PORT

    def root(self, host: str) -> Path:
        """Give a host's root as it is now; for root, outside of the fleet."""
        return Path(f"/proc/{self._pid}/root{self.root_in_hub(host)}")

    def root_in_hub(self, host: str) -> Path:
        """Give a host's root as processes in the hub see it."""
        return self.directory / "hosts" / host / "root"

    def start_in(
        self,
        host: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] = subprocess.STDOUT,
    ) -> "subprocess.Popen[bytes]":
        """Start a program in a host, as its root; the process is the program itself."""
        with self._lock:
            inner = self._pids[host]
        base = f"/proc/{self._pid}/root/proc/{inner}"
        words = [f"--root={base}/root", f"--wd={base}/root"]
        process = self._start(base, words, argv, env, (stdout, stderr))
        running = [p for p in self._started.get(host, []) if p.returncode is None]
        self._started[host] = [*running, process]
        return process

    def run_in_hub(
        self,
        argv: Sequence[str],
        uid: int = 0,
        env: Mapping[str, str] | None = None,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] = subprocess.STDOUT,
        cwd: Path = Path("/"),
    ) -> "subprocess.Popen[bytes]":
        """Start a program in the hub, with a uid (and a group of that number) of its own."""
        base = f"/proc/{self._pid}"
        words = [f"--wd={base}/root{cwd}"]
        if uid:
            words += [f"--setuid={uid}", f"--setgid={uid}"]
        process = self._start(base, words, argv, env, (stdout, stderr))
        if self._init:
            self._started.setdefault("", []).append(process)
        return process

    @contextmanager
    def in_network(self) -> Iterator[None]:
        """Let sockets that this thread makes in the block be in the hub's network, and stay."""
        with _thread_in("net", f"/proc/{self._pid}/ns/net", _NEWNET):
            yield

    def cut(self, host: str) -> None:
        """Pull a host's cable."""
        self._link(host, "down")

    def join(self, host: str) -> None:
        """Put a host's cable back."""
        self._link(host, "up")

    def stop(self, host: str) -> None:
        """End a host at once, as by a power cut; `up(..., fresh=False)` starts it again."""
        self._ask(kill=host)
        with self._lock:
            self._pids.pop(host, None)
        # A host is not gone before those who started something in it have seen that end.
        for process in self._started.pop(host, []):
            process.wait()
        self._ask(clear=host)

    def hold(self, host: str) -> None:
        """Let a host stay down when it next asks for a reboot."""
        self._ask(hold=host)

    def rebooted(self, host: str) -> bool:
        """Tell whether a host's first process is another one than when this was last asked.

        What was started in the host must be waited for first: until then its end is not complete.
        """
        with self._lock:
            before = self._pids.get(host)
        pids = self._ask(pids={})["pids"]
        assert isinstance(pids, dict)
        with self._lock:
            self._pids = pids
        return self._pids.get(host) != before

    def down(self) -> None:
        """End everything; what hosts changed is kept below `directory`."""
        if self._hub.poll() is None:
            self._hub.kill()
        self._hub.wait()
        if self._init:
            self._remove_cgroups()
        for end in (self._hub.stdin, self._hub.stdout):
            if end:
                end.close()
        if self._first >= 0:
            os.close(self._first)
            self._first = -1
        self._pids = {}

    def _prepare(self, name: str, tree: Path) -> dict[str, str]:
        place = self.directory / "hosts" / name
        for folder in ("upper", "work", "root"):
            (place / folder).mkdir(parents=True, exist_ok=True)
        index = list(self._addresses).index(name) if name in self._addresses else 0
        paths = {f: str(place / f) for f in ("upper", "work", "root")}
        address = self._addresses.get(name, "")
        row = {"name": name, "link": f"host{index}", "lower": str(tree), "address": address}
        cgroup = f"{CGROUP}{self._pid}-{name}" if self._init else ""
        return row | paths | {"init": self._init, "cgroup": cgroup}

    def _write_names(self) -> None:
        rows = [f"{address} {name}" for name, address in self._addresses.items()]
        rows += ["127.0.0.1 localhost", f"{self.hub_address} hub mirror"]
        self._names = "\n".join(rows) + "\n"
        # In place: the hub has this very file mounted.
        (self.directory / "hosts.txt").write_text(self._names, "ascii")

    def _write_identity(self, name: str, *, fresh: bool) -> None:
        etc = self.directory / "hosts" / name / "upper" / "etc"
        etc.mkdir(mode=0o755, exist_ok=True)
        (etc / "hostname").write_text(f"{name}\n", "ascii")
        (etc / "hosts").write_text(self._names, "ascii")
        if fresh and self._init:
            (etc / "machine-id").write_text(f"{uuid.uuid4().hex}\n", "ascii")

    def _link(self, host: str, state: str) -> None:
        index = list(self._addresses).index(host)
        done = self.run_in_hub(["ip", "link", "set", f"host{index}", state])
        if done.wait():
            raise FleetFailed(f"cannot set the cable of `{host}` {state}")

    def _start(
        self,
        base: str,
        words: Sequence[str],
        argv: Sequence[str],
        env: Mapping[str, str] | None,
        streams: tuple[int | IO[bytes], int | IO[bytes]],
    ) -> "subprocess.Popen[bytes]":
        enter = [f"--{kind}={base}/ns/{file}" for kind, file in
                 (("mount", "mnt"), ("net", "net"), ("uts", "uts"), ("ipc", "ipc"))]  # fmt: skip
        if self._init:
            enter.append(f"--cgroup={base}/ns/cgroup")
        with _thread_in("pid", f"{base}/ns/pid", _NEWPID):
            # Without --pid, nsenter becomes the program instead of waiting for it.
            return subprocess.Popen(
                ["nsenter", *enter, *words, "--", *argv], stdin=subprocess.DEVNULL,
                env=dict(_PATH if env is None else env), start_new_session=True,
                stdout=streams[0], stderr=streams[1],
            )  # fmt: skip

    def _remove_cgroups(self) -> None:
        """Remove the cgroups of this fleet once everything in them has ended."""
        for process in (p for many in self._started.values() for p in many):
            process.wait()
        poll = select.poll()
        poll.register(self._first, select.POLLIN)
        poll.poll(END_SECONDS * 1000)
        remove_cgroups(self._pid)

    def _ask(self, **command: object) -> dict[str, object]:
        with self._lock:
            assert self._hub.stdin
            self._hub.stdin.write(json.dumps(command).encode() + b"\n")
            self._hub.stdin.flush()
            return self._answer()

    def _answer(self) -> dict[str, object]:
        assert self._hub.stdout
        line = self._hub.stdout.readline(LINE_LIMIT)
        answer: dict[str, object] = json.loads(line or b'{"error": "the hub ended"}')
        if "error" in answer:
            raise FleetFailed(str(answer["error"]))
        return answer


@contextmanager
def _thread_in(kind: str, namespace: str, flag: int) -> Iterator[None]:
    """Let this thread be in another namespace (setns(2)); of pids, its next children are."""
    with open(f"/proc/thread-self/ns/{kind}", "rb") as own, open(namespace, "rb") as other:  # noqa: PTH123
        if _libc.setns(other.fileno(), flag):
            raise FleetFailed(f"cannot enter `{namespace}`: {os.strerror(ctypes.get_errno())}")
        try:
            yield
        finally:
            if _libc.setns(own.fileno(), flag):
                # A thread that cannot come back must not start anything else.
                os.kill(os.getpid(), signal.SIGABRT)
