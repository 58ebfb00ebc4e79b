"""What the guard's rooms say to each other and to the network: answers, findings, settings.

Rules:

1. A handler takes bytes and gives an `Answer`; malformed bytes give a 4xx, never an exception.
2. What a guard finds wrong is a `Finding`, kept and shown to its operator; it is a result and not
   an exception.
3. Every limit of a guard is here or beside the reader that keeps it, with its unit.

Left out: HTTP itself (app.py).
"""

from dataclasses import dataclass

from answerable.kernel.canon import encode
from answerable.kernel.errors import Refused, Unavailable

TEXT, JSON = "text/plain; charset=utf-8", "application/json"
BINARY, SIZE = "application/octet-stream", "text/x.tlog.size"


class GuardUnavailable(Unavailable):
    """A log, a peer or the guard's own store is missing or broken."""


@dataclass(frozen=True)
class Answer:
    """An HTTP answer before it is one."""

    status: int
    body: bytes
    kind: str = TEXT


@dataclass(frozen=True)
class Finding:
    """Why a guard does not vouch for something; `reason` is a word of docs/spec/guard.md."""

    reason: str
    detail: str

    def text(self) -> str:
        """Spell it in one line."""
        return f"{self.reason}: {self.detail}\n"


def problem(status: int, reason: str, detail: str = "") -> Answer:
    """Answer with a reason word and what was found, as canonical JSON."""
    return Answer(status, encode({"detail": detail, "reason": reason}).encode(), JSON)


def refusal(refused: Refused) -> Answer:
    """Answer bytes that the kernel refused: 400 if they are no such thing, 403 if they are."""
    bad = refused.reason in ("malformed", "too_large")
    return problem(400 if bad else 403, refused.reason, refused.detail)


@dataclass(frozen=True)
class Settings:
    """What a guard's operator may set; seconds, records an hour, requests a second."""

    veto_hold: int = 60
    """How long a log may leave out a veto that the guard holds."""
    junk_per_hour: int = 60
    """Records that nobody may make, an hour, before no head with them is cosigned."""
    per_hour: int = 3600
    """Records of a type and signer an hour where the charter sets no cap."""
    renew: int = 60
    """How often the guard cosigns its head again by itself."""
    retry: int = 5
    """How often what has not arrived is sent again."""
    rate: int = 200
    """Requests a second from one address."""
    burst: int = 1000
    """Requests at once from one address."""


HOUR = 3600
"""The time over which caps are counted, seconds."""
