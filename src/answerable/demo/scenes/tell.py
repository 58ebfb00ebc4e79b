"""How the story is told: lines, tables of what was read back, how long it took.

In colour on a terminal, plain elsewhere; nothing is shown that was not read from a record, a file
or an answer. Left out: any judgement; that is what the commands are for.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console

from answerable.bootstrap.serve import boot_clock


class Teller:
    """Prints the story and measures it."""

    def __init__(self) -> None:
        """Start the clock."""
        self._console = Console(highlight=False, soft_wrap=True)
        self._plain = not self._console.is_terminal
        self._start = boot_clock()

    def scene(self, number: int, title: str) -> None:
        """Begin a scene."""
        self._print("")
        self._print(f"{self.elapsed():4.0f} s  {number}. {title}", "bold cyan")

    def line(self, text: str) -> None:
        """Say one thing."""
        self._print(f"        {text}")

    def quote(self, text: str, style: str = "dim") -> None:
        """Show lines as a command printed them."""
        for line in text.rstrip().splitlines():
            self._print(f"        | {line}", style)

    def good(self, text: str) -> None:
        """Say what went as it should."""
        self._print(f"        {text}", "green")

    def bad(self, text: str) -> None:
        """Say what was refused, or failed."""
        self._print(f"        {text}", "yellow")

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
        """Show rows in columns."""
        widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]
        for row in (head, *rows):
            cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self._print("        " + "  ".join(cells).rstrip(), "bold" if row is head else "")

    def command(self, who: str, words: Sequence[str]) -> None:
        """Show a command as somebody runs it."""
        self._print(f"        {who}$ {' '.join(words)}", "blue")

    @contextmanager
    def waiting(self, what: str) -> Iterator[None]:
        """Say what is waited for."""
        if self._plain:
            self._print(f"        .. {what}")
            yield
        else:
            with self._console.status(f"[dim]{what}"):
                yield

    def elapsed(self) -> float:
        """Give the seconds since the start."""
        return boot_clock() - self._start

    def _print(self, text: str, style: str = "") -> None:
        if self._plain:
            sys.stdout.write(f"{text}\n")
            sys.stdout.flush()
        else:
            self._console.print(text, style=style or None, markup=False)
