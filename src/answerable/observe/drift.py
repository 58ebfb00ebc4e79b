"""What a difference between two postures means: which of it makes a host easier to own.

Rules:

1. In every section a new entry is weaker: one more setuid file, account, key, unit or source.
2. A changed entry is weaker, except below `PACKAGED`: there an upgrade brings the file again, and
   what it brings was noticed by its hash. New owner or mode is weaker everywhere.
3. In `GUARDING` sections it is the loss of an entry that is weaker.
4. A path that could be read before and cannot be now is weaker: `unread`.

A change of a section that the authority for the change names as an effect is not weaker: somebody
answers for it. Left out: whether a new unit is started, a new source used.
"""

from collections.abc import Collection, Iterator
from typing import NamedTuple

from answerable.observe.posture import Posture

PACKAGED = ("usr/", "lib/")
"""Where files come from packages alone (hier(7)); local settings lie below `etc/`."""
GUARDING = frozenset({"firewall", "lsm"})
"""Sections whose entries protect."""
SHOWN = 8
"""Most entries that a sentence names."""
LETTERS = 1_000
"""Longest sentence; a record of the report log has room for 4,096."""


class Drift(NamedTuple):
    """One entry that differs; `before` or `after` is empty if it was not there."""

    section: str
    entry: str
    before: str
    after: str

    @property
    def words(self) -> str:
        """What happened, for people."""
        done = "changed" if self.before and self.after else "came" if self.after else "went"
        return f"{self.section}: `{self.entry}` {done}"


def drift(before: Posture, after: Posture) -> list[Drift]:
    """Give every difference, in the order of sections and entries."""
    return [
        Drift(section, entry, old.get(entry, ""), new.get(entry, ""))
        for section, new in after.sections.items()
        for old in [before.sections.get(section, {})]
        for entry in sorted(old.keys() | new.keys())
        if old.get(entry) != new.get(entry)
    ]


def weaker(before: Posture, after: Posture, announced: Collection[str]) -> list[str]:
    """Give, in words, what makes the host easier to own and was not announced.

    Args:
        announced: sections that the change's authority names as its effects.
    """
    return list(_weaker(before, after, announced))


def _weaker(before: Posture, after: Posture, announced: Collection[str]) -> Iterator[str]:
    for one in drift(before, after):
        if one.section not in announced and _weakens(one):
            yield one.words
    # An entry that can be read no more is there among the differences, as one that went.
    for path in sorted(set(after.unread) - set(before.unread)):
        yield f"unread: `{path}` could be read before"


def _weakens(one: Drift) -> bool:
    if one.section in GUARDING and one.before:
        return True
    if not one.after:
        return False
    if not one.before:
        return one.section not in GUARDING
    same_owner = one.before.split(" ")[:2] == one.after.split(" ")[:2]
    linked = one.before.startswith("-> ") or one.after.startswith("-> ")
    return not (one.entry.startswith(PACKAGED) and same_owner and not linked)


def sentence(weakened: Collection[str]) -> str:
    """Put the first of them in one sentence, and say how many more there are."""
    shown = sorted(weakened)[:SHOWN]
    rest = len(weakened) - len(shown)
    return ("; ".join(shown) + (f"; and {rest} more" if rest else ""))[:LETTERS]
