"""`answerable guard`: what other teams run, so that nobody need be believed alone."""

from pathlib import Path
from typing import Annotated

import typer

from answerable.cli.given import client
from answerable.cli.show import say
from answerable.config import read_bytes, read_party

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


@app.command("charter")
def guard_charter(
    directory: Annotated[Path, typer.Argument(help="the guard's directory")],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    records: Annotated[
        str, typer.Option("--from", help="URL or folder of a log with records that are missing")
    ] = "",
    log: Annotated[str, typer.Option(help="URL of the log server from now on")] = "",
) -> None:
    """Take a charter that names another log, which the old log cannot bring; stop the guard first.

    From then on it cosigns nothing of the old log.
    """
    from answerable.bootstrap.succession import guard_charter as take

    party, note = read_party(directory, "guard"), read_bytes(file)
    for line in take(client(), party, note, records, log):
        say(line)
