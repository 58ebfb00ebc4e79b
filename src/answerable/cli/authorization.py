"""`answerable authorization`: what may be done in advance, and who said so."""

from pathlib import Path
from typing import Annotated

import typer

from answerable.cli.charter import load_yaml
from answerable.cli.given import (
    CharterFile,
    Key,
    LogUrl,
    Out,
    Person,
    Reason,
    follow,
    law_of,
    write,
)
from answerable.cli.people import speak
from answerable.cli.show import Output, table
from answerable.cli.sign import Signatures, assemble, sign_next

app = typer.Typer(help="Draft, assemble, list and revoke authorizations.", no_args_is_help=True)


@app.command("draft")
def authorization_draft(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="YAML")],
    charter: CharterFile,
    out: Out = None,
) -> None:
    """Draft a standing authorization from YAML; prints the text to sign."""
    from answerable.authority import authorization, draft
    from answerable.bootstrap.people import nonce

    law, fleet = law_of(charter)
    body = authorization.draft(load_yaml(file))
    write(out, draft.text("authorization", body, law, fleet, nonce()).encode())
    sign_next("authorization", out)


@app.command("assemble")
def authorization_assemble(
    text: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="as drafted")],
    signature: Signatures,
    charter: CharterFile,
    out: Out = None,
) -> None:
    """Put people's signatures under an authorization; prints the record to submit."""
    assemble("authorization", text, signature, charter, out)


@app.command("list")
def authorization_list(log: LogUrl, charter: CharterFile, output: Output = "table") -> None:
    """List the standing authorizations of the log."""
    state = follow(log, charter).state
    rows = [
        {
            "authorization": number, "name": row["body"]["name"], "owner": row["body"]["owner"],
            "by": row["by"], "clauses": [clause["name"] for clause in row["body"]["clauses"]],
            "review_by": row["body"]["review_by"],
            "state": "revoked" if number in state.revoked else "logged",
        }
        for number, row in state.authorizations.items()
    ]  # fmt: skip
    table(rows, ("name", "owner", "by", "clauses", "review_by", "state", "authorization"), output)


@app.command("revoke")
def authorization_revoke(
    authorization: Annotated[str, typer.Argument(help="its statement id")],
    person: Person,
    key: Key,
    charter: CharterFile,
    log: LogUrl,
    reason: Reason = "",
) -> None:
    """Revoke a standing authorization, as its owner or as an approver."""
    logs = follow(log, charter)
    body = {"authorization": authorization, "reason": reason}
    speak("revocation", body, (person, key), logs.state, log)
