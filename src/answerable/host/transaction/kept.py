"""The journals of transactions, as something that is kept for a while (`retention.Keeper`).

Left out: a journal whose plan is damaged; it is a person's to look at, and is neither shown nor
thrown away.
"""

import os
from pathlib import Path

from answerable.host.retention import Kept
from answerable.host.transaction.disk import Disk
from answerable.host.transaction.journal import Transactions
from answerable.host.transaction.port import FilesFailed


class Journals:
    """The transactions below a driver's own folder.

    Args:
        home: the folder of the journal.
    """

    kind = "transaction"

    def __init__(self, home: Path) -> None:
        self._home = home

    def kept(self) -> list[Kept]:
        """Give what was done, which can be undone, and what was undone, which cannot."""
        found = list[Kept]()
        with Disk(Path("/")) as disk:
            journal = Transactions(disk, str(self._home), {})
            for word in ("done", "undone"):
                for number in journal.numbers(word):
                    try:
                        note = journal.note(number)
                    except FilesFailed:
                        continue
                    moves = (f"{name} {old or 'nothing'} -> {new or 'nothing'}"
                             for name, old, new in note.get("packages", ()))  # fmt: skip
                    artefacts = frozenset(map(str, note.get("artefacts", ())))
                    size = _size(self._home / number)
                    what = ", ".join(moves)
                    found.append(Kept(number, what, size, artefacts, word == "done"))
        return found

    def drop(self, name: str) -> None:
        """Throw one away; its number is never given again."""
        with Disk(Path("/")) as disk:
            Transactions(disk, str(self._home), {}).drop(name)


def _size(folder: Path) -> int:
    return sum(
        os.lstat(os.path.join(place, name)).st_size  # noqa: PTH118  of a walk
        for place, _, names in os.walk(folder)
        for name in names
    )
