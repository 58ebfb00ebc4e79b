"""`answerable charter`: draft, assemble and show the charter that everything rests on."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from answerable.cli.given import Out, client, law_of, write
from answerable.cli.show import Output, say, write_lines
from answerable.cli.sign import Signatures, read_text, sign_next, signatures
from answerable.config import NotConfigured, read_bytes
from answerable.kernel.canon import encode

if TYPE_CHECKING:
    from answerable.kernel.charter import Charter

app = typer.Typer(help="Draft, assemble and show charters.", no_args_is_help=True)


def load_yaml(path: Path) -> dict[str, Any]:
    """Read what a person wrote.

    Raises:
        NotConfigured: it cannot be read, or is no mapping in YAML.
    """
    import yaml

    try:
        found = yaml.safe_load(read_bytes(path))
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        said = " ".join(str(error).split())
        raise NotConfigured(f"`{path}` is not YAML: {said}") from error
    if not isinstance(found, dict):
        raise NotConfigured(f"`{path}` holds no mapping of names to values")
    return found


@app.command("draft")
def charter_draft(
    rules: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="YAML, by people")],
    card: Annotated[list[Path], typer.Option(exists=True, help="as `init` printed it")],
    out: Out = None,
    previous: Annotated[
        Path | None, typer.Option(exists=True, help="the charter that this one replaces")
    ] = None,
    old: Annotated[
        list[str] | None,
        typer.Option(help="where a new log begins: URLs of guards that have the old one"),
    ] = None,
) -> None:
    """Draft a charter from people's rules and parties' cards; prints the text to sign."""
    from answerable.authority import charter, draft
    from answerable.bootstrap.people import nonce

    written, fleet = load_yaml(rules), ""
    if previous:
        law, fleet = law_of(previous)
        written |= {"number": law.body["number"] + 1, "previous": law.id}
        if old:
            written["start"] = _start(old, law, fleet)
    body = charter.draft(written, [_card(path) for path in card])
    write(out, draft.charter_text(body, nonce(), fleet).encode())
    sign_next("charter", out)


def _start(old: list[str], law: "Charter", fleet: str) -> str:
    from answerable.bootstrap.succession import old_end

    end = old_end(client(), old, law, fleet)
    say(f"`{law.origin}` ends with {end.size} records, as {', '.join(end.guards)} have it")
    return end.digest


def _card(path: Path) -> dict[str, Any]:
    import json

    try:
        card = json.loads(read_bytes(path))
    except ValueError as error:
        raise NotConfigured(f"`{path}` is not JSON; it is what `answerable init` prints") from error
    if not isinstance(card, dict) or "party" not in card:
        raise NotConfigured(f"`{path}` is no card; it is what `answerable init` prints")
    return card


@app.command("assemble")
def charter_assemble(
    text: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="as drafted")],
    signature: Signatures,
    out: Out = None,
) -> None:
    """Put people's signatures under a charter; prints the record."""
    from answerable.authority import draft
    from answerable.kernel.charter import Charter

    said = read_text(text)
    note, statement = draft.assemble(said, signatures(signature), None)
    charter = Charter(statement.body, statement.id)
    charter.enough(statement.people, "charter")
    write(out, note)
    say(f"charter {charter.body['number']}: {charter.id}")


@app.command("show")
def charter_show(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False)], output: Output = "table"
) -> None:
    """Show what a charter says."""
    law, fleet = law_of(file)
    if output == "json":
        typer.echo(encode({"body": law.body, "fleet": fleet, "id": law.id}))
        return
    body, limits = law.body, law.limits
    lines = [f"fleet      {fleet}", f"charter    {body['number']}, {body['name']}, id {law.id}"]
    lines += [f"mode       {body['mode']}" + _weak(body["mode"])]
    lines += [f"guards     {len(body['guards'])}, up to {law.faults} may lie, {law.quorum} decide"]
    lines += [
        f"           {name} of {g['operator']} at {g['url']}" for name, g in body["guards"].items()
    ]
    lines += [f"observer   {name} of {o['operator']}" for name, o in body["observers"].items()]
    lines += [f"person     {name}: {', '.join(p['roles'])}" for name, p in body["people"].items()]
    lines += [
        f"zone       {name}: may object: {', '.join(z['objectors'])}; "
        f"approve: {', '.join(z['approvers']) or 'nobody'} ({z['threshold']})"
        for name, z in body["zones"].items()
    ]
    times = ("window", "grace", "validity", "freshness", "soak", "authorization_delay")
    lines += [f"limits     {', '.join(f'{name} {limits[name]} s' for name in times)}"]
    write_lines(lines)


def _weak(mode: str) -> str:
    return "" if mode == "standard" else ": weaker than `standard`"
