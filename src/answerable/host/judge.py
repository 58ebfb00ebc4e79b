"""Ask the kernel, with everything as it is now: the log followed, the guards asked, the host seen.

Rules:
* `renew` follows the log and asks the guards with a new nonce; if the guards know more than the
  host, it follows the mirrors too and asks again, `TRIES` times in all;
* time is the guards' and the boot-time clock's: the host's wall clock is never read, so setting it
  back or forth changes nothing;
* `acknowledge` asks until a quorum of guards hold the host's last consume note; the kernel then
  permits the action once more with those very answers, right before it is done.

Nothing here decides; the kernel does.
"""

from collections.abc import Callable, Mapping
from typing import NamedTuple

from answerable.host.log.follow import Follower
from answerable.host.log.fresh import Guards
from answerable.host.log.state import LogState
from answerable.host.network.client import HttpUnavailable
from answerable.host.records.journal import Journal
from answerable.host.versions import order as version_order
from answerable.kernel.charter import Charter
from answerable.kernel.errors import Refused
from answerable.kernel.fresh import Freshness, Head, read_head
from answerable.kernel.verify import Enrolled, Host, Permit, verify
from answerable.keys.sign import Signer, consume_text, sign_note

TRIES = 3
"""How often the guards are asked because they know more, or have not kept a note yet."""
_AGAIN = frozenset({"behind", "stale_head", "state_diverged"})


class Identity(NamedTuple):
    """Who this host is: its record with proof, its key, and the zones that it adds to it."""

    enrolled: Enrolled
    signer: Signer
    zones: frozenset[str]


class Judge:
    """Keeps the log and the guards' answers, and asks the kernel.

    Args:
        me: who this host is.
        kept: the followed log.
        follower: follows it.
        guards: asks the guards.
        journal: what was begun and how it ended.
        clock: boot-time clock, seconds.
    """

    def __init__(
        self,
        me: Identity,
        kept: LogState,
        follower: Follower,
        guards: Guards,
        journal: Journal,
        clock: Callable[[], float],
    ) -> None:
        self._me, self._kept, self._follower, self._guards = me, kept, follower, guards
        self._journal, self._clock = journal, clock
        self._fresh = Freshness("", float("-inf"), ())
        self._head: Head | None = None
        self.trouble = ""

    @property
    def law(self) -> Charter:
        """The charter in force, or the pinned one."""
        return self._follower.law

    @property
    def fleet(self) -> str:
        """The fleet's id."""
        return self._kept.fleet

    @property
    def size(self) -> int:
        """How many records of the log are followed."""
        return self._kept.state.tree.size

    def now(self) -> int:
        """Give a POSIX second that has surely come, by the guards last asked; 0 if none were."""
        passed = self._clock() - self._fresh.sent
        return self._head.present + int(passed) if self._head else 0

    def follow(self, *, everywhere: bool = False) -> None:
        """Follow the log; what is wrong with it is kept in `trouble`, and the kernel judges."""
        try:
            self._follower.follow(everywhere=everywhere)
            self.trouble = self._follower.doubt
        except Refused as refused:
            self.trouble = f"{refused.reason}: {refused.detail}"
        except HttpUnavailable as error:
            self.trouble = str(error)

    def renew(self, older_than: float = 0.0) -> None:
        """Follow the log and ask the guards how it stands, if their answers are that old."""
        if self._clock() - self._fresh.sent < min(older_than, self.law.limits["freshness"] / 2):
            return
        for again in range(TRIES):
            self.follow(everywhere=bool(again))
            self._ask(lambda fresh: self._doubt(fresh) in ("", "behind"))
            doubt = self._doubt(self._fresh)
            if doubt not in _AGAIN or len(self._fresh.replies) < self.law.quorum:
                break

    def acknowledge(self) -> bool:
        """Tell the guards what was begun last; true once a quorum hold it, with fresh answers."""
        seq, action = len(self._journal.consumed), self._journal.consumed[-1]
        quorum: int = self.law.quorum

        def held(fresh: Freshness) -> bool:
            acks = [] if self._doubt(fresh) else list(self._read(fresh).acks.values())
            return acks.count((seq, action)) >= quorum

        for again in range(TRIES):
            if again:
                self.follow(everywhere=True)
            self._ask(lambda fresh: held(fresh) or self._doubt(fresh) == "behind")
            if held(self._fresh):
                return True
        return False

    def verdict(
        self,
        bundle: bytes,
        change: str,
        installed: Mapping[str, str],
        staged: Mapping[str, str],
        resumed: str = "",
        rehearsed: Mapping[str, tuple[str, list[str]]] | None = None,
    ) -> Permit | Refused:
        """Ask the kernel about one change, with the answers of the guards last asked.

        Args:
            bundle: its bytes.
            change: id of the change.
            installed: `<ecosystem>/<package>` -> version.
            staged: package -> SHA-256 of the bytes about to be used.
            resumed: the action that was begun last and never acted on, if it is this one.
            rehearsed: change -> its effects and classes, as found here without doing it.
        """
        host = Host(
            self._me.enrolled, self._fresh, version_order, installed, tuple(self._journal.consumed),
            staged, self._journal.failed, resumed, self._me.zones, rehearsed or {},
        )  # fmt: skip
        return verify(bundle, change, self._kept.state, host, self._clock())

    def _ask(self, enough: Callable[[Freshness], bool]) -> None:
        quorum = self.law.quorum

        def will_do(fresh: Freshness) -> bool:
            return len(fresh.replies) >= quorum and enough(fresh)

        urls = self._follower.guards()
        self._fresh = self._guards.ask(urls, self._me.enrolled, self._last(), will_do)
        if not self._doubt(self._fresh):
            self._head = self._read(self._fresh)

    def _last(self) -> str:
        consumed, name = self._journal.consumed, self._me.signer.key.name
        if not consumed:
            return ""
        text = consume_text(self._kept.fleet, name, len(consumed), consumed[-1])
        return sign_note(text, self._me.signer).decode()

    def _read(self, fresh: Freshness) -> Head:
        return read_head(fresh, self._kept.state, self._me.signer.key, self._clock())

    def _doubt(self, fresh: Freshness) -> str:
        try:
            self._read(fresh)
        except Refused as refused:
            return refused.reason
        return ""
