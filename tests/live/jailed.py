"""Runs in processes of test_split.py: jails itself and tries what it must not do. Not a test.

`jailed.py agentd ALLOWED_PORT OTHER_PORT SECRET` after agentd's own jail; `jailed.py applyd PORT`
after applyd has left the network. Answers with one JSON object: what was tried, and what came of it
(`done`, or the error's name).
"""

import errno
import json
import os
import signal
import socket
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path

from answerable.host.network.agentd import Settings, jail
from answerable.host.network.through import alone

_MPTCP = 262


def tried(what: Callable[[], object]) -> str:
    """Try it; give what came of it."""
    try:
        what()
    except OSError as error:
        cause = error.__dict__.get("reason", error)
        return errno.errorcode.get(getattr(cause, "errno", 0) or 0, type(cause).__name__)
    return "done"


def connect(port: int, kind: int = socket.SOCK_STREAM) -> None:
    """Connect to a port of this machine."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.settimeout(5)
        sock.connect(("127.0.0.1", port))


def fast_open(port: int) -> None:
    """Connect with the first bytes, without connect(2)."""
    with socket.socket() as sock:
        sock.sendto(b"x", socket.MSG_FASTOPEN, ("127.0.0.1", port))


def bind(kind: int) -> None:
    """Bind a port of the kernel's choice."""
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))


def threaded() -> None:
    """Start a thread."""
    thread = threading.Thread(target=int)
    thread.start()
    thread.join()


def agentd(allowed: int, other: int, secret: Path) -> dict[str, str]:
    """Try everything after agentd's jail."""
    lacking = jail(Settings((f"http://127.0.0.1:{allowed}",), secret.parent / "s"))
    files = ("/etc/passwd", "/etc/shadow", str(secret), "/proc/self/environ")
    found = {f"read {path}": tried(lambda path=path: Path(path).read_bytes()) for path in files}  # type: ignore[misc]
    return found | {
        "lacking": " ".join(lacking),
        "list": tried(lambda: os.listdir("/root")),  # noqa: PTH208
        "exec": tried(lambda: os.execv("/bin/true", ["true"])),  # noqa: S606
        "fork": tried(os.fork),
        "spawn": tried(lambda: os.posix_spawn("/bin/true", ["true"], {})),
        "thread": tried(threaded),
        "write": tried(lambda: Path("/tmp/written").write_text("x")),  # noqa: S108
        "write own": tried(lambda: secret.with_name("new").write_text("x")),
        "unlink": tried(secret.unlink),
        "chmod": tried(lambda: secret.chmod(0o777)),
        "chown": tried(lambda: os.chown(secret, 0, 0)),
        "connect allowed": tried(lambda: connect(allowed)),
        "connect other": tried(lambda: connect(other)),
        "connect by sending": tried(lambda: fast_open(other)),
        "mptcp": tried(lambda: socket.socket(socket.AF_INET, proto=_MPTCP).close()),
        "udp": tried(lambda: connect(53, socket.SOCK_DGRAM)),
        "unix": tried(lambda: socket.socket(socket.AF_UNIX).close()),
        "netlink": tried(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()),
        "raw": tried(lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, 1).close()),
        "bind tcp": tried(lambda: bind(socket.SOCK_STREAM)),
        "kill": tried(lambda: os.kill(os.getppid(), 0)),
        "kill itself": tried(lambda: os.kill(os.getpid(), signal.SIGCONT)),
        "setuid": tried(lambda: os.setuid(12345)),
        "chroot": tried(lambda: os.chroot("/usr")),
        "mkdir": tried(lambda: os.mkdir("/tmp/made")),  # noqa: PTH102, S108
    }


def applyd(port: int) -> dict[str, str]:
    """Try to reach anybody after applyd has left the network."""
    alone()
    found = {
        "tcp": tried(lambda: connect(port)),
        "udp": tried(lambda: connect(port, socket.SOCK_DGRAM)),
        "http": tried(lambda: urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)),
        "packet": tried(lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()),
        "unix": tried(lambda: socket.socket(socket.AF_UNIX).close()),
    }
    child = os.fork()
    if not child:
        os._exit(tried(lambda: connect(port)) == "done")
    found["child"] = "done" if os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) else "EPERM"
    rows = Path("/proc/thread-self/net/dev").read_text().splitlines()[2:]
    return found | {"devices": " ".join(row.partition(":")[0].strip() for row in rows)}


def main() -> None:
    """Answer with one line."""
    words = sys.argv[2:]
    if sys.argv[1] == "agentd":
        found = agentd(int(words[0]), int(words[1]), Path(words[2]))
    else:
        found = applyd(int(words[0]))
    print(json.dumps(found), flush=True)  # noqa: T201


main()
