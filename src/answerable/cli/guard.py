"""`answerable guard`: what other teams run, so that nobody need be believed alone."""

from pathlib import Path
from typing import Annotated

import typer

from answerable.config import read_party

app = typer.Typer(help="Run a guard.", no_args_is_help=True)


@app.callback()
def _guard() -> None:
    """Run a guard: witness, mirror, veto post, herald, feed attester."""


@app.command("run")
def guard_run(directory: Annotated[Path, typer.Argument(help="the guard's directory")]) -> None:
    """Cosign, mirror, hold vetoes, tell people and attest feeds, until SIGTERM."""
    party = read_party(directory, "guard")
    from answerable.bootstrap.guard import run_guard

    run_guard(party)
