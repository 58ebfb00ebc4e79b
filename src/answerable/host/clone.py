"""Rehearse changes on a clone, before anybody is told: `python -m answerable.host.clone ROOT`.

A clone is a root directory that is kept like the hosts of one kind. It runs as root and reads one
job from its standard input, also from a socket that systemd hands it: a line of canonical JSON,
then the bytes of each artefact in the order in which the changes first name them. One line of JSON
is the answer.

    {"allow":["unit"],"changes":[[{"from":"1","name":"tool","sha256":"<hex>","size":812,"to":"2"}],
     ..],"ecosystem":"debian:12","kind":"apt"}
    {"changes":[{"asked":[],"effects":"<hex>","lines":[..],"sensitive":{"unit":["/.."]}},
     {"paths":["/etc/x: no named package ships it"],"refused":".."}]}  or  {"error":".."}

Rules:
* a layer in memory lies over the clone, in namespaces without network; the clone is never written
* in it the host's own driver, by the clone's own Python, stages, previews and does each change, one
  after another, as a host would; what is refused is left out, and those after go on without it
* artefacts are hashed before they are used; nothing in a job is a path, an option or a program

Sources: bwrap(1), overlayfs (kernel documentation). Left out: clones of other architectures; a
kernel or services that run.
"""

import ctypes
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import IO, BinaryIO, Self, cast

from answerable.host.driver import (
    ARTEFACT_LIMIT,
    CHANGE_SECONDS,
    Driver,
    DriverFailed,
    Package,
    Staged,
    TransactionDiffers,
)
from answerable.host.files import make_private
from answerable.host.settings import Settings, make_driver
from answerable.host.transaction.menu import TOOL
from answerable.host.transaction.sensitive import CLASSES
from answerable.kernel import canon
from answerable.kernel.canon import Json
from answerable.kernel.errors import Refused, Unavailable, demand

CHUNK = 1 << 20
"""Bytes that are read at once."""
JOB = 1 << 20
"""Largest job, without its artefacts, bytes."""
MEMORY = 4 << 30
"""Most that artefacts and changes may take in memory, bytes."""
CHANGES = 256
"""Most changes of a job."""
STATE = Path("/run/answerable-rehearsal")
INIT = Path("/sbin/init")
_CODE = "/run/answerable-code"
_MEMORY = "/mnt"
_ENV = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8"}
_NEWNS = 0x00020000
_MOVE = canon.shape("name:name from:name to:name sha256:hex size:int")
_JOB = {"allow": [CLASSES], "changes": [[_MOVE]], "ecosystem": "name", "kind": "id"}


class CloneFailed(DriverFailed):
    """No layer could be laid over the clone."""


def read_job(line: bytes) -> Json:
    """Read a job.

    Raises:
        Refused: it is none, is too large, or names one artefact with two sizes.
    """
    job = canon.read(line, JOB, _JOB)
    rows = [row for change in job["changes"] for row in change]
    one = len({row["sha256"] for row in rows}) == len({(r["sha256"], r["size"]) for r in rows})
    small = all(row["size"] <= ARTEFACT_LIMIT for row in rows) and len(job["changes"]) <= CHANGES
    demand(one and small and all(job["changes"]), "malformed", "a change or artefact is none")
    return job


def driver_of(job: Json, state: Path) -> Driver:
    """Make the driver of a job, with a folder of its own.

    Raises:
        HomeUnavailable: there is no such driver.
    """
    make_private(state)
    apart = {"kind": job["kind"], "ecosystem": job["ecosystem"]}
    apart["transaction"] = {"allow": job["allow"]}
    driver = make_driver(Settings(driver=apart), state / "driver")
    assert driver, "a kind that is none was an error"
    return driver


def rehearse(job: Json, given: IO[bytes], driver: Driver) -> list[Json]:
    """Do each change where this runs, which is thrown away; give what it did, or why it may not.

    Args:
        given: stream of the artefacts.
        driver: of the clone.

    Raises:
        Unavailable: an artefact is another one, or this cannot rehearse.
    """
    sizes = {row["sha256"]: row["size"] for change in job["changes"] for row in change}

    def fetch(sha256: str) -> BinaryIO:
        return cast("BinaryIO", _Part(given, sizes[sha256]))

    staged = []
    for change in job["changes"]:
        moved = [Package(row["name"], row["from"], row["to"], row["sha256"]) for row in change]
        staged.append(driver.stage(moved, fetch))
    return [_one(driver, each, last=each is staged[-1]) for each in staged]


def _one(driver: Driver, staged: Staged, *, last: bool) -> Json:
    try:
        found = driver.preview(staged)
        if found is None:
            return {"refused": "the clone has it already, or cannot rehearse", "paths": []}
        if not last:
            driver.upgrade(staged)
    except TransactionDiffers as error:
        return {"refused": str(error), "paths": list(error.also)}
    paths = {name: list(paths) for name, paths in found.sensitive.items()}
    lines, asked = list(found.lines), list(found.asked)
    return {"effects": found.effects, "lines": lines, "sensitive": paths, "asked": asked}


class _Part:
    """The next so many bytes of a stream, as a stream."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream, self._left = stream, size

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the stream open: more follows."""

    def read(self, size: int) -> bytes:
        data = self._stream.read(min(size, self._left))
        self._left -= len(data)
        return data


def _enter(root: str) -> None:
    """Lay a layer over the clone, and become this program in it."""
    if ctypes.CDLL(None, use_errno=True).unshare(_NEWNS):
        raise CloneFailed(f"cannot leave the mounts: {os.strerror(ctypes.get_errno())}; be root")
    os.chdir(root)
    _mount("--make-rprivate", "/")
    _mount("-t", "tmpfs", "-o", f"mode=0700,size={MEMORY}", "tmpfs", _MEMORY)
    upper, work, over = (f"{_MEMORY}/{name}" for name in ("upper", "work", "root"))
    for folder in (upper, work, over):
        Path(folder).mkdir()
    found = Path().stat()
    os.chown(upper, found.st_uid, found.st_gid)
    Path(upper).chmod(found.st_mode & 0o7777)
    _mount("-t", "overlay", "-o", f"lowerdir=.,upperdir={upper},workdir={work}", "overlay", over)
    words = ["bwrap", "--die-with-parent", "--unshare-pid", "--unshare-net", "--unshare-ipc"]
    words += ["--unshare-uts", "--cap-add", "ALL", "--bind", over, "/", "--dev", "/dev"]
    words += ["--proc", "/proc", "--tmpfs", "/run", "--dir", "/run/lock", "--tmpfs", "/tmp"]  # noqa: S108
    if "systemd" in os.path.realpath(f"{over}{INIT}"):
        words += ["--dir", "/run/systemd/system"]
    if Path(f"{over}{TOOL}").is_file():
        # A clone has no disks to ask; what it does stands for a host, whose menu is its own.
        words += ["--ro-bind", f"{over}/usr/bin/true", TOOL]
    words += ["--ro-bind", str(Path(__file__).parents[1]), f"{_CODE}/answerable", "--"]
    words += ["/usr/bin/python3", "-B", "-s", "-m", "answerable.host.clone"]
    os.execvpe(words[0], words, {**_ENV, "PYTHONPATH": _CODE})  # noqa: S606  argv, no shell


def _mount(*words: str) -> None:
    argv = ["mount", *words]
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=_ENV,
        check=False, timeout=CHANGE_SECONDS,
    )  # fmt: skip
    if done.returncode:
        raise CloneFailed(f"cannot lay a layer over the clone: {done.stderr.strip()}")


def main(argv: Sequence[str]) -> int:
    """Lay a layer over the clone that is named, or, in it, answer the job."""
    answer: Json = {}
    try:
        if argv:
            _enter(argv[0])
        stream = sys.stdin.buffer
        job = read_job(stream.readline(JOB + 1).removesuffix(b"\n"))
        answer["changes"] = rehearse(job, stream, driver_of(job, STATE))
    except (Unavailable, Refused, OSError) as error:
        answer = {"error": str(error)}
        # Who sends is not cut off in the middle: it reads the answer only after its last byte.
        while sys.stdin.buffer.read(CHUNK):
            pass
    sys.stdout.write(json.dumps(answer) + "\n")
    return int("error" in answer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
