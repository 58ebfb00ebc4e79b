"""What is installed here, told to the control plane in this host's own name.

An inventory is a note signed with the host's key. Its text is one line of canonical JSON,

    {"fleet":"<hex>","host":"web1","packages":"<SHA-256>","time":1795305600,"type":"inventory",
     "version":1}

`time` is a POSIX second that has surely come, by the guards. `packages` names the list itself:
canonical JSON, sorted, of [ecosystem, package, version, architecture, source, source's version,
state, [names that it stands for]]. It is sent as `{"note":"..","packages":"<the list or empty>"}`
to `POST <control>/inventory`; empty, where the other side has that very list.

Rules:
* told after each look in which something was done, else every `every` seconds: whoever is not heard
  of is unknown to the control plane, and nothing is planned for it;
* without a time by the guards nothing is told: an inventory that anybody could show again later, as
  if it were new, is worth nothing;
* nothing that a host does hangs on it: if it cannot be told, that is tried again later.

Left out: differences to the list before; it changes rarely, and a note with its name is small.
"""

from collections.abc import Callable
from contextlib import suppress
from hashlib import sha256
from typing import Protocol

from answerable.host.driver import Driver
from answerable.host.network.client import Client, Declined
from answerable.kernel.canon import encode
from answerable.kernel.errors import Unavailable
from answerable.keys.sign import Signer, sign_note

ANSWER = 65_536
"""Most that is read of the control plane's answer, bytes."""
AGAIN = 60.0
"""After how long it is tried again, seconds."""
FRESH = 60.0
"""Answers of the guards of this age still tell the time, seconds."""
_UNKNOWN = "unknown_subject"


class Clock(Protocol):
    """The agent, as far as it is asked here."""

    def time(self, older_than: float) -> int:
        """Give a POSIX second that has surely come, by the guards; 0 if they do not say."""

    def counts(self) -> dict[str, int]:
        """Say how many actions were begun (`consumed`)."""


class Census:
    """Tells what is installed.

    Args:
        client: asks servers.
        control: URL of the control plane.
        signer: the host's key.
        fleet: the fleet's id.
        every: seconds between two inventories; none are told if 0.
    """

    def __init__(
        self, client: Client, control: str, signer: Signer, fleet: str, every: int
    ) -> None:
        self._client, self._url = client, f"{control.rstrip('/')}/inventory"
        self._signer, self._fleet, self._every = signer, fleet, every
        self._due, self._begun, self._has = float("-inf"), -1, ""

    def tell(self, driver: Driver | None, agent: Clock, clock: Callable[[], float]) -> bool:
        """Tell, if it is time to; give whether it was told."""
        begun = agent.counts()["consumed"]
        if not driver or not self._every or (clock() < self._due and begun == self._begun):
            return False
        self._due, self._begun = clock() + min(AGAIN, self._every), begun
        with suppress(Unavailable):
            listed = encode(sorted(map(list, driver.census())))
            if now := agent.time(FRESH):
                self._send(listed, now)
                self._due = clock() + self._every
                return True
        return False

    def _send(self, listed: str, now: int) -> None:
        digest = sha256(listed.encode()).hexdigest()
        said = {
            "fleet": self._fleet, "host": self._signer.key.name, "packages": digest, "time": now,
            "type": "inventory", "version": 1,
        }  # fmt: skip
        note = sign_note(encode(said) + "\n", self._signer).decode()
        if digest == self._has:
            try:
                self._post(note, "")
            except Declined as declined:
                if declined.reason != _UNKNOWN:
                    raise
            else:
                return
        self._post(note, listed)
        self._has = digest

    def _post(self, note: str, listed: str) -> None:
        body = encode({"note": note, "packages": listed}).encode()
        self._client.post(self._url, body, ANSWER)
