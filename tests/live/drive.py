"""Runs inside a host of the fleet: drives its package driver as the agent would. Not a test.

`drive.py JSON` with {"do", "ecosystem", "packages": [[name, before, after, sha256]..], "urls":
{sha256: url}, "undo"}; answers with one JSON line.
"""

import json
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any, BinaryIO

from answerable.host.apt import AptDriver
from answerable.host.driver import DriverFailed, Package, Staged, TransactionDiffers
from answerable.host.service import Check, health

STATE = Path("/var/lib/answerable-test")


def act(driver: AptDriver, job: dict[str, Any], packages: list[Package]) -> dict[str, object]:
    """Do one action."""

    def fetch(sha256: str) -> BinaryIO:
        answer: BinaryIO = urllib.request.urlopen(job["urls"][sha256], timeout=30)  # noqa: S310
        return answer

    if job["do"] == "recover":
        return {"recovered": [p.name for p in driver.recover()]}
    if job["do"] == "health":
        return {"health": health(Check("http", "127.0.0.1", 8080, "/health", 200, job["within"]))}
    staged = driver.stage(packages, fetch) if packages else Staged((), ())
    if job["do"] == "preview":
        driver.preview(staged, undo=job["undo"])
    elif job["do"] == "upgrade":
        driver.upgrade(staged)
    elif job["do"] == "undo":
        driver.undo(staged)
    return {}


def main() -> None:
    """Answer one job."""
    job = json.loads(sys.argv[1])
    STATE.mkdir(mode=0o700, parents=True, exist_ok=True)
    driver = AptDriver(STATE, job["ecosystem"], lock_seconds=1)
    packages = [Package(*row) for row in job.get("packages", [])]
    started = time.monotonic()
    try:
        answer = act(driver, job, packages)
    except TransactionDiffers as error:
        answer = {"error": type(error).__name__, "message": str(error), "also": error.also}
    except DriverFailed as error:
        answer = {"error": type(error).__name__, "message": str(error)}
    answer["ms"] = int((time.monotonic() - started) * 1000)
    names = {p.name for p in packages}
    answer["installed"] = {n: v for n, v in driver.installed().items() if n in names}
    print(json.dumps(answer), flush=True)  # noqa: T201


main()
