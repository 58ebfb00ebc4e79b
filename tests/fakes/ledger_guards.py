"""Four guards that a log can push to: real cosignatures, real consistency checks, made-up moods."""

import asyncio
import base64
from collections.abc import Iterable
from dataclasses import dataclass, field

import httpx

from answerable.kernel.checkpoint import Checkpoint
from answerable.kernel.errors import Refused
from answerable.kernel.note import COSIGNATURE, ED25519
from answerable.keys.sign import Signer, cosign
from answerable.witness.consistency import log_signed, verify_consistency
from tests.simulator.constitution import GUARDS
from tests.simulator.keys import pair, public


@dataclass
class Guard:
    """One guard; `mood` is `good`, `down`, `stuck`, `refuses`, `liar`, `half` or `flood`."""

    name: str
    mood: str = "good"
    held: Checkpoint | None = None
    requests: list[bytes] = field(default_factory=list)
    released: asyncio.Event = field(default_factory=asyncio.Event)

    def keys(self) -> tuple[Signer, Signer]:
        """Give the keys of the role `witness`; a liar's are its own."""
        name = f"{self.name}.example/witness"
        return pair(name, COSIGNATURE, 2 if self.mood == "liar" else 1)


class Guards:
    """All guards behind one transport, `https://<guard>.example/witness/add-checkpoint`."""

    def __init__(self, origin: str, time: int = 1_800_000_000) -> None:
        """Guard the log of this origin."""
        self.origin, self.time = origin, time
        self.all = {name: Guard(name) for name in GUARDS}

    def client(self) -> httpx.AsyncClient:
        """Give a client that reaches nobody but these guards."""
        return httpx.AsyncClient(transport=httpx.MockTransport(self._answer))

    def moods(self, mood: str, names: Iterable[str]) -> None:
        """Put some guards into a mood."""
        for name in names:
            self.all[name].mood = mood

    async def _answer(self, request: httpx.Request) -> httpx.Response:
        guard = self.all[request.url.host.removesuffix(".example")]
        assert request.url.path == "/witness/add-checkpoint"
        guard.requests.append(body := request.content)
        if guard.mood == "down":
            raise httpx.ConnectError("no route to host")
        if guard.mood == "stuck":
            await guard.released.wait()
        if guard.mood == "refuses":
            return httpx.Response(403, text="a veto is missing\n")
        if guard.mood == "flood":
            return httpx.Response(200, content=b"x" * 1_000_000)
        return self._cosign(guard, body)

    def _cosign(self, guard: Guard, body: bytes) -> httpx.Response:
        head, _, note = body.partition(b"\n\n")
        first, *proof = head.decode().split("\n")
        old = int(first.removeprefix("old "))
        new, _ = log_signed(note, self.origin, public(pair(self.origin, ED25519)))
        held = guard.held or Checkpoint(self.origin, 0, b"")
        if old != held.size:
            kind = {"Content-Type": "text/x.tlog.size"}
            return httpx.Response(409, text=f"{held.size}\n", headers=kind)
        if held.size:
            try:
                steps = [base64.b64decode(step) for step in proof]
                verify_consistency(old, new.size, steps, held.root, new.root)
            except Refused:
                return httpx.Response(422)
        elif proof:
            return httpx.Response(422)
        guard.held = new
        keys = guard.keys()
        lines = cosign(new, self.time, *(keys[:1] if guard.mood == "half" else keys))
        return httpx.Response(200, text=lines)
