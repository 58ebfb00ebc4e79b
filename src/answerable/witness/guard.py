"""A guard's parts, joined: witness, mirror, veto post, fresh heads, and its chores.

`Guard` is what one operator runs, beside a herald and a feed attester (bootstrap). It reads no
clock or network by itself: clock, keys, logs and peers are handed in. `chores` is called every
second or so, by one thread, and never raises for what is broken outside.

Left out: retries in between; what fails is a finding, and is tried again at the next call.
"""

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from answerable.kernel.errors import Refused
from answerable.keys.sign import Signer
from answerable.witness.follower import Follower
from answerable.witness.fresh import Fresh
from answerable.witness.log import Log
from answerable.witness.mirror import Mirror, log_name
from answerable.witness.post import Peer, Post
from answerable.witness.start import Start
from answerable.witness.store import Store
from answerable.witness.wire import Answer, Finding, GuardUnavailable, Settings, problem
from answerable.witness.witness import Witness

PULLS = 16
"""Most steps of the mirror in one round of chores."""
CLOSING = 256
"""New records for which the fold is kept when a guard ends."""


@dataclass(frozen=True)
class Keys:
    """A guard's private keys by role; pairs are types 0x04 and 0x06, the herald's is 0x01."""

    witness: tuple[Signer, Signer]
    post: tuple[Signer, Signer]
    herald: Signer


@dataclass(frozen=True)
class World:
    """What lies outside a guard: the logs (`authority`, `report`), the other guards by URL, time.

    `clock` gives POSIX seconds.
    """

    logs: Mapping[str, Log]
    peers: Callable[[str], Peer]
    clock: Callable[[], int]


class Guard:
    """One guard; threads may share it, `chores` belongs to one."""

    def __init__(
        self,
        path: Path,
        name: str,
        charter: bytes,
        keys: Keys,
        world: World,
        settings: Settings | None = None,
    ) -> None:
        """Open the guard's database at `path`, with its name and the fleet's first charter.

        Raises:
            GuardUnavailable: if the database is not usable.
            Refused: if the charter is none to obey.
        """
        settings = settings or Settings()
        self.name, self.settings, self._world = name, settings, world
        logs, clock = world.logs, world.clock
        fleet = fleet_of(charter)
        self.store = Store(path)
        self.post = Post(self.store, fleet, settings, keys.herald, clock)
        self.follower = Follower(self.store, fleet, settings, self.post)
        if self.follower.look(lambda state: state.charter) is None:
            self.follower.succeed(charter)
        self.mirror = Mirror(self.store)
        self.witness = Witness(self.store, self.follower, logs, keys.witness, clock)
        self.fresh = Fresh(self.store, self.follower, fleet, keys.post, clock)
        self.start = Start(self.store, self.follower, self.fresh, clock)
        self._renewed = self._sent = 0

    def veto(self, entry: bytes) -> Answer:
        """Answer one `POST /veto`."""
        try:
            return self.post.receive(entry, self.follower.look(lambda state: state.law()))
        except GuardUnavailable as error:
            return problem(503, "unavailable", str(error))

    def origin(self, name: str) -> str:
        """Give the origin of a log by its name in paths, or nothing: also of one moved from."""
        logs = [*self.witness.known(), *self.mirror.origins()]
        return {log_name(origin): origin for origin in logs}.get(name, "")

    def forward(self) -> None:
        """Hand on what people objected to, now."""
        law = self.follower.look(lambda state: state.law())
        self.post.forward(law, self.name, self._world.logs["authority"], self._world.peers)

    def chores(self) -> None:
        """Do what is due: forget settled vetoes, hand on the others, mirror, renew."""
        now = self._world.clock()
        try:
            self.follower.look(self.post.settle)
            self.follower.save()
            if not 0 <= now - self._sent < self.settings.retry:
                self._sent = now
                self.forward()
                self._mirror(now)
            if not 0 <= now - self._renewed < self.settings.renew:
                self._renewed = now
                for origin in self.witness.known():
                    self.witness.renew(origin)
        except GuardUnavailable as error:
            self.store.find(now, Finding("unavailable", str(error)))
        except Refused as refused:
            self.store.find(now, Finding(refused.reason, refused.detail))

    def _mirror(self, now: int) -> None:
        for origin, (name, _) in self.witness.known().items():
            for _ in range(PULLS if name != "authority" else 0):
                finding = self.mirror.pull(origin, self._world.logs[name])
                if finding:
                    self.store.find(now, finding)
                if finding or not self.mirror.behind(origin):
                    break

    def close(self) -> None:
        """Keep the fold, if it has grown by much, and close the database."""
        with suppress(GuardUnavailable):
            self.follower.save(CLOSING)
        self.store.close()


def fleet_of(charter: bytes) -> str:
    """Give the fleet that a first charter founds: the SHA-256 of its text, in hex."""
    return sha256(charter.rpartition(b"\n\n")[0] + b"\n").hexdigest()
