"""The agent in a process of its own, with fake tools, that ends itself by kill -9 at a chosen step.

    python -m tests.fakes.killed_agent DIRECTORY TOOL PORT STEP

Steps are counted at everything that another party or the disk could notice: before and after each
fsync, before and after each request, and at each pause of the package and service tools. With step
0 it runs until nothing is left to do and prints how many steps that took.
"""

import http.client
import os
import secrets
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import ParamSpec, TypeVar

from answerable.host.actions.act import Tools
from answerable.host.home import Home, World
from answerable.host.services.service import Check
from tests.fakes.fake_driver import FakeDriver, FakeServices

LOOKS = 20
P = ParamSpec("P")
T = TypeVar("T")


class Steps:
    """Counts, and ends the process at the chosen one."""

    def __init__(self, last: int) -> None:
        self.count, self.last = 0, last

    def __call__(self, _: str = "") -> None:
        """Count one."""
        self.count += 1
        if self.count == self.last:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, act: Callable[P, T]) -> Callable[P, T]:
        """Count before and after."""

        def counted(*args: P.args, **named: P.kwargs) -> T:
            self()
            done = act(*args, **named)
            self()
            return done

        return counted


def main(directory: str, tool: str, port: str, step: str) -> None:
    """Look until nothing is left to do."""
    steps = Steps(int(step))
    os.fsync = steps.around(os.fsync)
    asks = http.client.HTTPConnection
    asks.request = steps.around(asks.request)  # type: ignore[method-assign]
    tools = Tools(
        FakeDriver(Path(tool), steps),
        FakeServices(Path(tool), steps),
        {"nginx": Check("tcp", "127.0.0.1", int(port), within=1)},
    )
    world = World(time.monotonic, lambda: secrets.token_hex(16), time.sleep)
    agent = Home(Path(directory), world).agent(tools, patience=3)
    for _ in range(LOOKS):
        rows = agent.look()
        if not rows and not agent.trouble and not agent.counts()["unsent"]:
            break
    sys.stdout.write(f"{steps.count}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
