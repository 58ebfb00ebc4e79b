"""`answerable verify`, `explain`, `status`, and `answerable evidence collect`."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from answerable.cli.exposure import FEEDS, Feeds, exposure_explain
from answerable.cli.show import Output, say, table, write_lines
from answerable.exposure.plain import plain

evidence = typer.Typer(no_args_is_help=True, help="Gather what proves every change.")
FLAW = re.compile(r"CVE-\d{4}-\d{4,19}", re.ASCII | re.IGNORECASE)
"""What is a flaw, and no directory."""
Directory = Annotated[Path, typer.Argument(help="an evidence directory")]
Fleet = Annotated[str, typer.Option(help="fleet id that you trust, instead of `charter.note`")]


@evidence.callback()
def _evidence() -> None:
    """Gather what proves every change."""


@evidence.command("collect")
def collect(
    directory: Annotated[Path, typer.Argument(help="where to gather; may hold some already")],
    log: Annotated[str, typer.Option(help="URL of the log server")] = "",
    control: Annotated[str, typer.Option(help="URL of the control plane")] = "",
    hosts: Annotated[Path | None, typer.Option(help="host records: hosts.json")] = None,
    kept: Annotated[list[Path] | None, typer.Option(help="folder of kept checkpoints")] = None,
) -> None:
    """Gather logs, plans, host records and checkpoints; what is missing is told on stderr."""
    from answerable.bootstrap.serve import http_client
    from answerable.evidence.collect import collect as gather

    with http_client() as client:
        missing = gather(directory, client, log=log, control=control, hosts=hosts, kept=kept or [])
    for line in missing:
        say(f"missing: {line}")
    typer.echo(str(directory))


def verify(directory: Directory, fleet: Fleet = "", output: Output = "table") -> None:
    """Check logs and signatures offline, and print the trail of every change on every host.

    Exit code 0: everything holds; a false success that observers raised is shown as caught. 1:
    something is damaged, contradicted or not shown. 3: a change happened without authority.
    """
    from answerable.evidence.explain import lines, row, summary
    from answerable.evidence.trail import Trail
    from answerable.evidence.verify import verify as audit

    def tell(trail: Trail) -> None:
        write_lines([json.dumps(row(trail), sort_keys=True)] if output == "json" else lines(trail))

    verdict = audit(directory, fleet, tell)
    for line in summary(verdict):
        typer.echo(plain(line), err=output == "json")
    raise typer.Exit(verdict.code)


def explain(
    what: Annotated[str, typer.Argument(help="a flaw (CVE-..), or an evidence directory")],
    subject: Annotated[
        str,
        typer.Argument(help="of a flaw: a host; of evidence: a notice's hash, HOST, HOST/CHANGE"),
    ] = "",
    fleet: Fleet = "",
    control: Annotated[
        Path | None, typer.Option(help="of a flaw: a control plane's directory; else this machine")
    ] = None,
    feeds: Feeds = FEEDS,
) -> None:
    """Say why: a flaw's rank; or a change: who allowed it, who was told, what became of it."""
    if FLAW.fullmatch(what):
        exposure_explain(what.upper(), subject, directory=control, feeds=feeds)
        return
    if not subject and not Path(what).is_dir():
        why = f"`{what}` is neither a flaw such as CVE-2026-12345 nor an evidence directory"
        raise typer.BadParameter(why, param_hint="what")
    if not subject:
        raise typer.BadParameter("an evidence directory needs a subject", param_hint="subject")
    from answerable.evidence.explain import explain as reasons
    from answerable.evidence.verify import Evidence

    write_lines(reasons(Evidence(Path(what), fleet), subject))


def status(directory: Directory, fleet: Fleet = "", output: Output = "table") -> None:
    """List every notice: how far it is, and what its hosts have said."""
    from answerable.evidence.explain import status as rows
    from answerable.evidence.verify import Evidence

    names = ("notice", "state", "authority", "hosts", "ring", "said")
    table(rows(Evidence(directory, fleet)), names, output)
