"""A throw-away copy of the host in which package tools and maintainer scripts run.

The host's root, and each disk mounted below it, is the lower layer of an overlay whose upper layer
lies in memory, in a mount namespace of its own; bubblewrap runs programs there. What they changed
is the upper layer; nothing of it reaches the host by itself.

Rules:
* no network, no other process, no sockets of the host, no device but null, zero, full, random, tty;
* fresh /run, /tmp, /var/tmp; the agent's own directory is not to be seen; /proc/sys is read-only;
* the capabilities that unpacking needs, and none by which the kernel could be changed;
* scripts that want a service started or stopped are told no (policy-rc.d), and it is noted; who
  wants GRUB's menu written anew is told yes, and it is written later (transaction/menu.py);
* what they say goes through a pipe, of which the end is kept: no file of the host grows by it;
* when this process ends, in whatever way, the namespace and all that ran in it end too.

Sources: overlayfs (kernel documentation), bwrap(1), invoke-rc.d(8), unshare(1), nsenter(1). Left
out: a filter of all system calls (gvisor.py is stricter; seccomp.py's is for live scripts); hosts
whose root is an overlay on an overlay; file systems that cannot be a lower layer (they are not to
be seen in the copy).
"""

import os
import re
import shutil
import stat
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, NamedTuple, Self

from answerable.host.confine.seccomp import NoSeccomp, no_setuid
from answerable.host.driver import DriverFailed, Ran, hear, last_lines

MEMORY = 2 << 30
"""Most that programs may write in the copy, bytes."""
MOUNTS = 64
"""Most disks that are mounted at once."""
TABLE = 4 << 20
"""Most that is read of the kernel's tables, and of what scripts asked for, bytes."""
STARTED_SECONDS = 10
INSIDE = "/run/answerable"
"""Where the copy sees what it is given: `packages/` to read."""
_ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C"}
_DISKS = {"btrfs", "ext2", "ext3", "ext4", "f2fs", "overlay", "xfs", "zfs"}
FRESH = ("/run", "/tmp", "/var/tmp")  # noqa: S108  made anew in the copy
_HIDDEN = ("/dev", "/proc", "/sys", *FRESH)
CAPABILITIES = ("CHOWN", "DAC_OVERRIDE", "DAC_READ_SEARCH", "FOWNER", "FSETID", "KILL", "SETFCAP",
                 "SETGID", "SETUID", "SYS_CHROOT")  # fmt: skip
_POLICY = f"""#!/bin/sh
echo "$@" >>{INSIDE}/asked
exit 101
"""
_TOOLS = ("bwrap", "mount", "nsenter", "umount", "unshare")
_OPTIONS = "metacopy=off,redirect_dir=off,index=off"


class SandboxFailed(DriverFailed):
    """The copy could not be made."""


@dataclass(frozen=True)
class Layer:
    """One disk: where the host has it mounted, and what was written over it."""

    mount: str
    upper: Path


class Real(NamedTuple):
    """What of the host itself a copy shows: folders to write, and folders of sockets to read."""

    folders: tuple[str, ...] = ()
    sockets: tuple[str, ...] = ()


class Rights(NamedTuple):
    """What a program may do in a copy; `setuid`: give files setuid and setgid bits."""

    capabilities: tuple[str, ...] = CAPABILITIES
    setuid: bool = True


TOOLS = Rights()
"""What unpacking, and the scripts that come with it, need."""


class Sandbox:
    """The copy, as a context manager.

    Args:
        place: a folder of the agent's own, for nothing else.
        hidden: folders of the host that must not be seen in the copy; `place` lies in one.
        real: what is the host's own there (live.py).
    """

    def __init__(self, place: Path, hidden: Sequence[Path], real: Real | None = None) -> None:
        self._place, self._hidden, self._open = place, hidden, ExitStack()
        self._real = real or Real()

    def __enter__(self) -> Self:
        """Make it.

        Raises:
            SandboxFailed: a tool is missing, or the kernel cannot.
        """
        missing = [tool for tool in _TOOLS if not shutil.which(tool, path=_ENV["PATH"])]
        if missing:
            raise SandboxFailed(f"`{missing[0]}` is not installed; install it on this host")
        self._place.mkdir(mode=0o700, exist_ok=True)
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Throw it away."""
        self.close()

    def close(self) -> None:
        """Throw it away."""
        self._open.close()

    @property
    def layers(self) -> tuple[Layer, ...]:
        """The disks, root first."""
        rows = enumerate(self._mounts)
        return tuple(Layer(mount, self._seen / str(n) / "upper") for n, mount in rows)

    @property
    def asked(self) -> tuple[str, ...]:
        """What scripts wanted done to services, `unit action`, each once; they could write more."""
        text = left_by_scripts(self._seen / "given/asked")
        words = re.compile(r"[A-Za-z0-9@._-]{1,80} [a-z -]{1,40}")
        return tuple(sorted({line for line in text.splitlines() if words.fullmatch(line)}))

    def sees(self, path: str) -> bool:
        """Tell whether a path is there in the copy."""
        below = [
            n for n, m in enumerate(self._mounts) if f"{path}/".startswith(f"{m.rstrip('/')}/")
        ]
        inner = path[len(self._mounts[below[-1]].rstrip("/")) :]
        return os.path.lexists(f"{self._seen}/{below[-1]}/root{inner}")

    def run(
        self, argv: Sequence[str], log: Path, env: Mapping[str, str], seconds: int,
        packages: Path | None, rights: Rights = TOOLS,
    ) -> Ran:  # fmt: skip
        """Run a program in the copy, with a folder of packages to read; as `driver.hear`."""
        words = ["bwrap", "--die-with-parent", "--unshare-ipc", "--unshare-pid", "--unshare-net"]
        words += ["--unshare-uts", "--unshare-cgroup-try", "--cap-drop", "ALL"]
        words += [word for name in rights.capabilities for word in ("--cap-add", f"CAP_{name}")]
        for n, mount in enumerate(self._mounts):
            words += ["--bind", f"{self._place}/{n}/root", mount]
        words += ["--dev", "/dev", "--proc", "/proc", "--ro-bind", "/proc/sys", "/proc/sys"]
        for folder in (*FRESH, *map(str, self._hidden)):
            words += ["--tmpfs", folder]
        words += ["--bind", f"{self._place}/given", INSIDE]
        words += ["--ro-bind", str(packages), f"{INSIDE}/packages"] if packages else []
        words += ["--dir", "/run/lock"]
        for folder in self._real.folders:
            words += ["--bind", folder, folder]
        for folder in self._real.sockets:
            words += ["--ro-bind-try", folder, folder]
        if Path("/run/systemd/system").is_dir():
            words += ["--dir", "/run/systemd/system"]
        seen = (*_HIDDEN, *map(str, self._hidden), *self._real.folders)
        for path in sockets():
            if not path.startswith(tuple(f"{folder}/" for folder in seen)):
                words += ["--ro-bind-try", "/dev/null", path]
        with ExitStack() as stack:
            given = [] if rights.setuid else [stack.enter_context(_filter()).fileno()]
            words += [word for number in given for word in ("--seccomp", str(number))]
            inner = [*self._enter, *words, "--chdir", "/", "--", *argv]
            return hear(inner, log, {**env, "SYSTEMD_OFFLINE": "1"}, seconds, given)

    def remount(self) -> None:
        """Make the copy anew over the upper layers as they are now."""
        for n in reversed(range(len(self._mounts))):
            self._do("umount", f"{self._place}/{n}/root")
            shutil.rmtree(self._seen / str(n) / "work")
        self._mount()

    def _start(self) -> None:
        # It ends when our end of the pipe is closed, also by a kill.
        words = ["unshare", "--mount", "--propagation", "private", "--", "cat"]
        process = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=_ENV, cwd="/"
        )
        assert process.stdin
        assert process.stdout
        self._open.callback(process.wait, STARTED_SECONDS)
        self._open.callback(process.stdout.close)
        self._open.callback(process.stdin.close)
        process.stdin.write(b"\n")
        process.stdin.flush()
        if process.stdout.read(1) != b"\n":
            raise SandboxFailed("`unshare` cannot make a mount namespace; is this root")
        self._enter = ["nsenter", f"--mount=/proc/{process.pid}/ns/mnt", "--"]
        self._seen = Path(f"/proc/{process.pid}/root{self._place}")
        self._mounts = disks(_table("/proc/self/mountinfo"), (*_HIDDEN, *map(str, self._hidden)))
        options = f"mode=0700,size={MEMORY}"
        self._do("mount", "-t", "tmpfs", "-o", options, "tmpfs", str(self._place))
        # Where `/usr/sbin` is a link to `bin`, a folder of that name would hide what it leads to.
        extra = self._seen / f"extra{os.path.realpath('/usr/sbin')}"
        extra.mkdir(parents=True)
        for folder in (self._seen / "extra", extra.parent, extra):
            folder.chmod(0o755)
        (extra / "policy-rc.d").write_text(_POLICY, "ascii")
        (extra / "policy-rc.d").chmod(0o755)
        if Path("/usr/sbin/update-grub").exists():
            (extra / "update-grub").write_text("#!/bin/sh\n", "ascii")
            (extra / "update-grub").chmod(0o755)
        given = self._seen / "given"
        given.mkdir()
        given.chmod(0o755)
        (given / "packages").mkdir()
        self._mount()

    def _mount(self) -> None:
        for n, mount in enumerate(self._mounts):
            here, inside = self._seen / str(n), f"{self._place}/{n}"
            for folder in ("upper", "work", "root"):
                (here / folder).mkdir(parents=True, exist_ok=True)
            # The upper layer's root is the copy's root: it looks like the host's.
            found = os.stat(mount)  # noqa: PTH116  of the host's mount
            os.chown(here / "upper", found.st_uid, found.st_gid)
            (here / "upper").chmod(found.st_mode & 0o7777)
            below = mount if n else f"{self._place}/extra:/"
            options = f"lowerdir={below},upperdir={inside}/upper,workdir={inside}/work,{_OPTIONS}"
            self._do("mount", "-t", "overlay", "-o", options, "overlay", f"{inside}/root")

    def _do(self, *words: str) -> None:
        done = subprocess.run(
            [*self._enter, *words], stdin=subprocess.DEVNULL, capture_output=True, text=True,
            env=_ENV, check=False, timeout=STARTED_SECONDS,
        )  # fmt: skip
        if done.returncode:
            raise SandboxFailed(f"cannot make a copy of this host: {last_lines(done.stderr)}")


def disks(table: str, hidden: Sequence[str]) -> list[str]:
    """Give where disks are mounted, root first, from the text of /proc/self/mountinfo.

    Raises:
        SandboxFailed: there are too many, or a path that an overlay's options cannot say.
    """
    found = {"/": "/"}
    for line in table.splitlines():
        fields, _, rest = line.partition(" - ")
        path = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m[1], 8)), fields.split()[4])
        below = any(path == h or path.startswith(f"{h}/") for h in hidden)
        if rest.split()[:1] and rest.split()[0] in _DISKS and not below and Path(path).is_dir():
            found[path] = path
    if len(found) > MOUNTS or any(set(path) & set(":,\\\n") for path in found):
        raise SandboxFailed(
            "the mounts of this host are too many, or have `:`, `,` or `\\` in them"
        )
    return sorted(found)


def left_by_scripts(path: Path) -> str:
    """Give the start of a file that scripts could put anything in place of."""
    try:
        # A link would lead into the host's own files, a pipe would never be opened.
        found = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with open(found, "rb") as file:  # noqa: PTH123  of a descriptor
            sound = stat.S_ISREG(os.fstat(found).st_mode)
            return file.read(TABLE).decode("utf-8", "replace") if sound else ""
    except OSError:
        return ""


def _filter() -> IO[bytes]:
    try:
        program = no_setuid()
    except NoSeccomp as error:
        raise SandboxFailed(f"a live script needs a filter of system calls: {error}") from error
    file = os.fdopen(os.memfd_create("filter"), "w+b")
    file.write(program)
    file.seek(0)
    return file


def sockets() -> list[str]:
    """Give the paths of the host's sockets."""
    # Of the host's network: this process may have left it, and the table is one network's.
    lines = _table("/proc/1/net/unix").splitlines()[1:]
    paths = {line.split(None, 7)[-1] for line in lines}
    return sorted(path for path in paths if path.startswith("/"))


def _table(path: str) -> str:
    with open(path, "rb") as file:  # noqa: PTH123  a table of the kernel
        return file.read(TABLE).decode("utf-8", "surrogateescape")
