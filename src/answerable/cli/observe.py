"""`answerable observe`: be an observer, and ask one what no change explains."""

from pathlib import Path
from typing import Annotated

import typer

from answerable.cli.show import Output, say, table
from answerable.config import read_party

observe = typer.Typer(
    no_args_is_help=True, help="Look at hosts by another way, and say what was seen."
)


@observe.callback()
def _observe() -> None:
    """Look at hosts by another way, and say what was seen."""


@observe.command("run")
def run(
    directory: Annotated[Path, typer.Argument(help="the observer's directory")],
) -> None:
    """Look around until a signal ends it; what is in the way is told on stderr."""
    from answerable.bootstrap.observer import run_observer

    run_observer(read_party(directory, "observer"), say)


@observe.command("reconcile")
def reconcile(
    directory: Annotated[Path, typer.Argument(help="the observer's directory")],
    output: Output = "table",
) -> None:
    """List what is installed and no record of a change explains, as the observer found it last.

    Exit code 0: nothing. 1: something, or nothing was reconciled yet.
    """
    from answerable.bootstrap.observer import unexplained

    found = unexplained(read_party(directory, "observer"))
    rows = [
        {"host": row.host, "name": row.name, "recorded": row.recorded or "absent",
         "found": row.found or "absent", "since": row.since}
        for _, rows in found.values() for row in rows
    ]  # fmt: skip
    table(rows, ("host", "name", "recorded", "found", "since"), output)
    last = min((looked for looked, _ in found.values()), default=0)
    what = f"{len(found)} accounts reconciled (of hosts, and of images), each since {last}"
    say(f"{what}; {len(rows)} changes are unexplained")
    raise typer.Exit(1 if rows or not found else 0)
