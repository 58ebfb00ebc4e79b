"""`answerable observe run`: be an observer."""

from pathlib import Path
from typing import Annotated

import typer

from answerable.cli.show import say
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
