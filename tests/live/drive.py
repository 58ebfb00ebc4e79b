"""Runs inside a host of the fleet: drives its package driver as the agent would. Not a test.

`drive.py JSON` with {"do", "ecosystem", "packages": [[name, before, after, sha256]..], "urls":
{sha256: url}, "undo", "transaction"}; answers with one JSON line. `sweep` gives one hash over every
path of the host; `need` tells who runs replaced files, and `restart` restarts `unit`, as a change
of its own; `die_at` kills this process, as by kill -9, at that step of a commit or undo.
"""

import contextlib
import hashlib
import json
import os
import signal
import stat
import sys
import time
import urllib.request
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO

from answerable.host.driver import (
    Driver,
    DriverFailed,
    Foreseen,
    Locked,
    Package,
    Staged,
    TransactionDiffers,
)
from answerable.host.drivers.apt import AptDriver
from answerable.host.services.service import Check, health
from answerable.host.versions import RPM

STATE = Path("/var/lib/answerable-test")
AT_WORK = {".rpm.lock", "rpmdb.sqlite-shm", "rpmdb.sqlite-wal"}
"""What rpm writes whenever it looks into its database; no state of the host."""


def make(ecosystem: str, transaction: dict[str, object] | None) -> Driver:
    """Make the driver of an ecosystem."""
    if ecosystem.partition(":")[0] in RPM:
        from answerable.host.drivers.rpm import RpmDriver  # noqa: PLC0415  where it is there

        return RpmDriver(STATE, ecosystem, transaction or {}, lock_seconds=1)
    return AptDriver(STATE, ecosystem, lock_seconds=1, transaction=transaction)


def act(driver: Driver, job: dict[str, Any], packages: list[Package]) -> dict[str, object]:
    """Do one action."""

    def fetch(sha256: str) -> BinaryIO:
        answer: BinaryIO = urllib.request.urlopen(job["urls"][sha256], timeout=30)  # noqa: S310
        return answer

    if job["do"] == "sweep":
        return {"sweep": sweep()}
    if job["do"] == "recover":
        return {"recovered": [p.name for p in driver.recover()]}
    if job["do"] in ("need", "restart", "health"):
        return serve(job)
    staged = driver.stage(packages, fetch) if packages else Staged((), ())
    if "named" in job:
        effects, classes = job["named"]
        staged = replace(staged, named=Foreseen(effects, dict.fromkeys(classes, ())))
    if job["do"] == "preview":
        found = driver.preview(staged, undo=job["undo"])
        return {"seen": [found.effects, found.classes]} if found else {}
    if job["do"] in ("upgrade", "undo"):
        return {"said": driver.undo(staged) if job["do"] == "undo" else driver.upgrade(staged)}
    return {}


def serve(job: dict[str, Any]) -> dict[str, object]:
    """Do what services need, by systemd."""
    if job["do"] == "health":
        return {"health": health(Check("http", "127.0.0.1", 8080, "/health", 200, job["within"]))}
    from answerable.host.services.service import SystemdServices  # noqa: PLC0415  where it is there

    services = SystemdServices(STATE)
    if job["do"] == "need":
        return {"need": dict(services.in_need().sure)}
    from answerable.host.actions.restarts import restart_in_need  # noqa: PLC0415  with `cryptography`

    done = restart_in_need(services, job["unit"])
    return {"result": done.result, "reason": done.reason, "detail": done.detail}


def sweep() -> dict[str, str]:
    """Give a hash of kind, mode, owner, time, bytes and attributes of every path."""
    found = {}
    for root, folders, files in os.walk("/"):
        skipped = {"/proc", "/sys", "/dev", "/run", "/tmp", str(STATE)}  # noqa: S108
        folders[:] = [f for f in folders if os.path.join(root, f) not in skipped]  # noqa: PTH118
        for name in {*folders, *files} - AT_WORK:
            path = Path(root, name)
            seen = path.lstat()
            rest: list[object] = [seen.st_mode, seen.st_uid, seen.st_gid]
            if path.is_symlink():
                rest.append(path.readlink())
            else:
                names = os.listxattr(path)
                rest.append([(n, os.getxattr(path, n)) for n in sorted(names)])
            if stat.S_ISREG(seen.st_mode):
                rest += [seen.st_mtime_ns, hashlib.sha256(path.read_bytes()).hexdigest()]
            found[str(path)] = hashlib.sha256(repr(rest).encode()).hexdigest()[:16]
    return found


def count_steps(die_at: int) -> list[int]:
    """Count what changes files, and end this process at one of these steps."""
    from answerable.host.transaction.disk import Disk  # noqa: PLC0415  where it is there

    steps = [0]

    def counted(method: Callable[..., object]) -> Callable[..., object]:
        def step(*given: object) -> object:
            steps[0] += 1
            if steps[0] == die_at:
                os.kill(os.getpid(), signal.SIGKILL)
            return method(*given)

        return step

    for name in ("write", "dress", "link", "twin", "rename", "mkdir", "unlink", "rmdir", "sync"):
        setattr(Disk, name, counted(getattr(Disk, name)))
    return steps


def main() -> None:
    """Answer one job."""
    job = json.loads(sys.argv[1])
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    driver = make(job["ecosystem"], job.get("transaction"))
    steps = count_steps(job.get("die_at", 0))
    packages = [Package(*row) for row in job.get("packages", [])]
    started, before = time.monotonic(), os.times()
    try:
        answer = act(driver, job, packages)
    except TransactionDiffers as error:
        answer = {"error": type(error).__name__, "message": str(error), "also": error.also}
    except DriverFailed as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    answer["steps"] = steps[0]
    spent = os.times()
    answer["cpu_ms"] = int((sum(spent[:4]) - sum(before[:4])) * 1000)
    answer["ms"] = int((time.monotonic() - started) * 1000)
    names = {p.name for p in packages}
    with contextlib.suppress(Locked):
        answer["installed"] = {n: v for n, v in driver.installed().items() if n in names}
    print(json.dumps(answer), flush=True)  # noqa: T201


main()
