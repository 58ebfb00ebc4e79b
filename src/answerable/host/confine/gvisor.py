"""The strict sandbox: the copy of the host as `Sandbox` makes it, programs in it under gVisor.

The system calls of package tools and scripts then reach gVisor's own kernel, a process without
rights (runsc), and not the host's; a flaw of the host's kernel is no way out. What they wrote is
found in the upper layers as ever, and explained path by path. For vendors who are not trusted; it
takes two to five times as long.

Rules, besides those of sandbox.py:
* platform `ptrace`, which needs no hardware; no network; no socket of the host, no other mount;
* the upper layers are written through (`--overlay2=none`), since they are what is explained;
* runsc ends with this process: its children die with it, and its state lies in the copy's memory.

A bundle is OCI runtime-spec 1.0's config.json. Sources: runsc flags, gVisor's user guide
(filesystem, platforms). Left out: live scripts, which must reach sockets of the host; extended
attributes other than `user.`, which gVisor does not set: a package that needs them is refused.
"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self
from uuid import uuid4

from answerable.host.confine.sandbox import FRESH, INSIDE, TOOLS, Rights, Sandbox, SandboxFailed
from answerable.host.driver import Ran, hear

_FLAGS = ("--platform=ptrace", "--network=none", "--overlay2=none", "--ignore-cgroups",
          "--host-uds=none", "--file-access=exclusive")  # fmt: skip


class Gvisor(Sandbox):
    """The copy, with programs under gVisor; as `Sandbox`."""

    def __enter__(self) -> Self:
        """Make it; raises `SandboxFailed` also if gVisor is not installed."""
        if not shutil.which("runsc", path="/usr/sbin:/usr/bin:/sbin:/bin"):
            raise SandboxFailed("`runsc` is not installed; install gVisor on this host")
        return super().__enter__()

    def run(
        self, argv: Sequence[str], log: Path, env: Mapping[str, str], seconds: int,
        packages: Path | None, rights: Rights = TOOLS,
    ) -> Ran:  # fmt: skip
        """Run a program in the copy, with a folder of packages to read; as `Sandbox.run`."""
        if self._real.folders or self._real.sockets or not rights.setuid:
            raise SandboxFailed(
                "gVisor reaches no socket of the host: live scripts need bubblewrap"
            )
        bundle, name = "gvisor/bundle", f"copy-{uuid4().hex}"
        (self._seen / bundle).mkdir(parents=True, exist_ok=True)
        inside = {**env, "SYSTEMD_OFFLINE": "1"}
        spec = json.dumps(self._spec(argv, inside, packages, rights.capabilities))
        (self._seen / bundle / "config.json").write_text(spec)
        state = f"--root={self._place}/gvisor/state"
        words = ["runsc", state, *_FLAGS, "run", f"--bundle={self._place}/{bundle}", name]
        return hear([*self._enter, *words], log, env, seconds)

    def _spec(
        self, argv: Sequence[str], env: Mapping[str, str], packages: Path | None,
        capabilities: Sequence[str],
    ) -> dict[str, Any]:  # fmt: skip
        named = [f"CAP_{name}" for name in capabilities]
        mounts = [_mount("proc", "proc", "/proc")]
        for n, mount in list(enumerate(self._mounts))[1:]:
            mounts.append(_mount("bind", f"{self._place}/{n}/root", mount, "rw"))
        folders = (*FRESH, *map(str, self._hidden), "/run/lock")
        booted = ["/run/systemd/system"] if Path("/run/systemd/system").is_dir() else []
        mounts += [_mount("tmpfs", "tmpfs", folder) for folder in (*folders, *booted)]
        mounts.append(_mount("bind", f"{self._place}/given", INSIDE, "rw"))
        if packages:
            mounts.append(_mount("bind", str(packages), f"{INSIDE}/packages", "ro"))
        return {
            "ociVersion": "1.0.0",
            "process": {
                "args": list(argv), "cwd": "/", "env": [f"{k}={v}" for k, v in env.items()],
                "user": {"uid": 0, "gid": 0}, "noNewPrivileges": False,
                "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), named),
            },
            "root": {"path": f"{self._place}/0/root", "readonly": False},
            "hostname": "copy",
            "mounts": mounts,
            "linux": {"namespaces": [{"type": kind} for kind in _NAMESPACES]},
        }  # fmt: skip


_NAMESPACES = ("pid", "network", "ipc", "uts", "mount")


def _mount(kind: str, source: str, destination: str, *options: str) -> dict[str, Any]:
    return {"type": kind, "source": source, "destination": destination, "options": list(options)}
