"""How orders reach hosts.

Handing a host its bundle is all that an executor can do: the host verifies for itself and may
refuse. Every method may be called again with the same orders, by this worker or the next, and then
does nothing more. Taking a bundle back from a host that has already fetched it is allowed to have
no effect.
"""

from collections.abc import Sequence
from typing import Protocol

from answerable.kernel.errors import Unavailable
from answerable.rollout.view import Order


class ExecutorUnavailable(Unavailable):
    """Bundles cannot be built or handed out now."""


class Executor(Protocol):
    """Hand bundles to hosts. Every method raises `Unavailable`."""

    def publish(self, notice: str, orders: Sequence[Order]) -> None:
        """Let these hosts fetch their bundles."""

    def withdraw(self, notice: str, orders: Sequence[Order]) -> None:
        """Let these hosts fetch their bundles no longer."""

    def ask_undo(self, notice: str, orders: Sequence[Order]) -> None:
        """Let these hosts see that their undo is due; the bundle they have already carries it."""
