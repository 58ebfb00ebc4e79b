"""Running servers and chores in one process, until a signal ends it.

What they do, they do by the real clock (clock.py).
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import httpx
import uvicorn
from starlette.applications import Starlette

from answerable.bootstrap.clock import boot_clock, clock

__all__ = ["SECONDS", "boot_clock", "chores", "clock", "http_client", "serve"]
SECONDS = 10.0
"""How long one HTTP answer may take, seconds."""


def http_client(seconds: float = SECONDS) -> httpx.Client:
    """Make a client that follows nothing, trusts no environment and gives up in time."""
    return httpx.Client(timeout=seconds, follow_redirects=False, trust_env=False)


def serve(app: Starlette, address: tuple[str, int]) -> None:
    """Serve until SIGINT or SIGTERM."""
    host, port = address
    settings = uvicorn.Config(
        app, host=host, port=port, log_level="warning", access_log=False, server_header=False,
        limit_concurrency=1024, timeout_keep_alive=30,
    )  # fmt: skip
    uvicorn.Server(settings).run()


@contextmanager
def chores(run: Callable[[], None], every: float, name: str) -> Iterator[None]:
    """Do something again and again in a thread of its own while the block runs.

    A fault in it ends the process: a server that no longer does its duties must not look alive.
    """
    done = threading.Event()

    def loop() -> None:
        try:
            while not done.is_set():
                run()
                done.wait(every)
        except BaseException:
            os.kill(os.getpid(), signal.SIGTERM)
            raise

    thread = threading.Thread(target=loop, name=name, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join(SECONDS)
