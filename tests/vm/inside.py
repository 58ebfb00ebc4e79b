"""Runs inside the virtual machine, as root: does what the test asks, word by word. Not a test.

A port of virtio carries lines of JSON. The first one is this boot's id; then each question
`{"argv":[..],"given":".."}` is answered with `{"code":..,"out":".."}`, and `{"sweep":<root>}` with
one hash for each path of a disk: kind, mode, owner, bytes and attributes.

As the first process it makes the machine usable before that: no service runs then, and no disk but
this one is mounted, as in a rescue system.
"""

import hashlib
import json
import os
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_MOUNTS = (("proc", "/proc"), ("sysfs", "/sys"), ("tmpfs", "/etc/lvm/backup"),
           ("tmpfs", "/etc/lvm/archive"))  # fmt: skip


def alone() -> None:
    """Be the first process: mount what tools need, and load what no udev loads here."""
    for kind, place in _MOUNTS:
        if not os.path.ismount(place):
            Path(place).mkdir(exist_ok=True)
            subprocess.run(["mount", "-t", kind, kind, place], check=False)
    for module in ("virtio_console", "dm_mod", "dm_snapshot"):
        subprocess.run(["modprobe", module], check=False)
    # The initial disk's udev has ended and left its socket, for whose word LVM would wait.
    os.environ["DM_DISABLE_UDEV"] = "1"


def sweep(root: str) -> dict[str, str]:
    """Give a hash of each path of one disk."""
    found, disk = {}, Path(root).stat().st_dev
    for place, folders, names in os.walk(root):
        for name in (*folders, *names):
            path = Path(place, name)
            seen = path.lstat()
            rest: list[object] = [seen.st_mode, seen.st_uid, seen.st_gid]
            if path.is_symlink():
                rest.append(str(path.readlink()))
            else:
                attributes = sorted(os.listxattr(path))
                rest.append([(n, os.getxattr(path, n)) for n in attributes])
            if stat.S_ISREG(seen.st_mode):
                rest.append(hashlib.sha256(path.read_bytes()).hexdigest())
            found[str(path.relative_to(root))] = hashlib.sha256(repr(rest).encode()).hexdigest()
        folders[:] = [f for f in folders if Path(place, f).lstat().st_dev == disk]
    return found


def answer(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job."""
    if "sweep" in job:
        return {"code": 0, "out": json.dumps(sweep(job["sweep"]))}
    env = {**os.environ, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        job["argv"], input=job["given"].encode(), stdout=-1, stderr=-2, check=False, env=env
    )
    return {"code": done.returncode, "out": done.stdout.decode("utf-8", "replace")}


def main() -> None:
    """Answer until the machine goes down."""
    if os.getpid() == 1:
        alone()
    while not (ports := sorted(Path("/dev").glob("vport*"))):
        time.sleep(0.1)
    with ports[0].open("r+b", buffering=0) as port:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        port.write(f"{boot}\n".encode())
        line = b""
        while part := port.read(65536):
            line += part
            while b"\n" in line:
                job, _, line = line.partition(b"\n")
                whole = memoryview(json.dumps(answer(json.loads(job))).encode() + b"\n")
                while whole:
                    whole = whole[port.write(whole) :]
    sys.exit("the other end has gone")


main()
