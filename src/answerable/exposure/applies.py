"""Which of the world's rows apply to a package, and what of them stands.

Rules:

1. A row applies if it names the package at one of its places (keys.py) and holds its version there.
   A row that was taken back (`withdrawn`) says nothing; it takes nothing back that others say.
2. Each flaw that a row names stands by itself: its CVEs, or the advisory's id if it names none.
3. `not_affected` clears a flaw of the same channel only. If another channel says `affected`, it
   stands: the strictest is believed until people sign otherwise (feeds/agree.py). A channel that
   went silent, or a row taken back, clears nothing.
4. `end_of_life` stands as itself: nobody looks any more, so nobody knows it to be fine.
5. A row whose versions have no order cannot be applied; it is listed with the reason, never dropped
   and never taken for silence.

Left out: how many packages are looked at in one go (index.py: one row on all hosts; fleet.py: all
rows on all hosts). The three give the same answer; a test holds them to it.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from answerable.exposure.keys import Name, bounds, names, read
from answerable.feeds.rows import Range
from answerable.host.versions import Read
from answerable.inventory.installed import Installed
from answerable.kernel.errors import Refused

What = TypeVar("What")


class Spans(Generic[What]):
    """Things that hold between two keys of a place, ready to be asked."""

    def __init__(self, rows: Iterable[tuple[Name, bytes, bytes, What]]) -> None:
        """Sort them by place and upper end; those of one end keep their order."""
        found: dict[Name, list[tuple[bytes, bytes, What]]] = {}
        for name, low, high, what in rows:
            found.setdefault(name, []).append((high, low, what))
        for spans in found.values():
            spans.sort(key=lambda span: span[0])
        self._found = {name: ([s[0] for s in spans], spans) for name, spans in found.items()}

    def at(self, name: Name, version: Read) -> list[What]:
        """Give what holds for a version of a name: low <= key < high."""
        known = self._found.get(name)
        if known is None:
            return []
        highs, spans = known
        key = version[0](version[1])
        return [what for _, low, what in spans[bisect_right(highs, key) :] if low <= key]


@dataclass(frozen=True, slots=True)
class Unordered:
    """A row that cannot be applied, and why."""

    row: Range
    reason: str


def subjects(row: Range) -> tuple[str, ...]:
    """Give the flaws that a row is about."""
    return row.cves or (row.advisory,)


def standing(rows: Sequence[Range]) -> Iterator[tuple[Range, tuple[str, ...]]]:
    """Give of all rows that apply to a package those that stand, each with its flaws."""
    cleared = {
        (row.channel, flaw)
        for row in rows
        if row.status == "not_affected"
        for flaw in subjects(row)
    }
    for row in rows:
        if row.status != "not_affected":
            flaws = subjects(row)
            if cleared:
                flaws = tuple(f for f in flaws if (row.channel, f) not in cleared)
            if flaws:
                yield row, flaws


class Ranges:
    """The world's rows, ready to be asked about a package.

    `unordered` lists those that cannot be applied.
    """

    def __init__(self, rows: Iterable[Range]) -> None:
        """Take the rows that are in force."""
        self.unordered: list[Unordered] = []
        self._spans = Spans(self._ordered(rows))

    def _ordered(self, rows: Iterable[Range]) -> Iterator[tuple[Name, bytes, bytes, Range]]:
        for row in rows:
            if not row.withdrawn:
                try:
                    yield ((row.ecosystem, row.level, row.package), *bounds(row), row)
                except Refused as refusal:
                    self.unordered.append(Unordered(row, refusal.detail))

    def on(self, installed: Installed) -> list[tuple[Range, tuple[str, ...]]]:
        """Give each row that stands for a package, with its flaws.

        Raises:
            Refused: `malformed` if its version has no order, also where nothing is said of it.
        """
        found, last, taken = list[Range](), "", None
        for name, version in names(installed):
            if taken is None or version != last:
                last, taken = version, read(name[0], version)
            found += self._spans.at(name, taken)
        return list(standing(found)) if found else []
