"""The port of this room: a channel carries a message to a person's address, or says why not.

Rules:

1. `deliver` gives `Accepted` when whoever is next on the way has the message durably, as far as the
   channel can know; `Failed` otherwise. It raises nothing for what is wrong outside.
2. The text arrives as it was given. Whatever address, subject and text are, no channel writes
   anywhere else, or says anything else, than this message to this address.
3. A message delivered twice has the same id both times, and is recognisable as the same one.

Adapters: `file`, `webhook`, `mail`; `FakeChannel` is for tests of those who use a channel. Left
out: reading receipts (a person says `seen` in the log).
"""

from dataclasses import dataclass, field
from typing import Protocol

TEXT = 1 << 20
"""Largest text of a message, bytes."""


@dataclass(frozen=True)
class Message:
    """What is said: a stable id (letters, digits, `.`, `_`, `-`), one line, and the text."""

    id: str
    subject: str
    text: str


@dataclass(frozen=True)
class Accepted:
    """The next one on the way has it."""

    detail: str


@dataclass(frozen=True)
class Failed:
    """It was not taken; `detail` says what to look at."""

    detail: str


Outcome = Accepted | Failed


class Channel(Protocol):
    """A way to people."""

    def deliver(self, address: str, message: Message) -> Outcome:
        """Carry one message."""


@dataclass(frozen=True)
class Address:
    """Where a person is reached: a channel's name, and what that channel calls an address."""

    channel: str
    at: str


@dataclass
class FakeChannel:
    """Keeps what it was given by (address, id); `broken` makes it fail."""

    broken: str = ""
    taken: dict[tuple[str, str], Message] = field(default_factory=dict)

    def deliver(self, address: str, message: Message) -> Outcome:
        """See `Channel.deliver`."""
        if self.broken:
            return Failed(self.broken)
        if problem := wrong(address, message):
            return Failed(problem)
        self.taken[address, message.id] = message
        return Accepted(f"kept for `{address}`")


def wrong(address: str, message: Message) -> str:
    """Say what no channel takes: control characters in address, id or subject, or a huge text."""
    for name, line in (("address", address), ("id", message.id), ("subject", message.subject)):
        if not line or not line.isprintable():
            return f"the {name} is empty or not one printable line"
    if not set(message.id) <= _ID:
        return f"`{message.id}` is no message id"
    if len(message.text.encode(errors="replace")) > TEXT:
        return f"the text is over {TEXT} bytes"
    return ""


_ID = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-")
