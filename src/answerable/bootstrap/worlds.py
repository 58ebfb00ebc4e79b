"""A party's own publications, and the worlds that it makes of them; each party has its own.

    "publications": [..]            in its settings, as publications.py reads them
    <directory>/publications/       documents as they were fetched (feeds/sync.py)
    <directory>/worlds/             snapshots of the world (feeds/world.py)

Whoever names no publications keeps no world: facts are then as their sources state them. Whoever
does keeps nothing back: as long as one publication is not usable, there is no newer world, and
nothing is proposed or attested.
"""

from collections.abc import Callable, Iterable
from functools import partial

import httpx

from answerable.bootstrap.publications import subscriptions
from answerable.config import Party
from answerable.feeds import agree, sync
from answerable.feeds.agree import AUTOMATIC, Gather, Ruling
from answerable.feeds.attest import Own
from answerable.feeds.candidate import Candidate, Problem
from answerable.feeds.facts import Fact
from answerable.feeds.shock import Shock
from answerable.feeds.source import Origin, State, Unusable
from answerable.feeds.sync import Kept
from answerable.feeds.world import World, Worlds

EVERY = 900.0
"""Seconds between two rounds of a guard's own sync."""
Heard = Callable[[str, str, int, int], None]
"""Told how far it is: what is done, to what, how much so far, of how much (0: not known)."""


def silent(_doing: str, _what: str, _done: int, _total: int) -> None:
    """Tell nobody."""


class Lookout:
    """What one party looks at for itself."""

    def __init__(self, party: Party, client: httpx.Client) -> None:
        """Read the settings.

        Raises:
            NotConfigured: as publications.py says.
        """
        self.wanted = subscriptions(party.settings.get("publications", ()), client)
        self.folder, self._home = party.directory / "publications", party.directory / "worlds"

    @property
    def looks(self) -> bool:
        """Whether it keeps a world at all."""
        return bool(self.wanted)

    @property
    def worlds(self) -> Worlds:
        """The worlds so far."""
        return Worlds(self._home)

    def refresh(self, now: int, cleared: int = 0, heard: Heard = silent) -> World:
        """Fetch what is new, and make the newest world of it.

        Raises:
            Unusable: naming the first document that is not usable.
            Unavailable: the folders cannot be written, or somebody else is at it.
        """

        def told(step: sync.Step) -> None:
            heard(step.doing, f"{step.publication}/{step.path}", step.done, step.total)

        sync.sync(self.wanted, self.folder, now, told)
        given = sync.rows(self.wanted, self.folder, now)
        made = self.worlds.build(
            given, now, cleared, lambda doing, done: heard(doing, "world", done, 0)
        )
        self.worlds.prune()
        return made

    def documents(self, now: int) -> tuple[Kept, ...]:
        """Give the state of every document, without fetching."""
        return sync.status(self.wanted, self.folder, now) if self.looks else ()

    def problems(self, now: int) -> tuple[Problem, ...]:
        """Give what is not usable now; nothing is proposed or attested then."""
        found = tuple(
            Problem(State(kept.state), f"{kept.publication}/{kept.path}", kept.detail)
            for kept in self.documents(now)
            if kept.state != sync.USABLE
        )
        if self.looks and not found and self.worlds.newest() is None:
            return (Problem(State.MISSING, "world", "never made; sync first"),)
        return found

    def newest(self) -> World:
        """Give the newest world.

        Raises:
            Unusable: there is none, or it was changed.
        """
        found = self.worlds.newest()
        if found is None:
            raise Unusable(State.MISSING, str(self._home), "no world yet; sync first")
        return found

    def gather(self, at: int, ruling: Ruling = AUTOMATIC) -> Gather | None:
        """Give what makes this party believe things; nothing if it keeps no world.

        Raises:
            Unusable: as `newest`.
        """
        return partial(_gather, self.newest(), at, ruling) if self.looks else None

    def origin(self) -> tuple[Origin, ...]:
        """Name the newest world as what a candidate is made from, and keep it; as `newest`."""
        if not self.looks:
            return ()
        world = self.newest()
        self.worlds.pin(world)
        return (Origin("world", world.root, world.time, 0),)

    def shocks(self, feed: str, released: int) -> tuple[Shock, ...]:
        """Say why people should look before anything of a feed is released by machines.

        Args:
            released: when the feed's last release was made, POSIX seconds. One made since the
                newest world came settles it: a quorum saw no shock, or people signed.

        Raises:
            Unusable: as `newest`.
        """
        if not self.looks:
            return ()
        newest = self.newest()
        if self.worlds.accepted(feed) is not None and released >= newest.time:
            self.worlds.accept(feed, newest)
        return self.worlds.shocks(feed, newest)

    def accept(self, feed: str) -> None:
        """Take the newest world as good for a feed."""
        if self.looks:
            self.worlds.accept(feed, self.newest())

    def own(self, feed: str, now: int, standing: Candidate | None, released: int) -> Own:
        """Give what a guard holds a candidate against.

        Raises:
            Unusable: as `newest`.
        """
        return Own(self.gather(now), self.shocks(feed, released), standing)


def _gather(world: World, at: int, ruling: Ruling, facts: Iterable[Fact]) -> agree.Beliefs:
    return agree.gather(world.folder, facts, at, ruling)
