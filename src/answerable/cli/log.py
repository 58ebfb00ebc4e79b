"""`answerable log`: run the log server, hand in records, export and verify the logs."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Literal

import typer

from answerable.cli.given import CharterFile, LogUrl, client, follow
from answerable.cli.show import Output, say, table
from answerable.config import read_bytes, read_party
from answerable.kernel.note import ENTRY

app = typer.Typer(help="Run, read and verify the logs.", no_args_is_help=True)
Name = Literal["authority", "report"]


@app.command("serve")
def log_serve(
    directory: Annotated[Path, typer.Argument(help="the log server's directory")],
) -> None:
    """Serve both logs until SIGTERM."""
    party = read_party(directory, "log")
    from answerable.bootstrap.log import run_log

    run_log(party)


@app.command("charter")
def log_charter(
    directory: Annotated[Path, typer.Argument(help="the log server's directory")],
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)],
    old: Annotated[
        list[str] | None,
        typer.Option("--from", help="URL or folder of the log that it goes on from; repeat it"),
    ] = None,
) -> None:
    """Begin where another log ends, or go on under new keys, as a charter says.

    In an empty directory: takes the records up to the charter's `start` from a guard's URL, a log
    server's or an export, and the charter. In one with records: signs its heads with new keys.
    """
    from answerable.bootstrap.succession import log_charter as take

    party, note = read_party(directory, "log"), read_bytes(file)
    for line in take(client(), party, note, old or ()):
        say(line)


@app.command("submit")
def log_submit(
    note: Annotated[list[Path], typer.Argument(exists=True, dir_okay=False, help="records")],
    log: LogUrl,
    to: Annotated[Name, typer.Option(help="which log")] = "authority",
) -> None:
    """Append records, all or none; prints the index of the first one."""
    from answerable.ledger.client import submit

    entries = [read_bytes(path, ENTRY) for path in note]
    with client() as http:
        told = submit(http, f"{log.rstrip('/')}/{to}", entries)
    typer.echo(json.dumps(told, sort_keys=True))
    for void in told["void"]:
        say(f"answerable: `{note[void['entry']]}` is in the log and means nothing: "
            f"{void['reason']}: {void['detail']}")  # fmt: skip
    if told["void"]:
        raise typer.Exit(3)


@app.command("head")
def log_head(log: LogUrl, charter: CharterFile, output: Output = "table") -> None:
    """Show how far each log is cosigned, and by which guards."""
    logs = follow(log, charter)
    rows = [
        {
            "log": name, "origin": head.checkpoint.origin, "size": head.checkpoint.size,
            "root": head.checkpoint.root.hex(), "guards": sorted(head.who), "time": head.present,
        }
        for name, head in logs.heads.items()
    ]  # fmt: skip
    table(rows, ("log", "size", "guards", "time", "root"), output)


@app.command("export")
def log_export(
    out: Annotated[Path, typer.Argument(help="folder to write to")],
    log: Annotated[Name, typer.Option(help="which log")],
    directory: Annotated[Path, typer.Option("--dir", help="the log server's directory")],
) -> None:
    """Write a log as static files: checkpoint, tiles, bundles, vkeys."""
    from answerable.bootstrap.stored import export_log

    head = export_log(read_party(directory, "log"), log, out)
    say(f"{head.origin}: {head.size} records, root {head.root.hex()}")


@app.command("verify")
def log_verify(
    directory: Annotated[Path, typer.Argument(help="the log server's directory")],
    output: Output = "table",
) -> None:
    """Check every record of both logs against what they committed to; name each damaged one."""
    from answerable.bootstrap.stored import verify_logs

    rows: Sequence[dict[str, object]] = verify_logs(read_party(directory, "log"))
    table(rows, ("log", "record", "how"), output)
    if rows:
        raise typer.Exit(1)
    say("every record is as it was logged")
