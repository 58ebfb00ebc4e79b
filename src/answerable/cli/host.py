"""`answerable host`: the agent on a host, and enrolling hosts in batches.

`record`, `prove`, `run`, `apply`, `status`, `charter` and `own-updates` are the agent's own program
(`python -m answerable.host`), which needs nothing of this one.
"""

from pathlib import Path
from typing import Annotated

import typer

from answerable.cli.given import CharterFile, LogUrl, Out, client, law_of, write
from answerable.cli.show import Output, say
from answerable.cli.sign import Signatures, assemble, read_text, sign_next, signatures
from answerable.kernel.errors import demand

app = typer.Typer(help="Enrol hosts, and run a host's agent.", no_args_is_help=True)
Directory = Annotated[Path, typer.Argument(help="the agent's own directory")]
Records = Annotated[
    list[Path], typer.Option("--record", exists=True, help="record.json of a host; repeat it")
]


@app.command("enrol")
def host_enrol(record: Records, charter: CharterFile, out: Out = None) -> None:
    """Draft the enrolment of hosts by their records; prints the text to sign."""
    from answerable.authority import draft
    from answerable.bootstrap import enrol
    from answerable.bootstrap.people import nonce

    law, fleet = law_of(charter)
    records = enrol.read_records(record)
    text = draft.text("enrolment", enrol.body(records), law, fleet, nonce())
    write(out, text.encode())
    say(f"{len(records)} hosts")
    sign_next("enrolment", out)


@app.command("assemble")
def host_assemble(
    text: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="as drafted")],
    signature: Signatures,
    record: Records,
    charter: CharterFile,
    hosts: Annotated[Path, typer.Option(help="file of hosts to add the proven records to")],
    out: Out = None,
    proofs: Annotated[Path | None, typer.Option(help="folder for one proof file a host")] = None,
) -> None:
    """Put people's signatures under an enrolment; writes the record and each host's proof."""
    from answerable.authority import draft
    from answerable.bootstrap import enrol

    records = enrol.read_records(record)
    law, _ = law_of(charter)
    said = draft.assemble(read_text(text), signatures(signature), law)[1]
    same = said.body == enrol.body(records)
    demand(same, "malformed", "the text enrols other records than these: name the same files")
    _, enrolment = assemble("enrolment", text, signature, charter, out)
    made = enrol.rows(records, enrolment)
    enrol.write_rows(hosts, made)
    if proofs:
        enrol.write_proofs(proofs, made)


@app.command("register")
def host_register(
    hosts: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="file of hosts")],
    log: LogUrl,
) -> None:
    """Tell the log server of enrolled hosts, so that it takes their reports."""
    from answerable.bootstrap import enrol

    with client() as http:
        typer.echo("\n".join(enrol.register(http, log, hosts)))


def _agent(*words: object) -> None:
    from answerable.host.__main__ import main

    raise typer.Exit(main([str(word) for word in words]))


@app.command("record")
def host_record(
    directory: Directory,
    name: Annotated[str, typer.Option(help="the host's id")],
    charter: CharterFile,
    zone: Annotated[list[str] | None, typer.Option(help="as people shall enrol it")] = None,
    settings: Annotated[Path | None, typer.Option(exists=True, help="JSON file")] = None,
) -> None:
    """Make a host's key and record, on the host; prints the record."""
    zones = [word for one in zone or () for word in ("--zone", one)]
    more = ["--settings", settings] if settings else []
    _agent("enrol", "--dir", directory, "--name", name, "--charter", charter, *zones, *more)


@app.command("prove")
def host_prove(
    directory: Directory,
    proof: Annotated[Path, typer.Option(exists=True, help="one row, as `assemble` wrote it")],
    start: Annotated[str, typer.Option(help="`log`, or `guards` to begin at their state")] = "log",
) -> None:
    """Keep the proof that this host is enrolled, and follow the log, on the host."""
    _agent("enrol", "--dir", directory, "--proof", proof, "--start", start)


@app.command("run")
def host_run(directory: Directory) -> None:
    """Look, do what may be done, wait, and look again, until SIGTERM."""
    _agent("run", "--dir", directory)


@app.command("apply")
def host_apply(directory: Directory, output: Output = "table") -> None:
    """Look once, do what may be done, and print what became of each change."""
    _agent("apply", "--dir", directory, "--output", output)


@app.command("status")
def host_status(directory: Directory, output: Output = "table") -> None:
    """Print what the last look found and this host shows now; asks nobody."""
    _agent("status", "--dir", directory, "--output", output)


@app.command("charter")
def host_charter(
    directory: Directory, file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)]
) -> None:
    """Take a charter into force that did not come from the log."""
    _agent("charter", "--dir", directory, file)


@app.command("own-updates")
def host_own_updates(directory: Directory) -> None:
    """Mask every other program that updates this host by itself; prints the masked units."""
    _agent("own-updates", "--dir", directory)
