"""The clone behind a socket: each connection is one run of the host's own program."""

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def path(tmp_path: Path) -> Iterator[Path]:
    """A socket behind which there is no clone."""
    words = [sys.executable, "-m", "answerable.demo.rehearser"]
    process = subprocess.Popen([*words, str(tmp_path / "s"), str(tmp_path / "none")])
    try:
        yield tmp_path / "s"
    finally:
        process.kill()
        process.wait()


def _connect(line: socket.socket, path: Path) -> None:
    for _ in range(30_000):
        try:
            line.connect(str(path))
        except OSError:
            # Its process starts in its own time on a busy machine.
            time.sleep(0.01)
            continue
        return
    raise AssertionError(f"nobody listens at {path}")


def test_each_connection_gets_an_answer(path: Path) -> None:
    """A clone that is none is a word of its program, and the next one may ask again."""
    for _ in range(2):
        with socket.socket(socket.AF_UNIX) as line:
            _connect(line, path)
            line.sendall(b"no job\n")
            line.shutdown(socket.SHUT_WR)
            with line.makefile("rb") as answer:
                assert json.loads(answer.read()).keys() == {"error"}
