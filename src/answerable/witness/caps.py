"""How many records a log may take in: the charter's caps as a guard counts them, by its own clock.

Rules:

1. A statement counts once for each of its signers, under its type. Its cap is the charter's
   `per_hour` of that type, or the guard's own setting where the charter says nothing.
2. A record that is no admissible statement of this fleet counts as junk, whoever made it; one that
   is larger than its type's cap may not stand in the log at all.
3. What is counted is the last hour. A guard that heard nothing from the log for longer (it was
   down, or the log was) allows one more hour's worth for each hour, so that it can catch up, and
   counts as if the records had been made evenly over that time. So a guard that is new is free.

Left out: what the statements mean (the fold).
"""

import sqlite3
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from answerable.kernel.charter import Charter
from answerable.kernel.errors import Refused
from answerable.kernel.fold import admit
from answerable.kernel.note import ENTRY
from answerable.witness.wire import HOUR, Finding, Settings

JUNK = ("junk", "")


@dataclass
class Batch:
    """The new records of one head: counts by (type, signer), statement ids, and what is wrong.

    `idle`: seconds since the log was heard before.
    """

    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)
    oversized: str = ""
    idle: int = 0

    def look(self, entry: bytes, law: Charter | None, fleet: str) -> None:
        """Count one record under the charter that was in force before it."""
        try:
            if law is None:
                self.counts[JUNK] += 1
                return
            statement = admit(entry, law, fleet)
        except Refused as refused:
            # A note over its cap says so in its own words; anything else is junk.
            if refused.reason == "too_large" and len(entry) <= ENTRY:
                self.oversized = self.oversized or refused.detail
            self.counts[JUNK] += 1
            return
        self.ids.add(statement.id)
        for kind, name in statement.signers:
            self.counts[statement.kind, f"{kind}:{name}"] += 1

    def over(
        self, seen: Callable[[str, str], int], law: Charter | None, settings: Settings
    ) -> Finding | None:
        """Say which cap these records exceed, given what was accepted in the last hour.

        Args:
            seen: number of records of a type and signer in that hour.
            law: the charter in force, whose caps count.
            settings: the guard's own caps.
        """
        if self.oversized:
            return Finding("over_cap", f"{self.oversized} is larger than its cap")
        caps = law.body["caps"] if law else {}
        for (kind, signer), count in self.counts.items():
            hourly = caps.get(kind, {}).get("per_hour", settings.per_hour)
            hourly = settings.junk_per_hour if (kind, signer) == JUNK else hourly
            allowed = hourly * (1 + self.idle // HOUR)
            total = seen(kind, signer) + count
            if total > allowed:
                detail = f"{total} of `{kind}` by `{signer}` where {allowed} are allowed"
                return Finding("over_cap", detail)
        return None


def accepted(db: sqlite3.Connection, now: int) -> Callable[[str, str], int]:
    """Count what was accepted in the last hour."""
    ask = "SELECT total(count) FROM accepted WHERE kind=? AND signer=? AND time>?"

    def count(kind: str, signer: str) -> int:
        return int(db.execute(ask, (kind, signer, now - HOUR)).fetchone()[0])

    return count


def accept(db: sqlite3.Connection, batch: Batch, now: int) -> None:
    """Remember the counts of records that were accepted, and forget those of older hours."""
    db.execute("DELETE FROM accepted WHERE time<=?", (now - HOUR,))
    rows = [
        (kind, signer, now, count * HOUR // max(batch.idle, HOUR))
        for (kind, signer), count in batch.counts.items()
    ]
    db.executemany("INSERT INTO accepted VALUES (?,?,?,?)", rows)
