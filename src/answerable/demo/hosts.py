"""The port to a fleet of hosts, whichever kind: the story is the same on both.

Adapters: `fleet.py` (real hosts) and `apphosts.py` (application hosts).
"""

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Protocol

from answerable.kernel.errors import Unavailable


class FleetFailed(Unavailable):
    """A host, or the hub, could not be started or asked."""


class Hosts(Protocol):
    """Hosts that are up, and the hub where everybody else's processes run."""

    @property
    def names(self) -> list[str]:
        """The hosts that are up."""

    @property
    def hub_address(self) -> str:
        """Where hosts reach what runs in the hub."""

    def address(self, host: str) -> str:
        """Give a host's address, as hub and hosts see it."""

    def port(self, host: str) -> int:
        """Give the port of a host's own service."""

    def root(self, host: str) -> Path:
        """Give a host's root, for us."""

    def root_in_hub(self, host: str) -> Path:
        """Give a host's root, for processes in the hub."""

    def start_in(
        self,
        host: str,
        argv: Sequence[str],
        env: Mapping[str, str] | None = None,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] = subprocess.STDOUT,
    ) -> "subprocess.Popen[bytes]":
        """Start a program in a host; the process is the program itself."""

    def run_in_hub(
        self,
        argv: Sequence[str],
        uid: int = 0,
        env: Mapping[str, str] | None = None,
        stdout: int | IO[bytes] = subprocess.DEVNULL,
        stderr: int | IO[bytes] = subprocess.STDOUT,
        cwd: Path = Path("/"),
    ) -> "subprocess.Popen[bytes]":
        """Start a program in the hub, with a uid of its own where there are uids."""

    def cut(self, host: str) -> None:
        """Pull a host's cable."""

    def join(self, host: str) -> None:
        """Put a host's cable back."""

    def down(self) -> None:
        """End everything that was started; what hosts hold is kept."""
