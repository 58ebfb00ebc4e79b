"""`answerable feed provenance`: check by whom anything at all was signed, offline."""

import hashlib
import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from answerable.cli.show import say
from answerable.config import read_bytes

REFUSED = 3
"""Exit code: it is not proven."""
_DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


def provenance(
    subject: Annotated[str, typer.Argument(help="a file, or `sha256:<hex>` of an image")],
    bundle: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="what was signed")],
    root: Annotated[Path, typer.Option(exists=True, dir_okay=False, help="Sigstore trusted root")],
    sha256: Annotated[str, typer.Option(help="of that root, from somebody you trust")],
    issuer: Annotated[str, typer.Option(help="who must vouch for the identity")],
    identity: Annotated[str, typer.Option(help="mail address or URI; `..@refs/tags/*` is allowed")],
    predicate: Annotated[list[str] | None, typer.Option(help="what it must be about")] = None,
) -> None:
    """Check a file, image or advisory against its Sigstore bundle, offline; prints the verdict."""
    from answerable.feeds.proven import DOCUMENT, Expected, Proven
    from answerable.feeds.provenance import Sigstore

    judge = Sigstore(read_bytes(root), sha256)
    expected = Expected(issuer, identity, tuple(predicate or ()))
    verdict = judge.check(read_bytes(bundle, DOCUMENT), _digest(subject), expected)
    typer.echo(json.dumps(asdict(verdict), sort_keys=True))
    if not isinstance(verdict, Proven):
        say(f"answerable: not proven: {verdict}")
        raise typer.Exit(REFUSED)


def _digest(subject: str) -> str:
    if found := _DIGEST.fullmatch(subject):
        return found[1]
    try:
        with Path(subject).open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise typer.BadParameter(f"cannot read `{subject}`: {error.strerror}") from error
